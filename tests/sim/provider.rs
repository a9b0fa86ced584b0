//! A provider and the line to it, in memory and in virtual time: what a store's line does, and who
//! is to blame.

#![expect(clippy::wildcard_enum_match_arm, reason = "each mood shows where it matters")]

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use redeemd::forwarder::Transport;
use redeemd::link::Dice;
use redeemd::redemption::Answer;
use redeemd::store::Claimed;
use redeemd::trust::Progress;
use redeemd::verdict::{Failure, Outcome, Phase, Reply};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

/// The deadline of one attempt.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Codes that no provider gave out begin so.
pub(crate) const INVENTED: &str = "INVENTED";
/// The key of the gateway's own checks.
const CHECK: &str = "check";
/// For so long a till waits for the provider's answer: the default of `reply_within`.
const REPLY_WITHIN: Duration = Duration::from_secs(4);
/// After a 429 one redemption for which a till waits is tried so often.
const LIMITED_TRY_EVERY: Duration = Duration::from_secs(2);
/// The key of tills' checks.
const TILLS_CHECK: &str = "a till's check";
/// How long it may take until what an attempt came to is written down.
const MOMENT: Duration = Duration::from_millis(20);

/// What lies between the store and the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Up,
    /// Nothing connects.
    NoRoute,
    /// No name resolves.
    NoName,
    /// What is sent is never heard of again.
    Silent,
    /// What is sent arrives, what is answered does not.
    Deaf,
    /// Somebody else answers.
    Portal,
}

/// How the provider does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Replies are lost, connections reset, workers die, now and then.
    Flaky,
    /// It has too much to do, and says for how many seconds.
    Busy(u64),
    Broken,
    /// It takes the present credential no longer.
    Denies,
    /// It declines everything in the same words.
    Misdeployed,
    /// What stands before it refuses with this status: a route that is gone, a framework's own
    /// page.
    Edge(u16),
    /// A firewall before it blocks some codes: with 403, 401 or a page.
    Firewall,
    /// Its successes say that they failed, now and then.
    Soft,
    /// Its answers are cut, now and then: before their end, or at it.
    Cuts,
    /// It refuses in words that nobody listed.
    Foreign,
    /// Each answer takes seconds.
    Slow,
    /// It takes what comes, or not, and says nothing.
    Hangs,
    /// It resets each connection.
    Resets,
}

/// What is known of one code.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) keys: BTreeMap<String, Bytes>,
    /// Keys of these under which it may have been taken: none about which the provider has said no
    /// since then.
    pub(crate) in_doubt: BTreeSet<String>,
    pub(crate) taken_by: Option<String>,
}

pub(crate) struct State {
    dice: Dice,
    pub(crate) mood: Mood,
    pub(crate) codes: BTreeMap<String, Seen>,
    /// Codes that were used in another store.
    pub(crate) spent: BTreeSet<String>,
    /// Keys that it refused itself.
    pub(crate) declined: BTreeSet<String>,
    /// Keys that something before it refused.
    pub(crate) refused_before_it: BTreeSet<String>,
    /// Keys whose reply was lost: the next request may be told that they are being worked on.
    at_work: BTreeSet<String>,
    pub(crate) tally: BTreeMap<&'static str, u64>,
    /// Attempts since the line or the mood last changed.
    pub(crate) attempts: u64,
    /// No attempt of the drain may begin before, since the gateway was told so at that time.
    not_before: Duration,
    told_at: Duration,
    /// From and until when a 429 counts that nobody was answered after.
    limited: Option<(Duration, Duration)>,
    /// When a redemption was last tried under a 429.
    limited_try: Option<Duration>,
    /// Requests of tills that wait for an answer, with their codes and until when: what a till
    /// waits for is asked whatever the drain has to wait for.
    waiting: BTreeMap<u64, (String, Duration)>,
    tickets: u64,
    /// When a till last asked: a check of the gateway's own may be for its sake.
    pub(crate) asked_at: Duration,
    /// When anybody was last answered in the contract's shape, a check of the gateway's own among
    /// them.
    pub(crate) answered_at: Duration,
    /// When the line last changed.
    pub(crate) line_at: Duration,
    /// When names last did not resolve.
    pub(crate) nameless_at: Option<Duration>,
    /// When it last said something that ends an outage.
    pub(crate) spoke_at: Duration,
    good_credential: u64,
    /// The box dies when so many more requests have arrived.
    pub(crate) trap: Option<u32>,
    /// Of all that arrived and was answered, and when.
    trace: DefaultHasher,
}

