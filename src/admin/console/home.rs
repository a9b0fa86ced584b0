//! The first screen: one sentence, what is left of each limit, what needs a person, each lane, a
//! day and a week.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::chart::{Activity, Chart, HEIGHT, SHOWN_AGAIN_FOR, WEEK_MS, WIDTH};
use super::inbox;
use super::say::{Facts, Sentence, meaning, sentences};
use super::{Frame, Moment, capital, encoded, rendered, sentence, shown};
use crate::admin::status::{LaneView, Status};
use crate::admin::{Admin, figures};
use crate::checked::{self, Answerer};
use crate::clock::Day;
use crate::limits::{self, Measure};
use crate::message::{Cause, Language, Need, NounPlace, about_in, grouped, money, whole};
use crate::queue::{LaneStatus, QueueError};
use crate::refused::Reason;

/// A part of the screen, one element with an id, that is sent anew when it changes.
pub(super) struct Fragment {
    pub(super) html: String,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    f: Frame,
    fragments: Vec<Fragment>,
}

#[derive(Template)]
#[template(path = "sentence.html")]
struct SentencePart<'a> {
    sentences: &'a [Sentence],
    storage: Option<StorageLine>,
    reload_faults: &'a [String],
    f: &'a Frame,
}

/// How the storage stands where there is something to say, and since when.
struct StorageLine {
    text: String,
    since: Option<Moment>,
}

/// What is left of a limit, and how much is used, in thousandths for the picture.
struct Meter {
    label: &'static str,
    /// Of which lane or rule.
    of: Option<String>,
    left: String,
    thousandths: u64,
    tone: &'static str,
}

/// Limits of rules that are shown, those that are used most.
const RULE_METERS_MAX: usize = 12;

#[derive(Template)]
#[template(path = "headroom.html")]
struct HeadroomPart<'a> {
    f: &'a Frame,
    gauges: Vec<Meter>,
    /// What answered tills' checks, and how many answers are remembered; empty before the first.
    checks: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "needs.html")]
struct NeedsPart<'a> {
    f: &'a Frame,
    /// What does not end by itself, besides redemptions.
    told: Vec<String>,
    groups: Vec<(&'static str, String)>,
    /// There are rows that were not looked at.
    is_cut: bool,
    /// None could be looked at.
    is_unread: bool,
    oldest: Option<String>,
    none_waits: bool,
    /// The reason, how many today, and how many in a week.
    refusals: Vec<(&'static str, [String; 2])>,
    /// Tills that are not trusted for the codes that were refused to them.
    slowed: Vec<String>,
}

#[expect(clippy::struct_excessive_bools, reason = "each shows or hides one form of the page")]
struct LanePart {
    name: String,
    path: String,
    link: &'static str,
    link_word: &'static str,
    meaning: String,
    to_do: String,
    since: Option<Moment>,
    pending: String,
    waiting: Option<String>,
    /// Redemptions that wait alone.
    alone: Vec<String>,
    /// A release may do something.
    is_held: bool,
    is_held_for_declines: bool,
    is_configured: bool,
    trust_is_off: bool,
}

#[derive(Template)]
#[template(path = "lanes.html")]
struct LanesPart<'a> {
    f: &'a Frame,
    lanes: Vec<LanePart>,
    /// For how long trust may be switched off: hours, and in words.
    spans: Vec<(u64, String)>,
}

#[derive(Template)]
#[template(path = "activity.html")]
struct ActivityPart<'a> {
    f: &'a Frame,
    charts: Vec<Chart>,
    whole: bool,
    is_unread: bool,
    books: Vec<(&'static str, String)>,
    balanced: bool,
}

/// `GET /`
pub(super) async fn page(State(admin): State<Arc<Admin>>, f: Frame) -> Response {
    match fragments(&admin, &f).await {
        Ok(fragments) => rendered(StatusCode::OK, &HomePage { f, fragments }),
        Err(error) => super::unshown(f, error),
    }
}

