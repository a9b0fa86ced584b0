//! What must be true, in a few lines: what tills asked, what they were told, and what follows from
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::house::{Heard, LANES, RETENTION};
use crate::provider::{INVENTED, Provider, State};
use crate::risk::{self, Book};

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
    /// The redemption that was given in the gateway's own name.
    pub(crate) on_trust: Option<String>,
    /// It was told about an earlier request's redemption, once: asked again it is a question of its
    /// own.
    pub(crate) is_anothers: bool,
    /// There is a redemption of its code, although it was refused: its own, in doubt until it was
    /// told "used" since that was given at another till, or another's, about which it was told.
    pub(crate) stands: bool,
    /// How often it was sent.
    pub(crate) sent: u32,
    pub(crate) at: Duration,
}

/// Why a till was refused for the time being.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Pending,
    Outage,
    Held,
    /// What is at risk, a rate, a rule, a switch.
    Risk,
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) asks: Vec<Ask>,
    /// The highest number of a row that anybody was told.
    highest: i64,
    /// Redemptions that an operator closed.
    pub(crate) closed: BTreeSet<String>,
    pub(crate) tally: BTreeMap<&'static str, u64>,
    /// What is known of values, rules and checks.
    pub(crate) risk: Book,
}

fn number(id: &str) -> i64 {
    id.split_once('-')
        .and_then(|(number, _)| number.parse().ok())
        .expect("an id begins with a number")
}

impl Model {
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    /// A till wants something new; its number.
    pub(crate) fn ask(&mut self, till: u64, lane: usize, code: &str, at: Duration) -> usize {
        let n = self.asks.len();
        let body = format!(
            "{{\"reward_code\":\"{code}\",\"business_refrence\":\"shop-{}\", \"branch_id\":\"7\",\
             \"date\":\"2026-11-25 08:00:00\",\n\
             \"timestamp\":\"{n}\",\"x\":[1.50]}}",
            LANES[lane]
        );
        let code = code.to_owned();
        self.asks.push(Ask {
            till,
            lane,
            code,
            body,
            id: None,
            fate: Fate::Open,
            on_trust: None,
            is_anothers: false,
            stands: false,
            sent: 0,
            at,
        });
        n
    }

    /// When anybody first asked for the code of this request.
    pub(crate) fn first_asked(&self, n: usize) -> Duration {
        self.history(n).first().map_or(Duration::ZERO, |ask| ask.at)
    }

    pub(crate) fn highest(&self) -> i64 {
        self.highest
    }

    /// How many redemptions tills know of. Several requests may have been told of one: who asks for
    /// a code again before it is answered joins the first.
    pub(crate) fn known(&self) -> u64 {
        self.asks.iter().filter_map(|ask| ask.id.as_ref()).collect::<BTreeSet<_>>().len() as u64
    }

    fn others(&self, n: usize) -> impl Iterator<Item = &Ask> {
        let code = &self.asks[n].code;
        self.asks
            .iter()
            .enumerate()
            .filter(move |(m, ask)| *m != n && ask.code == *code)
            .map(|(_, ask)| ask)
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
        let about = heard.header("redeemd-id");
        if self.asks[n].is_anothers && about != self.asks[n].id.as_deref() {
            // What is owed is given once.
            let ask = &mut self.asks[n];
            (ask.fate, ask.id, ask.is_anothers, ask.stands) = (Fate::Open, None, false, true);
        }
        let was = self.asks[n].clone();
        let was_given = was.fate == Fate::Accepted;
        match (heard.status, heard.header("redeemd-state")) {
            (200, Some("pending" | "confirmed" | "parked")) => {
                let id = self.is_the_same(n, before, heard);
                self.accepted(n, &id, now, heard, provider);
            }
            (503, Some("pending" | "parked")) => {
                self.is_the_same(n, before, heard);
                assert!(!was_given, "a yes is taken back: {was:?}, {heard:?}");
                self.asks[n].fate = Fate::Doubt;
                self.count("neither yes nor no");
            }
            (503, Some("voided")) => {
                assert!(!was_given, "a yes is taken back: {was:?}, {heard:?}");
                (self.asks[n].fate, self.asks[n].id) = (Fate::Refused, None);
                self.count("turned away");
            }
            (400 | 404, Some("declined")) => self.declined(n, before, heard, provider),
            (400, Some("parked")) => {
                self.is_the_same(n, before, heard);
                assert!(!was_given, "a yes is taken back: {was:?}, {heard:?}");
                self.asks[n].fate = Fate::Doubt;
                self.count("told what a success said of its failure");
            }
            (409, Some("voided")) => {
                let closed = heard.header("redeemd-id").is_some_and(|id| self.closed.contains(id));
                assert!(was.fate == Fate::Voided || closed, "{was:?}, {heard:?}");
            }
            (400 | 404, None | Some("voided")) if self.is_refused_by_what_is_known(n, heard) => {
                assert!(!was_given, "a yes is taken back: {was:?}, {heard:?}");
                (self.asks[n].fate, self.asks[n].id) = (Fate::Refused, None);
            }
            (400, state @ (None | Some("voided"))) => {
                let gone = ["has been used", "was refused before"];
                assert!(gone.iter().any(|said| heard.message().contains(said)), "{heard:?}");
                let explained = was.stands
                    || self.risk.was_checked(&was.code)
                    || self.others(n).any(|other| other.fate != Fate::Refused || other.stands);
                assert!(explained, "nobody else asked for it: {:?}, {heard:?}", self.history(n));
                // It may have joined an earlier request, of which nobody was told the number.
                let joined = was.fate == Fate::Doubt && self.history(n).len() > 1;
                let is_new = state.is_some() || was.id.is_none() || joined;
                assert!(is_new, "a repeat is refused that was {was:?}: {heard:?}");
                self.asks[n].stands |= was.fate == Fate::Doubt;
                // Asked again it would be a new question.
                (self.asks[n].fate, self.asks[n].id) = (Fate::Refused, None);
                self.count("refused: used");
            }
            // What becomes of it is found out when it is asked again.
            (503, _) if heard.message().contains("nothing was stored") => {
                assert!(!was_given || about.is_none(), "a yes is taken back: {was:?}, {heard:?}");
                self.count("refused: the disk cannot be written");
            }
            (503, None) => {
                assert!(was.id.is_none(), "a repeat meets a limit: {was:?}, {heard:?}");
                self.asks[n].fate = Fate::Refused;
                let asked = ["has not answered about a code", "is still under way"];
                if asked.iter().any(|said| heard.message().contains(said)) {
                    self.is_being_asked(n, heard);
                    return None;
                }
                return Some(self.limit(heard));
            }
            other => panic!("{other:?}: {heard:?}"),
        }
        None
    }

