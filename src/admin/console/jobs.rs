//! Many redemptions at once: counted first, then done here one after the other, with progress and a
//! stop.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tokio::task::JoinSet;

use super::act::{Deed, noted};
use super::inbox::{CustomerHas, LOOKS_A_COUNT, MatterKind, group_of, refused_since_ms};
use super::search::{self, wanted_by};
use super::{Asked, Filled, Frame, denied, rendered, sentence, unavailable};
use crate::admin::audit::keep;
use crate::admin::filter::{LIMIT_MAX, RowFilter};
use crate::admin::find::find;
use crate::admin::given::held_for_declines;
use crate::admin::rights::Asker;
use crate::admin::{Admin, Problem};
use crate::message::{Denied, Event, FilterFault, Noun, count, grouped, left_out};
use crate::queue::QueueError;
use crate::redemption::{Id, Redemption, Seq};
use crate::store::Acted;

/// Jobs that are remembered; of these one runs at a time.
const REMEMBERED_MAX: usize = 20;
/// Of so many that were refused a job says why.
const REFUSALS_SHOWN: usize = 5;
/// The word for "all that a search finds".
const SEARCH: &str = "search";

/// All jobs.
#[derive(Debug, Default)]
pub(super) struct Jobs(Mutex<KnownJobs>);

#[derive(Debug, Default)]
struct KnownJobs {
    jobs: VecDeque<Arc<BulkJob>>,
    begun: u64,
    tasks: JoinSet<()>,
}

/// Which redemptions are meant.
#[derive(Clone, Debug)]
enum Which {
    /// A group of the inbox.
    Group { kind: MatterKind, key: String },
    /// What a search finds, by its query.
    Found { query: String, wanted: Box<RowFilter> },
}

/// What there was when it was counted: nothing that came in or was settled later is touched.
#[derive(Clone, Copy, Debug, Default)]
struct CountedRows {
    /// How many; 0 where not all were counted.
    most: u64,
    /// The newest of them; `None`: nobody counted.
    newest: Option<i64>,
    /// When, or when the last of them was settled, by the wall clock: one that was set back makes
    /// no row younger than it is.
    at_ms: Option<i64>,
    /// How many more a person has closed already: they are left as they are.
    closed: u64,
    /// For some of them no reward was given.
    may_owe: bool,
}

impl CountedRows {
    /// Before which row the first look begins.
    fn before(self) -> Option<Seq> {
        self.newest.map(|newest| Seq(newest.saturating_add(1)))
    }

    fn has(self, row: &MeantRow) -> bool {
        !row.is_closed && (row.settled_at_ms <= self.at_ms || self.at_ms.is_none())
    }

    fn add(&mut self, row: &MeantRow) {
        if row.is_closed {
            self.closed += 1;
            return;
        }
        self.most += 1;
        self.may_owe |= row.may_owe;
        self.newest = self.newest.max(Some(row.seq.0));
        self.at_ms = self.at_ms.max(row.settled_at_ms);
    }
}

/// A redemption that is meant, in few bytes: there may be thousands.
struct MeantRow {
    id: Id,
    seq: Seq,
    settled_at_ms: Option<i64>,
    /// A person has seen to it.
    is_closed: bool,
    /// No reward was given for it.
    may_owe: bool,
}

impl From<Redemption> for MeantRow {
    fn from(row: Redemption) -> Self {
        let is_closed = row.handled || row.freed;
        let may_owe = CustomerHas::of(&row) == CustomerHas::Nothing;
        Self { id: row.id, seq: row.seq, settled_at_ms: row.settled_at_ms, is_closed, may_owe }
    }
}

/// A job and how far it is.
#[derive(Debug)]
struct BulkJob {
    number: u64,
    which: Which,
    deed: Deed,
    note: String,
    by: String,
    counted: CountedRows,
    done: AtomicU64,
    refused: AtomicU64,
    /// The first that were refused, and why.
    refusals: Mutex<Vec<(String, Denied)>>,
    /// Who stopped it first.
    stopped_by: OnceLock<String>,
    is_over: AtomicBool,
    /// Why it ended before all were reached.
    failed: OnceLock<Denied>,
}

/// Which rows are meant and what is to be done.
#[derive(Debug, Deserialize)]
pub(super) struct BulkOrder {
    kind: String,
    key: String,
    action: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    most: u64,
    #[serde(default)]
    newest: Option<i64>,
    #[serde(default)]
    at_ms: Option<i64>,
}

