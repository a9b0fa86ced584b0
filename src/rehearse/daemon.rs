//! The gateway that is rehearsed: this program's `run` as a child process, with settings of its
//! own.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::RehearseError;
use super::folder::{Folder, failed};
use crate::client::{Response, Target, call};
use crate::sandbox::RunningSandbox;
use crate::settings::{Loaded, Settings};

/// How long a start may take.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// Between two looks whether it is ready.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long an ordered stop may take before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// How often a start is tried again because somebody else took a port.
const PORT_RACES_MAX: u32 = 5;

/// How much of a log's end an error shows, in bytes.
const LOG_SHOWN_BYTES: usize = 4096;

/// The till's name in the rehearsal's books.
const TILL: &str = "rehearsal";

/// The lane's name in the rehearsal's books.
const LANE: &str = "sandbox";

/// The child, running or not, and how it is reached.
#[derive(Debug)]
pub(super) struct RehearsedDaemon {
    settings: PathBuf,
    log: PathBuf,
    till_token: String,
    redeem_path: String,
    tills: Target,
    admin: Target,
    child: Option<Child>,
}

/// The addresses of one try.
#[derive(Clone, Copy)]
struct Ports {
    tills: SocketAddr,
    admin: SocketAddr,
}

/// What the settings' file is made of.
struct Plan<'a> {
    given: &'a Settings,
    /// `[offline]` and its rules, as TOML.
    offline: &'a str,
    folder: &'a Path,
    provider: &'a RunningSandbox,
    till_token: PathBuf,
    provider_token: PathBuf,
}

impl RehearsedDaemon {
    /// Writes the settings and starts it, ready when this returns.
    pub(super) async fn start(
        given: &Loaded,
        folder: &Folder,
        provider: &RunningSandbox,
        provider_token: &str,
    ) -> Result<Self, RehearseError> {
        let till_token = random_token()?;
        let Loaded { settings: given, offline, .. } = given;
        let plan = Plan {
            given,
            offline,
            folder: folder.path(),
            provider,
            till_token: folder.write("till.token", &till_token)?,
            provider_token: folder.write("provider.token", provider_token)?,
        };
        let state = folder.path().join("state");
        std::fs::create_dir(&state).map_err(failed("cannot make", &state))?;
        for attempt in 1.. {
            let ports = Ports { tills: free_port()?, admin: free_port()? };
            let mut daemon = Self {
                settings: folder.write("redeemd.toml", &plan.toml(ports))?,
                log: folder.path().join("daemon.log"),
                till_token: till_token.clone(),
                redeem_path: given.intake.redeem_path.clone(),
                tills: Target::Tcp(ports.tills),
                admin: Target::Tcp(ports.admin),
                child: None,
            };
            match daemon.run().await {
                Err(RehearseError::Daemon { log, .. })
                    if attempt < PORT_RACES_MAX && log.contains("in use") => {}
                Err(error) => return Err(error),
                Ok(_) => return Ok(daemon),
            }
        }
        Err(RehearseError::Unexpected("no free port could be had".to_owned()))
    }

    /// Starts the process; how long it took until it was ready.
    pub(super) async fn run(&mut self) -> Result<Duration, RehearseError> {
        let began = Instant::now();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.map_err(failed("cannot write", &self.log))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("run").arg("--config").arg(&self.settings).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        for (name, _) in std::env::vars_os().filter(|(name, _)| would_reach_the_daemon(name)) {
            command.env_remove(name);
        }
        self.child = Some(command.spawn()?);
        while began.elapsed() < READY_WITHIN {
            if let Some(ended) = self.ended()? {
                return Err(self.failed(&format!("ended with {ended}")));
            }
            // Not `/readyz`: with the line cut and a limit used up nothing could be taken in, and
            // it says so.
            if matches!(self.admin("/livez").await, Ok(Response { status: 200, .. })) {
                return Ok(began.elapsed());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(self.failed("was not ready in time"))
    }

    fn ended(&mut self) -> Result<Option<std::process::ExitStatus>, RehearseError> {
        Ok(match &mut self.child {
            Some(child) => child.try_wait()?,
            None => None,
        })
    }

    fn failed(&self, what: &str) -> RehearseError {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let end = log.get(log.len().saturating_sub(LOG_SHOWN_BYTES)..).unwrap_or_default();
        RehearseError::Daemon {
            what: what.to_owned(),
            log: String::from_utf8_lossy(end).trim_end().to_owned(),
        }
    }

    /// SIGKILL: nothing is said to it and nothing is asked.
    pub(super) async fn kill(&mut self) -> Result<(), RehearseError> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// SIGTERM; its exit status is an error unless it is 0.
    pub(super) async fn stop(&mut self) -> Result<(), RehearseError> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let pid = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)
                .map_err(std::io::Error::from)?;
        }
        match tokio::time::timeout(STOP_WITHIN, child.wait()).await {
            Ok(status) if status.as_ref().is_ok_and(std::process::ExitStatus::success) => Ok(()),
            Ok(status) => Err(self.failed(&format!("ended with {} after SIGTERM", status?))),
            Err(_) => Err(self.failed("did not stop after SIGTERM")),
        }
    }

    /// A till's redemption of `code`.
    pub(super) async fn redeem(&self, code: &str) -> Result<Response, RehearseError> {
        let authorization = format!("Bearer {}", self.till_token);
        let now = crate::clock::Clock::system().stamp().unix_ms;
        let date: String = crate::clock::rfc3339(now)
            .chars()
            .take(19)
            .map(|c| if c == 'T' { ' ' } else { c })
            .collect();
        let order = serde_json::json!({ "reward_code": code, "business_refrence": "rehearsal",
            "branch_id": "rehearsal",
            "date": date, "timestamp": now.to_string() });
        let headers = [("authorization", authorization.as_str())];
        Ok(call(&self.tills, Method::POST, &self.redeem_path, &headers, order.to_string().into())
            .await?)
    }

    pub(super) async fn status(&self) -> Result<Value, RehearseError> {
        let answer = self.admin("/api/v1/status").await?;
        if answer.status != 200 {
            return Err(RehearseError::Unexpected(format!(
                "status: the daemon answered {}",
                answer.status
            )));
        }
        Ok(answer.json()?)
    }

    async fn admin(&self, path: &str) -> Result<Response, RehearseError> {
        Ok(call(&self.admin, Method::GET, path, &[], Bytes::new()).await?)
    }
}

