//! Which till asks: its bearer token, compared in constant time and followed as its file changes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::http::{HeaderMap, header};
use subtle::ConstantTimeEq;

use crate::files::{self, LOOK_EVERY};
use crate::fold;
use crate::listen::bearer;
use crate::message::{Fault, Language};
use crate::queue::UnreadTill;
use crate::redemption::Fingerprint;
use crate::settings::{SecretSource, Till};

/// The till that everybody is when none is configured.
const ANONYMOUS: &str = "anonymous";

/// The tills and their tokens.
pub(super) struct Tills {
    anonymous: Arc<str>,
    credentials_dir: Option<PathBuf>,
    are_configured: bool,
    /// Of the tills that speak one whatever they ask for.
    languages: HashMap<String, Language>,
    /// Of the tills that may not redeem for everything.
    bindings: HashMap<String, Binding>,
    followed: Mutex<FollowedTills>,
}

/// What a till may redeem for, folded; an empty list: all.
struct Binding {
    businesses: Vec<String>,
    branches: Vec<String>,
}

impl Binding {
    fn of(till: &Till) -> Option<(String, Self)> {
        let folded =
            |all: &[String]| all.iter().map(|one| fold::code(one).into_owned()).collect::<Vec<_>>();
        let binding =
            Self { businesses: folded(&till.businesses), branches: folded(&till.branches) };
        let is_bound = !binding.businesses.is_empty() || !binding.branches.is_empty();
        is_bound.then(|| (till.name.clone(), binding))
    }
}

/// Whether `value` is one of the folded `names`, or there are none.
fn is_one_of(value: &str, names: &[String]) -> bool {
    let folded: Cow<'_, str> = fold::code(value);
    names.is_empty() || names.iter().any(|name| *name == folded)
}

struct FollowedTills {
    looked_at: Instant,
    tills: Vec<KnownTill>,
}

#[derive(Clone)]
struct KnownTill {
    name: Arc<str>,
    source: SecretSource,
    /// Of its token; the token itself is not kept. `None` as long as it could not be read.
    token: Option<Fingerprint>,
    /// The last reading was in vain.
    is_unread: bool,
    /// Its file, from when it was last read, in vain or not.
    file: files::Followed,
}

impl Tills {
    /// After a reload, a till whose token cannot be read keeps the one that it has in `earlier`.
    pub(super) fn new(
        tills: &[Till],
        credentials_dir: Option<&Path>,
        earlier: Option<&Self>,
    ) -> Self {
        let earlier = earlier.map(|earlier| earlier.unshared(tills, credentials_dir));
        let known = tills.iter().map(|till| {
            let mut known = KnownTill::new(till, credentials_dir);
            let token =
                |earlier: &Vec<KnownTill>| earlier.iter().find_map(|one| one.token_of(till));
            known.token = earlier.as_ref().and_then(token);
            known.read(credentials_dir);
            known
        });
        Self {
            anonymous: ANONYMOUS.into(),
            credentials_dir: credentials_dir.map(Path::to_owned),
            are_configured: !tills.is_empty(),
            languages: tills
                .iter()
                .filter_map(|till| Some((till.name.clone(), till.language?)))
                .collect(),
            bindings: tills.iter().filter_map(Binding::of).collect(),
            followed: Mutex::new(FollowedTills {
                looked_at: Instant::now(),
                tills: known.collect(),
            }),
        }
    }

    /// Those known here, without the tokens that one of the new `tills` has in its file now: that
    /// is whose they are.
    fn unshared(&self, tills: &[Till], credentials_dir: Option<&Path>) -> Vec<KnownTill> {
        let read = |till: &Till| till.token.token(credentials_dir).ok();
        let taken: Vec<_> =
            tills.iter().filter_map(read).map(|token| fingerprint(token.reveal())).collect();
        let mut known = self.followed.lock().unwrap_or_else(PoisonError::into_inner).tills.clone();
        known.retain(|till| till.token.is_none_or(|token| !taken.contains(&token)));
        known
    }

