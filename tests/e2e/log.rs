//! The log as the machine's other programs leave it: a reader that reads nothing.

use crate::harness::{Gateway, Provider};

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
