//! Conservation, judged from outside: what tills were told, what the provider got, what the books
//! say.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::harness::{Counts, Gateway, Notes, Till, Witness, until_within};

/// How long a backlog may take to drain when nothing fails any more.
const DRAIN_MAX: Duration = Duration::from_secs(180);

/// What the tills know: every body that they sent, and every one that was acknowledged.
#[derive(Default)]
pub(crate) struct Ledger {
    sent: Mutex<HashMap<String, String>>,
    owed: Mutex<BTreeSet<String>>,
    /// Codes that were sent and got no answer: a till would send them again.
    open: Mutex<Vec<String>>,
    pub(crate) refused: AtomicU64,
    pub(crate) repeated: AtomicU64,
    pub(crate) scrapes: AtomicU64,
    accepted_least: AtomicU64,
    confirmed_least: AtomicU64,
}

/// What the oracle found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) acknowledged: usize,
    pub(crate) lost: usize,
    pub(crate) under_two_keys: usize,
    pub(crate) altered: usize,
    pub(crate) unsent: usize,
    pub(crate) declined_of_ours: u64,
}

/// Bytes that no program would write twice the same by chance: odd spacing, order, escapes, a field
/// of the till's own.
fn body_of(code: &str) -> String {
    format!(
        "{{ \"timestamp\":\"1795428000\",\"reward_code\" \
         : \"{code}\",\t\"x_till\":[1.50,{{\"n\":\"caf\\u00e9 ☕\"}}],\n\
         \"business_refrence\":\"B-1\",\"date\":\"2026-11-23 10:00:00\",  \"branch_id\":\"7\" }}"
    )
}

impl Ledger {
    /// Sends `code` from `till`; the status, or `None` where no answer came.
    pub(crate) fn redeem(&self, till: &Till, code: &str) -> Option<u16> {
        let body = body_of(code);
        self.sent.lock().unwrap().insert(code.to_owned(), body.clone());
        let was_owed = self.owed.lock().unwrap().contains(code);
        let Ok(reply) = till.try_send("POST", "/redeem", &[], body.as_bytes()) else {
            self.open.lock().unwrap().push(code.to_owned());
            return None;
        };
        match reply.status {
            200..=299 => drop(self.owed.lock().unwrap().insert(code.to_owned())),
            503 => {
                assert!(!was_owed, "{code}: a yes is taken back: {reply:?}");
                reply.refusal();
                self.refused.fetch_add(1, Ordering::SeqCst);
            }
            _ => panic!("{code}: {reply:?}"),
        }
        Some(reply.status)
    }

    /// A code that has no answer yet, to be sent again.
    pub(crate) fn unanswered(&self) -> Option<String> {
        let code = self.open.lock().unwrap().pop();
        self.repeated.fetch_add(u64::from(code.is_some()), Ordering::SeqCst);
        code
    }

    /// A code that was acknowledged before, to be sent once more by mistake.
    pub(crate) fn some_owed(&self) -> Option<String> {
        let code = self.owed.lock().unwrap().last().cloned();
        self.repeated.fetch_add(u64::from(code.is_some()), Ordering::SeqCst);
        code
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.owed.lock().unwrap().len()
    }

    /// One look at the books: they balance, they hold all that was acknowledged before, and no
    /// total goes back. False when nobody answers.
    pub(crate) fn scrape(&self, operators: &Till) -> bool {
        let owed = self.acknowledged() as u64;
        let Ok(reply) = operators.try_send("GET", "/api/v1/status", &[], b"") else { return false };
        if reply.status != 200 {
            return false;
        }
        let counts: Counts = serde_json::from_value(reply.json()["counts"].clone()).unwrap();
        assert!(counts.balance(), "{counts:?}");
        assert!(counts.accepted >= owed, "{owed} were acknowledged, the books say {counts:?}");
        let accepted_before = self.accepted_least.fetch_max(counts.accepted, Ordering::SeqCst);
        let confirmed_before = self.confirmed_least.fetch_max(counts.confirmed, Ordering::SeqCst);
        assert!(
            counts.accepted >= accepted_before,
            "accepted went back from {accepted_before}: {counts:?}"
        );
        assert!(
            counts.confirmed >= confirmed_before,
            "confirmed went back from {confirmed_before}: {counts:?}"
        );
        self.scrapes.fetch_add(1, Ordering::SeqCst);
        true
    }

    /// After the last fault: sends again what has no answer, drains, sees that a fresh redemption
    /// still flows, and compares.
    pub(crate) fn settle_up(&self, gateway: &Gateway, witness: &Witness) -> Finding {
        let till = gateway.till("");
        while let Some(code) = self.unanswered() {
            until_within(DRAIN_MAX, "it is answered", || self.redeem(&till, &code) == Some(200));
        }
        until_within(DRAIN_MAX, "nothing is pending", || gateway.counts().pending == 0);
        self.sent.lock().unwrap().insert("FRESH".to_owned(), body_of("FRESH"));
        let fresh = till.send("POST", "/redeem", &[], body_of("FRESH").as_bytes());
        assert_eq!(fresh.status, 200, "{fresh:?}");
        until_within(DRAIN_MAX, "a fresh redemption flows", || gateway.counts().pending == 0);
        self.owed.lock().unwrap().insert("FRESH".to_owned());
        let (counts, notes) = (gateway.counts(), witness.notes());
        // What was told "ask again" before a byte left is voided.
        assert_eq!((counts.parked, counts.pending), (0, 0), "{counts:?}");
        assert_eq!(notes.unreadable, Vec::<String>::new());
        assert_eq!(
            counts.confirmed,
            notes.order.len() as u64,
            "confirmed is what the provider took"
        );
        self.compare(&counts, &notes)
    }

    fn compare(&self, counts: &Counts, notes: &Notes) -> Finding {
        let (sent, owed) = (self.sent.lock().unwrap(), self.owed.lock().unwrap());
        let count = |is: &dyn Fn(&str) -> bool| notes.codes.keys().filter(|code| is(code)).count();
        let key_with_two = notes.codes_of_key.values().filter(|codes| codes.len() > 1).count();
        Finding {
            acknowledged: owed.len(),
            lost: owed
                .iter()
                .filter(|code| notes.codes.get(*code).is_none_or(|seen| seen.taken != 1))
                .count(),
            under_two_keys: key_with_two + count(&|code| notes.codes[code].keys.len() != 1),
            unsent: count(&|code| !sent.contains_key(code)),
            altered: count(&|code| {
                sent.get(code).is_some_and(|body| {
                    notes.codes[code].bodies.iter().any(|got| got != body.as_bytes())
                })
            }),
            declined_of_ours: counts.declined,
        }
    }
}

impl Finding {
    /// The rows of a table that say what came of it all.
    pub(crate) fn rows(&self, ledger: &Ledger, told_used: u64) -> [(&'static str, u64); 8] {
        [
            ("\"already used\" answered", told_used),
            ("sent again by tills", ledger.repeated.load(Ordering::SeqCst)),
            ("looks at the books", ledger.scrapes.load(Ordering::SeqCst)),
            ("acknowledged", self.acknowledged as u64),
            ("lost", self.lost as u64),
            ("under two keys", self.under_two_keys as u64),
            ("altered or made up", (self.altered + self.unsent) as u64),
            ("declined of ours", self.declined_of_ours),
        ]
    }

    /// Nothing was lost, doubled, altered, made up or declined.
    #[track_caller]
    pub(crate) fn assert_conserved(&self) {
        let Self { acknowledged, .. } = *self;
        assert_eq!(*self, Self { acknowledged, ..Self::default() });
    }
}
