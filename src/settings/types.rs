//! The settings' types: what the other rooms read, one struct a section.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::rule_index::{RuleIndex, RuleKeys, RuleValues, beginnings};
use crate::clock::Days;
use crate::message::{Cause, Language, Texts};
use crate::text::fits;
use crate::value::Amount;

/// Everything that a person can set, checked. Defaults are those of the shipped file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `[gateway]`
    pub gateway: Gateway,
    /// `[intake]`
    pub intake: IntakeSettings,
    /// `[[provider]]`, in the order of the file; names are unique, at most one has no `businesses`.
    pub providers: Vec<Provider>,
    /// `[offline]`
    pub offline: Offline,
    /// `[forward]`
    pub forward: Forward,
    /// `[retention]`
    pub retention: RetentionSettings,
    /// `[admin]`
    pub admin: AdminSettings,
    /// `[alert]`; off unless `url` is set.
    pub alert: Option<Alert>,
}

/// `[gateway]`: who this box is and where its state lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its name in every view; default: the host name.
    pub name: String,
    /// The state directory: `$STATE_DIRECTORY`, else what is set, else `/var/lib/redeemd`.
    pub state_dir: PathBuf,
    /// When a day of the reports ends, in local time.
    pub day_ends: TimeOfDay,
}

impl Gateway {
    /// When days of the reports begin and end, in the machine's zone as it is now. Blocks on the
    /// file system.
    #[must_use]
    pub fn days(&self) -> Days {
        let TimeOfDay { hour, minute } = self.day_ends;
        Days::local(i64::from(hour) * 60 + i64::from(minute))
    }
}

/// A time of the day on a local clock, 00:00 to 23:59.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
}

impl TimeOfDay {
    /// Reads `"08:30"`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let two_digits = |part: &str, most: u8| {
            let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
            part.parse().ok().filter(|number| digits && *number <= most)
        };
        let (hour, minute) = text.split_once(':')?;
        Some(Self { hour: two_digits(hour, 23)?, minute: two_digits(minute, 59)? })
    }

    /// Minutes since the day began.
    #[must_use]
    pub fn minute_of_day(self) -> u16 {
        u16::from(self.hour) * 60 + u16::from(self.minute)
    }
}

/// `[intake]`: the tills' side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntakeSettings {
    /// Where tills connect, unless systemd hands in sockets; never empty, none twice.
    pub listen: Vec<SocketAddr>,
    /// The path of a redemption.
    pub redeem_path: String,
    /// The path of a check.
    pub check_path: String,
    /// How long a till may wait for the provider's own answer.
    pub reply_within: Duration,
    /// 200 or 202.
    pub accepted_status: u16,
    /// The largest body that is read, in bytes.
    pub max_body_bytes: usize,
    /// Whether a listener without tills' tokens may stand beyond loopback.
    pub allow_anonymous: bool,
    /// The tills; without any, everybody on the listener is the till `anonymous`.
    pub tills: Vec<Till>,
    /// `[intake.tls]`
    pub tls: Option<Tls>,
    /// `[intake.texts]`
    pub texts: Texts,
}

/// `[[intake.till]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Till {
    /// The till's name, as the books and the cashier's messages show it.
    pub name: String,
    /// Where its token is.
    pub token: SecretSource,
    /// The only `business_refrence` values that it may redeem for; empty: all. They match folded.
    pub businesses: Vec<String>,
    /// The only branches that it may redeem for; empty: all. They match folded.
    pub branches: Vec<String>,
    /// The language of its refusals; `None`: what it asks for with `Accept-Language`, else English.
    pub language: Option<Language>,
}

impl Till {
    /// A till of that name and token, bound to nothing.
    #[must_use]
    pub fn new(name: &str, token: SecretSource) -> Self {
        Self {
            name: name.to_owned(),
            token,
            businesses: Vec::new(),
            branches: Vec::new(),
            language: None,
        }
    }
}

/// `[intake.tls]` and `[admin.tls]`: certificate chain and key in PEM, read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain's file.
    pub cert_file: PathBuf,
    /// The key's file.
    pub key_file: PathBuf,
}

