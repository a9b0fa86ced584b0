//! How far an attempt has come, noted by those who carry it and read by those who wait for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

pub use crate::trust::Progress;

/// How far one POST has come.
#[derive(Clone)]
pub(super) struct Course(Arc<Notes>);

struct Notes {
    begun: Instant,
    taken: Arc<TakenRequests>,
    resolving: AtomicBool,
    /// A connection has taken the request: from here on it may have left.
    handed: AtomicBool,
    /// It has ended: what lets go of the request now did not send it for it.
    over: AtomicBool,
    answering: AtomicBool,
    sent: Progress,
}

/// Requests of one pool that connections have taken: while there are some, it can be connected, and
/// who is not taken waits for a place.
#[derive(Default)]
pub(super) struct TakenRequests(Mutex<InUse>);

#[derive(Default)]
struct InUse {
    requests: usize,
    /// When the last of them ended.
    until: Option<Instant>,
}

impl TakenRequests {
    fn in_use(&self) -> MutexGuard<'_, InUse> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

tokio::task_local! {
    static CURRENT: Course;
}

impl Course {
    /// The course of a POST whose sending `progress` tells of, of an attempt that began then.
    pub(super) fn of(progress: &Progress, begun: Instant, taken: &Arc<TakenRequests>) -> Self {
        Self(Arc::new(Notes {
            begun,
            taken: Arc::clone(taken),
            resolving: AtomicBool::new(false),
            handed: AtomicBool::new(false),
            over: AtomicBool::new(false),
            answering: AtomicBool::new(false),
            sent: progress.clone(),
        }))
    }

    /// The course of the POST that the calling code runs for, if there is one.
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs `post` as the POST of this course.
    pub(super) async fn carry<T>(&self, post: impl Future<Output = T>) -> T {
        CURRENT.scope(self.clone(), post).await
    }

    /// Notes that a name is being resolved, until what is returned is dropped.
    pub(super) fn resolving(&self) -> Resolving<'_> {
        self.0.resolving.store(true, Ordering::Relaxed);
        Resolving(self)
    }

    pub(super) fn is_resolving(&self) -> bool {
        self.0.resolving.load(Ordering::Relaxed)
    }

    /// Notes that an answer has begun: its head is here.
    pub(super) fn note_answering(&self) {
        self.0.answering.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_answering(&self) -> bool {
        self.0.answering.load(Ordering::Relaxed)
    }

    /// Notes that a connection has taken the request: it may leave at any time now.
    pub(super) fn note_handed(&self) {
        if !self.0.handed.swap(true, Ordering::Relaxed) {
            self.0.taken.in_use().requests += 1;
        }
    }

    /// Whether a connection has taken the request.
    pub(super) fn is_handed(&self) -> bool {
        self.0.handed.load(Ordering::Relaxed)
    }

    /// Notes that the last byte of the request went into the connection.
    pub(super) fn note_whole(&self) {
        self.note_handed();
        self.0.sent.note_whole(self.0.begun.elapsed());
    }

    /// Notes that the connection has let go of the request's bytes. Of a request that is given up
    /// it lets go as well, and so does who never had a connection.
    pub(super) fn note_let_go(&self) {
        if self.is_handed() && !self.0.over.load(Ordering::Relaxed) {
            self.note_whole();
        }
    }

    /// Notes that it is over, once what is returned is dropped.
    pub(super) fn ending(&self) -> Ending<'_> {
        Ending(self)
    }

    /// Whether connections had taken others while this one was not taken.
    pub(super) fn waits_behind_others(&self) -> bool {
        let others = self.0.taken.in_use();
        others.requests > 0 || others.until.is_some_and(|until| until >= self.0.begun)
    }

    /// How much of the request was sent.
    pub(super) fn sent(&self) -> &Progress {
        &self.0.sent
    }
}

/// While it lives, a name is being resolved.
pub(super) struct Resolving<'a>(&'a Course);

impl Drop for Resolving<'_> {
    fn drop(&mut self) {
        self.0.0.resolving.store(false, Ordering::Relaxed);
    }
}

/// While it lives, what is noted is of an attempt that goes on.
pub(super) struct Ending<'a>(&'a Course);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.0.over.store(true, Ordering::Relaxed);
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        if self.handed.load(Ordering::Relaxed) {
            let mut taken = self.taken.in_use();
            taken.requests = taken.requests.saturating_sub(1);
            taken.until = Some(Instant::now());
        }
    }
}
