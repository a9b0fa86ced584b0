//! Why a lane is not up: its word, what it means, and what to do.

use super::language::Language;
use super::macros::worded;
use super::words::quoted_isolated;

/// What to do about [`Cause::Declines`] where none of them is left to be taken back.
const TAKEN_BACK: [&str; 2] = [
    "ask the provider; none of those declines is left to be taken back; then `redeemd release \
     LANE`",
    "اسأل المزوّد؛ لم يبقَ مما رُفض ما يُعاد؛ ثم نفّذ `redeemd release LANE`",
];

worded! {
    /// Why a lane is down or held.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Cause {
        /// The provider's name is not resolved.
        Resolve = "resolve",
        /// No connection comes about.
        Connect = "connect",
        /// The proxy between wants another password, or refuses.
        Proxy = "proxy",
        /// The TLS handshake fails.
        Tls = "tls",
        /// The certificate does not fit the time, and our clock is not to be trusted.
        Clock = "clock",
        /// Requests are not taken off the wire.
        Write = "write",
        /// Requests leave and nothing comes back in time.
        Answer = "answer",
        /// Connections break in the middle.
        Reset = "reset",
        /// Somebody else answers.
        NotTheProvider = "not_the_provider",
        /// The provider answers with faults of its own.
        Provider = "provider",
        /// Rows given on trust are refused in words that may not be the provider's own.
        Refusals = "refusals",
        /// The provider does not take our credential, or there is none to send.
        Credential = "credential",
        /// Redemptions in a row were declined after the fact.
        Declines = "declines",
        /// An operator said so.
        Operator = "operator",
        /// A file that the provider's settings name cannot be used.
        Settings = "settings",
        /// Rows are waiting for a provider that the settings no longer name.
        NotConfigured = "not_configured",
    }
}