/// Where a secret is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file that is followed live; white space around the secret is dropped.
    File(PathBuf),
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// `[[provider]]`: one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// The lane's name.
    pub name: String,
    /// The `business_refrence` values that it serves; empty: all that no other serves.
    pub businesses: Vec<String>,
    /// The contract's Redeem.
    pub redeem_url: String,
    /// The contract's Check Reward, if offered.
    pub check_url: Option<String>,
    /// How requests are authorised.
    pub auth: Auth,
    /// The only certificate authorities to trust, instead of the platform's.
    pub ca_file: Option<PathBuf>,
    /// `http://…`: the proxy that the provider's traffic must pass.
    pub proxy: Option<String>,
    /// What the proxy asks for, if it asks; only beside `proxy`.
    pub proxy_login: Option<ProxyLogin>,
    /// Whether plain http beyond loopback is explicitly allowed.
    pub allow_plain_http: bool,
    /// The whole of one attempt.
    pub timeout: Duration,
    /// Statuses that decline when the answer has the contract's shape.
    pub declined_status: Vec<u16>,
    /// Parts (any case) of a refusal that means "already used".
    pub already_used: Vec<String>,
    /// Parts (any case) of an answer that means "still being worked on".
    pub in_progress: Vec<String>,
    /// Which 2xx confirm.
    pub success: SuccessSetting,
    /// How long weak refusals alone, with the lane otherwise well, go on before a person decides.
    pub weak_after: Duration,
    /// Whether a bare `message` with 400, 409 or 422 declines.
    pub weak_declines: bool,
    /// The value of `Accept-Language` in each request.
    pub accept_language: String,
    /// Which codes are the same.
    pub same_code: SameCode,
    /// Whether the gateway sends checks of its own, of a made-up code; only where `check_url` is
    /// set.
    pub canary: bool,
    /// Patterns with `*`, anchored at both ends, of codes that may be redeemed again and again.
    pub reusable_codes: Vec<String>,
}

/// `proxy_user` with `proxy_password_file` or `proxy_password_credential`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyLogin {
    /// The user; it holds no colon (RFC 7617 section 2).
    pub user: String,
    /// Where the password is.
    pub password: SecretSource,
}

/// `success`: which 2xx confirm a redemption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuccessSetting {
    /// Every JSON object that does not say that it failed, and an empty body.
    Lenient,
    /// An empty body, and objects of `data`, `message` and `errors` alone.
    Contract,
}

/// `same_code`: which reward codes are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameCode {
    /// Those that look alike: case, width, digits of every script, hyphens, invisible characters.
    Folded,
    /// Those of the same bytes.
    Exact,
}

/// How a provider's requests are authorised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// A static bearer token.
    Token(SecretSource),
    /// `[provider.oauth]`
    OAuth(OAuth),
}

/// `[provider.oauth]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth {
    /// The token endpoint.
    pub token_url: String,
    /// The client's id.
    pub client_id: String,
    /// `client_secret_file` or `client_secret_credential`.
    pub client_secret: SecretSource,
    /// `grant`: how the first token is had. A refresh token, once given, is kept in `oauth/NAME`.
    pub grant: Grant,
    /// `refresh_token_file` or `refresh_token_credential`: the first refresh token for
    /// [`Grant::RefreshToken`].
    pub refresh_token: Option<SecretSource>,
}

/// The grant of RFC 6749 by which the first token is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// RFC 6749 section 4.4.
    ClientCredentials,
    /// RFC 6749 section 6.
    RefreshToken,
}

