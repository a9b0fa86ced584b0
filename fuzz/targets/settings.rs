//! Settings files: any text gives settings within their bounds, or problems that say something.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use redeemd::settings::parse;

/// Begins like a file that is good, so that what follows is looked at.
const GOOD: &str = "[[provider]]\nname = \"a\"\nredeem_url = \"https://a.example/r\"\ntoken_file \
    = \"/t\"\n";

fn look(text: &str) {
    match parse(text, "host") {
        Ok(loaded) => {
            let settings = loaded.settings;
            assert!(!settings.providers.is_empty() && !settings.gateway.name.is_empty());
            assert!(
                settings.intake.max_body_bytes <= 64 * 1024 && settings.forward.max_in_flight >= 1
            );
            assert!(
                Duration::ZERO < settings.forward.retry_min
                    && settings.forward.retry_min <= settings.forward.retry_max
            );
            let admin = settings.admin;
            let guarded = admin.tls.is_some() && !admin.users.is_empty() && !admin.hosts.is_empty();
            assert!(
                admin.listen.ip().is_loopback() || guarded,
                "beyond loopback the console has \
                TLS, users and hosts"
            );
        }
        Err(problems) => {
            assert!(
                problems.0.iter().all(|problem| !problem.message.is_empty())
                    && !problems.0.is_empty()
            )
        }
    }
}

fuzz_target!(|text: &str| {
    look(text);
    look(&format!("{GOOD}{text}"));
});
