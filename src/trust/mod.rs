//! Pure: may a redemption be given before the provider has answered, and on which evidence.
//!
//! A time is a [`Duration`] since any fixed moment of a monotonic clock.

mod hearing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::redemption::Seq;
use hearing::Hearing;

/// How far a till may be trusted without the provider's answer, by where its lane stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// The provider cannot be reached: at once, under the offline limits.
    AtOnce {
        /// Under a tenth of them: a false certificate or clock must not be a key.
        tenth: bool,
    },
    /// Each redemption is asked about; one that is not answered is given only on evidence from
    /// others, under the limits.
    #[default]
    Unanswered,
    /// Not at all.
    Never,
}

impl Trust {
    /// The word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AtOnce { .. } => "at_once",
            Self::Unanswered => "unanswered",
            Self::Never => "never",
        }
    }
}

/// When the whole of a request was handed to a connection. Clones tell of the same request: who
/// carries it notes, who weighs evidence looks.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<OnceLock<Duration>>);

impl Progress {
    /// The last byte of the request was handed to a connection.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole_after().is_some()
    }

    /// How long after the attempt began its last byte was handed to a connection.
    #[must_use]
    pub fn whole_after(&self) -> Option<Duration> {
        self.0.get().copied()
    }

    /// Notes that the last byte was handed to a connection so long after the attempt began.
    pub fn note_whole(&self, after: Duration) {
        self.0.get_or_init(|| after);
    }
}

/// What the settings say about evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvidenceTerms {
    /// How long a till waits for the provider's own answer.
    pub reply_within: Duration,
    /// The longest time between two attempts of a lane in trouble and their ends: the unanswered
    /// redemption of another till is evidence for so long.
    pub recent: Duration,
    /// The gateway sends checks of its own: a provider with `check_url` and `canary`.
    pub checks: bool,
    /// `one_till = "trust"`: no other till has to be unanswered.
    pub one_till: bool,
}

impl EvidenceTerms {
    /// How long a check has to be on the wire before its silence counts.
    fn check_patience(&self) -> Duration {
        self.reply_within / CHECK_PATIENCE
    }

    /// How long a check may take that is sent when half of a till's time is over: one that takes
    /// longer each time is never an answer to it.
    fn check_time(&self) -> Duration {
        self.reply_within / 2
    }
}

/// How an attempt, or a check, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a verdict in the contract's shape, strong or weak.
    Answered,
    /// With the word that it is being worked on: the provider is there, and the row waits.
    InProgress,
    /// Without one.
    Unanswered {
        /// The whole request was sent.
        whole: bool,
    },
    /// With a 429: the provider is there and may not be stood in for.
    Limited,
}

/// A check of the gateway's own comes at most this often.
pub const CHECK_EVERY: Duration = Duration::from_secs(2);
/// The part of `reply_within` for which a check has to be on the wire before its silence counts:
/// one that had to wait for a place on its connection has asked nobody before.
const CHECK_PATIENCE: u32 = 4;
/// How long after its time a row is remembered: its till is being decided about.
const KEPT: Duration = Duration::from_secs(10);

/// Who asks about a row.
#[derive(Clone, Copy, Debug)]
pub struct RowAsker<'a> {
    /// The till that made it.
    pub till: &'a Arc<str>,
    /// The till waits for the answer.
    pub live: bool,
    /// The row is to blame itself where it is not answered.
    pub suspect: bool,
}

/// One row that is being asked about.
#[derive(Clone, Debug)]
struct AskedRow {
    till: Arc<str>,
    /// A till waits for its answer.
    live: bool,
    /// Its silence is its own, and evidence for nobody.
    suspect: bool,
    /// When its first attempt began.
    began: Duration,
    /// Its attempt on the wire, and when that began.
    flies: Option<(Duration, Progress)>,
    /// An earlier attempt was sent whole and not answered.
    unanswered: bool,
    /// When an attempt of it first failed.
    failed: Option<Duration>,
}

impl AskedRow {
    fn is_whole(&self) -> bool {
        self.unanswered || self.flies.as_ref().is_some_and(|(_, progress)| progress.is_whole())
    }

