//! The faults: every word that a rule may use, and what it does.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use self::Cut::{Close, Hang, Reset};
use self::Fault::Break;
use self::When::{Accept, AfterTaking, BeforeTaking, Headers, MidAnswer};

/// How a connection is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// RST: the peer's reads and writes fail at once, what was under way is lost.
    Reset,
    /// FIN: an orderly end where none belongs.
    Close,
    /// Nothing more comes; the connection stays open.
    Hang,
}

/// When a connection is broken, in a request's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before a byte is read (and before TLS).
    Accept,
    /// The headers were read, the body was not.
    Headers,
    /// The whole request was read, the code was not taken.
    BeforeTaking,
    /// The code was taken, nothing was answered: the lost reply.
    AfterTaking,
    /// Half of the answer's body was sent.
    MidAnswer,
}

/// What a canned answer's body is, unless the rule has a `body`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyText {
    /// A refusal in the contract's shape with this message; `{code}` is the request's code.
    Refusal(&'static str),
    /// A web page that is nobody's answer about a redemption.
    Page,
    /// These bytes, as JSON.
    Literal(&'static str),
    /// These bytes, under this content type.
    Typed(&'static str, &'static str),
}

/// How an ordinary answer's body is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoil {
    /// `rate` bytes a second.
    Slow,
    /// It never ends.
    Endless,
    /// `bytes` long.
    Huge,
    /// `Content-Length` promises more than comes, then the connection is closed.
    Truncated,
    /// The last chunk does not come, then the connection is closed.
    CutChunks,
    /// Nothing but the end of the connection tells its end.
    Unframed,
    /// The same, without a body.
    EmptyUnframed,
    /// Compressed, although nobody asked.
    Gzip,
}

/// What a rule does to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing but the rule's delay; later rules are not asked.
    Pass,
    /// The TLS handshake is refused with an alert.
    TlsRefuse,
    /// The connection is broken.
    Break(Cut, When),
    /// Another answer than the provider's own.
    Say {
        /// Its status, unless the rule has one.
        status: u16,
        /// Its body.
        text: BodyText,
        /// `WWW-Authenticate: Bearer` is sent.
        challenge: bool,
        /// The code is taken all the same, unless the rule says otherwise.
        takes: bool,
    },
    /// The provider's own answer, spoilt on its way.
    Spoil(Spoil),
    /// Another of the faults each time, by the seed.
    Mood,
}

/// A fault by its name in rules.
#[derive(Clone, Copy)]
pub struct Word {
    /// As rules spell it.
    pub name: &'static str,
    /// What it does.
    pub fault: Fault,
    /// One line for `--help`.
    pub help: &'static str,
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

const fn say(status: u16, text: BodyText) -> Fault {
    Fault::Say { status, text, challenge: false, takes: false }
}

const fn refusal(status: u16, message: &'static str) -> Fault {
    say(status, BodyText::Refusal(message))
}

const fn page(status: u16) -> Fault {
    say(status, BodyText::Page)
}

const fn literal(status: u16, json: &'static str) -> Fault {
    say(status, BodyText::Literal(json))
}

const fn typed(status: u16, media: &'static str, bytes: &'static str) -> Fault {
    say(status, BodyText::Typed(media, bytes))
}

const fn spoil(how: Spoil) -> Fault {
    Fault::Spoil(how)
}

const fn word(name: &'static str, fault: Fault, help: &'static str) -> Word {
    Word { name, fault, help }
}

const ERRORS_IN_200: &str =
    r#"{"data":[],"message":"Reward could not be processed","errors":["not processed"]}"#;

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

const KONG_404: &str = r#"{"message":"no Route matched with those values"}"#;
const KONG_400: &str = r#"{"message":"Bad request"}"#;
const NGINX_404: &str = r#"{"code":404,"message":"Not Found"}"#;
const SPRING_400: &str = r#"{"timestamp":"2026-11-23T10:00:00.000+00:00","status":400,"error":"Bad Request","path":"/redeem"}"#;
const SPRING_404: &str = r#"{"timestamp":"2026-11-23T10:00:00.000+00:00","status":404,"error":"Not Found",
"message":"No message available","path":"/redeem"}"#;
const PROBLEM_400: &str = r#"{"type":"https://tools.ietf.org/html/rfc9110#section-15.5.1",
"title":"One or more validation errors occurred.","status":400,"errors":{"$":["The JSON value could not be converted."]}}"#;
const PROBLEM_404: &str = r#"{"type":"https://tools.ietf.org/html/rfc9110#section-15.5.5","title":"Not Found","status":404}"#;
const EDGE_410: &str = r#"{"message":"Gone"}"#;
const EXPIRED_TOKEN: &str = r#"{"message":"Token expired"}"#;
const FORBIDDEN: &str = r#"{"message":"Forbidden"}"#;
const BLOCKED: &str = "<html><head><title>Request Rejected</title></head><body>The requested URL \
    was rejected. Your support ID is: 1234567890</body></html>";
