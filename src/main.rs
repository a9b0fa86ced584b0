//! The binary: umask, arguments, a runtime, an exit code.

use std::process::ExitCode;

use redeemd::cli::{self, Exit};

fn main() -> ExitCode {
    // Before anything else: no file that this process makes is for other users, unless it says so
    // itself.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(cli::dispatch(cli));
            // A look-up of a name that no server answers goes on for a minute; nobody waits for it.
            runtime.shutdown_background();
            exit.into()
        }
        Err(error) => {
            eprintln!("redeemd: no runtime: {error}");
            Exit::Internal.into()
        }
    }
}