    /// The tills whose tokens cannot be read now.
    pub(super) fn unread(&self) -> Vec<UnreadTill> {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.follow_now_and_then(self.credentials_dir.as_deref());
        let unread = followed.tills.iter().filter(|till| till.is_unread);
        unread
            .map(|till| UnreadTill { till: till.name.to_string(), kept: till.token.is_some() })
            .collect()
    }

    /// Whether tokens are asked for.
    pub(super) fn are_configured(&self) -> bool {
        self.are_configured
    }

    /// What `till` asks for and is not set up for: a fault for each field; empty where it may ask.
    /// A Check Reward names no branch.
    pub(super) fn beyond_binding(
        &self,
        till: &str,
        business: &str,
        branch: Option<&str>,
    ) -> Vec<Fault> {
        let Some(binding) = self.bindings.get(till) else { return Vec::new() };
        let business_fits = is_one_of(business, &binding.businesses);
        let branch_fits = branch.is_none_or(|branch| is_one_of(branch, &binding.branches));
        let told = |field: &str| Fault::NotBound { field: field.to_owned() };
        let fields = [(business_fits, "business_refrence"), (branch_fits, "branch_id")];
        fields.into_iter().filter(|(fits, _)| !fits).map(|(_, field)| told(field)).collect()
    }

    /// The language that the settings give to `till`, else the one that its request asks for.
    pub(super) fn language(&self, till: &str, headers: &HeaderMap) -> Language {
        self.languages.get(till).copied().unwrap_or_else(|| asked_for(headers))
    }

    /// The till whose token these headers carry.
    pub(super) fn authenticate(&self, headers: &HeaderMap) -> Option<Arc<str>> {
        if !self.are_configured {
            return Some(Arc::clone(&self.anonymous));
        }
        let offered = fingerprint(bearer(headers)?);
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.follow_now_and_then(self.credentials_dir.as_deref());
        followed.till_of(offered)
    }

    /// Looks at the files at the next request, however recently they were looked at.
    #[cfg(test)]
    fn look_now(&self) {
        let mut followed = self.followed.lock().expect("not poisoned");
        followed.follow(self.credentials_dir.as_deref());
    }
}

impl FollowedTills {
    fn follow_now_and_then(&mut self, credentials_dir: Option<&Path>) {
        if self.looked_at.elapsed() >= LOOK_EVERY {
            self.follow(credentials_dir);
        }
    }

    fn follow(&mut self, credentials_dir: Option<&Path>) {
        self.looked_at = Instant::now();
        let mut is_new = false;
        for till in &mut self.tills {
            if till.file.has_changed() {
                is_new |= till.read(credentials_dir);
            }
        }
        if is_new {
            self.tell_shared();
        }
    }

    /// A start and a reload refuse two tills with one token; a file that was put in place since
    /// cannot be refused.
    fn tell_shared(&self) {
        for (place, till) in self.tills.iter().enumerate() {
            let earlier = self.tills.iter().take(place);
            let same = |other: &&KnownTill| other.token.is_some() && other.token == till.token;
            if let Some(other) = earlier.into_iter().find(same) {
                tracing::error!(till = %till.name, taken_for = %other.name, "two tills have the \
                    same token: what the one asks is taken for the other's");
            }
        }
    }

    /// Every token is compared, so that the time taken tells nothing about which one came near.
    fn till_of(&self, offered: Fingerprint) -> Option<Arc<str>> {
        let mut found = None;
        for till in &self.tills {
            let equal = till.token.is_some_and(|token| token.0.ct_eq(&offered.0).into());
            if equal && found.is_none() {
                found = Some(Arc::clone(&till.name));
            }
        }
        found
    }
}

