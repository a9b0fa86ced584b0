//! What the success of a check says of its code: that nobody can redeem it, that somebody can, or
//! nothing of it.

use std::iter;

use serde_json::Value;
use serde_json::value::RawValue;

use super::object::{self, Body, Object, folded, is_nothing};
use super::subject::{self, REWARD, lists};
use super::success::{self, ALREADY_USED, DENIALS, FAILED, STATUS, bare};
use super::words;
use super::{ParkReason, Reply, Rules, Verdict, refusal};
use crate::fold;
use crate::redemption::RewardCode;

/// What the success of a check says of its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckWord {
    /// It refuses the code, in words.
    Refused,
    /// It names a state of the code in which nobody can redeem it. Its words are about the check.
    Dead,
    /// It found the code good.
    Good,
    /// As good, and without a word about the code: `{}`.
    Bare,
    /// It failed, or it speaks of something else: no valid check, and no refusal.
    Nothing,
}

/// What one member says of the code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Used,
    /// Expired, cancelled, not valid.
    Gone,
    /// Not for this customer, perhaps.
    Ineligible,
    Redeemable,
    /// Not used, or not used up.
    Unused,
    /// A state of a code that may be used all the same, or not be for this customer.
    Living,
}

/// Which signs of life in the same object are believed rather than a dead one.
const OUTWEIGHED: [(Sign, &[Sign]); 3] = [
    (Sign::Used, &[Sign::Redeemable, Sign::Unused]),
    (Sign::Gone, &[Sign::Redeemable]),
    (Sign::Ineligible, &[Sign::Redeemable, Sign::Living]),
];

/// Words of a state, folded.
const USED: &str = "used redeemed consumed exhausted depleted burned burnt utilized utilised \
    alreadyused alreadyredeemed fullyused fullyredeemed مستخدم مستخدمه مستعمل مستعمله مستهلك \
    مستهلكه استخدام استعمال استبدال استرداد صرف استهلاك";
const GONE: &str = "expired cancelled canceled void voided revoked inactive disabled deactivated \
    suspended blocked unavailable invalid ineligible deleted archived notfound منتهي منتهيه انتهت \
    ملغي ملغيه الغاء معطل معطله محذوف محذوفه محظور محظوره موقوف موقوفه";
const LIVING: &str = "active valid available redeemable usable enabled صالح صالحه فعال فعاله نشط \
    نشطه ساري ساريه متاح متاحه موجود موجوده";
const UNUSED: &str = "unused unredeemed";

/// Members that are a yes or a no, and what each says.
const FLAGS: [(&str, Option<Sign>, Option<Sign>); 8] = [
    (USED, Some(Sign::Used), Some(Sign::Unused)),
    ("beenused beenredeemed wasused wasredeemed usedup", Some(Sign::Used), Some(Sign::Unused)),
    (ALREADY_USED, Some(Sign::Used), Some(Sign::Unused)),
    (UNUSED, Some(Sign::Unused), Some(Sign::Used)),
    (GONE, Some(Sign::Gone), None),
    (
        "valid redeemable usable available canredeem canuse canberedeemed canbeused",
        Some(Sign::Redeemable),
        Some(Sign::Gone),
    ),
    ("active enabled", Some(Sign::Living), Some(Sign::Gone)),
    ("eligible", Some(Sign::Living), Some(Sign::Ineligible)),
];

/// When it was used.
const USED_AT: &str = "usedat usedon dateused redeemedat redeemedon dateredeemed";
/// How often it can be used yet.
const USES_LEFT: &str = "remaininguses remainingusage remainingredemptions usesleft usesremaining \
    usageleft redemptionsleft";

/// What stands before `status` or `state` where that is the code's, beside a name of the code.
const WHOSE_STATE: &str = "current usage validity giftcard rewardcode vouchercode couponcode \
    promocode";
/// Objects around another that say how the check went.
const ENVELOPES: &str = "result response payload body";
/// In an object, what may hold a state's name.
const STATE_NAMES: [&str; 5] = ["name", "value", "label", "code", "key"];