impl Cause {
    /// The cause of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == word)
    }

    /// It does not end by itself: somebody has to do something, here or at the provider's.
    #[must_use]
    pub fn needs_a_person(self) -> bool {
        match self {
            Self::Proxy
            | Self::Tls
            | Self::Clock
            | Self::NotTheProvider
            | Self::Credential
            | Self::Declines
            | Self::Operator
            | Self::Settings
            | Self::NotConfigured => true,
            Self::Resolve
            | Self::Connect
            | Self::Write
            | Self::Answer
            | Self::Reset
            | Self::Provider
            | Self::Refusals => false,
        }
    }

    /// What it means and what to do about it, in one sentence.
    #[must_use]
    pub fn explanation(self, language: Language) -> String {
        self.explanation_where(false, language)
    }

    /// The same where of the declines that hold the lane all are taken back, or closed.
    #[must_use]
    pub fn explanation_where(self, all_taken_back: bool, language: Language) -> String {
        let between = match language {
            Language::English => "; ",
            Language::Arabic => "؛ ",
        };
        let to_do = match language {
            _ if self != Self::Declines || !all_taken_back => self.to_do(language),
            Language::English => TAKEN_BACK[0].to_owned(),
            Language::Arabic => quoted_isolated(TAKEN_BACK[1]),
        };
        format!("{}{between}{to_do}", self.meaning(language))
    }

    /// What it means.
    #[must_use]
    pub fn meaning(self, language: Language) -> String {
        match language {
            Language::English => self.english().0.to_owned(),
            Language::Arabic => quoted_isolated(self.arabic().0),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn to_do(self, language: Language) -> String {
        match language {
            Language::English => self.english().1.to_owned(),
            Language::Arabic => quoted_isolated(self.arabic().1),
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table of texts")]
    fn english(self) -> (&'static str, &'static str) {
        match self {
            Self::Resolve => (
                "the provider's name cannot be resolved: the line or its DNS is down",
                "check the uplink and the DNS server",
            ),
            Self::Connect => (
                "no connection to the provider comes about: the line is down, or a firewall or \
                 proxy refuses",
                "check the uplink",
            ),
            Self::Proxy => (
                "the proxy does not take our user and password, or refuses to connect",
                "check `proxy`, `proxy_user` and its password with who runs it",
            ),
            Self::Tls => (
                "the provider's certificate cannot be verified: somebody else may be answering",
                "look whether `ca_file` is missing or old, and who answers at the provider's \
                 address",
            ),
            Self::Clock => (
                "the provider's certificate does not fit this box's time, and its clock is not \
                 synchronised",
                "check NTP",
            ),
            Self::Write => (
                "connections open but requests do not get through: often a path MTU fault",
                "check the uplink's MTU and the VPN",
            ),
            Self::Answer => (
                "requests leave but no answer comes in time: the line is silent or the provider \
                 hangs",
                "check the uplink, and ask the provider if it stays",
            ),
            Self::Reset => (
                "connections break before the answer comes: a bad line, or something between \
                 closes them",
                "check the uplink and what stands between, such as a firewall",
            ),
            Self::NotTheProvider => (
                "the line answers with something that is not the provider's: a captive portal, a \
                 block page, or a wrong URL in the settings",
                "log in to the network, or correct `redeem_url`",
            ),
            Self::Provider => (
                "the provider is reached but answers with faults of its own",
                "nothing to do here but wait; ask the provider if it stays",
            ),
            Self::Refusals => (
                "what was given on trust is refused in words that may come from something before \
                 the provider: nothing is declined for it, it is asked again",
                "ask the provider what changed on its side",
            ),
            Self::Credential => (
                "the provider does not take our token, or it cannot be read",
                "put a valid token in place, it is picked up at once",
            ),
            Self::Declines => (
                "redemptions in a row that were given on trust were declined: what tills ask now \
                 is sent, what waits is not until a person has looked",
                "ask the provider; while the lane is held, `redeemd retry --lane LANE --held` to \
                 take those declines back; then `redeemd release LANE`",
            ),
            Self::Operator => {
                ("an operator holds this lane", "`redeemd release LANE` lets it go on")
            }
            Self::Settings => (
                "a file that this provider's settings name cannot be used, such as its CA or its \
                 certificate",
                "run `redeemd check`, mend what it names, and reload",
            ),
            Self::NotConfigured => (
                "redemptions wait for a provider that the settings no longer name",
                "name it again, or close them with `redeemd void`",
            ),
        }
    }

    fn arabic(self) -> (&'static str, &'static str) {
        match self {
            Self::Resolve => (
                "تعذّر العثور على عنوان المزوّد من اسمه: الخط أو خادم DNS متوقف",
                "افحص خط الإنترنت وخادم DNS",
            ),
            Self::Connect => (
                "لا يمكن فتح اتصال بالمزوّد: الخط مقطوع، أو يمنعه جدار حماية أو خادم وكيل",
                "افحص خط الإنترنت",
            ),
            Self::Proxy => (
                "لا يقبل الخادم الوكيل اسم المستخدم وكلمة المرور، أو يرفض الاتصال",
                "افحص الإعدادين `proxy` و`proxy_user` وكلمة المرور مع من يديره",
            ),
            Self::Tls => (
                "تعذّر التحقق من شهادة المزوّد: ربما يجيب طرف آخر مكانه",
                "تأكد من أن ملف `ca_file` موجود وحديث، ومَن الذي يجيب على عنوان المزوّد",
            ),
            Self::Clock => (
                "شهادة المزوّد لا توافق وقت هذا الجهاز، وساعته غير متزامنة",
                "افحص مزامنة الوقت (NTP)",
            ),
            Self::Write => (
                "تُفتح الاتصالات لكن الطلبات لا تمرّ: غالبًا خلل في حجم الحزم (MTU) على الطريق",
                "افحص قيمة MTU لخط الإنترنت والشبكة الخاصة VPN",
            ),
            Self::Answer => (
                "تخرج الطلبات ولا يأتي جواب في الوقت المحدد: الخط صامت أو المزوّد متوقف عن الرد",
                "افحص خط الإنترنت، واسأل المزوّد إن طال الأمر",
            ),
            Self::Reset => (
                "تنقطع الاتصالات قبل وصول الجواب: خط رديء، أو شيء في الطريق يغلقها",
                "افحص خط الإنترنت وما على الطريق، مثل جدار الحماية",
            ),
            Self::NotTheProvider => (
                "يجيب على الخط طرف غير المزوّد: صفحة دخول للشبكة، أو صفحة حجب، أو عنوان خاطئ في \
                 الإعدادات",
                "سجّل الدخول إلى الشبكة، أو صحّح `redeem_url` في الإعدادات",
            ),
            Self::Provider => (
                "المزوّد متصل لكنه يجيب بأخطاء من عنده",
                "لا شيء تفعله هنا سوى الانتظار؛ اسأل المزوّد إن طال الأمر",
            ),
            Self::Refusals => (
                "يُرفض ما أُعطي دون جواب المزوّد بعبارات قد تأتي من شيء قبله: لا يُعدّ مرفوضًا \
                 لذلك، ويُسأل عنه من جديد",
                "اسأل المزوّد عمّا تغيّر عنده",
            ),
            Self::Credential => (
                "لا يقبل المزوّد رمز الدخول الخاص بنا، أو تعذّرت قراءته",
                "ضع رمز دخول صالحًا في مكانه، وسيُستعمل فورًا",
            ),
            Self::Declines => (
                "رُفضت عمليات متتالية أُعطيت دون جواب المزوّد: يُرسل ما تطلبه نقاط البيع الآن، ولا \
                 يُرسل ما ينتظر حتى ينظر فيه شخص",
                "اسأل المزوّد؛ وما دام المسار موقوفًا فالأمر `redeemd retry --lane LANE --held` \
                 يعيد ما رُفض؛ ثم نفّذ `redeemd release LANE`",
            ),
            Self::Operator => {
                ("أوقف أحد المشغّلين هذا المسار", "الأمر `redeemd release LANE` يعيد تشغيله")
            }
            Self::Settings => (
                "ملف تذكره إعدادات هذا المزوّد غير صالح للاستعمال، مثل شهادته أو شهادة الجهة \
                 المصدِّقة",
                "نفّذ `redeemd check`، وأصلح ما يذكره، ثم أعد تحميل الإعدادات",
            ),
            Self::NotConfigured => (
                "عمليات تنتظر مزوّدًا لم يعد مذكورًا في الإعدادات",
                "أعد ذكره في الإعدادات، أو ألغِ العمليات بالأمر `redeemd void`",
            ),
        }
    }
}
