//! The commands' way to the daemon: its Unix socket, found without being told.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hyper::Method;
use serde_json::Value;

use super::exit::{CliError, say};
use crate::client::{self, ClientError, Target};
use crate::settings::{DEFAULT_FILE, LoadOptions, Problems, commands_socket, load};
use crate::text::percent_encoded;

/// The socket's name in whichever directory it is.
const SOCKET: &str = "admin.sock";

/// Where the packaged unit has its runtime directory.
pub(super) const RUNTIME_DIR: &str = "/run/redeemd";

/// Where the state is unless something else is said.
pub(super) const STATE_DIR: &str = "/var/lib/redeemd";

/// The daemon, wherever its socket is.
#[derive(Debug)]
pub(super) struct Daemon {
    sockets: Vec<PathBuf>,
    /// What is wrong with the settings that name the socket.
    problems: Option<Problems>,
}

impl Daemon {
    /// The places to look at. Settings that somebody named must say where, and may have other
    /// faults: a daemon that runs goes on with those from before. The usual ones may be unreadable
    /// for this user, and the daemon under systemd knows a directory that this process does not.
    pub(super) fn find(file: Option<&Path>) -> Result<Self, CliError> {
        let named = file.is_some_and(|file| file != Path::new(DEFAULT_FILE));
        let options = LoadOptions::of_process(file.map(Path::to_owned), host_name());
        let (known, problems) = match load(&options) {
            Ok(loaded) => (Some(loaded.settings.admin.socket), None),
            Err(problems) => (commands_socket(&options), Some(problems)),
        };
        if !named {
            let sockets = usual(known, |name| std::env::var_os(name));
            return Ok(Self { sockets, problems: None });
        }
        let sockets: Vec<PathBuf> = known.into_iter().collect();
        match problems {
            Some(problems) if sockets.is_empty() => {
                say("the daemon was not asked: these settings do not say where its socket is");
                Err(problems.into())
            }
            problems => Ok(Self { sockets, problems }),
        }
    }

    /// Nobody answers. Faulty settings come first: the socket may be another.
    fn unreachable(&self, tried: &[String]) -> CliError {
        let why = format!("the daemon cannot be reached; is it running?\n{}", tried.join("\n"));
        match &self.problems {
            None => CliError::Unavailable(why),
            Some(problems) => {
                say(&why);
                problems.clone().into()
            }
        }
    }

    /// `GET path`
    pub(super) async fn get(&self, path: &str) -> Result<Value, CliError> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    /// `POST path` with `arguments`
    pub(super) async fn post(&self, path: &str, arguments: &Value) -> Result<Value, CliError> {
        self.call(Method::POST, path, Bytes::from(arguments.to_string())).await
    }

    /// As [`Self::post`], of what changes something: without an answer it may be done all the same.
    pub(super) async fn act(&self, path: &str, arguments: &Value) -> Result<Value, CliError> {
        let done = self.post(path, arguments).await;
        if let Err(CliError::Unanswered(why)) = done {
            let advice = "it may be done yet: look at `redeemd status`, or at `redeemd show ID`";
            return Err(CliError::Unanswered(format!("{why}\n{advice}")));
        }
        done
    }

    /// `POST path`; the answer is written to `to` as it comes.
    pub(super) async fn download(
        &self,
        path: &str,
        to: &mut (dyn std::io::Write + Send),
    ) -> Result<(), CliError> {
        let mut tried = Vec::new();
        for socket in &self.sockets {
            let target = Target::Unix(socket.clone());
            match client::download(&target, Method::POST, path, to).await {
                Err(ClientError::Unreachable { source, .. }) => tried.push(reason(socket, &source)),
                Err(error) => return Err(error.into()),
                Ok(response) if response.status == 200 => return Ok(()),
                Ok(response) => return judged(&response).map(drop),
            }
        }
        Err(self.unreachable(&tried))
    }

    async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Value, CliError> {
        let mut tried = Vec::new();
        for socket in &self.sockets {
            let target = Target::Unix(socket.clone());
            match client::call(&target, method.clone(), path, &[], body.clone()).await {
                // Nothing was sent: the next place may be the right one.
                Err(ClientError::Unreachable { source, .. }) => tried.push(reason(socket, &source)),
                Err(error) => return Err(error.into()),
                Ok(response) => return judged(&response),
            }
        }
        Err(self.unreachable(&tried))
    }
}

fn reason(socket: &Path, error: &std::io::Error) -> String {
    let forbidden = error.kind() == std::io::ErrorKind::PermissionDenied;
    let advice =
        if forbidden { ": run this as root or as a user that may use the socket" } else { "" };
    format!("  {}: {error}{advice}", socket.display())
}

