//! What leaves to a till: status, headers and a body in the contract's shape, or the provider's
//! own.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;

use crate::contract;
use crate::decide;
use crate::message::{Language, Refusal, Texts};
use crate::queue::QueueError;
use crate::redemption::{Answer, Id, Redemption, State};
use crate::store::{Headroom, relayed};
use crate::verdict;

const REDEEMD_ID: HeaderName = HeaderName::from_static("redeemd-id");
const REDEEMD_STATE: HeaderName = HeaderName::from_static("redeemd-state");
const REDEEMD_HEADROOM: HeaderName = HeaderName::from_static("redeemd-headroom");
const REDEEMD_AGE: HeaderName = HeaderName::from_static("redeemd-age");
/// What could not be decided is asked again after so long, seconds.
pub(super) const ASK_AGAIN_S: u64 = 2;
/// What a limit, an operator's hold or a full disk stands against is asked again after so long,
/// seconds.
const NOT_SOON_S: u64 = 30;
const REDEEMD_REPEAT: HeaderName = HeaderName::from_static("redeemd-repeat");

/// A body of ours.
pub(super) fn json(status: StatusCode, body: Bytes) -> Response {
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// A refusal of ours that says nothing of when to come again.
pub(super) fn refuse(status: StatusCode, why: &Refusal, language: Language) -> Response {
    refusal(status, why, language, None)
}

/// The queue did not do what it was asked.
pub(super) fn queue_fault(error: &QueueError, language: Language) -> Response {
    let (why, after_s) = match error {
        QueueError::Busy { retry_after_s } => (Refusal::QueueBusy, Some(*retry_after_s)),
        QueueError::Refusing(why) => (Refusal::NotStored { why: why.clone() }, None),
        QueueError::Stopping => (Refusal::Stopping, Some(ASK_AGAIN_S)),
    };
    refusal(StatusCode::SERVICE_UNAVAILABLE, &why, language, after_s)
}

/// `answer` with the headers that tell a till which redemption it is about, and where that stands.
pub(super) fn about(mut answer: Response, id: &Id, state: State) -> Response {
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        answer.headers_mut().insert(REDEEMD_ID, id);
    }
    answer.headers_mut().insert(REDEEMD_STATE, HeaderValue::from_static(state.as_str()));
    answer
}

/// `answer` without what it says of the redemption that it is about: that is another till's.
pub(super) fn of_nobody(mut answer: Response) -> Response {
    answer.headers_mut().remove(REDEEMD_ID);
    answer.headers_mut().remove(REDEEMD_STATE);
    answer
}

/// `answer` with what is left of the limits: so many rows, so much money, so many seconds of
/// outage.
pub(super) fn with_headroom(mut answer: Response, headroom: Option<Headroom>) -> Response {
    let text = headroom.map(|Headroom { pending, exposure, outage, .. }| {
        format!("pending={pending}, exposure={exposure}, outage={}", outage.as_secs())
    });
    if let Some(value) = text.and_then(|text| HeaderValue::from_str(&text).ok()) {
        answer.headers_mut().insert(REDEEMD_HEADROOM, value);
    }
    answer
}

/// `answer` to a request that was asked before, for the n-th time.
pub(super) fn repeated(mut answer: Response, n: u32) -> Response {
    answer.headers_mut().insert(REDEEMD_REPEAT, HeaderValue::from(n));
    answer
}

/// `answer`, as the provider gave it to a check so many seconds ago.
pub(super) fn remembered(mut answer: Response, age_s: u64) -> Response {
    answer.headers_mut().insert(REDEEMD_STATE, HeaderValue::from_static("remembered"));
    answer.headers_mut().insert(REDEEMD_AGE, HeaderValue::from(age_s));
    answer
}

