//! What operators are told instead of what they asked for: by the API, by the commands and by the
//! console.

use std::time::Duration;

use super::amount::{Noun, NounPlace, about, count_in};
use super::language::Language::{Arabic, English};
use super::macros::messages;
use super::storage::Storage;
use super::words::{field, iso, role, state as state_word, unfit};

messages! {
    /// Why something was not done.
    pub enum Denied {
        /// It is being sent at this moment.
        OnTheWire
        en: "an attempt is on the wire: try again when it has ended",
        ar: "هناك محاولة جارية الآن: أعد المحاولة بعد انتهائها";

        /// Only what is open, or was declined after the fact, can be closed.
        NotVoidable { state: String }
        en: format!("it is {state}, and only what is pending or parked, or was declined after the \
            fact, can be voided"),
        ar: format!("حالتها: {}، ولا يُلغى إلا ما ينتظر الجواب أو القرار، أو ما رُفض بعد إعطاء \
            المكافأة", state_word(state, Arabic));

        /// Only what was refused or cannot be read can be sent again.
        NotRetriable { state: String }
        en: format!("it is {state}, and only what was declined or is parked can be retried"),
        ar: format!("حالتها: {}، ولا يُرسل من جديد إلا ما رُفض أو \
            عُلّق", state_word(state, Arabic));

        /// Another redemption stands in the way.
        CodeHeld { id: String, state: String }
        en: format!("its code is held by {id}, which is {state}"),
        ar: format!("رمزها محجوز للعملية {}، وحالتها: {}", iso(id), state_word(state, Arabic));

        /// The provider's answer is awaited.
        StillPending
        en: "it is pending: the provider has not answered about it",
        ar: "ما زالت قيد الانتظار: لم يجب المزوّد عنها بعد";

        /// The customer is still to get it.
        StillOwed
        en: "it is owed: the next request for its code is given the reward, so that there is no \
             code to free",
        ar: "المكافأة مستحقة: يُعطاها الطلب القادم لرمزها، فلا رمز يُتاح من جديد";

        /// Nobody knows it.
        NoRedemption
        en: "there is no redemption of this id",
        ar: "لا توجد عملية بهذا المعرّف";

        /// Whoever acts says why.
        NoteMissing
        en: "note: say why, in a few words",
        ar: "السبب: اذكره بكلمات قليلة";

        /// The note is too long.
        NoteTooLong { characters: u64 }
        en: format!("note: at most {characters} characters"),
        ar: format!("السبب: {characters} حرف على الأكثر");

        /// The note has line ends or worse in it.
        NoteNotPlain
        en: "note: one line without control characters",
        ar: "السبب: سطر واحد بلا رموز تحكّم";

        /// The lane is not there.
        NoLane { lane: String, lanes: String }
        en: format!("there is no lane {lane:?}; there are: {lanes}"),
        ar: format!("لا يوجد مسار باسم {}؛ المسارات هي: {}", iso(lane), iso(lanes));

        /// The lane has rows, and no provider of the settings has its name.
        LaneNotConfigured { lane: String }
        en: format!(
            "no provider of the settings is named {lane}: it is not configured, and nothing is \
             sent there; name it again, or close its redemptions with `redeemd void`"
        ),
        ar: format!(
            "لا مزوّد في الإعدادات باسم {}: المسار غير مذكور فيها ولا يُرسل منه شيء؛ أعد ذكره، أو \
             ألغِ عملياته بالأمر {}",
            iso(lane), iso("`redeemd void`")
        );

        /// Only the declines for which a lane is held are taken back together.
        NotHeldForDeclines { lane: String }
        en: format!("the lane {lane} is not held for declines: nothing is taken back"),
        ar: format!("المسار {} ليس موقوفًا بسبب عمليات مرفوضة: لم يُعَد شيء", iso(lane));

        /// Nobody vouches for the request.
        NoCredential
        en: "this takes a credential: a bearer token of [[admin.token]], or signing in at the \
             console",
        ar: format!(
            "يحتاج هذا إلى إثبات هوية: رمز دخول من {}، أو تسجيل الدخول في لوحة المتابعة",
            iso("[[admin.token]]")
        );

        /// A button was pressed after the session had ended.
        SignedOut
        en: "you were signed out: what you pressed was not done",
        ar: "انتهت جلستك: لم يُنفَّذ ما ضغطت عليه";

        /// The token is nobody's.
        UnknownToken
        en: "this token is not known",
        ar: "رمز الدخول هذا غير معروف";

        /// The role does not allow it.
        LacksRole { name: String, role: String }
        en: format!("{name} lacks the role {role}"),
        ar: format!("لا يملك {} الدور المطلوب: {}", iso(name), self::role(role, Arabic));

        /// No such address.
        NoPath
        en: "there is nothing at this path",
        ar: "لا شيء في هذا العنوان";

        /// The address does not do that.
        NoMethod
        en: "this path does not know the method",
        ar: "هذا العنوان لا يعرف هذا النوع من الطلبات";

        /// The request does not say whom it is for.
        NoHost
        en: "one Host header is needed",
        ar: format!("يلزم حقل {} واحد في الطلب", iso("Host"));

        /// The request is for somebody else.
        ForeignHost
        en: "this listener answers to localhost, 127.0.0.0/8, [::1] and the names in admin.hosts \
             alone: the Host header names another",
        ar: format!(
            "لا تجيب هذه الخدمة إلا على {} وعلى الأسماء المذكورة في {}؛ والحقل {} يذكر غيرها",
            iso("localhost, 127.0.0.0/8, [::1]"), iso("admin.hosts"), iso("Host")
        );

        /// Another site's page sent it.
        ForeignPage
        en: "the request comes from another site's page",
        ar: "الطلب آتٍ من صفحة موقع آخر";

        /// No browser says that a page of ours sent the form.
        ForeignForm
        en: "the form does not come from a page of this gateway",
        ar: "النموذج لم يأتِ من صفحة لهذه البوابة";

        /// A POST of the wrong kind.
        ContentType { wanted: String }
        en: format!("a POST needs Content-Type: {wanted}"),
        ar: format!("يحتاج الطلب إلى نوع المحتوى {}", iso(wanted));

        /// What was asked for has faults.
        Filter { faults: Vec<FilterFault> }
        en: faults.iter().map(|fault| fault.text(English)).collect::<Vec<_>>().join("; "),
        ar: faults.iter().map(|fault| fault.text(Arabic)).collect::<Vec<_>>().join("؛ ");

        /// Too many ask at once.
        Busy { after_s: u64 }
        en: format!("too many requests are waiting; try again in {after_s} s"),
        ar: format!("طلبات كثيرة تنتظر؛ أعد المحاولة بعد \
            {}", about(Duration::from_secs(*after_s), Arabic));

        /// Nothing is stored now.
        Refusing { why: Storage }
        en: format!("the store takes nothing now: {}", why.text(English)),
        ar: format!("لا يمكن التخزين الآن: {}", why.text(Arabic));

        /// The daemon ends.
        Stopping
        en: "the gateway is stopping",
        ar: "البوابة تتوقف الآن";

        /// A job that is not known any more.
        NoJob
        en: "this job is not known any more: the gateway remembers the last ones since its start",
        ar: "هذه المهمة لم تعد معروفة: تتذكر البوابة آخر المهام منذ تشغيلها";

        /// One job runs at a time.
        JobRuns { number: u64 }
        en: format!("job {number} is still running: wait for its end, or stop it"),
        ar: format!("المهمة رقم {number} ما زالت قيد التنفيذ: انتظر انتهاءها أو أوقفها");

        /// A body that is larger than it may be.
        BodyTooLarge
        en: "the body is larger than this address takes",
        ar: "محتوى الطلب أكبر مما يقبله هذا العنوان";

        /// A body that did not come whole.
        BodyCutOff
        en: "the body did not arrive whole",
        ar: "لم يصل محتوى الطلب كاملًا";

        /// A body that took too long.
        BodyTooSlow { within_s: u64 }
        en: format!("the body did not arrive within {within_s} s"),
        ar: format!("لم يصل محتوى الطلب خلال \
            {}", count_in(NounPlace::Object, *within_s, Noun::Second, Arabic));

        /// A body without the members that are needed, or a form.
        BodyUnfit { why: String }
        en: format!("what was sent is not as expected: {why}"),
        ar: format!("ما أُرسل ليس كما ينبغي: {}", unfit(why));

        /// Something after an address's question mark that cannot stand there.
        QueryUnread { why: String }
        en: format!("the address cannot be read after its question mark: {why}"),
        ar: format!("تعذّرت قراءة ما بعد علامة الاستفهام في العنوان: {}", unfit(why));

        /// Many redemptions at once that nothing names.
        NothingNamed
        en: "many at once are those of a search with at least one field, and not of a whole code",
        ar: "الكثير دفعة واحدة هو ما يجده بحث فيه حقل واحد على الأقل، لا رمز كامل";

        /// The body is none that `redeemd import` sends.
        NotAnImport
        en: "the body is not an import",
        ar: "محتوى الطلب ليس استيرادًا";

        /// More rows than are taken over at once.
        TooManyRows { most: u64 }
        en: format!("rows: at most {most} at once"),
        ar: format!("السجلات: {most} على الأكثر في المرة الواحدة");

        /// The gateway's name that came with an import.
        FromName { characters: u64 }
        en: format!("from: one line of at most {characters} characters"),
        ar: format!("{}: سطر واحد من {characters} حرفًا على الأكثر", iso("from"));

        /// A copy of the database was not made.
        NotCopied { why: Box<Storage> }
        en: format!("no copy was made: {}", why.text(English)),
        ar: format!("لم تُصنع نسخة: {}", why.text(Arabic));

        /// A copy of the database was made and cannot be read.
        CopyUnread { why: String }
        en: format!("the copy cannot be read: {why}"),
        ar: format!("تعذّرت قراءة النسخة: {}", iso(why));

        /// Not ready: it does not listen yet or any more.
        Starting
        en: "the gateway is starting or stopping",
        ar: "البوابة تبدأ العمل أو تتوقف الآن";

        /// Not ready: nothing can be stored.
        StoresNothing
        en: "no redemption could be taken now: the store takes nothing",
        ar: "لا يمكن قبول أي عملية الآن: لا يمكن التخزين";

        /// Not ready: no lane can be asked, and none gives on trust.
        TakesNothing
        en: "no redemption could be taken now: no provider can be asked, and none may be given on \
            trust",
        ar: "لا يمكن قبول أي عملية الآن: لا يمكن سؤال أي مزوّد ولا الإعطاء دون جوابه";

        /// Enough pages follow what happens.
        TooManyFollow
        en: "too many pages follow what happens already",
        ar: "صفحات كثيرة تتابع ما يحدث الآن";
    }
}

