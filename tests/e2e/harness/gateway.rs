//! The gateway: a real `redeemd run` on ports and a folder of its own.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use redeemd::store::Counts;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, redeemd};
use super::provider::Provider;
use super::till::{Reply, Till};
use super::witness::Witness;
use super::{eventually, moment, two_free_ports};

/// How often a start is tried again because somebody else took a port.
const PORT_RACES_MAX: usize = 5;

/// What is in the file `redeemd.toml`, before there are ports.
pub(crate) struct Builder {
    folder: TempDir,
    gateway: String,
    intake: String,
    also: Vec<SocketAddr>,
    offline: String,
    forward: String,
    lanes: Vec<String>,
    more: String,
    tills: Vec<(String, String)>,
    state: Option<PathBuf>,
    environment: Vec<(String, String)>,
    wrapper: Vec<String>,
}

/// A gateway, running or not; its folder goes with it.
pub(crate) struct Gateway {
    builder: Builder,
    process: Option<Process>,
    tills: SocketAddr,
    admin: SocketAddr,
}

impl Gateway {
    /// Settings for tests: quick retries, no spread.
    pub(crate) fn with() -> Builder {
        Builder {
            folder: tempfile::tempdir().unwrap(),
            gateway: String::new(),
            intake: "reply_within = \"900ms\"\n".to_owned(),
            also: Vec::new(),
            offline: String::new(),
            forward: "retry_min = \"100ms\"\nretry_max = \"250ms\"\nreconnect_spread = \"0s\"\n"
                .to_owned(),
            lanes: Vec::new(),
            more: String::new(),
            tills: Vec::new(),
            state: None,
            environment: Vec::new(),
            wrapper: Vec::new(),
        }
    }

    /// Settings of a gateway before `witness`.
    pub(crate) fn behind(witness: &Witness) -> Builder {
        Self::with().lane_at("main", &witness.redeem_url(), "")
    }

    /// A gateway before `provider`, without tills' tokens, ready.
    pub(crate) fn before(provider: &Provider) -> Self {
        Self::with().lane("main", provider, "").start()
    }
}

impl Builder {
    /// A lane of this name; `more` is further lines of its table.
    pub(crate) fn lane(self, name: &str, provider: &Provider, more: &str) -> Self {
        self.lane_to(name, &provider.redeem_url, &provider.check_url, more)
    }

    /// A lane to whatever is at these URLs.
    pub(crate) fn lane_to(self, name: &str, redeem_url: &str, check_url: &str, more: &str) -> Self {
        self.lane_at(name, redeem_url, &format!("check_url = \"{check_url}\"\n{more}"))
    }

    /// A lane of a provider at this address.
    pub(crate) fn lane_at(mut self, name: &str, redeem_url: &str, more: &str) -> Self {
        let token = self.write(&format!("{name}.token"), "provider-token");
        self.lanes.push(format!(
            "[[provider]]\nname = \"{name}\"\nredeem_url = \"{redeem_url}\"\ntoken_file \
             = \"{}\"\n{}{more}\n",
            token.display(),
            if more.contains("timeout") { "" } else { "timeout = \"3s\"\n" },
        ));
        self
    }

    /// A till with a token.
    pub(crate) fn till(mut self, name: &str, token: &str) -> Self {
        self.write(&format!("{name}.token"), token);
        self.tills.push((name.to_owned(), token.to_owned()));
        self
    }

    /// Further lines of `[gateway]`.
    pub(crate) fn gateway(mut self, lines: &str) -> Self {
        self.gateway = format!("{lines}\n");
        self
    }

    /// Lines of `[intake]` instead of the usual.
    pub(crate) fn intake(mut self, lines: &str) -> Self {
        self.intake = format!("{lines}\n");
        self
    }

    /// A further address for tills.
    pub(crate) fn also_listen(mut self, address: SocketAddr) -> Self {
        self.also.push(address);
        self
    }

    /// Lines of `[offline]`.
    pub(crate) fn offline(mut self, lines: &str) -> Self {
        self.offline = format!("{lines}\n");
        self
    }

    /// Lines of `[forward]` instead of the usual.
    pub(crate) fn forward(mut self, lines: &str) -> Self {
        self.forward = format!("{lines}\n");
        self
    }