/// `[offline]`: what may be accepted while a lane is not up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offline {
    /// Whether anything is.
    pub accept: bool,
    /// Rows pending in a lane.
    pub max_pending: u64,
    /// Rows of one till pending in a lane; not more than `max_pending`. Unless it is set: three
    /// quarters of that where there is more than one till, else all of it.
    pub max_pending_per_till: u64,
    /// How long the lane may have been down.
    pub max_outage: Duration,
    /// Which dates are accepted while a lane is not up.
    pub date_format: DateFormat,
    /// Whether a redemption may be trusted without evidence from another till.
    pub one_till: OneTill,
    /// How long the provider's answer to a check is remembered, on the gateway's elapsed time;
    /// zero: not at all.
    pub remember_checks: Duration,
    /// How many checks are remembered; zero: none.
    pub remember_checks_max: u64,
    /// What a till is told whose check nobody can answer.
    pub unknown_check: UnknownCheck,
    /// What a redemption counts as of which no check said anything.
    pub value_of_unknown: Amount,
    /// What a percentage without a most counts as.
    pub value_of_unbounded: Amount,
    /// What may be at risk in a lane.
    pub max_exposure: Amount,
    /// Acceptances on trust of one till in a lane in the last 60 minutes.
    pub max_per_hour_per_till: u64,
    /// How old a check may be that a rule goes by, unless the rule says so itself.
    pub checked_within: Duration,
    /// What else `[offline]` limits. `max_pending`, `max_outage` and `max_exposure` are not
    /// repeated here.
    pub caps: Caps,
    /// `[[offline.rule]]`, in the order in which they are asked.
    pub rules: RuleList,
    /// The businesses that the providers list, folded, by lane.
    pub listed: Arc<BTreeMap<String, BTreeSet<String>>>,
    /// Lanes whose providers tell codes apart that fold alike.
    pub exact: Arc<BTreeSet<String>>,
    /// The tills that the settings name; none: everybody is one till.
    pub tills: Arc<[String]>,
}

/// `unknown_check`: what a till is told about a code of which nothing is known while the provider
/// cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownCheck {
    /// 503: ask again.
    Refuse,
    /// 200 with nothing in it: the till may go on.
    Answer,
}

/// `date_format`: which dates are accepted while a lane is not up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateFormat {
    /// Those that the contract can mean.
    Contract,
    /// All.
    Any,
}

/// `one_till`: what happens where only one till could say that the provider is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OneTill {
    /// Nothing is accepted on its word alone.
    Refuse,
    /// Its own unanswered request is evidence enough.
    Trust,
}

/// `[forward]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The drain's widest window; one more slot is live traffic's.
    pub max_in_flight: u32,
    /// The first backoff step.
    pub retry_min: Duration,
    /// The longest wait between two probes of a link that is down.
    pub retry_max: Duration,
    /// A fleet's drains begin within this spread after the line is back.
    pub reconnect_spread: Duration,
}

/// `[retention]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionSettings {
    /// How long settled rows are kept.
    pub settled: Duration,
    /// How long used and refused codes are remembered as hashes, when their rows are gone.
    pub codes: Duration,
}

/// `[admin]`: the operators' side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// A loopback address, or any with `tls`, `users` and `hosts`.
    pub listen: SocketAddr,
    /// The commands' own way in: `$RUNTIME_DIRECTORY/admin.sock`, else `admin.sock` in the state
    /// directory.
    pub socket: PathBuf,
    /// The names, beside loopback's own, that a browser may call the console by: host names and
    /// addresses without port.
    pub hosts: Vec<String>,
    /// `[[admin.token]]`: machines. No name is shared with a user.
    pub tokens: Vec<AdminToken>,
    /// `[[admin.user]]`: people.
    pub users: Vec<AdminUser>,
    /// `[admin.tls]`
    pub tls: Option<Tls>,
}

/// `[[admin.token]]`: a machine that may act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminToken {
    /// Who is recorded.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Where its bearer token is.
    pub token: SecretSource,
}

/// `[[admin.user]]`: a person who may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminUser {
    /// The name to sign in with; who is recorded.
    pub name: String,
    /// What the person may do.
    pub role: Role,
    /// Where the password's hash is.
    pub password: SecretSource,
}

/// What somebody may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `see`: look.
    See,
    /// `decide`: retry, void, handled, close, the inbox.
    Decide,
    /// `engineer`: lanes, hold, trust, export, import, backup.
    Engineer,
}

/// `[alert]`: the contract's error webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Where `{"code","endpoint","message"}` is posted.
    pub url: String,
    /// Optional bearer token: `token_file` or `credential`.
    pub token: Option<SecretSource>,
}

