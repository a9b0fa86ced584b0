//! How far an attempt has come, noted by those who carry it and read by those who wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;

pub use crate::trust::Progress;

/// How far one POST has come.
#[derive(Clone)]
pub(super) struct Course(Arc<Notes>);

struct Notes {
    begun: Instant,
    resolving: AtomicBool,
    answering: AtomicBool,
    sent: Progress,
}

tokio::task_local! {
    static CURRENT: Course;
}

impl Course {
    /// The course of a POST whose sending `progress` tells of, of an attempt that began then.
    pub(super) fn of(progress: &Progress, begun: Instant) -> Self {
        let (resolving, answering) = (AtomicBool::new(false), AtomicBool::new(false));
        Self(Arc::new(Notes { begun, resolving, answering, sent: progress.clone() }))
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

    /// Notes that a connection has taken the whole request.
    pub(super) fn note_whole(&self) {
        self.0.sent.note_whole(self.0.begun.elapsed());
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
