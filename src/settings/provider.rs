//! The checks of `[[provider]]`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::address;
use super::layer::{Bag, List, TableEntry};
use super::problem::Faults;
use super::reader::{BagReader, TEXT_BYTES_MAX};
use super::types::{
    Auth, Grant, OAuth, Provider, ProxyLogin, SameCode, SecretSource, SuccessSetting,
};
use super::value::{KeyValue, numbered};
use crate::fold;
use crate::redemption::{LANE_BYTES_MAX, is_lane_name};

/// Statuses that have a meaning of their own in every answer, so that none of them can decline.
const NEVER_DECLINES: [u16; 5] = [401, 403, 408, 425, 429];
/// The contract's own refusal.
const CONTRACT_REFUSAL: u16 = 400;
/// What the shipped file has in place of the merchant's own service id, however a browser that it
/// was copied from has written it.
const PLACEHOLDERS: [&str; 2] = ["://SERVICE.", "://service.retm.sa/"];
/// What the shipped file has in place of a name that the provider gives.
const ELLIPSES: [&str; 2] = ["…", "..."];

/// The provider of `entry`; `None` only after a fault was noted.
pub(super) fn provider(entry: &TableEntry, faults: &mut Faults) -> Option<Provider> {
    let mut read = BagReader::entry(entry, List::Provider, faults);
    if read.text("provider.name").is_some() && !is_lane_name(&entry.name) {
        let right = format!(
            "write 1 to {LANE_BYTES_MAX} of a-z, 0-9, '.', '_' and '-', not beginning with '.'"
        );
        read.fault("provider.name", right);
    }
    let allow_plain_http = read.flag("provider.allow_plain_http");
    let redeem_url = redeem_url(&mut read, allow_plain_http);
    let auth = auth(&mut read, allow_plain_http);
    let check_url = own_url(&mut read, "provider.check_url", allow_plain_http);
    let rest = rest(&mut read);
    // Everything has been looked at before a missing part ends it, so that all problems come at
    // once.
    let (redeem_url, auth) = (redeem_url?, auth?);
    Some(Provider {
        name: entry.name.clone(),
        redeem_url,
        check_url,
        auth,
        allow_plain_http,
        ..rest
    })
}

impl Provider {
    /// A provider with the default of every other key.
    #[must_use]
    pub fn new(name: &str, redeem_url: &str, auth: Auth) -> Self {
        let mut faults = Faults::default();
        let entry = TableEntry { name: name.to_owned(), bag: Bag::new() };
        let rest = rest(&mut BagReader::entry(&entry, List::Provider, &mut faults));
        Self { name: name.to_owned(), redeem_url: redeem_url.to_owned(), auth, ..rest }
    }

    /// Checks go where redemptions go: one that finds no connection tells of theirs.
    #[must_use]
    pub fn checks_show_the_link(&self) -> bool {
        self.check_url
            .as_deref()
            .is_some_and(|check| address::is_same_place(check, &self.redeem_url))
    }
}

/// What needs no other key: a provider without name, URLs and credential.
fn rest(read: &mut BagReader) -> Provider {
    let (proxy, proxy_login) = (proxy(read), proxy_login(read));
    Provider {
        name: String::new(),
        businesses: read.texts("provider.businesses"),
        redeem_url: String::new(),
        check_url: None,
        auth: Auth::Token(SecretSource::Credential(String::new())),
        ca_file: read.path("provider.ca_file"),
        proxy,
        proxy_login,
        allow_plain_http: false,
        timeout: read.duration("provider.timeout"),
        declined_status: declined_status(read),
        already_used: read.texts("provider.already_used"),
        in_progress: read.texts("provider.in_progress"),
        success: success(read),
        weak_after: read.duration("provider.weak_after"),
        weak_declines: read.flag("provider.weak_declines"),
        accept_language: accept_language(read),
        same_code: same_code(read),
        canary: read.flag("provider.canary"),
        reusable_codes: reusable_codes(read),
    }
}

fn success(read: &mut BagReader) -> SuccessSetting {
    let ways = [("lenient", SuccessSetting::Lenient), ("contract", SuccessSetting::Contract)];
    read.choice("provider.success", &ways).unwrap_or(SuccessSetting::Lenient)
}