/// Whether the environment's variable would set the child's settings or speak to the caller's
/// service manager.
fn would_reach_the_daemon(name: &std::ffi::OsStr) -> bool {
    const OURS: [&str; 9] = [
        "STATE_DIRECTORY",
        "RUNTIME_DIRECTORY",
        "CREDENTIALS_DIRECTORY",
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "LISTEN_FDS",
        "LISTEN_PID",
        "JOURNAL_STREAM",
    ];
    let name = name.to_string_lossy();
    name.starts_with("REDEEMD__") || OURS.contains(&name.as_ref())
}

/// A port that was free a moment ago.
fn free_port() -> Result<SocketAddr, RehearseError> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

pub(super) fn random_token() -> Result<String, RehearseError> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bits)))
}

impl Plan<'_> {
    /// The given settings with a folder, ports, a till and a provider of the rehearsal's own.
    fn toml(&self, ports: Ports) -> String {
        let mut toml = String::new();
        for (section, lines) in self.sections(ports) {
            // Writing to a string cannot fail.
            writeln!(toml, "{section}").unwrap_or_default();
            for (name, value) in lines {
                writeln!(toml, "{name} = {value}").unwrap_or_default();
            }
            toml.push('\n');
        }
        toml.push_str(self.offline);
        toml
    }

    fn sections(&self, ports: Ports) -> Vec<(&'static str, Vec<(&'static str, Value)>)> {
        let Settings { intake, forward, gateway, .. } = self.given;
        let mut provider = vec![
            ("name", LANE.into()),
            ("redeem_url", self.provider.redeem_url().into()),
            ("token_file", path(&self.provider_token)),
        ];
        // One lane stands for all: the first provider's patience, and its way of saying no.
        if let Some(first) = self.given.providers.first() {
            provider.push(("timeout", span(first.timeout)));
            provider.push(("declined_status", first.declined_status.clone().into()));
            provider.push(("already_used", first.already_used.clone().into()));
            provider.push(("in_progress", first.in_progress.clone().into()));
            provider.push(("weak_declines", first.weak_declines.into()));
        }
        vec![
            (
                "[gateway]",
                vec![
                    ("name", gateway.name.clone().into()),
                    ("state_dir", path(&self.folder.join("state"))),
                ],
            ),
            (
                "[intake]",
                vec![
                    ("listen", ports.tills.to_string().into()),
                    ("redeem_path", intake.redeem_path.clone().into()),
                    ("check_path", intake.check_path.clone().into()),
                    ("reply_within", span(intake.reply_within)),
                    ("accepted_status", intake.accepted_status.into()),
                    ("max_body_bytes", intake.max_body_bytes.into()),
                ],
            ),
            (
                "[[intake.till]]",
                vec![("name", TILL.into()), ("token_file", path(&self.till_token))],
            ),
            ("[[provider]]", provider),
            (
                "[forward]",
                vec![
                    ("max_in_flight", forward.max_in_flight.into()),
                    ("retry_min", span(forward.retry_min)),
                    ("retry_max", span(forward.retry_max)),
                    ("reconnect_spread", span(forward.reconnect_spread)),
                ],
            ),
            ("[retention]", vec![("settled", span(self.given.retention.settled))]),
            (
                "[admin]",
                vec![
                    ("listen", ports.admin.to_string().into()),
                    ("socket", path(&self.folder.join("admin.sock"))),
                ],
            ),
        ]
    }
}

/// JSON's strings, numbers, booleans and arrays of them are TOML's too.
fn path(path: &Path) -> Value {
    path.to_string_lossy().into_owned().into()
}

fn span(span: Duration) -> Value {
    format!("{}ms", span.as_millis()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_settings_in_the_environment_and_its_service_manager_stay_outside() {
        for name in ["REDEEMD__ADMIN__LISTEN", "STATE_DIRECTORY", "NOTIFY_SOCKET"] {
            assert!(would_reach_the_daemon(name.as_ref()), "{name}");
        }
        assert!(!would_reach_the_daemon("PATH".as_ref()));
    }
}