messages! {
    /// What is wrong with a filter of redemptions.
    pub enum FilterFault {
        /// Twice there.
        Twice { key: String }
        en: format!("{key}: given twice"),
        ar: format!("{}: ورد مرتين", iso(key));

        /// Not known.
        Unknown { key: String, known: String }
        en: format!("{key}: not known; there are {known}"),
        ar: format!("{}: غير معروف؛ المعروف هو {}", iso(key), iso(known));

        /// Nothing is said.
        Empty { key: String }
        en: format!("{key}: empty; leave it out to ask for all"),
        ar: format!("{}: فارغ؛ احذفه لطلب الكل", iso(key));

        /// Too long.
        TooLong { key: String }
        en: format!("{key}: too long"),
        ar: format!("{}: أطول من اللازم", iso(key));

        /// More of a code's end than is shown of any.
        Ending { key: String, most: u64 }
        en: format!(
            "{key}: at most {most} characters, and no more than a list shows of the code; a whole \
             code is looked for as such"
        ),
        ar: format!(
            "{}: {most} أحرف على الأكثر، ولا أكثر مما تظهره القائمة من الرمز؛ أما الرمز الكامل فيُبحث \
             عنه كاملًا",
            iso(key)
        );

        /// Not one of those that it can be.
        Choice { key: String, choices: String }
        en: format!("{key}: {choices}"),
        ar: format!("{}: القيم الممكنة هي {}", iso(key), iso(choices));

        /// No number in a range.
        Range { key: String, from: u64, to: u64 }
        en: format!("{key}: a number from {from} to {to}"),
        ar: format!("{}: عدد من {from} إلى {to}", field(key));

        /// Not what an earlier answer gave.
        NotOurs { key: String }
        en: format!("{key}: what an answer of the gateway gave, unchanged"),
        ar: format!("{}: كما ورد في جواب البوابة دون تغيير", iso(key));

        /// No time.
        Time { key: String }
        en: format!("{key}: a day such as 2026-11-01, or a time such as 2026-11-01T10:00:00Z"),
        ar: format!(
            "{}: يوم مثل {} أو وقت مثل {}", iso(key), iso("2026-11-01"), iso("2026-11-01T10:00:00Z")
        );

        /// It ends before it begins.
        Backwards { until: String, since: String }
        en: format!("{until}: not after {since}, so that nothing can lie between them"),
        ar: format!("{}: ليس بعد {}، فلا شيء بينهما", iso(until), iso(since));

        /// No day.
        Day { key: String }
        en: format!("{key}: a day looks like 2026-11-01"),
        ar: format!("{}: يُكتب اليوم هكذا {}", iso(key), iso("2026-11-01"));
    }
}

