//! Phrases that are looked for in what a provider says, in English and in Arabic.

use std::sync::LazyLock;

use super::streak;
use super::subject::{self, REWARD, bare, lists};
use crate::fold;

/// Inside a 2xx these say that it was done now, unless the text says "before" too.
static DONE: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "has been redeemed",
        "was redeemed",
        "has been claimed",
        "has been consumed",
        "تم استخدام",
        "لقد استخدمت",
        "تم استعمال",
        "تم استبدال",
        "تم استرداد",
        "تم صرف",
        "تم استهلاك",
        "was claimed",
        "been used up",
        "fully used",
        "fully redeemed",
        "تم الاستخدام",
        "تم الاستعمال",
        "تم الاستبدال",
        "تم الاسترداد",
        "تم الصرف",
        "استخدمت هذه",
    ])
});

/// What puts a use into the past.
static BEFORE: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&["already", "before", "previously", "مسبقا", "سابقا", "من قبل", "سبق", "بالفعل"])
});

/// What a provider says when it went well.
static WELL: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&["success", "successful", "successfully", "thank you", "بنجاح", "شكرا"])
});

/// What can be used up without being a reward.
static OTHER_THINGS: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "idempotency",
        "idempotent",
        "nonce",
        "access token",
        "refresh token",
        "bearer",
        "jwt",
        "authorization code",
        "request id",
        "verification code",
        "رمز الوصول",
        "رمز وصول",
        "رمز التحقق",
    ])
});