    /// The till's earlier request for the code, whose answer it has not heard, is on its way.
    fn is_being_asked(&mut self, n: usize, heard: &Heard) {
        let till = self.asks[n].till;
        let on_its_way =
            |other: &Ask| other.till == till && matches!(other.fate, Fate::Open | Fate::Doubt);
        assert!(
            self.others(n).any(on_its_way),
            "nothing is on its way: {:?}, {heard:?}",
            self.history(n)
        );
        self.count("told to ask again: being asked");
    }

    fn limit(&mut self, heard: &Heard) -> Limit {
        let (limit, what) = match heard.message() {
            said if said.contains("may wait for the line") => {
                (Limit::Pending, "refused: too many pending")
            }
            said if said.contains("while the provider does not answer") => {
                (Limit::Outage, "refused: too long an outage")
            }
            said if said.contains("on hold") => (Limit::Held, "refused: held"),
            said => (Limit::Risk, risk::limit(said).unwrap_or_else(|| panic!("{heard:?}"))),
        };
        self.count(what);
        limit
    }

    /// A code that no store's code can be, or that the provider refused to a check or to another
    /// till.
    fn is_refused_by_what_is_known(&mut self, n: usize, heard: &Heard) -> bool {
        let Ask { code, till, .. } = self.asks[n].clone();
        // Who hung up has not heard what the provider said.
        let is_anothers =
            |other: &Ask| other.till != till && other.sent > 0 && other.fate != Fate::Accepted;
        let is_ours =
            |said: &str| ["has been used", "was refused"].iter().any(|p| said.contains(p));
        match heard.message() {
            said if said.contains("is not valid") => {
                assert!(risk::is_misread(&code), "it is well formed: {code}, {heard:?}");
                self.count("refused: no code's form");
                true
            }
            said if said.contains("not found") => {
                let was_checked = self.risk.was_checked(&code);
                let is_known = was_checked || self.others(n).any(is_anothers);
                assert!(code.starts_with(INVENTED) && is_known, "who said so? {code}, {heard:?}");
                self.count(if was_checked {
                    "refused: as its check was"
                } else {
                    "refused in the words of before"
                });
                true
            }
            said if !is_ours(said) && self.others(n).any(is_anothers) => {
                self.count("refused in the words of before");
                true
            }
            _ => false,
        }
    }

