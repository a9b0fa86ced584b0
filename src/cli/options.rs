//! The options of `status`, `list`, `void`, `handled`, `hold`, `trust`, `flush` and `names`, as
//! clap reads them.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::row::Column;
use super::values;

/// `status`
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct StatusArgs {
    /// Show it again every two seconds, until interrupted
    #[arg(long)]
    pub watch: bool,
    /// A line for each lane instead: how many pending redemptions are younger than a minute, five
    /// minutes, and so on up to three days
    #[arg(long, conflicts_with = "watch")]
    pub ages: bool,
    /// Say only what does not end by itself, a line each, and exit with 1 if there is something
    #[arg(long, conflicts_with_all = ["watch", "ages"])]
    pub check: bool,
}

/// Which redemptions `list` looks for, besides state and lane.
#[derive(Args, Clone, Debug, Default)]
pub struct ListFilter {
    /// Only this code, whole: `-` reads it from standard input, one line, so that neither a list of
    /// processes nor a log shows it
    #[arg(long, value_name = "-", value_parser = ["-"], conflicts_with_all = ALL_BUT_THE_CODE)]
    pub code: Option<String>,
    /// Only codes that end so: at most four characters, and no more than the list shows of a code
    #[arg(long, value_name = "END", value_parser = values::ending)]
    pub code_ending: Option<String>,
    /// Only this till
    #[arg(long, value_parser = values::filled)]
    pub till: Option<String>,
    /// Only this business, in whatever letters and spaces
    #[arg(long, value_name = "REFERENCE", value_parser = values::filled)]
    pub business: Option<String>,
    /// Only this branch
    #[arg(long, value_name = "ID", value_parser = values::filled)]
    pub branch: Option<String>,
    /// Only what waits for a person: parked, declined after the fact, taken back after it was
    /// given, confirmed by inference, owed or given in vain, and not handled yet
    #[arg(long)]
    pub waiting: bool,
    /// Only what was accepted from this time on: 2026-11-01 or 2026-11-01T10:00:00Z, in UTC
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<String>,
    /// Only what was accepted up to this time: a day counts to its end
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: Option<String>,
    /// The newest first
    #[arg(long)]
    pub newest: bool,
}

/// A day has so many characters, a time more.
const DAY_CHARS: usize = 10;

const ALL_BUT_THE_CODE: [&str; 13] = [
    "state",
    "lane",
    "after",
    "limit",
    "all",
    "code_ending",
    "till",
    "business",
    "branch",
    "waiting",
    "since",
    "until",
    "newest",
];

/// How `list` shows them.
#[derive(Args, Clone, Debug, Default)]
pub struct Shown {
    /// These columns, in this order, separated by commas: id, seq, state, lane, till, business,
    /// branch, code, date, accepted, settled, tries, value, rule, marks, said, note
    #[arg(long, value_delimiter = ',', value_name = "NAMES", conflicts_with = "json")]
    pub columns: Vec<Column>,
}

/// `void`
#[derive(Args, Clone, Debug)]
pub struct VoidArgs {
    /// The redemptions; `-` reads them from standard input, an id or an object of `list --json` a
    /// line
    #[arg(value_name = "ID", required = true, value_parser = values::id)]
    pub ids: Vec<String>,
    /// Why, in one line of at most 500 characters; kept with the redemption
    #[arg(long, value_name = "TEXT", value_parser = values::note)]
    pub note: String,
}

/// `handled`
#[derive(Args, Clone, Debug)]
pub struct HandledArgs {
    /// The redemptions; `-` reads them from standard input, an id or an object of `list --json` a
    /// line
    #[arg(value_name = "ID", required = true, value_parser = values::id)]
    pub ids: Vec<String>,
    /// What was done, in one line of at most 500 characters; kept with the redemption
    #[arg(long, value_name = "TEXT", value_parser = values::note)]
    pub note: String,
    /// The code may be used again
    #[arg(long)]
    pub free: bool,
}

