//! `Retry-After`: whatever a provider writes there, a lane waits between a second and an hour, or one backoff step.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use redeemd::redemption::Answer;
use redeemd::verdict::{Outcome, RETRY_AFTER_S_MAX, Reply, Rules, Verdict, judge};

fuzz_target!(|input: (String, Option<String>, bool)| {
    let (text, date, busy) = input;
    let status = if busy { 503 } else { 429 };
    let seconds: Option<u64> =
        text.trim().bytes().all(|b| b.is_ascii_digit()).then(|| text.trim().parse().ok()).flatten();
    let answer = Answer { status, content_type: None, body: Vec::new().into() };
    let reply = Reply {
        answer,
        truncated: false,
        content_encoding: None,
        framed: true,
        retry_after: Some(text),
        date,
        www_authenticate: None,
    };
    let rules = Rules::default();
    let waits = match judge(&Outcome::Answered(reply), &rules) {
        Verdict::Wait { at_least, clean } => {
            assert_eq!(clean, !busy);
            at_least
        }
        other => {
            assert!(busy && other == Verdict::RowFault { status }, "{other:?}");
            None
        }
    };
    let (least, most) = (Duration::from_secs(1), Duration::from_secs(RETRY_AFTER_S_MAX));
    assert!(waits.is_none_or(|wait| (least..=most).contains(&wait)), "{waits:?}");
    if let Some(seconds @ 1..) = seconds {
        assert_eq!(waits, Some(Duration::from_secs(seconds.min(RETRY_AFTER_S_MAX))));
    }
});
