//! Pure: the rules about one redemption, from what is known to what is to be written. The store
//! loads and saves.

mod accept;
mod act;
mod figures;
mod guard;
mod row;
mod settle;
#[cfg(test)]
mod tests;

pub use accept::{Admission, CodeRules, NotOnTrust, Situation, accept, key_of, key_of_fields};
pub use act::{Closing, TillVoid, handled, retry, seen_to, void, void_by_till};
pub use figures::{FIGURES, Figures};
pub use guard::{
    Asking, Earlier, Guard, Kept, explains_used, guard, is_bare_refusal, is_obstacle, may_be_ours,
};
pub use row::{
    Row, day_of, is_at_risk, is_final_where_parked, is_trusted, kind, mark, marks_found,
    needs_a_person,
};
pub use settle::{
    Attempt, Conclude, Ended, NotGiven, ParkCause, Settle, SettleContext, WaitContext, WaitEnd,
    cause_of_silence, conclude, keep_attempts, marks_given_late, owed_in_copy, relayed, settle,
    unheard,
};