fn same_code(read: &mut BagReader) -> SameCode {
    let ways = [("folded", SameCode::Folded), ("exact", SameCode::Exact)];
    read.choice("provider.same_code", &ways).unwrap_or(SameCode::Folded)
}

/// A value of `Accept-Language` (RFC 9110 section 12.5.4), by its characters.
fn accept_language(read: &mut BagReader) -> String {
    let path = "provider.accept_language";
    let text = read.text(path).unwrap_or_default();
    let usual = |b: u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'*' | b',' | b';' | b'=' | b'.' | b' ')
    };
    if text.is_empty() || text.len() > TEXT_BYTES_MAX || !text.bytes().all(usual) {
        read.fault(
            path,
            "write languages as in a browser's header, such as \"en\" or \"ar, en;q=0.5\"",
        );
    }
    text
}

fn proxy_login(read: &mut BagReader) -> Option<ProxyLogin> {
    const USER: &str = "provider.proxy_user";
    const FILE: &str = "provider.proxy_password_file";
    const CREDENTIAL: &str = "provider.proxy_password_credential";
    let has_password = read.has(FILE) || read.has(CREDENTIAL);
    let password = read.secret(FILE, CREDENTIAL);
    if !read.has(USER) {
        if has_password {
            read.missing(USER, "USER");
        }
        return None;
    }
    if !read.has("provider.proxy") {
        read.fault(USER, "there is no proxy: write proxy = \"http://HOST:PORT\" or take this out");
    }
    if !has_password {
        read.fault(
            FILE,
            "it is missing: write proxy_password_file = \"…\" or proxy_password_credential = \"…\"",
        );
    }
    let user = read.needed_text(USER, TEXT_BYTES_MAX);
    if user.contains(':') {
        read.fault(USER, "a proxy's user holds no ':'");
    }
    Some(ProxyLogin { user, password: password? })
}

fn redeem_url(read: &mut BagReader, allow_plain_http: bool) -> Option<String> {
    let path = "provider.redeem_url";
    if !read.has(path) {
        read.missing(path, "https://SERVICE.retm.sa/…");
    }
    own_url(read, path, allow_plain_http)
}

/// A URL in which the merchant's own service id stands.
fn own_url(read: &mut BagReader, path: &'static str, allow_plain_http: bool) -> Option<String> {
    let url = read.url(path, allow_plain_http)?;
    if PLACEHOLDERS.iter().any(|example| url.contains(example)) {
        read.fault(
            path,
            "SERVICE is the example's: put in the service id that the provider gave you",
        );
    }
    Some(url)
}

fn proxy(read: &mut BagReader) -> Option<String> {
    let proxy = read.text("provider.proxy")?;
    if let Err(message) = address::proxy(&proxy) {
        read.fault("provider.proxy", message);
    }
    Some(proxy)
}

const TOKEN_FILE: &str = "provider.token_file";
const CREDENTIAL: &str = "provider.credential";
const OAUTH: &str = "provider.oauth";

fn auth(read: &mut BagReader, allow_plain_http: bool) -> Option<Auth> {
    let right = "write token_file = \"…\", credential = \"…\" or a [provider.oauth] section";
    let token = read.has(TOKEN_FILE) || read.has(CREDENTIAL);
    if read.has(OAUTH) {
        if token {
            read.fault(OAUTH, format!("a token is set as well: {right}, one of them"));
        }
        return oauth(read, allow_plain_http).map(Auth::OAuth);
    }
    if !token {
        read.fault(TOKEN_FILE, format!("a provider needs a token: {right}"));
    }
    read.secret(TOKEN_FILE, CREDENTIAL).map(Auth::Token)
}

