//! The one preparation of settings for `check`, `run` and a reload: what the settings name is
//! opened before anything that runs is touched.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::clock::{Clock, Zone};
use crate::listen::Certificate;
use crate::redemption::Fingerprint;
use crate::settings::{
    LoadOptions, Loaded, Problems, SecretSource, Settings, SettingsProblem, Tls, load,
};
use crate::upstream::{TokensInUse, Upstream, UpstreamContext, Webhook};

/// The webhook is made on trial; nothing is posted.
const WEBHOOK_WITHIN: Duration = Duration::from_secs(10);

/// Settings that can be served.
#[derive(Debug)]
pub struct Prepared {
    /// The settings.
    pub loaded: Loaded,
    /// The certificate of the tills' listeners; `None`: plain HTTP.
    pub tills_certificate: Option<Certificate>,
    /// The certificate of `admin.listen`.
    pub admin_certificate: Option<Certificate>,
    /// Providers that cannot be used, such as for a CA that cannot be read, by name: why. A start
    /// holds their lanes and serves the others.
    pub broken: BTreeMap<String, String>,
}

impl Prepared {
    /// Takes a broken provider for a problem, as `check` and a reload do.
    ///
    /// # Errors
    /// Each broken provider.
    pub fn whole(self) -> Result<Self, Problems> {
        if self.broken.is_empty() {
            return Ok(self);
        }
        let problem = |(name, why): (&String, &String)| problem(&format!("provider[{name}]"), why);
        Err(Problems(self.broken.iter().map(problem).collect()))
    }
}

/// Loads the settings and opens what they name. Connects nowhere; blocks on the file system, never
/// on a pipe.
///
/// # Errors
/// All problems at once.
pub fn prepare(options: &LoadOptions) -> Result<Prepared, Problems> {
    let mut loaded = load(options)?;
    loaded.warnings.extend(open_to_others(&loaded.settings.gateway.state_dir));
    loaded.warnings.extend(Zone::misnamed().map(|name| {
        format!(
            "gateway.day_ends: TZ names no time zone of this machine ({name:?}): days and hours \
             go by /etc/localtime, else by UTC"
        )
    }));
    let settings = &loaded.settings;
    let mut problems = Vec::new();
    let tills_certificate = certificate("intake.tls", settings.intake.tls.as_ref(), &mut problems);
    let admin_certificate = certificate("admin.tls", settings.admin.tls.as_ref(), &mut problems);
    own_tokens(settings, loaded.credentials_dir.as_deref(), &mut problems);
    let context = context(&loaded);
    if let Some(alert) = &settings.alert
        && let Err(error) = Webhook::new(&alert.url, alert.token.as_ref(), WEBHOOK_WITHIN, &context)
    {
        problems.push(problem("alert", &error.to_string()));
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let broken = broken(settings, &context);
    Ok(Prepared { loaded, tills_certificate, admin_certificate, broken })
}

/// The database holds whole codes, and whoever may write beside it may put another in its place.
fn open_to_others(state_dir: &Path) -> Option<String> {
    let has = |path: &Path, mode: u32| {
        std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & mode != 0)
    };
    let is_read = has(state_dir, 0o001) && has(&state_dir.join(crate::store::FILE), 0o004);
    let may = match has(state_dir, 0o002) {
        true => "change what is in it",
        false if is_read => "read the database in it, which holds whole reward codes",
        false => return None,
    };
    let dir = state_dir.display();
    Some(format!("gateway.state_dir: every user of this machine can {may}: chmod o= {dir}"))
}

/// The rule of `intake.listen` for an address that somebody else chose: systemd, by the socket
/// unit.
///
/// # Errors
/// It is beyond loopback, and whoever reaches it could redeem.
pub fn tills_may_use(address: SocketAddr, settings: &Settings) -> Result<(), SettingsProblem> {
    if has_tokens(settings) || settings.intake.allow_anonymous || is_here(address) {
        return Ok(());
    }
    let message = format!(
        "systemd's socket listens on {address}, which is beyond loopback, and no till has a token: \
         add [[intake.till]] tables, or set allow_anonymous = true"
    );
    Err(problem("intake.listen", &message))
}