struct Shared {
    state: Mutex<State>,
    line: watch::Sender<Line>,
    credential: watch::Sender<u64>,
    sent_with: AtomicU64,
    /// World time when the runtime began.
    clock: Mutex<(Instant, Duration)>,
    died: Arc<Notify>,
    /// What it says of a good code; `None`: it offers no checks.
    terms: Option<Terms>,
}

/// What a good code is good for, as the answer to a check.
pub(crate) type Terms = fn(&str) -> Value;

/// One provider; its clones are the same.
#[derive(Clone)]
pub(crate) struct Provider(Arc<Shared>);

struct Attempt {
    key: String,
    body: Bytes,
    credential: u64,
}

impl Attempt {
    fn is_check(&self) -> bool {
        self.key == CHECK || self.is_of_till()
    }

    fn is_of_till(&self) -> bool {
        self.key == TILLS_CHECK
    }

    fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).expect("a till's body");
        body["reward_code"].as_str().expect("a code").to_owned()
    }
}

/// What an arrived request comes to: an answer, or the end of its connection.
enum Coming {
    Answer(Reply),
    Reset,
    Silence,
}

/// A request that is on its way: whether it arrives when the box dies meanwhile is nobody's to
/// know.
struct OnItsWay<'a> {
    provider: &'a Provider,
    attempt: Option<Attempt>,
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        let Some(attempt) = self.attempt.take() else { return };
        let mut state = self.provider.state();
        if state.coin() {
            state.count("arrived after the box had died or the line was cut");
            state.arrive(&attempt, self.provider.0.terms);
        }
    }
}

impl OnItsWay<'_> {
    fn arrives(mut self) -> Coming {
        let attempt = self.attempt.take().expect("it is on its way");
        // Its key is random, drawn with those of whoever was decided in the same commit.
        self.provider.note(&attempt.body);
        let coming = self.provider.state().arrive(&attempt, self.provider.0.terms);
        self.provider.spring_trap();
        coming
    }
}

impl State {
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    /// Whether it took this redemption.
    pub(crate) fn has_taken(&self, id: &str) -> bool {
        self.codes.values().any(|seen| seen.taken_by.as_deref() == Some(id))
    }

    fn coin(&mut self) -> bool {
        self.dice.bits().is_multiple_of(2)
    }

    /// A till asks, and waits; by what is returned it is known when it hears.
    pub(crate) fn asks(&mut self, code: &str, now: Duration) -> u64 {
        self.tickets += 1;
        self.waiting.retain(|_, (_, until)| now <= *until);
        self.waiting.insert(self.tickets, (code.to_owned(), now + REPLY_WITHIN + MOMENT));
        self.asked_at = now;
        self.tickets
    }

    /// A till hears: it waits no longer.
    pub(crate) fn hears(&mut self, ticket: u64, now: Duration) {
        if let Some((_, until)) = self.waiting.get_mut(&ticket) {
            *until = now + MOMENT;
        }
    }

    /// The box slept meanwhile, and those who wait with it.
    pub(crate) fn slept(&mut self, asleep: Duration) {
        self.asked_at += asleep;
        self.waiting.values_mut().for_each(|(_, until)| *until += asleep);
    }

