//! Whether an answer reached its client: told by the connection that carries it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::response::Response;
use tokio::time::Instant;

/// An answer that was written so long before its connection was reset has been read: a client that
/// leaves it unread resets the connection when it ends, and one that keeps it for its next request
/// may be reset by anything.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It was written, and nothing says that the client did not get it: a client that sent the end
    /// of its stream and reads on is one of these.
    Delivered,
    /// It could not be written, or the client reset the connection a moment after it. A client that
    /// had hung up before its answer resets it, and so does one that leaves without having read it
    /// all.
    Undelivered,
}

type OnEnd = Box<dyn FnOnce(Delivery) + Send>;

/// Calls `on_end` once, when it is known whether `response` has reached its client: at the latest
/// when its connection ends, or with `Undelivered` when the response is dropped unsent. It runs on
/// the connection's task, so it must be quick and must not wait.
///
/// Over TCP the answer of a connection that is being closed is watched for a second at most, until
/// the client's system has acknowledged or reset it. A request that was on its way before the
/// answer was written does not tell that the client has it.
pub fn watch(mut response: Response, on_end: impl FnOnce(Delivery) + Send + 'static) -> Response {
    let told: OnEnd = Box::new(on_end);
    response
        .extensions_mut()
        .insert(DeliveryWatch(Arc::new(Mutex::new(Some(EndListener(Some(told)))))));
    response
}

/// The response's extension. It may be copied with the response; whoever takes it first has it.
#[derive(Clone)]
struct DeliveryWatch(Arc<Mutex<Option<EndListener>>>);

/// Who is to be told, and is told at the latest when this is dropped.
struct EndListener(Option<OnEnd>);

impl EndListener {
    fn tell(mut self, delivery: Delivery) {
        if let Some(on_end) = self.0.take() {
            on_end(delivery);
        }
    }
}

impl Drop for EndListener {
    fn drop(&mut self) {
        if let Some(on_end) = self.0.take() {
            on_end(Delivery::Undelivered);
        }
    }
}

/// The answers on one connection whose end is not known yet.
#[derive(Default)]
pub(super) struct Wire(Mutex<OpenAnswers>);

#[derive(Default)]
struct OpenAnswers {
    bodies: Vec<TrackedBody>,
    sent: SentByClient,
    was_asked: bool,
    /// Bytes have come that are of no request yet.
    has_begun: bool,
}

/// What the client sends, beside the answer that was written last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SentByClient {
    /// Some of it was there before, and is not read yet.
    Waits,
    /// Nothing has come since.
    #[default]
    Silent,
    /// Something has come since.
    Came,
}

struct TrackedBody {
    told: EndListener,
    progress: WriteProgress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteProgress {
    /// Its body is not wholly handed over.
    Begun,
    /// All of it is in the connection's buffer.
    Handed,
    /// All of it is with the system, since then.
    Written(Instant),
}

impl WriteProgress {
    fn is_written(self) -> bool {
        matches!(self, Self::Written(_))
    }
}

impl Wire {
    fn answers(&self) -> MutexGuard<'_, OpenAnswers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer begins; true if it is watched.
    pub(super) fn begins<B>(&self, response: &mut axum::http::Response<B>) -> bool {
        let Some(DeliveryWatch(watch)) = response.extensions_mut().remove::<DeliveryWatch>() else {
            return false;
        };
        let told = watch.lock().unwrap_or_else(PoisonError::into_inner).take();
        let watched = told
            .map(|told| TrackedBody { told, progress: WriteProgress::Begun })
            .map(|body| self.answers().bodies.push(body));
        watched.is_some()
    }

    /// The body of the answer that began last is handed over, or given up.
    pub(super) fn handed(&self) {
        let mut answers = self.answers();
        let last = answers.bodies.last_mut();
        if let Some(answer) = last.filter(|answer| answer.progress == WriteProgress::Begun) {
            answer.progress = WriteProgress::Handed;
        }
    }

    /// Bytes of an answer are about to be written. `has_unread`: some of the client's are there
    /// already.
    pub(super) fn writes(&self, has_unread: impl FnOnce() -> bool) {
        let mut answers = self.answers();
        if answers.bodies.iter().any(|answer| !answer.progress.is_written()) {
            answers.sent = if has_unread() { SentByClient::Waits } else { SentByClient::Silent };
        }
        answers.has_begun = false;
    }

    /// Bytes of the client were read.
    pub(super) fn came(&self) {
        let mut answers = self.answers();
        answers.has_begun = true;
        if answers.sent == SentByClient::Silent {
            answers.sent = SentByClient::Came;
        }
    }

    /// All that had come from the client is read.
    pub(super) fn drained(&self) {
        let mut answers = self.answers();
        if answers.sent == SentByClient::Waits {
            answers.sent = SentByClient::Silent;
        }
    }

