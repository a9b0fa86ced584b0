//! A redemption as the daemon lists it, and the columns that `list` shows of it.

use serde::Deserialize;
use serde_json::Value;

use super::exit::CliError;
use super::table::{Align, shown_money};

/// What is read of a listed redemption; what a newer daemon adds is left aside.
#[derive(Clone, Debug, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a mark of its own in the API")]
pub(super) struct RowView {
    pub(super) id: String,
    #[serde(default)]
    pub(super) seq: i64,
    pub(super) lane: String,
    pub(super) till: String,
    pub(super) business_refrence: String,
    pub(super) reward_code: String,
    #[serde(default)]
    pub(super) code_prefix: String,
    #[serde(default)]
    pub(super) branch_id: String,
    pub(super) date: String,
    pub(super) state: String,
    pub(super) in_flight: bool,
    pub(super) uncertain: bool,
    pub(super) duplicate_of_ours: bool,
    pub(super) refused_at_till: bool,
    pub(super) answered_at_till: bool,
    /// The mark, from a daemon that keeps one.
    pub(super) trusted: Option<bool>,
    #[serde(default)]
    pub(super) on_hold: bool,
    #[serde(default)]
    pub(super) owed: bool,
    #[serde(default)]
    pub(super) owed_paid: bool,
    #[serde(default)]
    pub(super) in_vain: bool,
    #[serde(default)]
    pub(super) lost: bool,
    #[serde(default)]
    pub(super) in_doubt: bool,
    #[serde(default)]
    pub(super) turned_away: bool,
    #[serde(default)]
    pub(super) taken_back: bool,
    /// Somebody has to look at it, from a daemon that says so.
    pub(super) waiting: Option<bool>,
    #[serde(default)]
    pub(super) reusable: bool,
    #[serde(default)]
    pub(super) handled: bool,
    /// The note of whoever handled it.
    pub(super) handled_note: Option<String>,
    #[serde(default)]
    pub(super) freed: bool,
    /// What it counts as, from a daemon that says so.
    pub(super) value: Option<String>,
    #[serde(default)]
    pub(super) value_assumed: bool,
    /// The rule by which it was given.
    pub(super) rule: Option<String>,
    pub(super) attempts: u64,
    pub(super) accepted_online: bool,
    pub(super) accepted_at: String,
    /// The day of the reports; an older daemon does not say.
    #[serde(default)]
    pub(super) day: String,
    pub(super) clock_trusted: bool,
    pub(super) settled_at: Option<String>,
    pub(super) provider_said: Option<String>,
    pub(super) note: Option<String>,
    /// What a parked one waits for, from a daemon that says so.
    pub(super) parked_for: Option<String>,
}

impl RowView {
    pub(super) fn read(value: &Value) -> Result<Self, CliError> {
        Self::deserialize(value)
            .map_err(|error| CliError::Internal(format!("a redemption cannot be read: {error}")))
    }
}

/// What it counts as, and whether a setting says so and no check; empty where it was not given on
/// trust.
pub(super) fn value(row: &RowView) -> String {
    let assumed = if row.value_assumed { " assumed" } else { "" };
    row.value.as_ref().map(|value| shown_money(value) + assumed).unwrap_or_default()
}

/// What is special about a row, in words.
pub(super) fn marks(row: &RowView) -> String {
    // A daemon that keeps no mark of trust leaves it to the others.
    let inferred = row.accepted_online && !row.answered_at_till && row.state != "pending";
    let marks = [
        (row.in_flight, "on the wire"),
        (row.uncertain, "uncertain"),
        (row.in_doubt, "in doubt"),
        (row.duplicate_of_ours, "duplicate of ours"),
        (row.refused_at_till, "refused at till"),
        (row.turned_away, "turned away"),
        (row.taken_back, "taken back"),
        (!row.accepted_online, "offline"),
        (row.trusted.unwrap_or(inferred), "on trust"),
        (row.on_hold, "under a hold"),
        (row.lost, "lost"),
        (row.owed && !row.owed_paid, "owed"),
        (row.owed_paid, "owed and paid"),
        (row.in_vain, "given in vain"),
        (row.handled, "handled"),
        (row.freed, "code freed"),
        (!row.clock_trusted, "clock unsure"),
    ];
    marks.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect::<Vec<_>>().join(", ")
}

/// A column of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Column {
    /// The redemption's id.
    Id,
    /// Its place in the order of acceptance.
    Seq,
    /// Where it stands.
    State,
    /// The provider's name.
    Lane,
    /// The till.
    Till,
    /// The merchant.
    Business,
    /// The branch.
    Branch,
    /// The code's end.
    Code,
    /// The till's own time.
    Date,
    /// When it was accepted.
    Accepted,
    /// When it was settled.
    Settled,
    /// How often it was sent.
    Tries,
    /// What it counts as, given on trust.
    Value,
    /// The rule by which it was given.
    Rule,
    /// What is special about it.
    Marks,
    /// What the provider said.
    Said,
    /// What was noted.
    Note,
}

impl Column {
    /// What is shown unless `--columns` says otherwise.
    pub(super) const USUAL: [Self; 9] = [
        Self::Id,
        Self::State,
        Self::Lane,
        Self::Till,
        Self::Business,
        Self::Code,
        Self::Accepted,
        Self::Tries,
        Self::Marks,
    ];

    /// Its heading.
    pub(super) fn head(self) -> (&'static str, Align) {
        let (head, align, _) = self.shown();
        (head, align)
    }

    /// What it shows of a row.
    pub(super) fn cell(self, row: &RowView) -> String {
        let (.., cell) = self.shown();
        cell(row)
    }

    fn shown(self) -> (&'static str, Align, fn(&RowView) -> String) {
        use Align::{Left, Right};
        match self {
            Self::Id => ("ID", Left, |row| row.id.clone()),
            Self::Seq => ("SEQ", Right, |row| row.seq.to_string()),
            Self::State => ("STATE", Left, |row| row.state.clone()),
            Self::Lane => ("LANE", Left, |row| row.lane.clone()),
            Self::Till => ("TILL", Left, |row| row.till.clone()),
            Self::Business => ("BUSINESS", Left, |row| row.business_refrence.clone()),
            Self::Branch => ("BRANCH", Left, |row| row.branch_id.clone()),
            Self::Code => ("CODE", Left, |row| row.reward_code.clone()),
            Self::Date => ("DATE", Left, |row| row.date.clone()),
            Self::Accepted => ("ACCEPTED", Left, |row| row.accepted_at.clone()),
            Self::Settled => ("SETTLED", Left, |row| row.settled_at.clone().unwrap_or_default()),
            Self::Tries => ("TRIES", Right, |row| row.attempts.to_string()),
            Self::Value => ("VALUE", Left, value),
            Self::Rule => ("RULE", Left, |row| row.rule.clone().unwrap_or_default()),
            Self::Marks => ("MARKS", Left, marks),
            Self::Said => ("SAID", Left, |row| row.provider_said.clone().unwrap_or_default()),
            Self::Note => ("NOTE", Left, |row| row.note.clone().unwrap_or_default()),
        }
    }
}