/// `hold`
#[derive(Args, Clone, Debug, Default)]
pub struct HoldArgs {
    /// The lane; all of them without one
    pub lane: Option<String>,
    /// Tills are given rewards meanwhile, under the offline limits; it needs a note
    #[arg(long, requires = "note")]
    pub trust: bool,
    /// Why, in one line of at most 500 characters; kept with the hold
    #[arg(long, value_name = "TEXT", value_parser = values::note_if_any)]
    pub note: Option<String>,
}

/// `trust`
#[derive(Args, Clone, Debug)]
pub struct TrustArgs {
    /// Off or on.
    #[command(subcommand)]
    pub order: TrustOrder,
}

/// `trust off` and `trust on`
#[derive(Subcommand, Clone, Debug)]
pub enum TrustOrder {
    /// Give nothing without the provider's answer
    Off {
        /// The lane; all of them without one
        lane: Option<String>,
        /// Why, in one line of at most 500 characters; kept and shown
        #[arg(long, value_name = "TEXT", value_parser = values::note)]
        note: String,
        /// For so long, such as 30m or 2h and at most 3650d, in time that the gateway has been on;
        /// without it until `trust on`
        #[arg(long = "for", value_name = "SPAN", value_parser = values::trust_span)]
        for_: Option<Duration>,
    },
    /// Give on trust again
    On {
        /// The lane; all of them without one
        lane: Option<String>,
    },
}

/// `flush`
#[derive(Args, Clone, Debug, Default)]
pub struct FlushArgs {
    /// The lane; all of them without one
    pub lane: Option<String>,
    /// Wait until nothing is pending there any more: on a terminal with a bar, the rate and the
    /// time that is left. When nothing was answered for a minute: exit 1
    #[arg(long)]
    pub wait: bool,
}

/// `names`
#[derive(Args, Clone, Copy, Debug)]
pub struct NamesArgs {
    /// Of what
    pub of: Named,
}

/// What has names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Named {
    /// The lanes.
    Lanes,
    /// The tills of the settings.
    Tills,
}

impl Named {
    /// The member of the API's answer.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Lanes => "lanes",
            Self::Tills => "tills",
        }
    }
}

impl ListFilter {
    /// Whether it ends before it begins, where that can be told: two days, or two times. When a day
    /// begins the gateway knows.
    pub(super) fn is_backwards(&self) -> bool {
        let both = self.since.as_ref().zip(self.until.as_ref());
        let is_day = |text: &str| text.len() == DAY_CHARS;
        both.is_some_and(|(since, until)| match (is_day(since), is_day(until)) {
            (true, true) => until < since,
            (false, false) => humantime::parse_rfc3339(until)
                .ok()
                .zip(humantime::parse_rfc3339(since).ok())
                .is_some_and(|(until, since)| until <= since),
            (true, false) | (false, true) => false,
        })
    }

    /// As the API's query has them.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let named = [
            ("code_ending", &self.code_ending),
            ("till", &self.till),
            ("business", &self.business),
            ("branch", &self.branch),
            ("since", &self.since),
            ("until", &self.until),
        ];
        let set = |key, is_set: bool| is_set.then(|| (key, "true".to_owned()));
        named
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.clone()?)))
            .chain(set("waiting", self.waiting))
            .chain(set("newest", self.newest))
            .collect()
    }
}

/// A day, or a time of RFC 3339 in UTC, that the calendar has; the daemon knows where a day begins
/// and ends.
fn time(text: &str) -> Result<String, String> {
    let whole = if text.len() == DAY_CHARS { format!("{text}T00:00:00Z") } else { text.to_owned() };
    match humantime::parse_rfc3339(&whole) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => {
            Err("a time looks like 2026-11-01 or 2026-11-01T10:00:00Z, and must exist".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_or_a_time_must_exist() {
        for right in ["2026-11-01", "2026-11-01T10:00:00Z"] {
            assert_eq!(time(right).as_deref(), Ok(right));
        }
        for wrong in ["2026-13-01", "2026-11-31", "yesterday", "", "2026-11-1"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
