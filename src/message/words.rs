//! Words of the API that stand as parameters in sentences, in both languages.

use std::borrow::Cow;

use super::amount::{Noun, count};
use super::language::Language;

/// A state's word; one that is not known stands as it is.
#[must_use]
pub fn state(word: &str, language: Language) -> Cow<'_, str> {
    let arabic = match word {
        "pending" => "قيد الانتظار",
        "confirmed" => "مؤكدة",
        "declined" => "مرفوضة",
        "parked" => "معلّقة بانتظار قرار",
        "voided" => "ملغاة",
        other => return Cow::Owned(language.isolated(other)),
    };
    Cow::Borrowed(if language == Language::English { word } else { arabic })
}

/// Beside a count: how many a person has closed, which are none of it.
#[must_use]
pub fn left_out(closed: u64, language: Language) -> String {
    let closed = count(closed, Noun::Redemption, language);
    match language {
        Language::English => format!("Left as they are, since a person has closed them: {closed}."),
        Language::Arabic => format!("تبقى كما هي لأن شخصًا أغلقها من قبل: {closed}."),
    }
}

/// Why a form or a body is unfit, in the reader's own words for it; what it says otherwise stands
/// as it is.
pub(super) fn unfit(why: &str) -> String {
    let told = [
        ("duplicate field `", "ورد مرتين"),
        ("missing field `", "غير موجود"),
        ("unknown field `", "غير معروف"),
    ];
    let of = |(begin, arabic): (&str, &str)| {
        let (name, _) = why.split_once(begin)?.1.split_once('`')?;
        Some(format!("{}: {arabic}", field(name)))
    };
    let is_number = ["invalid digit", "cannot parse integer", "number too"];
    let no_number = || {
        let (before, _) = is_number.iter().find_map(|begin| why.split_once(begin))?;
        let name = before.trim_end_matches(": ").rsplit(": ").next().unwrap_or_default();
        let is_name = !name.is_empty() && !name.contains(' ');
        Some(if is_name {
            format!("{}: يلزم عدد", field(name))
        } else {
            "يلزم عدد".to_owned()
        })
    };
    let told = told.into_iter().find_map(of).or_else(no_number);
    told.unwrap_or_else(|| Language::Arabic.isolated(why))
}

/// What a form's field is called in Arabic; one that no form has stands as it is.
pub(super) fn field(name: &str) -> String {
    let arabic = match name {
        "note" => "السبب",
        "hours" => "المدة بالساعات",
        "name" => "الاسم",
        "password" => "كلمة المرور",
        "language" => "اللغة",
        other => return Language::Arabic.isolated(other),
    };
    arabic.to_owned()
}

/// What a role is called.
#[must_use]
pub fn role(word: &str, language: Language) -> Cow<'_, str> {
    let arabic = match word {
        "see" => "الاطلاع",
        "decide" => "اتخاذ القرار",
        "engineer" => "الهندسة",
        other => return Cow::Owned(language.isolated(other)),
    };
    Cow::Borrowed(if language == Language::English { word } else { arabic })
}

/// What an HTTP status is called; `english` are the words of RFC 9110.
#[must_use]
pub fn http_status(status: u16, english: &'static str, language: Language) -> &'static str {
    let arabic = match status {
        400 => "طلب غير صالح",
        401 => "يلزم إثبات هوية",
        403 => "غير مسموح",
        404 => "غير موجود",
        405 => "نوع طلب غير مقبول",
        409 => "تعارض",
        413 => "محتوى أكبر من اللازم",
        415 => "نوع محتوى غير مقبول",
        421 => "طلب موجّه إلى غيرنا",
        429 => "طلبات كثيرة",
        503 => "الخدمة غير متاحة الآن",
        507 => "لا تتسع مساحة التخزين",
        _ => "تعذّر تنفيذ الطلب",
    };
    if language == Language::English { english } else { arabic }
}

/// What a limit bounds, by its key; one that is not known stands as it is.
pub(super) fn limit(key: &str, language: Language) -> Cow<'_, str> {
    let (english, arabic) = match key {
        "max_pending" => ("the rewards that may wait", "المكافآت التي قد تنتظر الجواب"),
        "max_outage" => ("the time without the line", "مدة انقطاع الخط"),
        "max_exposure" => ("the value that may be at risk", "القيمة التي قد تُعرَّض للخسارة"),
        "max_per_hour" => ("the rewards in an hour", "المكافآت في الساعة"),
        "max_per_day" => ("the rewards in a day", "المكافآت في اليوم"),
        other => return Cow::Owned(language.isolated(other)),
    };
    Cow::Borrowed(if language == Language::English { english } else { arabic })
}

