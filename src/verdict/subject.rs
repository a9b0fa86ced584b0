//! Of what a phrase such as "already used" is said: of the code, of nothing that is named, or of
//! something else, such as a limit, a token or another reward. A reader of English and of Arabic.

/// What a code is called, folded. English puts more before it ("barcode"), Arabic before and after.
pub(super) const REWARD: &str = "reward code voucher coupon gift card certificate offer deal \
    discount promo promotion prize benefit bonus stamp ticket qr redemption transaction مكافاه \
    قسيمه كوبون كود رمز عرض هديه خصم بطاقه جايزه باركود تذكره شفره";

/// With one of these before it, one of [`REWARD`] is still one: "barcode", "egift".
const COMPOUNDS: &str = "e m bar promo scratch punch digi";

/// What stands before "has been used" without being what was used, folded.
const BESIDE: &str = "a an the this that it its is was be been has have had already now just and \
    or but so as because since which who sorry error err e failed failure declined rejected denied \
    refused cannot can not redeem redeemed use used uses unable to you we he she they customer \
    user member guest client number no id all of unfortunately please note previously once عذرا \
    عفوا لقد قد تم هذا هذه ان انه انها لان لانه لانها لا يمكن رقم خطا صحيح و ف نعتذر";

/// By these words a phrase is known to be English, so that its subject can be looked for.
const USED: &str = "used redeemed claimed consumed spent exchanged utilized utilised availed \
    burned burnt applied duplicate";

/// What a customer uses up, and is no reward.
const LIMIT: &str = "limit quota allowance allotment allocation maximum max cap capacity \
    entitlement budget balance points credit attempt times حد رصيد حصه كوته سقف نقطه نقاط مرات \
    مرتين مسموح محاوله محاولات استحقاق قصوي";

/// A reward of such a day is one of many.
const DAILY: &str = "daily weekly monthly yearly annual today's tomorrow's يومي يوميه شهري شهريه \
    اسبوعي اسبوعيه سنوي سنويه";

/// What is used beside a reward, or of it, without being one.
pub(super) const OTHER: &str = "token signature session request key nonce header body stream \
    connection email mail phone mobile password otp cookie";

/// What makes one of [`REWARD`] another thing, by its last word.
const KINDS: [(&str, &str); 6] = [
    (
        "code",
        "status otp pin sms error err post postal zip verification verify auth authorization \
        authorisation authentication security access country currency area branch employee \
        product item response return reason result exit http language mfa 2fa tfa totp login \
        password recovery reset email phone source",
    ),
    (
        "card",
        "credit debit loyalty bank payment sim id identity membership member visa mastercard mada \
        amex business points memory insurance",
    ),
    ("certificate", "client server ssl tls root ca x509 security digital device signing"),
    ("stamp", "time date"),
    ("ticket", "support service session kerberos help trouble"),
    ("transaction", "database db sql"),
];

/// The same in Arabic, where it stands after.
const KINDS_AFTER: &str = "تحقق حاله خطا بريدي بريد دخول وصول تعريف تاكيد مرور مصادقه مصادق سري \
    امان otp pin sms ايتمان ايتمانيه بنكيه بنك ولاء عضويه هويه صراف دفع مدي شخصيه \
    اخر اخري ثاني ثانيه";

/// What begins a name, and whether of this one alone.
const DEFINITE: &str = "this the that these those your my our his her their its هذا هذه ذلك تلك";
const INDEFINITE: &str = "another other others any some several many both all every each more \
    multiple different one two three four five six seven eight nine ten كل جميع كافه بعض عده اخر \
    غير";

/// After these a name is no subject.
const OF: &str = "of for on at in with from by per under against via within في من علي عن مع لدي";

