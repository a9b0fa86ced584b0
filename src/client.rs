//! A small HTTP/1 client for our own listeners: TCP on loopback and the Unix socket.
//!
//! One connection a call, no redirects, no retries, no proxy: what it talks to is this daemon on
//! this machine.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;

/// How long [`call`] waits for the whole answer.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How long [`download`] waits for the answer to begin: what is sent is made first.
pub const COPY_DEADLINE: Duration = Duration::from_secs(600);

/// The largest answer that is read, in bytes: a thousand listed redemptions with their answers fit.
pub const BODY_BYTES_MAX: usize = 80 * 1024 * 1024;

/// Where a listener of ours is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// On loopback.
    Tcp(SocketAddr),
    /// The commands' own way in.
    Unix(PathBuf),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most [`BODY_BYTES_MAX`] long.
    pub body: Bytes,
}

impl Response {
    /// A header's value, unless it is missing or not text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| ClientError::Broken(error.to_string()))
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there, or the socket's permissions forbid it: nothing was sent.
    #[error("{target} cannot be reached: {source}")]
    Unreachable {
        /// Where.
        target: Target,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No whole answer came in time; the request may have been carried out.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
    /// The connection or the answer broke; the request may have been carried out.
    #[error("the answer broke off: {0}")]
    Broken(String),
    /// The answer is longer than [`BODY_BYTES_MAX`].
    #[error("the answer is longer than {BODY_BYTES_MAX} bytes")]
    TooLarge,
    /// What came cannot be written where it is to go.
    #[error("the answer cannot be written: {0}")]
    Unwritten(std::io::Error),
    /// Path or a header cannot be sent: the caller's fault, nothing was sent.
    #[error("not a request: {0}")]
    Request(String),
}

/// One request and its answer, within [`DEADLINE`]. A body makes it `application/json` unless
/// `headers` say otherwise.
pub async fn call(
    target: &Target,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<Response, ClientError> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body).map_err(|error| ClientError::Request(error.to_string()))?;
    call_within(target, request, DEADLINE).await
}

/// Like [`call`], within `deadline`, with a request made by the caller; its URI is the path alone.
pub async fn call_within(
    target: &Target,
    request: Request<Bytes>,
    deadline: Duration,
) -> Result<Response, ClientError> {
    tokio::time::timeout(deadline, connect_and_send(target, dressed(request, target)))
        .await
        .unwrap_or(Err(ClientError::Deadline(deadline)))
}

/// One request with an empty object, and its answer's body written to `to` as it comes, however
/// long it is: the beginning within [`COPY_DEADLINE`], each part within [`DEADLINE`]. A refusal
/// comes back with its body, and nothing is written.
///
/// # Errors
/// As [`call`]; what was written then is a part.
pub async fn download(
    target: &Target,
    method: Method,
    path: &str,
    to: &mut (dyn std::io::Write + Send),
) -> Result<Response, ClientError> {
    let request = Request::builder().method(method).uri(path).body(Bytes::from_static(b"{}"));
    let request =
        dressed(request.map_err(|error| ClientError::Request(error.to_string()))?, target);
    let (mut sender, _driver) = connected(target).await?;
    let begun =
        tokio::time::timeout(COPY_DEADLINE, sender.send_request(request.map(Full::new))).await;
    let (head, mut body) =
        begun.map_err(|_| ClientError::Deadline(COPY_DEADLINE))?.map_err(broken)?.into_parts();
    let mut answer =
        Response { status: head.status.as_u16(), headers: head.headers, body: Bytes::new() };
    if answer.status != 200 {
        let whole = Limited::new(body, BODY_BYTES_MAX).collect().await;
        answer.body = whole.map_err(|_| ClientError::TooLarge)?.to_bytes();
        return Ok(answer);
    }
    loop {
        let next = tokio::time::timeout(DEADLINE, body.frame()).await;
        let Some(frame) = next.map_err(|_| ClientError::Deadline(DEADLINE))? else {
            return Ok(answer);
        };
        if let Ok(part) = frame.map_err(broken)?.into_data() {
            to.write_all(&part).map_err(ClientError::Unwritten)?;
        }
    }
}

/// The request with the headers that HTTP and our listeners want.
fn dressed(mut request: Request<Bytes>, target: &Target) -> Request<Bytes> {
    let has_body = !request.body().is_empty();
    let host = match target {
        Target::Tcp(address) => address.to_string(),
        Target::Unix(_) => "localhost".to_owned(),
    };
    let headers = request.headers_mut();
    if let (false, Ok(host)) = (headers.contains_key(HOST), host.parse()) {
        headers.insert(HOST, host);
    }
    if has_body && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    }
    request
}