/// Every part of the screen as it is now.
pub(super) async fn fragments(admin: &Admin, f: &Frame) -> Result<Vec<Fragment>, QueueError> {
    let now_ms = admin.info.clock.stamp().unix_ms;
    let HomeRows { activity, groups, refused, is_unread } = HomeRows::read(admin, now_ms).await?;
    // After the rows: who could not be read is told of by now.
    let status = admin.look().await;
    let answered_ms = activity.as_ref().and_then(|activity| activity.answered_ms);
    let facts = Facts { status: &status, now_ms, answered_ms, is_unread, lang: f.lang };
    let storage =
        (!status.storage.ok || !status.storage.told.is_empty()).then(|| storage(&status, f));
    let said = sentences(&facts);
    let sentence =
        SentencePart { sentences: &said, storage, reload_faults: &status.reload_faults, f };
    let slowed = status.slowed_tills.iter().map(|till| shown(till)).collect();
    let needs = NeedsPart {
        f,
        told: status.needs().iter().map(|need| need_line(need, f)).collect(),
        groups: groups.as_ref().map(|groups| groups.summary(f)).unwrap_or_default(),
        is_cut: groups.is_some_and(|groups| groups.is_cut()),
        is_unread,
        oldest: oldest(&status, f.lang),
        none_waits: status.counts.pending == 0,
        refusals: refusals(&refused, f.lang),
        slowed,
    };
    let lanes = LanesPart {
        f,
        lanes: status.lanes.iter().map(|lane| lane_part(lane, f)).collect(),
        spans: spans(f.lang),
    };
    Ok(vec![
        made(&sentence),
        made(&HeadroomPart { f, gauges: gauges(&status, f), checks: checks(&status, f) }),
        made(&needs),
        made(&lanes),
        made(&activity_part(activity.as_deref(), &status, f)),
    ])
}

/// What the screen shows of the database.
#[derive(Default)]
struct HomeRows {
    activity: Option<Arc<Activity>>,
    groups: Option<Arc<inbox::Groups>>,
    refused: [RefusedByReason; 2],
    /// The store lets nothing be read now; `status` says why, and the rest is shown all the same.
    is_unread: bool,
}

impl HomeRows {
    async fn read(admin: &Admin, now_ms: i64) -> Result<Self, QueueError> {
        match Self::whole(admin, now_ms).await {
            Err(QueueError::Refusing(_)) => {
                // The writer may have heard of it by this reader alone: it looks before it answers.
                admin.queue.ping().await.unwrap_or_default();
                Ok(Self { is_unread: true, ..Self::default() })
            }
            read => read,
        }
    }

    async fn whole(admin: &Admin, now_ms: i64) -> Result<Self, QueueError> {
        let kept = &admin.desk.activity;
        let refused = refused(admin).await?;
        let activity = kept.activity.get(SHOWN_AGAIN_FOR, activity(admin, now_ms)).await?;
        let groups = kept.groups.get(SHOWN_AGAIN_FOR, inbox::gather_all(admin)).await?;
        Ok(Self { activity: Some(activity), groups: Some(groups), refused, is_unread: false })
    }
}

fn made(part: &impl Template) -> Fragment {
    Fragment { html: part.render().unwrap_or_default() }
}

async fn activity(admin: &Admin, now_ms: i64) -> Result<Activity, QueueError> {
    let look = move |reader: &crate::store::Reader| {
        let mut activity = Activity::new(now_ms);
        let since_ms = now_ms.saturating_sub(WEEK_MS);
        activity.whole = reader.spans(since_ms, |span| activity.add(&span))?;
        Ok(activity)
    };
    admin.queue.look(look).await
}

fn storage(status: &Status, f: &Frame) -> StorageLine {
    let told = capital(&sentence(&status.storage.words(f.lang)));
    let text = if status.storage.ok { told } else { format!("{} {told}", f.w.storage_bad) };
    StorageLine { text, since: status.storage.since_ms().map(Moment) }
}

fn oldest(status: &Status, lang: Language) -> Option<String> {
    status.oldest_pending_age_s.map(|seconds| in_words(seconds, lang))
}

/// A duration that stands alone.
fn in_words(seconds: u64, lang: Language) -> String {
    about_in(NounPlace::Subject, Duration::from_secs(seconds), lang)
}

/// How many requests of tills were refused, by reason.
type RefusedByReason = BTreeMap<String, u64>;

/// Those of today, and those of the seven days of which it is the last.
async fn refused(admin: &Admin) -> Result<[RefusedByReason; 2], QueueError> {
    let today = admin.queue.today();
    let first = Day::new(today.number().saturating_sub(6));
    let look = move |reader: &crate::store::Reader| {
        Ok([reader.refusals(today, today)?, reader.refusals(first, today)?])
    };
    let mut refused = admin.queue.look(look).await?;
    refused.iter_mut().for_each(figures::add_unkept);
    Ok(refused)
}

/// Each reason for which tills were told no in the week.
fn refusals(refused: &[RefusedByReason; 2], lang: Language) -> Vec<(&'static str, [String; 2])> {
    let of = |reason: Reason| {
        let number = |refused: &RefusedByReason| refused.get(reason.as_str()).copied().unwrap_or(0);
        let [today, week] = refused.each_ref().map(number);
        (week > 0).then(|| (reason.text(lang), [today, week].map(grouped)))
    };
    Reason::ALL.into_iter().filter_map(of).collect()
}

