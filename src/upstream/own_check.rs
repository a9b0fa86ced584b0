//! The gateway's own Check Reward, with a made-up code: it shows whether the provider answers
//! anybody.
//!
//! A till alone must not choose what is in it. Business and form of the code come from a redemption
//! that the provider took. So what makes the provider or its firewall fail is never part of the
//! check that shows the failure.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The form of a made-up code, where no long enough form is known.
const FORM_DEFAULT: &str = "AAAA0000AAAA0000";
/// A code with fewer changing characters could be a real one.
const CHANGING_MIN: usize = 8;
/// The longest form that is repeated, in bytes.
const FORM_BYTES_MAX: usize = 64;
/// The business, where neither the settings nor a redemption names one.
const BUSINESS_DEFAULT: &str = "1";

/// What is known for the next check. Holds a redemption's body: never shown.
pub(super) struct OwnCheck {
    business: Option<String>,
    taken: Mutex<Option<Bytes>>,
}

/// What a check takes of a redemption.
#[derive(Default, Deserialize)]
#[serde(default)]
struct TakenRequest {
    reward_code: String,
    business_refrence: String,
}

/// The contract's Check Reward.
#[derive(Serialize)]
struct CheckBody<'a> {
    reward_code: String,
    business_refrence: &'a str,
}

impl OwnCheck {
    /// `business`: one that the lane serves, where its settings name any.
    pub(super) fn new(business: Option<String>) -> Self {
        Self { business, taken: Mutex::new(None) }
    }

    /// Keeps the body of a redemption that was confirmed. A 2xx alone does not do: a firewall may
    /// say no in one, and what it says no to must not get into the check.
    pub(super) fn learn(&self, body: &Bytes) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = Some(body.clone());
    }

    /// The next check; the error is of the system's random numbers.
    pub(super) fn body(&self) -> Result<Bytes, String> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let taken: TakenRequest =
            taken.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
        let known = Some(taken.business_refrence.as_str()).filter(|business| !business.is_empty());
        let business = self.business.as_deref().or(known).unwrap_or(BUSINESS_DEFAULT);
        let reward_code = made_up(form(&taken.reward_code))?;
        let check = CheckBody { reward_code, business_refrence: business };
        serde_json::to_vec(&check).map(Bytes::from).map_err(|error| error.to_string())
    }
}

/// The form of `code`, if a code of that form is nobody's.
fn form(code: &str) -> &str {
    let changing = code.bytes().filter(u8::is_ascii_alphanumeric).count();
    if changing >= CHANGING_MIN && code.len() <= FORM_BYTES_MAX { code } else { FORM_DEFAULT }
}

/// `form` with every digit and letter replaced by another of its kind, at random.
fn made_up(form: &str) -> Result<String, String> {
    let mut random = vec![0; form.len()];
    getrandom::fill(&mut random).map_err(|error| format!("no random bits: {error}"))?;
    let replaced = form.chars().zip(random).map(|(char, random)| match char {
        '0'..='9' => char::from(b'0' + random % 10),
        'A'..='Z' => char::from(b'A' + random % 26),
        'a'..='z' => char::from(b'a' + random % 26),
        other => other,
    });
    Ok(replaced.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    fn sent(check: &OwnCheck) -> (String, String) {
        let value: Value = serde_json::from_slice(&check.body().unwrap()).unwrap();
        let text = |name: &str| value[name].as_str().unwrap().to_owned();
        (text("reward_code"), text("business_refrence"))
    }

    const BODY: &[u8] =
        br#"{"reward_code":"Ab-12345678","business_refrence":"shoes","branch_id":"7"}"#;

    #[test]
    fn a_made_up_code_has_the_form_of_the_last_that_was_taken_and_is_another_each_time() {
        let check = OwnCheck::new(None);
        check.learn(&Bytes::from_static(BODY));
        let (code, business) = sent(&check);
        let kinds = |code: &str| -> Vec<_> {
            code.chars()
                .map(|c| (c.is_ascii_digit(), c.is_ascii_uppercase(), c.is_ascii_lowercase()))
                .collect()
        };
        assert_eq!((kinds(&code), business.as_str()), (kinds("Ab-12345678"), "shoes"));
        assert_ne!(code, "Ab-12345678");
        assert_ne!(code, sent(&check).0);
    }

    #[test]
    fn before_anything_was_taken_nothing_of_a_till_is_in_a_check() {
        let (code, business) = sent(&OwnCheck::new(None));
        assert_eq!((code.len(), business.as_str()), (FORM_DEFAULT.len(), BUSINESS_DEFAULT));
    }

    #[test]
    fn the_settings_business_goes_before_a_tills_and_a_short_code_is_no_form() {
        let check = OwnCheck::new(Some("hats".to_owned()));
        let short = Bytes::from_static(br#"{"reward_code":"1234","business_refrence":"shoes"}"#);
        check.learn(&short);
        let (code, business) = sent(&check);
        assert_eq!((code.len(), business.as_str()), (FORM_DEFAULT.len(), "hats"));
    }
}
