//! The figures of each day, lane and till, as the report and the console show them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State as Shared;
use axum::http::{StatusCode, Uri};
use serde_json::{Map, Value, json};

use super::given::{asked, lane_looked_for};
use super::{Admin, Problem};
use crate::clock::Day;
use crate::decide::Figures;
use crate::message::{Denied, FilterFault};
use crate::refused;
use crate::store::TillDay;

/// `GET /api/v1/figures?from=&to=&lane=`: whole days, with `next` where there are more.
pub(super) async fn figures(
    Shared(admin): Shared<Arc<Admin>>,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    let unfit = |told| Problem::denied(StatusCode::BAD_REQUEST, told);
    let WantedFigures { from, to, lane } = WantedFigures::of(&uri).map_err(unfit)?;
    lane_looked_for(&admin, lane.as_deref()).map_err(unfit)?;
    let look = move |reader: &crate::store::Reader| {
        Ok((reader.till_days(from, to, lane.as_deref())?, reader.refusals(from, to)?))
    };
    let (page, mut refused) = admin.queue.look(look).await?;
    if (from..=to).contains(&admin.queue.today()) {
        add_unkept(&mut refused);
    }
    let lines: Vec<Value> = page.lines.iter().map(line).collect();
    Ok(Json(json!({ "figures": lines, "refused": refused,
            "next": page.next.map(|day| day.to_string()) })))
}

/// What the store does not know of yet is of today.
pub(super) fn add_unkept(refused: &mut BTreeMap<String, u64>) {
    for (reason, number) in refused::unkept() {
        *refused.entry(reason.as_str().to_owned()).or_default() += number;
    }
}

fn line(line: &TillDay) -> Value {
    let numbers = Figures::NAMES.iter().zip(line.figures.0);
    let mut members: Map<String, Value> =
        numbers.map(|(name, number)| ((*name).to_owned(), json!(number.max(0)))).collect();
    for (name, text) in
        [("day", line.day.to_string()), ("lane", line.lane.clone()), ("till", line.till.clone())]
    {
        members.insert(name.to_owned(), Value::String(text));
    }
    Value::Object(members)
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct WantedFigures {
    from: Day,
    to: Day,
    lane: Option<String>,
}

impl WantedFigures {
    fn of(uri: &Uri) -> Result<Self, Denied> {
        Self::of_pairs(asked(uri)?).map_err(|fault| Denied::Filter { faults: vec![fault] })
    }

    fn of_pairs(pairs: Vec<(String, String)>) -> Result<Self, FilterFault> {
        let mut wanted = Self { from: Day::new(0), to: Day::new(i64::MAX), lane: None };
        let day = |name: &str, text: &str| {
            Day::parse(text).ok_or_else(|| FilterFault::Day { key: name.to_owned() })
        };
        let mut asked = BTreeSet::new();
        for (name, text) in pairs {
            if !asked.insert(name.clone()) {
                return Err(FilterFault::Twice { key: name });
            }
            match name.as_str() {
                "from" => wanted.from = day("from", &text)?,
                "to" => wanted.to = day("to", &text)?,
                "lane" => wanted.lane = Some(text),
                _ => {
                    return Err(FilterFault::Unknown {
                        key: name,
                        known: "from, to, lane".to_owned(),
                    });
                }
            }
        }
        if wanted.to < wanted.from {
            return Err(FilterFault::backwards("to", "from"));
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_a_lane_are_asked_for_and_nothing_else() {
        let of =
            |query: &str| WantedFigures::of(&format!("/api/v1/figures{query}").parse().unwrap());
        assert_eq!(
            of("").unwrap(),
            WantedFigures { from: Day::new(0), to: Day::new(i64::MAX), lane: None }
        );
        let asked = of("?from=2026-11-01&to=2026-11-30&lane=retm").unwrap();
        assert_eq!(
            (asked.from.to_string(), asked.to.to_string()),
            ("2026-11-01".to_owned(), "2026-11-30".to_owned())
        );
        assert_eq!(asked.lane.as_deref(), Some("retm"));
        for wrong in [
            "?from=yesterday",
            "?to=2026-02-30",
            "?till=1",
            "?to=2026-11-01&from=2026-11-02",
            "?lane=retm&lane=other",
            "?from=2026-11-01&from=2026-11-02",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_line_has_every_figure_by_its_name() {
        let of = TillDay {
            day: Day::parse("2026-11-01").unwrap(),
            lane: "retm".to_owned(),
            till: "till-1".to_owned(),
            figures: Figures(std::array::from_fn(|at| i64::try_from(at).unwrap())),
        };
        let value = line(&of);
        assert_eq!(
            (&value["day"], &value["lane"], &value["till"]),
            (&"2026-11-01".into(), &"retm".into(), &"till-1".into())
        );
        assert_eq!(
            (&value["given"], &value["late"], &value["taken_back"]),
            (&0.into(), &1.into(), &11.into())
        );
    }
}
