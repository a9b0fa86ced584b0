//! How the storage stands, and what became of a damaged database.

use super::amount::{Noun, count, grouped};
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
        Unwritable { why: String }
        en: format!("the disk cannot be written: nothing is accepted or sent: {why}"),
        ar: format!("لا يمكن الكتابة على القرص، فلا يُقبل شيء ولا يُرسل: {}", iso(why));

        /// Somebody who reads found that the database was taken away; it is being saved.
        Gone { why: String }
        en: format!("the database was taken away: nothing is accepted or sent: {why}"),
        ar: format!("أُخذت قاعدة البيانات من مكانها، فلا يُقبل شيء ولا يُرسل: {}", iso(why));

        /// A failed sync: what is on the disk is not known.
        Unsynced { why: String }
        en: format!("the disk did not take a sync: {why}"),
        ar: format!("لم يثبّت القرص ما كُتب عليه: {}", iso(why));

        /// A damaged database is being salvaged.
        Salvaging
        en: "the damaged database is salvaged",
        ar: "يجري إنقاذ قاعدة البيانات المتضررة";

        /// A damaged database was salvaged.
        Salvaged {
            why: Box<str>, set_aside: Box<str>, kept: u64, pending: u64, parked: u64,
            restored: Option<u64>, mended: u64, lost: Option<u64>,
        }
        en: salvaged_in_english(
            why, set_aside, [*kept, *pending, *parked, restored.unwrap_or(0), *mended], *lost
        ),
        ar: salvaged_in_arabic(
            why, set_aside, [*kept, *pending, *parked, restored.unwrap_or(0), *mended], *lost
        );

        /// One database after the other is damaged.
        DamagedAgain { why: String }
        en: format!("one database after the other is damaged: {why}"),
        ar: format!("تتضرر قاعدة بيانات بعد أخرى: {}", iso(why));

        /// The books of a lane and its rows disagree.
        Difference { lane: String, state: String, books: u64, rows: u64 }
        en: format!("lane {lane}: the books say {books} {state}, the rows {rows}"),
        ar: format!(
            "المسار {}: تقول الدفاتر إن عدد العمليات التي هي «{}» هو {books}، ويقول العدّ {rows}",
            iso(lane), state_word(state, Arabic)
        );

        /// The books of what is at risk in a lane and its rows disagree.
        AtRisk { lane: String, books: String, rows: String }
        en: format!("lane {lane}: the books say that {books} is at risk, the rows {rows}"),
        ar: format!(
            "المسار {}: تقول الدفاتر إن القيمة المعرّضة للخسارة هي {}، وتقول العمليات {}",
            iso(lane), iso(books), iso(rows)
        );

        /// The books of a lane do not balance in themselves.
        Unbalanced { lane: String }
        en: format!("lane {lane}: the books do not balance"),
        ar: format!("المسار {}: الدفاتر غير متوازنة", iso(lane));

        /// Somebody removed or replaced the database file under the running gateway.
        TakenAway { why: String, saved: String }
        en: format!(
            "{why}: nothing is accepted or sent; all of it is saved as {saved}, with which the \
             next start goes on, and at most one second of acknowledgements may be missing; start \
             redeemd again, or put it back"
        ),
        ar: format!(
            "{}: لا يُقبل شيء ولا يُرسل؛ حُفظ كل ما فيها باسم {} وسيُستعمل عند التشغيل التالي، وقد \
             يُفقد ما قُبل خلال ثانية واحدة على الأكثر؛ شغّل البوابة من جديد أو أعد الملف إلى \
             مكانه",
            iso(why), iso(saved)
        );

        /// As `TakenAway`, and what it held could not be saved.
        TakenUnsaved { why: String, error: String }
        en: format!(
            "{why}: nothing is accepted or sent; what it held could not be saved ({error}), which \
             is tried again each 10 s; mend that before redeemd ends, or put the file back"
        ),
        ar: format!(
            "{}: لا يُقبل شيء ولا يُرسل؛ تعذّر حفظ ما فيها ({})، وتُعاد المحاولة كل 10 ثوانٍ؛ أصلح \
             ذلك قبل أن تتوقف البوابة أو أعد الملف إلى مكانه",
            iso(why), iso(error)
        );

        /// A file of the database was cut short under the running gateway, which still knew all of
        /// it.
        Cut { why: String, set_aside: String }
        en: format!(
            "{why}; it was set aside as the files {set_aside}*, and redeemd goes on with a copy of \
             all that it held"
        ),
        ar: format!(
            "{}؛ حُفظت الملفات القديمة باسم {}*، وتتابع البوابة عملها بنسخة من كل ما \
             كان فيها",
            iso(why), iso(set_aside)
        );

        /// A start went on with the copy of a database that was taken away.
        WentOn
        en: "the database was taken away while redeemd ran; it goes on with a copy that it had \
            saved",
        ar: "أُخذت قاعدة البيانات أثناء عمل البوابة؛ تابعت البوابة عملها بنسخة كانت قد حفظتها";

        /// As `WentOn`, with where the files are that were found in its place.
        WentOnWithCopy { set_aside: String }
        en: format!(
            "the database was taken away while redeemd ran; it goes on with a copy that it had \
             saved, and what lay in its place was set aside as the files {set_aside}*"
        ),
        ar: format!(
            "أُخذت قاعدة البيانات أثناء عمل البوابة؛ تابعت البوابة عملها بنسخة كانت قد حفظتها، \
             وحُفظ ما وُجد في مكانها باسم {}*",
            iso(set_aside)
        );

        /// A start found that a gateway had worked here and no database.
        Missing { remove: String }
        en: format!(
            "there was no database beside a lock or a reserve that a redeemd had made: redeemd \
             began with an empty one, and what the old one held is not known; put a copy of it \
             back, or remove {remove}"
        ),
        ar: format!(
            "لم توجد قاعدة بيانات مع أن بوابة عملت هنا من قبل: بدأت البوابة بقاعدة فارغة، ولا \
             يُعرف ما كان في القديمة؛ أعد نسخة منها إلى مكانها أو احذف {}",
            iso(remove)
        );

        /// No room to rescue the damaged database.
        NoRoom { needed: u64 }
        en: format!("the damaged database cannot be rescued without {} more on the \
            disk", count(*needed, Noun::Byte, English)),
        ar: format!("يتطلب إنقاذ قاعدة البيانات المتضررة مساحة إضافية على القرص قدرها \
            {}", count(*needed, Noun::Byte, Arabic));

        /// No room for a copy of the database beside it.
        NoRoomToCopy { needed: u64 }
        en: format!("no copy of the database fits on the disk without {} \
            more", count(*needed, Noun::Byte, English)),
        ar: format!("يتطلب نسخ قاعدة البيانات مساحة إضافية على القرص قدرها \
            {}", count(*needed, Noun::Byte, Arabic));

        /// The store has stopped for good; only a start helps.
        Stopped { why: String }
        en: format!("the store cannot be trusted any more and nothing is written until the next \
            start: {why}"),
        ar: format!("لم يعد التخزين موثوقًا ولن يُكتب شيء حتى التشغيل التالي: {}", iso(why));
    }
}

