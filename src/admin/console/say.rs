//! The one sentence at the top: how the store stands and what it may still give.

use std::time::{Duration, UNIX_EPOCH};

use super::{Moment, capital};
use crate::admin::risk::LaneRisk;
use crate::admin::status::{LaneView, Status};
use crate::clock::{rfc3339, signed_ms};
use crate::limits::{NoRoom, Room, RoomOf};
use crate::message::{
    Cause, Language, Noun, NounPlace, about, about_in, count, count_in, grouped, money, who_holds,
};
use crate::queue::LaneStatus;

/// For so long nobody needs to know since when a line is in trouble.
const TROUBLE_IS_NEW: Duration = Duration::from_mins(1);
/// While a line works no redemption waits so long for its answer.
const WAITS_LONG: Duration = Duration::from_mins(5);

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
    pub(super) now_ms: i64,
    /// When the newest row of the last days was answered.
    pub(super) answered_ms: Option<i64>,
    /// No row can be read now.
    pub(super) is_unread: bool,
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
    let unwell = lanes.iter().filter(|lane| lane.status.seen != "up");
    let mut unwell: Vec<_> = unwell.map(|lane| of_lane(facts, lane, several)).collect();
    if unwell.is_empty() {
        unwell.push(no_lane_is_away(facts));
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
    let span = |left_s| about_in(NounPlace::Subject, Duration::from_secs(left_s), lang);
    let left = off.left_s.map(span);
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

/// No lane is down or held: that all is well, unless something else is not.
fn no_lane_is_away(facts: &Facts<'_>) -> Sentence {
    let answered = last_answered(facts);
    let has_needs = !facts.status.needs().is_empty();
    let is_off = facts.status.lanes.iter().any(|lane| lane.risk.trust_off.is_some());
    let old_s = facts.status.oldest_pending_age_s.filter(|age_s| *age_s >= WAITS_LONG.as_secs());
    if !has_needs && !is_off && old_s.is_none() {
        return Sentence::new("good", format!("{}: {answered}", nothing_is_wrong(facts)));
    }
    let parts = [
        Some(no_line_is_down(facts.lang, &answered)),
        old_s.map(|age_s| waits_long(facts.lang, Duration::from_secs(age_s))),
        has_needs.then(|| see_below(facts.lang).to_owned()),
    ];
    Sentence::new("warn", parts.into_iter().flatten().collect::<Vec<_>>().join(" "))
}

/// Nobody knows of a line on which nothing was tried since the start.
fn nothing_is_wrong(facts: &Facts<'_>) -> &'static str {
    let is_known = facts.status.lanes.iter().all(|lane| lane.status.tried);
    match (facts.lang, is_known) {
        (Language::English, true) => "All is well",
        (Language::English, false) => "Nothing is known to be wrong",
        (Language::Arabic, true) => "كل شيء على ما يرام",
        (Language::Arabic, false) => "لا يُعرف أي خلل",
    }
}

fn no_line_is_down(lang: Language, answered: &str) -> String {
    match lang {
        Language::English => format!("No line is known to be down: {answered}"),
        Language::Arabic => format!("لا يُعرف انقطاع في أي خط: {answered}"),
    }
}

fn waits_long(lang: Language, age: Duration) -> String {
    let age = about(age, lang);
    match lang {
        Language::English => {
            format!("The oldest redemption has waited {age} for the provider's answer.")
        }
        Language::Arabic => format!("تنتظر أقدم عملية جواب المزوّد منذ {age}."),
    }
}

fn see_below(lang: Language) -> &'static str {
    match lang {
        Language::English => "Something needs a person: it is named below.",
        Language::Arabic => "هناك ما يحتاج إلى شخص، وهو مذكور أدناه.",
    }
}

fn last_answered(facts: &Facts<'_>) -> String {
    let counts = &facts.status.counts;
    let was_any = counts.confirmed + counts.declined + counts.parked > 0;
    let ago = facts.answered_ms.map(|at| about(between(at, facts.now_ms), facts.lang));
    match (facts.lang, ago) {
        (Language::English, _) if facts.is_unread => {
            "when the last redemption was answered cannot be read now.".to_owned()
        }
        (Language::Arabic, _) if facts.is_unread => {
            "لا يمكن الآن قراءة وقت الجواب عن آخر عملية.".to_owned()
        }
        (Language::English, Some(ago)) => format!("the last redemption was answered {ago} ago."),
        (Language::English, None) if was_any => {
            "no redemption was answered in the last days.".to_owned()
        }
        (Language::English, None) => "no redemption has been answered yet.".to_owned(),
        (Language::Arabic, Some(ago)) => format!("أُجيب عن آخر عملية قبل {ago}."),
        (Language::Arabic, None) if was_any => "لم يُجب عن أي عملية في الأيام الأخيرة.".to_owned(),
        (Language::Arabic, None) => "لم يُجب عن أي عملية بعد.".to_owned(),
    }
}

fn of_lane(facts: &Facts<'_>, view: &LaneView, several: bool) -> Sentence {
    let lane = &view.status;
    let cause = lane.cause.as_deref().unwrap_or_default();
    let since_ms = lane.since.as_deref().and_then(ms_of);
    let away = since_ms.map_or(Duration::ZERO, |since| between(since, facts.now_ms));
    let whose = whose(facts.lang, lane, several);
    let cause = Cause::from_word(cause);
    let troubled = || troubled(facts.lang, away, &meaning(lane, facts.lang));
    let is_away_line = lane.trust == "at_once" && cause != Some(Cause::Operator);
    let what = if is_away_line { is_away(facts.lang, away) } else { troubled() };
    let (tone, more, until) = may_give(facts, view, cause);
    let given = given(facts.lang, view.risk.given);
    let more = (!more.is_empty()).then_some(more);
    let parts = [Some(format!("{whose}{what}")), given, more];
    let text = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
    Sentence { tone, text, until }
}

/// What is the matter with a lane, and who holds it and why.
pub(super) fn meaning(status: &LaneStatus, lang: Language) -> String {
    let cause = status.cause.as_deref().and_then(Cause::from_word);
    let meaning = cause.map(|cause| capital(&cause.meaning(lang))).unwrap_or_default();
    let detail = status.detail.as_deref().filter(|_| cause == Some(Cause::Operator));
    match detail.and_then(|detail| who_holds(detail, lang)) {
        Some(who) => format!("{meaning} ({who})"),
        None => meaning,
    }
}

/// What may still be given: how loud that is, the words, and a time that follows them.
type More = (&'static str, String, Option<Moment>);

fn may_give(facts: &Facts<'_>, view: &LaneView, cause: Option<Cause>) -> More {
    match (view.status.trust, cause) {
        ("at_once", _) => at_once(facts.lang, &view.risk),
        ("unanswered", _) => unanswered(facts, &view.risk),
        // No till can ask for it.
        (_, Some(Cause::NotConfigured)) => ("warn", String::new(), None),
        _ => ("bad", give_nothing(facts.lang).to_owned(), None),
    }
}

/// Nobody can be asked.
fn at_once(lang: Language, risk: &LaneRisk) -> More {
    let moment = |time: &Option<String>| time.as_deref().and_then(Moment::read);
    match (&risk.room, &risk.trust_from) {
        (Some(room), _) => ("warn", give_more(lang, room, false), moment(&risk.trust_until)),
        (None, _) if risk.gives_to_checked_alone() => {
            ("warn", give_checked_alone(lang).to_owned(), None)
        }
        (None, Some(_)) => ("bad", before(lang).to_owned(), moment(&risk.trust_from)),
        (None, None) => ("bad", give_nothing(lang).to_owned(), None),
    }
}

/// Each redemption is asked about, and given without an answer only where others have none either.
fn unanswered(facts: &Facts<'_>, risk: &LaneRisk) -> More {
    let lang = facts.lang;
    let after = |span| Moment::read(&rfc3339(facts.now_ms.saturating_add(signed_ms(span))));
    let [checked, before, nothing] = without_answer(lang);
    match risk.limits_leave {
        Some(Ok(room)) => ("warn", give_more(lang, &room, true), after(room.within)),
        _ if risk.takes_checked => ("warn", checked.to_owned(), None),
        Some(Err(NoRoom::Hours(opens_in))) => ("bad", before.to_owned(), after(opens_in)),
        Some(Err(NoRoom::Closed)) | None => ("bad", nothing.to_owned(), None),
    }
}

/// Only a checked code may be given, none before a time that follows, or none at all.
fn without_answer(lang: Language) -> [&'static str; 3] {
    match lang {
        Language::English => [
            "Without the provider's answer, only a code that a till has checked may be given now.",
            "Without the provider's answer nothing may be given before",
            "Without the provider's answer nothing more may be given now.",
        ],
        Language::Arabic => [
            "دون جواب المزوّد لا يمكن الآن إعطاء مكافأة إلا لرمز تحققت منه نقطة بيع.",
            "دون جواب المزوّد لا يمكن إعطاء شيء قبل",
            "دون جواب المزوّد لا يمكن إعطاء المزيد الآن.",
        ],
    }
}

fn is_away(lang: Language, away: Duration) -> String {
    let how_long = about(away, lang);
    match lang {
        Language::English if away.as_secs() == 0 => "The line is down.".to_owned(),
        Language::English => format!("The line has been down for {how_long}."),
        Language::Arabic if away.as_secs() == 0 => "الخط منقطع.".to_owned(),
        Language::Arabic => format!("الخط منقطع منذ {how_long}."),
    }
}

/// What was given and is not settled: it may be of an outage before this one.
fn given(lang: Language, given: u64) -> Option<String> {
    let number = count(given, Noun::Reward, lang);
    let text = match (lang, given) {
        (_, 0) => return None,
        (Language::English, 1) => {
            format!("{number} was given and waits for the provider's answer.")
        }
        (Language::English, _) => {
            format!("{number} were given and wait for the provider's answer.")
        }
        (Language::Arabic, _) => {
            format!("عدد المكافآت التي أُعطيت وتنتظر جواب المزوّد: {number}.")
        }
    };
    Some(text)
}

/// A time follows. `is_asked`: each redemption is asked about first.
fn give_more(lang: Language, room: &Room, is_asked: bool) -> String {
    let more = room.more;
    let (at, of_each) = match (lang, more) {
        (Language::English, 1) => ("at", ""),
        (Language::English, _) => ("at", " each"),
        (Language::Arabic, 1) => ("بقيمة", ""),
        (Language::Arabic, 2) => ("بقيمة", " لكل منهما"),
        (Language::Arabic, _) => ("بقيمة", " لكل منها"),
    };
    let each = room.each.map(|each| format!(" {at} {}{of_each}", money(each))).unwrap_or_default();
    match lang {
        Language::English => {
            let (most, rules) = match room.of {
                RoomOf::All if is_asked => ("at most ", ""),
                RoomOf::All => ("", ""),
                RoomOf::AsRulesAllow => ("at most ", ", as the rules allow"),
                RoomOf::RulesAlone => ("at most ", ", only where a rule of its own allows it"),
            };
            let only =
                if is_asked { ", and only where others are not answered either" } else { "" };
            format!("You may give {most}{} more{each}{rules}{only}, until", grouped(more))
        }
        Language::Arabic => {
            let (most, rules) = match room.of {
                RoomOf::All if is_asked => (" على الأكثر", ""),
                RoomOf::All => ("", ""),
                RoomOf::AsRulesAllow => (" على الأكثر", " بحسب القواعد"),
                RoomOf::RulesAlone => (" على الأكثر", "، فقط حيث تسمح بذلك قاعدة خاصة"),
            };
            let other = if more == 2 { "أخريين" } else { "أخرى" };
            let more = count_in(NounPlace::Object, more, Noun::Reward, lang);
            let only = if is_asked {
                "، وذلك فقط حين لا يُجاب عن غيرها أيضًا"
            } else {
                ""
            };
            format!("يمكنك إعطاء {more} {other}{most}{each}{rules}{only}، حتى")
        }
    }
}

/// No other code may be given.
fn give_checked_alone(lang: Language) -> &'static str {
    match lang {
        Language::English => {
            "Only a code that a till has checked may be given now: for others, tills are told to \
             ask again."
        }
        Language::Arabic => {
            "لا يمكن الآن إعطاء مكافأة إلا لرمز تحققت منه نقطة بيع: ولغيره يُطلب من \
             نقاط البيع أن تسأل لاحقًا."
        }
    }
}

/// The hours are not those in which something may be given; a time follows.
fn before(lang: Language) -> &'static str {
    match lang {
        Language::English => "Tills are told to ask again: nothing may be given before",
        Language::Arabic => "يُطلب من نقاط البيع أن تسأل لاحقًا: لا يمكن إعطاء شيء قبل",
    }
}