    /// Whether the gateway was under a 429 from then to now, and nobody was answered.
    pub(crate) fn was_limited(&self, from: Duration, now: Duration) -> bool {
        let whole = |(began, until): (Duration, Duration)| began + MOMENT < from && now < until;
        self.limited.is_some_and(|limited| whole(limited) && self.line_at < limited.0)
    }

    /// What the provider asked for holds: the drain waits, and of what tills wait for one is tried
    /// each two seconds after a 429, all of it after a 503.
    fn judge_beginning(&mut self, attempt: &Attempt, now: Duration) {
        if now <= self.told_at || now >= self.not_before {
            return;
        }
        let is_waited_for = if attempt.is_check() {
            now <= self.asked_at + 2 * REPLY_WITHIN
        } else {
            let code = attempt.code();
            self.waiting.values().any(|(waited_for, until)| *waited_for == code && now <= *until)
        };
        assert!(
            is_waited_for,
            "{} at {now:?}, before the Retry-After until {:?}",
            attempt.key, self.not_before
        );
        if self.limited.is_some_and(|(began, until)| began < now && now < until) {
            self.count("tried under a 429");
            let last = self.limited_try.replace(now);
            let is_early = last.is_some_and(|last| now < last + LIMITED_TRY_EVERY);
            assert!(!attempt.is_check() && !is_early, "tried at {last:?} and at {now:?}");
        }
    }

    /// A request has arrived: its fate by the provider's mood.
    fn arrive(&mut self, attempt: &Attempt, terms: Option<Terms>) -> Coming {
        let rolled = self.dice.bits() % 100;
        if attempt.credential < self.good_credential {
            return self.fault(
                "401",
                Coming::Answer(reply(401, &refusal("the token is not known"), None)),
            );
        }
        if let (Mood::Busy(seconds), 0..50) = (self.mood, rolled) {
            return self
                .fault("429", Coming::Answer(reply(429, &refusal("come again"), Some(seconds))));
        }
        if let Some(coming) = self.before_it(attempt) {
            return coming;
        }
        let is_able = !matches!(self.mood, Mood::Busy(_) | Mood::Broken | Mood::Hangs);
        if let Some(terms) = terms.filter(|_| attempt.is_of_till() && is_able) {
            return Coming::Answer(self.look_up(attempt, terms));
        }
        let code = if attempt.is_check() { INVENTED.to_owned() } else { self.note_key(attempt) };
        match self.mood {
            Mood::Busy(seconds) => {
                self.fault("503", Coming::Answer(reply(503, &refusal("come again"), Some(seconds))))
            }
            Mood::Broken => {
                self.fault("500", Coming::Answer(reply(500, &refusal("Server Error"), None)))
            }
            Mood::Hangs => {
                if self.coin() {
                    self.judge(&code, &attempt.key, false);
                }
                self.fault("hung", Coming::Silence)
            }
            Mood::Soft if rolled < 30 && !attempt.is_check() => {
                let failures = [
                    json!({ "success": false, "message": "Reward expired" }),
                    json!({ "status": "FAILED" }),
                    json!({ "statusCode": "500", "data": [] }),
                    json!({ "data": [], "error": { "code": 7 }, "errors": [] }),
                    json!({ "result": "مرفوض" }),
                ];
                let failed = &failures[usize::try_from(rolled).expect("few") % failures.len()];
                self.fault("said no inside of a success", Coming::Answer(reply(200, failed, None)))
            }
            _ if self.at_work.remove(&attempt.key) && rolled < 50 => {
                let text = "A request with the same Idempotency-Key is being processed";
                self.fault("409", Coming::Answer(reply(409, &json!({ "message": text }), None)))
            }
            Mood::Edge(_)
            | Mood::Firewall
            | Mood::Soft
            | Mood::Foreign
            | Mood::Slow
            | Mood::Resets
            | Mood::Well
            | Mood::Denies => Coming::Answer(self.judge(&code, &attempt.key, false)),
            Mood::Misdeployed => Coming::Answer(self.judge(&code, &attempt.key, true)),
            Mood::Flaky => self.flakily(&code, &attempt.key, rolled),
            Mood::Cuts => self.cut(&code, &attempt.key, rolled),
        }
    }

