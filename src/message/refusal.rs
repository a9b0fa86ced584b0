//! What a till is told instead of a success, in words that a cashier can read.

use std::fmt::Display;
use std::time::Duration;

use super::amount::{Noun, NounPlace, count, count_in, whole};
use super::fault::Fault;
use super::language::Language::{self, Arabic, English};
use super::macros::{messages, worded};
use super::storage::Storage;
use super::words::iso;

messages! {
    /// Why a till does not get what it asked for.
    pub enum Refusal {
        /// The code was redeemed before.
        Used { code: String, when: String, till: String }
        en: format!("Reward {code} has been used on {when} at {till}"),
        ar: format!("المكافأة {} استُعملت من قبل في {} عند نقطة البيع \
            {}", iso(code), iso(when), iso(till));

        /// The code was redeemed so long ago that only this is kept.
        UsedLongAgo { code: String }
        en: format!("Reward {code} has been used"),
        ar: format!("المكافأة {} استُعملت من قبل", iso(code));

        /// The code was refused so long ago that only this is kept.
        RefusedLongAgo { code: String }
        en: format!("Reward {code} was refused before"),
        ar: format!("المكافأة {} رُفضت من قبل", iso(code));

        /// What the provider says, relayed word for word.
        Provider { said: String }
        en: said.clone(),
        ar: iso(said);

        /// The provider refused, and its words are not kept.
        ProviderRefused
        en: "the provider refused this redemption",
        ar: "رفض المزوّد هذه العملية";

        /// `offline.accept` is false.
        NotAccepting
        en: not_now(
            English,
            "the provider has not answered, and this store gives nothing without its answer"
        ),
        ar: not_now(Arabic, "لم يجب المزوّد، وهذا المتجر لا يعطي شيئًا دون جوابه");

        /// `accept` of a rule is false.
        RuleNotAccepting { rule: String }
        en: of_rule(English, rule, &not_now(
            English,
            "the provider has not answered, and this reward is not given without its answer"
        )),
        ar: of_rule(Arabic, rule, &not_now(
            Arabic,
            "لم يجب المزوّد، وهذه المكافأة لا تُعطى دون جوابه"
        ));

        /// `offline.max_pending`.
        LimitPending { waiting: u64 }
        en: not_now(English, format!(
            "offline limit reached: {} may wait for the line",
            no_more_than(*waiting, Noun::Redemption, English)
        )),
        ar: not_now(Arabic, format!(
            "بلغ العمل دون اتصال حدّه: لا يُسمح بانتظار {} للخط",
            no_more_than(*waiting, Noun::Redemption, Arabic)
        ));

        /// The limit of one till.
        LimitTill { waiting: u64 }
        en: not_now(English, format!(
            "offline limit of this till reached: {} may wait for the line",
            no_more_than(*waiting, Noun::Redemption, English)
        )),
        ar: not_now(Arabic, format!(
            "بلغت نقطة البيع هذه حدّها دون اتصال: لا يُسمح بانتظار {} للخط",
            no_more_than(*waiting, Noun::Redemption, Arabic)
        ));

        /// The limit of one till in a span of time.
        LimitTillRate { rewards: u64, within_s: u64 }
        en: not_now(English, format!(
            "offline limit of this till reached: {} in {}",
            no_more_than(*rewards, Noun::Reward, English), whole(Duration::from_secs(*within_s), English)
        )),
        ar: not_now(Arabic, format!(
            "بلغت نقطة البيع هذه حدّها دون اتصال: لا يُسمح بإعطاء {} خلال {}",
            no_more_than(*rewards, Noun::Reward, Arabic), whole(Duration::from_secs(*within_s), Arabic)
        ));

        /// `offline.max_outage`.
        LimitOutage { outage_s: u64 }
        en: not_now(English, match *outage_s {
            0 => "offline limit reached: nothing is given while the provider does not answer"
                .to_owned(),
            seconds => format!(
                "offline limit reached: rewards are given for no more than {} while the provider \
                 does not answer",
                whole(Duration::from_secs(seconds), English)
            ),
        }),
        ar: not_now(Arabic, match *outage_s {
            0 => "بلغ العمل دون اتصال حدّه: لا يُعطى شيء ما دام المزوّد لا يجيب".to_owned(),
            seconds => format!(
                "بلغ العمل دون اتصال حدّه: لا تُعطى المكافآت مدة تزيد على {} ما دام المزوّد لا \
                 يجيب",
                whole(Duration::from_secs(seconds), Arabic)
            ),
        });

        /// `offline.max_exposure`.
        LimitExposure { amount: String }
        en: not_now(English, format!(
            "offline limit reached: no more than {amount} may be at risk, and this reward would be \
             more"
        )),
        ar: not_now(Arabic, format!(
            "بلغ العمل دون اتصال حدّه: لا يجوز أن تزيد القيمة المعرّضة للخسارة على {}، وهذه المكافأة \
             تتجاوزها",
            iso(amount)
        ));

        /// `offline.max_value`.
        LimitValue { amount: String }
        en: not_now(English, format!(
            "offline limit reached: this reward may be worth more than {amount}"
        )),
        ar: not_now(Arabic, format!(
            "بلغ العمل دون اتصال حدّه: قد تزيد قيمة هذه المكافأة على {}",
            iso(amount)
        ));

        /// `offline.max_per_hour` or `max_per_day`.
        LimitRate { rewards: u64, within_s: u64 }
        en: not_now(English, format!(
            "offline limit reached: {} in {}",
            no_more_than(*rewards, Noun::Reward, English), whole(Duration::from_secs(*within_s), English)
        )),
        ar: not_now(Arabic, format!(
            "بلغ العمل دون اتصال حدّه: لا يُسمح بإعطاء {} خلال {}",
            no_more_than(*rewards, Noun::Reward, Arabic), whole(Duration::from_secs(*within_s), Arabic)
        ));

        /// Reusable codes were used too often.
        LimitReusable { hourly: u64 }
        en: not_now(English, format!(
            "offline limit reached: {} with codes of this kind in an hour at this till",
            no_more_than(*hourly, Noun::Redemption, English)
        )),
        ar: not_now(Arabic, format!(
            "بلغت رموز من هذا النوع حدّها دون اتصال عند نقطة البيع هذه: لا يُسمح ب{} في الساعة",
            no_more_than(*hourly, Noun::Redemption, Arabic)
        ));

        /// `offline.hours`: nothing is given at this time of the day.
        OutOfHours
        en: not_now(
            English,
            "the provider has not answered, and no rewards are given without its answer at this \
             time of the day"
        ),
        ar: not_now(Arabic, "لم يجب المزوّد، ولا تُعطى مكافآت دون جوابه في هذا الوقت من اليوم");

        /// The code has not the form that the store's codes have.
        BadCode { code: String }
        en: format!("Reward {code} is not valid"),
        ar: format!("المكافأة {} غير صالحة", iso(code));

        /// A limit of a rule of the store's.
        LimitRule { rule: String, limit: Box<Refusal> }
        en: of_rule(English, rule, &limit.text(English)),
        ar: of_rule(Arabic, rule, &limit.text(Arabic));

        /// A rule that needs the time, and the clock is not synchronised.
        RuleNeedsClock { rule: String }
        en: not_now(English, format!(
            "the store's rule {rule} needs the right time, and this gateway's clock is not \
             synchronised"
        )),
        ar: not_now(Arabic, format!(
            "قاعدة المتجر {} تحتاج إلى الوقت الصحيح، وساعة هذه البوابة غير متزامنة",
            iso(rule)
        ));

        /// `offline.hours` needs the time, and the clock is not synchronised.
        HoursNeedClock
        en: not_now(
            English,
            "rewards are given offline at certain hours alone, and this gateway's clock is not \
             synchronised"
        ),
        ar: not_now(
            Arabic,
            "لا تُعطى المكافآت دون اتصال إلا في ساعات معيّنة، وساعة هذه البوابة غير متزامنة"
        );

        /// The business was never confirmed here and no provider lists it.
        UnknownBusiness
        en: "the provider has not answered, and this business has not been served here before; do \
            not hand out the reward; ask again",
        ar: "لم يجب المزوّد، ولم يُخدم هذا النشاط التجاري هنا من قبل؛ لا تسلّم المكافأة؛ حاول مرة \
            أخرى";

        /// Too many refused codes at this till.
        TillSlowed { refused: u64 }
        en: not_now(English, format!(
            "{} refused at this till in a short time; it is not trusted for now",
            match *refused {
                1 => "1 code was".to_owned(),
                _ => format!("{} were", count(*refused, Noun::Code, English)),
            }
        )),
        ar: not_now(Arabic, format!(
            "رُفض عند نقطة البيع هذه {} في وقت قصير؛ لا يُعتمد عليها الآن",
            count(*refused, Noun::Code, Arabic)
        ));

        /// Somebody switched trust off.
        TrustOff
        en: not_now(English, "this store gives no rewards without the provider's answer now"),
        ar: not_now(Arabic, "لا يعطي هذا المتجر الآن مكافآت دون جواب المزوّد");

        /// An operator holds the lane.
        Held
        en: not_now(English, "redemptions are on hold in this store"),
        ar: not_now(Arabic, "عمليات الاستبدال موقوفة في هذا المتجر");

        /// The provider has not answered, and nothing speaks for trusting this one.
        Untrusted
        en: "the provider has not answered about this reward; do not hand it out; ask again",
        ar: "لم يجب المزوّد عن هذه المكافأة؛ لا تسلّمها؛ حاول مرة أخرى";

        /// The provider alone could say, and it has not.
        Unanswered
        en: "the provider has not answered about a code that was used or refused before; do not \
            hand out the reward; ask again",
        ar: "لم يجب المزوّد عن رمز استُعمل أو رُفض من قبل؛ لا تسلّم المكافأة؛ حاول مرة أخرى";

        /// The till's own request for the code is on its way.
        BeingAsked
        en: "the first request about this reward is still under way; do not hand out the reward; \
            ask again",
        ar: "الطلب الأول عن هذه المكافأة ما زال قيد التنفيذ؛ لا تسلّم المكافأة؛ حاول مرة أخرى";

        /// The settings do not name the provider any more that has the redemption.
        NotSetUp
        en: not_now(English, "this provider is not set up now"),
        ar: not_now(Arabic, "هذا المزوّد غير مهيأ الآن");

        /// The provider asks for fewer requests.
        TooMany
        en: "the provider takes no more requests now; do not hand out the reward; ask again",
        ar: "لا يقبل المزوّد مزيدًا من الطلبات الآن؛ لا تسلّم المكافأة؛ حاول مرة أخرى";

        /// No place to the provider became free in time.
        Busy
        en: "too many redemptions are under way; do not hand out the reward; ask again",
        ar: "عمليات كثيرة قيد التنفيذ؛ لا تسلّم المكافأة؛ حاول مرة أخرى";

        /// The store's queue is full.
        QueueBusy
        en: "the gateway is busy and nothing was stored; do not hand out the reward; ask again",
        ar: "البوابة مشغولة ولم يُخزّن شيء؛ لا تسلّم المكافأة؛ حاول مرة أخرى";

        /// Too many requests of one till at once.
        Crowded
        en: "too many requests of this till are under way; do not hand out the reward; ask again",
        ar: "طلبات كثيرة من نقطة البيع هذه قيد التنفيذ؛ لا تسلّم المكافأة؛ حاول مرة أخرى";

        /// The store takes nothing.
        NotStored { why: Storage }
        en: not_now(English, "the gateway takes nothing now and nothing was stored"),
        ar: not_now(Arabic, "لا تقبل البوابة شيئًا الآن ولم يُخزّن شيء");

        /// The gateway is stopping.
        Stopping
        en: "the gateway is stopping and nothing was stored; do not hand out the reward; ask again",
        ar: "البوابة في طور التوقف ولم يُخزّن شيء؛ لا تسلّم المكافأة؛ حاول مرة أخرى";

        /// A defect of the gateway.
        Failed
        en: "the gateway failed; ask again",
        ar: "حدث خلل في البوابة؛ حاول مرة أخرى";

        /// An `Idempotency-Key` of another request.
        KeyReused
        en: "this Idempotency-Key was used for another request; nothing was stored",
        ar: format!("استُعملت قيمة {} هذه لطلب آخر؛ لم يُخزّن شيء", iso("Idempotency-Key"));

        /// The redemption was voided.
        TakenBack
        en: "this redemption was taken back",
        ar: "أُلغيت هذه العملية";

        /// A request that cannot be read.
        Malformed { faults: Vec<Fault> }
        en: "the request is not valid",
        ar: "الطلب غير صالح";

        /// Another content type or coding.
        MediaType
        en: "the body must be application/json without a content coding",
        ar: format!("يجب أن يكون محتوى الطلب من نوع {} دون ضغط", iso("application/json"));

        /// No till's token.
        Token
        en: "this till's token is missing or not known to the gateway",
        ar: "رمز الدخول لنقطة البيع هذه غير موجود أو لا تعرفه البوابة";

        /// No such path.
        NoSuchPath
        en: "there is nothing at this path",
        ar: "لا شيء في هذا المسار";

        /// Another method.
        WrongMethod { allowed: String }
        en: format!("this path takes {allowed} alone"),
        ar: format!("لا يقبل هذا المسار إلا {}", iso(allowed));

        /// There is none, or it is another till's.
        UnknownRedemption
        en: "this till has no such redemption",
        ar: "ليس لنقطة البيع هذه عملية كهذه";

        /// Too late for a void: it may have arrived, whatever a person made of it.
        MayHaveArrived
        en: "too late to take back: the redemption may have reached the provider",
        ar: "فات وقت الإلغاء: ربما وصلت العملية إلى المزوّد";

        /// Too late for a void: it was confirmed.
        WasConfirmed
        en: "too late to take back: the provider has confirmed the redemption",
        ar: "فات وقت الإلغاء: أكّد المزوّد العملية";

        /// Nothing to void: it was declined.
        WasDeclined
        en: "nothing to take back: the provider has refused the redemption",
        ar: "لا شيء يُلغى: رفض المزوّد العملية";

        /// Too late for a void: it is parked.
        IsParked
        en: "too late to take back: a person decides about this redemption",
        ar: "فات وقت الإلغاء: يقرر شخص في شأن هذه العملية";

        /// The provider has no Check Reward.
        NoCheck
        en: "this provider offers no check of rewards",
        ar: "لا يتيح هذا المزوّد التحقق من المكافآت";

        /// A check while the provider does not take our credential.
        CheckCredential
        en: "the code cannot be checked: the provider does not take this store's credential",
        ar: "تعذّر التحقق من الرمز: لا يقبل المزوّد رمز الدخول الخاص بهذا المتجر";

        /// A check while the provider is busy.
        CheckBusy
        en: "the code cannot be checked: the provider is busy",
        ar: "تعذّر التحقق من الرمز: المزوّد مشغول";

        /// A check to which the provider did not answer, or not in the contract's shape.
        CheckUnanswered
        en: "the code cannot be checked: the provider did not answer",
        ar: "تعذّر التحقق من الرمز: لم يجب المزوّد";

        /// A check while the line is down.
        CheckDown
        en: "the code cannot be checked while the line is down",
        ar: "تعذّر التحقق من الرمز: الخط مقطوع";
    }
}