/// The same for an address that tills are served on until a restart, although the settings may name
/// it no more. What they allow without a token, they allow at their own addresses; `is_left`: this
/// one was theirs, and is not now.
///
/// # Errors
/// It is beyond loopback, and whoever reaches it could redeem.
pub fn tills_may_stay(
    (address, is_left): (SocketAddr, bool),
    settings: &Settings,
) -> Result<(), SettingsProblem> {
    let is_allowed = settings.intake.allow_anonymous && !is_left;
    if has_tokens(settings) || is_allowed || is_here(address) {
        return Ok(());
    }
    let message = format!(
        "tills are served on {address} until a restart, which is beyond loopback, and no till \
         would have a token there: restart redeemd for these settings, or leave it its \
         [[intake.till]] tables"
    );
    Err(problem("intake.listen", &message))
}

fn has_tokens(settings: &Settings) -> bool {
    !settings.intake.tills.is_empty()
}

fn is_here(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn context(loaded: &Loaded) -> UpstreamContext {
    UpstreamContext {
        clock: Clock::system(),
        state_dir: loaded.settings.gateway.state_dir.clone(),
        credentials_dir: loaded.credentials_dir.clone(),
        gateway: loaded.settings.gateway.name.clone(),
        tokens: TokensInUse::default(),
    }
}

fn broken(settings: &Settings, context: &UpstreamContext) -> BTreeMap<String, String> {
    let fault = |provider| Upstream::new(provider, context).err().map(|error| error.to_string());
    let providers = settings.providers.iter();
    providers.filter_map(|provider| Some((provider.name.clone(), fault(provider)?))).collect()
}

fn certificate(
    key: &'static str,
    files: Option<&Tls>,
    problems: &mut Vec<SettingsProblem>,
) -> Option<Certificate> {
    let opened = Certificate::open(key, files?);
    opened.map_err(|fault| problems.push(problem(key, &fault.to_string()))).ok()
}

/// The addresses of the settings that are not served because systemd hands in others; none are
/// where it hands in nothing.
pub fn not_handed_in<'a>(
    own: &'a [SocketAddr],
    handed: &'a [SocketAddr],
) -> impl Iterator<Item = &'a SocketAddr> {
    own.iter().filter(|address| !handed.is_empty() && !handed.contains(address))
}

/// A token says who somebody is, so that no two share one. Those that cannot be read now are
/// nobody's.
fn own_tokens(
    settings: &Settings,
    credentials_dir: Option<&Path>,
    problems: &mut Vec<SettingsProblem>,
) {
    let tills = settings.intake.tills.iter().map(|till| ("intake.till", &till.name, &till.token));
    let machines =
        settings.admin.tokens.iter().map(|token| ("admin.token", &token.name, &token.token));
    let mut owners: BTreeMap<[u8; 16], String> = BTreeMap::new();
    for (list, name, source) in tills.chain(machines) {
        let Some(token) = fingerprint(source, credentials_dir) else { continue };
        let label = format!("{list}[{}]", name.escape_debug());
        if let Some(other) = owners.insert(token, label.clone()) {
            problems.push(problem(
                &label,
                &format!("it has the same token as {other}: give each its own"),
            ));
        }
    }
}

fn fingerprint(source: &SecretSource, credentials_dir: Option<&Path>) -> Option<[u8; 16]> {
    let token = source.token(credentials_dir).ok()?;
    Some(Fingerprint::of(&["a token", token.reveal()]).0)
}

fn problem(key: &str, message: &str) -> SettingsProblem {
    SettingsProblem { key: key.to_owned(), message: message.to_owned(), origin: None }
}
