//! The one sentence at the top: how the store stands and what it may still give.

use std::time::{Duration, UNIX_EPOCH};

use super::{Moment, capital};
use crate::admin::status::{LaneView, Status};
use crate::limits::Measure;
use crate::message::{Cause, Language, Noun, NounPlace, about, count, count_in};
use crate::queue::LaneStatus;
use crate::settings::Offline;
use crate::value::Amount;

/// For so long nobody needs to know since when a line is in trouble.
const TROUBLE_IS_NEW: Duration = Duration::from_mins(1);

/// A sentence, how loud it is, and a time at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sentence {
    /// `good`, `warn` or `bad`.
    pub(super) tone: &'static str,
    pub(super) text: String,
    pub(super) until: Option<Moment>,
}

impl Sentence {
    fn new(tone: &'static str, text: String) -> Self {
        Self { tone, text, until: None }
    }
}

/// What the sentence is made of.
pub(super) struct Facts<'a> {
    pub(super) status: &'a Status,
    pub(super) offline: Option<&'a Offline>,
    pub(super) now_ms: i64,
    /// When the newest row was answered.
    pub(super) answered_ms: Option<i64>,
    pub(super) lang: Language,
}

/// Milliseconds of an RFC 3339 time of ours.
pub(super) fn ms_of(text: &str) -> Option<i64> {
    let at = humantime::parse_rfc3339(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(at.as_millis()).ok()
}

fn between(from_ms: i64, to_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(to_ms.saturating_sub(from_ms)).unwrap_or(0))
}

/// One sentence for each lane that is not well, or that all is well.
pub(super) fn sentences(facts: &Facts<'_>) -> Vec<Sentence> {
    let lanes = &facts.status.lanes;
    let several = lanes.len() > 1;
    let off = lanes.iter().filter_map(|lane| trust_off(facts.lang, lane, several));
    let unwell = lanes.iter().filter(|lane| lane.status.link != "up");
    let mut unwell: Vec<_> = unwell.map(|lane| of_lane(facts, lane, several)).collect();
    if unwell.is_empty() {
        unwell.push(all_is_well(facts));
    }
    off.chain(unwell).collect()
}

fn whose(lang: Language, status: &LaneStatus, several: bool) -> String {
    if several { format!("{}: ", lang.isolated(&status.name)) } else { String::new() }
}

/// Somebody has switched trust off: it stands before all else.
fn trust_off(lang: Language, view: &LaneView, several: bool) -> Option<Sentence> {
    let off = view.risk.trust_off.as_ref()?;
    let whose = whose(lang, &view.status, several);
    let (by, note) = (lang.isolated(&off.by), lang.isolated(&off.note));
    let left = off.left_s.map(|left_s| about(Duration::from_secs(left_s), lang));
    let text = match (lang, left) {
        (Language::English, Some(left)) => {
            format!(
                "{whose}No reward is given without the provider's answer, for {left} more. {by}: \
                 {note}"
            )
        }
        (Language::English, None) => format!(
            "{whose}No reward is given without the provider's answer, until somebody switches it \
             on. {by}: {note}"
        ),
        (Language::Arabic, Some(left)) => {
            format!("{whose}لا تُعطى مكافأة دون جواب المزوّد، والمتبقي {left}. {by}: {note}")
        }
        (Language::Arabic, None) => {
            format!("{whose}لا تُعطى مكافأة دون جواب المزوّد حتى يعيد شخص تشغيل ذلك. {by}: {note}")
        }
    };
    Some(Sentence::new("bad", text))
}

fn all_is_well(facts: &Facts<'_>) -> Sentence {
    let text = match (
        facts.lang,
        facts.answered_ms.map(|at| about(between(at, facts.now_ms), facts.lang)),
    ) {
        (Language::English, Some(ago)) => {
            format!("All is well: the last redemption was answered {ago} ago.")
        }
        (Language::English, None) => "All is well: no redemption has been answered yet.".to_owned(),
        (Language::Arabic, Some(ago)) => {
            format!("كل شيء على ما يرام: أُجيب عن آخر عملية قبل {ago}.")
        }
        (Language::Arabic, None) => "كل شيء على ما يرام: لم يُجب عن أي عملية بعد.".to_owned(),
    };
    Sentence::new("good", text)
}