impl KnownTill {
    /// It is to be read.
    fn new(till: &Till, credentials_dir: Option<&Path>) -> Self {
        Self {
            name: till.name.as_str().into(),
            source: till.token.clone(),
            token: None,
            is_unread: false,
            file: till.token.followed(credentials_dir),
        }
    }

    /// Its token, if it is this `till` with the same file.
    fn token_of(&self, till: &Till) -> Option<Fingerprint> {
        self.token.filter(|_| *self.name == *till.name && self.source == till.token)
    }

    /// Whether the token is another now. One that cannot be read leaves the earlier one in force: a
    /// file that is being replaced must not turn a till away, nor must a reload.
    fn read(&mut self, credentials_dir: Option<&Path>) -> bool {
        let before = self.token;
        let read = self.source.token(credentials_dir);
        self.is_unread = read.is_err();
        match read {
            Ok(token) => self.token = Some(fingerprint(token.reveal())),
            Err(error) => {
                let kept = self.token.is_some();
                tracing::warn!(till = %self.name, %error, kept, "a till's token cannot be read");
            }
        }
        self.token != before
    }
}

/// What `Accept-Language` asks for.
pub(super) fn asked_for(headers: &HeaderMap) -> Language {
    let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    Language::from_accept_language(asked.unwrap_or_default())
}