/// Words that change no state: "This reward has already been used", "تم الاستخدام".
const FILLERS: &str = "the this that it its your is are was has have been be already fully \
    completely entirely previously before now yet longer up status state تم يتم قد لقد هذا هذه \
    مسبقا سابقا بالفعل بالكامل من قبل صلاحيه حاله";
/// After these come a day, a place or a person.
const WHEN: &str = "on at since بتاريخ في منذ يوم";
/// Arabic's denials of a state.
const DENIALS_OF_A_STATE: &str = "غير لم لن";

/// What can be disabled, not valid or not available beside a code.
const OTHERS: &str = "checks service server system merchant account business api الخدمه خدمه \
    الخادم النظام التاجر تاجر الحساب";

/// Objects within objects that are looked at: `{"response":{"data":{"reward":{}}}}`.
const DEPTH_MAX: usize = 3;
const MESSAGE: &str = "message";

/// What a check's answer says of `code`; `None` where `verdict` found no success.
#[must_use]
pub fn check_word(
    verdict: &Verdict,
    code: &RewardCode,
    reply: &Reply,
    rules: &Rules,
) -> Option<CheckWord> {
    if !matches!(verdict, Verdict::Confirmed | Verdict::Parked { .. }) {
        return None;
    }
    let body = Body::of(reply, Some(code));
    let Some(object) = body.object() else { return Some(CheckWord::Bare) };
    Some(read(verdict, object, rules))
}

fn read(verdict: &Verdict, object: &Object<'_>, rules: &Rules) -> CheckWord {
    let levels = levels(object, rules);
    let has = |sign| levels.iter().any(|level| level.has(sign));
    let lives = has(Sign::Redeemable) || has(Sign::Unused);
    let says_used = success::says_used_in_words(object, rules);
    if refuses(verdict, object, rules) && (says_used || !lives) {
        return CheckWord::Refused;
    }
    if speaks_of_something_else(object) {
        return CheckWord::Nothing;
    }
    let is_another = names_another(object);
    let dead: Vec<&str> = levels.iter().flat_map(|level| level.dead(is_another)).collect();
    match verdict == &Verdict::Confirmed {
        _ if dead.contains(&MESSAGE) => CheckWord::Refused,
        _ if !dead.is_empty() => CheckWord::Dead,
        true => good(object, lives || has(Sign::Living)),
        false => CheckWord::Nothing,
    }
}

/// Whether a success that fails refuses the code, by what would be strong evidence in a refusal:
/// "already used", or the contract's own words about it.
fn refuses(verdict: &Verdict, object: &Object<'_>, rules: &Rules) -> bool {
    let Verdict::Parked { reason, already_used } = verdict else { return false };
    let is_usual = !matches!(reason, ParkReason::Unusual { .. });
    *already_used || is_usual && refusal::is_strong_in_a_success(object, rules)
}

/// Whether an answer is about the caller or the moment, as an edge's own is.
fn speaks_of_something_else(object: &Object<'_>) -> bool {
    let mut texts = object.texts_and_codes();
    texts.retain(|text| !is_nothing(&Value::from(text.as_str())));
    words::says_not_the_code(&object.said(&texts))
        || object.texts().iter().any(|text| words::is_a_status_name(text))
}

/// Whether the message names what is not the code, and not the code.
fn names_another(object: &Object<'_>) -> bool {
    let texts = object.texts_of(object::is_message).join("\n");
    let texts = fold::words(&texts);
    let names = |names: &str| {
        words_of(&texts).any(|word| lists(names, word) || lists(names, word.trim_end_matches('s')))
    };
    (names(OTHERS) || names(subject::OTHER)) && !words_of(&texts).any(subject::is_reward)
}

/// A message alone must say that it went well: any server has messages.
fn good(object: &Object<'_>, lives: bool) -> CheckWord {
    let says_well =
        success::says_it_went_well(object) || success::message(object).iter().any(words::says_well);
    let has_message = object.texts().iter().any(|text| !fold::is_blank(text));
    match has_content(object) || lives || says_well {
        true => CheckWord::Good,
        false if has_message => CheckWord::Nothing,
        false => CheckWord::Bare,
    }
}