    /// Its till has waited as long as it does.
    fn is_over(&self, now: Duration, terms: EvidenceTerms) -> bool {
        now.saturating_sub(self.began) > terms.reply_within
    }

    /// Its till was decided about long ago.
    fn is_old(&self, now: Duration, terms: EvidenceTerms) -> bool {
        now.saturating_sub(self.began) > terms.reply_within + KEPT
    }
}

/// The last redemption of a till that was sent whole and ended unanswered.
#[derive(Clone, Copy, Debug)]
struct UnansweredRow {
    ended: Duration,
}

/// A check of the gateway's own, a made-up code.
#[derive(Clone, Debug)]
struct SentCheck {
    sent: Duration,
    flies: Option<Progress>,
    /// It ended, sent whole and unanswered.
    unanswered: bool,
}

impl SentCheck {
    fn ended(&mut self, whole: bool) {
        self.flies = None;
        self.unanswered = whole;
    }

    /// It was sent whole, and was not answered for this long at least.
    fn is_silent(&self, now: Duration, patience: Duration) -> bool {
        let whole_after = self.flies.as_ref().and_then(Progress::whole_after);
        self.unanswered || whole_after.is_some_and(|after| now >= self.sent + after + patience)
    }

    /// How long after it began its last byte was handed to a connection.
    fn whole_after(&self) -> Duration {
        self.flies.as_ref().and_then(Progress::whole_after).unwrap_or_default()
    }
}

/// What was sent, what was not answered, and by whom, in bounded space. Redemptions that one till
/// sends never suffice: a code that trips the provider is not given because it does.
#[derive(Clone, Debug)]
pub struct TrustEvidence {
    terms: EvidenceTerms,
    answered: Option<Duration>,
    rows: BTreeMap<Seq, AskedRow>,
    /// Of each till, since the last answer.
    silences: BTreeMap<Arc<str>, UnansweredRow>,
    check: Option<SentCheck>,
    checked: Option<Duration>,
    hearing: Hearing,
}

impl TrustEvidence {
    /// Rows that are remembered at most; beyond that the oldest are forgotten, and not given.
    pub const ROWS_MAX: usize = 1024;
    /// Tills whose silence is remembered at most.
    pub const TILLS_MAX: usize = 64;

    /// Nothing was sent yet.
    #[must_use]
    pub fn new(terms: EvidenceTerms) -> Self {
        let (rows, silences) = (BTreeMap::new(), BTreeMap::new());
        let hearing = Hearing::default();
        Self { terms, answered: None, rows, silences, check: None, checked: None, hearing }
    }

    /// New settings; what was seen stays, but for the address of checks, which may be another.
    pub fn reconfigure(&mut self, terms: EvidenceTerms) {
        self.terms = terms;
        self.hearing = Hearing::default();
    }

    /// Checks are not answered in their time although the provider answers redemptions: their
    /// silence is no evidence.
    #[must_use]
    pub fn checks_are_deaf(&self) -> bool {
        self.terms.checks && self.hearing.is_deaf()
    }

    /// An attempt for `seq` begins.
    pub fn begun(&mut self, now: Duration, seq: Seq, asker: RowAsker<'_>) -> Progress {
        self.forget(now);
        let RowAsker { till, live, suspect } = asker;
        let progress = Progress::default();
        let fresh = || AskedRow {
            till: Arc::clone(till),
            live,
            suspect,
            began: now,
            flies: None,
            unanswered: false,
            failed: None,
        };
        let row = self.rows.entry(seq).or_insert_with(fresh);
        // A till that was told to ask again, and does, is a new question.
        let asked_anew = live && row.is_over(now, self.terms);
        if asked_anew || row.is_old(now, self.terms) {
            *row = fresh();
        }
        row.suspect |= suspect;
        row.flies = Some((now, progress.clone()));
        while self.rows.len() > Self::ROWS_MAX && self.rows.pop_first().is_some() {}
        progress
    }

