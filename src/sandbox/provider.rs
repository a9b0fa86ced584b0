//! The provider: what it answers to a request, and which fault stands in the way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Options;
use super::answer::{self, HttpAnswer};
use super::body::{AnswerBody, Script};
use super::books::{BareAnswer, BusinessCode, ProviderBooks, RequestRecord};
use super::fault::{Cut, Fault, Spoil, Stage, When};
use super::line::LineState;
use super::log::RequestLog;
use super::oauth::Tokens;
use super::order::{self, SentOrder};
use super::rule::{ActiveRules, FaultRule, Paths, SeenRequest};
use super::wire::Tap;
use crate::listen;
use crate::text::{fits, hex};

/// The largest request body that is read, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A slow body's pace when its rule has none, bytes a second.
const RATE_DEFAULT: u64 = 1;

/// A huge body's length when its rule has none, bytes.
const HUGE_BYTES_DEFAULT: u64 = 100 * 1024 * 1024;

/// How many bytes a truncated answer promises beyond those that come.
const TRUNCATED_BYTES: usize = 100;

/// How long the listener may take to follow a change of the line.
const LINE_CHANGES_WITHIN: Duration = Duration::from_secs(5);

/// How much of an answer a record keeps, in bytes.
const RECORDED_ANSWER_BYTES_MAX: usize = 1024;

/// One sandbox, shared by its connections.
#[derive(Debug)]
pub(super) struct SandboxProvider {
    pub(super) options: Options,
    line: watch::Sender<LineState>,
    /// The state of `line` that the listener has reached.
    line_now: watch::Sender<LineState>,
    pub(super) log: RequestLog,
    started: Instant,
    inner: Mutex<ProviderState>,
}

/// What changes from request to request.
#[derive(Debug)]
pub(super) struct ProviderState {
    pub(super) books: ProviderBooks,
    pub(super) rules: ActiveRules,
    pub(super) tokens: Tokens,
    /// What a check tells of a good code, beside what it tells by itself.
    pub(super) check_data: Map<String, Value>,
    rules_set_at: Instant,
}

impl ProviderState {
    /// What the contract's check tells of a good code.
    pub(super) fn check_data(&self, code: &str) -> Map<String, Value> {
        let usual = [
            ("reward_code", json!(code)),
            ("type", json!("discount")),
            ("discount_amount", json!("10.00")),
            ("is_percentage", json!(false)),
            ("max_discount_amount", json!("0")),
            ("customer_number", json!("+966500000041")),
        ];
        let mut data: Map<_, _> =
            usual.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        data.extend(self.check_data.clone());
        data
    }
}

/// The contract's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Redeem,
    Check,
    Token,
    Webhook,
    Unknown,
}

/// One request on its way through the provider.
struct Call {
    tap: Arc<Tap>,
    endpoint: Endpoint,
    head: Parts,
    body: Bytes,
    order: Result<SentOrder, String>,
    record: RequestRecord,
}

impl SandboxProvider {
    pub(super) fn new(options: Options) -> Self {
        let now = Instant::now();
        let inner = ProviderState {
            books: ProviderBooks::new(options.records_max()),
            rules: ActiveRules::new(options.rules.clone(), Paths::of(&options), options.seed()),
            tokens: Tokens::new(options.token.clone(), options.oauth_client()),
            check_data: options.check_data.clone().unwrap_or_default(),
            rules_set_at: now,
        };
        let log = RequestLog::new(options.log_kind());
        Self {
            options,
            line: watch::Sender::new(LineState::Up),
            line_now: watch::Sender::new(LineState::Up),
            log,
            started: now,
            inner: Mutex::new(inner),
        }
    }

    /// Nobody waits for anything while holding this lock.
    pub(super) fn inner(&self) -> MutexGuard<'_, ProviderState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the rules; their counts and time windows begin anew.
    pub(super) fn set_rules(&self, rules: Vec<FaultRule>) {
        let mut inner = self.inner();
        inner.rules = ActiveRules::new(rules, Paths::of(&self.options), self.options.seed());
        inner.rules_set_at = Instant::now();
    }

    /// Cuts or restores the line; returns when the listener has done so, false if it cannot.
    pub(super) async fn set_line(&self, line: LineState) -> bool {
        let mut now = self.line_now.subscribe();
        self.line.send_replace(line);
        let reached = now.wait_for(|now| *now == line);
        matches!(tokio::time::timeout(LINE_CHANGES_WITHIN, reached).await, Ok(Ok(_)))
    }