/// Whether it holds anything beside how it went.
fn has_content(object: &Object<'_>) -> bool {
    let is_foreign = refusal::has_foreign_members(object);
    object.members().any(|(name, raw)| {
        let is_own = !object::tells_how_it_went(&name) && !success::SUCCESS.contains(&bare(&name));
        let is_meant = place(&name).is_some() || !is_foreign && is_own;
        is_meant && !is_nothing(&object::read(raw))
    })
}

/// The signs of one object, each with its member.
struct Level {
    is_envelope: bool,
    signs: Vec<(String, Sign)>,
}

/// The answer's own signs, and those of the objects in it that are about the code.
fn levels(object: &Object<'_>, rules: &Rules) -> Vec<Level> {
    let mut levels = levels_within(object, true, DEPTH_MAX);
    if let Some(own) = levels.first_mut() {
        own.signs.extend(message_signs(object, rules));
    }
    levels
}

fn levels_within(object: &Object<'_>, is_envelope: bool, depth: usize) -> Vec<Level> {
    let signs = object.members().flat_map(|(name, raw)| signs_of(&name, raw, is_envelope));
    let own = Level { is_envelope, signs: signs.collect() };
    let deeper = object.members().filter(|_| depth > 0).filter_map(|(name, raw)| {
        let is_envelope = place(&name)?;
        Some(levels_within(&Object::within(raw)?, is_envelope, depth - 1))
    });
    iter::once(own).chain(deeper.flatten()).collect()
}

/// Whether the object of this name is around another (`true`) or the code's; `None`: neither.
fn place(name: &str) -> Option<bool> {
    let is_code = name != "transaction" && lists(REWARD, name) || lists("data giftcard", name);
    (is_code || lists(ENVELOPES, name)).then_some(!is_code)
}

/// What the message says of the code, where it would be strong evidence in a refusal.
fn message_signs(object: &Object<'_>, rules: &Rules) -> Vec<(String, Sign)> {
    let is_strong = refusal::is_strong_in_a_success(object, rules);
    let mut signs: Vec<Sign> = object
        .texts_of(object::is_message)
        .iter()
        .filter_map(|text| state_of(text, true))
        .filter(|sign| is_strong || matches!(sign, Sign::Living | Sign::Unused))
        .collect();
    if success::says_used_in_words(object, rules) {
        signs.push(Sign::Used);
    }
    signs.into_iter().map(|sign| (MESSAGE.to_owned(), sign)).collect()
}

impl Level {
    fn has(&self, sign: Sign) -> bool {
        self.signs.iter().any(|(_, is)| *is == sign)
    }

    /// The members by which the code is dead. Of a state that a service may be in too it counts
    /// who is named beside it: `is_another` than the code.
    fn dead(&self, is_another: bool) -> impl Iterator<Item = &str> {
        let is_of_another = move |sign| self.is_envelope && is_another && sign != Sign::Used;
        let is_dead = move |sign: Sign| {
            let outweighs = OUTWEIGHED.iter().find(|(dead, _)| *dead == sign);
            outweighs.is_some_and(|(_, by)| !by.iter().any(|sign| self.lives_by(*sign)))
        };
        let signs = self.signs.iter();
        let dead = signs.filter(move |(_, sign)| is_dead(*sign) && !is_of_another(*sign));
        dead.map(|(name, _)| name.as_str())
    }

    /// Whether a member says so, and does not say the opposite as well where it is there twice.
    fn lives_by(&self, sign: Sign) -> bool {
        let is_dead = |sign: Sign| OUTWEIGHED.iter().any(|(dead, _)| *dead == sign);
        let is_denied =
            |name: &str| self.signs.iter().any(|(other, sign)| other == name && is_dead(*sign));
        self.signs.iter().any(|(name, is)| *is == sign && !is_denied(name))
    }
}

