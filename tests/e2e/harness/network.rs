//! A network of a test's own: the store in one namespace, the provider behind two lines in another.
//! Needs root.
//!
//! The namespaces have no names: they end with the processes in them, and nothing is left behind.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::disk::skipped;
use super::eventually;
use super::process::{binary, within_command};
use super::provider::Provider;

/// Set in the process that is in the store's namespace already.
const INSIDE: &str = "REDEEMD_TEST_IN_NETWORK";

/// The provider's address, behind both lines.
pub(crate) const PROVIDER: &str = "10.9.9.9";
const PORT: u16 = 7799;

/// The two namespaces and what connects them: `wan0` and `lte0` are the store's lines, `hq0` and
/// `hq1` the far ends.
pub(crate) struct Network {
    /// Keeps the provider's namespace.
    holder: Child,
}

/// Set where these tests are not to be run although root runs the others.
const WITHOUT: &str = "REDEEMD_TEST_WITHOUT_NETWORKS";

/// Runs the test of this name (its whole path) in a process that has a network and mounts of its
/// own. Others than root cannot have that: for them it says so and shows nothing. For root it is a
/// failure, unless it was asked for.
pub(crate) fn in_a_network_of_its_own(name: &str, test: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    let asked_for = std::env::var_os(WITHOUT).is_some() || !rustix::process::geteuid().is_root();
    if let Err(why) = possible() {
        assert!(asked_for, "{name} cannot be tested: {why}; {WITHOUT}=1 leaves it out");
        return skipped(&format!("{name}: {why}"));
    }
    let status = Command::new("unshare")
        .args(["--net", "--mount", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{name} within its network: {status}");
}

/// Whether namespaces, interfaces and filters can be made here.
fn possible() -> Result<(), String> {
    for tool in ["unshare", "nsenter", "ip", "nft"] {
        let found = std::env::var("PATH")
            .unwrap_or_default()
            .split(':')
            .any(|dir| Path::new(dir).join(tool).exists());
        if !found {
            return Err(format!("{tool} is not installed"));
        }
    }
    let script = "ip link add veth0 type veth peer name veth1 && nft add table inet t";
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--", "sh", "-c", script])
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "this needs root and a kernel with veth and nftables: {}",
        String::from_utf8_lossy(&output.stderr)
    ))
}

impl Network {
    /// Both lines up, the default route over `wan0`.
    pub(crate) fn new() -> Self {
        let holder = Command::new("unshare")
            .args(["--net", "--", "sleep", "600"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let network = Self { holder };
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        let theirs = format!("/proc/{}/ns/net", network.holder.id());
        eventually("the provider has a namespace", || {
            std::fs::read_link(&theirs).ok().filter(|theirs| *theirs != own)
        });
        network.store("ip link set lo up");
        network.far("ip link set lo up");
        for (near, far, net) in [("ctl0", "ctl1", 6), ("wan0", "hq0", 7), ("lte0", "hq1", 8)] {
            network.store(&format!(
                "ip link add {near} type veth peer name {far} netns {}",
                network.holder.id()
            ));
            network.far(&format!("ip addr add 10.{net}.0.1/24 dev {far} && ip link set {far} up"));
            network
                .store(&format!("ip addr add 10.{net}.0.2/24 dev {near} && ip link set {near} up"));
        }
        network.far(&format!("ip addr add {PROVIDER}/32 dev lo"));
        network.store("ip route add default via 10.7.0.1 dev wan0");
        network
    }

    /// Runs a line of shell at the store's end.
    #[allow(clippy::unused_self, reason = "there is no store's end without a network")]
    pub(crate) fn store(&self, script: &str) {
        run(Command::new("sh").args(["-c", script]), script);
    }

    /// Runs a line of shell at the provider's end.
    pub(crate) fn far(&self, script: &str) {
        run(self.enter().args(["sh", "-c", script]), script);
    }

    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder.id().to_string(), "-n", "--"]);
        command
    }

    /// The provider at its end, on every address; its control is reached over a line that nothing
    /// happens to.
    pub(crate) fn provider(&self, args: &[&str]) -> Provider {
        let mut command = self.enter();
        command.arg(binary());
        let fixed = ["--listen", &format!("0.0.0.0:{PORT}"), "--control", "10.6.0.1:7736"];
        Provider::run(within_command(command, "sandbox"), &[fixed.as_slice(), args].concat())
    }

    /// What arrives over both lines and fits `which` is silently lost.
    pub(crate) fn lose(&self, which: &str) {
        self.far(&format!(
            "nft 'add table inet outage; add chain inet outage input {{ type filter hook input \
             priority 0; }}; add rule inet outage input {which} drop'"
        ));
    }

    /// Nothing is lost any more.
    pub(crate) fn lose_nothing(&self) {
        self.far("nft delete table inet outage");
    }
}

fn run(command: &mut Command, script: &str) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The URL of Redeem at a host.
pub(crate) fn redeem_url(scheme: &str, host: &str) -> String {
    format!("{scheme}://{host}:{PORT}/redeem")
}

impl Drop for Network {
    fn drop(&mut self) {
        // A holder that is gone already is as good.
        self.holder.kill().unwrap_or_default();
        self.holder.wait().map(drop).unwrap_or_default();
    }
}