fn give_nothing(lang: Language) -> &'static str {
    match lang {
        Language::English => "Nothing more may be given now: tills are told to ask again.",
        Language::Arabic => "لا يمكن إعطاء المزيد الآن: يُطلب من نقاط البيع أن تسأل لاحقًا.",
    }
}

fn troubled(lang: Language, away: Duration, meaning: &str) -> String {
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
    use super::super::super::status::tests::{lane, sample, standing};
    use super::*;
    use crate::message::Storage;
    use crate::store::LaneStanding;
    use crate::value::Amount;

    fn said(
        change: impl FnOnce(&mut Status),
        lang: Language,
        answered_ms: Option<i64>,
    ) -> Vec<Sentence> {
        let mut status = sample();
        status.lanes.truncate(1);
        status.clock_trusted = true;
        status.lanes[0].risk.given = 17;
        change(&mut status);
        // 42 minutes after the lane's `since`.
        let now_ms = ms_of("2026-11-01T00:42:00Z").unwrap();
        sentences(&Facts { status: &status, now_ms, answered_ms, is_unread: false, lang })
    }

    const ROOM: Room =
        Room { more: 83, each: None, within: Duration::from_hours(3), of: RoomOf::All };

    /// So much may be given, and the line may be away until four.
    fn may_give(room: Room) -> impl FnOnce(&mut Status) {
        move |status| {
            let risk = &mut status.lanes[0].risk;
            (risk.room, risk.trust_until) = (Some(room), Some("2026-11-01T04:00:00Z".to_owned()));
        }
    }

    #[test]
    fn an_outage_is_said_in_the_words_that_a_manager_needs() {
        let sentence = said(may_give(ROOM), Language::English, None).remove(0);
        assert_eq!(
            sentence.text,
            "The line has been down for 42 minutes. 17 rewards were given and wait for the \
             provider's answer. You may give 83 more, until"
        );
        assert_eq!(
            (sentence.tone, sentence.until.unwrap().iso().as_str()),
            ("warn", "2026-11-01T04:00:00Z")
        );
        let arabic = said(may_give(ROOM), Language::Arabic, None).remove(0);
        assert!(arabic.text.starts_with("الخط منقطع منذ 42 دقيقة"), "{}", arabic.text);
    }

    #[test]
    fn a_line_that_has_just_gone_down_is_down_for_no_seconds() {
        let now = |status: &mut Status| {
            may_give(ROOM)(status);
            status.lanes[0].status.since = Some("2026-11-01T00:42:00Z".to_owned());
        };
        let text = said(now, Language::English, None).remove(0).text;
        assert!(text.starts_with("The line is down. 17 rewards"), "{text}");
    }

    #[test]
    fn what_bounds_the_number_is_said_where_it_is_the_value_or_the_rules() {
        let sentence = |room, lang| said(may_give(room), lang, None).remove(0).text;
        let by_value = Room { more: 4, each: Some(Amount::whole(25)), ..ROOM };
        let text = sentence(by_value, Language::English);
        assert!(text.ends_with("You may give 4 more at 25.00 each, until"), "{text}");
        let by_rules = Room { of: RoomOf::AsRulesAllow, ..by_value };
        let text = sentence(by_rules, Language::English);
        let expected = "You may give at most 4 more at 25.00 each, as the rules allow, until";
        assert!(text.ends_with(expected), "{text}");
        let text = sentence(Room { more: 2, ..by_rules }, Language::Arabic);
        let expected =
            "يمكنك إعطاء مكافأتين أخريين على الأكثر بقيمة 25.00 لكل منهما بحسب القواعد، حتى";
        assert!(text.ends_with(expected), "{text}");
        let one = Room { more: 1, ..by_value };
        let text = sentence(one, Language::English);
        assert!(text.ends_with("You may give 1 more at 25.00, until"), "{text}");
        let text = sentence(one, Language::Arabic);
        assert!(text.ends_with("مكافأة واحدة أخرى بقيمة 25.00، حتى"), "{text}");
    }

    #[test]
    fn where_only_some_codes_may_be_given_it_is_said_which() {
        let sentence = |change: &dyn Fn(&mut Status), lang| said(change, lang, None).remove(0);
        let checked = |status: &mut Status| {
            let standing = LaneStanding { takes_checked: true, ..standing() };
            status.lanes[0].risk = LaneRisk::of(&standing, Some(0));
        };
        for (lang, expected) in [
            (Language::English, "Only a code that a till has checked may be given now"),
            (Language::Arabic, "إلا لرمز تحققت منه نقطة بيع"),
        ] {
            let said = sentence(&checked, lang);
            assert!(said.text.contains(expected) && said.tone == "warn", "{said:?}");
            assert_eq!(said.until, None);
        }
        let by_rules = Room { of: RoomOf::RulesAlone, ..ROOM };
        let named = |status: &mut Status| may_give(by_rules)(status);
        let said = sentence(&named, Language::English).text;
        let expected = "at most 83 more, only where a rule of its own allows it, until";
        assert!(said.ends_with(expected), "{said}");
        let said = sentence(&named, Language::Arabic).text;
        assert!(said.ends_with("على الأكثر، فقط حيث تسمح بذلك قاعدة خاصة، حتى"), "{said}");
    }

    #[test]
    fn where_nothing_may_be_given_nothing_is_promised_and_the_hours_are_said() {
        let sentence = said(|_| {}, Language::English, None).remove(0);
        assert!(
            sentence.tone == "bad"
                && sentence.until.is_none()
                && sentence.text.contains("Nothing more")
        );
        let hours = |status: &mut Status| {
            status.lanes[0].risk.trust_from = Some("2026-11-01T05:00:00Z".to_owned());
        };
        let sentence = said(hours, Language::English, None).remove(0);
        assert!(sentence.text.ends_with("nothing may be given before"), "{}", sentence.text);
        let time = sentence.until.unwrap().iso();
        assert_eq!((sentence.tone, time.as_str()), ("bad", "2026-11-01T05:00:00Z"));
    }

    #[test]
    fn while_nothing_can_be_stored_nothing_is_promised_whatever_the_limits_leave() {
        let full = |(cause, takes_checked): (&'static str, bool)| {
            move |status: &mut Status| {
                let standing = LaneStanding { room: Ok(ROOM), takes_checked, ..standing() };
                let risk = LaneRisk::of(&standing, (cause == "connect").then_some(0));
                status.lanes[0].status = lane("retm", "down", Some(cause));
                status.lanes[0].risk = risk.stored_nowhere();
            }
        };
        for (cause, english, arabic) in [
            ("connect", give_nothing(Language::English), give_nothing(Language::Arabic)),
            ("answer", without_answer(Language::English)[2], without_answer(Language::Arabic)[2]),
        ] {
            for (lang, nothing) in [(Language::English, english), (Language::Arabic, arabic)] {
                for takes_checked in [false, true] {
                    let said = said(full((cause, takes_checked)), lang, None).remove(0);
                    assert!(said.text.ends_with(nothing), "{}", said.text);
                    assert_eq!((said.tone, said.until), ("bad", None));
                }
            }
        }
    }

    #[test]
    fn a_hold_that_trusts_is_no_line_that_is_down() {
        let held = |status: &mut Status| {
            may_give(ROOM)(status);
            status.lanes[0].status = lane("retm", "held", Some("operator"));
            status.lanes[0].status.trust = "at_once";
        };
        assert_eq!(
            said(held, Language::English, None).remove(0).text,
            "An operator holds this lane, for 42 minutes now. 17 rewards were given and wait \
             for the provider's answer. You may give 83 more, until"
        );
    }

    #[test]
    fn who_holds_a_lane_and_why_is_said_with_it() {
        let held = |status: &mut Status| {
            status.lanes[0].status = LaneStatus {
                detail: Some("held by eng: stocktaking".to_owned()),
                ..lane("retm", "held", Some("operator"))
            };
        };
        let english = said(held, Language::English, None).remove(0).text;
        let expected = "An operator holds this lane (eng: stocktaking), for 42 minutes now. ";
        assert!(english.starts_with(expected), "{english}");
        let arabic = said(held, Language::Arabic, None).remove(0).text;
        let who = "(\u{2068}eng\u{2069}: \u{2068}stocktaking\u{2069})، منذ 42 دقيقة.";
        assert!(arabic.contains(who) && !arabic.contains("held by"), "{arabic}");
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
        assert_eq!(sentences[1].tone, "warn");
        assert!(sentences[1].text.starts_with("No line is known to be down"));
        assert!(
            said(off(None), Language::English, None)[0]
                .text
                .contains("until somebody switches it on")
        );
        assert!(said(off(Some(7200)), Language::Arabic, None)[0].text.contains("والمتبقي ساعتان"));
    }

    #[test]
    fn where_each_is_asked_about_it_is_said_what_may_be_given_without_an_answer() {
        let hangs = |left| {
            move |status: &mut Status| {
                status.lanes[0].status = lane("retm", "down", Some("answer"));
                status.lanes[0].status.since = Some("2026-11-01T00:41:58Z".to_owned());
                status.lanes[0].risk.limits_leave = Some(left);
            }
        };
        let sentence = |left, lang| said(hangs(left), lang, None).remove(0);
        let text = "Requests leave but no answer comes in time: the line is silent or the provider \
            hangs. 17 rewards were given and wait for the provider's answer. You may give at most \
            83 more, and only where others are not answered either, until";
        let said = sentence(Ok(ROOM), Language::English);
        let until = said.until.unwrap().iso();
        assert_eq!((said.text.as_str(), until.as_str()), (text, "2026-11-01T03:42:00Z"));
        let said = sentence(Ok(ROOM), Language::Arabic).text;
        let expected =
            "يمكنك إعطاء 83 مكافأة أخرى على الأكثر، وذلك فقط حين لا يُجاب عن غيرها أيضًا، حتى";
        assert!(said.ends_with(expected), "{said}");
        let said = sentence(Err(NoRoom::Closed), Language::English).text;
        assert!(said.ends_with("answer nothing more may be given now."), "{said}");
        let said = sentence(Err(NoRoom::Closed), Language::Arabic).text;
        assert!(said.ends_with("دون جواب المزوّد لا يمكن إعطاء المزيد الآن."), "{said}");
        let said = sentence(Err(NoRoom::Hours(Duration::from_hours(2))), Language::English);
        assert!(said.text.ends_with("nothing may be given before"), "{}", said.text);
        assert_eq!(said.until.unwrap().iso(), "2026-11-01T02:42:00Z");
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
        let nothing = "17 rewards were given and wait for the provider's answer. Nothing more may \
            be given now: tills are told to ask again.";
        assert_eq!(new.text, format!("An operator holds this lane. {nothing}"));
        let old = said(held("2026-11-01T00:40:00Z"), Language::English, None).remove(0);
        assert_eq!(old.text, format!("An operator holds this lane, for 2 minutes now. {nothing}"));
        let arabic = said(held("2026-11-01T00:40:00Z"), Language::Arabic, None).remove(0).text;
        assert!(arabic.contains("تنتظر جواب المزوّد: 17 مكافأة. لا يمكن إعطاء المزيد"), "{arabic}");
    }

    #[test]
    fn nothing_is_well_while_something_needs_a_person_or_a_redemption_waits_long() {
        let up = |status: &mut Status| status.lanes[0].status = lane("retm", "up", None);
        let full = |status: &mut Status| {
            up(status);
            (status.storage.ok, status.storage.told) = (false, vec![Storage::DiskFull]);
        };
        let refused = |status: &mut Status| {
            up(status);
            status.reload_faults = vec!["intake.listen: not an address".to_owned()];
        };
        let waits = |status: &mut Status| {
            up(status);
            status.oldest_pending_age_s = Some(7200);
        };
        let answered = "No line is known to be down: no redemption was answered in the last days.";
        let below = format!("{answered} Something needs a person: it is named below.");
        let long = format!(
            "{answered} The oldest redemption has waited 2 hours for the provider's answer."
        );
        let full: &dyn Fn(&mut Status) = &full;
        for (change, expected) in [(full, &below), (&refused, &below), (&waits, &long)] {
            let sentence = said(change, Language::English, None).remove(0);
            assert_eq!((sentence.tone, sentence.text.as_str()), ("warn", expected.as_str()));
            let arabic = said(change, Language::Arabic, None).remove(0).text;
            assert!(arabic.starts_with("لا يُعرف انقطاع"), "{arabic}");
            assert!(!arabic.contains("ما يرام"), "{arabic}");
        }
    }

    #[test]
    fn of_a_line_that_was_not_tried_nobody_knows() {
        let untried = |status: &mut Status| {
            status.lanes[0].status = LaneStatus { tried: false, ..lane("retm", "up", None) };
        };
        let sentence = said(untried, Language::English, None).remove(0);
        assert!(sentence.text.starts_with("Nothing is known to be wrong: "), "{}", sentence.text);
        let arabic = said(untried, Language::Arabic, None).remove(0).text;
        assert!(arabic.starts_with("لا يُعرف أي خلل: "), "{arabic}");
    }

    #[test]
    fn all_is_well_only_when_every_lane_is_up() {
        let up = |status: &mut Status| status.lanes[0].status = lane("retm", "up", None);
        let answered_ms = ms_of("2026-11-01T00:39:00Z");
        let sentence = said(up, Language::English, answered_ms).remove(0);
        assert_eq!(sentence.text, "All is well: the last redemption was answered 3 minutes ago.");
        let sentence = said(up, Language::English, None).remove(0);
        assert!(sentence.text.ends_with("answered in the last days."), "{}", sentence.text);
        let held =
            |status: &mut Status| status.lanes[0].status = lane("retm", "held", Some("operator"));
        assert_eq!(said(held, Language::English, None).remove(0).tone, "bad");
    }
}
