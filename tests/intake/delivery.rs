//! Whether an answer reached its client, over real connections.

use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use redeemd::listen::Delivery::{Delivered, Undelivered};
use redeemd::listen::{Bounds, Certificate, Delivery, Socket, watch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use crate::support::{Host, PATIENCE, answer, ask, comes, get_request};
use crate::tls::{Made, connect, files, install, made};

/// A listener whose answers are watched and wait for the test's word.
struct Watched {
    host: Host,
    begun: Arc<Notify>,
    go_on: Arc<Notify>,
    heard: mpsc::Receiver<Delivery>,
}

impl Watched {
    async fn start(socket: impl FnOnce(tokio::net::TcpListener) -> Socket) -> Self {
        let (tell, heard) = mpsc::channel(16);
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begins, waits) = (Arc::clone(&begun), Arc::clone(&go_on));
        let watched = move || {
            let (begins, waits, tell) = (Arc::clone(&begins), Arc::clone(&waits), tell.clone());
            async move {
                begins.notify_one();
                waits.notified().await;
                told("the answer".into_response(), tell)
            }
        };
        let router =
            Router::new().route("/", get(watched)).route("/plain", get(|| async { "unwatched" }));
        Self { host: Host::serving(router, Bounds::default(), socket).await, begun, go_on, heard }
    }

    async fn plain() -> Self {
        Self::start(Socket::Tcp).await
    }

    async fn heard(&mut self) -> Delivery {
        timeout(PATIENCE, self.heard.recv()).await.expect("in time").expect("a word")
    }

    /// A client that has asked, and whose request has begun.
    async fn asking(&self) -> TcpStream {
        self.asking_with(&get_request("/")).await
    }

    async fn asking_with(&self, request: &str) -> TcpStream {
        let mut client = self.host.connect().await;
        client.write_all(request.as_bytes()).await.expect("written");
        self.begun.notified().await;
        client
    }
}

fn told(response: Response, tell: mpsc::Sender<Delivery>) -> Response {
    watch(response, move |delivery| tell.try_send(delivery).expect("room"))
}

/// Closes it with a reset instead of an end.
fn reset(client: TcpStream) {
    let client = client.into_std().expect("registered");
    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).expect("a socket");
    drop(client);
}

#[tokio::test]
async fn a_till_that_asks_again_on_its_connection_had_its_answer() {
    let mut watched = Watched::plain().await;
    let mut client = watched.asking().await;
    watched.go_on.notify_one();
    assert!(answer(&mut client).await.ends_with("the answer"));
    assert!(watched.heard.try_recv().is_err(), "it may be reset yet");
    assert!(ask(&mut client, &get_request("/plain")).await.ends_with("unwatched"));
    assert_eq!(watched.heard().await, Delivered);
}

#[tokio::test]
async fn a_till_that_closes_after_its_answer_had_it() {
    let mut watched = Watched::plain().await;
    let mut client = watched.asking().await;
    watched.go_on.notify_one();
    assert!(answer(&mut client).await.ends_with("the answer"));
    drop(client);
    assert_eq!(watched.heard().await, Delivered);
}

#[tokio::test]
async fn a_till_that_lets_the_gateway_close_had_its_answer() {
    let mut watched = Watched::plain().await;
    let mut client = watched.host.connect().await;
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .expect("written");
    watched.go_on.notify_one();
    let mut all = String::new();
    client.read_to_string(&mut all).await.expect("an answer and its end");
    assert!(all.ends_with("the answer"), "{all}");
    drop(client);
    assert_eq!(watched.heard().await, Delivered);
}

#[tokio::test]
async fn a_half_closed_connection_that_reads_its_answer_had_it() {
    let mut watched = Watched::plain().await;
    let client = watched.asking().await.into_std().expect("registered");
    client.shutdown(Shutdown::Write).expect("half closed");
    let mut client = TcpStream::from_std(client).expect("registered");
    watched.go_on.notify_one();
    let mut all = String::new();
    client.read_to_string(&mut all).await.expect("an answer and its end");
    assert!(all.ends_with("the answer"), "{all}");
    assert_eq!(watched.heard().await, Delivered);
}

#[tokio::test]
async fn a_till_that_hung_up_before_its_answer_had_none() {
    let mut watched = Watched::plain().await;
    drop(watched.asking().await);
    watched.go_on.notify_one();
    assert_eq!(watched.heard().await, Undelivered);
}

