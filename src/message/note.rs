//! Why a redemption is parked, or what stands beside it: the notes of the gateway's own making, and
//! people's.

use std::time::Duration;

use super::amount::about;
use super::language::Language::{Arabic, English};
use super::macros::messages;
use super::words::{iso, state as state_word};

messages! {
    /// What is noted about a redemption.
    pub enum Note {
        /// Its checksum did not fit when it was to be sent.
        Checksum
        en: "the stored redemption is damaged (its checksum does not fit): it was not sent",
        ar: "العملية المخزّنة متضررة (مجموعها التدقيقي لا يطابق): لم تُرسل";

        /// Its checksum does not fit as it is shown.
        Damaged
        en: "this row is damaged: its checksum does not fit",
        ar: "هذا السجل متضرر: مجموعه التدقيقي لا يطابق";

        /// A 2xx that lists errors.
        SaysBoth { status: u16 }
        en: format!("the provider answered {status} and listed errors: it says both"),
        ar: format!("أجاب المزوّد بالرمز {status} وذكر أخطاء معه: يقول الأمرين معًا");

        /// A 2xx that says it failed.
        SaysFailed { status: u16 }
        en: format!("the provider answered {status} and says in it that the redemption failed"),
        ar: format!("أجاب المزوّد بالرمز {status} ويقول فيه إن العملية فشلت");

        /// A 2xx whose shape the contract does not know.
        Unusual { status: u16 }
        en: format!("the provider answered {status} in a form that the contract does not know"),
        ar: format!("أجاب المزوّد بالرمز {status} بصيغة لا يعرفها العقد");

        /// A refusal of a redemption whose earlier attempt may have arrived.
        UncertainRefused
        en: "the provider refuses this redemption, but an earlier attempt may have been taken",
        ar: "يرفض المزوّد هذه العملية، لكن محاولة سابقة ربما قُبلت";

        /// Refused over and over in words that settle nothing.
        WeakForLong { for_s: u64 }
        en: format!(
            "the provider has refused this redemption for {} in words that settle nothing",
            about(Duration::from_secs(*for_s), English)
        ),
        ar: format!(
            "يرفض المزوّد هذه العملية منذ {} بعبارات لا تحسم شيئًا",
            about(Duration::from_secs(*for_s), Arabic)
        );

        /// "Already used" about a reusable code after an attempt that may have arrived.
        ReusableAlreadyUsed
        en: "\"already used\" about a reusable code after an attempt that may have arrived",
        ar: "أجاب المزوّد «مستعمل من قبل» عن رمز قابل لإعادة الاستعمال بعد محاولة ربما وصلت";

        /// "Already used" about a row that a copied database or an import put in doubt.
        UsedInDoubt
        en: "\"already used\" about a redemption that was copied or imported: it may be ours or \
            somebody else's",
        ar: "أجاب المزوّد «مستعمل من قبل» عن عملية منسوخة أو مستوردة: ربما استعملناه نحن وربما \
            غيرنا";

        /// Its state was lost with the damaged database.
        StateLost
        en: "its state could not be read from the damaged database: look at the provider's side",
        ar: "تعذّرت قراءة حالتها من قاعدة البيانات المتضررة: راجع ما لدى المزوّد";

        /// Its body was lost with the damaged database.
        BodyLost
        en: "its body was lost with the damaged database: it cannot be sent",
        ar: "فُقد محتواها مع قاعدة البيانات المتضررة: لا يمكن إرسالها";

        /// Its body does not fit its checksum.
        BodyDamaged
        en: "its stored body is damaged: it cannot be sent",
        ar: "محتواها المخزّن متضرر: لا يمكن إرسالها";

        /// Restored from its body; it was waiting.
        RestoredWaiting
        en: "its row was lost with the damaged database, its body was not: its till and its time \
            are not known; it was waiting, and whether an attempt had reached the provider is not \
            known",
        ar: "فُقد سجلها مع قاعدة البيانات المتضررة وبقي محتواها: لا تُعرف نقطة البيع ولا الوقت؛ \
            كانت قيد الانتظار، ولا يُعرف هل وصلت محاولة إلى المزوّد";

        /// Restored from its body; it was settled.
        RestoredSettled
        en: "its row was lost with the damaged database, its body was not: its till and its time \
            are not known",
        ar: "فُقد سجلها مع قاعدة البيانات المتضررة وبقي محتواها: لا تُعرف نقطة البيع ولا الوقت";

        /// Restored from its body; nothing else is known.
        Restored
        en: "its row was lost with the damaged database, its body was not: its till and its time \
            are not known; whether it was delivered is not known",
        ar: "فُقد سجلها مع قاعدة البيانات المتضررة وبقي محتواها: لا تُعرف نقطة البيع ولا الوقت؛ \
            ولا يُعرف هل أُرسلت";

        /// The provider's words were lost with the damaged database.
        WordsLost
        en: "the provider declined this reward; its words were lost",
        ar: "رفض المزوّد هذه المكافأة، وفُقدت عباراته";

        /// It came parked from another gateway.
        ParkedElsewhere
        en: "it was parked where it comes from",
        ar: "كانت معلّقة في البوابة التي جاءت منها";

        /// Another redemption here holds its code.
        ImportedWhileHeld { id: String, state: String }
        en: format!("imported while its code is held by {id}, which is {state}"),
        ar: format!("استُوردت ورمزها تحجزه العملية {}، وحالتها: \
            {}", iso(id), state_word(state, Arabic));

        /// Its body is not what its fields say.
        ImportedOtherwise
        en: "its body is not the request that it was exported as",
        ar: "محتواها ليس الطلب الذي صُدّرت به";

        /// A row in doubt whose own check found it good.
        CheckedGood
        en: "the provider says that this code is still good: it was not taken",
        ar: "يقول المزوّد إن هذا الرمز ما زال صالحًا: لم تُنفّذ العملية";

        /// The till was refused and the provider took it all the same.
        Owed
        en: "the till was told no and the provider took it: the next request for this code is \
            given the reward",
        ar: "قيل لنقطة البيع «لا» لكن المزوّد قبلها: الطلب التالي لهذا الرمز يُعطى المكافأة";

        /// An owed reward was given.
        OwedPaid { till: String }
        en: format!("the owed reward was given at {till}"),
        ar: format!("أُعطيت المكافأة المستحقة عند نقطة البيع {}", iso(till));

        /// Declined after the fact and closed by a person.
        Lost { note: String }
        en: format!("declined after the reward was given, closed as lost: {note}"),
        ar: format!("رُفضت بعد إعطاء المكافأة وأُغلقت على أنها خسارة: {}", iso(note));
    }
}