#[derive(Template)]
#[template(path = "bulk.html")]
struct DryRun {
    f: Frame,
    title: &'static str,
    filter: Vec<(String, String)>,
    means: &'static str,
    button: &'static str,
    order: BulkOrder,
    back: String,
    count: String,
    at_least: bool,
    /// What is sent again may be owed then.
    may_owe: bool,
    /// What a person has closed already.
    left_out: Option<String>,
}

impl BulkOrder {
    /// What is sent again waits for a release of its lane.
    fn waits(&self) -> bool {
        self.kind == MatterKind::Streak.as_str() && self.action == Deed::Retry.word()
    }
}

#[derive(Template)]
#[template(path = "job.html")]
struct BulkPage {
    f: Frame,
    number: u64,
    title: &'static str,
    filter: Vec<(String, String)>,
    what: &'static str,
    /// Where its redemptions are listed.
    back: String,
    note: String,
    by: String,
    stopped_by: Option<String>,
    done: String,
    refused: String,
    /// The first of them, and why.
    refusals: Vec<(String, String)>,
    /// Done or refused.
    reached: String,
    most: Option<String>,
    thousandths: u64,
    runs: bool,
    tone: &'static str,
    word: String,
}

impl DryRun {
    fn of(f: Frame, which: &Which, order: BulkOrder, counted: (CountedRows, bool)) -> Self {
        let (CountedRows { most, newest, at_ms, closed, may_owe }, at_least) = counted;
        let (button, means) = super::act::texts(&order.action, f.w);
        Self {
            title: which.title(&f),
            filter: which.filter(&f),
            means,
            button,
            back: which.address(),
            count: count(most, Noun::Redemption, f.lang),
            at_least,
            may_owe: may_owe && order.action == "retry",
            left_out: (closed > 0).then(|| left_out(closed, f.lang)),
            order: BulkOrder { most: if at_least { 0 } else { most }, newest, at_ms, ..order },
            f,
        }
    }
}

impl Which {
    /// Which are meant and what is to be done, or what is wrong with that.
    fn of(order: &BulkOrder, note: &str, admin: &Admin) -> Result<(Self, Deed), Denied> {
        let deed = Deed::of(&order.action, note)
            .ok_or_else(|| no_choice("action", &["retry", "void", "handled"]))??;
        let key = order.key.clone();
        if order.kind == SEARCH {
            let wanted = Box::new(wanted_by(&key, admin)?);
            return Ok((Self::Found { query: key, wanted }, deed));
        }
        let kind = MatterKind::from_word(&order.kind);
        let kinds = || MatterKind::ALL.map(MatterKind::as_str);
        let kind = kind.ok_or_else(|| no_choice("kind", &[&kinds()[..], &[SEARCH]].concat()))?;
        Ok((Self::Group { kind, key }, deed))
    }

    fn title(&self, f: &Frame) -> &'static str {
        match self {
            Self::Group { kind, .. } => kind.texts(f.w)[0],
            Self::Found { .. } => f.w.search,
        }
    }

    /// Where they are listed.
    fn address(&self) -> String {
        match self {
            Self::Group { .. } => "/inbox".to_owned(),
            Self::Found { query, .. } => format!("/search?{query}"),
        }
    }

    /// The search's fields as people read them.
    fn filter(&self, f: &Frame) -> Vec<(String, String)> {
        match self {
            Self::Group { .. } => Vec::new(),
            Self::Found { query, .. } => search::said(query, f),
        }
    }

    /// Those that are meant in one bounded look, the newest first, and where the next begins.
    async fn page(
        &self,
        admin: &Admin,
        before: Option<Seq>,
    ) -> Result<(Vec<MeantRow>, Option<Seq>), QueueError> {
        match self {
            Self::Group { kind, key } => group(admin, (*kind, key), before).await,
            Self::Found { wanted, .. } => {
                let mut wanted = RowFilter::clone(wanted);
                (wanted.search.newest, wanted.search.after) = (true, before);
                wanted.search.limit = LIMIT_MAX;
                let found = find(admin, wanted).await?;
                Ok((found.rows.into_iter().map(MeantRow::from).collect(), found.next))
            }
        }
    }

    /// How many are meant, and whether there may be more than were counted.
    async fn counted(&self, admin: &Admin) -> Result<(CountedRows, bool), QueueError> {
        let at_ms = Some(admin.info.clock.stamp().unix_ms);
        let mut counted = CountedRows { newest: Some(0), at_ms, ..CountedRows::default() };
        let mut before = None;
        for _ in 0..LOOKS_A_COUNT {
            let (rows, next) = self.page(admin, before).await?;
            for row in &rows {
                counted.add(row);
            }
            if next.is_none() {
                return Ok((counted, false));
            }
            before = next;
        }
        Ok((counted, true))
    }
}