/// Java's own client offers HTTP/2 with each request, and hyper makes no end of its connections.
#[tokio::test]
async fn a_till_that_offers_another_protocol_and_hung_up_before_its_answer_had_none() {
    let mut watched = Watched::plain().await;
    let offer =
        "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAA\r\n";
    let client = watched
        .asking_with(&get_request("/").replace("\r\n\r\n", &format!("\r\n{offer}\r\n")))
        .await;
    drop(client);
    watched.go_on.notify_one();
    assert_eq!(watched.heard().await, Undelivered);
}

#[tokio::test]
async fn a_till_that_reset_its_connection_before_its_answer_had_none() {
    let mut watched = Watched::plain().await;
    reset(watched.asking().await);
    watched.go_on.notify_one();
    assert_eq!(watched.heard().await, Undelivered);
}

#[tokio::test]
async fn a_till_that_left_its_answer_unread_and_closed_had_none() {
    let mut watched = Watched::plain().await;
    let client = watched.asking().await;
    watched.go_on.notify_one();
    client.readable().await.expect("the answer is there");
    drop(client);
    assert_eq!(watched.heard().await, Undelivered);
}

/// The same in TLS.
async fn secure() -> (Watched, Made, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let (files, made) = (files(&folder), made());
    install(&files, &made);
    let certificate = Certificate::open("intake.tls", &files).expect("good files");
    let watched = Watched::start(move |listener| Socket::Tls(listener, certificate)).await;
    (watched, made, folder)
}

#[tokio::test]
async fn in_tls_an_answer_that_was_read_is_delivered_however_the_till_leaves() {
    for orderly in [true, false] {
        let (mut watched, made, _folder) = secure().await;
        let mut client = connect(&watched.host, &made).await.expect("TLS");
        client.write_all(get_request("/").as_bytes()).await.expect("written");
        watched.begun.notified().await;
        watched.go_on.notify_one();
        assert!(answer(&mut client).await.ends_with("the answer"));
        if orderly {
            client.shutdown().await.expect("a farewell");
        }
        drop(client);
        assert_eq!(watched.heard().await, Delivered, "orderly: {orderly}");
    }
}

#[tokio::test]
async fn in_tls_a_till_that_hung_up_before_its_answer_had_none() {
    for orderly in [true, false] {
        let (mut watched, made, _folder) = secure().await;
        let mut client = connect(&watched.host, &made).await.expect("TLS");
        client.write_all(get_request("/").as_bytes()).await.expect("written");
        watched.begun.notified().await;
        if orderly {
            client.shutdown().await.expect("a farewell");
        }
        drop(client);
        watched.go_on.notify_one();
        assert_eq!(watched.heard().await, Undelivered, "orderly: {orderly}");
    }
}

/// How a till leaves TLS without having read its answer.
#[derive(Clone, Copy, Debug)]
enum Leaves {
    Resets,
    Closes,
    /// The end of its stream comes first, as where it crossed the answer.
    EndsThenCloses,
}

#[tokio::test]
async fn in_tls_a_till_that_left_its_answer_unread_had_none_however_it_leaves() {
    for leaves in [Leaves::Resets, Leaves::Closes, Leaves::EndsThenCloses] {
        let (mut watched, made, _folder) = secure().await;
        let mut client = connect(&watched.host, &made).await.expect("TLS");
        // What comes behind the handshake is read, so that the next thing to come is the answer.
        assert!(ask(&mut client, &get_request("/plain")).await.ends_with("unwatched"));
        client.write_all(get_request("/").as_bytes()).await.expect("written");
        watched.begun.notified().await;
        watched.go_on.notify_one();
        let (stream, _) = client.into_inner();
        stream.readable().await.expect("the answer is there");
        let stream = stream.into_std().expect("registered");
        match leaves {
            Leaves::Resets => {
                rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))
                    .expect("a socket");
            }
            Leaves::Closes => {}
            Leaves::EndsThenCloses => {
                stream.shutdown(Shutdown::Write).expect("half closed");
                assert!(!comes(watched.heard.recv()).await, "it may be reset yet");
            }
        }
        drop(stream);
        assert_eq!(watched.heard().await, Undelivered, "{leaves:?}");
    }
}

#[tokio::test]
async fn in_tls_a_till_that_said_farewell_and_reads_its_answer_had_it() {
    let (mut watched, made, _folder) = secure().await;
    let mut client = connect(&watched.host, &made).await.expect("TLS");
    client.write_all(get_request("/").as_bytes()).await.expect("written");
    watched.begun.notified().await;
    client.shutdown().await.expect("a farewell");
    watched.go_on.notify_one();
    assert!(answer(&mut client).await.ends_with("the answer"));
    assert_eq!(watched.heard().await, Delivered);
}
