//! The ordered stop.

use std::time::{Duration, Instant};

use redeemd::listen::Bounds;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Host, answer, ask, get_request, is_closed};

#[tokio::test]
async fn a_request_under_way_is_answered_and_idle_ones_are_closed() {
    let mut host = Host::plain(Bounds::default()).await;
    let (mut idle, mut silent, mut asking) =
        (host.connect().await, host.connect().await, host.connect().await);
    ask(&mut idle, &get_request("/")).await;
    asking.write_all(get_request("/gate").as_bytes()).await.expect("written");
    host.begun.notified().await;
    host.stop.send_replace(true);
    assert!(is_closed(&mut idle).await && is_closed(&mut silent).await);
    assert!(TcpStream::connect(host.addr).await.is_err(), "nothing is accepted any more");
    assert!(host.tasks.try_join_next().is_none(), "it waits for the request");
    host.gate.notify_one();
    let told = answer(&mut asking).await;
    assert!(
        told.ends_with("through") && told.to_ascii_lowercase().contains("connection: close"),
        "{told}"
    );
    host.ended().await;
}

/// A till that has just connected asks a moment later.
#[tokio::test]
async fn a_request_on_its_way_over_a_new_connection_is_answered() {
    for begun in ["", "GET / HT"] {
        let mut host = Host::plain(Bounds::default()).await;
        let mut till = host.connect().await;
        till.write_all(begun.as_bytes()).await.expect("written");
        // Connections are accepted in their order, so this answer shows that the till's is.
        ask(&mut host.connect().await, &get_request("/")).await;
        host.stop.send_replace(true);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let told = ask(&mut till, &get_request("/")[begun.len()..]).await;
        assert!(told.ends_with("here"), "after {begun:?}: {told:?}");
        assert!(told.to_ascii_lowercase().contains("connection: close"), "{told}");
        assert!(is_closed(&mut till).await);
        host.ended().await;
    }
}

/// On a connection that stays, half of the next header has come.
#[tokio::test]
async fn a_request_whose_header_has_half_come_on_a_kept_connection_is_answered() {
    let mut host = Host::plain(Bounds::default()).await;
    let mut till = host.connect().await;
    let (begun, rest) = ("GET / HT", &get_request("/")["GET / HT".len()..]);
    for _ in 0..2 {
        ask(&mut till, &get_request("/")).await;
    }
    till.write_all(begun.as_bytes()).await.expect("written");
    // What has come is read by the time that another is answered.
    ask(&mut host.connect().await, &get_request("/")).await;
    host.stop.send_replace(true);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let told = ask(&mut till, rest).await;
    assert!(told.ends_with("here"), "{told:?}");
    assert!(told.to_ascii_lowercase().contains("connection: close"), "{told}");
    host.ended().await;
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_off_at_the_bound() {
    let bounds = Bounds { stop_within: Duration::from_millis(400), ..Bounds::default() };
    let mut host = Host::plain(bounds).await;
    let mut asking = host.connect().await;
    asking.write_all(get_request("/gate").as_bytes()).await.expect("written");
    host.begun.notified().await;
    let begun = Instant::now();
    host.stop.send_replace(true);
    host.ended().await;
    assert!(begun.elapsed() >= bounds.stop_within);
    assert!(is_closed(&mut asking).await);
}

#[tokio::test]
async fn a_header_that_trickles_does_not_hold_up_the_stop() {
    let mut host = Host::plain(Bounds::default()).await;
    let mut slow = host.connect().await;
    slow.write_all(b"GET / HT").await.expect("written");
    // Connections are accepted in their order, so this answer shows that the slow one is.
    ask(&mut host.connect().await, &get_request("/")).await;
    let begun = Instant::now();
    host.stop.send_replace(true);
    host.ended().await;
    assert!(begun.elapsed() < Duration::from_secs(4), "it is not a request yet");
}

#[tokio::test]
async fn it_stops_when_nobody_is_left_to_say_so() {
    let Host { stop, mut tasks, .. } = Host::plain(Bounds::default()).await;
    drop(stop);
    tasks.join_next().await.expect("its task").expect("no panic");
}