impl FilterFault {
    /// The later end of a range, `until`, is not after its earlier one.
    #[must_use]
    pub fn backwards(until: &str, since: &str) -> Self {
        Self::Backwards { until: until.to_owned(), since: since.to_owned() }
    }
}

messages! {
    /// Why a row of an import cannot be a redemption; none of its values is repeated.
    pub enum RowFault {
        /// An id that no gateway gives.
        Id
        en: "id: none of ours",
        ar: format!("{}: ليس مما تعطيه هذه البوابات", iso("id"));

        /// Only what is open travels.
        State
        en: "state: neither pending nor parked",
        ar: format!("{}: لا قيد الانتظار ولا معلّقة", iso("state"));

        /// Too long, or not one line of words.
        Unfit { field: String }
        en: format!("{field}: too long, or with control characters"),
        ar: format!("{}: أطول من اللازم أو فيه رموز تحكّم", iso(field));

        /// Needed, and empty.
        Empty { field: String }
        en: format!("{field}: empty"),
        ar: format!("{}: فارغ", iso(field));

        /// No provider can be called so.
        Lane
        en: "lane: a name that no provider can have",
        ar: format!("{}: اسم لا يصلح لمزوّد", iso("lane"));

        /// A time that is none.
        Time
        en: "accepted_ms: no time from the year 1970 to 9999",
        ar: format!("{}: ليس وقتًا بين عامي 1970 و9999", iso("accepted_ms"));

        /// A number of marks below zero.
        Below { field: String }
        en: format!("{field}: below zero"),
        ar: format!("{}: أقل من الصفر", iso(field));

        /// An amount beyond what any setting takes.
        Above { field: String }
        en: format!("{field}: more than any amount can be"),
        ar: format!("{}: أكبر مما يمكن أن يكون أي مبلغ", iso(field));

        /// A fingerprint of another length.
        Fingerprint { field: String }
        en: format!("{field}: not of a fingerprint's length"),
        ar: format!("{}: طوله ليس طول البصمة", iso(field));

        /// More bytes than any gateway takes.
        TooLong { field: String }
        en: format!("{field}: too long"),
        ar: format!("{}: أطول من اللازم", iso(field));

        /// A status that HTTP does not have.
        Status
        en: "answer: a status that HTTP does not have",
        ar: format!("{}: رمز لا يعرفه {}", iso("answer"), iso("HTTP"));
    }
}