    /// Half of its answers do not come to their end.
    fn cut(&mut self, code: &str, key: &str, rolled: u64) -> Coming {
        let answer = self.judge(code, key, false);
        if rolled < 50 {
            self.at_work.insert(key.to_owned());
        }
        match rolled {
            0..25 => self.fault("cut reply", Coming::Reset),
            25..50 => {
                let mut answer = answer;
                answer.framed = false;
                answer.answer.body = Bytes::from_static(b"{\"data\":[],\"message\":\"Rew");
                self.fault("cut reply, read to its cut", Coming::Answer(answer))
            }
            _ => Coming::Answer(answer),
        }
    }

    /// What something before the provider makes of a request, which then never reaches it.
    fn before_it(&mut self, attempt: &Attempt) -> Option<Coming> {
        let hash = || attempt.code().bytes().map(u64::from).sum::<u64>();
        match self.mood {
            Mood::Edge(status) => {
                let page = match status {
                    404 => json!({ "message": "no Route matched with those values" }),
                    _ => {
                        json!({ "statusCode": status, "message": "Bad Request", "path": "/redeem" })
                    }
                };
                self.refused_before_it.insert(attempt.key.clone());
                Some(self.fault("refused by an edge", Coming::Answer(reply(status, &page, None))))
            }
            Mood::Firewall if !attempt.is_check() && hash().is_multiple_of(4) => {
                let (status, page) = match hash() / 4 % 3 {
                    0 => (403, json!({ "message": "Forbidden" })),
                    1 => (401, refusal("who asks?")),
                    _ => (403, json!("a page")),
                };
                Some(
                    self.fault("blocked by a firewall", Coming::Answer(reply(status, &page, None))),
                )
            }
            Mood::Resets => Some(self.fault("reset at once", Coming::Reset)),
            _ => None,
        }
    }

    /// It may have reached the redemption: the code that it asks for.
    fn note_key(&mut self, attempt: &Attempt) -> String {
        let code = attempt.code();
        let known = self.codes.entry(code.clone()).or_default();
        known.in_doubt.insert(attempt.key.clone());
        let before = known.keys.insert(attempt.key.clone(), attempt.body.clone());
        assert!(
            before.is_none_or(|bytes| bytes == attempt.body),
            "{}: other bytes under the same key",
            attempt.key
        );
        code
    }

    fn flakily(&mut self, code: &str, key: &str, rolled: u64) -> Coming {
        match rolled {
            0..4 => return self.fault("reset before it was taken", Coming::Reset),
            4..8 => return self.fault("500", Coming::Answer(reply(500, &Value::Null, None))),
            _ => {}
        }
        let answer = self.judge(code, key, false);
        match rolled {
            8..16 => {
                self.at_work.insert(key.to_owned());
                self.fault("lost reply", Coming::Reset)
            }
            16..18 => self.fault("hung after it was taken", Coming::Silence),
            18..20 if answer.answer.status == 200 => self.fault(
                "says both",
                Coming::Answer(reply(200, &json!({ "errors": ["odd"] }), None)),
            ),
            _ => Coming::Answer(answer),
        }
    }

    fn fault(&mut self, what: &'static str, coming: Coming) -> Coming {
        self.count(what);
        coming
    }