/// What came of an attempt, by its word in the metrics; one that is not known stands as it is.
#[must_use]
pub fn outcome(word: &str, language: Language) -> Cow<'_, str> {
    let (english, arabic) = match word {
        "confirmed" => ("the provider took it", "قبلها المزوّد"),
        "already_used" => {
            ("the provider said it was used already", "قال المزوّد إنها استُعملت من قبل")
        }
        "declined" => ("the provider refused it", "رفضها المزوّد"),
        "parked" => ("an answer that says neither yes nor no", "جواب لا يقول نعم ولا لا"),
        "in_progress" => ("the provider is still at work on it", "ما زال المزوّد يعالجها"),
        "unreadable" => {
            ("an answer in another form than the contract's", "جواب بصيغة غير صيغة العقد")
        }
        "credential" => ("our credential was not taken", "لم يقبل المزوّد رمز دخولنا"),
        "not_the_provider" => ("somebody else answered", "أجاب طرف غير المزوّد"),
        "wait" => ("the provider asked to wait", "طلب المزوّد الانتظار"),
        "row_fault" => ("the provider failed at this one", "تعثّر المزوّد في هذه العملية"),
        "reset" => ("the connection broke before the answer", "انقطع الاتصال قبل وصول الجواب"),
        "resolve" => ("the provider's name was not found", "تعذّر العثور على عنوان المزوّد"),
        "connect" => ("no connection came about", "لم يُفتح اتصال بالمزوّد"),
        "proxy" => ("the proxy refused", "رفض الخادم الوكيل"),
        "tls" => {
            ("the provider's certificate could not be verified", "تعذّر التحقق من شهادة المزوّد")
        }
        "clock" => {
            ("the certificate does not fit this box's time", "الشهادة لا توافق وقت هذا الجهاز")
        }
        "write" => ("the request did not get through", "لم يصل الطلب كاملًا"),
        "answer" => ("no answer came in time", "لم يأتِ جواب في الوقت المحدد"),
        "provider" => (
            "the provider answered with a fault of its own",
            "أجاب المزوّد بخطأ من \
            عنده",
        ),
        other => return Cow::Owned(language.isolated(other)),
    };
    Cow::Borrowed(if language == Language::English { english } else { arabic })
}