async fn connect_and_send(
    target: &Target,
    request: Request<Bytes>,
) -> Result<Response, ClientError> {
    let (mut sender, _driver) = connected(target).await?;
    let (head, body) =
        sender.send_request(request.map(Full::new)).await.map_err(broken)?.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            ClientError::TooLarge
        } else {
            ClientError::Broken(error.to_string())
        }
    })?;
    Ok(Response { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes() })
}

/// What sends a request, and the task of its connection: with the call that drops it the connection
/// ends.
type Connected = (http1::SendRequest<Full<Bytes>>, JoinSet<hyper::Result<()>>);

async fn connected(target: &Target) -> Result<Connected, ClientError> {
    let unreachable = |source| ClientError::Unreachable { target: target.clone(), source };
    match target {
        Target::Tcp(address) => {
            begun(TcpStream::connect(address).await.map_err(unreachable)?).await
        }
        Target::Unix(path) => begun(UnixStream::connect(path).await.map_err(unreachable)?).await,
    }
}

async fn begun<S>(stream: S) -> Result<Connected, ClientError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    Ok((sender, driver))
}

/// hyper's own text is short ("connection closed before message completed"); the cause below it
/// says why.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn broken(error: hyper::Error) -> ClientError {
    let cause =
        std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    ClientError::Broken(format!("{error}{cause}"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};
    use std::os::unix::net::UnixListener;

    use super::*;

    const ANSWER: &[u8] =
        b"HTTP/1.1 400 Bad Request\r\nredeemd-state: declined\r\ncontent-length: 2\r\n\r\n{}";

    /// Answers one connection with `answer` after its request's head; gives back what it read.
    fn answer_once(mut stream: impl Read + Write, answer: &[u8]) -> String {
        let mut seen = Vec::new();
        let mut chunk = [0; 4096];
        while !seen.windows(4).any(|four| four == b"\r\n\r\n") {
            let read = stream.read(&mut chunk).unwrap();
            assert_ne!(read, 0, "the client closed before its request was whole");
            seen.extend_from_slice(&chunk[..read]);
        }
        stream.write_all(answer).unwrap();
        String::from_utf8(seen).unwrap()
    }

    #[tokio::test]
    async fn a_refusal_over_tcp_is_an_answer_with_its_headers() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let target = Target::Tcp(listener.local_addr().unwrap());
        let server = std::thread::spawn(move || answer_once(listener.accept().unwrap().0, ANSWER));
        let answer =
            call(&target, Method::POST, "/redeem", &[("x-a", "b")], Bytes::from_static(b"{}"))
                .await
                .unwrap();
        assert_eq!((answer.status, answer.header("redeemd-state")), (400, Some("declined")));
        assert_eq!(answer.json().unwrap(), serde_json::json!({}));
        let seen = server.join().unwrap();
        assert!(seen.starts_with("POST /redeem HTTP/1.1\r\n"), "{seen}");
        assert!(
            seen.contains("content-type: application/json") && seen.contains("x-a: b"),
            "{seen}"
        );
        assert!(seen.contains(&format!("host: {target}")), "{seen}");
    }

    #[tokio::test]
    async fn the_unix_socket_is_called_by_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || answer_once(listener.accept().unwrap().0, ANSWER));
        let answer = call(&Target::Unix(path), Method::GET, "/api/v1/status", &[], Bytes::new())
            .await
            .unwrap();
        assert_eq!(answer.status, 400);
        let seen = server.join().unwrap();
        assert!(seen.contains("host: localhost") && !seen.contains("content-type"), "{seen}");
    }

    #[tokio::test]
    async fn nobody_there_is_told_apart_from_a_broken_answer() {
        let folder = tempfile::tempdir().unwrap();
        let nobody = Target::Unix(folder.path().join("admin.sock"));
        let error = call(&nobody, Method::GET, "/", &[], Bytes::new()).await.unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let target = Target::Tcp(listener.local_addr().unwrap());
        let torn = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}";
        let server = std::thread::spawn(move || answer_once(listener.accept().unwrap().0, torn));
        let error = call(&target, Method::GET, "/", &[], Bytes::new()).await.unwrap_err();
        assert!(matches!(error, ClientError::Broken(_)), "{error}");
        server.join().unwrap();
    }

    #[tokio::test]
    async fn silence_ends_at_the_deadline() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let target = Target::Tcp(listener.local_addr().unwrap());
        let request = Request::get("/").body(Bytes::new()).unwrap();
        let error = call_within(&target, request, Duration::from_millis(20)).await.unwrap_err();
        assert!(matches!(error, ClientError::Deadline(_)), "{error}");
    }
}