/// What comes after a use that has no object: when, where, how and what to do now.
const BESIDES: &str = "to before after previously earlier yesterday tonight today now once since \
    during through and or but so because as please kindly if when where while it them is was has \
    have you we they he she cannot can't can not no try use contact choose ask see only already \
    ago until up out online too also again elsewhere here there recently lately last error \
    exception failure response result message status number id قبل مسبقا سابقا بالفعل سبق يوم \
    اليوم امس بتاريخ الساعه ساعه عبر بواسطه الي بنجاح مره هنا انفا حاليا و او ثم لا ولا لن يرجي \
    الرجاء رقم عند خلال منذ حتي لقد قد بالكامل كاملا نفسه نفسها";

/// When and where.
const WHEN_AND_WHERE: &str = "day week month year hour minute am pm monday tuesday wednesday \
    thursday friday saturday sunday january february march april may june july august september \
    october november december jan feb mar apr jun jul aug sep sept oct nov dec branch store shop \
    till outlet location restaurant cafe terminal register فرع متجر محل مطعم";

/// One of several on a bill, where the reward is not this one.
const BILLS: &str = "bill order invoice cart basket check receipt purchase today daily";

/// Arabic's words for a use, which stand between "it has been" and what was used.
const USES: &str = "استخدام استعمال استبدال استرداد صرف استهلاك";

/// What ends a part of a sentence.
pub(super) const ENDS: [char; 12] = ['.', ',', ';', ':', '!', '?', '(', ')', '|', '،', '؛', '؟'];

/// Whether what `phrase` says to be used is the code, or is not named: by what stands before and
/// after it in its own part of the sentence. Of a phrase in another language its words are enough.
pub(super) fn is_the_code(phrase: &str, (before, after): (&str, &str), joined: bool) -> bool {
    let is_known = phrase.split(' ').any(|word| lists(USED, word) || is_arabic(word));
    match (is_known, joined) {
        (false, _) => true,
        (true, true) => is_the_code_in_one_word(before, after),
        (true, false) => is_said_of_the_code(before, phrase, after),
    }
}

/// Of a text without spaces: `DailyLimitAlreadyUsed`.
fn is_the_code_in_one_word(before: &str, after: &str) -> bool {
    const LIMITS: [&str; 5] = ["limit", "quota", "allowance", "maximum", "attempt"];
    let name = bare(before.rsplit(ENDS).next().unwrap_or_default());
    let ends = |name: &str| {
        REWARD.split(' ').any(|reward| name.strip_suffix('s').unwrap_or(name).ends_with(reward))
    };
    let is_another = KINDS.iter().any(|(last, firsts)| {
        firsts.split(' ').any(|first| name.strip_suffix(last).is_some_and(|n| n.ends_with(first)))
    });
    let is_named = is_beside(name) || ends(name) && !is_another;
    is_named && !LIMITS.iter().any(|limit| after.contains(limit))
}

fn is_said_of_the_code(before: &str, phrase: &str, after: &str) -> bool {
    let (clause, object) = (clause(before), SaidAfter::after(after));
    if is_a_deadline(&clause, phrase) || object.is_a_limit() {
        return false;
    }
    match object.names() {
        Some(is_reward) if is_reward || has_an_object(&clause, phrase) => is_reward,
        _ => is_subject(before, phrase, &object),
    }
}

/// "It cannot be redeemed before Friday" tells of no use.
fn is_a_deadline(clause: &[&str], phrase: &str) -> bool {
    phrase.ends_with(" before") && clause.last() == Some(&"be")
}

/// Whether what was used stands after the phrase: somebody "has already used" it, "تم استخدام".
fn has_an_object(clause: &[&str], phrase: &str) -> bool {
    const PASSIVE: &str = "been was were is are be being got get duplicate";
    if is_arabic(phrase) {
        return !["قبل", "مسبقا", "سابقا", "بالفعل"].iter().any(|end| phrase.ends_with(end));
    }
    let before = clause.iter().rev().find(|word| !lists("now just also since recently", word));
    let is_passive = |word: &str| lists(PASSIVE, word);
    let has = before.is_some_and(|word| lists("have has had", word) || word.ends_with("'ve"));
    !phrase.split(' ').any(is_passive)
        && !before.is_some_and(|word| is_passive(word))
        && (has || !clause.iter().any(|word| is_reward(word)))
}