fn oauth(read: &mut BagReader, allow_plain_http: bool) -> Option<OAuth> {
    if !read.has("provider.oauth.token_url") {
        read.missing("provider.oauth.token_url", "https://HOST/PATH");
    }
    let token_url = own_url(read, "provider.oauth.token_url", allow_plain_http);
    let client_id = read.needed_text("provider.oauth.client_id", TEXT_BYTES_MAX);
    if ELLIPSES.contains(&client_id.as_str()) {
        read.fault(
            "provider.oauth.client_id",
            "this is the example's: put in the id that the provider gave you",
        );
    }
    let (file, credential) =
        ("provider.oauth.client_secret_file", "provider.oauth.client_secret_credential");
    if !read.has(file) && !read.has(credential) {
        read.fault(
            file,
            "it is missing: write client_secret_file = \"…\" or client_secret_credential = \"…\"",
        );
    }
    let client_secret = read.secret(file, credential);
    let grant = grant(read);
    let refresh_token = refresh_token(read, grant);
    Some(OAuth {
        token_url: token_url?,
        client_id,
        client_secret: client_secret?,
        grant,
        refresh_token,
    })
}

fn grant(read: &mut BagReader) -> Grant {
    let ways =
        [("client_credentials", Grant::ClientCredentials), ("refresh_token", Grant::RefreshToken)];
    read.choice("provider.oauth.grant", &ways).unwrap_or(Grant::ClientCredentials)
}

fn refresh_token(read: &mut BagReader, grant: Grant) -> Option<SecretSource> {
    let (file, credential) =
        ("provider.oauth.refresh_token_file", "provider.oauth.refresh_token_credential");
    let set = read.has(file) || read.has(credential);
    match grant {
        Grant::RefreshToken if !set => {
            let right = "grant = \"refresh_token\" begins with one: write refresh_token_file \
                = \"…\" or \
                         refresh_token_credential = \"…\"";
            read.fault(file, right);
        }
        Grant::ClientCredentials if set => {
            let path = if read.has(file) { file } else { credential };
            read.fault(
                path,
                "it is used with grant = \"refresh_token\" alone: set that or take this out",
            );
        }
        Grant::RefreshToken | Grant::ClientCredentials => {}
    }
    read.secret(file, credential)
}

fn declined_status(read: &mut BagReader) -> Vec<u16> {
    let path = "provider.declined_status";
    let written = read.integers(path);
    let fits = |status: &u16| (400..=499).contains(status) && !NEVER_DECLINES.contains(status);
    let mut statuses = Vec::new();
    for (index, number) in written.iter().enumerate() {
        if let Some(status) = u16::try_from(*number).ok().filter(fits) {
            statuses.push(status);
            continue;
        }
        let wrong = format!(
            "{number} does not fit: write statuses from 400 to 499, without {NEVER_DECLINES:?}"
        );
        read.fault(path, numbered(index, wrong));
    }
    if statuses.len() == written.len()
        && read.is_readable(path)
        && !statuses.contains(&CONTRACT_REFUSAL)
    {
        read.warn(
            path,
            "without 400, the contract's own refusal is taken for a blocked line and \
            nothing is declined",
        );
    }
    statuses
}

fn reusable_codes(read: &mut BagReader) -> Vec<String> {
    let path = "provider.reusable_codes";
    let patterns = read.texts(path);
    if patterns.iter().any(|pattern| !pattern.is_empty() && pattern.bytes().all(|b| b == b'*')) {
        read.warn(path, "\"*\" fits every code: none is guarded against being redeemed twice");
    }
    patterns
}

/// No business is served by two providers, in whatever clothes, and at most one serves all the
/// others.
pub(super) fn check_businesses(entries: &[TableEntry], faults: &mut Faults) {
    let mut owners: BTreeMap<Cow<'_, str>, &str> = BTreeMap::new();
    let mut rest: Option<&str> = None;
    for entry in entries {
        let item = entry.bag.get("provider.businesses");
        let origin = item.map(|item| item.origin.as_str());
        let businesses = match item.map(|item| &item.value) {
            Some(Some(KeyValue::Texts(businesses))) => businesses.as_slice(),
            Some(_) => continue,
            None => &[],
        };
        let key = format!("{}.businesses", List::Provider.label(&entry.name));
        if businesses.is_empty()
            && let Some(other) = rest.replace(&entry.name)
        {
            let message = format!(
                "it is empty, and provider {other:?} has all others already: list them in one of \
                 them"
            );
            faults.add(&key, message, origin);
        }
        for business in businesses {
            if let Some(other) = owners.insert(fold::code(business), &entry.name) {
                faults.add(
                    &key,
                    format!("{business:?} is served by provider {other:?} already: list it once"),
                    origin,
                );
            }
        }
    }
}
