//! Many redemptions at once: counted first, then done here one after the other, with progress and a stop.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;
use axum::Extension;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tokio::task::JoinSet;

use super::act::Deed;
use super::inbox::{Kind, group_of, held_for_declines};
use super::{Frame, rendered, told, unavailable};
use crate::admin::Admin;
use crate::admin::rights::Asker;
use crate::message::{Noun, count, grouped};
use crate::queue::QueueError;
use crate::redemption::{Redemption, Seq};
use crate::store::Acted;

/// Jobs that are remembered; of these one runs at a time.
const REMEMBERED_MAX: usize = 20;

/// All jobs.
#[derive(Debug, Default)]
pub(super) struct Jobs(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    jobs: VecDeque<Arc<Job>>,
    begun: u64,
    tasks: JoinSet<()>,
}

/// A job and how far it is.
#[derive(Debug)]
struct Job {
    number: u64,
    kind: Kind,
    key: String,
    deed: Deed,
    by: String,
    done: AtomicU64,
    refused: AtomicU64,
    stop: AtomicBool,
    is_over: AtomicBool,
}

/// Which rows are meant and what is to be done.
#[derive(Debug, Deserialize)]
pub(super) struct Order {
    kind: String,
    key: String,
    action: String,
    #[serde(default)]
    note: String,
}

#[derive(Template)]
#[template(path = "bulk.html")]
struct DryRun {
    f: Frame,
    title: &'static str,
    means: &'static str,
    button: &'static str,
    order: Order,
    count: String,
    at_least: bool,
    wants_note: bool,
}

#[derive(Template)]
#[template(path = "job.html")]
struct Page {
    f: Frame,
    number: u64,
    title: &'static str,
    what: &'static str,
    done: String,
    refused: String,
    runs: bool,
    word: &'static str,
}

impl Jobs {
    fn find(&self, number: u64) -> Option<Arc<Job>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.jobs.iter().find(|job| job.number == number).cloned()
    }

    /// Begins it; it ends with the process, and what it has done by then is done.
    fn begin(&self, admin: &Arc<Admin>, (kind, key): (Kind, String), deed: Deed, by: &str) -> u64 {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while known.tasks.try_join_next().is_some() {}
        known.begun += 1;
        let job = Arc::new(Job {
            number: known.begun,
            kind,
            key,
            deed,
            by: by.to_owned(),
            done: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        known.jobs.truncate(REMEMBERED_MAX - 1);
        known.jobs.push_front(Arc::clone(&job));
        let (admin, number) = (Arc::clone(admin), job.number);
        known.tasks.spawn(async move { job.run(&admin).await });
        number
    }
}

impl Job {
    async fn run(&self, admin: &Admin) {
        tracing::info!(job = self.number, by = self.by, "many redemptions at once: begun");
        if let Err(error) = self.all(admin).await {
            tracing::warn!(job = self.number, %error, "many redemptions at once: ended early");
        }
        self.is_over.store(true, Ordering::Release);
        let (done, refused) = (self.done.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed));
        tracing::info!(job = self.number, done, refused, "many redemptions at once: ended");
    }

    /// From the newest of the moment to the oldest: what comes in later is not touched.
    async fn all(&self, admin: &Admin) -> Result<(), QueueError> {
        let (held, mut before) = (held_for_declines(admin), None);
        loop {
            let (rows, next) = page_of(admin, (self.kind, &self.key), &held, before).await?;
            for row in rows {
                if self.stop.load(Ordering::Acquire) {
                    return Ok(());
                }
                match self.deed.on(admin, &row.id, &self.by).await? {
                    Acted::Done(_) => self.done.fetch_add(1, Ordering::Relaxed),
                    Acted::Refused { .. } | Acted::Unknown => self.refused.fetch_add(1, Ordering::Relaxed),
                };
            }
            let Some(next) = next else { return Ok(()) };
            before = Some(next);
        }
    }
}

