//! Bodies that are too long, too slow or never end.

use redeemd::listen::Bounds;
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};

use crate::support::{BODY_BYTES_MAX, Host, answer, ask, get_request, is_closed};

fn post(path: &str, headers: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n{body}")
}

#[tokio::test]
async fn a_body_at_its_limit_is_read_and_one_byte_more_is_not() {
    let host = Host::plain(Bounds::default()).await;
    let mut client = host.connect().await;
    for (length, status) in [(BODY_BYTES_MAX, "200"), (BODY_BYTES_MAX + 1, "400"), (0, "200")] {
        let request = post("/body", &format!("content-length: {length}\r\n"), &"x".repeat(length));
        let told = ask(&mut client, &request).await;
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{length}: {told}");
    }
}

#[tokio::test]
async fn a_chunked_body_is_measured_as_it_comes() {
    let host = Host::plain(Bounds::default()).await;
    let mut client = host.connect().await;
    let chunk = format!("200\r\n{}\r\n", "x".repeat(512));
    let told = ask(
        &mut client,
        &post("/body", "transfer-encoding: chunked\r\n", &format!("{chunk}{chunk}0\r\n\r\n")),
    )
    .await;
    assert!(told.ends_with("1024"), "{told}");
    let request =
        post("/body", "transfer-encoding: chunked\r\n", &format!("{chunk}{chunk}{chunk}0\r\n\r\n"));
    assert!(ask(&mut client, &request).await.ends_with("the body is longer than 1024 bytes"));
}

#[tokio::test]
async fn who_sends_far_too_much_still_hears_the_answer_and_can_go_on() {
    let host = Host::plain(Bounds::default()).await;
    let mut client = host.connect().await;
    let length = 900 * 1024;
    for (path, status) in [("/body", "400"), ("/refuse", "401")] {
        // All of it is written before a byte is read, as simple clients do.
        let request = post(path, &format!("content-length: {length}\r\n"), &"x".repeat(length));
        let told = ask(&mut client, &request).await;
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{told}");
    }
    assert!(ask(&mut client, &get_request("/")).await.ends_with("here"));
}

#[tokio::test]
async fn who_waits_for_our_go_is_refused_before_sending() {
    let host = Host::plain(Bounds::default()).await;
    let mut client = host.connect().await;
    let told =
        ask(&mut client, &post("/body", "content-length: 5000\r\nexpect: 100-continue\r\n", ""))
            .await;
    assert!(told.starts_with("HTTP/1.1 400 "), "{told}");
}

#[tokio::test]
async fn a_body_that_trickles_is_given_up_and_others_are_served_meanwhile() {
    let host = Host::plain(Bounds::default()).await;
    let mut slow = host.connect().await;
    slow.write_all(post("/body", "content-length: 10\r\n", "x").as_bytes()).await.expect("written");
    assert!(ask(&mut host.connect().await, &get_request("/")).await.ends_with("here"));
    assert!(answer(&mut slow).await.ends_with("the body did not arrive within 0 s"));
    assert!(is_closed(&mut slow).await);
}

#[tokio::test]
async fn a_chunked_body_that_never_ends_is_cut_off() {
    let host = Host::plain(Bounds::default()).await;
    let (mut reader, mut writer) = split(host.connect().await);
    let head = post("/body", "transfer-encoding: chunked\r\n", "");
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    let endless = async {
        writer.write_all(head.as_bytes()).await?;
        let mut sent = 0_usize;
        loop {
            writer.write_all(chunk.as_bytes()).await?;
            sent += chunk.len();
            // The kernel's buffers hold some of it; a listener that went on reading would come past
            // any bound.
            assert!(sent < 64 * 1024 * 1024, "it is read for ever");
        }
    };
    let ended: std::io::Result<()> = endless.await;
    assert!(ended.is_err());
    let mut rest = Vec::new();
    // Whether the answer survives the reset is the network's affair; that the connection ends is
    // ours.
    let _either = reader.read_to_end(&mut rest).await;
    assert!(ask(&mut host.connect().await, &get_request("/")).await.ends_with("here"));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let host = Host::plain(Bounds::default()).await;
    let mut client = host.connect().await;
    let told = ask(&mut client, &post("/body", "transfer-encoding: chunked\r\n", "zz\r\n")).await;
    assert!(told.ends_with("the body broke off"), "{told}");
}