    /// The row is to blame itself: a code that trips the provider is evidence for no other till.
    pub fn blamed(&mut self, seq: Seq) {
        if let Some(row) = self.rows.get_mut(&seq) {
            row.suspect = true;
        }
        self.hearing.blamed(seq);
    }

    /// The attempt for `seq` ended.
    pub fn ended(&mut self, now: Duration, seq: Seq, end: End) {
        match end {
            End::Answered => self.answered(now, seq),
            End::InProgress => self.in_progress(now, seq),
            End::Limited => drop(self.rows.remove(&seq)),
            End::Unanswered { whole } => self.unanswered(now, seq, whole),
        }
    }

    fn answered(&mut self, now: Duration, seq: Seq) {
        self.redemption_answered(now, seq);
        self.rows.remove(&seq);
        self.speaks(now);
    }

    fn redemption_answered(&mut self, now: Duration, seq: Seq) {
        let flies = self.rows.get(&seq).and_then(|row| row.flies.as_ref());
        if let Some(began) = flies.map(|(began, _)| *began) {
            self.hearing.answered(now, (seq, began), self.terms.check_time());
        }
    }

    /// A row that its till asks about once more is the same question: its beginning stays.
    fn in_progress(&mut self, now: Duration, seq: Seq) {
        self.redemption_answered(now, seq);
        if let Some(row) = self.rows.get_mut(&seq) {
            row.flies = None;
            if !row.live {
                self.rows.remove(&seq);
            }
        }
        self.speaks(now);
    }

    /// The provider answered somebody: nothing that was sent before is evidence any more.
    fn speaks(&mut self, now: Duration) {
        self.answered = Some(now);
        self.silences.clear();
        self.check = None;
    }

    fn unanswered(&mut self, now: Duration, seq: Seq, whole: bool) {
        let Some(row) = self.rows.get_mut(&seq) else { return };
        let sent = row.flies.take().map(|(sent, _)| sent);
        row.unanswered |= whole;
        row.failed = row.failed.or(Some(now));
        let since = self.answered;
        let fresh = sent.is_some_and(|sent| since.is_none_or(|at| sent > at));
        let (till, suspect) = (Arc::clone(&row.till), row.suspect);
        if !suspect {
            self.hearing.unanswered(seq);
        }
        if whole && fresh && !suspect {
            self.is_silent(till, now);
        }
        if self.rows.get(&seq).is_some_and(|row| !row.live) {
            self.rows.remove(&seq);
        }
    }

    fn is_silent(&mut self, till: Arc<str>, ended: Duration) {
        self.silences.insert(till, UnansweredRow { ended });
        if self.silences.len() > Self::TILLS_MAX
            && let Some(oldest) = self.silences.iter().min_by_key(|(_, silence)| silence.ended)
        {
            let oldest = Arc::clone(oldest.0);
            self.silences.remove(&oldest);
        }
    }

    /// The attempt for `seq` did not begin after all: nothing was learnt.
    pub fn withdrawn(&mut self, seq: Seq) {
        self.rows.remove(&seq);
    }

    /// When the next check of the gateway's own is to be sent: once half of a till's time is over
    /// or its redemption has failed, unless one that was sent since it began serves it.
    #[must_use]
    pub fn check_due(&self, now: Duration) -> Option<Duration> {
        let EvidenceTerms { reply_within, checks, .. } = self.terms;
        let free = self.checked.map_or(Duration::ZERO, |sent| sent + CHECK_EVERY);
        let served = |row: &AskedRow| self.checked.is_some_and(|sent| sent >= row.began);
        let due = |row: &AskedRow| {
            let half = row.began + reply_within / 2;
            let at = row.failed.map_or(half, |failed| failed.min(half)).max(free);
            (at.max(now) < row.began + reply_within).then_some(at)
        };
        let rows = self.rows.values().filter(|row| checks && row.live && !served(row));
        let test = self.hearing.due().filter(|_| checks).map(|due| due.max(free).max(now));
        rows.filter_map(due).chain(test).min()
    }