fn no_choice(key: &str, choices: &[&str]) -> Denied {
    let (key, choices) = (key.to_owned(), choices.join(", "));
    Denied::Filter { faults: vec![FilterFault::Choice { key, choices }] }
}

/// The redemptions of a group of the inbox.
async fn group(
    admin: &Admin,
    (kind, key): (MatterKind, &str),
    before: Option<Seq>,
) -> Result<(Vec<MeantRow>, Option<Seq>), QueueError> {
    let held: Vec<_> = held_for_declines(admin).collect();
    let since_ms = refused_since_ms(admin);
    let (looks, meant) = ([(kind.state(), before)], (kind, key.to_owned()));
    let look = move |reader: &crate::store::Reader| {
        let mut rows = Vec::new();
        let ends = reader.waiting(&looks, since_ms, |row| {
            if group_of(&row, &held).as_ref() == Some(&meant) {
                rows.push(MeantRow::from(row));
            }
        })?;
        Ok((rows, ends.first().and_then(|end| end.next)))
    };
    admin.queue.look(look).await
}

impl Jobs {
    fn find(&self, number: u64) -> Option<Arc<BulkJob>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.jobs.iter().find(|job| job.number == number).cloned()
    }

    /// Begins it, unless another one runs; it ends with the process, and what it has done by then
    /// is done.
    fn begin(
        &self,
        admin: &Arc<Admin>,
        (which, deed): (Which, Deed),
        order: &BulkOrder,
        by: &str,
    ) -> Result<u64, Denied> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while known.tasks.try_join_next().is_some() {}
        if let Some(running) = known.jobs.iter().find(|job| !job.is_over.load(Ordering::Acquire)) {
            return Err(Denied::JobRuns { number: running.number });
        }
        known.begun += 1;
        let job = Arc::new(BulkJob {
            number: known.begun,
            which,
            deed,
            note: order.note.trim().to_owned(),
            by: by.to_owned(),
            counted: CountedRows {
                most: order.most,
                newest: order.newest,
                at_ms: order.at_ms,
                ..CountedRows::default()
            },
            done: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            refusals: Mutex::default(),
            stopped_by: OnceLock::new(),
            is_over: AtomicBool::new(false),
            failed: OnceLock::new(),
        });
        known.jobs.truncate(REMEMBERED_MAX - 1);
        known.jobs.push_front(Arc::clone(&job));
        let (admin, number) = (Arc::clone(admin), job.number);
        known.tasks.spawn(async move { job.run(&admin).await });
        Ok(number)
    }
}

impl BulkJob {
    async fn run(&self, admin: &Admin) {
        tracing::info!(job = self.number, by = self.by, "many redemptions at once: begun");
        if let Err(error) = self.all(admin).await {
            tracing::warn!(job = self.number, %error, "many redemptions at once: ended early");
            self.failed.get_or_init(|| Problem::from(error).told());
        }
        let (done, refused) =
            (self.done.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed));
        let (action, note) = (self.deed.word().to_owned(), self.note.clone());
        let told = match self.stopped_by.get().cloned() {
            Some(name) => Event::BulkStopped { action, redemptions: done, name, note },
            None if self.failed.get().is_some() => {
                Event::BulkCutShort { action, redemptions: done, note }
            }
            None => Event::Bulk { action, redemptions: done, note },
        };
        keep(admin, ("bulk", &self.by), "", &told).await;
        self.is_over.store(true, Ordering::Release);
        tracing::info!(job = self.number, done, refused, "many redemptions at once: ended");
    }

    fn is_stopped(&self) -> bool {
        self.stopped_by.get().is_some()
    }

    /// From the newest that was counted to the oldest.
    async fn all(&self, admin: &Admin) -> Result<(), QueueError> {
        let mut before = self.counted.before();
        loop {
            let (rows, next) = self.page_in_turn(admin, before).await?;
            for row in rows.into_iter().filter(|row| self.counted.has(row)) {
                if self.is_stopped() {
                    return Ok(());
                }
                match self.deed.on(admin, &row.id, &self.by).await? {
                    Acted::Done(_) => drop(self.done.fetch_add(1, Ordering::Relaxed)),
                    Acted::Refused { why } => self.refuse(&row.id, why),
                    Acted::Unknown => self.refuse(&row.id, Denied::NoRedemption),
                }
            }
            let Some(next) = next else { return Ok(()) };
            before = Some(next);
        }
    }

    fn refuse(&self, id: &Id, why: Denied) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let mut first = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if first.len() < REFUSALS_SHOWN {
            first.push((id.to_string(), why));
        }
    }

    /// Where too many look at once, it waits for its turn.
    async fn page_in_turn(
        &self,
        admin: &Admin,
        before: Option<Seq>,
    ) -> Result<(Vec<MeantRow>, Option<Seq>), QueueError> {
        loop {
            match self.which.page(admin, before).await {
                Err(QueueError::Busy { retry_after_s }) if !self.is_stopped() => {
                    tokio::time::sleep(Duration::from_secs(retry_after_s.max(1))).await;
                }
                page => return page,
            }
        }
    }
}

