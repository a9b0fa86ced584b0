//! The checks of every section but `[[provider]]`, which has its own room.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::address;
use super::admin;
use super::common::{Machine, tls};
use super::layer::{Bag, Layer, List, TableEntry};
use super::problem::Faults;
use super::provider;
use super::reader::{BagReader, NAME_BYTES_MAX, TEXT_BYTES_MAX, plain_text};
use super::rules;
use super::types::{
    Alert, DateFormat, Forward, Gateway, IntakeSettings, Offline, OneTill, Provider,
    RetentionSettings, RuleList, Settings, Till, TimeOfDay, UnknownCheck,
};
use super::value::numbered;
use crate::message::{Language, Texts};

/// The most addresses that tills connect to.
const LISTEN_MAX: usize = 16;
/// What stands in the state directory beside the database, whose names begin alike.
const STATE_NAMES: [&str; 6] = ["lock", "reserve", "oauth", "counterpart", "probe", "search.key"];
const DATABASE: &str = "redeemd.db";
/// The till that everybody is where there are no tills.
const ANONYMOUS: &str = "anonymous";
/// Where receipts are, on the tills' listener.
const RECEIPTS: &str = "/redemptions";
/// The most `[[provider]]` tables; each is a lane with its own task and connections.
const PROVIDERS_MAX: usize = 64;

/// The settings of `layer`, if no fault was noted.
pub(super) fn settings(layer: &Layer, around: &Machine, faults: &mut Faults) -> Settings {
    let gateway = gateway(&layer.plain, around, faults);
    let tills = tills(layer.list(List::Till), faults);
    let count = tills.len();
    let intake = intake(&layer.plain, tills, faults);
    let providers = providers(layer.list(List::Provider), faults);
    let admin = admin::admin(layer, around, &gateway.state_dir, faults);
    if let Some(tills) = intake.listen.iter().find(|tills| clash(**tills, admin.listen)) {
        let message = format!("intake.listen takes it too with {tills}: give each its own port");
        faults.add("admin.listen", message, None);
    }
    let rules = rules::rules(layer.list(List::Rule), faults);
    let offline = offline(&layer.plain, count, faults);
    let (listed, exact) = (rules::listed(&providers), rules::exact(&providers));
    let named = intake.tills.iter().map(|till| till.name.clone()).collect();
    let offline = Offline { rules, listed, exact, tills: named, ..offline };
    one_till(&offline, &providers, count, faults);
    rules::look(&offline, &intake.tills, &providers, faults);
    let settings = Settings {
        intake,
        providers,
        admin,
        offline,
        forward: forward(&layer.plain, faults),
        retention: retention(&layer.plain, faults),
        alert: alert(&layer.plain, faults),
        gateway,
    };
    own_place(&settings, faults);
    settings
}

/// The commands' socket takes the place of no file of ours.
fn own_place(settings: &Settings, faults: &mut Faults) {
    let socket = &settings.admin.socket;
    let state = &settings.gateway.state_dir;
    let of_state = socket.strip_prefix(state).is_ok_and(|rest| {
        let first = rest.iter().next().unwrap_or_default().to_string_lossy();
        STATE_NAMES.iter().any(|name| first == *name) || first.starts_with(DATABASE)
    });
    if of_state || super::paths::of(settings).contains(&socket.as_path()) {
        faults.add(
            "admin.socket",
            "this is the place of another file of redeemd: choose one of its own",
            None,
        );
    }
}

/// The commands' socket, where the keys that decide it can be read.
pub(super) fn socket(layer: &Layer, around: &Machine) -> Option<PathBuf> {
    let mut faults = Faults::default();
    let state_dir = gateway(&layer.plain, around, &mut faults).state_dir;
    let read = BagReader::plain(&layer.plain, &mut faults);
    let is_right = |path: &str| !read.has(path) || read.is_readable(path);
    let is_known = is_right("admin.socket") && is_right("gateway.state_dir");
    is_known.then(|| admin::socket(&read, around, &state_dir))
}