/// The words of the last part of a sentence.
fn clause(before: &str) -> Vec<&str> {
    words_of(before.rsplit(ENDS).next().unwrap_or_default())
}

fn words_of(part: &str) -> Vec<&str> {
    part.split(' ').map(bare).filter(|word| !word.is_empty()).collect()
}

/// What stands after a phrase, up to the end of the part.
struct SaidAfter<'a> {
    /// All of it.
    part: Vec<&'a str>,
    /// What it begins with, up to when, where and how.
    name: Vec<&'a str>,
}

impl<'a> SaidAfter<'a> {
    fn after(after: &'a str) -> Self {
        let part = after.split(ENDS).next().unwrap_or_default();
        // Arabic writes "it" onto its verb: then nothing more is named.
        let is_pronoun = part.starts_with(char::is_alphabetic);
        let mut part = words_of(part);
        let first = part.first().copied().unwrap_or_default();
        if is_pronoun || is_arabic(first) && is_one_of(USES, first) {
            part.remove(0);
        }
        let is_besides = |word: &&&str| lists(OF, word) || lists(BESIDES, word);
        let is_own = |word: &&&str| !is_pronoun && !is_besides(word);
        let name = part.iter().take_while(is_own).copied().collect();
        Self { part, name }
    }

    /// "5 times", "3 rewards", "his daily limit", "a reward for today".
    fn is_a_limit(&self) -> bool {
        let is_counted =
            |pair: &[&str]| matches!(pair, [n, name] if is_count(n) && is_plural(name));
        let is_often = |word: &&str| lists("twice thrice مرتين", word);
        is_of_a_day(&self.part)
            || self.part.windows(2).any(is_counted)
            || self.part.iter().any(is_often)
            || self.name.iter().any(|word| is_limit(word))
    }

    /// Whether it names the code; `None` where it names nothing.
    fn names(&self) -> Option<bool> {
        let is_nothing = |word: &&str| {
            is_numeric(word) || lists(DEFINITE, word) || is_one_of(WHEN_AND_WHERE, word)
        };
        let is_one_of_many = |word: &&str| lists("a an", word) || lists(INDEFINITE, word);
        if self.name.iter().all(is_nothing) {
            return self.is_a_part_of_many().then_some(false);
        }
        let is_one = !self.name.first().is_some_and(is_one_of_many);
        Some(is_one && !self.name.iter().any(|word| is_plural(word)) && names_one(&self.name))
    }

    /// "You have already used 3 of 3", "2 this month".
    fn is_a_part_of_many(&self) -> bool {
        let mut words = self.part.iter().skip_while(|word| is_numeric(word));
        let is_short = self.part.first().is_some_and(|word| is_numeric(word) && word.len() < 3);
        is_short && words.next().is_some_and(|word| lists("of out this per today in", word))
    }
}

/// "For this month", "per day".
fn is_of_a_day(words: &[&str]) -> bool {
    const DAYS: &str = "today day week month year tomorrow";
    let mut after_for = words.iter().skip_while(|word| **word != "for").skip(1);
    let first = after_for.find(|word| !lists(DEFINITE, word));
    words.contains(&"per") || first.is_some_and(|word| lists(DAYS, word))
}

/// A name that is the subject, unless it is governed: the reward in "the token of this reward".
struct NamedThing<'a> {
    governed: bool,
    words: Vec<&'a str>,
}