/// `GET /bulk`: what would be done, and to how many. Nothing is.
pub(super) async fn dry_run(
    State(admin): State<Arc<Admin>>,
    f: Frame,
    Asked(order): Asked<BulkOrder>,
) -> Response {
    let which = match Which::of(&order, "not asked for yet", &admin) {
        Ok((which, _)) => which,
        Err(why) => return denied(f, StatusCode::BAD_REQUEST, &why),
    };
    match which.counted(&admin).await {
        Ok(counted) => rendered(StatusCode::OK, &DryRun::of(f, &which, order, counted)),
        Err(error) => unavailable(f, error),
    }
}

/// `POST /bulk`
pub(super) async fn begin(
    State(admin): State<Arc<Admin>>,
    Extension(asker): Extension<Asker>,
    f: Frame,
    Filled(order): Filled<BulkOrder>,
) -> Response {
    let meant = Which::of(&order, &order.note, &admin);
    // Whoever touches many says why, whatever is done.
    let meant = match meant.and_then(|meant| noted(&order.note).map(|_| meant)) {
        Ok(meant) => meant,
        Err(why) => return denied(f, StatusCode::BAD_REQUEST, &why),
    };
    match admin.desk.jobs.begin(&admin, meant, &order, asker.name()) {
        Ok(number) => Redirect::to(&format!("/jobs/{number}")).into_response(),
        Err(why) => denied(f, StatusCode::CONFLICT, &why),
    }
}

/// `GET /jobs/{number}`
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    f: Frame,
    Path(number): Path<String>,
) -> Response {
    match number.parse().ok().and_then(|number| admin.desk.jobs.find(number)) {
        Some(job) => rendered(StatusCode::OK, &page_of(f, &job)),
        None => denied(f, StatusCode::NOT_FOUND, &Denied::NoJob),
    }
}

fn page_of(f: Frame, job: &BulkJob) -> BulkPage {
    let runs = !job.is_over.load(Ordering::Acquire);
    let [done, refused] = [&job.done, &job.refused].map(|count| count.load(Ordering::Relaxed));
    let (tone, word) = match job.failed.get() {
        _ if runs => ("warn", f.w.job_runs.to_owned()),
        Some(why) => ("bad", format!("{} {}", f.w.job_failed, sentence(&why.text(f.lang)))),
        None if job.is_stopped() => ("warn", f.w.job_stopped.to_owned()),
        None if done + refused < job.counted.most => ("warn", f.w.job_fewer.to_owned()),
        None => ("good", f.w.job_done.to_owned()),
    };
    let refusals = job.refusals.lock().unwrap_or_else(PoisonError::into_inner);
    let refusals = refusals.iter().map(|(id, why)| (id.clone(), sentence(&why.text(f.lang))));
    let refusals = refusals.collect();
    let thousandths =
        (done + refused).saturating_mul(1000).checked_div(job.counted.most).unwrap_or(0).min(1000);
    BulkPage {
        number: job.number,
        title: job.which.title(&f),
        filter: job.which.filter(&f),
        what: super::act::texts(job.deed.word(), f.w).0,
        back: job.which.address(),
        note: super::shown(&job.note),
        by: super::shown(&job.by),
        stopped_by: job.stopped_by.get().map(|by| super::shown(by)),
        done: grouped(done),
        refused: grouped(refused),
        refusals,
        reached: grouped(done + refused),
        most: (job.counted.most > 0).then(|| grouped(job.counted.most)),
        thousandths,
        runs,
        tone,
        word,
        f,
    }
}

/// `POST /jobs/{number}/stop`
pub(super) async fn stop(
    State(admin): State<Arc<Admin>>,
    Extension(asker): Extension<Asker>,
    f: Frame,
    Path(number): Path<String>,
) -> Response {
    let Some(job) = number.parse().ok().and_then(|number| admin.desk.jobs.find(number)) else {
        return denied(f, StatusCode::NOT_FOUND, &Denied::NoJob);
    };
    if !job.is_over.load(Ordering::Acquire) {
        job.stopped_by.get_or_init(|| asker.name().to_owned());
    }
    Redirect::to(&format!("/jobs/{}", job.number)).into_response()
}