fn gateway(bag: &Bag, around: &Machine, faults: &mut Faults) -> Gateway {
    let mut read = BagReader::plain(bag, faults);
    let name = read.text("gateway.name").unwrap_or_else(|| around.host_name.to_owned());
    if let Err(message) = plain_text(&name, NAME_BYTES_MAX) {
        let subject = if read.has("gateway.name") {
            ""
        } else {
            "the host name does not do as its default: "
        };
        read.fault("gateway.name", format!("{subject}{message}"));
    }
    let day_ends = time_of_day(&mut read, "gateway.day_ends");
    let set = read.path("gateway.state_dir").unwrap_or_default();
    let Some(given) = around.folder("STATE_DIRECTORY") else {
        return Gateway { name, state_dir: set, day_ends };
    };
    if read.has("gateway.state_dir") && set != given {
        let message =
            format!("the service manager's $STATE_DIRECTORY is used instead: {}", given.display());
        read.warn("gateway.state_dir", &message);
    }
    Gateway { name, state_dir: given, day_ends }
}

fn time_of_day(read: &mut BagReader, path: &str) -> TimeOfDay {
    let Some(text) = read.text(path) else { return TimeOfDay::default() };
    let time = TimeOfDay::parse(&text);
    if time.is_none() {
        read.fault(path, "write a time of the day from \"00:00\" to \"23:59\"");
    }
    time.unwrap_or_default()
}

fn intake(bag: &Bag, tills: Vec<Till>, faults: &mut Faults) -> IntakeSettings {
    let mut read = BagReader::plain(bag, faults);
    let intake = IntakeSettings {
        listen: listen_list(&mut read, "intake.listen"),
        redeem_path: http_path(&mut read, "intake.redeem_path"),
        check_path: http_path(&mut read, "intake.check_path"),
        reply_within: read.duration("intake.reply_within"),
        accepted_status: accepted_status(&mut read),
        max_body_bytes: read.integer("intake.max_body_bytes"),
        allow_anonymous: read.flag("intake.allow_anonymous"),
        tls: tls(&mut read, "intake.tls"),
        texts: texts(&mut read),
        tills,
    };
    if intake.redeem_path == intake.check_path {
        read.fault("intake.check_path", "redeem_path is the same: give each its own path");
    }
    open_door(&mut read, &intake);
    intake
}

/// The store's own words; a text that cannot be taken is a fault at its own name.
fn texts(read: &mut BagReader) -> Texts {
    let mut texts = Texts::default();
    for (path, language) in
        [("intake.texts.en", Language::English), ("intake.texts.ar", Language::Arabic)]
    {
        for (name, text) in read.words(path) {
            if let Err(fault) = texts.set(language, &name, &text) {
                read.fault_below(path, &name, fault.to_string());
            }
        }
    }
    texts
}

/// A tills' listener that others than this machine reach.
fn open_door(read: &mut BagReader, intake: &IntakeSettings) {
    if intake.listen.iter().all(|address| address::only_here(*address)) {
        return;
    }
    if intake.tills.is_empty() && !read.has("intake.till") && !intake.allow_anonymous {
        let message = "beyond loopback every till needs a token: add [[intake.till]] tables, \
            listen on \"127.0.0.1:7733\", \
                       or set allow_anonymous = true";
        read.fault("intake.listen", message);
    } else if intake.tills.is_empty() {
        read.warn("intake.allow_anonymous", "whoever reaches intake.listen can redeem");
    }
    if intake.tls.is_none() {
        read.warn(
            "intake.listen",
            "without [intake.tls], whoever is on the store's network reads every reward code",
        );
    }
}

/// Whether nobody can listen on both: they are one address, or one of them is all addresses of the
/// other's family. Port 0 is any free one.
fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let [ip, other_ip] = [one, other].map(|address| address.ip().to_canonical());
    let is_all = ip.is_unspecified() || other_ip.is_unspecified();
    let is_taken = ip == other_ip || is_all && ip.is_ipv4() == other_ip.is_ipv4();
    one.port() != 0 && one.port() == other.port() && is_taken
}

