//! The user that the service runs as: `check` asked as root looks with that user's eyes.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::exit::{CliError, Exit};
use super::service_unit::{self, ServiceUnit};
use crate::files;
use crate::notify;

/// The unit that holds the tills' sockets.
pub(super) const SOCKET_UNIT: &str = "redeemd.socket";
/// The service's user, as the package makes it.
const USER: &str = "redeemd";
/// Tells the repeated check where the socket unit listens: systemd may not answer the service's
/// user.
const SOCKETS_VARIABLE: &str = "REDEEMD_SOCKET_UNIT";
/// The tool that becomes another user with its groups; util-linux has it, which no Debian is
/// without.
const BECOME: &str = "setpriv";
/// How much of the user list is read, in bytes.
const PASSWD_BYTES_MAX: u64 = 1024 * 1024;

/// Where the socket unit listens.
pub(super) async fn sockets() -> Vec<SocketAddr> {
    match std::env::var(SOCKETS_VARIABLE) {
        Ok(text) => text.split(',').filter_map(|address| address.parse().ok()).collect(),
        Err(_) => notify::unit_addresses(SOCKET_UNIT).await,
    }
}

/// The name of the user that this process is.
pub(super) fn name() -> String {
    crate::admin::user_name(rustix::process::geteuid().as_raw())
}

/// Asked as root, does the same again as the service's user, whose end it returns; `None`: this
/// process is to do it.
pub(super) fn repeat(
    sockets: &[SocketAddr],
    unit: &ServiceUnit,
) -> Result<Option<Result<(), CliError>>, CliError> {
    let Some((uid, gid)) = rustix::process::geteuid().is_root().then(ids).flatten() else {
        return Ok(None);
    };
    let addresses: Vec<String> = sockets.iter().map(ToString::to_string).collect();
    let again = |command: &mut Command| {
        command.args(std::env::args_os().skip(1)).env(SOCKETS_VARIABLE, addresses.join(","));
        command.env(service_unit::VARIABLE, &unit.0).status()
    };
    let ended = match again(&mut with_groups((uid, gid))?) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            again(&mut without_groups((uid, gid))?)?
        }
        ended => ended?,
    };
    Ok(Some(match ended.code().map(exit) {
        Some(Exit::Ok) => Ok(()),
        Some(exit) => Err(CliError::Logged(exit)),
        None => Err(CliError::Internal(format!("the check as the user {USER} ended with {ended}"))),
    }))
}

/// This program as that user, who is in all of its groups: one of them may be what lets it read a
/// key.
fn with_groups((uid, gid): (u32, u32)) -> std::io::Result<Command> {
    let mut command = Command::new(BECOME);
    command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
    command.args(["--init-groups", "--"]).arg(std::env::current_exe()?);
    Ok(command)
}

/// The same where nothing is there that knows the groups.
fn without_groups((uid, gid): (u32, u32)) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.uid(uid).gid(gid);
    Ok(command)
}

fn exit(code: i32) -> Exit {
    let known = [Exit::Ok, Exit::Failed, Exit::Usage, Exit::Config];
    known.into_iter().find(|exit| *exit as i32 == code).unwrap_or(Exit::Internal)
}

fn ids() -> Option<(u32, u32)> {
    let users = files::read(Path::new("/etc/passwd"), PASSWD_BYTES_MAX).ok()?;
    ids_of(&String::from_utf8_lossy(&users), USER)
}

/// User and group in the form of passwd(5).
fn ids_of(users: &str, name: &str) -> Option<(u32, u32)> {
    users.lines().find_map(|line| {
        let mut fields = line.strip_prefix(name)?.strip_prefix(':')?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\nredeemd2:x:7:8::/:/x\n\
            redeemd:x:999:998::/:/usr/sbin/nologin\n";
        assert_eq!(ids_of(users, "redeemd"), Some((999, 998)));
        assert_eq!(ids_of(users, "redeem"), None);
    }
}
