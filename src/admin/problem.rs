//! Errors as problem documents (RFC 9457), in the language that whoever asks likes best.

use axum::body::Body;
use axum::extract::Request;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::message::{Denied, Language, http_status};
use crate::queue::QueueError;

/// A refusal that a program can read by its status and a person by its detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    told: Denied,
    retry_after_s: Option<u64>,
}

impl Problem {
    /// A problem of this status; `told` says what was wrong and what would be right.
    #[must_use]
    pub fn denied(status: StatusCode, told: Denied) -> Self {
        Self { status, told, retry_after_s: None }
    }

    /// A body that is too large, or that did not come whole.
    pub(super) fn of_body(rejection: &BytesRejection) -> Self {
        match rejection.status() {
            status @ StatusCode::PAYLOAD_TOO_LARGE => Self::denied(status, Denied::BodyTooLarge),
            status => Self::denied(status, Denied::BodyCutOff),
        }
    }

    /// What was wrong.
    pub(super) fn told(self) -> Denied {
        self.told
    }

    /// The document in English.
    #[must_use]
    pub fn document(&self) -> serde_json::Value {
        self.document_in(Language::English)
    }

    fn document_in(&self, language: Language) -> serde_json::Value {
        let title = self.status.canonical_reason().unwrap_or("Error");
        json!({
            "type": "about:blank",
            "title": http_status(self.status.as_u16(), title, language),
            "status": self.status.as_u16(),
            "detail": self.told.text(language),
        })
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        let (told, retry_after_s) = match error {
            QueueError::Busy { retry_after_s } => {
                (Denied::Busy { after_s: retry_after_s }, Some(retry_after_s))
            }
            QueueError::Refusing(why) => (Denied::Refusing { why }, None),
            QueueError::Stopping => (Denied::Stopping, None),
        };
        Self { status: StatusCode::SERVICE_UNAVAILABLE, told, retry_after_s }
    }
}

/// What an `Accept-Language` header likes best.
pub(super) fn wished(headers: &HeaderMap) -> Language {
    let wished = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    Language::from_accept_language(wished.unwrap_or_default())
}

/// The middleware: says a problem in Arabic to whoever likes that best.
pub(super) async fn in_language(request: Request, next: Next) -> Response {
    let language = wished(request.headers());
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Language"));
    response
        .headers_mut()
        .insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.code()));
    if language != Language::English {
        // The length was that of the English one.
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(problem.document_in(language).to_string());
    }
    response
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let headers =
            [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        let retry: Option<[(HeaderName, HeaderValue); 1]> =
            self.retry_after_s.map(|seconds| [(header::RETRY_AFTER, HeaderValue::from(seconds))]);
        let body = self.document().to_string();
        let mut response = match retry {
            Some(retry) => (self.status, headers, retry, body).into_response(),
            None => (self.status, headers, body).into_response(),
        };
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_four_members_and_their_content_type() {
        let problem = Problem::denied(StatusCode::CONFLICT, Denied::OnTheWire);
        let expected = json!({
            "type": "about:blank", "title": "Conflict", "status": 409,
            "detail": "an attempt is on the wire: try again when it has ended",
        });
        assert_eq!(problem.document(), expected);
        let response = problem.into_response();
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn a_full_queue_says_when_to_come_again() {
        let response = Problem::from(QueueError::Busy { retry_after_s: 7 }).into_response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()[header::RETRY_AFTER]),
            (503, &"7".parse().unwrap())
        );
        assert!(
            !Problem::from(QueueError::Stopping)
                .into_response()
                .headers()
                .contains_key(header::RETRY_AFTER)
        );
    }
}