/// Refusals that are about the caller or the moment, not about the code: who asks, how often, in
/// what state the server is, which address there is. Each says so by itself: no refusal of a reward
/// has a reason to hold it. docs/trust.md lists them for people.
static NOT_THE_CODE: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "token expired",
        "token has expired",
        "token is expired",
        "token was expired",
        "expired token",
        "token invalid",
        "token is invalid",
        "token is not valid",
        "token not valid",
        "invalid token",
        "token mismatch",
        "missing token",
        "token missing",
        "token is missing",
        "token not provided",
        "token revoked",
        "authentication token",
        "access token",
        "refresh token",
        "bearer token",
        "jwt",
        "session expired",
        "session has expired",
        "unauthenticated",
        "not authenticated",
        "authentication required",
        "authentication failed",
        "authentication credentials",
        "missing authentication",
        "unauthorized access",
        "unauthorized request",
        "unauthorized client",
        "not authorized to access",
        "not authorized to perform",
        "not authorised to access",
        "authorization header",
        "authorization has been denied",
        "missing authorization",
        "api key",
        "apikey",
        "subscription key",
        "invalid credentials",
        "credentials are",
        "credentials were",
        "invalid signature",
        "signature is invalid",
        "signature mismatch",
        "signature does not match",
        "signature verification",
        "csrf",
        "firewall",
        "too many requests",
        "too many attempts",
        "rate limit",
        "throttled",
        "throttling",
        "service unavailable",
        "service is unavailable",
        "service temporarily unavailable",
        "service is temporarily unavailable",
        "service currently unavailable",
        "service is currently unavailable",
        "server is unavailable",
        "under maintenance",
        "undergoing maintenance",
        "maintenance mode",
        "scheduled maintenance",
        "server error",
        "internal error",
        "unexpected error",
        "unhandled",
        "something went wrong",
        "an error occurred",
        "an error has occurred",
        "request timeout",
        "request timed out",
        "gateway timeout",
        "connection timeout",
        "connection timed out",
        "operation timed out",
        "bad gateway",
        "api gateway",
        "upstream server",
        "upstream service",
        "upstream connect",
        "no healthy upstream",
        "no route matched",
        "no route was found",
        "no route found",
        "no matching route",
        "route not found",
        "unknown route",
        "the route api",
        "method is not supported",
        "page not found",
        "no http resource",
        "no static resource",
        "no handler found",
        "cannot post /",
        "endpoint",
        "the requested url",
        "the requested resource",
        "method not allowed",
        "unsupported media type",
        "malformed json",
        "invalid json",
        "try again later",
        "request blocked",
        "blocked by policy",
        "blocked by security",
        "support id",
        "incident id",
        "ray id",
        "your ip address",
        "https required",
        "ssl required",
        "client certificate",
        "exception occurred",
        "sqlstate",
        "database error",
        "database connection",
        "database is locked",
        "database server",
        "connect to database",
        "connect to the database",
        "deadlock",
        "connection refused",
        "connection reset",
        "could not connect",
        "object reference not set",
        "is not a function",
        "undefined index",
        "undefined variable",
        "out of memory",
        "token is blacklisted",
        "token has been blacklisted",
        "token blacklisted",
        "client token",
        "signature has expired",
        "signature expired",
        "permission denied for table",
        "permission denied for relation",
        "idempotency",
        "duplicate request",
        "system is busy",
        "system busy",
        "server is busy",
        "server busy",
        "service is busy",
        "service busy",
        "system error",
        "technical error",
        "technical problem",
        "technical difficult",
        "temporary error",
        "temporary failure",
        "temporary problem",
        "we will be back",
        "we'll be back",
        "try again in a few minutes",
        "try again in a few moments",
        "try again in a few seconds",
        "try again in a moment",
        "try again in a minute",
        "try again shortly",
        "too many connections",
        "connection pool",
        "connection failed",
        "connection error",
        "connection closed",
        "connection was closed",
        "connection lost",
        "connection aborted",
        "failed to connect",
        "unable to connect to",
        "cannot connect to",
        "not open connection",
        "not open a connection",
        "getaddrinfo",
        "name or service not known",
        "network is unreachable",
        "no route to host",
        "socket hang up",
        "broken pipe",
        "curl error",
        "ssl certificate",
        "ssl error",
        "tls handshake",
        "plain http request",
        "host header",
        "lock wait timeout",
        "lock timeout",
        "lock not available",
        "acquire lock",
        "acquire a lock",
        "acquire the lock",
        "obtain lock",
        "obtain a lock",
        "obtain the lock",
        "not obtain lock",
        "not obtain a lock",
        "not obtain the lock",
        "not acquire lock",
        "not acquire a lock",
        "not acquire the lock",
        "restarting transaction",
        "could not serialize",
        "statement timeout",
        "query timeout",
        "read timeout",
        "timeout exceeded",
        "timeout expired",
        "context deadline exceeded",
        "maximum execution time",
        "allowed memory size",
        "no space left",
        "disk full",
        "stack overflow",
        "null pointer",
        "null reference",
        "nil pointer",
        "division by zero",
        "undefined array key",
        "undefined offset",
        "undefined property",
        "undefined method",
        "of undefined",
        "of null",
        "call to a member function",
        "attempt to read property",
        "trying to get property",
        "to access array offset",
        "tenant could not be identified",
        "url not found",
        "unknown column",
        "relation \"",
        "رمز الوصول",
        "رمز وصول",
        "وصول غير مصرح",
        "دخول غير مصرح",
        "غير مصرح بالوصول",
        "غير مصرح لك بالوصول",
        "غير مخول بالوصول",
        "فشل المصادقة",
        "فشلت المصادقة",
        "رمز المصادقة",
        "تسجيل الدخول",
        "حدث خطا",
        "تحت الصيانة",
        "قيد الصيانة",
        "اعمال الصيانة",
        "الخدمة غير متوفرة",
        "الخدمة غير متاحة",
        "الخادم غير متاح",
        "النظام غير متاح",
        "حاول لاحقا",
        "المحاولة لاحقا",
        "مرة اخرى لاحقا",
        "طلبات كثيرة",
        "كثرة الطلبات",
        "خطا في الخادم",
        "خطا داخلي",
        "انتهت الجلسة",
        "انتهت مهلة الطلب",
        "انتهت مهلة الاتصال",
        "المسار غير موجود",
        "الصفحة غير موجودة",
        "بيانات الاعتماد",
        "انتهت صلاحية الجلسة",
        "انتهت صلاحية جلسة",
        "انتهت صلاحية الرمز المميز",
        "الرمز المميز غير",
        "فشل الاتصال",
        "تعذر الاتصال",
        "خطا في الاتصال",
        "خطا في النظام",
        "خطا تقني",
        "عطل فني",
        "خلل فني",
        "مشكلة تقنية",
        "الاتصال بقاعدة البيانات",
        "قاعدة البيانات غير متاحة",
        "الخدمة متوقفة",
        "الخدمة مشغولة",
        "النظام مشغول",
        "الخادم مشغول",
        "النظام متوقف",
    ])
});

