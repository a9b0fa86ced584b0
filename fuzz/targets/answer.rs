//! Answers of providers: only one in the contract's shape, with a status that may, settles a redemption.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use redeemd::contract::{Shape, shape};
use redeemd::redemption::{Answer, RewardCode};
use redeemd::settings::{Auth, Provider, SecretSource};
use redeemd::verdict::{
    Evidence, MESSAGE_BYTES_MAX, Outcome, Phase, Phrases, Reply, Rules, Success, Verdict, judge,
    streak,
};

/// A provider with the default of every key.
static PROVIDER: LazyLock<Provider> = LazyLock::new(|| {
    let token = SecretSource::Credential("token".to_owned());
    Provider::new("provider", "https://provider/", Auth::Token(token))
});

#[derive(Arbitrary, Debug)]
struct Input {
    status: u16,
    body: Vec<u8>,
    truncated: bool,
    framed: bool,
    contract: bool,
    weak_declines: bool,
    content_encoding: Option<String>,
    retry_after: Option<String>,
    date: Option<String>,
    www_authenticate: Option<String>,
    content_type: Option<String>,
}

fuzz_target!(|input: Input| {
    let Input {
        body,
        truncated,
        framed,
        content_encoding,
        retry_after,
        date,
        www_authenticate,
        content_type,
        ..
    } = input;
    let status = 100 + input.status % 900;
    let shown = shape(&body);
    let empty = body.is_empty();
    let answer = Answer { status, content_type, body: body.into() };
    let reply =
        Reply { answer, truncated, content_encoding, framed, retry_after, date, www_authenticate };
    let declined_status = vec![400, 404, 409, 410, 422];
    let rules = Rules {
        declined_status: declined_status.clone(),
        already_used: Phrases::new(&PROVIDER.already_used),
        in_progress: Phrases::new(&PROVIDER.in_progress),
        success: if input.contract { Success::Contract } else { Success::Lenient },
        weak_declines: input.weak_declines,
    };
    let is_success = (200..300).contains(&status);
    match judge(&Outcome::Answered(reply), &rules) {
        Verdict::Confirmed => {
            assert!(
                is_success
                    && status != 202
                    && !truncated
                    && (empty && framed || shown != Shape::Foreign)
            );
        }
        Verdict::Parked { .. } => assert!(is_success),
        Verdict::Declined { evidence, already_used, message } => {
            assert!(declined_status.contains(&status) && !truncated && shown == Shape::Refusal);
            assert!(
                message.len() <= MESSAGE_BYTES_MAX
                    && (evidence == Evidence::Strong || !already_used)
            );
            let masked = streak::masked(&message, &RewardCode::new("AB-12".to_owned()));
            assert!(!masked.contains(|c: char| c.is_ascii_digit()));
        }
        Verdict::InProgress { evidence } => {
            assert!(is_success || matches!(status, 409 | 425));
            assert_eq!(evidence == Evidence::Strong, is_success);
        }
        Verdict::Credential => assert!(matches!(status, 401 | 403)),
        Verdict::Wait { clean, .. } => {
            assert_eq!((clean, matches!(status, 429 | 503)), (status == 429, true))
        }
        Verdict::RowFault { status: row } => {
            assert!(row == status && (matches!(row, 408 | 425) || row >= 500))
        }
        Verdict::NotTheProvider { detail } => assert!(!detail.is_empty()),
        Verdict::Unreadable { detail } => {
            assert!(!detail.is_empty() && !matches!(status, 300..=399 | 429 | 500..=599))
        }
        Verdict::NoAnswer(phase) => assert_eq!((phase, status), (Phase::Proxy, 407)),
        Verdict::Reset => panic!("an answer is no reset"),
    }
});