    /// Whole sections at the file's end.
    pub(crate) fn more(mut self, sections: &str) -> Self {
        self.more = format!("{sections}\n");
        self
    }

    /// The state directory lies here instead of in the test's folder.
    pub(crate) fn state_in(mut self, dir: &Path) -> Self {
        self.state = Some(dir.to_owned());
        self
    }

    /// A variable of the daemon's environment.
    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.set_environment(name, value);
        self
    }

    /// A command that becomes the daemon: its words come before the daemon's own.
    pub(crate) fn wrapper(mut self, words: &[&str]) -> Self {
        self.wrapper = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Starts it, and is ready when this returns.
    pub(crate) fn start(self) -> Gateway {
        let mut gateway = self.stopped();
        gateway.start();
        gateway
    }

    /// A gateway that does not run yet.
    pub(crate) fn stopped(self) -> Gateway {
        let (tills, admin) = two_free_ports();
        Gateway { builder: self, process: None, tills, admin }
    }

    fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| self.folder.path().join("state"))
    }

    fn command(&self, settings: &Path) -> Command {
        let daemon = redeemd("run");
        let mut command = match self.wrapper.split_first() {
            None => daemon,
            Some((first, rest)) => wrapped(first, rest, &daemon),
        };
        command
            .arg("--config")
            .arg(settings)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn write_settings(&self, tills: SocketAddr, admin: SocketAddr) -> PathBuf {
        let state = self.state_dir();
        let addresses = std::iter::once(&tills).chain(&self.also);
        let listen: Vec<String> = addresses.map(|address| format!("\"{address}\"")).collect();
        let mut text = format!(
            "[gateway]\nname = \"test\"\nstate_dir = \"{}\"\n{}\n[intake]\nlisten = [{}]\n{}\n",
            state.display(),
            self.gateway,
            listen.join(", "),
            self.intake
        );
        for (name, _) in &self.tills {
            let token = self.folder.path().join(format!("{name}.token"));
            writeln!(
                text,
                "[[intake.till]]\nname = \"{name}\"\ntoken_file = \"{}\"\n",
                token.display()
            )
            .unwrap();
        }
        for lane in &self.lanes {
            text.push_str(lane);
        }
        let Self { offline, forward, more, .. } = self;
        // Tests ask for more in a second than a store's default limits give in an hour.
        let mut wide_limits = String::new();
        for wide in ["max_exposure = \"1000000000\"", "max_per_hour_per_till = 100000000"] {
            let key = wide.split(' ').next().unwrap();
            let own = offline.split("[[offline.rule]]").next().unwrap();
            if !own.lines().any(|line| line.starts_with(&format!("{key} "))) {
                writeln!(wide_limits, "{wide}").unwrap();
            }
        }
        write!(
            text,
            "[offline]\n{wide_limits}{offline}\n[forward]\n{forward}\n[admin]\nlisten \
             = \"{admin}\"\n\n{more}"
        )
        .unwrap();
        self.write("redeemd.toml", &text)
    }
}

impl Gateway {
    /// Starts it (again) on the same ports and folder, and is ready when this returns.
    pub(crate) fn start(&mut self) {
        for _ in 0..PORT_RACES_MAX {
            if self.try_start() {
                return;
            }
            // Only the first start may choose: tills know the ports of the later ones.
            (self.tills, self.admin) = two_free_ports();
        }
        panic!("no port could be had");
    }

    /// False if a port was taken by somebody else.
    fn try_start(&mut self) -> bool {
        assert!(self.process.is_none(), "it runs already");
        let settings = self.builder.write_settings(self.tills, self.admin);
        std::fs::create_dir_all(self.state_dir()).unwrap();
        let (mut process, _) = Process::start(self.builder.command(&settings), false);
        let admin = Till::new(self.admin, None);
        let ready = eventually("the gateway is ready", || match process.ended() {
            Some(status) => Some(Err(status)),
            None => admin.try_send("GET", "/readyz", &[], b"").ok().filter(serves).map(Ok),
        });
        match ready {
            Ok(_) => {
                self.process = Some(process);
                true
            }
            Err(status) => {
                let log = process.log();
                assert!(log.contains("in use"), "the gateway ended with {status}: {log}");
                false
            }
        }
    }

