//! What every message of every topic must keep: its way to the disk and back, and both its texts.

use std::collections::BTreeSet;

use super::language::Language::{Arabic, English};
use super::{
    Cause, Denied, Event, Fault, FilterFault, Language, Need, Note, Reason, Refusal, RowFault,
    Storage,
};

/// A message of any topic: its stored form and its text in each language.
#[derive(Clone)]
struct Shown {
    stored: String,
    english: String,
    arabic: String,
}

/// Every message of every topic.
fn every() -> Vec<Shown> {
    macro_rules! shown {
        ($($topic:ident),+) => {
            [$(
                $topic::all().iter().map(|message| Shown {
                    stored: message.to_stored(),
                    english: message.text(English),
                    arabic: message.text(Arabic),
                }).collect::<Vec<_>>()
            ),+].concat()
        };
    }
    shown!(Note, Refusal, Storage, Event, Fault, Denied, FilterFault, RowFault, Need)
}

/// Its words are somebody else's.
fn is_quoted(stored: &str) -> bool {
    stored.starts_with(r#"{"m":"text""#) || stored.starts_with(r#"{"m":"provider","said""#)
}

fn is_arabic(text: &str) -> bool {
    text.chars().any(|c| matches!(c, '\u{621}'..='\u{64a}'))
}

/// What lies outside of every isolation, and whether each one ends.
fn outside(text: &str) -> Option<String> {
    let (mut depth, mut outside) = (0_i32, String::new());
    for c in text.chars() {
        match c {
            '\u{2068}' => depth += 1,
            '\u{2069}' => depth -= 1,
            c if depth == 0 => outside.push(c),
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    (depth == 0).then_some(outside)
}

macro_rules! comes_back {
    ($($topic:ident),+) => { $(
        for message in $topic::all() {
            let stored = message.to_stored();
            assert_eq!($topic::from_stored(&stored), message, "{stored}");
            assert!(!stored.contains('\n'));
        }
    )+ };
}

#[test]
fn every_message_comes_back_from_the_disk_as_it_was() {
    comes_back!(Note, Refusal, Storage, Event, Fault, Denied, FilterFault, RowFault, Need);
    assert_eq!(Note::SaysFailed { status: 200 }.to_stored(), r#"{"m":"says_failed","status":200}"#);
}

#[test]
fn what_is_no_message_comes_back_as_somebodys_words() {
    let sentences = [
        "customer came back",
        "",
        "{",
        "{}",
        r#"{"m":"of a later version"}"#,
        r#"{"m":"says_failed"}"#,
        "7",
    ];
    for sentence in sentences {
        let note = Note::from_stored(sentence);
        assert_eq!(note, Note::Text { text: sentence.to_owned() });
        assert_eq!(note.text(English), sentence);
        assert_eq!(Note::from_stored(&note.to_stored()), note);
    }
}

#[test]
fn no_arabic_text_is_missing_or_the_english_one() {
    for Shown { stored, english, arabic } in every() {
        assert!(!english.is_empty() && !arabic.is_empty(), "{stored}");
        if !is_quoted(&stored) {
            assert!(is_arabic(&arabic) && !is_arabic(&english), "{stored}: {arabic}");
        }
    }
}

#[test]
fn every_name_is_said_in_both_languages_and_stands_isolated_in_the_arabic_one() {
    for Shown { stored, english, arabic } in every() {
        let outside =
            outside(&arabic).unwrap_or_else(|| panic!("an isolation does not end: {arabic}"));
        assert!(!outside.contains("x-41"), "{stored}: {arabic}");
        assert_eq!(
            english.contains("x-41"),
            arabic.contains("\u{2068}x-41\u{2069}"),
            "{stored}: {arabic}"
        );
        assert!(!english.contains('\u{2068}'), "{stored}");
    }
}

#[test]
fn no_two_messages_of_a_topic_read_alike() {
    for topic in [Note::all().len(), Refusal::all().len(), Storage::all().len(), Event::all().len()]
    {
        assert!(topic > 10);
    }
    let read = |language: Language| -> BTreeSet<String> {
        Refusal::all()
            .iter()
            .filter(|message| !is_quoted(&message.to_stored()))
            .map(|m| m.text(language))
            .collect()
    };
    let own = Refusal::all().iter().filter(|message| !is_quoted(&message.to_stored())).count();
    assert_eq!((read(English).len(), read(Arabic).len()), (own, own));
}

#[test]
fn every_cause_has_a_word_a_meaning_and_something_to_do_in_both_languages() {
    let words: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
    assert_eq!(words.len(), Cause::ALL.len());
    for cause in Cause::ALL {
        assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
        assert_eq!(Cause::from_word(cause.as_str()), Some(cause));
        let [english, arabic] = [English, Arabic].map(|language| cause.explanation(language));
        assert!(english.split(' ').count() > 8 && !is_arabic(&english), "{english}");
        assert!(
            outside(&arabic).is_some_and(|text| is_arabic(&text) && !text.contains('`')),
            "{arabic}"
        );
        assert_eq!(
            english.matches("redeemd ").count(),
            arabic.matches("redeemd ").count(),
            "{cause:?}: each command"
        );
    }
}

#[test]
fn every_reason_has_a_word_and_a_heading_and_some_refusal_counts_under_it() {
    let counted: BTreeSet<_> = Refusal::all().iter().filter_map(Refusal::reason).collect();
    for reason in Reason::ALL {
        assert!(is_arabic(reason.text(Arabic)) && !is_arabic(reason.text(English)));
        let of_faults = matches!(reason, Reason::Malformed | Reason::Date);
        assert!(counted.contains(&reason) || of_faults, "{reason:?}");
    }
    let malformed = |fault| Refusal::Malformed { faults: vec![fault] }.reason();
    assert_eq!(malformed(Fault::EmptyBody), Some(Reason::Malformed));
    assert_eq!(malformed(Fault::NoLane), Some(Reason::NoLane));
    assert_eq!(malformed(Fault::NotADate), Some(Reason::Date));
}

#[test]
fn what_tills_heard_before_they_hear_word_for_word() {
    let used = Refusal::Used {
        code: "…4444".into(),
        when: "2026-11-23 14:03:11".into(),
        till: "till-1".into(),
    };
    assert_eq!(used.text(English), "Reward …4444 has been used on 2026-11-23 14:03:11 at till-1");
    assert_eq!(used.errors(English), [used.text(English)]);
    let limits = [
        (
            Refusal::LimitPending { waiting: 2 },
            "offline limit reached: no more than 2 redemptions may wait for the line",
        ),
        (
            Refusal::LimitPending { waiting: 0 },
            "offline limit reached: no redemptions may wait for the line",
        ),
        (
            Refusal::LimitRate { rewards: 0, within_s: 3600 },
            "offline limit reached: no rewards in 1 hour",
        ),
        (
            Refusal::LimitOutage { outage_s: 0 },
            "offline limit reached: nothing is given while the provider does not answer",
        ),
        (
            Refusal::LimitExposure { amount: "20.00".into() },
            "offline limit reached: no more than 20.00 may be at risk, and this reward would be \
             more",
        ),
        (
            Refusal::LimitPending { waiting: 1 },
            "offline limit reached: no more than 1 redemption may wait for the line",
        ),
        (
            Refusal::LimitOutage { outage_s: 259_200 },
            "offline limit reached: rewards are given for no more than 72 hours while the provider \
             does not answer",
        ),
        (
            Refusal::NotAccepting,
            "the provider has not answered, and this store gives nothing without its answer",
        ),
    ];
    for (limit, text) in limits {
        assert_eq!(
            limit.text(English),
            format!("{text}; do not hand out the reward; ask again later")
        );
        assert!(limit.errors(English).is_empty());
    }
}

#[test]
fn each_refusal_of_now_says_that_nothing_is_handed_out() {
    let of_now = |refusal: &&Refusal| {
        let word = refusal.reason().map(Reason::as_str);
        let is_the_codes = matches!(refusal, Refusal::BadCode { .. } | Refusal::Failed);
        let of_now = ["limit_", "not_accepting", "untrusted", "busy", "storage"];
        !is_the_codes && word.is_some_and(|word| of_now.iter().any(|of| word.starts_with(of)))
    };
    let all = Refusal::all();
    assert!(all.iter().filter(of_now).count() > 20);
    for refusal in all.iter().filter(of_now) {
        let (english, arabic) = (refusal.text(English), refusal.text(Arabic));
        assert!(english.contains("; do not hand ") && english.contains("; ask again"), "{english}");
        assert!(arabic.contains("؛ لا تسلّم") && arabic.contains("؛ حاول"), "{arabic}");
        assert!(!english.contains("line is down"), "it may be up: {english}");
    }
}

#[test]
fn counts_in_arabic_sentences_take_the_form_that_their_number_asks_for() {
    let waiting =
        [0, 1, 2, 5, 17, 100].map(|waiting| Refusal::LimitPending { waiting }.text(Arabic));
    let expected = [
        "بانتظار أي عملية استبدال للخط",
        "بانتظار أكثر من عملية استبدال واحدة للخط",
        "بانتظار أكثر من عمليتي استبدال للخط",
        "بانتظار أكثر من 5 عمليات استبدال للخط",
        "بانتظار أكثر من 17 عملية استبدال للخط",
        "بانتظار أكثر من 100 عملية استبدال للخط",
    ];
    for (text, end) in waiting.iter().zip(expected) {
        assert!(text.ends_with(&format!("{end}؛ لا تسلّم المكافأة؛ حاول لاحقًا")), "{text}");
    }
    let down = Refusal::LimitOutage { outage_s: 7200 }.text(Arabic);
    assert!(down.contains("تزيد على ساعتين ما دام"), "{down}");
}

#[test]
fn a_refusal_lists_each_fault_and_why_nothing_was_stored() {
    let faults = vec![Fault::Missing { field: "date".into() }, Fault::NoLane];
    let malformed = Refusal::Malformed { faults };
    assert_eq!(malformed.text(English), "the request is not valid");
    let errors = malformed.errors(English);
    assert_eq!(errors, ["date is missing", "no provider is set up for this business_refrence"]);
    assert_eq!(
        Refusal::NotStored { why: Storage::DiskFull }.errors(Arabic),
        [Storage::DiskFull.text(Arabic)]
    );
}

#[test]
fn a_salvage_says_what_it_knows_and_no_more() {
    let salvaged = |parked, lost| Storage::Salvaged {
        why: "page 3 is no page".into(),
        set_aside: "/var/lib/redeemd/redeemd.db.damaged-1".into(),
        kept: 10,
        pending: 2,
        parked,
        restored: Some(3),
        mended: 0,
        lost,
    };
    let text = salvaged(1, None).text(English);
    for part in [
        "10 redemptions were kept, 2 of them pending",
        "1 parked for a person",
        "3 of which without their row",
        "not known",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let text = salvaged(0, Some(0)).text(English);
    assert!(text.ends_with("none was lost") && !text.contains("parked"), "{text}");
}
