//! The report as comma-separated values (RFC 4180), safe to open in a spreadsheet.

use serde_json::Value;

use super::Report;

const HEAD: &str = "kind,day,lane,till,accepted,confirmed,declined,parked,pending,voided,inferred,\
    lost,owed,declined_in_10000,paid,taken_back,prefix,reason,refused,late,branch,value_at_risk,\
    value_lost\r\n";

/// A line for each day and lane, each lane, each till, branch and beginning of codes of a lane, the
/// total, and each reason of refusals.
pub(super) fn csv(report: &Report) -> String {
    let kinds = ["day", "lane", "till", "prefix", "branch", "total", "refused"];
    let lines = kinds.into_iter().flat_map(|kind| report.objects(kind));
    HEAD.to_owned() + &lines.map(|object| line(&object)).collect::<String>()
}

fn line(object: &Value) -> String {
    let cell = |column| match object.get(column) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => cell(text),
        Some(number) => number.to_string(),
    };
    HEAD.trim_end().split(',').map(cell).collect::<Vec<_>>().join(",") + "\r\n"
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
    use serde_json::json;

    use super::super::fate::Fate;
    use super::*;

    #[test]
    fn every_line_has_a_cell_for_each_column() {
        let columns = HEAD.trim_end().split(',').count();
        let refused = json!({ "kind": "refused", "reason": "used", "refused": 7 });
        let counted =
            Fate::default().members(json!({ "kind": "till", "lane": "retm", "till": "t" }));
        let other = json!({ "day": "", "prefix": "", "branch": "" });
        let is_known =
            |column| [&refused, &counted, &other].iter().any(|object| object.get(column).is_some());
        assert!(HEAD.trim_end().split(',').all(is_known));
        let lines = [line(&refused), line(&counted)];
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