/// One address or several, none of which takes another.
fn listen_list(read: &mut BagReader, path: &str) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    let texts = read.texts(path);
    if read.is_readable(path) && !(1..=LISTEN_MAX).contains(&texts.len()) {
        read.fault(path, format!("{} addresses: write 1 to {LISTEN_MAX}", texts.len()));
    }
    let is_list = texts.len() > 1;
    for (index, text) in texts.iter().enumerate() {
        match address::listen(text) {
            Ok(address) => {
                if let Some(other) = addresses.iter().find(|other| clash(**other, address)) {
                    let message = format!("{other} takes {address} already: leave one out");
                    read.fault(path, message);
                }
                addresses.push(address);
            }
            Err(message) if is_list => read.fault(path, numbered(index, message)),
            Err(message) => read.fault(path, message),
        }
    }
    addresses
}

fn http_path(read: &mut BagReader, path: &str) -> String {
    let Some(text) = read.text(path) else { return path.to_owned() };
    let usual = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'~' | b'-');
    let dotted = text.split('/').any(|part| part == "." || part == "..");
    if !text.starts_with('/') || text.len() > TEXT_BYTES_MAX || !text.bytes().all(usual) || dotted {
        let right = "write a path that begins with '/' and has only letters, digits, '/', '.', \
            '_', '~' and '-'";
        read.fault(path, right);
    } else if text
        .strip_prefix(RECEIPTS)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    {
        read.fault(path, format!("{RECEIPTS} is where receipts are: choose another path"));
    }
    text
}

fn accepted_status(read: &mut BagReader) -> u16 {
    let path = "intake.accepted_status";
    let status: u16 = read.integer(path);
    if status == 201 {
        read.fault(path, "201 is not offered: write 200, or 202 for tills that tell the two apart");
    }
    status
}

fn tills(entries: &[TableEntry], faults: &mut Faults) -> Vec<Till> {
    if entries.len() > List::ENTRIES_MAX {
        faults.add(
            "intake.till",
            format!("{} tills: at most {}", entries.len(), List::ENTRIES_MAX),
            None,
        );
    }
    entries.iter().filter_map(|entry| till(entry, faults)).collect()
}

fn till(entry: &TableEntry, faults: &mut Faults) -> Option<Till> {
    let mut read = BagReader::entry(entry, List::Till, faults);
    if let Err(message) = plain_text(&entry.name, NAME_BYTES_MAX) {
        read.fault("intake.till.name", message);
    }
    if entry.name.eq_ignore_ascii_case(ANONYMOUS) {
        read.fault("intake.till.name", "this name is for tills without a token: choose another");
    }
    if !read.has("intake.till.token_file") && !read.has("intake.till.credential") {
        read.fault(
            "intake.till.token_file",
            "a till needs a token: write token_file = \"…\" or credential = \"…\"",
        );
    }
    let (businesses, branches) =
        (read.texts("intake.till.businesses"), read.texts("intake.till.branches"));
    let language =
        read.choice("intake.till.language", &[("en", Language::English), ("ar", Language::Arabic)]);
    let token = read.secret("intake.till.token_file", "intake.till.credential")?;
    Some(Till { businesses, branches, language, ..Till::new(&entry.name, token) })
}

fn providers(entries: &[TableEntry], faults: &mut Faults) -> Vec<Provider> {
    if entries.is_empty()
        && !faults.problems.iter().any(|problem| problem.key.starts_with("provider"))
    {
        let message = "there is none, so nothing could be forwarded: add a [[provider]] table with \
            name, redeem_url and token_file";
        faults.add("provider", message, None);
    }
    if entries.len() > PROVIDERS_MAX {
        faults.add(
            "provider",
            format!("{} providers: at most {PROVIDERS_MAX}", entries.len()),
            None,
        );
    }
    let providers: Vec<_> =
        entries.iter().filter_map(|entry| provider::provider(entry, faults)).collect();
    provider::check_businesses(entries, faults);
    providers
}

