//! Errors as problem documents (RFC 9457).

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::queue::QueueError;

/// A refusal that a program can read by its status and a person by its detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    retry_after_s: Option<u64>,
}

impl Problem {
    /// A problem of this status; `detail` says what was wrong and what would be right.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), retry_after_s: None }
    }

    /// What was wrong.
    pub(super) fn detail(self) -> String {
        self.detail
    }

    /// The document.
    #[must_use]
    pub fn document(&self) -> serde_json::Value {
        json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        })
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        let retry_after_s = match &error {
            QueueError::Busy { retry_after_s } => Some(*retry_after_s),
            QueueError::Refusing(_) | QueueError::Stopping => None,
        };
        Self { status: StatusCode::SERVICE_UNAVAILABLE, detail: error.to_string(), retry_after_s }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        let retry: Option<[(HeaderName, HeaderValue); 1]> =
            self.retry_after_s.map(|seconds| [(header::RETRY_AFTER, HeaderValue::from(seconds))]);
        let body = self.document().to_string();
        match retry {
            Some(retry) => (self.status, headers, retry, body).into_response(),
            None => (self.status, headers, body).into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_four_members_and_their_content_type() {
        let problem = Problem::new(StatusCode::CONFLICT, "another redemption of the code is pending");
        let expected = json!({
            "type": "about:blank", "title": "Conflict", "status": 409,
            "detail": "another redemption of the code is pending",
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
        assert!(!Problem::from(QueueError::Stopping).into_response().headers().contains_key(header::RETRY_AFTER));
    }
}