fn of_lane(facts: &Facts<'_>, view: &LaneView, several: bool) -> Sentence {
    let lane = &view.status;
    let cause = lane.cause.as_deref().unwrap_or_default();
    let since_ms = lane.since.as_deref().and_then(ms_of);
    let away = since_ms.map_or(Duration::ZERO, |since| between(since, facts.now_ms));
    let whose = whose(facts.lang, lane, several);
    if lane.trust != "at_once" {
        let meaning =
            Cause::from_word(cause).map(|cause| cause.meaning(facts.lang)).unwrap_or_default();
        return Sentence::new("warn", format!("{whose}{}", troubled(facts.lang, away, &meaning)));
    }
    let mut text = format!("{whose}{}", is_away(facts.lang, away, view.risk.given));
    let is_off =
        view.risk.trust_off.is_some() || !facts.offline.is_some_and(|offline| offline.accept);
    let Some(left) = left(view).filter(|_| !is_off) else {
        text.push_str(give_nothing(facts.lang));
        return Sentence::new("bad", text);
    };
    text.push_str(&give_more(facts.lang, left));
    Sentence { tone: "warn", text, until: view.risk.trust_until.as_deref().and_then(Moment::read) }
}

/// How many may still be given, by the narrowest limit that counts; `None` when a limit is reached.
fn left(lane: &LaneView) -> Option<u64> {
    let gauges = lane.risk.gauges.iter();
    let left: Vec<Measure> = gauges.map(|gauge| gauge.used.left(gauge.most)).collect();
    let is_reached = |left: &Measure| match left {
        Measure::Count(number) | Measure::Seconds(number) => *number == 0,
        Measure::Money(amount) => *amount == Amount::default(),
    };
    if left.iter().any(is_reached) {
        return None;
    }
    let counts = left.iter().filter_map(|left| match left {
        Measure::Count(number) => Some(*number),
        Measure::Money(_) | Measure::Seconds(_) => None,
    });
    Some(counts.min().unwrap_or(u64::MAX))
}

fn is_away(lang: Language, away: Duration, given: u64) -> String {
    let (away, is_one) = (about(away, lang), given == 1);
    match lang {
        Language::English => {
            let were = if is_one { "was" } else { "were" };
            let given = count(given, Noun::Reward, lang);
            format!("The line has been down for {away}. {given} {were} given meanwhile.")
        }
        Language::Arabic => {
            format!("الخط منقطع منذ {away}. عدد المكافآت التي أُعطيت في هذه الأثناء: {given}.")
        }
    }
}

fn give_more(lang: Language, left: u64) -> String {
    match lang {
        Language::English => format!(" You may give {} more, until", crate::message::grouped(left)),
        Language::Arabic => {
            format!(
                " يمكنك إعطاء {} أخرى، حتى",
                count_in(NounPlace::Object, left, Noun::Reward, lang)
            )
        }
    }
}

fn give_nothing(lang: Language) -> &'static str {
    match lang {
        Language::English => {
            " Nothing more may be given until it is back: tills are told to ask again."
        }
        Language::Arabic => " لا يمكن إعطاء المزيد حتى يعود: يُطلب من نقاط البيع أن تسأل لاحقًا.",
    }
}

