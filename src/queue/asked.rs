//! An operation on its way to the writer, and its answer on the way back.

use tokio::sync::oneshot;

use super::{Audience, Message, QueueError, health};
use crate::store::{Job, Operation, Task};

/// What came of an operation, and whose answer it is where it matters whether that till hears it.
pub(super) type OperationResult<T> = Result<(T, Option<Audience>), QueueError>;
/// Receives what came of an operation.
pub(super) type OperationOutcome<O> = oneshot::Receiver<OperationResult<<O as Operation>::Output>>;

/// An operation of whatever type, and whoever waits for it.
pub(super) trait PendingOperation: Send {
    /// What the store is to do.
    fn task(&mut self) -> &mut dyn Task;
    /// Tells what came of it; false when nobody waits any more. What was done stays done.
    fn answer(self: Box<Self>, told: Option<Audience>) -> bool;
    /// Tells why it was not begun.
    fn refuse(self: Box<Self>, why: QueueError);
}

struct OperationWithReply<O: Operation> {
    job: Job<O>,
    reply: oneshot::Sender<OperationResult<O::Output>>,
}

/// A message to the writer, and where its answer comes.
pub(super) fn ask<O: Operation>(operation: O) -> (Message, OperationOutcome<O>) {
    let (reply, answer) = oneshot::channel();
    (Message::Do(with_reply(operation, reply)), answer)
}

/// An operation whose answer comes there.
pub(super) fn with_reply<O: Operation>(
    operation: O,
    reply: oneshot::Sender<OperationResult<O::Output>>,
) -> Box<dyn PendingOperation> {
    Box::new(OperationWithReply { job: Job::new(operation), reply })
}

impl<O: Operation> PendingOperation for OperationWithReply<O> {
    fn task(&mut self) -> &mut dyn Task {
        &mut self.job
    }

    fn answer(self: Box<Self>, told: Option<Audience>) -> bool {
        let outcome = self.job.outcome().map_err(|error| health::refusing(&error));
        self.reply.send(outcome.map(|output| (output, told))).is_ok()
    }

    fn refuse(self: Box<Self>, why: QueueError) {
        // Whoever has left need not be told.
        drop(self.reply.send(Err(why)));
    }
}
