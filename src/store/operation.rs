//! What the writer does inside a transaction: each operation is a type of its own, that lies beside
//! its SQL.

use super::forward::Claimed;
use super::recount::Recounted;
use super::{Desk, StoreError};
use crate::redemption::{Redemption, Seq};

/// What depends on an operation besides what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// It takes in rows that nobody relies on before its commit: a full disk takes no more of them,
    /// and none is run again by itself.
    New,
    /// It begins attempts: none begins that could not be settled, on a disk that cannot be written.
    Beginning,
    /// It ends what was begun: it goes first when a batch is run again in parts.
    Ending,
    /// None of these.
    Other,
}

/// Something that the writer does inside a transaction.
pub trait Operation: Send + 'static {
    /// What comes of it.
    type Output: Send + 'static;
    /// What depends on it besides.
    const KIND: OperationKind = OperationKind::Other;

    /// Does it. It may be done again: after a batch that failed, on a disk that was full, in a
    /// database that was rescued; only the last time counts.
    ///
    /// # Errors
    /// Nothing of the transaction is kept.
    fn perform(&self, desk: &mut Desk<'_>) -> Result<Self::Output, StoreError>;

    /// It may wait a moment for others: no till waits for its end, and a sync of its own would make
    /// the next till wait.
    fn is_patient(&self) -> bool {
        false
    }

    /// What follows outside of the store, once it is committed.
    fn after(&self, _output: &mut Self::Output, _effects: &mut dyn AfterCommit) {}
}

/// What follows from a commit outside of the store.
pub trait AfterCommit {
    /// A till will wait for the row's answer.
    fn awaited(&mut self, seq: Seq);
    /// The row's attempt may leave.
    fn claimed(&mut self, seq: Seq, attempt: u32);
    /// The same, of a row whose till waits: its lane is to send it at once.
    fn live(&mut self, lane: &str, row: Claimed);
    /// The row's attempt is over.
    fn ended(&mut self, seq: Seq);
    /// Whoever waits for the row can be answered. `pays`: they were told no before.
    fn settled(&mut self, row: &Redemption, pays: bool);
    /// The till that asked is told of a row that was refused before and confirmed. `pays`: with
    /// this answer it is given; otherwise it was given before.
    fn told(&mut self, seq: Seq, pays: bool);
    /// What these rows owe is written down.
    fn owed(&mut self, rows: &[Seq]);
    /// A row of the lane waits to be sent; number 0: several.
    fn pending(&mut self, lane: &str, seq: Seq);
    /// A slice of the books was recounted.
    fn recounted(&mut self, recounted: &Recounted);
    /// So many tills' checks are remembered now.
    fn checks_kept(&mut self, kept: u64);
}

/// An operation with what came of it, as [`Store::run`](super::Store::run) sees it.
pub trait Task: Send {
    /// What depends on it.
    fn kind(&self) -> OperationKind;
    /// Whether it may wait a moment for others.
    fn is_patient(&self) -> bool;
    /// Does it and keeps the output.
    ///
    /// # Errors
    /// Those of the operation.
    fn perform(&mut self, desk: &mut Desk<'_>) -> Result<(), StoreError>;
    /// It was not done, or is not kept.
    fn fail(&mut self, error: StoreError);
    /// Why it was not done.
    fn error(&self) -> Option<&StoreError>;
    /// What follows outside of the store; nothing when it was not done.
    fn after(&mut self, effects: &mut dyn AfterCommit);
}

/// One operation to be done, and then its outcome.
#[derive(Debug)]
pub struct Job<O: Operation> {
    operation: O,
    outcome: Result<O::Output, StoreError>,
}

impl<O: Operation> Job<O> {
    /// An operation that is still to be done.
    #[must_use]
    pub fn new(operation: O) -> Self {
        Self { operation, outcome: Err(StoreError::Internal("it was not run")) }
    }

    /// What came of it.
    ///
    /// # Errors
    /// It was not done.
    pub fn outcome(self) -> Result<O::Output, StoreError> {
        self.outcome
    }
}

impl<O: Operation> Task for Job<O> {
    fn kind(&self) -> OperationKind {
        O::KIND
    }

    fn is_patient(&self) -> bool {
        self.operation.is_patient()
    }

    fn perform(&mut self, desk: &mut Desk<'_>) -> Result<(), StoreError> {
        self.outcome = Ok(self.operation.perform(desk)?);
        Ok(())
    }

    fn fail(&mut self, error: StoreError) {
        self.outcome = Err(error);
    }

    fn error(&self) -> Option<&StoreError> {
        self.outcome.as_ref().err()
    }

    fn after(&mut self, effects: &mut dyn AfterCommit) {
        if let Ok(output) = &mut self.outcome {
            self.operation.after(output, effects);
        }
    }
}
