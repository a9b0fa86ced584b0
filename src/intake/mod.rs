//! The tills' HTTP.

mod ask;
mod check;
mod deciding;
mod guesses;
mod places;
mod receipt;
mod redeem;
mod reply;
mod shares;
mod tills;

pub use check::{CheckReward, Checking};

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::answered;
use crate::fold;
use crate::listen::{Guest, Inbound, Peer};
use crate::message::{Language, Refusal, Texts};
use crate::queue::Queue;
use crate::refused::{self, Reason};
use crate::settings::{Provider, Settings, UnknownCheck};
use ask::{NotDecided, TillRoute};
use deciding::Deciding;
use guesses::Guesses;
use places::Places;
use shares::Shares;
use tills::Tills;

/// How long a till may take to send a body.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// The longest method that the log has as it came.
const METHOD_CHARS_MAX: usize = 16;
/// What a till that asks too much is told to wait.
const CROWDED_RETRY_AFTER_S: u64 = 1;

/// The tills' side of the gateway: what it knows of tills and lanes, and the requests under way.
pub struct Intake {
    queue: Queue,
    check: Arc<dyn CheckReward>,
    credentials_dir: Option<PathBuf>,
    current: RwLock<Arc<Current>>,
    shares: Arc<Shares>,
    /// Checks have their own shares and their own places: they take none of a redemption's.
    check_shares: Arc<Shares>,
    places: Places,
    guesses: Guesses,
    deciding: Deciding,
    /// Checks that are with a provider.
    checking: Deciding,
}

/// What a reload can change.
struct Current {
    redeem_path: String,
    check_path: String,
    reply_within: Duration,
    accepted_status: StatusCode,
    max_body_bytes: usize,
    tills: Tills,
    /// One lane each.
    providers: Vec<Provider>,
    /// The businesses that they list, folded, by lane.
    listed: Arc<BTreeMap<String, BTreeSet<String>>>,
    texts: Texts,
    unknown_check: UnknownCheck,
}

impl Current {
    fn new(settings: &Settings, credentials_dir: Option<&Path>, earlier: Option<&Tills>) -> Self {
        let intake = &settings.intake;
        Self {
            redeem_path: intake.redeem_path.clone(),
            check_path: intake.check_path.clone(),
            reply_within: intake.reply_within,
            accepted_status: StatusCode::from_u16(intake.accepted_status).unwrap_or(StatusCode::OK),
            max_body_bytes: intake.max_body_bytes,
            tills: Tills::new(&intake.tills, credentials_dir, earlier),
            providers: settings.providers.clone(),
            listed: Arc::clone(&settings.offline.listed),
            texts: intake.texts.clone(),
            unknown_check: settings.offline.unknown_check,
        }
    }

    /// The lane that serves `business`, in whatever clothes: the first that names it, else the one
    /// that serves all others.
    fn lane(&self, business: &str) -> Option<&Provider> {
        let business = fold::code(business);
        let names = |lane: &&Provider| {
            self.listed.get(&lane.name).is_some_and(|its| its.contains(business.as_ref()))
        };
        self.providers
            .iter()
            .find(names)
            .or_else(|| self.providers.iter().find(|lane| lane.businesses.is_empty()))
    }
}

/// The routes of the tills' HTTP. They are looked up at each request, because a reload may change
/// them.
pub fn router(shared: Arc<Intake>) -> Router {
    Router::new().fallback(handle).with_state(shared)
}

async fn handle(State(intake): State<Arc<Intake>>, request: Request) -> Response {
    let begun = Instant::now();
    let (parts, body) = request.into_parts();
    let mut inbound = Inbound::new(&parts.headers, body);
    let current = intake.current();
    let Some(till) = current.tills.authenticate(&parts.headers) else {
        let answer = intake.turn_away(&current, &parts, inbound).await;
        log_answer(&current, None, &parts, &answer);
        return reply::in_own_words(answer, &current.texts);
    };
    if let Some(guest) = parts.extensions.get::<Guest>() {
        guest.is_known();
    }
    let named = Arc::clone(&till);
    let answer = intake.answer(Arc::clone(&current), till, &parts, &mut inbound).await;
    log_answer(&current, Some(&named), &parts, &answer);
    let answer = reply::in_own_words(answer, &current.texts);
    answered::count(begun.elapsed());
    inbound.discard().await;
    if inbound.has_ended() { answer } else { reply::last(answer) }
}

/// A line for each request, whatever became of it.
fn log_answer(current: &Current, till: Option<&str>, parts: &Parts, answer: &Response) {
    let (method, status) = (parts.method.as_str(), answer.status().as_u16());
    let path = ask::known_path(current, parts.uri.path());
    let method = if method.len() > METHOD_CHARS_MAX { "a long method" } else { method };
    let till = till.unwrap_or("nobody");
    tracing::debug!(method, path, till, status, "{method} {path} of {till} was answered {status}");
}