/// What somebody did, by its word in the audit trail; one that is not known stands as it is.
#[must_use]
pub fn deed(word: &str, language: Language) -> Cow<'_, str> {
    let (english, arabic) = match word {
        "retry" => ("Sent again", "أُعيد إرسالها"),
        "void" => ("Closed", "أُغلقت"),
        "void_by_till" => ("Taken back by its till", "ألغتها نقطة البيع"),
        "handled" => ("Seen to", "عولجت"),
        "handled_free" => ("Seen to, and its code is free again", "عولجت، ورمزها متاح من جديد"),
        "lost" => ("Closed as lost", "أُغلقت على أنها خسارة"),
        "retold" => (
            "The till was told again, when it asked anew",
            "أُخبرت نقطة البيع ثانية حين طلبت من جديد",
        ),
        "joined" => (
            "The till asked anew, and waited for the same answer",
            "طلبت نقطة البيع من جديد وانتظرت الجواب نفسه",
        ),
        "owed_paid" => ("The owed reward was given", "أُعطيت المكافأة المستحقة"),
        "unheard" => ("No till heard of it: it is owed", "لم تسمع بها أي نقطة بيع: فهي مستحقة"),
        "in_vain" => (
            "No till heard of it again: a person decides",
            "لم تسمع بها أي نقطة بيع مرة أخرى: القرار لشخص",
        ),
        "owed_in_copy" => (
            "It was owed in a copy, and may have been given since: a person decides",
            "كانت مستحقة في نسخة، وربما أُعطيت منذ ذلك: القرار لشخص",
        ),
        "answered" => ("What was known before", "ما كان معروفًا من قبل"),
        "late_answer" => ("A late answer", "جواب متأخر"),
        "import" => ("Taken over from another gateway", "نُقلت من بوابة أخرى"),
        "copied" => ("The database was put back from a copy", "أُعيدت قاعدة البيانات من نسخة"),
        "salvage" => ("Restored after damage", "استُعيدت بعد تلف"),
        "hold" => ("A line was held", "أُوقف خط"),
        "release" => ("A line goes on", "تابع خط عمله"),
        "limit_used" => ("A limit is nearly used up", "أوشك حدٌّ على النفاد"),
        "limit_used_up" => ("A limit is used up", "نفد حدٌّ"),
        "till_slowed" => ("A till is not trusted for now", "نقطة بيع لا يُعتمد عليها الآن"),
        "trust_off" => ("Trust off", "أُوقف الإعطاء على الثقة"),
        "trust_on" => ("Trust on", "أُعيد الإعطاء على الثقة"),
        "backup" => ("A backup was taken", "أُخذت نسخة احتياطية"),
        "export" => ("Whole codes were exported", "صُدّرت رموز كاملة"),
        "bulk" => ("Many at once", "الكثير دفعة واحدة"),
        "sign_in" => ("Signed in", "تسجيل دخول"),
        "sign_out" => ("Signed out", "تسجيل خروج"),
        "flush" => ("Told to try at once", "طُلب الإرسال فورًا"),
        other => return Cow::Owned(language.isolated(other)),
    };
    Cow::Borrowed(if language == Language::English { english } else { arabic })
}

/// What is done to many at once: in English after their number, in Arabic before it.
pub(super) fn bulk(word: &str, language: Language) -> Cow<'_, str> {
    let (english, arabic) = match word {
        "retry" => ("sent again", "إعادة إرسال"),
        "void" => ("closed", "إغلاق"),
        "handled" => ("seen to", "معالجة"),
        other => return Cow::Owned(language.isolated(other)),
    };
    Cow::Borrowed(if language == Language::English { english } else { arabic })
}

/// How a late attempt ended.
pub(super) fn verdict(word: &str) -> Cow<'_, str> {
    match word {
        "confirmed" => "أكّدها المزوّد".into(),
        "declined" => "رفضها المزوّد".into(),
        "parked" => "أجاب المزوّد بما لا يُفهم".into(),
        "no verdict" => "بلا حكم".into(),
        other => Language::Arabic.isolated(other).into(),
    }
}

/// A kind of a JSON value, as the contract's parser names it.
pub(super) fn kind(word: &str) -> Cow<'_, str> {
    match word {
        "null" => "قيمة null".into(),
        "a boolean" => "قيمة منطقية".into(),
        "a number" => "رقمًا".into(),
        "a string" => "نصًا".into(),
        "an array" => "مصفوفة".into(),
        "an object" => "كائنًا".into(),
        other => Language::Arabic.isolated(other).into(),
    }
}

/// A code, an id or a name in an Arabic sentence.
pub(super) fn iso(text: impl std::fmt::Display) -> String {
    Language::Arabic.isolated(text)
}

/// An Arabic text with each part between backquotes, such as a command, isolated together with
/// them.
pub(super) fn quoted_isolated(text: &str) -> String {
    let part = |(at, part): (usize, &str)| {
        if at % 2 == 0 { part.to_owned() } else { iso(format!("`{part}`")) }
    };
    text.split('`').enumerate().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unfit_is_said_in_arabic_with_the_fields_name() {
        for (why, told) in [
            ("Failed to deserialize query string: before: invalid digit found in string", "before"),
            ("hours: number too large to fit in target type", "المدة بالساعات: يلزم عدد"),
            ("invalid digit found in string", "يلزم عدد"),
            ("missing field `note`", "السبب: غير موجود"),
        ] {
            let said = unfit(why);
            assert!(said.contains(told) && !said.contains("found in"), "{why}: {said}");
        }
    }
}