/// Texts that say nothing about a code where they are all that is said: a status's own name and
/// what comes to the same.
static NOTHING_SAID: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::new(&[
        "bad request",
        "invalid request",
        "not found",
        "resource not found",
        "gone",
        "conflict",
        "unprocessable entity",
        "unprocessable content",
        "unauthorized",
        "unauthorised",
        "not authorized",
        "not authorised",
        "forbidden",
        "access denied",
        "permission denied",
        "error",
        "http error",
        "unknown error",
        "timeout",
        "timed out",
        "busy",
        "maintenance",
        "try again",
        "please try again",
        "retry",
        "please retry",
        "غير مصرح",
        "غير مصرح لك",
        "غير مصرح به",
        "خطا",
        "خطا غير معروف",
        "غير موجود",
        "طلب غير صالح",
        "صيانة",
        "الصيانة",
        "مشغول",
        "حاول مرة اخرى",
        "يرجى المحاولة مرة اخرى",
        "الرجاء المحاولة مرة اخرى",
    ])
});

/// The errors of a system's calls, as a server shows them where it should not.
const ERRNO: &str = "econnrefused econnreset econnaborted etimedout esockettimedout enotfound \
    ehostunreach ehostdown enetunreach enetdown eai epipe eproto ebusy enomem enospc enobufs \
    emfile enfile enoent eacces eaddrinuse eaddrnotavail";

/// Phrases, folded once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Phrases(Vec<String>);

impl Phrases {
    /// These phrases; what has nothing to look for is left out.
    #[must_use]
    pub fn new<T: AsRef<str>>(phrases: &[T]) -> Self {
        let folded = phrases.iter().map(|phrase| spaced(phrase.as_ref()));
        Self(folded.filter(|phrase| !phrase.is_empty()).collect())
    }

    fn found_in(&self, said: &Said) -> bool {
        self.0.iter().any(|phrase| said.says(phrase))
    }
}

/// Whether `texts` say that the code was used, and do not speak of something else that can be used
/// up: a body, a stream, a quota. In English and in Arabic what was used must be the code, or must
/// not be named; of a phrase in another language its words are enough.
pub(super) fn says_used(texts: &[Said], used: &Phrases) -> bool {
    let is_used = |said: &Said| used.0.iter().any(|phrase| said.says_of_the_code(phrase));
    texts.iter().any(|said| is_used(said) && !OTHER_THINGS.found_in(said))
}

/// As [`says_used`], inside of a success: "has been redeemed" may tell what was done just now.
pub(super) fn says_used_before(said: &Said, used: &Phrases) -> bool {
    let counts = if BEFORE.found_in(said) {
        used.found_in(said)
    } else {
        !WELL.found_in(said)
            && used.0.iter().any(|phrase| said.says(phrase) && !DONE.0.contains(phrase))
    };
    counts && !OTHER_THINGS.found_in(said)
}

/// Whether a text puts something into the past.
pub(super) fn says_before(said: &Said) -> bool {
    BEFORE.found_in(said)
}

/// Whether a text says that it went well.
pub(super) fn says_well(said: &Said) -> bool {
    WELL.found_in(said)
}

/// Whether `texts` say that an earlier request is being worked on.
pub(super) fn says_in_progress(texts: &[Said], in_progress: &Phrases) -> bool {
    texts.iter().any(|said| in_progress.found_in(said))
}

/// Whether `texts` are about the caller or the moment and not about the code.
pub(super) fn says_not_the_code(texts: &[Said]) -> bool {
    texts.iter().any(|said| {
        NOT_THE_CODE.found_in(said) || said.names_an_exception() || said.misses_a_route()
    })
}

/// Whether `text` is a status's name, as frameworks put it beside their messages.
pub(super) fn is_a_status_name(text: &str) -> bool {
    let said = Said::new(text);
    said.words.contains(char::is_alphabetic) && said.is_a_status_name()
}

/// Whether `texts` are a status's name and number alone. No text at all is not.
pub(super) fn says_the_status_alone(texts: &[Said]) -> bool {
    !texts.is_empty() && texts.iter().all(Said::is_a_status_name)
}

/// A text, folded for its phrases.
pub(super) struct Said {
    words: String,
    /// A code such as `AlreadyUsed` has no spaces to look between.
    joined: bool,
}

impl Said {
    pub(super) fn new(text: &str) -> Self {
        let words = spaced(text);
        let joined = !words.contains(' ');
        Self { words, joined }
    }