fn offline(bag: &Bag, tills: usize, faults: &mut Faults) -> Offline {
    let mut read = BagReader::plain(bag, faults);
    let max_pending = read.integer("offline.max_pending");
    let dates = [("contract", DateFormat::Contract), ("any", DateFormat::Any)];
    let words = [("refuse", OneTill::Refuse), ("trust", OneTill::Trust)];
    let unknown = [("refuse", UnknownCheck::Refuse), ("answer", UnknownCheck::Answer)];
    Offline {
        accept: read.flag("offline.accept"),
        max_pending,
        max_pending_per_till: per_till(&mut read, max_pending, tills),
        max_outage: read.duration("offline.max_outage"),
        date_format: read.choice("offline.date_format", &dates).unwrap_or(DateFormat::Contract),
        one_till: read.choice("offline.one_till", &words).unwrap_or(OneTill::Refuse),
        remember_checks: read.duration("offline.remember_checks"),
        remember_checks_max: read.integer("offline.remember_checks_max"),
        unknown_check: read
            .choice("offline.unknown_check", &unknown)
            .unwrap_or(UnknownCheck::Refuse),
        value_of_unknown: rules::amount(&mut read, "offline.value_of_unknown").unwrap_or_default(),
        value_of_unbounded: rules::amount(&mut read, "offline.value_of_unbounded")
            .unwrap_or_default(),
        max_exposure: rules::amount(&mut read, "offline.max_exposure").unwrap_or_default(),
        max_per_hour_per_till: read.integer("offline.max_per_hour_per_till"),
        checked_within: read.duration("offline.checked_within"),
        caps: rules::each(&mut read, "offline"),
        rules: RuleList::default(),
        listed: Arc::default(),
        exact: Arc::default(),
        tills: Arc::default(),
    }
}

impl Default for Offline {
    /// The default of every key, as with one till.
    fn default() -> Self {
        offline(&Bag::new(), 1, &mut Faults::default())
    }
}

fn per_till(read: &mut BagReader, max_pending: u64, tills: usize) -> u64 {
    let path = "offline.max_pending_per_till";
    if !read.has(path) {
        let share = (max_pending.saturating_mul(3) / 4).max(1);
        return if tills > 1 { share } else { max_pending };
    }
    let written = read.integer(path);
    if written > max_pending {
        read.fault(
            path,
            format!("it is more than max_pending, {max_pending}: make it the smaller of the two"),
        );
    }
    written
}

/// Where others can say whether the provider is silent, one till's word is not taken for it.
fn one_till(offline: &Offline, providers: &[Provider], tills: usize, faults: &mut Faults) {
    let path = "offline.one_till";
    if offline.one_till == OneTill::Refuse {
        return;
    }
    if tills > 1 {
        let message = format!("there are {tills} tills: \"trust\" is for a store with one");
        faults.add(path, message, None);
    } else if providers.iter().all(|provider| provider.check_url.is_some() && provider.canary) {
        faults.warn(
            path,
            "every provider has a check_url, so that the gateway's own checks say \
            whether it answers",
        );
    }
}

fn forward(bag: &Bag, faults: &mut Faults) -> Forward {
    let mut read = BagReader::plain(bag, faults);
    let forward = Forward {
        max_in_flight: read.integer("forward.max_in_flight"),
        retry_min: read.duration("forward.retry_min"),
        retry_max: read.duration("forward.retry_max"),
        reconnect_spread: read.duration("forward.reconnect_spread"),
    };
    if forward.retry_min > forward.retry_max {
        read.fault(
            "forward.retry_min",
            "it is longer than retry_max: make it the shorter of the two",
        );
    }
    forward
}

fn retention(bag: &Bag, faults: &mut Faults) -> RetentionSettings {
    let mut read = BagReader::plain(bag, faults);
    let settled = read.duration("retention.settled");
    RetentionSettings { settled, codes: read.duration("retention.codes") }
}

fn alert(bag: &Bag, faults: &mut Faults) -> Option<Alert> {
    let mut read = BagReader::plain(bag, faults);
    let token = read.secret("alert.token_file", "alert.credential");
    if token.is_some() && !read.has("alert.url") {
        read.missing("alert.url", "https://HOST/PATH");
    }
    Some(Alert { url: read.url("alert.url", false)?, token })
}
