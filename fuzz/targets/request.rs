//! Requests of tills: what is taken has its fields within their bounds, and is taken alike when it is sent on.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use redeemd::contract::{FIELD_BYTES_MAX, parse, parse_check};
use redeemd::fold;
use redeemd::redemption::Fingerprint;

fn is_value(text: &str) -> bool {
    !text.is_empty() && text.len() <= FIELD_BYTES_MAX && !text.chars().any(char::is_control)
}

fuzz_target!(|bytes: &[u8]| {
    match parse(Bytes::copy_from_slice(bytes)) {
        Ok(request) => {
            let texts =
                [&request.business_refrence, &request.branch_id, &request.date, &request.timestamp];
            assert!(
                texts.into_iter().all(|text| is_value(text))
                    && is_value(request.reward_code.reveal())
            );
            assert!(
                !fold::is_blank(request.reward_code.reveal())
                    && !fold::is_blank(&request.business_refrence)
            );
            // What is forwarded is read as the same request: by the provider, and after an import.
            let again = parse(request.body.clone()).expect("what was taken is taken again");
            assert_eq!(again.body, request.body);
            assert_eq!(Fingerprint::of_request(&again), Fingerprint::of_request(&request));
            let folded = request.reward_code.folded();
            assert_eq!(fold::code(&folded), folded);
        }
        Err(faults) => assert!(!faults.texts(redeemd::message::Language::English).is_empty()),
    }
    if let Ok(check) = parse_check(Bytes::copy_from_slice(bytes)) {
        assert!(is_value(&check.business_refrence) && is_value(check.reward_code.reveal()));
        assert!(parse_check(check.body).is_ok());
    }
});