    /// What it says beside the code; `None` where that is not in it.
    pub(super) fn without(&self, code: &str) -> Option<Self> {
        let bare = streak::with_in_codes_place(&self.words, &spaced(code), "");
        (bare != self.words).then(|| Self::new(&bare))
    }

    /// `phrase` must be folded.
    fn says(&self, phrase: &str) -> bool {
        self.says_so(phrase, |_, _| true)
    }

    fn says_of_the_code(&self, phrase: &str) -> bool {
        let is_meant =
            |before: &str, after: &str| subject::is_the_code(phrase, (before, after), self.joined);
        self.says_so(phrase, is_meant)
    }

    /// `is_meant` sees what stands before and after.
    fn says_so(&self, phrase: &str, is_meant: impl Fn(&str, &str) -> bool) -> bool {
        let joined = self.joined && phrase.contains(' ');
        let wanted = if joined { phrase.replace(' ', "") } else { phrase.to_owned() };
        self.words.match_indices(&wanted).any(|(at, found)| {
            let before = self.words.get(..at).unwrap_or_default();
            let after = self.words.get(at + found.len()..).unwrap_or_default();
            (joined || starts_a_word(before, phrase) && !is_denied(before))
                && is_meant(before, after)
        })
    }

    /// Such as `NullPointerException`, `TypeError` and `ECONNREFUSED`.
    fn names_an_exception(&self) -> bool {
        self.words.split(' ').map(bare).any(|word| lists(ERRNO, word) || is_of_a_program(word))
    }

    /// Such as "The route redeem could not be found."
    fn misses_a_route(&self) -> bool {
        self.words.starts_with("the route ") && self.words.contains(" could not be found")
    }

    fn is_a_status_name(&self) -> bool {
        let name = self.words.trim_matches(|c: char| !c.is_alphabetic());
        name.is_empty() || NOTHING_SAID.0.iter().any(|nothing| nothing == name)
    }
}

/// Folded, with what joins words in codes (`ALREADY_USED`, `in-progress`) as spaces.
fn spaced(text: &str) -> String {
    let parted = fold::words(text).replace(['-', '_'], " ");
    if parted.contains("  ") || parted.starts_with(' ') || parted.ends_with(' ') {
        return parted.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    }
    parted
}

/// A phrase is not found within a word: `used` is not in `unused`, and Arabic's "will be used"
/// holds its "was used". Scripts without spaces are looked at anywhere.
fn starts_a_word(before: &str, phrase: &str) -> bool {
    let joins = |c: char| c.is_ascii_alphabetic() || matches!(c, '\u{620}'..='\u{64a}');
    if !phrase.starts_with(joins) {
        return true;
    }
    // Arabic writes its "and" and "so" onto the next word.
    let bare = before.strip_suffix(['و', 'ف']).filter(|bare| !bare.ends_with(joins));
    !before.ends_with(joins) || bare.is_some()
}

/// A name that programs give their own faults. One of a reward's, such as `RewardExpiredError`, is
/// the provider's word for a refusal.
fn is_of_a_program(word: &str) -> bool {
    let last = word.rsplit('.').next().unwrap_or_default();
    let error = last.strip_suffix("error").filter(|kind| !kind.is_empty());
    let is_of_a_reward = |kind: &str| {
        let kind = kind.replace("decode", "");
        ["business", "validation"].contains(&kind.as_str())
            || REWARD.split(' ').any(|name| name.len() > 2 && kind.contains(name))
    };
    last.strip_suffix("exception").is_some_and(|kind| !kind.is_empty())
        || error.is_some_and(|kind| kind != "t" && !is_of_a_reward(kind))
}

/// The word before says no.
fn is_denied(before: &str) -> bool {
    let last = before.trim_end().rsplit(' ').next().unwrap_or_default();
    matches!(last, "not" | "never" | "لم" | "لن" | "ما" | "غير") || last.ends_with("n't")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_find_every_phrase_that_makes_a_refusal_weak_in_the_documents() {
        let trust = include_str!("../../docs/trust.md");
        let (_, list) = trust.split_once("```text\n").unwrap();
        let (list, _) = list.split_once("```").unwrap();
        let told: Vec<&str> = list.split('|').map(str::trim).collect();
        assert_eq!(Phrases::new(&told), *NOT_THE_CODE);
    }
}