fn signs_of(name: &str, raw: &RawValue, is_envelope: bool) -> Vec<(String, Sign)> {
    let values = success::items(object::read(raw));
    let signs = values.iter().filter_map(|value| sign_of(bare(name), value, is_envelope));
    signs.map(|sign| (name.to_owned(), sign)).collect()
}

fn sign_of(name: &str, value: &Value, is_envelope: bool) -> Option<Sign> {
    if is_state(name) {
        return state_in(value, is_envelope);
    }
    if lists(USED_AT, name) {
        return is_a_day(value).then_some(Sign::Used);
    }
    if lists(USES_LEFT, name) {
        return Some(if success::is_number(value)? > 0.0 { Sign::Unused } else { Sign::Used });
    }
    let (_, yes, no) = FLAGS.iter().find(|(names, ..)| lists(names, name))?;
    if success::is_yes(value) { *yes } else { no.filter(|_| success::is_false(value)) }
}

/// `status`, `reward_status`, `currentState`; not `payment_status`.
fn is_state(name: &str) -> bool {
    let whose = name.strip_suffix("status").or(name.strip_suffix("state"));
    STATUS.contains(&name)
        || whose.is_some_and(|whose| lists(REWARD, whose) || lists(WHOSE_STATE, whose))
}

/// Not `0000-00-00`.
fn is_a_day(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number > 0.0)
        || folded(value).contains(|c: char| matches!(c, '1'..='9'))
}

/// A state is a text, or an object that names it.
fn state_in(value: &Value, is_envelope: bool) -> Option<Sign> {
    let named = || STATE_NAMES.iter().find_map(|name| value.get(name)?.as_str());
    state_of(value.as_str().or_else(named)?, is_envelope)
}

/// What a text says of the code as a whole, in its first part that says anything: "Already used",
/// `REWARD_USED`, "Used on 2026-11-20" and "not active", but not "used 2 of 5". A word of failure
/// is a state only within the code's own object.
fn state_of(text: &str, is_envelope: bool) -> Option<Sign> {
    let folded = fold::words(&in_words(text));
    let mut parts = folded.split(subject::ENDS).map(meant);
    let words = parts.find(|words| !words.is_empty())?;
    let one = |word: &str| state(word).or_else(|| failure(word).filter(|_| !is_envelope));
    one(&words.concat()).or_else(|| match words.as_slice() {
        [denial, word] if lists(DENIALS, denial) || lists(DENIALS_OF_A_STATE, denial) => {
            denied(state(word)?)
        }
        _ => None,
    })
}

fn state(word: &str) -> Option<Sign> {
    let states =
        [(USED, Sign::Used), (GONE, Sign::Gone), (LIVING, Sign::Living), (UNUSED, Sign::Unused)];
    states.into_iter().find(|(words, _)| lists(words, word)).map(|(_, sign)| sign)
}

fn failure(word: &str) -> Option<Sign> {
    FAILED.contains(&word).then_some(Sign::Gone)
}

fn denied(sign: Sign) -> Option<Sign> {
    match sign {
        Sign::Used => Some(Sign::Unused),
        Sign::Living => Some(Sign::Gone),
        Sign::Gone | Sign::Ineligible | Sign::Redeemable | Sign::Unused => None,
    }
}

/// `AlreadyUsed` in two words.
fn in_words(text: &str) -> String {
    let mut apart = String::with_capacity(text.len());
    let mut is_after_lower = false;
    for c in text.chars() {
        if is_after_lower && c.is_uppercase() {
            apart.push(' ');
        }
        is_after_lower = c.is_lowercase();
        apart.push(c);
    }
    apart
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// The words that tell a state: without the code's names, without Arabic's article, and without
/// what follows of when and where.
fn meant(part: &str) -> Vec<&str> {
    const YEAR_CHARS: usize = 4;
    let is_year =
        |word: &str| word.len() >= YEAR_CHARS && word.starts_with(|c: char| c.is_ascii_digit());
    words_of(part)
        .map(|word| word.strip_prefix("ال").unwrap_or(word))
        .take_while(|word| !lists(WHEN, word) && !is_year(word))
        .filter(|word| !lists(FILLERS, word) && !lists(REWARD, word))
        .collect()
}
