//! What was done, by whom is beside it: the audit trail's sentences.

use std::time::Duration;

use super::amount::{Noun, NounPlace, about, count, count_in, grouped, money};
use super::language::Language::{self, Arabic, English};
use super::macros::messages;
use super::note::Note;
use super::words::{bulk, iso, limit, state as state_word, verdict};
use crate::value::Amount;

messages! {
    /// One entry of the audit trail.
    pub enum Event {
        /// A redemption is sent again.
        Retry
        en: "sent again",
        ar: "أُعيد إرسالها";

        /// A redemption is sent again, whose decline was one of those that held the lane.
        RetryHeld
        en: "sent again: declined in the streak that held the lane",
        ar: "أُعيد إرسالها: رُفضت ضمن الرفض المتتالي الذي أوقف المسار";

        /// What was known before it was sent again.
        AnsweredBefore {
            state: String, status: Option<u64>, said: Option<String>, note: Option<Note>,
        }
        en: before(
            state.clone(),
            *status,
            [note.as_ref().map(|note| note.text(English)), said.clone()]
        ),
        ar: format!("قبل ذلك: {}", before(
            state_word(state, Arabic).into_owned(),
            *status,
            [note.as_ref().map(|note| note.text(Arabic)), said.as_deref().map(iso)]
        ));

        /// A redemption was voided by an operator.
        Void { note: String }
        en: format!("voided: {note}"),
        ar: format!("أُلغيت: {}", iso(note));

        /// A redemption was taken back by its till.
        VoidByTill { till: String }
        en: format!("taken back by {till}"),
        ar: format!("ألغتها نقطة البيع {}", iso(till));

        /// A redemption was taken back after its reward had been given on trust.
        VoidAfterTrust { till: String }
        en: format!("taken back by {till} after the reward had been given on trust"),
        ar: format!("ألغتها نقطة البيع {} بعد إعطاء المكافأة دون جواب المزوّد", iso(till));

        /// A person has dealt with it.
        Handled { note: String }
        en: format!("handled: {note}"),
        ar: format!("عولجت: {}", iso(note));

        /// As `Handled`, and its code may be used again.
        HandledAndFreed { note: String }
        en: format!("handled, and its code is free again: {note}"),
        ar: format!("عولجت، ورمزها متاح من جديد: {}", iso(note));

        /// Declined after the fact, and closed as lost.
        Lost { note: String }
        en: format!("closed as lost: {note}"),
        ar: format!("أُغلقت على أنها خسارة: {}", iso(note));

        /// An answer came that the row did not wait for any more.
        LateAnswer { attempt: u64, verdict: String }
        en: format!("attempt {attempt} ended late: {verdict}"),
        ar: format!("انتهت المحاولة رقم {attempt} متأخرة: {}", self::verdict(verdict));

        /// The provider took what its till was refused.
        Owed
        en: "the provider took what the till was refused: the reward is owed",
        ar: "قبل المزوّد ما رُفض عند نقطة البيع: المكافأة مستحقة";

        /// An owed reward was given.
        OwedPaid { till: String }
        en: format!("the owed reward was given at {till}"),
        ar: format!("أُعطيت المكافأة المستحقة عند نقطة البيع {}", iso(till));

        /// It came from another gateway.
        Import { from: String }
        en: format!("exported by {from}"),
        ar: format!("مستوردة من البوابة {}", iso(from));

        /// It came from a gateway that the file does not name.
        ImportUnknown
        en: "exported by a gateway unknown",
        ar: "مستوردة من بوابة غير معروفة";

        /// The open redemptions were exported.
        Export { redemptions: u64 }
        en: format!("{} exported", count(*redemptions, Noun::Redemption, English)),
        ar: format!("صُدّرت {}", count(*redemptions, Noun::Redemption, Arabic));

        /// The running gateway was copied.
        Backup
        en: "a backup was taken",
        ar: "أُخذت نسخة احتياطية";

        /// A damaged database was salvaged.
        Salvage { how: super::storage::Storage }
        en: how.text(English),
        ar: how.text(Arabic);

        /// The database was found to be a copy, or to have been put back.
        Copied { redemptions: u64 }
        en: format!(
            "the database is a copy or was restored; pending, and uncertain now: {}",
            count(*redemptions, Noun::Redemption, English)
        ),
        ar: format!(
            "قاعدة البيانات نسخة أو أُعيدت من نسخة؛ ما هو قيد الانتظار وأصبح غير مؤكد: {}",
            count(*redemptions, Noun::Redemption, Arabic)
        );

        /// A lane was held.
        Hold
        en: "held",
        ar: "أُوقف المسار";

        /// A lane was held, and tills are trusted meanwhile.
        HoldTrusting { note: String }
        en: format!("held, tills are trusted meanwhile: {note}"),
        ar: format!("أُوقف المسار، وتُعطى المكافآت دون جواب المزوّد في الأثناء: {}", iso(note));

        /// A lane goes on.
        Release
        en: "released",
        ar: "أُعيد تشغيل المسار";

        /// The lane's waits were cut short.
        Flush
        en: "told to try at once",
        ar: "طُلب الإرسال فورًا";

        /// Nothing is trusted, for a while or until it is switched on again.
        TrustOff { for_s: u64, note: String }
        en: match *for_s {
            0 => format!("no reward without the provider's answer until trust is on again: {note}"),
            for_s => {
                format!("no reward without the provider's answer for {}: \
                    {note}", about(Duration::from_secs(for_s), English))
            }
        },
        ar: match *for_s {
            0 => format!("لا مكافأة دون جواب المزوّد حتى إشعار آخر: {}", iso(note)),
            for_s => format!(
                "لا مكافأة دون جواب المزوّد لمدة {}: \
                 {}", about(Duration::from_secs(for_s), Arabic), iso(note)
            ),
        };

        /// Tills are trusted again.
        TrustOn
        en: "rewards are given on trust again",
        ar: "تُعطى المكافآت من جديد دون انتظار المزوّد";

        /// Limits and rules are lifted for a while.
        Override { for_s: u64, note: String }
        en: format!("limits lifted for {}: {note}", about(Duration::from_secs(*for_s), English)),
        ar: format!("رُفعت الحدود لمدة {}: \
            {}", about(Duration::from_secs(*for_s), Arabic), iso(note));

        /// Codes were refused in a row at one till.
        TillSlowed { till: String, codes: u64 }
        en: format!("{till}: {} refused in ten minutes", count(*codes, Noun::Code, English)),
        ar: format!("نقطة البيع {}: رُفض {} في عشر \
            دقائق", iso(till), count(*codes, Noun::Code, Arabic));

        /// An offline limit is used to a step at which somebody should know.
        LimitUsed { percent: u64, limit: String, used: String, most: String, rule: String }
        en: format!(
            "{}: {} of {}, {} ({limit} of {rule})",
            if *percent < 100 { format!("{percent} % used") } else { "used up".to_owned() },
            measured(used, English),
            measured(most, English),
            self::limit(limit, English)
        ),
        ar: format!(
            "{}: {} من {}، {} ({} في {})",
            if *percent < 100 { format!("استُعمل {percent}٪") } else { "استُنفد".to_owned() },
            measured(used, Arabic),
            measured(most, Arabic),
            self::limit(limit, Arabic),
            iso(limit),
            iso(rule)
        );

        /// A person signed in.
        SignIn { address: String }
        en: format!("signed in from {address}"),
        ar: format!("تسجيل دخول من {}", iso(address));

        /// A sign-in failed.
        SignInRefused { address: String }
        en: format!("a sign-in from {address} was refused"),
        ar: format!("رُفض تسجيل دخول من {}", iso(address));

        /// A person signed out.
        SignOut
        en: "signed out",
        ar: "تسجيل خروج";

        /// An action on many redemptions.
        Bulk { action: String, redemptions: u64, note: String }
        en: format!("{} {}: \
            {note}", count(*redemptions, Noun::Redemption, English), bulk(action, English)),
        ar: format!(
            "{} {}: {}",
            bulk(action, Arabic),
            count_in(NounPlace::Object, *redemptions, Noun::Redemption, Arabic),
            iso(note)
        );

        /// As `Bulk`, and it ended before all were reached.
        BulkCutShort { action: String, redemptions: u64, note: String }
        en: format!(
            "{} {}, and it ended before all were reached: {note}",
            count(*redemptions, Noun::Redemption, English),
            bulk(action, English)
        ),
        ar: format!(
            "{} {}، وتوقّف ذلك قبل بلوغ الجميع: {}",
            bulk(action, Arabic),
            count_in(NounPlace::Object, *redemptions, Noun::Redemption, Arabic),
            iso(note)
        );

        /// As `Bulk`, and somebody stopped it before all were reached.
        BulkStopped { action: String, redemptions: u64, name: String, note: String }
        en: format!(
            "{} {}, and {name} stopped it before all were reached: {note}",
            count(*redemptions, Noun::Redemption, English),
            bulk(action, English)
        ),
        ar: format!(
            "{} {}، وأوقف {} ذلك قبل بلوغ الجميع: {}",
            bulk(action, Arabic),
            count_in(NounPlace::Object, *redemptions, Noun::Redemption, Arabic),
            iso(name),
            iso(note)
        );

        /// The settings were read again.
        Reload
        en: "settings reloaded",
        ar: "أُعيد تحميل الإعدادات";
    }
}

/// What is used or there of a limit, as the store keeps it: a number, an amount or seconds.
fn measured(text: &str, language: Language) -> String {
    let seconds = text.strip_suffix(" s").and_then(|seconds| seconds.parse().ok());
    match (seconds, text.parse(), Amount::parse(text)) {
        (Some(seconds), ..) => about(Duration::from_secs(seconds), language),
        (_, Ok(number), _) => grouped(number),
        (_, _, Some(amount)) => money(amount),
        (None, Err(_), None) => language.isolated(text),
    }
}

fn before(state: String, status: Option<u64>, [note, said]: [Option<String>; 2]) -> String {
    let status = status.map(|status| format!("HTTP {status}"));
    [Some(state), status, note, said].into_iter().flatten().collect::<Vec<_>>().join(": ")
}