/// Whether the subject before the phrase is the code, or is not named.
fn is_subject(before: &str, phrase: &str, object: &SaidAfter<'_>) -> bool {
    let clause = clause(before);
    if clause.iter().chain(&object.name).all(|word| is_beside(word)) {
        return is_bare_title(before);
    }
    if is_of_a_day(&clause) {
        return false;
    }
    let words: Vec<&str> = clause.iter().copied().chain(phrase.split(' ')).collect();
    let named = names_in(&words);
    let own: Vec<&NamedThing<'_>> = named.iter().filter(|name| name.is_own()).collect();
    if own.is_empty() {
        return named.iter().any(NamedThing::is_the_code);
    }
    let found = own.iter().rposition(|name| name.is_the_code());
    found.is_some_and(|at| {
        let later = own.iter().skip(at + 1).flat_map(|name| &name.words);
        let is_one_of_many = own.get(at).is_some_and(|name| name.begins("a an one"))
            && object.part.iter().any(|word| lists(BILLS, word));
        !is_one_of_many && !later.into_iter().any(|word| is_limit(word) || lists(OTHER, word))
    })
}

/// "Redemption failed: already used", but not "Daily limit: already used".
fn is_bare_title(before: &str) -> bool {
    const NO_REWARD: &str =
        "limit limits quota allowance maximum max balance points token otp email";
    let parts = || before.rsplit(ENDS);
    let title = parts().nth(1).map(words_of).unwrap_or_default();
    let is_other = |word: &&str| lists(NO_REWARD, word) || is_arabic(word) && is_limit(word);
    let is_sentence = before.trim_end().ends_with(['.', '!', '?', '؟']);
    is_sentence || !(is_of_a_day(&title) || title.iter().any(is_other))
}

fn names_in<'a>(words: &[&'a str]) -> Vec<NamedThing<'a>> {
    let mut names = vec![NamedThing { governed: false, words: Vec::new() }];
    for word in words {
        let is_governing = lists(OF, word);
        let begins = lists(DEFINITE, word) || lists(INDEFINITE, word) || lists("a an", word);
        let is_after = names.last().is_some_and(|name| name.governed && name.words.is_empty());
        if is_governing || begins || lists("because since to but and so as if when while", word) {
            let governed = is_governing || begins && is_after;
            names.push(NamedThing { governed, words: Vec::new() });
        }
        if !is_governing && let Some(name) = names.last_mut() {
            name.words.push(word);
        }
    }
    names
}

impl NamedThing<'_> {
    /// A subject that says anything.
    fn is_own(&self) -> bool {
        const PARTS: &str = "value amount full whole usage owner holder";
        let is_empty = |word: &&str| {
            is_beside(word)
                || lists(PARTS, word)
                || lists(DEFINITE, word)
                || is_one_of(WHEN_AND_WHERE, word)
        };
        !self.governed && !self.words.iter().all(is_empty)
    }

    fn begins(&self, with: &str) -> bool {
        self.words.first().is_some_and(|word| lists(with, word))
    }

    fn is_the_code(&self) -> bool {
        let is_other = self.begins("another other different any some several many both two three");
        let is_number = |word: &str| is_count(word) || word == "all";
        let is_counted =
            |pair: &[&str]| matches!(pair, [n, name] if is_number(n) && is_plural(name));
        !is_other && !self.words.windows(2).any(is_counted) && names_one(&self.words)
    }
}

/// Whether a name is a reward's: one of its words is, that is no other thing with those beside it.
fn names_one(words: &[&str]) -> bool {
    let is_limited = |at: usize, word: &str| {
        let (before, after) = words.split_at(at);
        let beside = if is_arabic(word) { before } else { after };
        beside.iter().any(|word| is_limit(word) || lists(OTHER, word))
    };
    !words.iter().any(|word| is_one_of(DAILY, word))
        && words.iter().enumerate().any(|(at, word)| {
            is_reward(word) && !is_another_kind(words, at) && !is_limited(at, word)
        })
}

