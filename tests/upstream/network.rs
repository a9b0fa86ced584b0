//! Network events of a real kernel, in a network namespace of the test's own.

use std::process::Command;
use std::time::Duration;

use redeemd::network::{self, Watch};

use crate::comes;

/// What the kernel has said is told at the latest after so long.
const TOLD_WITHIN: Duration = Duration::from_millis(1500);
/// Set by the outer test for the inner one.
const INSIDE: &str = "REDEEMD_TEST_OWN_NETWORK";

/// The links of this namespace are not the machine's: `unshare` gives the inner test new ones,
/// without being root.
#[test]
fn the_kernels_changes_are_seen_once_and_others_are_not() {
    let available = Command::new("unshare")
        .args(["-rn", "ip", "link", "add", "name", "probe0", "type", "veth"])
        .status();
    if !available.is_ok_and(|status| status.success()) {
        let why = "network namespaces with veth cannot be had here";
        assert!(std::env::var("REDEEMD_SKIP").as_deref() != Ok("never"), "cannot run here: {why}");
        return println!("SKIPPED: {why}");
    }
    let output = Command::new("unshare")
        .arg("-rn")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "network::inside_its_own_network", "--ignored", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}{stderr}");
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

async fn is_seen(watch: &mut Watch, within_ms: u64) -> bool {
    tokio::time::timeout(Duration::from_millis(within_ms), watch.changed()).await.is_ok()
}

/// Until nothing has come for so long that nothing more is on its way.
async fn settle(watch: &mut Watch) {
    while is_seen(watch, 1300).await {}
}

#[tokio::test]
#[ignore = "the_kernels_changes_are_seen_once_and_others_are_not runs it in a network of its own"]
async fn inside_its_own_network() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    let mut watch = network::watch().unwrap();
    assert!(!comes(TOLD_WITHIN, watch.changed()).await, "nothing has happened yet");
    let started = tokio::time::Instant::now();
    ip("link add wan0 type veth peer name hq0");
    assert!(is_seen(&mut watch, 200).await, "the first of a burst at once");
    // Without IPv6's own addresses, which come seconds later.
    ip("link set wan0 addrgenmode none");
    ip("link set hq0 addrgenmode none");
    ip("link set wan0 up");
    ip("link set hq0 up");
    ip("addr add 10.9.0.2/24 dev wan0");
    assert!(is_seen(&mut watch, 3000).await);
    assert!(started.elapsed() >= Duration::from_secs(1), "and then one a second at most");
    settle(&mut watch).await;
    ip("route add default via 10.9.0.1");
    assert!(is_seen(&mut watch, 200).await, "a default route");
    ip("route replace default via 10.9.0.3");
    assert!(is_seen(&mut watch, 1500).await, "another in its place");
    settle(&mut watch).await;
    ip("addr replace 10.9.0.2/24 dev wan0 valid_lft 1000 preferred_lft 1000");
    settle(&mut watch).await;
    ip("addr replace 10.9.0.2/24 dev wan0 valid_lft 900 preferred_lft 900");
    ip("route add 10.77.0.0/16 via 10.9.0.1");
    ip("neigh add 10.9.0.9 lladdr 02:00:00:00:00:09 dev wan0");
    let told = comes(TOLD_WITHIN, watch.changed()).await;
    assert!(!told, "a renewed lease, a route to somewhere, a neighbour");
    ip("link set hq0 down");
    assert!(is_seen(&mut watch, 1500).await, "the carrier");
}