/// Fingerprints have one length, so that comparing them does not tell a token's.
fn fingerprint(token: &str) -> Fingerprint {
    Fingerprint::of(&["till's token", token])
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (header::AUTHORIZATION, value.parse().expect("a value")))
            .collect()
    }

    fn asks(tills: &Tills, token: &str) -> Option<String> {
        tills.authenticate(&headers(&[&format!("Bearer {token}")])).map(|till| till.to_string())
    }

    fn two(folder: &TempDir) -> Tills {
        let tills = ["one", "two"].map(|name| {
            fs::write(folder.path().join(name), format!("{name}-token\n")).expect("written");
            Till::new(name, SecretSource::Credential(name.to_owned()))
        });
        Tills::new(&tills, Some(folder.path()), None)
    }

    #[test]
    fn a_bound_till_asks_for_its_own_however_they_are_written_and_an_unbound_one_for_all() {
        let token = || SecretSource::Credential("none".to_owned());
        let bound = Till {
            businesses: vec!["Shop-1".to_owned(), "cafe".to_owned()],
            branches: vec!["\u{667}".to_owned()],
            ..Till::new("bound", token())
        };
        let tills = Tills::new(&[bound, Till::new("free", token())], None, None);
        let beyond =
            |till: &str, business: &str, branch| tills.beyond_binding(till, business, branch).len();
        assert_eq!((beyond("bound", " SHOP-1", Some("7")), beyond("bound", "cafe", None)), (0, 0));
        assert_eq!(
            (beyond("bound", "shop-2", Some("7")), beyond("bound", "shop-2", Some("8"))),
            (1, 2)
        );
        assert_eq!(beyond("free", "anything", Some("8")), 0);
    }

    #[test]
    fn a_till_is_spoken_to_in_its_own_language_and_else_in_the_one_it_asks_for() {
        let token = || SecretSource::Credential("none".to_owned());
        let arabic = Till { language: Some(Language::Arabic), ..Till::new("one", token()) };
        let tills = Tills::new(&[arabic, Till::new("two", token())], None, None);
        let mut asks = HeaderMap::new();
        assert_eq!(
            (tills.language("one", &asks), tills.language("two", &asks)),
            (Language::Arabic, Language::English)
        );
        asks.insert(header::ACCEPT_LANGUAGE, "ar-SA, en;q=0.5".parse().expect("a value"));
        assert_eq!(tills.language("two", &asks), Language::Arabic);
        asks.insert(header::ACCEPT_LANGUAGE, "en".parse().expect("a value"));
        assert_eq!(tills.language("one", &asks), Language::Arabic);
    }

    #[test]
    fn without_tills_everybody_is_anonymous() {
        let tills = Tills::new(&[], None, None);
        assert_eq!(tills.authenticate(&HeaderMap::new()).as_deref(), Some("anonymous"));
        assert_eq!(asks(&tills, "any").as_deref(), Some("anonymous"));
    }

    #[test]
    fn a_token_names_its_till_and_no_other_token_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let tills = two(&folder);
        assert_eq!(asks(&tills, "one-token").as_deref(), Some("one"));
        assert_eq!(asks(&tills, "two-token").as_deref(), Some("two"));
        for wrong in ["", "one", "one-tokem", "one-token2", "One-token"] {
            assert_eq!(asks(&tills, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_file_that_holds_no_token_lets_nobody_in() {
        let folder = tempfile::tempdir().expect("a folder");
        for text in ["two words", "Bearer one-token"] {
            fs::write(folder.path().join("one"), text).expect("written");
            let till = Till::new("one", SecretSource::Credential("one".to_owned()));
            assert_eq!(asks(&Tills::new(&[till], Some(folder.path()), None), text), None, "{text}");
        }
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case_and_there_is_one_header() {
        let folder = tempfile::tempdir().expect("a folder");
        let tills = two(&folder);
        let asked = |values: &[&str]| tills.authenticate(&headers(values)).is_some();
        assert!(asked(&["bearer one-token"]) && asked(&["BEARER  one-token "]));
        assert!(!asked(&["one-token"]) && !asked(&["Basic one-token"]) && !asked(&[]));
        assert!(!asked(&["Bearer one-token", "Bearer one-token"]));
    }

    #[test]
    fn a_replaced_token_is_followed_and_the_old_one_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let tills = two(&folder);
        fs::write(folder.path().join("new"), "fresh").expect("written");
        fs::rename(folder.path().join("new"), folder.path().join("one")).expect("renamed");
        tills.look_now();
        assert_eq!(asks(&tills, "fresh").as_deref(), Some("one"));
        assert_eq!(asks(&tills, "one-token"), None);
        assert_eq!(asks(&tills, "two-token").as_deref(), Some("two"));
    }

    #[test]
    fn a_token_that_cannot_be_read_keeps_the_earlier_one_over_a_reload_and_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let tills = two(&folder);
        assert_eq!(tills.unread(), []);
        fs::write(folder.path().join("one"), " \n").expect("written");
        fs::remove_file(folder.path().join("two")).expect("removed");
        tills.look_now();
        let known = |names: [&str; 2]| {
            names.map(|name| Till::new(name, SecretSource::Credential(name.to_owned())))
        };
        let unread = |till: &str, kept| UnreadTill { till: till.to_owned(), kept };
        let reloaded = Tills::new(&known(["one", "two"]), Some(folder.path()), Some(&tills));
        for tills in [&tills, &reloaded] {
            assert!(asks(tills, "one-token").is_some() && asks(tills, "two-token").is_some());
            assert_eq!(tills.unread(), [unread("one", true), unread("two", true)]);
        }
        let others = Tills::new(&known(["one", "three"]), Some(folder.path()), Some(&reloaded));
        assert!(asks(&others, "one-token").is_some() && asks(&others, "two-token").is_none());
        assert_eq!(others.unread(), [unread("one", true), unread("three", false)]);
        assert!(asks(&others, "").is_none(), "no token is nobody's token");
    }

    #[test]
    fn a_token_that_was_put_into_another_tills_file_is_that_tills_after_a_reload() {
        let folder = tempfile::tempdir().expect("a folder");
        let tills = two(&folder);
        fs::rename(folder.path().join("one"), folder.path().join("two")).expect("renamed");
        let known =
            ["one", "two"].map(|name| Till::new(name, SecretSource::Credential(name.to_owned())));
        let reloaded = Tills::new(&known, Some(folder.path()), Some(&tills));
        assert_eq!(asks(&reloaded, "one-token").as_deref(), Some("two"));
    }
}
