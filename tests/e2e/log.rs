//! The log as the machine's other programs leave it: a reader that reads nothing.

use crate::harness::{Gateway, Provider, until};

/// Becomes the daemon with a pipe as standard error that nobody ever reads; its own end keeps it
/// open.
const UNREAD_PIPE: &str = r#"mkfifo "$0" && exec 3<>"$0" && exec "$@" 2>&3"#;

/// More lines than a pipe and the daemon's own queue hold.
const REDEMPTIONS: usize = 3000;

#[test]
fn with_standard_error_a_pipe_that_nobody_reads_tills_are_served_and_sigterm_is_obeyed() {
    let provider = Provider::start();
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("stderr");
    let mut gateway = Gateway::with()
        .lane("main", &provider, "")
        .environment("REDEEMD_LOG", "debug")
        .wrapper(&["sh", "-c", UNREAD_PIPE, pipe.to_str().unwrap()])
        .start();
    let till = gateway.till("");
    for n in 0..REDEMPTIONS {
        assert_eq!(till.redeem(&format!("LOG-{n}")).status, 200, "{n}");
    }
    assert_eq!(gateway.log(), "", "nobody reads it");
    assert!(gateway.terminate().success());
}

#[test]
fn at_debug_there_is_a_line_for_each_request_of_a_till_whatever_its_answer() {
    let provider = Provider::start();
    let mut gateway = Gateway::with()
        .lane("main", &provider, "")
        .till("till-1", "token-1")
        .environment("REDEEMD_LOG", "debug")
        .start();
    let (till, stranger) = (gateway.till("till-1"), gateway.stranger(None));
    assert_eq!(till.send("POST", "/redeem", &[], b"{").status, 400);
    assert_eq!(till.send("GET", "/SECRET-CODE", &[], b"").status, 404);
    assert_eq!(till.send("GET", "/redemptions/7-abc", &[], b"").status, 404);
    assert_eq!(till.send("DELETE", "/redemptions/7-abc", &[], b"").status, 404);
    assert_eq!(stranger.send("POST", "/redeem", &[], b"{}").status, 401);
    for line in [
        "POST /redeem of till-1 was answered 400",
        "GET an unknown path of till-1 was answered 404",
        "GET /redemptions/ID of till-1 was answered 404",
        "DELETE /redemptions/ID of till-1 was answered 404",
        "POST /redeem of nobody was answered 401",
    ] {
        until(line, || gateway.log().contains(line));
    }
    assert!(!gateway.log().contains("SECRET-CODE"));
}