    /// Starts it and kills it so long after, ready or not.
    pub(crate) fn start_and_kill_after(&mut self, after: Duration) {
        assert!(self.process.is_none(), "it runs already");
        let settings = self.builder.write_settings(self.tills, self.admin);
        let (mut process, _) = Process::start(self.builder.command(&settings), false);
        moment(after);
        process.kill9();
    }

    /// Starts it on the folder as it is, and does not wait.
    pub(crate) fn launch(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let settings = self.builder.write_settings(self.tills, self.admin);
        self.process = Some(Process::start(self.builder.command(&settings), false).0);
    }

    /// Whether it says that it is ready.
    pub(crate) fn is_ready(&self) -> bool {
        self.operators().try_send("GET", "/readyz", &[], b"").is_ok_and(|reply| serves(&reply))
    }

    /// Starts it and returns when it has ended by itself: its exit status and all that it said.
    pub(crate) fn start_in_vain(&mut self) -> (ExitStatus, String) {
        let settings = self.builder.write_settings(self.tills, self.admin);
        let (mut process, _) = Process::start(self.builder.command(&settings), false);
        let status = eventually("the gateway refuses to start", || process.ended());
        (status, process.said())
    }

    /// Returns when it has ended by itself: its exit status and all that it said.
    pub(crate) fn wait_for_end(&mut self) -> (ExitStatus, String) {
        let process = self.process();
        let status = eventually("the gateway has ended by itself", || process.ended());
        let said = process.said();
        self.process = None;
        (status, said)
    }

