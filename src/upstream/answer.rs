//! Reads an answer up to its limit, and finds out whether it really ended.

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::Body;
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderName, RETRY_AFTER,
    TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use reqwest::{StatusCode, Version};

use crate::redemption::Answer;
use crate::verdict::Reply;

/// Why there is no whole answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum BrokenAnswer {
    /// The client's own error.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    /// The proxy itself answered: it wants to know who asks.
    #[error("it wants a user and a password (407)")]
    Proxy,
    /// HTTP/2's stream was reset before its end, with a reason for which the client ends the body
    /// in silence.
    #[error("the stream ended before the answer did")]
    Stream,
}

/// Reads the whole answer, at most [`Answer::BODY_BYTES_MAX`] of its body.
pub(super) async fn read(response: reqwest::Response) -> Result<Reply, BrokenAnswer> {
    let (head, mut body) = hyper::Response::<reqwest::Body>::from(response).into_parts();
    let mut bytes = BytesMut::new();
    let mut truncated = false;
    while !truncated && let Some(frame) = body.frame().await {
        let frame = frame?;
        let chunk = frame.data_ref().map_or(&[][..], |chunk| chunk);
        let room = Answer::BODY_BYTES_MAX - bytes.len();
        truncated = chunk.len() > room;
        bytes.extend_from_slice(chunk.get(..room).unwrap_or(chunk));
    }
    let is_stream = head.version == Version::HTTP_2;
    let is_all = || body.is_end_stream() || length(&head.headers) == Some(bytes.len());
    if is_stream && !truncated && !is_all() {
        return Err(BrokenAnswer::Stream);
    }
    let headers = &head.headers;
    Ok(Reply {
        answer: Answer {
            status: head.status.as_u16(),
            content_type: text(headers, &CONTENT_TYPE),
            body: bytes.freeze(),
        },
        truncated,
        retry_after: text(headers, &RETRY_AFTER),
        date: text(headers, &DATE),
        www_authenticate: text(headers, &WWW_AUTHENTICATE),
        content_encoding: encoding(headers),
        framed: !truncated
            && (is_stream || head.status == StatusCode::NO_CONTENT || is_framed(headers)),
    })
}

/// Whether an HTTP/1 head says where the body ends (RFC 9112, section 6.3).
fn is_framed(headers: &HeaderMap) -> bool {
    match transfer_codings(headers).last() {
        Some(last) => last == "chunked",
        None => headers.contains_key(CONTENT_LENGTH),
    }
}

/// The codings that are still on the body; `None`: it is as it was meant.
fn encoding(headers: &HeaderMap) -> Option<String> {
    let content =
        codings(headers, &CONTENT_ENCODING).into_iter().filter(|coding| coding != "identity");
    let transfer = transfer_codings(headers).into_iter().filter(|coding| coding != "chunked");
    let all: Vec<String> = content.chain(transfer).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn transfer_codings(headers: &HeaderMap) -> Vec<String> {
    codings(headers, &TRANSFER_ENCODING)
}

/// The names in a list of codings, in small letters, in their order.
fn codings(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    // A value that is not text is an unknown coding, and must not count as none.
    let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?"));
    let names =
        values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase());
    names.filter(|name| !name.is_empty()).collect()
}

fn length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A header's values, one after the other as if they had come in one.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let first = values.next()?.to_owned();
    Some(values.fold(first, |all, next| all + ", " + next))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_coding_is_told_unless_it_changes_nothing() {
        let rows = [
            (&["gzip"][..], Some("gzip")),
            (&["GZip", "identity"], Some("gzip")),
            (&["gzip, br"], Some("gzip, br")),
            (&["identity"], None),
            (&["", " , "], None),
            (&[], None),
        ];
        for (values, told) in rows {
            assert_eq!(
                encoding(&headers(&CONTENT_ENCODING, values)).as_deref(),
                told,
                "{values:?}"
            );
        }
        assert_eq!(
            encoding(&headers(&TRANSFER_ENCODING, &["gzip, chunked"])).as_deref(),
            Some("gzip")
        );
        assert_eq!(encoding(&headers(&TRANSFER_ENCODING, &["chunked"])), None);
    }

    #[test]
    fn an_end_is_told_by_a_length_or_by_the_last_chunk() {
        assert!(is_framed(&headers(&CONTENT_LENGTH, &["0"])));
        assert!(is_framed(&headers(&TRANSFER_ENCODING, &["gzip, Chunked"])));
        assert!(!is_framed(&headers(&TRANSFER_ENCODING, &["gzip"])));
        assert!(!is_framed(&HeaderMap::new()));
    }
}
