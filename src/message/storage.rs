//! How the storage stands, and what became of a damaged database.

use super::amount::{Noun, count};
use super::language::Language::{Arabic, English};
use super::macros::messages;
use super::words::{iso, state as state_word};

messages! {
    /// What operators are told of the storage.
    pub enum Storage {
        /// No space is left for new redemptions.
        DiskFull
        en: "the disk is full: redemptions are refused, deliveries go on",
        ar: "القرص ممتلئ: تُرفض العمليات الجديدة ويستمر إرسال ما خُزّن";

        /// The disk cannot be written.
        Unwritable {
            /// The system's own words.
            why: String,
        }
        en: format!("the disk cannot be written: nothing is accepted or sent: {why}"),
        ar: format!("لا يمكن الكتابة على القرص، فلا يُقبل شيء ولا يُرسل: {}", iso(why));

        /// A failed sync: what is on the disk is not known.
        Unsynced {
            /// The system's own words.
            why: String,
        }
        en: format!("the disk did not take a sync: {why}"),
        ar: format!("لم يثبّت القرص ما كُتب عليه: {}", iso(why));

        /// A damaged database is being salvaged.
        Salvaging
        en: "the damaged database is salvaged",
        ar: "يجري إنقاذ قاعدة البيانات المتضررة";

        /// A damaged database was salvaged.
        Salvaged {
            /// What was wrong.
            why: String,
            /// Where its bytes are now.
            set_aside: String,
            /// Redemptions kept.
            kept: u64,
            /// Of them pending.
            pending: u64,
            /// Of them parked for a person.
            parked: u64,
            /// Of them with a flipped bit put right.
            mended: u64,
            /// Redemptions lost; nothing where the books do not tell.
            lost: Option<u64>,
        }
        en: salvaged_in_english(why, set_aside, [*kept, *pending, *parked, *mended], *lost),
        ar: salvaged_in_arabic(why, set_aside, [*kept, *pending, *parked, *mended], *lost);

        /// One database after the other is damaged.
        DamagedAgain {
            /// What was wrong this time.
            why: String,
        }
        en: format!("one database after the other is damaged: {why}"),
        ar: format!("تتضرر قاعدة بيانات بعد أخرى: {}", iso(why));

        /// The books of a lane and its rows disagree.
        Difference {
            /// The lane.
            lane: String,
            /// The state that was counted.
            state: String,
            /// What the books say.
            books: u64,
            /// What the rows say.
            rows: u64,
        }
        en: format!("lane {lane}: the books say {books} {state}, the rows {rows}"),
        ar: format!(
            "المسار {}: تقول الدفاتر إن عدد العمليات التي هي «{}» هو {books}، ويقول العدّ {rows}",
            iso(lane), state_word(state, Arabic)
        );

        /// The books of a lane do not balance in themselves.
        Unbalanced {
            /// The lane.
            lane: String,
        }
        en: format!("lane {lane}: the books do not balance"),
        ar: format!("المسار {}: الدفاتر غير متوازنة", iso(lane));

        /// Somebody removed or replaced the database file under the running gateway.
        TakenAway
        en: "the database file was removed or replaced while it was in use; what is written since was saved from the \
             open file, and at most one second of acknowledgements may be missing",
        ar: "حُذف ملف قاعدة البيانات أو استُبدل أثناء استعماله؛ حُفظ ما كُتب من الملف المفتوح، وقد يُفقد ما قُبل خلال ثانية \
             واحدة على الأكثر";

        /// The database is a copy of another gateway's, or of an earlier day.
        Copied
        en: "the database is a copy: whatever was pending in it may have been sent already, and is uncertain",
        ar: "قاعدة البيانات نسخة: ربما أُرسل ما كان قيد الانتظار فيها، فهو غير مؤكد";

        /// No room to rescue the damaged database.
        NoRoom {
            /// Bytes that have to be freed.
            needed: u64,
        }
        en: format!("the damaged database cannot be rescued without {} more on the disk", count(*needed, Noun::Byte, English)),
        ar: format!("يتطلب إنقاذ قاعدة البيانات المتضررة مساحة إضافية على القرص قدرها {}", count(*needed, Noun::Byte, Arabic));

        /// The store has stopped for good; only a start helps.
        Stopped {
            /// Why.
            why: String,
        }
        en: format!("the store cannot be trusted any more and nothing is written until the next start: {why}"),
        ar: format!("لم يعد التخزين موثوقًا ولن يُكتب شيء حتى التشغيل التالي: {}", iso(why));

        /// Words of the system's, or of an earlier version.
        Text {
            /// As they were.
            text: String,
        }
        en: text.clone(),
        ar: iso(text);
    }
}

fn salvaged_in_english(why: &str, aside: &str, [kept, pending, parked, mended]: [u64; 4], lost: Option<u64>) -> String {
    let mut parts = vec![format!(
        "{why}; it was set aside as {aside}; {kept} redemptions were kept, {pending} of them pending (uncertain now)"
    )];
    if parked > 0 {
        parts.push(format!(", {parked} parked for a person because part of them was lost"));
    }
    if mended > 0 {
        parts.push(format!(", {mended} with a flipped bit that was put right"));
    }
    parts.push(match lost {
        Some(0) => "; none was lost".to_owned(),
        Some(lost) => format!("; {lost} were lost"),
        None => "; whether any were lost is not known, because the newest books were lost too".to_owned(),
    });
    parts.concat()
}

fn salvaged_in_arabic(why: &str, aside: &str, [kept, pending, parked, mended]: [u64; 4], lost: Option<u64>) -> String {
    let mut parts = vec![
        format!("{}؛ حُفظ الملف القديم باسم {}", iso(why), iso(aside)),
        format!("العمليات التي أُنقذت: {kept}"),
        format!("منها قيد الانتظار (وهي الآن غير مؤكدة): {pending}"),
    ];
    if parked > 0 {
        parts.push(format!("منها معلّقة بانتظار قرار لأن جزءًا منها فُقد: {parked}"));
    }
    if mended > 0 {
        parts.push(format!("منها ما صُحّح فيه خلل صغير: {mended}"));
    }
    parts.push(match lost {
        Some(0) => "لم يُفقد شيء".to_owned(),
        Some(lost) => format!("العمليات المفقودة: {lost}"),
        None => "لا يُعرف هل فُقد شيء، لأن أحدث الدفاتر فُقدت أيضًا".to_owned(),
    });
    parts.join("؛ ")
}