    /// Whether it was started and neither stopped nor killed since.
    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.process().ended().is_some()
    }

    /// A variable of the daemon's environment from its next start on.
    pub(crate) fn set_environment(&mut self, name: &str, value: &str) {
        self.builder.set_environment(name, value);
    }

    /// Another wrapper from the next start on.
    pub(crate) fn set_wrapper(&mut self, words: &[&str]) {
        self.builder.wrapper = words.iter().map(|word| (*word).to_owned()).collect();
    }

    /// Other whole sections at the file's end, written now; a running daemon sees them when it
    /// reloads.
    pub(crate) fn rewrite(&mut self, sections: &str) {
        self.builder.more = format!("{sections}\n");
        self.builder.write_settings(self.tills, self.admin);
    }

    /// Takes a till out of the settings; a running daemon sees that when it reloads.
    pub(crate) fn remove_till(&mut self, name: &str) {
        self.builder.tills.retain(|(known, _)| known != name);
        self.builder.write_settings(self.tills, self.admin);
    }

    /// Takes the further addresses out of the settings; a running daemon sees that when it reloads.
    pub(crate) fn listen_at_one_alone(&mut self) {
        self.builder.also.clear();
        self.builder.write_settings(self.tills, self.admin);
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the gateway runs")
    }

    pub(crate) fn kill9(&mut self) {
        self.process().kill9();
        self.process = None;
    }

    /// SIGKILL, and does not wait: it may hang in a request to a disk without power.
    pub(crate) fn strike(&mut self) {
        if !self.has_ended() {
            self.process().signal(Signal::KILL);
        }
    }

    /// SIGTERM; its exit status.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let status = self.process().terminate();
        self.process = None;
        status
    }

    /// SIGKILL and a new start.
    pub(crate) fn restart(&mut self) {
        self.kill9();
        self.start();
    }

    /// SIGHUP, after the caller has changed files.
    pub(crate) fn reload(&mut self) {
        self.process().signal(Signal::HUP);
    }

    pub(crate) fn pid(&mut self) -> u32 {
        self.process().id()
    }

    /// What the running process has printed.
    pub(crate) fn log(&mut self) -> String {
        self.process().log()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.builder.folder.path()
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.builder.state_dir()
    }

    /// The till of this name, with its token; `till("")` has none.
    pub(crate) fn till(&self, name: &str) -> Till {
        let token = self
            .builder
            .tills
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, token)| token.as_str());
        assert!(token.is_some() || name.is_empty(), "no till is called {name}");
        Till::new(self.tills, token)
    }

    /// Where tills connect.
    pub(crate) fn tills(&self) -> SocketAddr {
        self.tills
    }

    /// Where operators are answered.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Somebody with another token, or none.
    pub(crate) fn stranger(&self, token: Option<&str>) -> Till {
        Till::new(self.tills, token)
    }

    /// Puts another token into a till's or lane's file.
    pub(crate) fn write_token(&self, name: &str, token: &str) {
        self.builder.write(&format!("{name}.token"), token);
    }

    /// A client of the operators' listener.
    pub(crate) fn operators(&self) -> Till {
        Till::new(self.admin, None)
    }

    /// A request to the operators' listener.
    pub(crate) fn admin(&self, method: &str, path: &str, body: &str) -> Reply {
        let json = [("content-type", "application/json")];
        Till::new(self.admin, None).send(
            method,
            path,
            if method == "POST" { &json } else { &[] },
            body.as_bytes(),
        )
    }

    pub(crate) fn status(&self) -> Value {
        let reply = self.admin("GET", "/api/v1/status", "");
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    /// The books, which balance at every look.
    pub(crate) fn counts(&self) -> Counts {
        let status = self.status();
        let counts: Counts = serde_json::from_value(status["counts"].clone()).unwrap();
        assert!(counts.balance(), "{counts:?}");
        counts
    }

    /// A lane as `status` shows it.
    pub(crate) fn lane(&self, name: &str) -> Value {
        let status = self.status();
        let lanes = status["lanes"].as_array().unwrap();
        lanes
            .iter()
            .find(|lane| lane["name"] == name)
            .unwrap_or_else(|| panic!("no lane {name} in {status}"))
            .clone()
    }

    /// Returns when the lane's link is so.
    pub(crate) fn wait_for_link(&self, lane: &str, link: &str) -> Value {
        eventually(&format!("lane {lane} is {link}"), || {
            Some(self.lane(lane)).filter(|lane| lane["link"] == link)
        })
    }

    /// Returns when the books satisfy `wanted`.
    pub(crate) fn wait_for_counts(&self, what: &str, wanted: impl Fn(&Counts) -> bool) -> Counts {
        let mut last = Counts::default();
        let look = || {
            last = self.counts();
            wanted(&last).then_some(last)
        };
        eventually(&format!("the books show {what}"), look)
    }

    /// Returns when so many more attempts of the lane have ended so.
    pub(crate) fn wait_for_attempts(&self, lane: &str, outcome: &str, more: u64) {
        let sample = format!("redeemd_attempts_total{{lane=\"{lane}\",outcome=\"{outcome}\"}} ");
        let ended = || {
            let metrics = self.operators().send("GET", "/metrics", &[], b"").body;
            let count = metrics.lines().find_map(|line| line.strip_prefix(&sample));
            count.map_or(0, |count| count.parse::<u64>().unwrap())
        };
        let before = ended();
        eventually(&format!("{more} more attempts end with {outcome}"), || {
            (ended() >= before + more).then_some(())
        });
    }

    /// Nothing is pending any more.
    pub(crate) fn wait_until_drained(&self) -> Counts {
        self.wait_for_counts("nothing pending", |counts| counts.pending == 0)
    }

    /// Every redemption in this state, or all with an empty one.
    pub(crate) fn list(&self, state: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        let mut after = String::new();
        loop {
            let state = if state.is_empty() { String::new() } else { format!("&state={state}") };
            let reply =
                self.admin("GET", &format!("/api/v1/redemptions?limit=500{state}{after}"), "");
            assert_eq!(reply.status, 200, "{reply:?}");
            let page = reply.json();
            all.extend(
                page["redemptions"].as_array().unwrap_or_else(|| panic!("{page}")).iter().cloned(),
            );
            match page["next"].as_i64() {
                Some(next) => after = format!("&after={next}"),
                None => return all,
            }
        }
    }
}

/// It listens, whether or not a redemption could be taken now.
fn serves(reply: &Reply) -> bool {
    reply.status == 200 || reply.body.contains("no redemption could be taken now")
}

/// `command` with the words of another before it; both share what they take out of the environment.
pub(crate) fn wrapped(first: &str, rest: &[String], command: &Command) -> Command {
    let mut outer = Command::new(first);
    outer.args(rest).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}
