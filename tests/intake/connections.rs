//! How many connections there are, and how long each may wait for its header.

use std::time::Duration;

use redeemd::listen::Bounds;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{Host, PATIENCE, answer, ask, comes, get_request, is_closed, router};

fn raise_the_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .expect("allowed");
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let host = Host::plain(Bounds::default()).await;
    let mut client = host.connect().await;
    for _ in 0..3 {
        assert!(ask(&mut client, &get_request("/")).await.ends_with("here"));
    }
}

#[tokio::test]
async fn a_header_that_trickles_is_told_so_and_others_are_served_meanwhile() {
    let host =
        Host::plain(Bounds { header_within: Duration::from_millis(200), ..Bounds::default() })
            .await;
    let mut slow = host.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\nx-slow").await.expect("written");
    let mut other = host.connect().await;
    assert!(ask(&mut other, &get_request("/")).await.starts_with("HTTP/1.1 200"));
    // It trickles on, each byte well within the time: all of the header has to come within it.
    for _ in 0..15 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if slow.write_all(b"w").await.is_err() {
            break;
        }
    }
    let told = tokio::time::timeout(Duration::from_millis(100), answer(&mut slow)).await;
    let told = told.expect("it is ended although it trickles");
    assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
    let body = r#"{"data":[],"message":"the request's header did not arrive in time","errors":[]}"#;
    assert!(told.ends_with(body), "{told}");
    assert!(is_closed(&mut slow).await);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_header_holds_up_nobody() {
    let host = Host::plain(Bounds { connections_max: 1, ..Bounds::default() }).await;
    for resets in [false, true] {
        let mut leaves = host.connect().await;
        leaves.write_all(b"GET / HTTP/1.1\r\nx-half").await.expect("written");
        let leaves = leaves.into_std().expect("registered");
        if resets {
            rustix::net::sockopt::set_socket_linger(&leaves, Some(Duration::ZERO))
                .expect("a socket");
        }
        drop(leaves);
        let mut other = host.connect().await;
        assert!(ask(&mut other, &get_request("/")).await.ends_with("here"), "resets: {resets}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let host =
        Host::plain(Bounds { header_within: Duration::from_millis(100), ..Bounds::default() })
            .await;
    let mut client = host.connect().await;
    assert!(is_closed(&mut client).await);
    let mut client = host.connect().await;
    ask(&mut client, &get_request("/")).await;
    assert!(is_closed(&mut client).await);
}

#[tokio::test]
async fn a_header_that_is_too_large_is_refused() {
    let host = Host::plain(Bounds::default()).await;
    let mut client = host.connect().await;
    let head = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(17 * 1024));
    let told = ask(&mut client, &head).await;
    assert!(told.starts_with("HTTP/1.1 431 ") && told.ends_with("\r\n\r\n"), "no body: {told}");
}

#[tokio::test]
async fn with_1024_connections_the_one_that_waited_longest_makes_room() {
    raise_the_file_limit();
    // Trickling, idle and silent ones alike; none may be closed by the clock here.
    let host = Host::plain(Bounds {
        header_within: Duration::from_mins(10),
        strangers_max: 1024,
        strangers_of_source_max: 1024,
        ..Bounds::default()
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..1024 {
        clients.push(host.connect().await);
    }
    // Its answer shows that all have been accepted; it is the one that began to wait last.
    let last = clients.len() - 1;
    assert!(ask(&mut clients[last], &get_request("/")).await.ends_with("here"));
    clients[0].write_all(b"GET / HT").await.expect("written");
    assert!(ask(&mut clients[1], &get_request("/")).await.ends_with("here"));
    for _ in 0..2 {
        let mut late = host.connect().await;
        assert!(ask(&mut late, &get_request("/")).await.ends_with("here"));
        clients.push(late);
    }
    assert!(is_closed(&mut clients[0]).await, "it waited longest");
    assert!(is_closed(&mut clients[2]).await, "it waited longest after that");
    for index in [1, 3, 1023, 1024, 1025] {
        assert!(ask(&mut clients[index], &get_request("/")).await.ends_with("here"), "{index}");
    }
}

#[tokio::test]
async fn when_all_are_in_a_request_a_new_one_waits_for_its_turn() {
    let host = Host::plain(Bounds { connections_max: 2, ..Bounds::default() }).await;
    let (mut one, mut two) = (host.connect().await, host.connect().await);
    for client in [&mut one, &mut two] {
        client.write_all(get_request("/gate").as_bytes()).await.expect("written");
        host.begun.notified().await;
    }
    let mut three = host.connect().await;
    three.write_all(get_request("/gate").as_bytes()).await.expect("written");
    assert!(!comes(host.begun.notified()).await, "there is no place for the third");
    host.gate.notify_one();
    timeout(PATIENCE, host.begun.notified()).await.expect("the first one's place is free");
    host.gate.notify_one();
    host.gate.notify_one();
    let answered = tokio::select! {
        text = answer(&mut one) => text,
        text = answer(&mut two) => text,
    };
    assert!(answered.ends_with("through"));
}

#[tokio::test]
async fn a_client_that_hangs_up_gives_its_place_back_once_what_it_asked_is_decided() {
    let host = Host::plain(Bounds { connections_max: 1, ..Bounds::default() }).await;
    let mut one = host.connect().await;
    one.write_all(get_request("/gate").as_bytes()).await.expect("written");
    host.begun.notified().await;
    drop(one);
    host.gate.notify_one();
    assert!(ask(&mut host.connect().await, &get_request("/")).await.ends_with("here"));
}

#[tokio::test]
async fn a_request_knows_who_asks() {
    let host = Host::plain(Bounds::default()).await;
    let mut client = host.connect().await;
    let addr = client.local_addr().expect("known");
    let told = ask(&mut client, &get_request("/peer")).await;
    assert!(told.ends_with(&format!("Peer {{ uid: None, addr: Some({addr}) }}")), "{told}");

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).expect("a socket");
    let (_stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let socket = redeemd::listen::Socket::Unix(listener);
    tasks.spawn(redeemd::listen::serve(
        vec![socket],
        router(&host.gate, &host.begun),
        Bounds::default(),
        stopped,
    ));
    let mut client = UnixStream::connect(&path).await.expect("a connection");
    let uid = rustix::process::getuid().as_raw();
    let told = ask(&mut client, &get_request("/peer")).await;
    assert!(told.ends_with(&format!("Peer {{ uid: Some({uid}), addr: None }}")), "{told}");
}

#[tokio::test]
async fn several_sockets_are_served_under_one_bound() {
    let sockets = ["127.0.0.1:0", "[::1]:0"]
        .map(|address| std::net::TcpListener::bind(address).expect("a port"));
    let addresses = sockets.each_ref().map(|socket| socket.local_addr().expect("its number"));
    let sockets = sockets.map(|socket| {
        socket.set_nonblocking(true).expect("a socket");
        redeemd::listen::Socket::Tcp(tokio::net::TcpListener::from_std(socket).expect("a port"))
    });
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let bounds = Bounds { connections_max: 1, ..Bounds::default() };
    let router = router(&std::sync::Arc::default(), &std::sync::Arc::default());
    tasks.spawn(redeemd::listen::serve(sockets.into(), router, bounds, stopped));
    let mut first = TcpStream::connect(addresses[0]).await.expect("a connection");
    assert!(ask(&mut first, &get_request("/")).await.ends_with("here"));
    let mut second = TcpStream::connect(addresses[1]).await.expect("a connection");
    assert!(ask(&mut second, &get_request("/")).await.ends_with("here"));
    assert!(is_closed(&mut first).await, "both share one place");
    stop.send_replace(true);
    timeout(PATIENCE, tasks.join_next())
        .await
        .expect("in time")
        .expect("its task")
        .expect("no panic");
}

#[tokio::test]
async fn a_broken_request_ends_its_connection_alone() {
    let host = Host::plain(Bounds::default()).await;
    let mut client = host.connect().await;
    let told = ask(&mut client, "\0\0\0\r\n\r\n").await;
    assert!(told.starts_with("HTTP/1.1 400 ") && told.ends_with("\r\n\r\n"), "no body: {told}");
    let mut other: TcpStream = host.connect().await;
    assert!(ask(&mut other, &get_request("/")).await.ends_with("here"));
}