/// Why nothing is given now, and what the cashier does.
fn not_now(language: Language, why: impl Display) -> String {
    match language {
        English => format!("{why}; do not hand out the reward; ask again later"),
        Arabic => format!("{why}؛ لا تسلّم المكافأة؛ حاول لاحقًا"),
    }
}

/// What a rule of the store's says no with.
fn of_rule(language: Language, rule: &str, limit: &str) -> String {
    match language {
        English => format!("{limit} (rule {rule})"),
        Arabic => format!("{limit} (القاعدة {})", iso(rule)),
    }
}

/// A limit in words, which may be nothing at all: "no more than 5 rewards", "no rewards", "أكثر من
/// 5 مكافآت". The Arabic stands behind a negation, as a genitive.
fn no_more_than(most: u64, noun: Noun, language: Language) -> String {
    let (none, more) = match language {
        English => ("no", "no more than"),
        Arabic => ("أي", "أكثر من"),
    };
    match most {
        0 => count(0, noun, language).replacen('0', none, 1),
        _ => format!("{more} {}", count_in(NounPlace::Object, most, noun, language)),
    }
}

impl Refusal {
    /// The contract's `errors`, beside its `message`.
    #[must_use]
    pub fn errors(&self, language: Language) -> Vec<String> {
        if let Self::Malformed { faults } = self {
            faults.iter().map(|fault| fault.text(language)).collect()
        } else if let Self::NotStored { why } = self {
            // Paths, and what SQLite and the system say, are for operators.
            let is_plain = matches!(why, Storage::DiskFull | Storage::Salvaging);
            if is_plain { vec![why.text(language)] } else { Vec::new() }
        } else if matches!(
            self,
            Self::Used { .. }
                | Self::UsedLongAgo { .. }
                | Self::RefusedLongAgo { .. }
                | Self::Provider { .. }
                | Self::BadCode { .. }
        ) {
            vec![self.text(language)]
        } else {
            Vec::new()
        }
    }
}

