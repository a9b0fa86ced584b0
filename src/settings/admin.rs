//! The checks of `[admin]`, its tokens and its users.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use url::Host;

use super::address;
use super::common::{self, Machine};
use super::layer::{Layer, List, TableEntry};
use super::problem::Faults;
use super::reader::{BagReader, NAME_BYTES_MAX, plain_text};
use super::types::{AdminSettings, AdminToken, AdminUser, Role, SecretSource};
use super::value::numbered;

/// The longest path of a Unix socket, in bytes.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// The most entries of `admin.hosts`.
const HOSTS_MAX: usize = 64;

pub(super) fn admin(
    layer: &Layer,
    around: &Machine,
    state_dir: &Path,
    faults: &mut Faults,
) -> AdminSettings {
    let tokens: Vec<AdminToken> =
        layer.list(List::AdminToken).iter().filter_map(|entry| token(entry, faults)).collect();
    let users: Vec<AdminUser> =
        layer.list(List::AdminUser).iter().filter_map(|entry| user(entry, faults)).collect();
    own_names(layer, faults);
    let mut read = BagReader::plain(&layer.plain, faults);
    let listen = common::listen(&mut read, "admin.listen");
    let socket = socket(&read, around, state_dir);
    if socket.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        let message = format!(
            "a socket's path has at most {SOCKET_PATH_BYTES_MAX} bytes: choose a shorter one"
        );
        read.fault("admin.socket", message);
    }
    let hosts = hosts(&mut read);
    let tls = common::tls(&mut read, "admin.tls");
    let has_users = !layer.list(List::AdminUser).is_empty();
    if !address::only_here(listen) {
        beyond_loopback(&mut read, !hosts.is_empty(), has_users);
    }
    AdminSettings { listen, socket, hosts, tokens, users, tls }
}

/// What a console needs that others than this machine reach.
fn beyond_loopback(read: &mut BagReader, has_hosts: bool, has_users: bool) {
    let why = "needed because admin.listen is beyond loopback";
    if !has_hosts {
        read.fault(
            "admin.hosts",
            format!("it is {why}: write the names that browsers call the console by"),
        );
    }
    if !has_users {
        read.fault(
            "admin.user",
            format!(
                "a user is {why}: add an [[admin.user]] table with name, role and password_file"
            ),
        );
    }
    if !read.has("admin.tls") {
        read.fault("admin.tls", format!("it is {why}: write cert_file and key_file"));
    }
}

/// Where the commands' socket is.
pub(super) fn socket(read: &BagReader, around: &Machine, state_dir: &Path) -> PathBuf {
    let folder = around.folder("RUNTIME_DIRECTORY").unwrap_or_else(|| state_dir.to_owned());
    read.path("admin.socket").unwrap_or_else(|| folder.join("admin.sock"))
}

fn hosts(read: &mut BagReader) -> Vec<String> {
    let path = "admin.hosts";
    let hosts = read.texts(path);
    if hosts.len() > HOSTS_MAX {
        read.fault(path, format!("{} hosts: at most {HOSTS_MAX}", hosts.len()));
    }
    for (index, host) in hosts.iter().enumerate().filter(|(_, host)| !host.is_empty()) {
        if host_as_sent(host).is_none() {
            let right = "write a host name or an address, without scheme and port";
            read.fault(path, numbered(index, right));
        }
    }
    hosts.iter().filter_map(|host| host_as_sent(host)).collect()
}

/// A name or an address as browsers send it, without its port: the name in lower case and in ASCII
/// (`xn--…`), without a dot at its end, the address in its shortest form. IPv6 may stand in
/// brackets and is returned without them. `None`: it is neither.
#[must_use]
pub fn host_as_sent(text: &str) -> Option<String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    let host = Host::parse(text).ok().filter(|_| !text.contains(['/', '%', '*']))?;
    let name = match host {
        Host::Domain(name) => name.trim_end_matches('.').to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    Some(name).filter(|name| !name.is_empty())
}

const ROLES: [(&str, Role); 3] =
    [("see", Role::See), ("decide", Role::Decide), ("engineer", Role::Engineer)];

fn token(entry: &TableEntry, faults: &mut Faults) -> Option<AdminToken> {
    const KEYS: [&str; 3] =
        ["admin.token.role", "admin.token.token_file", "admin.token.credential"];
    let (role, token) = actor(entry, List::AdminToken, KEYS, faults)?;
    Some(AdminToken { name: entry.name.clone(), role, token })
}

fn user(entry: &TableEntry, faults: &mut Faults) -> Option<AdminUser> {
    const KEYS: [&str; 3] =
        ["admin.user.role", "admin.user.password_file", "admin.user.credential"];
    let (role, password) = actor(entry, List::AdminUser, KEYS, faults)?;
    Some(AdminUser { name: entry.name.clone(), role, password })
}

/// The role and the secret of a token or a user; `keys` are those of the role, the secret's file
/// and its credential.
fn actor(
    entry: &TableEntry,
    list: List,
    [role, file, credential]: [&'static str; 3],
    faults: &mut Faults,
) -> Option<(Role, SecretSource)> {
    let mut read = BagReader::entry(entry, list, faults);
    if let Err(message) = plain_text(&entry.name, NAME_BYTES_MAX) {
        read.fault(&format!("{}.name", list.path()), message);
    }
    if !read.has(role) {
        read.fault(role, "it is missing: write role = \"see\", \"decide\" or \"engineer\"");
    }
    if !read.has(file) && !read.has(credential) {
        let name = |path: &'static str| path.rsplit('.').next().unwrap_or(path);
        let (file_name, credential_name) = (name(file), name(credential));
        read.fault(
            file,
            format!("it is missing: write {file_name} = \"…\" or {credential_name} = \"…\""),
        );
    }
    let role = read.choice(role, &ROLES);
    let secret = read.secret(file, credential);
    Some((role?, secret?))
}

/// Actions are recorded by name, so no token shares one with a user.
fn own_names(layer: &Layer, faults: &mut Faults) {
    for user in layer.list(List::AdminUser) {
        if layer.list(List::AdminToken).iter().any(|token| token.name == user.name) {
            let key = format!("{}.name", List::AdminUser.label(&user.name));
            faults.add(
                &key,
                "an [[admin.token]] has this name: give each its own, as actions are recorded by \
                 it",
                None,
            );
        }
    }
}
