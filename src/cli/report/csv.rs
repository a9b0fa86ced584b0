//! The report as comma-separated values (RFC 4180), safe to open in a spreadsheet.

use super::Report;
use super::fate::Fate;

const HEAD: &str = "kind,day,lane,till,accepted,confirmed,declined,parked,pending,voided,inferred,\
    lost,owed,declined_in_10000,paid,taken_back,prefix,reason,refused,late,branch,value_at_risk,\
    value_lost\r\n";

/// A line for each day and lane, each lane, each till, branch and beginning of codes of a lane, the
/// total, and each reason of refusals.
pub(super) fn csv(report: &Report) -> String {
    let mut text = HEAD.to_owned();
    for ((day, lane), fate) in &report.lines {
        text.push_str(&counted(["day", day, lane, "", "", ""], fate));
    }
    for (lane, fate) in &report.lanes() {
        text.push_str(&counted(["lane", "", lane, "", "", ""], fate));
    }
    for ((lane, till), fate) in &report.tills {
        text.push_str(&counted(["till", "", lane, till, "", ""], fate));
    }
    for ((lane, prefix), fate) in &report.prefixes {
        text.push_str(&counted(["prefix", "", lane, "", prefix, ""], fate));
    }
    for ((lane, branch), fate) in &report.branches {
        text.push_str(&counted(["branch", "", lane, "", "", branch], fate));
    }
    text.push_str(&counted(["total", "", "", "", "", ""], &report.total()));
    for (reason, number) in &report.refused {
        text.push_str(&refused(reason, *number));
    }
    text
}

fn counted([kind, day, lane, till, prefix, branch]: [&str; 6], fate: &Fate) -> String {
    let Fate {
        accepted, pending, confirmed, declined, parked, voided, inferred, lost, owed, ..
    } = *fate;
    let Fate { paid, taken_back, late, value_at_risk, value_lost, .. } = *fate;
    let numbers = [accepted, confirmed, declined, parked, pending, voided, inferred, lost, owed];
    let rate = fate.declined_in_10000().map(|rate| rate.to_string()).unwrap_or_default();
    let cells = [kind, day, lane, till].map(cell).into_iter();
    let (back, none) = (taken_back.to_string(), String::new);
    let later = [
        rate,
        paid.to_string(),
        back,
        cell(prefix),
        none(),
        none(),
        late.to_string(),
        cell(branch),
    ];
    let values = [value_at_risk, value_lost].map(|value| value.to_string());
    line(cells.chain(numbers.map(|number| number.to_string())).chain(later).chain(values))
}

/// Its other columns are empty: every line has as many.
fn refused(reason: &str, number: u64) -> String {
    let cell = |column: &str| match column {
        "kind" => "refused".to_owned(),
        "reason" => cell(reason),
        "refused" => number.to_string(),
        _ => String::new(),
    };
    line(HEAD.trim_end().split(',').map(cell))
}

fn line(cells: impl IntoIterator<Item = String>) -> String {
    cells.into_iter().collect::<Vec<_>>().join(",") + "\r\n"
}

/// What begins a formula for some spreadsheet (OWASP, "CSV Injection"), its wide forms included.
const FORMULA: [char; 11] =
    ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// A name that a spreadsheet would read as a formula stands behind an apostrophe.
fn cell(text: &str) -> String {
    let is_formula = text.trim_start_matches(' ').starts_with(FORMULA);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    let is_plain = !text.contains(['"', ',', '\r', '\n']);
    if is_plain { text } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_a_cell_for_each_column() {
        let columns = HEAD.trim_end().split(',').count();
        let lines =
            [refused("used", 7), counted(["till", "", "retm", "t", "", ""], &Fate::default())];
        for text in &lines {
            assert_eq!(text.trim_end().split(',').count(), columns, "{text}");
        }
        let column = HEAD.trim_end().split(',').position(|name| name == "reason");
        assert_eq!(lines[0].split(',').position(|cell| cell == "used"), column);
    }

    #[test]
    fn a_name_is_no_formula_and_breaks_no_line() {
        assert_eq!(cell("till-1"), "till-1");
        assert_eq!(cell("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(cell("  @SUM(1)"), "'  @SUM(1)");
        assert_eq!(cell("\u{ff1d}cmd|' /C calc'!A0"), "'\u{ff1d}cmd|' /C calc'!A0");
        assert_eq!(cell("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
        assert_eq!(cell("-1,2"), "\"'-1,2\"");
    }
}
