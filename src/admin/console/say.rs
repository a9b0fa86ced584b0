//! The one sentence at the top: how the store stands and what it may still give.

use std::time::{Duration, UNIX_EPOCH};

use super::{Moment, capital};
use crate::admin::status::Status;
use crate::message::{Cause, Language, Noun, Place, about, count, count_in};
use crate::queue::LaneStatus;
use crate::settings::Offline;

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
    /// Rewards given on trust, by lane.
    pub(super) given: &'a [(String, u64)],
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
    let unwell = lanes.iter().filter(|lane| lane.status.link != "up");
    let said: Vec<_> = unwell.map(|lane| of_lane(facts, &lane.status, several)).collect();
    if said.is_empty() { vec![all_is_well(facts)] } else { said }
}

fn all_is_well(facts: &Facts<'_>) -> Sentence {
    let text = match (facts.lang, facts.answered_ms.map(|at| about(between(at, facts.now_ms), facts.lang))) {
        (Language::English, Some(ago)) => format!("All is well: the last redemption was answered {ago} ago."),
        (Language::English, None) => "All is well: no redemption has been answered yet.".to_owned(),
        (Language::Arabic, Some(ago)) => format!("كل شيء على ما يرام: أُجيب عن آخر عملية قبل {ago}."),
        (Language::Arabic, None) => "كل شيء على ما يرام: لم يُجب عن أي عملية بعد.".to_owned(),
    };
    Sentence::new("good", text)
}

fn of_lane(facts: &Facts<'_>, lane: &LaneStatus, several: bool) -> Sentence {
    let cause = lane.cause.as_deref().unwrap_or_default();
    let since_ms = lane.since.as_deref().and_then(ms_of);
    let away = since_ms.map_or(Duration::ZERO, |since| between(since, facts.now_ms));
    let whose = if several { format!("{}: ", facts.lang.isolated(&lane.name)) } else { String::new() };
    if lane.trust != "at_once" {
        let meaning = Cause::from_word(cause).map(|cause| cause.meaning(facts.lang)).unwrap_or_default();
        return Sentence::new("warn", format!("{whose}{}", troubled(facts.lang, away, &meaning)));
    }
    let given = facts.given.iter().find(|(name, _)| *name == lane.name).map_or(0, |(_, given)| *given);
    let mut text = format!("{whose}{}", is_away(facts.lang, away, given));
    let Some(offline) = facts.offline.filter(|offline| offline.accept) else {
        text.push_str(give_nothing(facts.lang));
        return Sentence::new("bad", text);
    };
    let left = offline.max_pending.saturating_sub(lane.pending);
    let last_ms =
        since_ms.map(|since| since.saturating_add(i64::try_from(offline.max_outage.as_millis()).unwrap_or(i64::MAX)));
    if left == 0 || last_ms.is_some_and(|last| last <= facts.now_ms) {
        text.push_str(give_nothing(facts.lang));
        return Sentence::new("bad", text);
    }
    text.push_str(&give_more(facts.lang, left));
    Sentence { tone: "warn", text, until: last_ms.map(Moment::of_ms) }
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
            format!(" يمكنك إعطاء {} أخرى، حتى", count_in(Place::Object, left, Noun::Reward, lang))
        }
    }
}

fn give_nothing(lang: Language) -> &'static str {
    match lang {
        Language::English => " Nothing more may be given until it is back: tills are told to ask again.",
        Language::Arabic => " لا يمكن إعطاء المزيد حتى يعود: يُطلب من نقاط البيع أن تسأل لاحقًا.",
    }
}

fn troubled(lang: Language, away: Duration, meaning: &str) -> String {
    let meaning = capital(meaning);
    match lang {
        Language::English => format!("{meaning}, for {} now.", about(away, lang)),
        Language::Arabic => format!("{meaning}، منذ {}.", about(away, lang)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::status::tests::{lane, sample};
    use super::*;

    fn offline() -> Offline {
        let text = "[[provider]]\nname = \"retm\"\nredeem_url = \"https://p.example/r\"\ntoken_file = \"/t\"\n\
                    [offline]\nmax_pending = 100\nmax_outage = \"4h\"\n";
        crate::settings::parse(text, "box").unwrap().settings.offline
    }

    fn said(change: impl FnOnce(&mut Status), lang: Language, answered_ms: Option<i64>) -> Vec<Sentence> {
        let mut status = sample();
        status.lanes.truncate(1);
        change(&mut status);
        let offline = offline();
        let given = [("retm".to_owned(), 17)];
        // 42 minutes after the lane's `since`.
        let now_ms = ms_of("2026-11-01T00:42:00Z").unwrap();
        sentences(&Facts { status: &status, offline: Some(&offline), given: &given, now_ms, answered_ms, lang })
    }

    #[test]
    fn an_outage_is_said_in_the_words_that_a_manager_needs() {
        let sentence = said(|status| status.lanes[0].status.pending = 17, Language::English, None).remove(0);
        assert_eq!(
            sentence.text,
            "The line has been down for 42 minutes. 17 rewards were given meanwhile. You may give 83 more, until"
        );
        assert_eq!((sentence.tone, sentence.until.unwrap().iso()), ("warn", "2026-11-01T04:00:00Z"));
        let arabic = said(|status| status.lanes[0].status.pending = 17, Language::Arabic, None).remove(0);
        assert!(arabic.text.starts_with("الخط منقطع منذ 42 دقيقة"), "{}", arabic.text);
    }

    #[test]
    fn at_a_limit_nothing_more_is_promised() {
        let sentence = said(|status| status.lanes[0].status.pending = 100, Language::English, None).remove(0);
        assert!(sentence.tone == "bad" && sentence.until.is_none() && sentence.text.contains("Nothing more"));
        let late = |status: &mut Status| status.lanes[0].status.since = Some("2026-10-31T20:00:00Z".to_owned());
        assert_eq!(said(late, Language::English, None).remove(0).tone, "bad");
    }

    #[test]
    fn all_is_well_only_when_every_lane_is_up() {
        let up = |status: &mut Status| status.lanes[0].status = lane("retm", "up", None);
        let answered_ms = ms_of("2026-11-01T00:39:00Z");
        let sentence = said(up, Language::English, answered_ms).remove(0);
        assert_eq!(sentence.text, "All is well: the last redemption was answered 3 minutes ago.");
        let held = |status: &mut Status| status.lanes[0].status = lane("retm", "held", Some("operator"));
        assert_eq!(said(held, Language::English, None).remove(0).tone, "warn");
    }
}