worded! {
    /// Why a request was refused without the provider's word.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Reason {
        /// `[offline] max_pending` is reached.
        LimitPending = "limit_pending",
        /// `[offline] max_pending_per_till` is reached.
        LimitTill = "limit_till",
        /// `[offline] max_outage` is used up.
        LimitOutage = "limit_outage",
        /// A limit of `[offline]` on money, rates, hours or the form of codes, or a rule's own.
        LimitRule = "limit_rule",
        /// Nothing is accepted on trust, by the settings.
        NotAccepting = "not_accepting",
        /// An operator holds the lane.
        Held = "held",
        /// An operator switched trust off.
        TrustOff = "trust_off",
        /// The lane may be asked and does not answer, and there is no evidence that others go
        /// unanswered too.
        Untrusted = "untrusted",
        /// The code has been used.
        Used = "used",
        /// No token, or one that no till has.
        Token = "token",
        /// The request cannot be read: its headers, its size, its fields.
        Malformed = "malformed",
        /// A date that the contract cannot mean.
        Date = "date",
        /// Too many requests are under way.
        Busy = "busy",
        /// The store takes nothing.
        Storage = "storage",
        /// No provider serves the business, or the till is not set up for it or for the branch.
        NoLane = "no_lane",
        /// An `Idempotency-Key` that was used for another request.
        KeyConflict = "key_conflict",
    }
}

