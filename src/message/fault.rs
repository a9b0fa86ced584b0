//! What is wrong with a till's request: each names the field and never repeats its value.

use super::amount::{Noun, NounPlace, count_in};
use super::language::Language::{Arabic, English};
use super::macros::messages;
use super::words::{iso, kind as kind_word};

messages! {
    /// One thing that is wrong with a request.
    pub enum Fault {
        /// Bytes that are no UTF-8.
        NotUtf8 { byte: u64 }
        en: format!("the body is not UTF-8 (at byte {byte})"),
        ar: format!("محتوى الطلب ليس بترميز {} (عند البايت {byte})", iso("UTF-8"));

        /// Nothing at all.
        EmptyBody
        en: "the body is empty",
        ar: "محتوى الطلب فارغ";

        /// A byte order mark.
        ByteOrderMark
        en: "the body begins with a byte order mark: send plain UTF-8",
        ar: format!("يبدأ محتوى الطلب بعلامة ترتيب البايتات: أرسل {} دونها", iso("UTF-8"));

        /// No object.
        NotAnObject { kind: String }
        en: format!("the body must be a JSON object, not {kind}"),
        ar: format!("يجب أن يكون محتوى الطلب كائن {}، لا {}", iso("JSON"), kind_word(kind));

        /// The JSON ends early.
        Ends
        en: "the body ends in the middle of the JSON",
        ar: format!("ينتهي محتوى الطلب في وسط {}", iso("JSON"));

        /// The JSON is nested too deep.
        TooDeep { levels: u64 }
        en: format!("the JSON is nested deeper than \
            {}", count_in(NounPlace::Object, *levels, Noun::Level, English)),
        ar: format!("تداخل {} أعمق من \
            {}", iso("JSON"), count_in(NounPlace::Object, *levels, Noun::Level, Arabic));

        /// No JSON.
        NotJson { line: u64, column: u64 }
        en: format!("the body is not valid JSON (line {line}, column {column})"),
        ar: format!("محتوى الطلب ليس {} صالحًا (السطر {line}، العمود {column})", iso("JSON"));

        /// A field that is not there.
        Missing { field: String }
        en: format!("{field} is missing"),
        ar: format!("الحقل {} غير موجود", iso(field));

        /// A field that is no string.
        NotAString { field: String, kind: String }
        en: format!("{field} must be a string, not {kind}"),
        ar: format!("يجب أن يكون الحقل {} نصًا، لا {}", iso(field), kind_word(kind));

        /// A field without a visible character.
        Empty { field: String }
        en: format!("{field} is empty"),
        ar: format!("الحقل {} فارغ", iso(field));

        /// A field that is too long.
        TooLong { field: String, bytes_max: u64 }
        en: format!("{field} is longer than \
            {}", count_in(NounPlace::Object, *bytes_max, Noun::Byte, English)),
        ar: format!("الحقل {} أطول من \
            {}", iso(field), count_in(NounPlace::Object, *bytes_max, Noun::Byte, Arabic));

        /// A field in which nothing can be seen.
        Blank { field: String }
        en: format!("{field} is empty: nothing in it can be seen"),
        ar: format!("الحقل {} فارغ: لا يُرى فيه شيء", iso(field));

        /// A field with half a character.
        HalfText { field: String }
        en: format!("{field} contains half a character (a lone surrogate)"),
        ar: format!("يحتوي الحقل {} على نصف حرف (بديل منفرد)", iso(field));

        /// A field whose name has half a character.
        HalfName
        en: "the name of a field contains half a character (a lone surrogate)",
        ar: "يحتوي اسم أحد الحقول على نصف حرف (بديل منفرد)";

        /// A field beside one of almost the same name.
        Twin { field: String }
        en: format!("{field} is there in another spelling too: send {field} alone"),
        ar: format!("الحقل {} موجود بكتابة أخرى أيضًا: أرسله وحده", iso(field));

        /// A value that the till may not serve.
        NotBound { field: String }
        en: format!("this till is not set up for this {field}"),
        ar: format!("نقطة البيع هذه غير مُعدّة لقيمة الحقل {} هذه", iso(field));

        /// A field with a control character.
        Control { field: String }
        en: format!("{field} contains a control character"),
        ar: format!("يحتوي الحقل {} على حرف تحكم", iso(field));

        /// A field that is there twice.
        Twice { field: String }
        en: format!("{field} appears more than once"),
        ar: format!("الحقل {} مكرر", iso(field));

        /// A field that the contract does not know is there twice.
        ForeignTwice
        en: "a field that the contract does not name appears more than once in its object",
        ar: "حقل لا يذكره العقد مكرر داخل كائنه";

        /// Both spellings of one field.
        BothSpellings { field: String, other: String }
        en: format!("{field} and {other} are both present: send one of them"),
        ar: format!("الحقلان {} و{} موجودان معًا: أرسل واحدًا منهما", iso(field), iso(other));

        /// The other spelling, in a form that cannot be rewritten.
        UnreadableSpelling { field: String, other: String }
        en: format!("{other} cannot be read: send {field}"),
        ar: format!("تعذّرت قراءة الحقل {}: أرسل {}", iso(other), iso(field));

        /// Two `Idempotency-Key` headers.
        KeyTwice
        en: "the header Idempotency-Key appears more than once",
        ar: format!("الترويسة {} مكررة", iso("Idempotency-Key"));

        /// An `Idempotency-Key` of another form.
        KeyForm { chars_max: u64 }
        en: format!("the header Idempotency-Key must be 1 to {chars_max} visible ASCII characters"),
        ar: format!(
            "يجب أن تتكون الترويسة {} من 1 إلى {chars_max} من محارف {} المرئية",
            iso("Idempotency-Key"), iso("ASCII")
        );

        /// A body that is too long.
        BodyTooLarge { bytes_max: u64 }
        en: format!("the body is longer than {bytes_max} bytes"),
        ar: format!("محتوى الطلب أطول من \
            {}", count_in(NounPlace::Object, *bytes_max, Noun::Byte, Arabic));

        /// A body that came too slowly.
        BodyTooSlow { within_s: u64 }
        en: format!("the body did not arrive within {within_s} s"),
        ar: format!("لم يصل محتوى الطلب خلال \
            {}", count_in(NounPlace::Object, *within_s, Noun::Second, Arabic));

        /// A body that broke off.
        BodyBroke
        en: "the body broke off",
        ar: "انقطع محتوى الطلب قبل اكتماله";

        /// A date that the contract cannot mean.
        NotADate
        en: "date is no date that the provider knows: it must be a day and a time such as \
            2027-01-15 10:00:00",
        ar: format!("الحقل {} ليس تاريخًا يعرفه المزوّد: يجب أن يكون يومًا ووقتًا مثل \
            {}", iso("date"), iso("2027-01-15 10:00:00"));

        /// A business that no provider serves.
        NoLane
        en: "no provider is set up for this business_refrence",
        ar: format!("لا يوجد مزوّد مُعدّ لقيمة الحقل {} هذه", iso("business_refrence"));
    }
}
