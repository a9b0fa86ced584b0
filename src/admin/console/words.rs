//! The console's fixed texts, each in both languages; the compiler refuses one without the other.

use crate::message::Language;

/// Declares the texts: a name, the English, the Arabic.
macro_rules! words {
    ($($name:ident: $english:literal, $arabic:literal;)+) => {
        /// The texts of one language.
        #[derive(Debug)]
        pub(in crate::admin) struct Words { $(pub(super) $name: &'static str),+ }

        const ENGLISH: Words = Words { $($name: $english),+ };
        const ARABIC: Words = Words { $($name: $arabic),+ };
    };
}

words! {
    home: "Today",
        "اليوم";
    inbox: "Inbox",
        "الوارد";
    search: "Search",
        "البحث";
    skip: "Skip to the content",
        "انتقل إلى المحتوى";
    menu: "Pages",
        "الصفحات";
    sign_in: "Sign in",
        "تسجيل الدخول";
    sign_out: "Sign out",
        "تسجيل الخروج";
    signed_in_as: "Signed in:",
        "المستخدم:";
    sign_in_why: "Looking is free on this machine. To decide or to change anything, sign in.",
        "الاطلاع متاح على هذا الجهاز. لاتخاذ قرار أو تغيير شيء، سجّل الدخول.";
    no_users: "Nobody can sign in yet: an engineer adds [[admin.user]] to the settings.",
        "لا يمكن لأحد تسجيل الدخول بعد: يضيف المهندس ‎[[admin.user]]‎ إلى الإعدادات.";
    name: "Name",
        "الاسم";
    password: "Password",
        "كلمة المرور";
    wrong: "The name or the password is wrong.",
        "الاسم أو كلمة المرور غير صحيحة.";
    later: "Too many attempts. Try again in",
        "محاولات كثيرة. حاول مجددًا بعد";
    language_other: "العربية",
        "English";
    when: "When",
        "الوقت";
    headroom: "What may be given without the line",
        "ما يمكن إعطاؤه دون الخط";
    waiting_limit: "Rewards waiting",
        "مكافآت تنتظر الجواب";
    outage_limit: "Time without the line",
        "مدة انقطاع الخط";
    exposure_limit: "Value at risk",
        "القيمة المعرّضة للخسارة";
    hour_limit: "Rewards in an hour",
        "المكافآت في الساعة";
    day_limit: "Rewards in a day",
        "المكافآت في اليوم";
    checks: "Checks of codes at the tills, since the start",
        "التحقق من الرموز عند نقاط البيع منذ بدء التشغيل";
    checks_passed: "answered by the provider",
        "أجاب عنها المزوّد";
    checks_remembered: "answered from memory",
        "أُجيب عنها من الذاكرة";
    checks_held: "refused: the code is used here",
        "رُفضت: الرمز مستعمل هنا";
    checks_unknown: "not known, the provider could not be asked",
        "غير معروفة، وتعذّر سؤال المزوّد";
    checks_kept: "answers that are remembered now",
        "أجوبة محفوظة الآن";
    slowed: "Tills that are not trusted now, for the codes that were refused to them",
        "نقاط بيع لا يُعتمد عليها الآن بسبب الرموز التي رُفضت عندها";
    trust_off: "Trust off",
        "أوقف الإعطاء على الثقة";
    trust_off_means: "No reward is given without the provider's answer. Tills are told to ask \
        again later.",
        "لا تُعطى مكافأة دون جواب المزوّد، ويُطلب من نقاط البيع أن تسأل لاحقًا.";
    trust_on: "Trust on",
        "أعد الإعطاء على الثقة";
    trust_on_means: "Rewards are given under the limits again while the line is down.",
        "تُعطى المكافآت من جديد ضمن الحدود أثناء انقطاع الخط.";
    how_long: "For how long",
        "المدة";
    until_on: "until it is switched on",
        "حتى يُعاد تشغيله";
    of: "of",
        "من";
    needs: "What needs a person",
        "ما يحتاج إلى قرار شخص";
    needs_nothing: "Nothing. Nobody has to do anything now.",
        "لا شيء. لا أحد بحاجة إلى فعل أي شيء الآن.";
    needs_cut: "Only the newest redemptions were looked at. There may be more to decide: the inbox \
        goes on.",
        "نُظر في أحدث العمليات فقط. قد يكون هناك المزيد مما يحتاج إلى قرار: يتابع الوارد البحث.";
    open_inbox: "Open the inbox",
        "افتح الوارد";
    lanes: "Lines to the providers",
        "خطوط المزوّدين";
    up: "up",
        "يعمل";
    untried: "not tried yet",
        "لم يُجرَّب بعد";
    down: "down",
        "منقطع";
    held: "held",
        "موقوف";
    operator_to_do: "It goes on once an engineer signs in and presses “Let it go on” here.",
        "يعود إلى العمل حين يسجّل مهندس الدخول ويضغط هنا زر «تابع».";
    declines_to_do: "Ask the provider. Then an engineer signs in and presses “Send again” here for \
        what was refused, and after it “Let it go on”.",
        "اسأل المزوّد. ثم يسجّل مهندس الدخول ويضغط هنا زر «أرسل مجددًا» لما رُفض، وبعده زر «تابع».";
    declines_taken_back: "Ask the provider. Then an engineer signs in and presses “Let it go on” \
        here.",
        "اسأل المزوّد. ثم يسجّل مهندس الدخول ويضغط هنا زر «تابع».";
    since: "since",
        "منذ";
    pending: "Waiting",
        "قيد الانتظار";
    what_to_do: "What to do",
        "ما العمل";
    waits_alone: "These fail while others succeed, and are tried again at times of their own",
        "تفشل هذه بينما تنجح غيرها، وتُعاد محاولتها في أوقات خاصة بها";
    retry_after: "The provider asked to wait",
        "طلب المزوّد الانتظار";
    flush: "Try now",
        "جرّب الآن";
    flush_means: "What waits is sent at once instead of after the wait.",
        "يُرسل ما ينتظر فورًا بدل الانتظار.";
    hold: "Hold",
        "أوقِف";
    hold_means: "Nothing is sent to this provider until somebody lets it go on. Tills are told to \
        ask again.",
        "لا يُرسل شيء إلى هذا المزوّد حتى يسمح شخص بالمتابعة، ويُطلب من نقاط البيع أن تسأل لاحقًا.";
    release: "Let it go on",
        "تابع";
    release_means: "What waits is sent again, the oldest first.",
        "يُرسل ما ينتظر من جديد، الأقدم أولًا.";
    activity: "Waiting and answered",
        "المنتظرة والمجابة";
    day: "24 hours",
        "24 ساعة";
    week: "7 days",
        "7 أيام";
    answered: "Answered",
        "أُجيب عنها";
    most_waiting: "Most waiting",
        "أكثر المنتظرة";
    partly: "Only the newest rows were read: the chart begins later.",
        "قُرئت أحدث السجلات فقط: يبدأ الرسم بعد ذلك.";
    unread: "The redemptions cannot be read now: what they would show is left out.",
        "لا يمكن قراءة العمليات الآن: لا يُعرض ما يعتمد عليها.";
    oldest: "The oldest that waits",
        "أقدم ما ينتظر";
    none_waits: "Nothing waits.",
        "لا شيء ينتظر.";
    books: "Books",
        "السجل";
    accepted: "Accepted",
        "مقبولة";
    confirmed: "Confirmed",
        "مؤكدة";
    declined: "Declined",
        "مرفوضة";
    parked: "Parked",
        "معلّقة";
    voided: "Voided",
        "ملغاة";
    balanced: "The books balance.",
        "السجل متوازن.";
    unbalanced: "The books do not balance: tell an engineer.",
        "السجل غير متوازن: أخبر مهندسًا.";
    inbox_empty: "The inbox is empty: there is nothing to decide.",
        "الوارد فارغ: لا شيء يحتاج إلى قرار.";
    none_of_these: "Nothing among those that were read.",
        "لا شيء بين ما قُرئ.";
    inbox_cut: "Only the newest were read.",
        "قُرئت الأحدث فقط.";
    first_seen: "First seen",
        "أول مرة";
    last_seen: "Last seen",
        "آخر مرة";
    provider_said: "The provider said",
        "قال المزوّد";
    means: "What it means",
        "ما معناه";
    tell: "What to tell the customer",
        "ماذا تقول للعميل";
    why_parked: "Why it waits",
        "سبب الانتظار";
    these: "These redemptions",
        "هذه العمليات";
    more: "more",
        "أخرى";
    declined_after: "Declined after the reward was given",
        "رُفضت بعد إعطاء المكافأة";
    declined_after_means: "The reward was given before the provider had answered, and the provider \
        refuses it now. The store may have lost this reward.",
        "أُعطيت المكافأة قبل أن يجيب المزوّد، والمزوّد يرفضها الآن. ربما خسر المتجر هذه المكافأة.";
    given_on_hold: "Given while an operator held the line",
        "أُعطيت أثناء إيقاف أحد المشغّلين للخط";
    has_it_tell: "Nothing: the customer has the reward.",
        "لا شيء: العميل حصل على المكافأة.";
    streak: "Refused in a row",
        "رفض متتالٍ";
    streak_means: "Redemptions in a row that were given on trust were refused, so the line is \
        held: what tills ask now is sent, what waits is not. The provider itself may be at fault.",
        "رُفضت عمليات متتالية أُعطيت على الثقة فأُوقف الخط: يُرسل ما تطلبه نقاط البيع الآن ولا \
         يُرسل ما ينتظر. ربما كان الخطأ عند المزوّد نفسه.";
    unreadable: "An answer that nobody can read",
        "جواب لا يمكن فهمه";
    unreadable_means: "The provider answered neither yes nor no. Whether it took the code is not \
        known.",
        "لم يجب المزوّد بنعم ولا بلا. لا يُعرف هل قبل الرمز.";
    looked_into_tell: "The code is being looked into. Do not use it at another till.",
        "الرمز قيد المراجعة. لا تستعمله عند نقطة بيع أخرى.";
    doubt: "Refused, and perhaps taken before",
        "رُفضت، وربما قُبلت من قبل";
    doubt_means: "The provider says no, but an earlier attempt, a copy of this gateway or another \
        one may have used the code. Its no settles nothing.",
        "يقول المزوّد «لا»، لكن محاولة سابقة أو نسخة من هذه البوابة أو بوابة أخرى ربما استعملت \
         الرمز. جوابه لا يحسم شيئًا.";
    moved: "Taken over from another gateway",
        "نُقلت من بوابة أخرى";
    moved_means: "It came with an import and cannot go on by itself. Compare it with the \
        redemption that holds its code, or with the gateway that it comes from.",
        "جاءت مع استيراد ولا يمكن أن تتابع من تلقاء نفسها. قارنها بالعملية التي تحجز رمزها، أو \
         بالبوابة التي جاءت منها.";
    damaged: "Damaged and restored",
        "متضررة ومستعادة";
    damaged_means: "The disk damaged this redemption. What could be read of it was restored.",
        "أتلف القرص هذه العملية، واستُعيد ما أمكن قراءته منها.";
    damaged_tell: "Ask for the receipt, and compare it with the provider's side.",
        "اطلب الإيصال وقارنه بما لدى المزوّد.";
    retry: "Send again",
        "أرسل مجددًا";
    retry_means: "The provider is asked again under the same key: a reward that it has taken \
        already is not taken twice.",
        "يُسأل المزوّد مجددًا بالمفتاح نفسه: المكافأة التي أخذها من قبل لا تؤخذ مرتين.";
    retry_waits: "It is sent once an engineer presses “Let it go on” for this line.",
        "تُرسل حين يضغط مهندس زر «تابع» لهذا الخط.";
    retry_owes: "If the provider takes it now although the till was told no, the reward is owed \
        to the customer.",
        "إن قبلها المزوّد الآن بعد أن رُفضت عند نقطة البيع فالمكافأة مستحقة للعميل.";
    void: "Close with a note",
        "أغلق مع ملاحظة";
    void_means: "It is closed for good and not sent again. The note stays with it.",
        "تُغلق نهائيًا ولا تُرسل بعد الآن. تبقى الملاحظة معها.";
    lost_means: "It is closed as lost. That it was declined after the fact stays in the books and \
        in the report.",
        "تُغلق على أنها خسارة. ويبقى رفضها بعد إعطاء المكافأة في السجل وفي التقرير.";
    handled: "Seen to",
        "عولجت";
    handled_means: "It leaves the inbox, and what became of it stays in the books and in the \
        report.",
        "تخرج من الوارد، ويبقى ما آلت إليه في السجل وفي التقرير.";
    ours: "Probably ours",
        "على الأغلب لنا";
    ours_means: "The provider said “already used”, and an attempt of ours before it explains that. \
        If somebody else used the code elsewhere, the store has lost this reward.",
        "قال المزوّد «مستعمل من قبل»، ومحاولة سابقة لنا تفسّر ذلك. إن كان غيرنا قد استعمل الرمز في \
         مكان آخر فقد خسر المتجر هذه المكافأة.";
    owed: "Owed to a customer",
        "مستحقة لعميل";
    owed_means: "The till was told no, and the provider took the code. The next request for it at \
        any till gets the reward, without asking the provider again.",
        "رُفضت عند نقطة البيع، وقبل المزوّد الرمز. الطلب التالي لهذا الرمز عند أي نقطة بيع يحصل \
         على المكافأة دون سؤال المزوّد مجددًا.";
    owed_tell: "The reward is there now: let the cashier enter the code again.",
        "المكافأة متاحة الآن: ليُدخل أمين الصندوق الرمز من جديد.";
    owed_of_many_means: "The till was told no, and the provider took the code. It may be used \
        again and again: only a repeat of the very same request gets what is owed, and a new one \
        uses the code once more.",
        "رُفضت عند نقطة البيع، وقبل المزوّد الرمز. يمكن استعماله مرات كثيرة: لا يحصل على المستحق \
         إلا تكرار الطلب نفسه تمامًا، أما طلب جديد فيستعمل الرمز مرة أخرى.";
    owed_of_many_tell: "The provider has taken it: give the reward by hand, and say here that it \
        is seen to.",
        "قبلها المزوّد: أعطِ المكافأة يدويًا، ثم أكّد هنا أنها عولجت.";
    in_vain: "Owed, and perhaps given already",
        "مستحقة وربما أُعطيت";
    in_vain_means: "The provider took the code. Either the till was told no, and the reward was \
        given twice after that, and each time the connection broke before the till had read the \
        answer; or the database is a copy, and the reward may have been given since it was made; \
        or its row was lost with a damaged database, and what the till was told is not known. The \
        gateway does not give it any more.",
        "قبل المزوّد الرمز. إما رُفضت عند نقطة البيع ثم أُعطيت المكافأة مرتين وفي كل مرة انقطع \
         الاتصال قبل أن تقرأ نقطة البيع الجواب، وإما أن قاعدة البيانات نسخة وربما أُعطيت المكافأة \
         منذ صنعها، وإما فُقد سجلها مع قاعدة بيانات متضررة ولا يُعرف ما قيل لنقطة البيع. لن \
         تعطيها البوابة مرة أخرى.";
    in_vain_tell: "Ask at the tills whether the customer has the reward.",
        "اسأل عند نقاط البيع هل حصل العميل على المكافأة.";
    taken_back: "Taken back after it was given",
        "استُردّت بعد إعطائها";
    taken_back_means: "The till was told yes before the provider had answered, and took the \
        redemption back. Nothing was sent. If the reward is not in the store any more, the store \
        has lost it.",
        "أُبلغت نقطة البيع بالقبول قبل أن يجيب المزوّد، ثم استردّت العملية ولم يُرسل شيء. إن لم \
         تعد المكافأة في المتجر فقد خسرها المتجر.";
    taken_back_tell: "Nothing. Ask at the till: is the reward still in the store?",
        "لا شيء. اسأل عند نقطة البيع: هل ما زالت المكافأة في المتجر؟";
    refused_today: "Refused at the tills in the last 24 hours",
        "رُفضت عند نقاط البيع خلال 24 ساعة";
    refused_today_none: "The provider refused nothing at the tills.",
        "لم يرفض المزوّد شيئًا عند نقاط البيع.";
    refused_today_means: "The provider refused the code while the till waited, and the till was \
        told so. Nothing was given.",
        "رفض المزوّد الرمز أثناء انتظار نقطة البيع، وأُبلغت بذلك. لم تُعطَ مكافأة.";
    refused_today_tell: "What the provider said. If many customers hear the same, ask the \
        provider.",
        "ما قاله المزوّد. إن سمع عملاء كثيرون الجواب نفسه فاسأل المزوّد.";
    from_the_newest: "From the newest on",
        "ابدأ من الأحدث";
    refusals: "Tills were told no by this gateway",
        "ما رفضته هذه البوابة لنقاط البيع";
    day_ago: "24 hours ago",
        "قبل 24 ساعة";
    week_ago: "7 days ago",
        "قبل 7 أيام";
    now: "now",
        "الآن";
    mark_trusted: "The reward was given before the provider had answered.",
        "أُعطيت المكافأة قبل أن يجيب المزوّد.";
    mark_owed: "The till was told no, and the provider took it: the next request for this code \
        gets the reward.",
        "رُفضت عند نقطة البيع وقبلها المزوّد: الطلب التالي لهذا الرمز يحصل على المكافأة.";
    mark_owed_of_many: "The till was told no, and the provider took it: a repeat of the very same \
        request gets the reward.",
        "رُفضت عند نقطة البيع وقبلها المزوّد: تكرار الطلب نفسه تمامًا يحصل على المكافأة.";
    mark_handled: "A person has seen to it.",
        "عالجها شخص.";
    mark_doubt: "A copied database or an import put it in doubt.",
        "قاعدة بيانات منسوخة أو استيراد جعلها موضع شك.";
    begins_later: "The attempts before these are not kept one by one.",
        "المحاولات السابقة لهذه غير محفوظة واحدةً واحدة.";
    attempt: "Attempt",
        "المحاولة";
    ms: "ms",
        "مللي ثانية";
    note: "Why",
        "السبب";
    note_hint: "In a few words; kept with your name.",
        "بكلمات قليلة؛ تُحفظ مع اسمك.";
    all_of: "All of this group",
        "كل هذه المجموعة";
    all_found: "All that fits, on every page",
        "كل ما يطابق، في كل الصفحات";
    bulk_title: "Many at once",
        "الكثير دفعة واحدة";
    bulk_counted: "It concerns",
        "العدد المعني الآن:";
    bulk_at_least: "at least",
        "على الأقل";
    bulk_confirm: "Do it",
        "نفّذ";
    bulk_back: "Leave it",
        "اتركها";
    bulk_sure: "Nothing has been done yet. What comes in or is settled after this count is not \
        touched.",
        "لم يُفعل شيء بعد. ما يأتي أو يُحسم بعد هذا العدّ لا يُمسّ.";
    job: "Job",
        "المهمة";
    job_runs: "It runs.",
        "قيد التنفيذ.";
    job_done: "It is done.",
        "انتهت.";
    job_fewer: "It is done. Fewer were left than were counted: the others have been settled since.",
        "انتهت. بقي أقل مما عُدّ: حُسمت البقية منذ ذلك الحين.";
    job_stopped: "It was stopped.",
        "أُوقفت.";
    job_stopped_by: "Stopped by",
        "أوقفها:";
    job_failed: "It ended before all were reached:",
        "انتهت قبل بلوغ الجميع:";
    job_did: "Done",
        "نُفذ";
    job_refused: "Refused",
        "رُفض";
    job_stop: "Stop",
        "أوقف المهمة";
    stale: "This page does not follow any more: what it shows may be old.",
        "لم تعد هذه الصفحة تتابع ما يجري: قد يكون ما تعرضه قديمًا.";
    refresh: "Look again",
        "حدّث";
    code: "Whole code",
        "الرمز كاملًا";
    code_hint: "It is sent, never written into an address or a log.",
        "يُرسل ولا يُكتب في عنوان ولا في سجل.";
    find: "Find",
        "ابحث";
    filter: "By what is known of it",
        "بما هو معروف عنها";
    code_ending: "Code ends with",
        "ينتهي الرمز بـ";
    id: "Id",
        "المعرّف";
    till: "Till",
        "نقطة البيع";
    business: "Business",
        "التاجر";
    branch: "Branch",
        "الفرع";
    lane: "Provider",
        "المزوّد";
    state: "State",
        "الحالة";
    any: "any",
        "الكل";
    yes: "yes",
        "نعم";
    from: "From",
        "من";
    to: "To",
        "إلى";
    days_hint: "Days are those of the reports, by the clock of this gateway's place.",
        "الأيام هي أيام التقارير، بتوقيت مكان هذه البوابة.";
    ending_hint: "The code's end as lists show it: a quarter of the code, at most four characters. \
        For a whole code use the search above.",
        "آخر الرمز كما تظهره القوائم: ربعه، وأربعة أحرف على الأكثر. وللرمز كله البحث أعلاه.";
    newest: "Newest first",
        "الأحدث أولًا";
    show: "Show",
        "اعرض";
    nothing_fits: "Nothing fits.",
        "لا شيء مطابق.";
    code_unknown: "There is no redemption of this code among those that are kept: no reward was \
        given for it here. Enter the code as it is printed, with its hyphens: without them it is \
        another code. If a till was told to ask again later, let the cashier enter the code \
        again.",
        "لا توجد عملية بهذا الرمز بين العمليات المحفوظة: لم تُعطَ عنه مكافأة هنا. أدخل الرمز كما \
         طُبع، مع الشرطات التي فيه: فهو من دونها رمز آخر. إن طُلب من نقطة البيع أن تسأل لاحقًا \
         فليُدخل أمين الصندوق الرمز من جديد.";
    looked_on: "Not everything was looked at yet.",
        "لم يُبحث في كل شيء بعد.";
    go_on: "Go on",
        "تابع البحث";
    next_page: "Next page",
        "الصفحة التالية";
    results: "Results",
        "النتائج";
    by_books: "By the books, those that were pruned included:",
        "حسب السجل، بما في ذلك ما حُذف بعد مدة الحفظ:";
    by_code: "Redemptions of this code",
        "عمليات هذا الرمز";
    story: "One redemption",
        "عملية واحدة";
    worth: "Counts as",
        "تُحسب بقيمة";
    worth_assumed: "by the settings: no check said it",
        "بحسب الإعدادات: لم يذكرها أي تحقق";
    rule: "Given by the rule",
        "أُعطيت وفق القاعدة";
    date: "The till's own time",
        "وقت نقطة البيع";
    happened: "What happened",
        "ما حدث";
    actions: "Actions",
        "الإجراءات";
    trail: "Who did what",
        "من فعل ماذا";
    trail_empty: "Nobody has done anything yet besides redemptions.",
        "لم يفعل أحد شيئًا بعد غير الاستبدال.";
    trail_what: "What",
        "الفعل";
    trail_who: "Who",
        "بواسطة";
    trail_about: "About",
        "بشأن";
    attempts: "Attempts",
        "المحاولات";
    taken: "Accepted",
        "قُبلت";
    taken_up: "The provider could be asked.",
        "كان يمكن سؤال المزوّد.";
    taken_down: "The provider could not be asked.",
        "تعذّر سؤال المزوّد.";
    taken_on_hold: "The provider was not asked: an operator held the line and let rewards be \
        given.",
        "لم يُسأل المزوّد: أوقف أحد المشغّلين الخط وسمح بإعطاء المكافآت.";
    clock_unsure: "The clock was not set: the time may be wrong.",
        "لم تكن الساعة مضبوطة: قد يكون الوقت خاطئًا.";
    settled: "Settled",
        "حُسمت";
    mark_in_flight: "It is on its way to the provider now.",
        "هي في طريقها إلى المزوّد الآن.";
    mark_uncertain: "An attempt may have reached the provider without an answer to us.",
        "ربما وصلت محاولة إلى المزوّد دون أن يصلنا جواب.";
    mark_duplicate: "The provider said “already used”, and our own earlier attempt explains it.",
        "قال المزوّد «مستعمل من قبل»، ومحاولتنا السابقة تفسّر ذلك.";
    mark_refused: "The till was told to ask again later.",
        "طُلب من نقطة البيع أن تسأل لاحقًا.";
    mark_answered: "The till heard the provider's own answer.",
        "سمعت نقطة البيع جواب المزوّد نفسه.";
    given: "Was it given?",
        "هل أُعطيت؟";
    given_yes: "Yes, and the provider has confirmed it.",
        "نعم، وأكّدها المزوّد.";
    given_inferred: "Yes: the provider said “already used”, and our own earlier attempt explains \
        it.",
        "نعم: قال المزوّد «مستعمل من قبل»، ومحاولتنا السابقة تفسّر ذلك.";
    given_trust: "Yes, on trust: the provider's answer is still awaited.",
        "نعم، على الثقة: ما زال جواب المزوّد منتظرًا.";
    given_not: "No: the till was told to ask again later.",
        "لا: طُلب من نقطة البيع أن تسأل لاحقًا.";
    given_asked: "Not yet: the provider is being asked.",
        "ليس بعد: يُسأل المزوّد الآن.";
    given_owed: "Not yet: the till was told no, and the provider took it since. The next request \
        for this code gets the reward.",
        "ليس بعد: رُفضت عند نقطة البيع ثم قبلها المزوّد. الطلب التالي لهذا الرمز يحصل على \
         المكافأة.";
    given_owed_of_many: "Not yet: the till was told no, and the provider took it since. The code \
        may be used again and again: a new request for it is another redemption.",
        "ليس بعد: رُفضت عند نقطة البيع ثم قبلها المزوّد. يمكن استعمال الرمز مرات كثيرة: الطلب \
         الجديد له عملية أخرى.";
    given_in_vain: "Perhaps: the till was told no at first; the reward was given twice after that, \
        and no till may have read the answer, or it was owed when the database was copied. Or its \
        row was lost with a damaged database, and what the till was told is not known.",
        "ربما: رُفضت عند نقطة البيع أولًا، ثم أُعطيت المكافأة مرتين وربما لم تقرأ أي نقطة بيع \
         الجواب، أو كانت مستحقة حين نُسخت قاعدة البيانات. أو فُقد سجلها مع قاعدة بيانات متضررة \
         ولا يُعرف ما قيل لنقطة البيع.";
    given_paid: "Yes: the till was told no at first, and the reward was given when it asked again.",
        "نعم: رُفضت عند نقطة البيع أولًا، ثم أُعطيت المكافأة حين سألت مجددًا.";
    given_parked: "Yes, on trust, but whether the provider took the code is not known.",
        "نعم، على الثقة، لكن لا يُعرف هل قبل المزوّد الرمز.";
    given_turned_away: "No: the till was told no, and the provider has not taken it.",
        "لا: رُفضت عند نقطة البيع، ولم يقبلها المزوّد.";
    given_refused: "No: the provider refused it, and the till was told so.",
        "لا: رفضها المزوّد وأُبلغت نقطة البيع.";
    given_lost: "Yes, on trust, but the provider refused it afterwards.",
        "نعم، على الثقة، لكن المزوّد رفضها بعد ذلك.";
    given_parked_not: "No: the till was told no. Whether the provider took the code is not known.",
        "لا: رُفضت عند نقطة البيع. ولا يُعرف هل قبل المزوّد الرمز.";
    given_unknown: "Not known: ask for the receipt.",
        "غير معروف: اطلب الإيصال.";
    given_void_trust: "Yes, on trust, and it was taken back or closed afterwards.",
        "نعم، على الثقة، ثم أُلغيت أو أُغلقت.";
    given_void_not: "No: the till was told no, and it was closed afterwards.",
        "لا: رُفضت عند نقطة البيع، ثم أُغلقت.";
    given_void: "No: it was taken back or closed before the till was told yes.",
        "لا: أُلغيت أو أُغلقت قبل أن تُبلَّغ نقطة البيع بالقبول.";
    decide_hint: "To decide, sign in with a role that may.",
        "لاتخاذ قرار، سجّل الدخول بدور يسمح بذلك.";
    not_found: "There is nothing here.",
        "لا شيء هنا.";
    back: "Back to today",
        "العودة إلى اليوم";
    unshown_title: "This cannot be shown now",
        "لا يمكن عرض هذا الآن";
    refused_title: "This was not done",
        "لم يُنفذ هذا";
    storage_bad: "Redemptions cannot be stored now. Tills are told to ask again.",
        "لا يمكن تخزين العمليات الآن. يُطلب من نقاط البيع أن تسأل لاحقًا.";
    reload_bad: "The changed settings were refused; the old ones are in force.",
        "رُفضت الإعدادات الجديدة؛ القديمة سارية.";
}

/// The texts of this language.
pub(super) fn words(language: Language) -> &'static Words {
    match language {
        Language::English => &ENGLISH,
        Language::Arabic => &ARABIC,
    }
}