/// The rows of a group in one bounded look, and where the next begins.
async fn page_of(
    admin: &Admin,
    (kind, key): (Kind, &str),
    held: &[String],
    before: Option<Seq>,
) -> Result<(Vec<Redemption>, Option<Seq>), QueueError> {
    let found = admin.queue.look(move |reader| reader.exceptions_newest(kind.state(), before)).await?;
    let is_meant = |row: &Redemption| group_of(row, held).is_some_and(|(its, known)| its == kind && known == key);
    Ok((found.rows.into_iter().filter(is_meant).collect(), found.next))
}

/// `GET /bulk`: what would be done, and to how many. Nothing is.
pub(super) async fn dry_run(
    State(admin): State<Arc<Admin>>,
    Extension(asker): Extension<Asker>,
    Query(order): Query<Order>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let f = Frame::new(&admin, &asker, &headers, &uri);
    let (Some(kind), Some(_)) = (Kind::from_word(&order.kind), Deed::of(&order.action, "x")) else {
        return told(f, StatusCode::NOT_FOUND, String::new());
    };
    match page_of(&admin, (kind, &order.key), &held_for_declines(&admin), None).await {
        Ok((rows, next)) => {
            let count = count(rows.len() as u64, Noun::Redemption, f.lang);
            let wants_note = order.action != "retry";
            let (button, means) = match order.action.as_str() {
                "void" => (f.w.void, f.w.void_means),
                "handled" => (f.w.handled, f.w.handled_means),
                _ => (f.w.retry, f.w.retry_means),
            };
            let title = kind.texts(f.w)[0];
            let at_least = next.is_some();
            rendered(StatusCode::OK, &DryRun { f, title, means, button, order, count, at_least, wants_note })
        }
        Err(error) => unavailable(f, &error),
    }
}

/// `POST /bulk`
pub(super) async fn begin(
    State(admin): State<Arc<Admin>>,
    Extension(asker): Extension<Asker>,
    (headers, uri): (HeaderMap, Uri),
    form: Result<Form<Order>, FormRejection>,
) -> Response {
    let f = Frame::new(&admin, &asker, &headers, &uri);
    let Ok(Form(order)) = form else { return told(f, StatusCode::BAD_REQUEST, String::new()) };
    let (Some(kind), Some(deed)) = (Kind::from_word(&order.kind), Deed::of(&order.action, &order.note)) else {
        return told(f, StatusCode::NOT_FOUND, String::new());
    };
    match deed {
        Ok(deed) => {
            let number = admin.desk.jobs.begin(&admin, (kind, order.key), deed, asker.name());
            Redirect::to(&format!("/jobs/{number}")).into_response()
        }
        Err(fault) => told(f, StatusCode::BAD_REQUEST, fault),
    }
}

/// `GET /jobs/{number}`
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    Extension(asker): Extension<Asker>,
    Path(number): Path<u64>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let f = Frame::new(&admin, &asker, &headers, &uri);
    let Some(job) = admin.desk.jobs.find(number) else {
        let text = f.w.job_gone.to_owned();
        return told(f, StatusCode::NOT_FOUND, text);
    };
    let (runs, stopped) = (!job.is_over.load(Ordering::Acquire), job.stop.load(Ordering::Acquire));
    let word = match (runs, stopped) {
        (true, _) => f.w.job_runs,
        (false, true) => f.w.job_stopped,
        (false, false) => f.w.job_done,
    };
    let figure = |count: &AtomicU64| grouped(count.load(Ordering::Relaxed));
    let what = match &job.deed {
        Deed::Retry => f.w.retry,
        Deed::Void(_) => f.w.void,
        Deed::Handled(_) => f.w.handled,
    };
    let (done, refused) = (figure(&job.done), figure(&job.refused));
    rendered(StatusCode::OK, &Page { title: job.kind.texts(f.w)[0], f, number, what, done, refused, runs, word })
}

/// `POST /jobs/{number}/stop`
pub(super) async fn stop(State(admin): State<Arc<Admin>>, Path(number): Path<u64>) -> Response {
    if let Some(job) = admin.desk.jobs.find(number) {
        job.stop.store(true, Ordering::Release);
    }
    Redirect::to(&format!("/jobs/{number}")).into_response()
}