    /// The contract: a code is good once.
    fn judge(&mut self, code: &str, key: &str, misdeployed: bool) -> Reply {
        if code.starts_with(INVENTED) {
            return self.knows_no(code, key);
        }
        let is_spent = self.spent.contains(code);
        let known = self.codes.entry(code.to_owned()).or_default();
        if is_spent || known.taken_by.is_some() {
            let is_ours = known.taken_by.as_deref() == Some(key);
            if !is_ours {
                known.in_doubt.remove(key);
                self.declined.insert(key.to_owned());
            }
            self.count(if is_ours {
                "\"already used\" about our own attempt"
            } else {
                "\"already used\""
            });
            let text = match (self.mood, code.len() % 2) {
                (Mood::Foreign, 0) => format!("Gutschein {code} eingelöst"),
                (Mood::Foreign, _) => format!("تم استخدام المكافأة {code} من قبل"),
                _ => format!("Reward {code} has been used"),
            };
            return reply(400, &refusal(&text), None);
        }
        if misdeployed {
            known.in_doubt.remove(key);
            self.count("declined by a misdeployed provider");
            self.declined.insert(key.to_owned());
            return reply(400, &refusal("no such business"), None);
        }
        known.taken_by = Some(key.to_owned());
        self.count("taken");
        reply(200, &json!({}), None)
    }
}

impl State {
    /// What a code is good for, without taking it.
    fn look_up(&mut self, attempt: &Attempt, terms: Terms) -> Reply {
        let body: Value = serde_json::from_slice(&attempt.body).expect("a till's body");
        let code = body["reward_code"].as_str().expect("a code");
        let is_taken = self.codes.get(code).is_some_and(|known| known.taken_by.is_some());
        self.count("a till's check");
        if code.starts_with(INVENTED) {
            return reply(400, &refusal(&format!("Reward {code} not found")), None);
        }
        if is_taken || self.spent.contains(code) {
            return reply(400, &refusal(&format!("Reward {code} has been used")), None);
        }
        reply(200, &terms(code), None)
    }

    fn knows_no(&mut self, code: &str, key: &str) -> Reply {
        if let Some(known) = self.codes.get_mut(code) {
            known.in_doubt.remove(key);
        }
        self.declined.insert(key.to_owned());
        self.count("refused an invented code");
        let text = match self.mood {
            Mood::Foreign => format!("المكافأة {code} غير صالحة"),
            _ => format!("Reward {code} not found"),
        };
        reply(400, &refusal(&text), None)
    }
}

fn refusal(message: &str) -> Value {
    json!({ "data": [], "message": message, "errors": [message] })
}

fn reply(status: u16, body: &Value, retry_after_s: Option<u64>) -> Reply {
    let answer = Answer {
        status,
        content_type: Some("application/json".to_owned()),
        body: body.to_string().into(),
    };
    let retry_after = retry_after_s.map(|seconds| seconds.to_string());
    Reply {
        answer,
        truncated: false,
        retry_after,
        date: None,
        www_authenticate: None,
        content_encoding: None,
        framed: true,
    }
}

fn failed(phase: Phase, bytes_may_have_left: bool, deadline: bool) -> Outcome {
    Outcome::Failed(Failure {
        phase,
        detail: "simulated".to_owned(),
        bytes_may_have_left,
        deadline,
        sent_whole: bytes_may_have_left,
        not_http: false,
    })
}

