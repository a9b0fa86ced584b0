//! What must be true, in a few lines: what tills asked, what they were told, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::house::{Heard, LANES, RETENTION};
use crate::provider::{Provider, State};

/// Where a request stands as its till knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It has no answer yet.
    Open,
    /// It was acknowledged.
    Accepted,
    /// The provider refused it.
    Declined,
    /// The gateway refused it: there is no such redemption.
    Refused,
    /// There is a redemption, and its till was not told yes.
    Doubt,
    /// Its till took it back.
    Voided,
}

/// One thing that a till wants, however often it asks.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) till: u64,
    pub(crate) lane: usize,
    pub(crate) code: String,
    pub(crate) body: String,
    pub(crate) id: Option<String>,
    pub(crate) fate: Fate,
    /// How often it was sent.
    pub(crate) sent: u32,
    pub(crate) at: Duration,
}

/// Why a till was refused for the time being.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Pending,
    Outage,
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) asks: Vec<Ask>,
    /// The highest number of a row that anybody was told.
    highest: i64,
    pub(crate) tally: BTreeMap<&'static str, u64>,
}

fn number(id: &str) -> i64 {
    id.split_once('-').and_then(|(number, _)| number.parse().ok()).expect("an id begins with a number")
}

impl Model {
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    /// A till wants something new; its number.
    pub(crate) fn ask(&mut self, till: u64, lane: usize, code: &str, at: Duration) -> usize {
        let n = self.asks.len();
        let body = format!(
            "{{\"reward_code\":\"{code}\",\"business_refrence\":\"shop-{}\", \"branch_id\":\"7\",\"date\":\"{n}\",\n\
             \"timestamp\":\"t\",\"x\":[1.50]}}",
            LANES[lane]
        );
        self.asks.push(Ask { till, lane, code: code.to_owned(), body, id: None, fate: Fate::Open, sent: 0, at });
        n
    }

    /// When anybody first asked for the code of this request.
    pub(crate) fn first_asked(&self, n: usize) -> Duration {
        self.history(n).first().map_or(Duration::ZERO, |ask| ask.at)
    }

    pub(crate) fn highest(&self) -> i64 {
        self.highest
    }

    /// How many redemptions tills know of.
    pub(crate) fn known(&self) -> u64 {
        self.asks.iter().filter(|ask| ask.id.is_some()).count() as u64
    }

    fn others(&self, n: usize) -> impl Iterator<Item = &Ask> {
        let code = &self.asks[n].code;
        self.asks.iter().enumerate().filter(move |(m, ask)| *m != n && ask.code == *code).map(|(_, ask)| ask)
    }

    /// Everything that was asked about the code of this request.
    fn history(&self, n: usize) -> Vec<&Ask> {
        self.asks.iter().filter(|ask| ask.code == self.asks[n].code).collect()
    }

    /// A till hears about its request; `before`: the highest number when it asked.
    pub(crate) fn hear(
        &mut self,
        n: usize,
        (before, now): (i64, Duration),
        heard: &Heard,
        provider: &State,
    ) -> Option<Limit> {
        let known = self.asks[n].id.clone();
        match (heard.status, heard.header("redeemd-state")) {
            (200, Some("pending" | "confirmed")) => {
                self.is_the_same(n, before, heard);
                self.accepted(n, now, heard, provider);
            }
            (200 | 503, Some("parked" | "pending" | "confirmed")) => {
                self.is_the_same(n, before, heard);
                if self.asks[n].fate != Fate::Accepted {
                    self.asks[n].fate = Fate::Doubt;
                }
                self.count("neither yes nor no");
            }
            (400, Some("declined")) => {
                self.is_the_same(n, before, heard);
                let id = self.asks[n].id.as_deref().expect("it has an id");
                assert!(provider.declined.contains(id), "{id}: the provider did not decline it: {heard:?}");
                self.asks[n].fate = Fate::Declined;
                self.count("declined at the till");
            }
            (409, Some("voided")) => assert_eq!(self.asks[n].fate, Fate::Voided, "{heard:?}"),
            (400, state @ (None | Some("voided"))) => {
                assert!(heard.message().contains("has been used"), "{heard:?}");
                let explained = self.others(n).any(|other| other.fate != Fate::Refused);
                assert!(explained, "nobody else asked for it: {:?}, {heard:?}", self.history(n));
                assert!(state.is_some() || known.is_none(), "a repeat is refused that was {:?}", self.asks[n]);
                // Asked again it would be a new question.
                (self.asks[n].fate, self.asks[n].id) = (Fate::Refused, None);
                self.count("refused: used");
            }
            (503, None) => {
                assert!(known.is_none(), "a repeat meets a limit: {:?}, {heard:?}", self.asks[n]);
                self.asks[n].fate = Fate::Refused;
                return Some(self.limit(heard));
            }
            other => panic!("{other:?}: {heard:?}"),
        }
        None
    }

