//! Whether an answer reached its client: told by the connection that carries it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::response::Response;

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It was written, and nothing says that the client did not get it: a client that sent the end
    /// of its stream and reads on is one of these.
    Delivered,
    /// It could not be written, or the client reset the connection before it had read it all. A
    /// client that had hung up before its answer resets it.
    Undelivered,
}

type OnEnd = Box<dyn FnOnce(Delivery) + Send>;

/// Calls `on_end` once, when it is known whether `response` has reached its client: at the latest
/// when its connection ends, or with `Undelivered` when the response is dropped unsent. It runs on
/// the connection's task, so it must be quick and must not wait.
///
/// Over TCP the answer of a connection that is being closed is watched for a second at most, until
/// the client's system has acknowledged or reset it.
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
pub(super) struct Wire(Mutex<Vec<TrackedBody>>);

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
    /// All of it is with the system.
    Written,
}

impl Wire {
    fn answers(&self) -> MutexGuard<'_, Vec<TrackedBody>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer begins; true if it is watched.
    pub(super) fn begins<B>(&self, response: &mut axum::http::Response<B>) -> bool {
        let Some(DeliveryWatch(watch)) = response.extensions_mut().remove::<DeliveryWatch>() else {
            return false;
        };
        let told = watch.lock().unwrap_or_else(PoisonError::into_inner).take();
        let watched = told
            .map(|told| self.answers().push(TrackedBody { told, progress: WriteProgress::Begun }));
        watched.is_some()
    }

    /// The body of the answer that began last is handed over, or given up.
    pub(super) fn handed(&self) {
        if let Some(answer) =
            self.answers().last_mut().filter(|answer| answer.progress == WriteProgress::Begun)
        {
            answer.progress = WriteProgress::Handed;
        }
    }

    /// Whether an answer is handed over and not written yet.
    pub(super) fn has_handed(&self) -> bool {
        self.answers().iter().any(|answer| answer.progress == WriteProgress::Handed)
    }

    /// All that was handed over is with the system.
    pub(super) fn written(&self) {
        for answer in
            self.answers().iter_mut().filter(|answer| answer.progress == WriteProgress::Handed)
        {
            answer.progress = WriteProgress::Written;
        }
    }

    /// Whether an answer is written and its end not known.
    pub(super) fn has_written(&self) -> bool {
        self.answers().iter().any(|answer| answer.progress == WriteProgress::Written)
    }

    /// The client asks again, or its system has acknowledged all that was written.
    pub(super) fn heard(&self) {
        self.tell(Delivery::Delivered, |progress| progress == WriteProgress::Written);
    }

    /// The connection is broken.
    pub(super) fn broken(&self) {
        self.tell(Delivery::Undelivered, |_| true);
    }

    fn tell(&self, delivery: Delivery, whose: impl Fn(WriteProgress) -> bool) {
        let told: Vec<_> = self.answers().extract_if(.., |answer| whose(answer.progress)).collect();
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