const CAPTIVE: &str = r#"{"captive":true,"user-portal-url":"https://portal.example/login"}"#;
const BUSY_KEY: &str = "A request with the same Idempotency-Key is being processed";
const USED_AR: &str = "تم استخدام هذه المكافأة {code} من قبل";
const REFUSED_AR: &str = "المكافأة {code} غير صالحة";
const USED_FR: &str = "Le bon {code} a déjà été encaissé";

const PASS: Word = word(
    "pass",
    Fault::Pass,
    "no fault: the ordinary answer, after `delay` if set; spares what later rules would hit",
);

impl Default for Word {
    fn default() -> Self {
        PASS
    }
}

/// Every fault, in the order of `--help`.
pub const WORDS: &[Word] = &[
    PASS,
    word(
        "refuse",
        refusal(400, "Reward {code} is not valid"),
        "400 in the contract's shape (set `message`)",
    ),
    word("used", refusal(400, "Reward {code} has been used"), "400, \"Reward … has been used\""),
    word("used-ar", refusal(400, USED_AR), "400, \"has been used\" in Arabic"),
    word("used-fr", refusal(400, USED_FR), "400, \"has been used\" in words that nobody listed"),
    word("refuse-ar", refusal(400, REFUSED_AR), "400, \"is not valid\" in Arabic"),
    word("in-progress", refusal(409, BUSY_KEY), "409: the same key is being worked on"),
    word(
        "pending-202",
        Fault::Say {
            status: 202,
            text: BodyText::Literal(r#"{"status":"pending"}"#),
            challenge: false,
            takes: true,
        },
        "202, it is being worked on; the code is taken",
    ),
    word("soft-success", literal(200, r#"{"success":false}"#), "200 that says `success` false"),
    word("soft-status", literal(200, r#"{"status":"error"}"#), "200 that says `status` error"),
    word("soft-error", literal(200, r#"{"error":"Reward expired"}"#), "200 with an `error`"),
    word("soft-code", literal(200, r#"{"statusCode":500}"#), "200 that says `statusCode` 500"),
    word(
        "soft-message",
        literal(200, r#"{"success":false,"message":"Reward expired"}"#),
        "200 that says that it failed, and why",
    ),
    word("errors-in-200", literal(200, ERRORS_IN_200), "200 whose `errors` is not empty"),
    word(
        "empty-200",
        Fault::Say { status: 200, text: BodyText::Literal(""), challenge: false, takes: true },
        "200 without a body; the code is taken",
    ),
    word("html-200", page(200), "200 with a web page: a captive portal"),
    word("empty-html", typed(200, "text/html", ""), "200 of type text/html without a body"),
    word(
        "captive-200",
        typed(200, "application/captive+json", CAPTIVE),
        "200 of a portal (RFC 8908)",
    ),
    word("kong-400", typed(400, JSON, KONG_400), "400 of an API gateway (Kong)"),
    word("kong-404", typed(404, JSON, KONG_404), "404 of an API gateway without a route (Kong)"),
    word("nginx-404", typed(404, JSON, NGINX_404), "404 of a proxy in JSON (nginx)"),
    word("spring-400", typed(400, JSON, SPRING_400), "400 of a framework (Spring)"),
    word("spring-404", typed(404, JSON, SPRING_404), "404 of a framework (Spring)"),
    word(
        "problem-400",
        typed(400, PROBLEM, PROBLEM_400),
        "400 of a framework, with `errors` (RFC 9457)",
    ),
    word("problem-404", typed(404, PROBLEM, PROBLEM_404), "404 of a framework (RFC 9457)"),
    word("edge-410", typed(410, JSON, EDGE_410), "410 of a proxy in JSON"),
    word("token-400", typed(400, JSON, EXPIRED_TOKEN), "400, \"Token expired\""),
    word("waf-403", typed(403, JSON, FORBIDDEN), "403 of a firewall in JSON (set `code`)"),
    word(
        "waf-403-html",
        typed(403, "text/html", BLOCKED),
        "403 of a firewall with a page (set `code`)",
    ),
    word("array-200", literal(200, "[]"), "200 with JSON that is no object"),
    word("portal", page(302), "302 to a portal (set `location`)"),
    word("401", refusal(401, "Unauthenticated."), "401 in the contract's shape"),
    word(
        "401-bearer",
        Fault::Say { status: 401, text: BodyText::Page, challenge: true, takes: false },
        "401 with `WWW-Authenticate: Bearer` and a page",
    ),
    word("401-empty", literal(401, ""), "401 without a body"),
    word("401-html", page(401), "401 with a page and no challenge: not the provider's"),
    word("403", refusal(403, "This action is unauthorized."), "403 in the contract's shape"),
    word("403-html", page(403), "403 with a page: a block page"),
    word("404-html", page(404), "404 with a page: a wrong URL"),
    word("408", page(408), "408 request timeout"),
    word("425", page(425), "425 too early"),
    word("429", refusal(429, "Too Many Attempts."), "429 (set `retry_after`)"),
    word("500", refusal(500, "Server Error"), "500 in the contract's shape"),
    word("503", page(503), "503 with a page (set `retry_after`)"),
    word("511", page(511), "511 network authentication required"),
    word("status", literal(200, "{}"), "any `status` with any `body` and `content_type`"),
    word(
        "slow-body",
        spoil(Spoil::Slow),
        "the ordinary answer at `rate` bytes a second (default 1)",
    ),
    word(
        "endless-body",
        spoil(Spoil::Endless),
        "an answer that never ends (paced by `rate` if set)",
    ),
    word("huge-body", spoil(Spoil::Huge), "an answer of `bytes` (default 104857600)"),
    word("truncated", spoil(Spoil::Truncated), "Content-Length promises more than comes, then FIN"),
    word("cut-chunks", spoil(Spoil::CutChunks), "the last chunk does not come, then FIN"),
    word(
        "unframed",
        spoil(Spoil::Unframed),
        "no length and no chunks: the connection's end alone ends the answer",
    ),
    word(
        "empty-unframed",
        spoil(Spoil::EmptyUnframed),
        "the same without a body; the code is taken",
    ),
    word("gzip", spoil(Spoil::Gzip), "the ordinary answer, compressed although nobody asked"),
    word("mood", Fault::Mood, "each time another of these that end a request at once, by the seed"),
    word("tls-refuse", Fault::TlsRefuse, "the TLS handshake ends with an alert (needs --tls)"),
    word("reset-on-accept", Break(Reset, Accept), "RST before a byte is read"),
    word("close-on-accept", Break(Close, Accept), "FIN before a byte is read"),
    word("hang-on-accept", Break(Hang, Accept), "accepts and never reads or answers"),
    word("reset-after-headers", Break(Reset, Headers), "RST when the headers were read"),
    word("close-after-headers", Break(Close, Headers), "FIN when the headers were read"),
    word("hang-after-headers", Break(Hang, Headers), "reads the headers and no more"),
    word("reset-before-taking", Break(Reset, BeforeTaking), "RST, the code is not taken"),
    word("close-before-taking", Break(Close, BeforeTaking), "FIN, the code is not taken"),
    word("hang-before-taking", Break(Hang, BeforeTaking), "never answers, the code is not taken"),
    word("reset-after-taking", Break(Reset, AfterTaking), "RST, the code is taken: a lost reply"),
    word("close-after-taking", Break(Close, AfterTaking), "FIN, the code is taken: a lost reply"),
    word("hang-after-taking", Break(Hang, AfterTaking), "never answers, the code is taken"),
    word("reset-mid-answer", Break(Reset, MidAnswer), "RST after half of the answer"),
    word("close-mid-answer", Break(Close, MidAnswer), "FIN after half of the answer"),
    word("hang-mid-answer", Break(Hang, MidAnswer), "half of the answer, then silence"),
];

/// No fault has this name.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no fault is called {0:?}; `redeemd sandbox --help` lists them")]
pub struct UnknownFault(String);

impl FromStr for Word {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        WORDS
            .iter()
            .find(|word| word.name == name)
            .copied()
            .ok_or_else(|| UnknownFault(name.to_owned()))
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Serialize for Word {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

/// What a request must have shown before a fault can be decided about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing: there is a connection.
    Accept,
    /// Method and path.
    Headers,
    /// The whole request.
    Body,
}

impl Fault {
    /// Whether a mood may come to it: it needs nothing of the rule and leaves nobody waiting.
    pub(super) fn is_a_mood(self) -> bool {
        match self {
            Self::Pass | Self::Say { .. } => true,
            Self::Spoil(spoil) => !matches!(spoil, Spoil::Slow | Spoil::Endless | Spoil::Huge),
            Self::Break(how, _) => how != Cut::Hang && self.stage() == Stage::Body,
            Self::Mood | Self::TlsRefuse => false,
        }
    }

    pub(super) fn stage(self) -> Stage {
        match self {
            Self::TlsRefuse | Self::Break(_, When::Accept) => Stage::Accept,
            Self::Break(_, When::Headers) => Stage::Headers,
            Self::Pass
            | Self::Mood
            | Self::Say { .. }
            | Self::Spoil(_)
            | Self::Break(_, When::BeforeTaking | When::AfterTaking | When::MidAnswer) => {
                Stage::Body
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_fault_has_a_name_of_its_own_and_is_found_by_it() {
        let names: BTreeSet<_> = WORDS.iter().map(|word| word.name).collect();
        assert_eq!(names.len(), WORDS.len());
        for word in WORDS {
            assert_eq!(word.name.parse::<Word>().unwrap().fault, word.fault);
        }
        assert!("reset".parse::<Word>().is_err());
    }
}