/// Limits that a rule may set and that `[offline]` has for where it does not. `None`: none is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// What one redemption may be worth.
    pub max_value: Option<Amount>,
    /// What may be at risk.
    pub max_exposure: Option<Amount>,
    /// Rows that may be pending.
    pub max_pending: Option<u64>,
    /// Acceptances on trust in the last 60 minutes.
    pub max_per_hour: Option<u64>,
    /// Acceptances on trust in the last 24 hours.
    pub max_per_day: Option<u64>,
    /// How much outage may be used.
    pub max_outage: Option<Duration>,
    /// When, on the local clock.
    pub hours: Option<Hours>,
    /// What a code looks like.
    pub code_form: Option<CodeForm>,
}

/// A part of each day on the local clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Its first minute.
    pub from: TimeOfDay,
    /// The minute after its last; before `from`: it passes midnight; equal: all day.
    pub to: TimeOfDay,
}

impl Hours {
    /// Whether this minute of the day, 0 to 1439, lies within.
    #[must_use]
    pub fn has(self, minute: u16) -> bool {
        let (from, to) = (self.from.minute_of_day(), self.to.minute_of_day());
        if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to }
    }
}

/// `code_form`: what a code looks like, byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeForm {
    /// The fewest characters and the most.
    pub length: (u16, u16),
    /// Its characters.
    pub alphabet: Alphabet,
    /// The check that its last characters are.
    pub check: Option<CheckDigit>,
}

/// `alphabet`: the characters of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// All.
    Any,
    /// 0 to 9.
    Digits,
    /// 0 to 9, a to f, A to F.
    Hex,
    /// a to z, A to Z.
    Letters,
    /// Digits and letters.
    Alphanumeric,
}

/// `check`: how a code's last characters follow from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckDigit {
    /// ISO/IEC 7812-1, annex B: one digit.
    Luhn,
    /// ISO/IEC 7064, MOD 97-10: two digits; letters count as 10 to 35.
    Mod97,
    /// GS1 General Specifications, 7.9: one digit.
    Gs1,
}

/// One `[[offline.rule]]`. What is empty fits everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, unique.
    pub name: Arc<str>,
    /// Patterns with `*` of codes, byte by byte.
    pub codes: Vec<String>,
    /// Businesses, folded.
    pub businesses: Vec<String>,
    /// Branches.
    pub branches: Vec<String>,
    /// Tills.
    pub tills: Vec<String>,
    /// Types that a check must have said.
    pub kinds: Vec<String>,
    /// A valid check must be remembered that is not older than this.
    pub checked_within: Option<Duration>,
    /// Words of causes.
    pub causes: Vec<Cause>,
    /// Whether anything is accepted; `None`: as `[offline]` says.
    pub accept: Option<bool>,
    /// Its own limits.
    pub caps: Caps,
}

/// `[[offline.rule]]`, in the order in which they are asked.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RuleList {
    list: Arc<[Rule]>,
    index: Arc<RuleIndex>,
}

impl RuleList {
    /// The rules that can be for such a request, in order; most others are left out.
    pub fn near<'a>(&'a self, asked: &RuleKeys<'_>) -> impl Iterator<Item = &'a Rule> {
        self.index.near(asked).into_iter().filter_map(|place| self.list.get(place))
    }

    /// The rule of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Rule> {
        self.list.get(self.index.named(name)?)
    }
}

impl Deref for RuleList {
    type Target = [Rule];

    fn deref(&self) -> &[Rule] {
        &self.list
    }
}

impl FromIterator<Rule> for RuleList {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        let list: Arc<[Rule]> = rules.into_iter().collect();
        let all: Vec<_> = list.iter().map(|rule| (Arc::clone(&rule.name), rule.values())).collect();
        let index = Arc::new(RuleIndex::of(&all));
        Self { list, index }
    }
}

impl fmt::Debug for RuleList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.fmt(f)
    }
}

fn texts(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

impl Rule {
    /// What it can be looked up by.
    fn values(&self) -> RuleValues<'_> {
        let Self { tills, businesses, branches, kinds, codes, .. } = self;
        [texts(tills), texts(businesses), texts(branches), texts(kinds), beginnings(codes)]
    }

    /// Whether `code` fits one of its patterns.
    #[must_use]
    pub fn fits_code(&self, code: &str) -> bool {
        self.codes.is_empty() || self.codes.iter().any(|pattern| fits(pattern, code))
    }
}
