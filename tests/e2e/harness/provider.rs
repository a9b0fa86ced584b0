//! The provider: `redeemd sandbox` as a child process, told what to do through its control API.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

use super::process::{Process, redeemd};
use super::till::{Reply, Till};

/// One request as the provider saw it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) n: u64,
    pub(crate) at_ms: u64,
    pub(crate) connection: u64,
    pub(crate) path: String,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) attempt: Option<String>,
    pub(crate) accepted_at: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) authorization: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) fault: Option<String>,
    pub(crate) took: bool,
    pub(crate) status: Option<u16>,
}

/// A running sandbox. Its port stays the same whatever happens to its line.
pub(crate) struct Provider {
    process: Process,
    control: Till,
    pub(crate) redeem_url: String,
    pub(crate) check_url: String,
    pub(crate) token_url: String,
    pub(crate) webhook_url: String,
}

impl Provider {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With further arguments of `redeemd sandbox`.
    pub(crate) fn with(args: &[&str]) -> Self {
        Self::run(
            redeemd("sandbox"),
            &[&["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"], args].concat(),
        )
    }

    /// As this command, which may be the binary's within something else.
    pub(crate) fn run(mut command: Command, args: &[&str]) -> Self {
        command.args(["--json", "--seed", "1"]).args(args);
        let (process, greeting) = Process::start(command, true);
        let greeting: Value = serde_json::from_str(&greeting).unwrap_or_else(|error| {
            panic!("{error}: the sandbox said {greeting:?} and {}", process.log())
        });
        let url = |name: &str| greeting[name].as_str().unwrap().to_owned();
        let control = url("control").strip_prefix("http://").unwrap().parse().unwrap();
        Self {
            process,
            control: Till::new(control, None),
            redeem_url: url("redeem_url"),
            check_url: url("check_url"),
            token_url: url("token_url"),
            webhook_url: url("webhook_url"),
        }
    }

    /// Over TLS with a certificate of this kind; its authority is written to `ca`.
    pub(crate) fn tls(kind: &str, ca: &Path, args: &[&str]) -> Self {
        let fixed = ["--tls", kind, "--ca-out", ca.to_str().unwrap()];
        Self::with(&[fixed.as_slice(), args].concat())
    }

    /// Replaces the rules: `share=0.1,fault=reset-after-taking`.
    pub(crate) fn rules(&self, rules: &[&str]) {
        let object = |rule: &&str| -> Value {
            let bare = [
                "share", "skip", "every", "count", "per_code", "status", "clock_s", "rate",
                "bytes", "take",
            ];
            let pair = |pair: &str| {
                let (name, value) = pair.split_once('=').unwrap();
                let value = if bare.contains(&name) {
                    serde_json::from_str(value).unwrap()
                } else {
                    value.into()
                };
                (name.to_owned(), value)
            };
            Value::Object(rule.split(',').map(pair).collect())
        };
        self.control_json("POST", "rules", &Value::Array(rules.iter().map(object).collect()));
    }

    /// Each of these codes is answered so: with this status and body, as JSON.
    pub(crate) fn answers(&self, rows: &[(&str, u16, &str)]) {
        self.control_json("POST", "rules", &rows.iter().map(answer).collect());
    }

    /// A check of each of these codes is answered 200 with this body, as JSON.
    pub(crate) fn says_of_checked(&self, bodies: &[(&str, &str)]) {
        let rule = |(code, body): &(&str, &str)| {
            json!({ "fault": "status", "status": 200, "call": "check", "code": code, "body": body,
                "content_type": "application/json" })
        };
        self.control_json("POST", "rules", &bodies.iter().map(rule).collect());
    }

    /// The first reply to each of the codes that fit `pattern` is lost after it was taken, then
    /// each is answered so.
    pub(crate) fn loses_first_and_then(&self, pattern: &str, rows: &[(&str, u16, &str)]) {
        let lost = json!({ "fault": "reset-after-taking", "attempt": "1", "code": pattern });
        let rules = std::iter::once(lost).chain(rows.iter().map(answer)).collect();
        self.control_json("POST", "rules", &rules);
    }

    /// The first attempt of each redemption of the codes that fit `pattern` is answered 502, then
    /// each is answered so.
    pub(crate) fn fails_first_and_then(&self, pattern: &str, rows: &[(&str, u16, &str)]) {
        let fails = json!({ "fault": "status", "status": 502, "attempt": "1", "code": pattern });
        let rules = std::iter::once(fails).chain(rows.iter().map(answer)).collect();
        self.control_json("POST", "rules", &rules);
    }

    /// The first reply to each of these codes is lost after it was taken; the next three times it
    /// is still at it, says this, and then answers by itself.
    pub(crate) fn is_busy_with(&self, rows: &[(&str, &str)]) {
        let lost =
            |code: &str| json!({ "fault": "reset-after-taking", "attempt": "1", "code": code });
        // Counted are the requests that get as far as the rule.
        let busy = |code: &str, body: &str| {
            json!({ "fault": "status", "attempt": "1-3", "code": code, "status": 409, "body": body,
                "content_type": "application/json" })
        };
        let rules = rows.iter().flat_map(|(code, body)| [lost(code), busy(code, body)]).collect();
        self.control_json("POST", "rules", &rules);
    }

    /// Connections are refused, open ones are reset.
    pub(crate) fn cut(&self) {
        self.line("refuse");
    }

    /// A black hole: connections are accepted and nothing comes.
    pub(crate) fn silence(&self) {
        self.line("silent");
    }

    pub(crate) fn restore(&self) {
        self.line("up");
    }

    fn line(&self, state: &str) {
        self.control_json("POST", "line", &json!({ "state": state }));
    }

    pub(crate) fn set_token(&self, token: &str) {
        self.control_json("POST", "token", &json!({ "token": token }));
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        let mut all: Vec<Recorded> = Vec::new();
        loop {
            let after = all.last().map_or(0, |last| last.n);
            let reply =
                self.control.send("GET", &format!("/sandbox/requests?after={after}"), &[], b"");
            let page: Vec<Recorded> = serde_json::from_value(reply.json()).unwrap();
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }

    /// The requests for one code.
    pub(crate) fn requests_for(&self, code: &str) -> Vec<Recorded> {
        self.requests()
            .into_iter()
            .filter(|request| request.code.as_deref() == Some(code))
            .collect()
    }

    /// Every code is good again.
    pub(crate) fn forget_codes(&self) {
        self.control_json("DELETE", "codes", &Value::Null);
    }

    pub(crate) fn forget_requests(&self) {
        self.control_json("DELETE", "requests", &Value::Null);
    }

    /// Codes taken, keys seen and so on.
    pub(crate) fn summary(&self, name: &str) -> u64 {
        let reply = self.control.send("GET", "/sandbox/summary", &[], b"");
        reply.json()[name].as_u64().unwrap_or_else(|| panic!("no {name} in {reply:?}"))
    }

    /// Every code that was taken came under one key, and no key with two codes.
    pub(crate) fn assert_one_key_each(&self) {
        assert_eq!(
            (self.summary("codes_under_two_keys"), self.summary("keys_with_two_codes")),
            (0, 0)
        );
    }

    fn control_json(&self, method: &str, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.control.send(method, &format!("/sandbox/{path}"), &[], body.as_bytes());
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        reply
    }

    /// The whole provider is gone.
    pub(crate) fn kill(&mut self) {
        self.process.kill9();
    }
}

/// The rule that answers a code so.
fn answer((code, status, body): &(&str, u16, &str)) -> Value {
    json!({ "fault": "status", "code": code, "status": status, "body": body,
        "content_type": "application/json" })
}