/// The provider's own answer: its status, its body and its content type, nothing else.
pub(super) fn relay(answer: &Answer) -> Response {
    let mut relayed = Response::new(Body::from(answer.body.clone()));
    *relayed.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let content_type =
        answer.content_type.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
    if let Some(content_type) = content_type {
        relayed.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    relayed
}

/// The contract's success in our own name.
pub(super) fn accepted(status: StatusCode) -> Response {
    json(status, contract::accepted())
}

/// What a refusal says, kept beside it until it leaves.
#[derive(Clone)]
struct ToldRefusal {
    refusal: Refusal,
    language: Language,
}

/// `answer` in the store's own words, where it is a refusal that has some.
pub(super) fn in_own_words(mut answer: Response, texts: &Texts) -> Response {
    let Some(ToldRefusal { refusal, language }) = answer.extensions_mut().remove::<ToldRefusal>()
    else {
        return answer;
    };
    let Some(text) = texts.of(&refusal, language) else { return answer };
    let mut errors = refusal.errors(language);
    if errors == [refusal.text(language)] {
        errors = vec![text.clone()];
    }
    *answer.body_mut() = Body::from(contract::refusal(&text, &errors));
    answer
}

/// A refusal in the contract's shape and the till's language. Each 503 says when to ask again.
pub(super) fn refusal(
    status: StatusCode,
    refusal: &Refusal,
    language: Language,
    after_s: Option<u64>,
) -> Response {
    let mut answer =
        json(status, contract::refusal(&refusal.text(language), &refusal.errors(language)));
    answer.extensions_mut().insert(ToldRefusal { refusal: refusal.clone(), language });
    let is_for_now = status == StatusCode::SERVICE_UNAVAILABLE;
    if let Some(after_s) = after_s.or(is_for_now.then_some(NOT_SOON_S)) {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after_s));
    }
    answer
}

fn is_final(row: &Redemption) -> bool {
    decide::is_final_where_parked((row.answered_at_till, row.attempts, row.in_doubt))
}

/// `answer`, with which its connection ends.
pub(super) fn last(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// What is known of a redemption that is no longer, or not any more, only a request: its till's
/// repeat gets the same.
pub(super) fn settled(
    row: &Redemption,
    accepted_status: StatusCode,
    language: Language,
) -> Response {
    let no = |status, why: &Refusal| refuse(status, why, language);
    let ask_again = || {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        refusal(status, &Refusal::Untrusted, language, Some(ASK_AGAIN_S))
    };
    let is_success = |answer: &Answer| (200..300).contains(&answer.status);
    let in_its_words = |answer: &Answer| {
        let said = verdict::said_in_words(answer);
        let said = said.unwrap_or_else(|| Refusal::ProviderRefused.text(language));
        no(StatusCode::BAD_REQUEST, &Refusal::Provider { said })
    };
    let answer = match (row.state, &row.answer) {
        // It shared the wait of one that was turned away: nobody took it back, asking again is a
        // new question.
        (State::Voided, _) if row.turned_away => ask_again(),
        (State::Voided, _) => no(StatusCode::CONFLICT, &Refusal::TakenBack),
        // The provider's "already used" is about our own earlier attempt: the till must never see
        // it as a refusal.
        (State::Confirmed, _) if row.duplicate_of_ours => accepted(accepted_status),
        // A success that says that it failed: its till is told its words, and no success.
        (State::Declined, Some(answer)) if is_success(answer) => in_its_words(answer),
        (State::Confirmed, _) | (State::Declined, Some(_)) => relay(&relayed(row)),
        (State::Declined, None) => no(StatusCode::BAD_REQUEST, &Refusal::ProviderRefused),
        // What the till was told stands, whatever a person decides about it.
        (State::Pending | State::Parked, _) if row.trusted => accepted(accepted_status),
        // Of one that may have been taken before, no refusal is the last word.
        (State::Parked, Some(answer)) if is_success(answer) && is_final(row) => {
            in_its_words(answer)
        }
        (State::Pending | State::Parked, _) => ask_again(),
    };
    about(answer, &row.id, row.state)
}