    /// The client has a request: if it was sent after the answers, they were heard.
    pub(super) fn asked(&self) {
        let mut answers = self.answers();
        (answers.was_asked, answers.has_begun) = (true, false);
        let has_come = answers.sent == SentByClient::Came;
        drop(answers);
        if has_come {
            self.heard();
        }
    }

    /// Whether the client has asked, and not begun to ask again since.
    pub(super) fn was_asked(&self) -> bool {
        let answers = self.answers();
        answers.was_asked && !answers.has_begun
    }

    /// Whether an answer is handed over and not written yet.
    pub(super) fn has_handed(&self) -> bool {
        self.answers().bodies.iter().any(|answer| answer.progress == WriteProgress::Handed)
    }

    /// All that was handed over is with the system.
    pub(super) fn written(&self) {
        let now = Instant::now();
        for answer in &mut self.answers().bodies {
            if answer.progress == WriteProgress::Handed {
                answer.progress = WriteProgress::Written(now);
            }
        }
    }

    /// Whether an answer is written and its end not known.
    pub(super) fn has_written(&self) -> bool {
        self.answers().bodies.iter().any(|answer| answer.progress.is_written())
    }

    /// The client asks again, or its system has acknowledged all that was written.
    pub(super) fn heard(&self) {
        self.tell(Delivery::Delivered, WriteProgress::is_written);
    }

    /// The client has reset the connection: what was written a while ago it has had.
    pub(super) fn reset(&self) {
        let now = Instant::now();
        self.tell(Delivery::Delivered, |progress| {
            matches!(progress, WriteProgress::Written(at)
                if now.saturating_duration_since(at) >= READ_WITHIN)
        });
        self.broken();
    }

    /// The connection is broken.
    pub(super) fn broken(&self) {
        self.tell(Delivery::Undelivered, |_| true);
    }

    fn tell(&self, delivery: Delivery, whose: impl Fn(WriteProgress) -> bool) {
        let told: Vec<_> =
            self.answers().bodies.extract_if(.., |answer| whose(answer.progress)).collect();
        for answer in told {
            answer.told.tell(delivery);
        }
    }
}

/// Whoever ended the connection, what is written by then was not reset.
impl Drop for Wire {
    fn drop(&mut self) {
        self.heard();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Heard = Arc<Mutex<Vec<Delivery>>>;

    fn watched() -> (Response, Heard) {
        let heard = Heard::default();
        let tells = Arc::clone(&heard);
        (watch(Response::default(), move |delivery| tells.lock().unwrap().push(delivery)), heard)
    }

    fn begun(wire: &Wire) -> Heard {
        let (mut response, heard) = watched();
        assert!(wire.begins(&mut response));
        heard
    }

    #[test]
    fn a_response_that_nobody_sends_is_undelivered() {
        let (response, heard) = watched();
        drop(response);
        assert_eq!(*heard.lock().unwrap(), [Delivery::Undelivered]);
    }

    #[test]
    fn what_was_not_wholly_written_when_the_connection_ended_is_undelivered_and_the_rest_delivered()
    {
        let wire = Wire::default();
        let written = begun(&wire);
        wire.handed();
        wire.written();
        let begins = begun(&wire);
        wire.written();
        drop(wire);
        assert_eq!(*written.lock().unwrap(), [Delivery::Delivered]);
        assert_eq!(*begins.lock().unwrap(), [Delivery::Undelivered]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_is_about_what_was_written_a_moment_before() {
        for (after, delivery) in
            [(READ_WITHIN / 2, Delivery::Undelivered), (READ_WITHIN, Delivery::Delivered)]
        {
            let wire = Wire::default();
            let (written, begins) = (begun(&wire), begun(&wire));
            wire.answers().bodies.swap(0, 1);
            wire.handed();
            wire.written();
            tokio::time::advance(after).await;
            wire.reset();
            assert_eq!(*written.lock().unwrap(), [delivery], "{after:?}");
            assert_eq!(*begins.lock().unwrap(), [Delivery::Undelivered], "not wholly written");
        }
    }

    #[test]
    fn a_request_tells_that_an_answer_was_heard_if_it_came_after_it() {
        let has = |heard: &Heard| !heard.lock().unwrap().is_empty();
        let wire = Wire::default();
        let first = begun(&wire);
        wire.handed();
        wire.writes(|| true);
        wire.written();
        // What is read now was there before.
        wire.came();
        wire.asked();
        assert!(!has(&first));
        wire.drained();
        wire.asked();
        assert!(!has(&first), "it was read together with the one before");
        wire.came();
        wire.asked();
        assert!(has(&first));
    }

    #[test]
    fn a_broken_connection_tells_all_once() {
        let wire = Wire::default();
        let heard = begun(&wire);
        wire.handed();
        wire.written();
        wire.broken();
        wire.heard();
        drop(wire);
        assert_eq!(*heard.lock().unwrap(), [Delivery::Undelivered]);
    }
}
