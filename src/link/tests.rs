//! The link's state machine as a table, and its invariants under random events.