    fn limit(&mut self, heard: &Heard) -> Limit {
        let limit = if heard.message().contains("are waiting") { Limit::Pending } else { Limit::Outage };
        assert!(limit == Limit::Pending || heard.message().contains("has been down"), "{heard:?}");
        self.count(if limit == Limit::Pending { "refused: too many pending" } else { "refused: too long an outage" });
        limit
    }

    /// The answer is about the redemption that it was always about, or about a new one.
    fn is_the_same(&mut self, n: usize, before: i64, heard: &Heard) {
        let id = heard.header("redeemd-id").expect("an id").to_owned();
        if let Some(known) = &self.asks[n].id {
            return assert_eq!(*known, id, "another id for the same request");
        }
        // One that was sent before and got no answer may have had its number since then.
        assert!(self.asks[n].sent > 1 || number(&id) > before, "{id}: numbers go up, {before} was given");
        self.highest = self.highest.max(number(&id));
        self.asks[n].id = Some(id);
    }

    fn accepted(&mut self, n: usize, now: Duration, heard: &Heard, provider: &State) {
        let id = self.asks[n].id.clone().expect("it has an id");
        if heard.header("redeemd-state") == Some("confirmed") {
            let taken = provider.codes.get(&self.asks[n].code).and_then(|seen| seen.taken_by.as_ref());
            let spent = provider.spent.contains(&self.asks[n].code);
            assert!(
                spent || taken == Some(&id),
                "{id} is confirmed and was not taken: {taken:?}, {:?}",
                self.history(n)
            );
        }
        // Nothing guards a code once its settled row has left.
        let rival = self.others(n).find(|other| {
            let is_kept = other.fate == Fate::Accepted && now < other.at + RETENTION;
            is_kept && !other.id.as_ref().is_some_and(|id| provider.declined.contains(id))
        });
        assert!(rival.is_none(), "redeemed twice: {:?} and {rival:?}, {heard:?}", self.asks[n]);
        if self.asks[n].fate != Fate::Accepted {
            self.count("acknowledged");
        }
        self.asks[n].fate = Fate::Accepted;
    }

    /// A till asked to take its redemption back.
    pub(crate) fn hear_void(&mut self, n: usize, heard: &Heard, provider: &State) {
        match heard.status {
            200 => {
                let id = self.asks[n].id.as_ref().expect("only what is known is taken back");
                let seen = provider.codes.get(&self.asks[n].code);
                let in_doubt = seen.is_some_and(|seen| seen.in_doubt.contains(id));
                assert!(!in_doubt, "{id} is taken back although the provider may have taken it");
                self.asks[n].fate = Fate::Voided;
                self.count("taken back");
            }
            409 => self.count("too late to take back"),
            other => panic!("{other}: {heard:?}"),
        }
    }

    /// A till looks at its receipt, which is there for as long as settled rows are kept.
    pub(crate) fn hear_receipt(&mut self, n: usize, heard: &Heard, now: Duration) {
        let ask = &self.asks[n];
        assert!(heard.status == 200 || now > ask.at + RETENTION, "{ask:?}: {heard:?}");
        if heard.status == 200 {
            assert_eq!(heard.body["id"].as_str(), ask.id.as_deref());
            assert!(ask.fate != Fate::Voided || heard.body["state"] == "voided", "{ask:?}: {heard:?}");
        }
        self.count("receipts");
    }

    /// When everything has settled: nothing is lost, doubled, altered, made up or declined of ours.
    pub(crate) fn assert_conserved(&self, providers: &[Provider; 2]) {
        let states = providers.each_ref().map(Provider::state);
        for ask in &self.asks {
            let seen = states[ask.lane].codes.get(&ask.code);
            let Some(id) = &ask.id else { continue };
            let taken = seen.is_some_and(|seen| seen.taken_by.as_ref() == Some(id));
            let declined = states[ask.lane].declined.contains(id);
            assert!(ask.fate != Fate::Accepted || taken || declined, "lost: {ask:?}, {seen:?}");
            let in_doubt = seen.is_some_and(|seen| seen.in_doubt.contains(id));
            assert!(ask.fate != Fate::Voided || !in_doubt, "taken back and sent: {ask:?}");
        }
        let sent: BTreeSet<&str> = self.asks.iter().map(|ask| ask.body.as_str()).collect();
        let mut bodies = BTreeSet::new();
        for (key, body) in states.iter().flat_map(|state| state.codes.values()).flat_map(|seen| &seen.keys) {
            let body = std::str::from_utf8(body).expect("a till's bytes");
            assert!(sent.contains(body), "{key}: no till sent {body}");
            assert!(bodies.insert(body), "{key}: the same request under two keys: {body}");
        }
    }
}
