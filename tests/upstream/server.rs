//! A provider by hand: real sockets, every byte of the answer chosen by the test.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn body(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// What the server does about a request.
pub(crate) enum Reaction {
    /// These bytes; the connection stays.
    Answer(String),
    /// These bytes once they are allowed.
    Later(Arc<Notify>, String),
    /// These bytes, then a reset.
    Reset(String),
    /// These bytes, then an orderly end.
    Close(String),
    /// These bytes, then silence.
    Hang(String),
    /// These bytes, then more of them for ever.
    Endless(String),
}

pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Reaction {
    Reaction::Answer(text(status, headers, body))
}

pub(crate) fn text(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

pub(crate) fn ok() -> Reaction {
    answer(200, "content-type: application/json\r\n", "{}")
}

type Script = Arc<dyn Fn(&Seen) -> Reaction + Send + Sync>;

/// Runs until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Server {
    pub(crate) async fn plain(script: impl Fn(&Seen) -> Reaction + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(script)).await
    }

    pub(crate) async fn tls(
        acceptor: TlsAcceptor,
        script: impl Fn(&Seen) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(acceptor), Arc::new(script)).await
    }

    async fn start(acceptor: Option<TlsAcceptor>, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let mut task = JoinSet::new();
        task.spawn(accept(listener, acceptor, Arc::clone(&connections), script, Arc::clone(&seen)));
        Self { address, seen, connections, _task: task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    connections: Arc<AtomicUsize>,
    script: Script,
    seen: Arc<Mutex<Vec<Seen>>>,
) {
    let mut tasks = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.fetch_add(1, Ordering::SeqCst);
        let (acceptor, script, seen) = (acceptor.clone(), Arc::clone(&script), Arc::clone(&seen));
        tasks.spawn(async move {
            match acceptor {
                None => serve(stream, &script, &seen, reset).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, &script, &seen, |stream| reset(stream.into_inner().0)).await;
                    }
                }
            }
        });
    }
}

/// Closing with this option sends a reset instead of an end.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
    drop(stream);
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    script: &Script,
    seen: &Mutex<Vec<Seen>>,
    reset: impl FnOnce(S),
) {
    while let Some(request) = read_request(&mut stream).await {
        let reaction = script(&request);
        seen.lock().unwrap().push(request);
        match reaction {
            Reaction::Answer(text) => stream.write_all(text.as_bytes()).await.unwrap(),
            Reaction::Later(allowed, text) => {
                allowed.notified().await;
                stream.write_all(text.as_bytes()).await.unwrap();
            }
            Reaction::Close(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
                return;
            }
            Reaction::Reset(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                return reset(stream);
            }
            Reaction::Hang(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                return std::future::pending().await;
            }
            Reaction::Endless(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
                return;
            }
        }
    }
}

/// The next request with a `content-length`, or the end.
async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, v)| v.parse().unwrap());
    let mut body = bytes[head_end + 4..].to_vec();
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Seen { line, headers, body })
}