impl Intake {
    /// An intake for `settings` before `queue`. `check` forwards a Check Reward; `credentials_dir`
    /// is where systemd puts credentials. A till whose token cannot be read is logged and refused
    /// until it can.
    #[must_use]
    pub fn new(
        settings: &Settings,
        queue: Queue,
        check: impl CheckReward,
        credentials_dir: Option<PathBuf>,
    ) -> Arc<Self> {
        let current = Current::new(settings, credentials_dir.as_deref(), None);
        let intake = Arc::new(Self {
            queue,
            check: Arc::new(check),
            credentials_dir,
            current: RwLock::new(Arc::new(current)),
            shares: Shares::new(),
            check_shares: Shares::new(),
            places: Places::default(),
            guesses: Guesses::default(),
            deciding: Deciding::default(),
            checking: Deciding::default(),
        });
        let asked = Arc::downgrade(&intake);
        let look = move || asked.upgrade().map(|intake| intake.current().tills.unread());
        intake.queue.set_unread_tills(move || look().unwrap_or_default());
        intake
    }

    /// Takes paths, tills with their tokens, lanes and limits from `settings`; requests under way
    /// go on with the old. A till's token that cannot be read now stays the one that it was.
    pub fn reload(&self, settings: &Settings) {
        let (earlier, credentials_dir) = (self.current(), self.credentials_dir.as_deref());
        let current = Arc::new(Current::new(settings, credentials_dir, Some(&earlier.tills)));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
    }

    /// Waits until every request that has come whole is decided, for at most `within`; how many
    /// were given up. For the stop: after the listeners have ended and before the queue does.
    pub async fn drain(&self, within: Duration) -> usize {
        self.deciding.drain(within).await
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers a request without a valid token. Its connection makes room before any other from
    /// here on, ends with the answer, and little is read of what it sends.
    async fn turn_away(&self, current: &Current, parts: &Parts, mut inbound: Inbound) -> Response {
        if let Some(guest) = parts.extensions.get::<Guest>() {
            guest.is_turned_away();
        }
        let language = tills::asked_for(&parts.headers);
        let (answer, delay) = match ask::route(current, parts, language) {
            // Counted before anything is waited for: the connection may have to leave meanwhile.
            Ok(_) => (unauthorized(language), self.guessed(parts)),
            Err(answer) => (*answer, Duration::ZERO),
        };
        inbound.discard_strangers().await;
        tokio::time::sleep(delay).await;
        reply::last(answer)
    }

    /// Counts a request without a valid token; how long its answer is held back.
    fn guessed(&self, parts: &Parts) -> Duration {
        refused::count(Reason::Token);
        let source = parts.extensions.get::<Peer>().and_then(Peer::source);
        source.map_or(Duration::ZERO, |source| self.guesses.count(source))
    }

    async fn answer(
        self: &Arc<Self>,
        current: Arc<Current>,
        till: Arc<str>,
        parts: &Parts,
        inbound: &mut Inbound,
    ) -> Response {
        let language = current.tills.language(&till, &parts.headers);
        let asked = match ask::route(&current, parts, language) {
            Ok(asked) => asked,
            Err(answer) => return *answer,
        };
        let shares = if asked == TillRoute::Check { &self.check_shares } else { &self.shares };
        let Some(permit) = shares.take(&till, current.tills.are_configured()) else {
            return crowded(language);
        };
        match asked {
            TillRoute::Redeem => {
                match ask::redemption(&current, till, &parts.headers, inbound).await {
                    Ok(new) => {
                        let decision = redeem::decide(self.queue.clone(), current, new, language);
                        self.deciding.run(permit, decision).await
                    }
                    Err(NotDecided::Refused(answer)) => *answer,
                    Err(NotDecided::Unserved(asked)) => {
                        let repeat = redeem::repeat(&self.queue, &current, *asked, language).await;
                        repeat.unwrap_or_else(|| ask::unserved(language))
                    }
                }
            }
            TillRoute::Check => match ask::check(&current, &till, &parts.headers, inbound).await {
                Ok((lane, check)) => {
                    let intake = Arc::clone(self);
                    check::PendingCheck { intake, current, till, lane, check, language }
                        .answer()
                        .await
                }
                Err(answer) => *answer,
            },
            TillRoute::Receipt(id) => receipt::show(&self.queue, &id, &till, language).await,
            TillRoute::Void(id) => {
                let void = receipt::void(self.queue.clone(), id, till, language);
                self.deciding.run(permit, void).await
            }
        }
    }
}

fn unauthorized(language: Language) -> Response {
    let mut answer = reply::refuse(StatusCode::UNAUTHORIZED, &Refusal::Token, language);
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}

fn crowded(language: Language) -> Response {
    refused::count(Reason::Busy);
    let (status, after_s) = (StatusCode::SERVICE_UNAVAILABLE, Some(CROWDED_RETRY_AFTER_S));
    reply::refusal(status, &Refusal::Crowded, language, after_s)
}

#[cfg(test)]
mod tests;
