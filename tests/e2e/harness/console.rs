//! The operator: the commands of the real binary, asked through the gateway's socket.

use std::io::Write;
use std::process::Stdio;

use super::Gateway;
use super::process::redeemd;

/// What a command said.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Gateway {
    /// `redeemd ARGS --config …`
    pub(crate) fn command(&self, args: &[&str]) -> Said {
        self.command_with(args, "")
    }

    /// The same with something on its standard input.
    pub(crate) fn command_with(&self, args: &[&str], stdin: &str) -> Said {
        let mut command = redeemd(args[0]);
        command.args(&args[1..]).arg("--config").arg(self.folder().join("redeemd.toml"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) }
    }

    /// The same of one that succeeds; what it printed, its lines joined as a person reads them.
    pub(crate) fn says(&self, args: &[&str]) -> String {
        let said = self.command(args);
        assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
        said.out.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