fn gauges(status: &Status, f: &Frame) -> Vec<Meter> {
    let several = status.lanes.len() > 1;
    let of_lane = |lane: &'_ LaneView| {
        let name = several.then(|| shown(&lane.status.name));
        lane.risk.gauges.iter().map(|gauge| Meter::new(gauge, name.clone(), f)).collect::<Vec<_>>()
    };
    let of_rule = |gauge: &&limits::Gauge| Meter::new(gauge, gauge.rule.as_deref().map(shown), f);
    let mut used: Vec<_> =
        status.rule_gauges.iter().filter(|gauge| gauge.used.thousandths(gauge.most) > 0).collect();
    used.sort_by_key(|gauge| Reverse(gauge.used.thousandths(gauge.most)));
    let of_rules = used.iter().take(RULE_METERS_MAX).map(of_rule);
    status.lanes.iter().flat_map(of_lane).chain(of_rules).collect()
}

/// What answered tills' checks.
fn checks(status: &Status, f: &Frame) -> Vec<(&'static str, String)> {
    let by = |answerer: Answerer| match answerer {
        Answerer::Passed => f.w.checks_passed,
        Answerer::Remembered => f.w.checks_remembered,
        Answerer::Held => f.w.checks_held,
        Answerer::Unknown => f.w.checks_unknown,
    };
    let told = Answerer::ALL.map(|answerer| (by(answerer), checked::total(answerer)));
    let all = told.into_iter().chain([(f.w.checks_kept, status.checks_remembered)]);
    all.filter(|(_, count)| *count > 0).map(|(what, count)| (what, grouped(count))).collect()
}