/// The usual places, the surest first, each once.
fn usual(
    settings: Option<PathBuf>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Vec<PathBuf> {
    // systemd may list several directories; the first is the daemon's.
    let directory = |name| {
        let text = environment(name)?.into_string().ok()?;
        text.split(':').next().filter(|first| !first.is_empty()).map(PathBuf::from)
    };
    let places = [
        settings,
        directory("RUNTIME_DIRECTORY").map(|folder| folder.join(SOCKET)),
        Some(Path::new(RUNTIME_DIR).join(SOCKET)),
        directory("STATE_DIRECTORY").map(|folder| folder.join(SOCKET)),
        Some(Path::new(STATE_DIR).join(SOCKET)),
    ];
    let mut sockets: Vec<PathBuf> = Vec::new();
    for place in places.into_iter().flatten() {
        if !sockets.contains(&place) {
            sockets.push(place);
        }
    }
    sockets
}

/// The answer's JSON, or what the problem document says.
fn judged(response: &client::Response) -> Result<Value, CliError> {
    let body = response.json();
    if (200..300).contains(&response.status) {
        return body.map_err(|error| {
            CliError::Internal(format!("the daemon's answer cannot be read: {error}"))
        });
    }
    let detail =
        body.ok().and_then(|body| body.get("detail").and_then(Value::as_str).map(str::to_owned));
    Err(CliError::Failed(
        detail.unwrap_or_else(|| format!("the daemon answered with status {}", response.status)),
    ))
}

/// `text` as one segment of a path or one value of a query.
pub(super) fn encoded(text: &str) -> String {
    percent_encoded(text, |byte| byte.is_ascii_alphanumeric() || b"-_~".contains(&byte))
}

/// The machine's name: the default of `gateway.name`.
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;

    use super::*;

    fn environment<'a>(pairs: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        move |name| {
            pairs.iter().find(|(its, _)| *its == name).map(|(_, value)| OsString::from(value))
        }
    }

    fn paths(sockets: &[PathBuf]) -> Vec<&str> {
        sockets.iter().map(|socket| socket.to_str().unwrap()).collect()
    }

    #[test]
    fn the_socket_is_looked_for_where_the_daemon_may_have_put_it() {
        let sockets = usual(None, environment(&[]));
        assert_eq!(paths(&sockets), ["/run/redeemd/admin.sock", "/var/lib/redeemd/admin.sock"]);
        let around = [("RUNTIME_DIRECTORY", "/run/a:/run/b"), ("STATE_DIRECTORY", "/srv/state")];
        let sockets = usual(Some("/srv/state/admin.sock".into()), environment(&around));
        let expected = [
            "/srv/state/admin.sock",
            "/run/a/admin.sock",
            "/run/redeemd/admin.sock",
            "/var/lib/redeemd/admin.sock",
        ];
        assert_eq!(paths(&sockets), expected);
    }

    #[test]
    fn a_problem_is_told_in_its_own_words() {
        let answer = |status, body: &'static str| client::Response {
            status,
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        };
        let refused = judged(&answer(409, r#"{"detail":"41-abc is pending"}"#)).unwrap_err();
        assert!(matches!(refused, CliError::Failed(text) if text == "41-abc is pending"));
        let bare = judged(&answer(500, "oops")).unwrap_err();
        assert!(matches!(bare, CliError::Failed(text) if text.contains("500")));
        assert!(matches!(judged(&answer(200, "oops")), Err(CliError::Internal(_))));
        assert_eq!(judged(&answer(200, "{}")).unwrap(), serde_json::json!({}));
    }

    #[test]
    fn a_name_cannot_leave_its_place_in_the_path() {
        assert_eq!(encoded("retm-1_a"), "retm-1_a");
        assert_eq!(encoded("../a b/é?"), "%2E%2E%2Fa%20b%2F%C3%A9%3F");
    }

    #[tokio::test]
    async fn nobody_there_is_exit_69_and_names_every_place() {
        let folder = tempfile::tempdir().unwrap();
        let sockets = vec![folder.path().join("a.sock"), folder.path().join("b.sock")];
        let error = Daemon { sockets, problems: None }.get("/api/v1/status").await.unwrap_err();
        assert_eq!(error.exit(), super::super::Exit::Unavailable);
        assert!(
            error.to_string().contains("a.sock") && error.to_string().contains("b.sock"),
            "{error}"
        );
    }
}