    pub(super) fn line(&self) -> watch::Receiver<LineState> {
        self.line.subscribe()
    }

    pub(super) fn line_is_now(&self, line: LineState) {
        self.line_now.send_replace(line);
    }

    /// The rule that hits a new connection.
    pub(super) fn accept_fault(&self) -> Option<FaultRule> {
        self.inner().fire(Stage::Accept, "", None)
    }

    /// Answers one request, or breaks its connection and never returns.
    pub(super) async fn serve(
        self: Arc<Self>,
        tap: Arc<Tap>,
        connection: u64,
        request: Request<Incoming>,
    ) -> Response<AnswerBody> {
        let (head, body) = request.into_parts();
        let endpoint = self.endpoint(&head);
        let mut record = self.begin_record(&head, connection);
        let rule = self.inner().fire(Stage::Headers, head.uri.path(), None);
        if let Some(rule) = rule {
            record.fault = Some(rule.fault.name.to_owned());
            return self.break_off(&tap, record, &rule).await;
        }
        let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return self.unread(record, &*error),
        };
        if self.inner().books.keeps_records() {
            record.body = Some(String::from_utf8_lossy(&body).into_owned());
        }
        let order = order::parse(&body);
        record.code = order.as_ref().ok().and_then(|order| order.reward_code.clone());
        self.decide(Call { tap, endpoint, head, body, order, record }).await
    }

    async fn decide(&self, mut call: Call) -> Response<AnswerBody> {
        let code = call.order.as_ref().ok().and_then(|order| order.reward_code.as_deref());
        let rule = self.inner().fire(Stage::Body, call.head.uri.path(), code);
        call.record.fault = rule.as_ref().map(|rule| rule.fault.name.to_owned());
        let Some(rule) = rule else {
            let answer = self.ordinary(&mut call);
            self.keep_and_pause(&mut call, &answer, None).await;
            return answer.into_response();
        };
        match rule.fault.fault {
            Fault::Break(_, When::BeforeTaking) => {
                self.break_off(&call.tap, call.record, &rule).await
            }
            Fault::Break(how, When::MidAnswer) => self.answer_half(call, &rule, how).await,
            Fault::Break(..) => {
                self.ordinary(&mut call);
                self.break_off(&call.tap, call.record, &rule).await
            }
            Fault::Spoil(spoil) => self.answer_spoilt(call, &rule, spoil).await,
            Fault::Say { .. } => self.answer_canned(call, &rule).await,
            Fault::Pass | Fault::Mood | Fault::TlsRefuse => {
                let answer = self.ordinary(&mut call);
                self.keep_and_pause(&mut call, &answer, Some(&rule)).await;
                answer.into_response()
            }
        }
    }

    /// Records the request with its answer, then waits: who hangs up meanwhile has asked.
    async fn keep_and_pause(&self, call: &mut Call, answer: &HttpAnswer, rule: Option<&FaultRule>) {
        let mut record = std::mem::take(&mut call.record);
        self.note_answer(&mut record, &answer.said);
        self.keep(record);
        self.pause(rule).await;
    }

    async fn pause(&self, rule: Option<&FaultRule>) {
        let own = rule.and_then(|rule| rule.delay).map(|delay| delay.0).unwrap_or_default();
        let delay = self.options.delay.0 + own;
        if delay > Duration::ZERO {
            tokio::time::sleep(delay).await;
        }
    }

    /// Records a request that gets no answer and breaks its connection.
    async fn break_off(
        &self,
        tap: &Tap,
        record: RequestRecord,
        rule: &FaultRule,
    ) -> Response<AnswerBody> {
        self.keep(record);
        if let Fault::Break(how, _) = rule.fault.fault {
            self.pause(Some(rule)).await;
            // One hanging request must not silence the others of an HTTP/2 connection.
            if how != Cut::Hang {
                tap.cut(how);
            }
        }
        std::future::pending().await
    }

    async fn answer_half(
        &self,
        mut call: Call,
        rule: &FaultRule,
        how: Cut,
    ) -> Response<AnswerBody> {
        let answer = self.ordinary(&mut call);
        self.keep_and_pause(&mut call, &answer, Some(rule)).await;
        let half = answer.said.body.slice(..answer.said.body.len() / 2);
        let length = answer.said.body.len().max(1);
        let script = Script::broken_off(half, Arc::clone(&call.tap), how);
        answer.into_scripted(script, Some(length))
    }

    async fn answer_spoilt(
        &self,
        mut call: Call,
        rule: &FaultRule,
        spoil: Spoil,
    ) -> Response<AnswerBody> {
        let answer = self.ordinary(&mut call);
        self.keep_and_pause(&mut call, &answer, Some(rule)).await;
        let body = answer.said.body.clone();
        let (script, length) = match spoil {
            Spoil::Gzip => return answer.gzipped().into_response(),
            Spoil::Unframed => {
                return answer.unframed().into_scripted(Script::plain(body), None);
            }
            Spoil::EmptyUnframed => {
                return answer.unframed().into_scripted(Script::plain(Bytes::new()), None);
            }
            Spoil::CutChunks => (Script::broken_off(body, Arc::clone(&call.tap), Cut::Close), None),
            Spoil::Slow => {
                (Script::slow(body.clone(), rule.rate.unwrap_or(RATE_DEFAULT)), Some(body.len()))
            }
            Spoil::Endless => (Script::endless(rule.rate), None),
            Spoil::Huge => (Script::huge(rule.bytes.unwrap_or(HUGE_BYTES_DEFAULT)), None),
            Spoil::Truncated => {
                let length = body.len() + TRUNCATED_BYTES;
                (Script::broken_off(body, Arc::clone(&call.tap), Cut::Close), Some(length))
            }
        };
        answer.into_scripted(script, length)
    }

    async fn answer_canned(&self, mut call: Call, rule: &FaultRule) -> Response<AnswerBody> {
        let code = call.record.code.clone().unwrap_or_default();
        let answer = answer::canned(rule, &code);
        if answer::takes(rule) && call.endpoint == Endpoint::Redeem {
            self.ordinary(&mut call);
        }
        self.keep_and_pause(&mut call, &answer, Some(rule)).await;
        answer.into_response()
    }

    fn note_answer(&self, record: &mut RequestRecord, said: &BareAnswer) {
        record.status = Some(said.status);
        if self.options.records_max() > 0 {
            let start = said.body.get(..RECORDED_ANSWER_BYTES_MAX).unwrap_or(&said.body);
            record.answer = Some(String::from_utf8_lossy(start).into_owned());
        }
    }

    /// A body that is too long, or that its sender broke off.
    fn unread(
        &self,
        mut record: RequestRecord,
        error: &(dyn std::error::Error + 'static),
    ) -> Response<AnswerBody> {
        let too_long = error.is::<http_body_util::LengthLimitError>();
        let (status, message) =
            if too_long { (413, "The request is too long") } else { (400, "The body broke off") };
        let said = BareAnswer::refusal(status, message);
        self.note_answer(&mut record, &said);
        self.keep(record);
        HttpAnswer::plain(said).into_response()
    }

    /// The contract's answer, and the change of the books that goes with it.
    fn ordinary(&self, call: &mut Call) -> HttpAnswer {
        if call.endpoint != Endpoint::Unknown && call.head.method != Method::POST {
            return HttpAnswer::plain(BareAnswer::refusal(
                405,
                "The method is not supported; use POST",
            ));
        }
        match call.endpoint {
            Endpoint::Unknown => answer::page(404),
            Endpoint::Webhook => HttpAnswer::plain(webhook(&call.body)),
            Endpoint::Token => {
                HttpAnswer::plain(self.inner().tokens.grant(&call.body, Instant::now()))
            }
            Endpoint::Redeem | Endpoint::Check => {
                let token = listen::bearer(&call.head.headers);
                if !self.inner().tokens.accepts(token, Instant::now()) {
                    return answer::unauthenticated();
                }
                let wrong_type = order::wrong_type(&call.head);
                HttpAnswer::plain(wrong_type.unwrap_or_else(|| self.about_a_code(call)))
            }
        }
    }

    fn about_a_code(&self, call: &mut Call) -> BareAnswer {
        let is_redeem = call.endpoint == Endpoint::Redeem;
        let order = call.order.as_ref().map_err(|fault| vec![fault.clone()]);
        let code = match order.and_then(|order| order.code(is_redeem)) {
            Ok(code) => code,
            Err(faults) => return BareAnswer::refusals(400, &faults),
        };
        let faults = order::contracts_faults(&call.head, call.body.clone(), is_redeem);
        if !faults.is_empty() {
            return BareAnswer::refusals(400, &faults);
        }
        let extra = if self.options.strict { order::extra_fields(&call.body) } else { Vec::new() };
        if !extra.is_empty() {
            let faults: Vec<String> =
                extra.iter().map(|name| format!("The {name} field is unknown")).collect();
            return BareAnswer::refusals(400, &faults);
        }
        if is_redeem {
            let (said, took) = self.redeem(&code, header(&call.head, "idempotency-key"));
            call.record.took = took;
            return said;
        }
        if self.inner().books.is_taken(&code) {
            return used(&code.code);
        }
        BareAnswer::json(200, &json!({ "data": self.inner().check_data(&code.code), "errors": [] }))
    }

    /// Takes a code, once. Returns whether this request took it.
    fn redeem(&self, code: &BusinessCode, key: Option<&str>) -> (BareAnswer, bool) {
        if self.options.reusable.iter().any(|pattern| fits(pattern, &code.code)) {
            return (BareAnswer::success(), true);
        }
        let books = &mut self.inner().books;
        if let Some(key) = key {
            books.see_key(key, code);
        }
        let honoured = key.filter(|_| self.options.honour_keys);
        if let Some(said) = honoured.and_then(|key| books.answer_of(key)) {
            return (said.clone(), false);
        }
        let took = books.take(code);
        let said = if took { BareAnswer::success() } else { used(&code.code) };
        if let Some(key) = honoured {
            books.keep_answer(key, &said);
        }
        (said, took)
    }

    fn endpoint(&self, head: &Parts) -> Endpoint {
        let path = head.uri.path();
        let endpoints = [
            (&self.options.redeem_path, Endpoint::Redeem),
            (&self.options.check_path, Endpoint::Check),
            (&self.options.token_path, Endpoint::Token),
            (&self.options.webhook_path, Endpoint::Webhook),
        ];
        endpoints
            .into_iter()
            .find(|(known, _)| *known == path)
            .map_or(Endpoint::Unknown, |(_, endpoint)| endpoint)
    }

    fn begin_record(&self, head: &Parts, connection: u64) -> RequestRecord {
        let (n, keeps) = {
            let books = &mut self.inner().books;
            (books.count_request(), books.keeps_records())
        };
        if !keeps && !self.log.is_on() {
            return RequestRecord { n, ..RequestRecord::default() };
        }
        let text = |name| header(head, name).map(str::to_owned);
        RequestRecord {
            n,
            at_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            connection,
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            idempotency_key: text("idempotency-key"),
            attempt: text("redeemd-attempt"),
            accepted_at: text("redeemd-accepted-at"),
            content_type: text("content-type"),
            authorization: header(head, "authorization").map(hashed),
            ..RequestRecord::default()
        }
    }

    fn keep(&self, record: RequestRecord) {
        self.log.request(&record);
        self.inner().books.record(record);
    }
}

impl ProviderState {
    fn fire(&mut self, stage: Stage, path: &str, code: Option<&str>) -> Option<FaultRule> {
        let at = self.rules_set_at.elapsed();
        self.rules.fire(stage, SeenRequest { path, code, at })
    }
}

fn used(code: &str) -> BareAnswer {
    BareAnswer::refusal(400, &format!("Reward {code} has been used"))
}

/// The receiver of the contract's error webhook.
fn webhook(body: &[u8]) -> BareAnswer {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "the fields are there to be checked")]
    struct Webhook {
        code: i64,
        endpoint: String,
        message: String,
    }
    match serde_json::from_slice::<Webhook>(body) {
        Ok(_) => BareAnswer::success(),
        Err(error) => BareAnswer::refusal(400, &format!("not an error report: {error}")),
    }
}

fn header<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    head.headers.get(name).and_then(|value| value.to_str().ok())
}

/// Enough of a SHA-256 to tell tokens apart.
fn hashed(secret: &str) -> String {
    hex(Sha256::digest(secret.as_bytes()).get(..8).unwrap_or_default())
}