impl Reason {
    /// Whether somebody has to see to it: no till can help itself, however often it asks.
    #[must_use]
    pub fn is_the_stores(self) -> bool {
        match self {
            Self::LimitPending
            | Self::LimitTill
            | Self::LimitOutage
            | Self::LimitRule
            | Self::NotAccepting
            | Self::Held
            | Self::TrustOff
            | Self::Untrusted
            | Self::Busy
            | Self::Storage
            | Self::NoLane => true,
            Self::Used | Self::Token | Self::Malformed | Self::Date | Self::KeyConflict => false,
        }
    }
}

impl Reason {
    /// As a heading.
    #[must_use]
    pub fn text(self, language: Language) -> &'static str {
        let (english, arabic) = match self {
            Self::LimitPending => ("too many redemptions were waiting", "عمليات كثيرة كانت تنتظر"),
            Self::LimitTill => ("the limit of one till", "حدّ نقطة بيع واحدة"),
            Self::LimitOutage => {
                ("the line was down for too long", "انقطع الخط مدة أطول من المسموح")
            }
            Self::LimitRule => ("a rule or a limit of the store's", "قاعدة أو حدّ وضعه المتجر"),
            Self::NotAccepting => ("nothing is accepted offline", "لا يُقبل شيء دون اتصال"),
            Self::Held => ("an operator held the line", "أوقف أحد المشغّلين الخط"),
            Self::TrustOff => ("trust was switched off", "كان الإعطاء على الثقة موقوفًا"),
            Self::Untrusted => ("the provider did not answer", "لم يجب المزوّد"),
            Self::Used => ("the code was used before", "الرمز استُعمل من قبل"),
            Self::Token => ("the till's token", "رمز الدخول لنقطة البيع"),
            Self::Malformed => ("the request could not be read", "تعذّرت قراءة الطلب"),
            Self::Date => ("the till's date", "تاريخ نقطة البيع"),
            Self::Busy => ("too many requests at once", "طلبات كثيرة في وقت واحد"),
            Self::Storage => ("the storage took nothing", "لم يقبل التخزين شيئًا"),
            Self::NoLane => ("no provider for the business", "لا مزوّد لهذا النشاط التجاري"),
            Self::KeyConflict => ("a key of another request", "مفتاح طلب آخر"),
        };
        match language {
            English => english,
            Arabic => arabic,
        }
    }
}