fn limit_name(limit: &'static str, f: &Frame) -> &'static str {
    match limit {
        "max_pending" => f.w.waiting_limit,
        "max_outage" => f.w.outage_limit,
        "max_exposure" => f.w.exposure_limit,
        "max_per_hour" => f.w.hour_limit,
        "max_per_day" => f.w.day_limit,
        other => other,
    }
}

fn measured(measure: Measure, place: NounPlace, lang: Language) -> String {
    match measure {
        Measure::Count(number) => grouped(number),
        Measure::Money(amount) => money(amount),
        Measure::Seconds(seconds) => about_in(place, Duration::from_secs(seconds), lang),
    }
}

/// So much is left of so much.
fn left(lang: Language, left: Measure, most: Measure) -> String {
    let left = measured(left, NounPlace::Subject, lang);
    let most = measured(most, NounPlace::Object, lang);
    match lang {
        Language::English => format!("{left} left of {most}"),
        Language::Arabic => format!("بقي {left} من {most}"),
    }
}

impl Meter {
    fn new(gauge: &limits::Gauge, of: Option<String>, f: &Frame) -> Self {
        let limits::Gauge { limit, used, most, .. } = gauge;
        let left = left(f.lang, used.left(*most), *most);
        let thousandths = used.thousandths(*most);
        let tone = match thousandths {
            0..700 => "good",
            700..1000 => "warn",
            _ => "bad",
        };
        Self { label: limit_name(limit, f), of, left, thousandths, tone }
    }
}

fn spans(lang: Language) -> Vec<(u64, String)> {
    [1, 4, 12, 24].map(|hours| (hours, whole(Duration::from_secs(hours * 3600), lang))).to_vec()
}

/// What to do about a lane: where this page has a button for it, that one instead of a command.
fn to_do(cause: Cause, all_taken_back: bool, f: &Frame) -> String {
    if cause == Cause::Declines && all_taken_back {
        f.w.declines_taken_back.to_owned()
    } else if cause == Cause::Operator {
        f.w.operator_to_do.to_owned()
    } else if cause == Cause::Declines {
        f.w.declines_to_do.to_owned()
    } else {
        quoted(&capital(&cause.to_do(f.lang)), f.lang)
    }
}

/// One thing that does not end by itself, with what this page has for it.
fn need_line(need: &Need, f: &Frame) -> String {
    let of_lane = if let Need::Lane { lane, cause } = need {
        Some((lane, *cause, false))
    } else if let Need::LaneTakenBack { lane } = need {
        Some((lane, Cause::Declines, true))
    } else {
        None
    };
    if let Some((lane, cause, all_taken_back)) = of_lane {
        let (lane, meaning) = (f.lang.isolated(shown(lane)), capital(&cause.meaning(f.lang)));
        return format!(
            "{lane}: {meaning}. {}: {}",
            f.w.what_to_do,
            to_do(cause, all_taken_back, f)
        );
    }
    quoted(&capital(&sentence(&need.text(f.lang))), f.lang)
}

/// A text with its backquotes as the quotation marks of its language.
fn quoted(text: &str, lang: Language) -> String {
    let marks = match lang {
        Language::English => ["“", "”"],
        Language::Arabic => ["«", "»"],
    };
    let mut parts = text.split('`');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.zip(marks.iter().cycle()).fold(first, |text, (part, mark)| text + mark + part)
}

fn lane_part(lane: &LaneView, f: &Frame) -> LanePart {
    let status = &lane.status;
    let cause = status.cause.as_deref().unwrap_or_default();
    let known = Cause::from_word(cause);
    let is_untried = status.seen == "up" && !status.tried;
    let link_word = match status.seen {
        "up" if is_untried => f.w.untried,
        "up" => f.w.up,
        "held" => f.w.held,
        _ => f.w.down,
    };
    LanePart {
        name: shown(&status.name),
        path: format!("/lanes/{}", encoded(&status.name)),
        link: if is_untried { "untried" } else { status.seen },
        link_word,
        meaning: meaning(status, f.lang),
        to_do: known.map(|cause| to_do(cause, lane.risk.all_taken_back, f)).unwrap_or_default(),
        since: status.since.as_deref().and_then(Moment::read),
        pending: grouped(status.pending),
        waiting: status.waiting_s.map(|seconds| in_words(seconds, f.lang)),
        alone: status.suspects.clone(),
        is_held: may_be_released(status),
        is_held_for_declines: status.held_for_declines && !lane.risk.all_taken_back,
        is_configured: cause != "not_configured",
        trust_is_off: lane.risk.trust_off.is_some(),
    }
}

/// Whether a release does something: other settings alone end what unusable ones began.
fn may_be_released(status: &LaneStatus) -> bool {
    let by_settings_alone = status.cause.as_deref() == Some("settings") && status.hold.is_none();
    status.seen == "held" && !by_settings_alone
}

fn activity_part<'a>(
    activity: Option<&Activity>,
    status: &Status,
    f: &'a Frame,
) -> ActivityPart<'a> {
    let (counts, now) = (&status.counts, status.counts.pending);
    let charts = |Activity { series: [day, week], .. }: &Activity| {
        vec![day.chart([f.w.day, f.w.day_ago], now), week.chart([f.w.week, f.w.week_ago], now)]
    };
    let books = [
        (f.w.accepted, counts.accepted),
        (f.w.pending, counts.pending),
        (f.w.confirmed, counts.confirmed),
        (f.w.declined, counts.declined),
        (f.w.parked, counts.parked),
        (f.w.voided, counts.voided),
    ];
    let books = books.map(|(name, count)| (name, grouped(count))).to_vec();
    ActivityPart {
        f,
        charts: activity.map(charts).unwrap_or_default(),
        whole: activity.is_none_or(|activity| activity.whole),
        is_unread: activity.is_none(),
        books,
        balanced: status.balanced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Amount;

    #[test]
    fn a_lane_that_its_settings_alone_hold_is_offered_a_hold_and_no_release() {
        let text = |word: &str| Some(word.to_owned());
        for (link, cause, hold, released) in [
            ("up", None, None, false),
            ("down", text("connect"), None, false),
            ("held", text("operator"), text("operator"), true),
            ("held", text("credential"), None, true),
            ("held", text("settings"), None, false),
            ("held", text("settings"), text("declines"), true),
        ] {
            let status = LaneStatus { link, seen: link, cause, hold, ..LaneStatus::default() };
            assert_eq!(may_be_released(&status), released, "{status:?}");
        }
    }

    #[test]
    fn what_is_left_of_a_time_is_in_the_form_of_a_subject() {
        let days = |days: u64| Measure::Seconds(days * 86_400);
        assert_eq!(left(Language::Arabic, days(2), days(2)), "بقي يومان من يومين");
        assert_eq!(left(Language::English, days(2), days(3)), "2 days left of 3 days");
        assert_eq!(in_words(7200, Language::Arabic), "ساعتان");
    }

    #[test]
    fn amounts_are_grouped_and_commands_stand_in_quotation_marks() {
        assert_eq!(money(Amount::whole(25_000)), "25,000.00");
        assert_eq!(money(Amount(-5_000)), "-0.50");
        assert_eq!(quoted("run `a b`, then `c`", Language::English), "run “a b”, then “c”");
        assert_eq!(quoted("نفّذ `a`", Language::Arabic), "نفّذ «a»");
        assert_eq!(quoted("plain", Language::English), "plain");
    }
}