fn salvaged_in_english(
    why: &str,
    aside: &str,
    [kept, pending, parked, restored, mended]: [u64; 5],
    lost: Option<u64>,
) -> String {
    let were = |number: u64| if number == 1 { "was" } else { "were" };
    let mut parts = vec![format!(
        "{why}; it was set aside as the files {aside}*; {} {} kept, {} of them pending \
         (uncertain now)",
        count(kept, Noun::Redemption, English),
        were(kept),
        grouped(pending)
    )];
    if parked > 0 {
        parts.push(format!(
            ", {} parked for a person because part of them was lost",
            grouped(parked)
        ));
    }
    if restored > 0 {
        parts.push(format!(
            ", {} of which without their row: till, times and what the till was told are not known",
            grouped(restored)
        ));
    }
    if mended > 0 {
        parts.push(format!(", {} with a flipped bit that was put right", grouped(mended)));
    }
    parts.push(match lost {
        Some(0) => "; none was lost".to_owned(),
        Some(lost) => format!("; {} {} lost", grouped(lost), were(lost)),
        None => "; whether any were lost is not known, because the newest books were lost too"
            .to_owned(),
    });
    parts.concat()
}

fn salvaged_in_arabic(
    why: &str,
    aside: &str,
    [kept, pending, parked, restored, mended]: [u64; 5],
    lost: Option<u64>,
) -> String {
    let mut parts = vec![
        format!("{}؛ حُفظت الملفات القديمة باسم {}*", iso(why), iso(aside)),
        format!("العمليات التي أُنقذت: {}", grouped(kept)),
        format!("منها قيد الانتظار (وهي الآن غير مؤكدة): {}", grouped(pending)),
    ];
    if parked > 0 {
        parts.push(format!("منها معلّقة بانتظار قرار لأن جزءًا منها فُقد: {}", grouped(parked)));
    }
    if restored > 0 {
        parts.push(format!(
            "منها بلا سجلها، ولا تُعرف نقطة البيع ولا الأوقات ولا ما قيل لنقطة البيع: {}",
            grouped(restored)
        ));
    }
    if mended > 0 {
        parts.push(format!("منها ما صُحّح فيه خلل صغير: {}", grouped(mended)));
    }
    parts.push(match lost {
        Some(0) => "لم يُفقد شيء".to_owned(),
        Some(lost) => format!("العمليات المفقودة: {}", grouped(lost)),
        None => "لا يُعرف هل فُقد شيء، لأن أحدث الدفاتر فُقدت أيضًا".to_owned(),
    });
    parts.join("؛ ")
}