impl Provider {
    pub(crate) fn new(seed: u64, died: &Arc<Notify>, terms: Option<Terms>) -> Self {
        let state = State {
            dice: Dice::new(seed),
            mood: Mood::Well,
            codes: BTreeMap::new(),
            spent: BTreeSet::new(),
            declined: BTreeSet::new(),
            refused_before_it: BTreeSet::new(),
            at_work: BTreeSet::new(),
            tally: BTreeMap::new(),
            attempts: 0,
            not_before: Duration::ZERO,
            told_at: Duration::ZERO,
            limited: None,
            limited_try: None,
            waiting: BTreeMap::new(),
            tickets: 0,
            asked_at: Duration::ZERO,
            answered_at: Duration::ZERO,
            line_at: Duration::ZERO,
            nameless_at: None,
            spoke_at: Duration::ZERO,
            good_credential: 0,
            trap: None,
            trace: DefaultHasher::new(),
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            line: watch::Sender::new(Line::Up),
            credential: watch::Sender::new(0),
            sent_with: AtomicU64::new(0),
            clock: Mutex::new((Instant::now(), Duration::ZERO)),
            died: Arc::clone(died),
            terms,
        }))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no panic before this one")
    }

    /// A process begins after one that ended at that world time. What was told to that one in its
    /// last moment it may not have written down.
    pub(crate) fn restart(&self, ended_at: Duration) {
        let mut state = self.state();
        state.trap = None;
        state.waiting.clear();
        state.limited_try = None;
        if state.told_at + MOMENT >= ended_at {
            (state.not_before, state.limited) = (Duration::ZERO, None);
        }
    }

    /// The runtime's time begins, or the box has slept, at this world time.
    pub(crate) fn begin(&self, world: Duration) {
        *self.0.clock.lock().expect("no panic before this one") = (Instant::now(), world);
    }

    /// The world's time.
    pub(crate) fn now(&self) -> Duration {
        let (began, world) = *self.0.clock.lock().expect("no panic before this one");
        world + began.elapsed()
    }

    pub(crate) fn note(&self, what: &impl Hash) {
        let now = self.now();
        (now, what).hash(&mut self.state().trace);
    }

    pub(crate) fn trace(&self) -> u64 {
        self.state().trace.finish()
    }

    pub(crate) fn line(&self) -> Line {
        *self.0.line.borrow()
    }

    pub(crate) fn set_line(&self, line: Line) {
        let before = self.0.line.send_replace(line);
        let now = self.now();
        let mut state = self.state();
        state.line_at = now;
        if before == Line::NoName {
            state.nameless_at = Some(now);
        }
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        let mut state = self.state();
        state.mood = mood;
        if mood == Mood::Denies {
            state.good_credential = *self.0.credential.borrow() + 1;
        }
    }

    /// The engineer puts the new token in its place.
    pub(crate) fn renew_credential(&self) {
        let good = self.state().good_credential;
        self.0.credential.send_replace(good);
    }

    pub(crate) fn takes_the_credential(&self) -> bool {
        *self.0.credential.borrow() >= self.state().good_credential
    }

    fn spring_trap(&self) {
        let mut state = self.state();
        let Some(left) = state.trap else { return };
        state.trap = left.checked_sub(1);
        if left == 0 {
            self.0.died.notify_one();
        }
    }

    /// Returns when the line is not what it was.
    async fn cut(&self) {
        let mut line = self.0.line.subscribe();
        drop(line.wait_for(|line| *line != Line::Up).await);
    }

    /// An attempt begins: how long it is under way there and back.
    fn leave(&self, attempt: &Attempt) -> (Duration, Duration) {
        let now = self.now();
        let mut state = self.state();
        state.judge_beginning(attempt, now);
        state.attempts += 1;
        let rolled = state.dice.bits();
        let slow = match state.mood {
            Mood::Slow => 700 + rolled % 2500,
            _ if rolled.is_multiple_of(40) => 2500,
            _ => 0,
        };
        let ms = |bits: u64| Duration::from_millis(2 + bits % 180 + slow);
        (ms(state.dice.bits()), ms(state.dice.bits()))
    }

    async fn travel(&self, attempt: Attempt) -> Outcome {
        let of = (attempt.is_check(), attempt.is_of_till());
        let (there, back) = self.leave(&attempt);
        let way = OnItsWay { provider: self, attempt: Some(attempt) };
        tokio::select! {
            biased;
            () = self.cut() => return failed(Phase::Answer, true, false),
            () = sleep(there) => {}
        }
        let coming = way.arrives();
        tokio::select! {
            biased;
            () = self.cut() => return failed(Phase::Answer, true, false),
            () = sleep(back) => {}
        }
        match coming {
            Coming::Answer(reply) => {
                self.told(&reply, of);
                Outcome::Answered(reply)
            }
            Coming::Reset => failed(Phase::Answer, true, false),
            Coming::Silence => {
                sleep(TIMEOUT).await;
                failed(Phase::Answer, true, true)
            }
        }
    }

    /// The answer has come back.
    fn told(&self, reply: &Reply, (is_check, to_a_tills_check): (bool, bool)) {
        let (now, mut state) = (self.now(), self.state());
        let is_read = reply.framed;
        if is_read && matches!(reply.answer.status, 200 | 400 | 404) {
            (state.answered_at, state.limited) = (now, None);
        }
        let spoke = is_read && matches!(reply.answer.status, 200 | 400 | 404);
        if spoke || (reply.retry_after.is_some() && !to_a_tills_check) {
            state.spoke_at = now;
        }
        // Who wants fewer checks may want redemptions all the same.
        if to_a_tills_check {
            return;
        }
        let Some(seconds) = reply.retry_after.as_ref().and_then(|text| text.parse().ok()) else {
            return;
        };
        let until = now + Duration::from_secs(seconds);
        (state.not_before, state.told_at) = (state.not_before.max(until), now);
        if reply.answer.status == 429 && !is_check {
            let (began, before) = state.limited.unwrap_or((now, until));
            state.limited = Some((if before < now { now } else { began }, before.max(until)));
        }
    }

    async fn attempt(&self, attempt: Attempt) -> Outcome {
        let line = self.line();
        if line == Line::Up {
            return self.travel(attempt).await;
        }
        let (there, _) = self.leave(&attempt);
        match line {
            Line::Up | Line::NoRoute => {
                sleep(there).await;
                failed(Phase::Connect, false, false)
            }
            Line::NoName => failed(Phase::Resolve, false, false),
            Line::Silent => {
                sleep(TIMEOUT).await;
                let written = self.state().coin();
                failed(if written { Phase::Write } else { Phase::Connect }, written, true)
            }
            Line::Deaf => {
                sleep(there).await;
                drop(OnItsWay { provider: self, attempt: Some(attempt) }.arrives());
                self.state().count("answered into a deaf line");
                sleep(TIMEOUT).await;
                failed(Phase::Answer, true, true)
            }
            Line::Portal => {
                sleep(there).await;
                Outcome::Answered(reply(200, &json!("a page"), None))
            }
        }
    }
}

