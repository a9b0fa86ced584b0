//! What does not end by itself: somebody has to see to it. Redemptions that wait for a person are
//! counted apart.

use super::cause::Cause;
use super::language::Language::{Arabic, English};
use super::macros::messages;
use super::storage::Storage;
use super::words::iso;

messages! {
    /// One thing that does not end by itself.
    pub enum Need {
        /// Nothing new can be stored.
        NotStored { how: Box<Storage> }
        en: format!("redemptions cannot be stored now: {}", how.text(English)),
        ar: format!("لا يمكن تخزين العمليات الآن: {}", how.text(Arabic));

        /// The storage works, and something became of it that a person should know.
        StorageTold { how: Box<Storage> }
        en: format!("the storage works, and a person has to know of it: {}", how.text(English)),
        ar: format!("التخزين يعمل، ويجب أن يعلم شخص بما حدث: {}", how.text(Arabic));

        /// Nobody has synchronised the clock.
        ClockUnset
        en: "the clock is not synchronised: check NTP; where `hours` are set, no reward is given \
            on trust until it is",
        ar: format!(
            "الساعة غير متزامنة: افحص مزامنة الوقت {}؛ وحيث حُدّدت {} لا تُعطى مكافأة دون جواب \
             المزوّد حتى تتزامن",
            iso("NTP"), iso("`hours`")
        );

        /// The books do not add up.
        Unbalanced
        en: "the books do not balance: tell an engineer",
        ar: "السجل غير متوازن: أخبر مهندسًا";

        /// The settings on the disk have a fault.
        SettingsRefused { why: String }
        en: format!("the settings on disk were refused: {why}"),
        ar: format!("رُفضت الإعدادات الموجودة على القرص: {}", iso(why));

        /// Changed settings take a restart.
        Restart { keys: String }
        en: format!("these settings have changed and take a restart: {keys}"),
        ar: format!("تغيّرت هذه الإعدادات وتحتاج إلى إعادة تشغيل البوابة: {}", iso(keys));

        /// A till's token cannot be read; the earlier one holds.
        TillKept { till: String }
        en: format!(
            "the token of till {till} cannot be read: the one before it holds until redeemd \
             starts again; mend its file"
        ),
        ar: format!(
            "لا يمكن قراءة رمز نقطة البيع {}: يبقى رمزها السابق صالحًا حتى تشغيل البوابة من جديد؛ \
             أصلح ملفه",
            iso(till)
        );

        /// A till has no token, because it cannot be read.
        TillUnread { till: String }
        en: format!(
            "the token of till {till} cannot be read: none of its requests is answered; mend its \
             file, it is picked up at once"
        ),
        ar: format!(
            "لا يمكن قراءة رمز نقطة البيع {}: لا يُجاب عن طلباتها؛ أصلح ملفه، ويُقرأ فورًا",
            iso(till)
        );

        /// A lane is not up, for a cause that does not end by itself.
        Lane { lane: String, cause: Cause }
        en: format!("{lane}: {}", cause.explanation(English)),
        ar: format!("{}: {}", iso(lane), cause.explanation(Arabic));

        /// It is held for declines, of which none is left to be taken back.
        LaneTakenBack { lane: String }
        en: format!("{lane}: {}", Cause::Declines.explanation_where(true, English)),
        ar: format!("{}: {}", iso(lane), Cause::Declines.explanation_where(true, Arabic));

        /// The provider answers redemptions, and nobody answers checks.
        ChecksDeaf { lane: String }
        en: format!(
            "{lane}: the provider answers redemptions, and checks not or too late: look at \
            check_url; until a check is answered in time, what the provider does not answer is \
            given only if another till's redemption was not answered either"
        ),
        ar: format!(
            "{}: المزوّد يجيب عن عمليات الاستبدال، ولا يجيب عن طلبات التحقق أو يجيب \
            متأخرًا: راجع {}؛ وإلى أن يجيب عن أحدها في وقته لا يُعطى ما لم يجب عنه إلا \
            إذا لم يجب عن عملية من نقطة بيع أخرى أيضًا",
            iso(lane), iso("check_url")
        );

        /// Somebody has switched trust off, without an end.
        TrustOff { lane: String, name: String, note: String }
        en: format!(
            "trust is off in {lane} until somebody switches it on, by {name}: {note}"
        ),
        ar: format!(
            "أُوقف الإعطاء على الثقة في المسار {} حتى يعيد شخص تشغيله، بواسطة {}: {}",
            iso(lane), iso(name), iso(note)
        );
    }
}