fn troubled(lang: Language, away: Duration, meaning: &str) -> String {
    let meaning = capital(meaning);
    if away < TROUBLE_IS_NEW {
        return format!("{meaning}.");
    }
    match lang {
        Language::English => format!("{meaning}, for {} now.", about(away, lang)),
        Language::Arabic => format!("{meaning}، منذ {}.", about(away, lang)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::risk::OffView;
    use super::super::super::status::tests::{lane, sample};
    use super::*;
    use crate::limits::Gauge;

    fn offline() -> Offline {
        let text = "[[provider]]\nname = \"retm\"\nredeem_url \
            = \"https://p.example/r\"\ntoken_file = \"/t\"\n\
                    [offline]\nmax_pending = 100\nmax_outage = \"4h\"\n";
        crate::settings::parse(text, "box").unwrap().settings.offline
    }

    fn said(
        change: impl FnOnce(&mut Status),
        lang: Language,
        answered_ms: Option<i64>,
    ) -> Vec<Sentence> {
        let mut status = sample();
        status.lanes.truncate(1);
        status.lanes[0].risk.given = 17;
        change(&mut status);
        let offline = offline();
        // 42 minutes after the lane's `since`.
        let now_ms = ms_of("2026-11-01T00:42:00Z").unwrap();
        sentences(&Facts { status: &status, offline: Some(&offline), now_ms, answered_ms, lang })
    }

    /// So many of a hundred wait, and the line may be away until four.
    fn waiting(pending: u64) -> impl FnOnce(&mut Status) {
        move |status| {
            let risk = &mut status.lanes[0].risk;
            let count = Measure::Count;
            risk.gauges = vec![Gauge {
                rule: None,
                limit: "max_pending",
                used: count(pending),
                most: count(100),
            }];
            risk.trust_until = Some("2026-11-01T04:00:00Z".to_owned());
        }
    }

    #[test]
    fn an_outage_is_said_in_the_words_that_a_manager_needs() {
        let sentence = said(waiting(17), Language::English, None).remove(0);
        assert_eq!(
            sentence.text,
            "The line has been down for 42 minutes. 17 rewards were given meanwhile. You may give \
             83 more, until"
        );
        assert_eq!(
            (sentence.tone, sentence.until.unwrap().iso().as_str()),
            ("warn", "2026-11-01T04:00:00Z")
        );
        let arabic = said(waiting(17), Language::Arabic, None).remove(0);
        assert!(arabic.text.starts_with("الخط منقطع منذ 42 دقيقة"), "{}", arabic.text);
    }

    #[test]
    fn at_a_limit_nothing_more_is_promised_whichever_it_is() {
        let sentence = said(waiting(100), Language::English, None).remove(0);
        assert!(
            sentence.tone == "bad"
                && sentence.until.is_none()
                && sentence.text.contains("Nothing more")
        );
        for (used, most) in [
            (Measure::Seconds(14_400), Measure::Seconds(14_400)),
            (Measure::Money(Amount::whole(500)), Measure::Money(Amount::whole(500))),
        ] {
            let reached = |status: &mut Status| {
                waiting(1)(status);
                status.lanes[0].risk.gauges.push(Gauge {
                    rule: None,
                    limit: "another",
                    used,
                    most,
                });
            };
            assert_eq!(said(reached, Language::English, None).remove(0).tone, "bad", "{used:?}");
        }
    }

    #[test]
    fn the_narrowest_limit_says_how_many_more() {
        let narrow = |status: &mut Status| {
            waiting(17)(status);
            let (used, most) = (Measure::Count(55), Measure::Count(60));
            status.lanes[0].risk.gauges.push(Gauge {
                rule: None,
                limit: "max_per_hour",
                used,
                most,
            });
        };
        assert!(
            said(narrow, Language::English, None).remove(0).text.contains("You may give 5 more")
        );
    }

    #[test]
    fn trust_that_is_off_is_said_first_with_who_and_why_and_for_how_long() {
        let off = |left_s| {
            move |status: &mut Status| {
                status.lanes[0].status = lane("retm", "up", None);
                status.lanes[0].risk.trust_off = Some(OffView {
                    note: "codes are being guessed".to_owned(),
                    by: "amal".to_owned(),
                    since: "2026-11-01T00:00:00Z".to_owned(),
                    left_s,
                });
            }
        };
        let sentences = said(off(Some(7200)), Language::English, None);
        let text = "No reward is given without the provider's answer, for 2 hours more. amal: \
            codes are being guessed";
        assert_eq!((sentences[0].tone, sentences[0].text.as_str()), ("bad", text));
        assert!(sentences[1].text.starts_with("All is well"));
        assert!(
            said(off(None), Language::English, None)[0]
                .text
                .contains("until somebody switches it on")
        );
        assert!(said(off(Some(7200)), Language::Arabic, None)[0].text.contains("والمتبقي ساعتين"));
    }

    #[test]
    fn how_long_a_line_is_in_trouble_is_said_once_it_matters() {
        let held = |since: &'static str| {
            move |status: &mut Status| {
                status.lanes[0].status = lane("retm", "held", Some("operator"));
                status.lanes[0].status.trust = "never";
                status.lanes[0].status.since = Some(since.to_owned());
            }
        };
        let new = said(held("2026-11-01T00:41:58Z"), Language::English, None).remove(0);
        assert_eq!(new.text, "An operator holds this lane.");
        let old = said(held("2026-11-01T00:40:00Z"), Language::English, None).remove(0);
        assert_eq!(old.text, "An operator holds this lane, for 2 minutes now.");
    }

    #[test]
    fn all_is_well_only_when_every_lane_is_up() {
        let up = |status: &mut Status| status.lanes[0].status = lane("retm", "up", None);
        let answered_ms = ms_of("2026-11-01T00:39:00Z");
        let sentence = said(up, Language::English, answered_ms).remove(0);
        assert_eq!(sentence.text, "All is well: the last redemption was answered 3 minutes ago.");
        let held =
            |status: &mut Status| status.lanes[0].status = lane("retm", "held", Some("operator"));
        assert_eq!(said(held, Language::English, None).remove(0).tone, "warn");
    }
}