    /// Refused by the provider: this request, or an earlier one of its code.
    fn declined(&mut self, n: usize, before: i64, heard: &Heard, provider: &State) {
        let id = heard.header("redeemd-id").expect("an id").to_owned();
        let was = self.asks[n].clone();
        let by_it = provider.declined.contains(&id);
        assert!(!provider.has_taken(&id), "{id} was taken: {was:?}, {heard:?}");
        if was.id.as_ref() != Some(&id)
            && self.others(n).any(|other| other.id.as_ref() == Some(&id))
        {
            let was_heard = by_it || provider.refused_before_it.contains(&id);
            assert!(was_heard && was.fate != Fate::Accepted, "{was:?}, {heard:?}");
            (self.asks[n].fate, self.asks[n].id) = (Fate::Refused, None);
            return self.count("refused in the words of before");
        }
        let is_an_edges = provider.refused_before_it.contains(&id) && was.on_trust.is_none();
        assert!(by_it || is_an_edges, "{id}: the provider did not decline it: {was:?}, {heard:?}");
        self.is_the_same(n, before, heard);
        self.count(if was.on_trust.is_some() {
            "declined after the fact"
        } else {
            "declined at the till"
        });
        self.asks[n].fate = Fate::Declined;
    }

    /// The answer is about the redemption that it was always about, about a new one, or about an
    /// earlier one of the code: the till's own that it joins, or one that is owed.
    fn is_the_same(&mut self, n: usize, before: i64, heard: &Heard) -> String {
        let id = heard.header("redeemd-id").expect("an id").to_owned();
        let was = self.asks[n].clone();
        if was.id.as_ref() == Some(&id) {
            return id;
        }
        assert!(
            was.id.is_none() || was.fate != Fate::Accepted,
            "another id for {was:?}: {heard:?}"
        );
        let earlier = self.others(n).find(|other| other.id.as_ref() == Some(&id)).cloned();
        if let Some(earlier) = &earlier {
            let is_owed = heard.header("redeemd-state") == Some("confirmed")
                && earlier.fate != Fate::Accepted;
            assert!(
                earlier.till == was.till || is_owed,
                "{was:?} is told about {earlier:?}: {heard:?}"
            );
            self.count(if earlier.till == was.till { "joined" } else { "owed and given" });
        }
        // One that was sent before and got no answer may have had its number since then, as may
        // another's.
        let is_first = was.sent == 1 && self.history(n).len() == 1;
        assert!(!is_first || number(&id) > before, "{id}: numbers go up, {before} was given");
        self.highest = self.highest.max(number(&id));
        let of_another = earlier.is_some() || (number(&id) <= before && self.history(n).len() > 1);
        (self.asks[n].id, self.asks[n].is_anothers) = (Some(id.clone()), of_another);
        id
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what was heard, of what, when, and what the provider knows"
    )]
    fn accepted(&mut self, n: usize, id: &str, now: Duration, heard: &Heard, provider: &State) {
        let is_confirmed = heard.header("redeemd-state") == Some("confirmed");
        if is_confirmed {
            let taken =
                provider.codes.get(&self.asks[n].code).and_then(|seen| seen.taken_by.as_deref());
            let spent = provider.spent.contains(&self.asks[n].code);
            assert!(
                spent || taken == Some(id),
                "{id} is confirmed and was not taken: {taken:?}, {:?}",
                self.history(n)
            );
        }
        // What is owed is given once: here, or at the till that was told no.
        let elsewhere =
            |other: &&Ask| other.id.as_deref() == Some(id) && other.till != self.asks[n].till;
        let given = self.others(n).filter(elsewhere).find(|other| other.fate == Fate::Accepted);
        assert!(given.is_none(), "given at two tills: {:?} and {given:?}, {heard:?}", self.asks[n]);
        let is_other = |other: &&Ask| other.id.as_deref() != Some(id);
        // Nothing guards a code once its settled row has left.
        let rival = self.others(n).filter(is_other).find(|other| {
            let is_kept = other.fate == Fate::Accepted && now < other.at + RETENTION;
            is_kept && !other.id.as_ref().is_some_and(|id| provider.declined.contains(id))
        });
        assert!(rival.is_none(), "redeemed twice: {:?} and {rival:?}, {heard:?}", self.asks[n]);
        if !is_confirmed {
            let till = self.asks[n].till;
            // A cashier corrects a sale.
            let corrects = |other: &Ask| other.fate == Fate::Voided && other.till == till;
            let again = self.others(n).find(|other| {
                other.on_trust.as_deref().is_some_and(|given| given != id) && !corrects(other)
            });
            assert!(
                again.is_none(),
                "given twice on trust: {:?} and {again:?}, {heard:?}",
                self.asks[n]
            );
            self.asks[n].on_trust = Some(id.to_owned());
        }
        if self.asks[n].fate != Fate::Accepted {
            self.count(if is_confirmed { "confirmed at the till" } else { "given on trust" });
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
            assert!(
                ask.fate != Fate::Voided || heard.body["state"] == "voided",
                "{ask:?}: {heard:?}"
            );
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
        for (key, body) in
            states.iter().flat_map(|state| state.codes.values()).flat_map(|seen| &seen.keys)
        {
            let body = std::str::from_utf8(body).expect("a till's bytes");
            assert!(sent.contains(body), "{key}: no till sent {body}");
            assert!(bodies.insert(body), "{key}: the same request under two keys: {body}");
        }
    }
}