/// "status code", "credit card", "رمز التحقق".
fn is_another_kind(words: &[&str], at: usize) -> bool {
    let word = words.get(at).copied().unwrap_or_default();
    let next = words.get(at + 1).copied().unwrap_or_default();
    let Some(before) = at.checked_sub(1) else { return is_one_of(KINDS_AFTER, next) };
    let last = word.strip_suffix('s').unwrap_or(word);
    let first = words.get(before).copied().unwrap_or_default();
    let is_kind = KINDS.iter().any(|(name, firsts)| *name == last && lists(firsts, first));
    is_kind || is_one_of(KINDS_AFTER, next) || is_reward(first) && is_another_kind(words, before)
}

fn is_beside(word: &str) -> bool {
    word.is_empty() || lists(BESIDE, word) || word.contains(char::is_numeric)
}

fn is_numeric(word: &str) -> bool {
    word.starts_with(char::is_numeric)
}

fn is_count(word: &str) -> bool {
    const NUMBERS: &str = "two three four five six seven eight nine ten several many multiple \
        maximum خمس ثلاث اربع عده";
    is_numeric(word) || lists(NUMBERS, word)
}

/// Of a reward's name, of "times" and of the like.
fn is_plural(word: &str) -> bool {
    const MANY: &str = "times uses مرات مكافات قسايم اكواد رموز عروض هدايا جوايز تذاكر";
    if is_arabic(word) {
        let is_singular = |name: &str| !name.is_ascii() && is_form_of(name, word);
        let is_one = REWARD.split(' ').any(is_singular);
        return !is_one && (is_reward(word) || is_one_of(MANY, word));
    }
    let one = word.strip_suffix('s').filter(|one| is_reward(one));
    one.is_some_and(|one| !one.ends_with("bonu")) || lists(MANY, word)
}

fn is_limit(word: &str) -> bool {
    is_one_of(LIMIT, word) || word.strip_suffix('s').is_some_and(|one| lists(LIMIT, one))
}

/// Whether `word` is what a code is called.
pub(super) fn is_reward(word: &str) -> bool {
    let one = word.strip_suffix('s').unwrap_or(word);
    let is_it = |name: &str| {
        if !name.is_ascii() {
            return word.contains(name) || is_form_of(name, word);
        }
        let rest = one.strip_suffix(name).or(word.strip_suffix(name));
        rest.is_some_and(|rest| rest.is_empty() || lists(COMPOUNDS, rest) || is_reward(rest))
    };
    REWARD.split(' ').any(is_it)
}

/// Whether `word` is one of `names`, in a form that Arabic gives it.
fn is_one_of(names: &str, word: &str) -> bool {
    lists(names, word)
        || is_arabic(word) && names.split(' ').any(|name| is_arabic(name) && is_form_of(name, word))
}

/// Arabic writes its article and its prepositions before a name, and whose it is after it.
fn is_form_of(name: &str, word: &str) -> bool {
    const BEFORE: [&str; 10] = ["", "ال", "لل", "بال", "وال", "فال", "و", "ب", "ل", "ف"];
    const AFTER: [&str; 8] = ["", "ك", "ه", "ها", "هم", "كم", "نا", "ي"];
    let feminine = name.strip_suffix('ه').map(|stem| format!("{stem}ت"));
    let is_whose = |rest: &str| AFTER.contains(&rest);
    let is_it = |bare: &str| {
        let of_another = feminine.as_deref().and_then(|stem| bare.strip_prefix(stem));
        bare.strip_prefix(name).is_some_and(is_whose)
            || of_another.is_some_and(|rest| !rest.is_empty() && is_whose(rest))
    };
    BEFORE.iter().any(|before| word.strip_prefix(before).is_some_and(is_it))
}

pub(super) fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

pub(super) fn lists(words: &str, word: &str) -> bool {
    words.split(' ').any(|listed| listed == word)
}

fn is_arabic(word: &str) -> bool {
    word.contains(|c| matches!(c, '\u{620}'..='\u{64a}'))
}