    /// When a check of the gateway's own is to be sent beside an attempt that began at `sent` and,
    /// maybe, failed then.
    #[must_use]
    pub fn check_due_beside(
        &self,
        now: Duration,
        sent: Duration,
        failed: Option<Duration>,
    ) -> Option<Duration> {
        let is_served = self.checked.is_some_and(|at| at >= sent);
        let half = sent + self.terms.reply_within / 2;
        let free = self.checked.map_or(Duration::ZERO, |at| at + CHECK_EVERY);
        let at = failed.map_or(half, |failed| failed.min(half)).max(free);
        (self.terms.checks && !is_served).then_some(at.max(now))
    }

    /// A check of the gateway's own begins.
    pub fn check_begun(&mut self, now: Duration) -> Progress {
        let progress = Progress::default();
        self.checked = Some(now);
        let check = SentCheck { sent: now, flies: Some(progress.clone()), unanswered: false };
        self.hearing.begun(&check);
        self.check = Some(check);
        progress
    }

    /// The check that began at `sent` ended. The answer to an older one counts as an answer too.
    pub fn check_ended(&mut self, now: Duration, sent: Duration, end: End) {
        let present = self.check.as_mut().filter(|check| check.sent == sent);
        match (end, present) {
            (End::Answered | End::InProgress, present) => {
                let after = present.map_or(Duration::ZERO, |check| check.whole_after());
                if now <= sent + after + self.terms.check_time() {
                    self.hearing.heard();
                } else {
                    self.hearing.lost(sent);
                }
                self.speaks(now);
            }
            (End::Limited, present) => {
                let is_present = present.is_some();
                self.hearing.limited(sent);
                self.check.take_if(|_| is_present);
            }
            (End::Unanswered { whole }, present) => {
                self.hearing.lost(sent);
                if let Some(check) = present {
                    check.ended(whole);
                }
            }
        }
    }

    /// Somebody else's check was answered: a till's own, say.
    pub fn heard(&mut self, now: Duration) {
        self.speaks(now);
    }

    /// Whether `seq` of `till`, whose time is over, may be given on evidence from others.
    #[must_use]
    pub fn holds(&self, seq: Seq, till: &str, now: Duration) -> bool {
        let Some(row) = self.rows.get(&seq) else { return false };
        let answered_since = self.answered.is_some_and(|at| at >= row.began);
        if answered_since || !row.is_whole() || row.is_old(now, self.terms) {
            return false;
        }
        match self.terms {
            EvidenceTerms { checks: true, .. } if !self.hearing.is_deaf() => {
                self.check_is_silent(row, now)
            }
            EvidenceTerms { one_till: true, .. } => true,
            _ => self.another_is_silent(till, now),
        }
    }

    fn check_is_silent(&self, row: &AskedRow, now: Duration) -> bool {
        let check = self.check.as_ref().filter(|check| check.sent >= row.began);
        check.is_some_and(|check| check.is_silent(now, self.terms.check_patience()))
    }

    fn another_is_silent(&self, till: &str, now: Duration) -> bool {
        let recent = |at: Duration| now >= at && now.saturating_sub(at) <= self.terms.recent;
        let ended =
            |(name, silence): (&Arc<str>, &UnansweredRow)| **name != *till && recent(silence.ended);
        let overdue = |row: &AskedRow| {
            let Some((sent, progress)) = &row.flies else { return false };
            let Some(after) = progress.whole_after() else { return false };
            let fresh = self.answered.is_none_or(|at| *sent > at);
            let late = *sent + after + self.terms.reply_within / 2;
            let is_anothers = *row.till != *till && !row.suspect;
            is_anothers && fresh && recent(late)
        };
        self.silences.iter().any(ended) || self.rows.values().any(overdue)
    }

    /// Rows whose till was decided about long ago.
    fn forget(&mut self, now: Duration) {
        let terms = self.terms;
        let over = |row: &AskedRow| row.flies.is_none() && row.is_old(now, terms);
        while self.rows.first_key_value().is_some_and(|(_, row)| over(row)) {
            self.rows.pop_first();
        }
    }
}
