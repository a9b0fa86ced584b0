//! All the SQL: schema, migrations, accept, claim, settle, count, list.

mod types;

pub use types::{
    Acted, Counts, Decision, Event, Filter, Limit, NewRedemption, Refused, Taken, UsedBy, VoidOutcome, relayed,
};