impl Transport for Provider {
    async fn redeem(&self, row: &Claimed, _suspect: bool, progress: &Progress) -> Outcome {
        progress.note_whole(Duration::ZERO);
        let credential = *self.0.credential.borrow();
        self.0.sent_with.store(credential, Ordering::Relaxed);
        let attempt = Attempt { key: row.id.to_string(), body: row.body.clone(), credential };
        self.attempt(attempt).await
    }

    async fn check(&self, body: Bytes) -> Option<Outcome> {
        self.0.terms?;
        let credential = *self.0.credential.borrow();
        Some(self.attempt(Attempt { key: TILLS_CHECK.to_owned(), body, credential }).await)
    }

    async fn canary(&self, progress: &Progress) -> Option<Outcome> {
        progress.note_whole(Duration::ZERO);
        self.state().count("checks of the gateway's own");
        let credential = *self.0.credential.borrow();
        Some(self.attempt(Attempt { key: CHECK.to_owned(), body: Bytes::new(), credential }).await)
    }

    fn taken(&self, _body: &Bytes) {}

    fn drop_pool(&self) {}

    fn restart_unsent(&self) {}

    async fn credential_changed(&self) {
        let sent = self.0.sent_with.load(Ordering::Relaxed);
        let mut credential = self.0.credential.subscribe();
        let newer = credential.wait_for(|now| *now > sent).await.map(|newer| *newer);
        // It is told once.
        self.0.sent_with.store(newer.expect("the provider outlives the lane"), Ordering::Relaxed);
    }

    fn reload_credential(&self) {}
}
