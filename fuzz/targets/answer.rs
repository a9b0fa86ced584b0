//! Answers of providers: only one in the contract's shape, with a status that may, settles a redemption.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use redeemd::contract::{Shape, shape};
use redeemd::redemption::Answer;
use redeemd::verdict::{MESSAGE_BYTES_MAX, Outcome, Reply, Rules, Verdict, judge};

#[derive(Arbitrary, Debug)]
struct Input {
    status: u16,
    body: Vec<u8>,
    truncated: bool,
    retry_after: Option<String>,
    date: Option<String>,
    www_authenticate: Option<String>,
    content_type: Option<String>,
}

fuzz_target!(|input: Input| {
    let Input { body, truncated, retry_after, date, www_authenticate, content_type, .. } = input;
    let status = 100 + input.status % 900;
    let shown = shape(&body);
    let empty = body.is_empty();
    let answer = Answer { status, content_type, body: body.into() };
    let (content_encoding, framed) = (None, true);
    let reply = Reply { answer, truncated, retry_after, date, www_authenticate, content_encoding, framed };
    let declined_status = vec![400, 404, 409, 410, 422];
    let rules = Rules { declined_status: declined_status.clone(), already_used: vec!["has been used".to_owned()] };
    match judge(&Outcome::Answered(reply), &rules) {
        Verdict::Confirmed => assert!((200..300).contains(&status) && !truncated && (empty || shown != Shape::Foreign)),
        Verdict::Parked { reason } => assert!((200..300).contains(&status) && !reason.is_empty()),
        Verdict::Declined { message, .. } => {
            assert!(declined_status.contains(&status) && !truncated && shown == Shape::Refusal);
            assert!(message.len() <= MESSAGE_BYTES_MAX);
        }
        Verdict::Credential => assert!(matches!(status, 401 | 403)),
        Verdict::Wait { clean, .. } => assert_eq!((clean, matches!(status, 429 | 503)), (status == 429, true)),
        Verdict::RowFault { status: row } => assert!(row == status && (matches!(row, 408 | 425) || row >= 500)),
        Verdict::NotTheProvider { detail } => assert!(!detail.is_empty() && status != 429),
        Verdict::Reset | Verdict::Road(_) => {}
    }
});