impl Refusal {
    /// What it is counted by; nothing for what is no refusal of a redemption, or is the provider's
    /// own.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        Some(match self {
            // Of these, requests count what a check heard of the code.
            Self::Used { .. }
            | Self::UsedLongAgo { .. }
            | Self::RefusedLongAgo { .. }
            | Self::Provider { .. } => Reason::Used,
            Self::NotAccepting | Self::UnknownBusiness => Reason::NotAccepting,
            Self::Held => Reason::Held,
            Self::TrustOff => Reason::TrustOff,
            Self::LimitPending { .. } => Reason::LimitPending,
            Self::LimitTill { .. } | Self::LimitTillRate { .. } | Self::TillSlowed { .. } => {
                Reason::LimitTill
            }
            Self::LimitOutage { .. } => Reason::LimitOutage,
            Self::LimitExposure { .. }
            | Self::LimitReusable { .. }
            | Self::LimitValue { .. }
            | Self::LimitRate { .. }
            | Self::OutOfHours
            | Self::HoursNeedClock
            | Self::BadCode { .. }
            | Self::LimitRule { .. }
            | Self::RuleNotAccepting { .. }
            | Self::RuleNeedsClock { .. } => Reason::LimitRule,
            Self::Untrusted | Self::Unanswered | Self::BeingAsked | Self::TooMany => {
                Reason::Untrusted
            }
            Self::Busy | Self::QueueBusy | Self::Crowded => Reason::Busy,
            Self::NotStored { .. } | Self::Stopping | Self::Failed => Reason::Storage,
            Self::KeyReused => Reason::KeyConflict,
            Self::NotSetUp => Reason::NoLane,
            Self::Malformed { faults } if faults.iter().any(is_about_lanes) => Reason::NoLane,
            Self::Malformed { faults } if faults.contains(&Fault::NotADate) => Reason::Date,
            Self::Malformed { .. } | Self::MediaType => Reason::Malformed,
            Self::Token => Reason::Token,
            Self::ProviderRefused
            | Self::TakenBack
            | Self::NoSuchPath
            | Self::WrongMethod { .. }
            | Self::UnknownRedemption
            | Self::MayHaveArrived
            | Self::WasConfirmed
            | Self::WasDeclined
            | Self::IsParked
            | Self::NoCheck
            | Self::CheckCredential
            | Self::CheckBusy
            | Self::CheckUnanswered
            | Self::CheckDown
            | Self::Text { .. } => return None,
        })
    }
}

fn is_about_lanes(fault: &Fault) -> bool {
    matches!(fault, Fault::NoLane | Fault::NotBound { .. })
}
