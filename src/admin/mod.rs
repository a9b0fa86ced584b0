//! The operators' HTTP: status, lists, actions, metrics.

mod access;
mod actions;
mod audit;
mod backup;
mod console;
mod cookie;
mod figures;
mod filter;
mod find;
mod given;
mod guard;
mod inbound;
mod metrics;
mod needs;
mod parked;
mod password;
mod problem;
mod process;
mod redemptions;
mod rescue;
mod rights;
mod risk;
mod session;
mod signin;
mod status;
mod throttle;
mod who;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::queue::Queue;
use crate::settings::Role;
use access::Access;

pub use access::AccessRules;
pub use filter::{LIMIT_DEFAULT, LIMIT_MAX};
pub use given::NOTE_CHARS_MAX;
pub use password::{
    BYTES_MAX as PASSWORD_BYTES_MAX, CHARS_MIN as PASSWORD_CHARS_MIN, PasswordFault, hashed,
};
pub use problem::Problem;
pub use rescue::{EXPORT_ROWS_MAX, IMPORT_BYTES_MAX, IMPORT_ROWS_MAX};
pub use risk::OFF_S_MAX as TRUST_OFF_S_MAX;
pub use who::user_name;

/// The largest request body, in bytes: an action's note and its braces.
pub const BODY_BYTES_MAX: usize = 16 * 1024;

/// What the views say of the process besides what the queue knows.
#[derive(Clone, Debug)]
pub struct Info {
    /// The gateway's name.
    pub gateway: String,
    /// The daemon's version.
    pub version: &'static str,
    /// When the process started.
    pub started: Instant,
    /// Whose word on the time counts.
    pub clock: Clock,
    /// True once intake listens and the store is open.
    pub ready: watch::Receiver<bool>,
}

/// What every view and action stands on.
#[derive(Debug)]
pub struct Admin {
    queue: Queue,
    info: Info,
    access: Arc<Access>,
    desk: console::ConsoleState,
}

impl Admin {
    /// The operators' side of `queue`.
    #[must_use]
    pub fn new(queue: Queue, info: Info) -> Self {
        let access = Arc::new(Access::new(AccessRules::default()));
        Self { queue, info, access, desk: console::ConsoleState::default() }
    }

    /// Pages that follow what happens end once `stop` holds true.
    pub fn closes_with(&self, stop: watch::Receiver<bool>) {
        self.desk.closes_with(stop);
    }

    /// Who may come in from now on; everybody signs in anew.
    pub fn set_rules(&self, rules: AccessRules) {
        self.access.set(rules);
    }
}

/// The routes. Each request carries a [`Peer`](crate::listen::Peer) as an extension; one without is
/// treated like one from beyond this machine.
pub fn router(shared: Arc<Admin>) -> Router {
    let free =
        Router::new().route("/livez", get(status::livez)).route("/readyz", get(status::readyz));
    let views = Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/status", get(status::status))
        .route("/api/v1/figures", get(figures::figures))
        .route("/api/v1/names", get(status::names))
        .route("/api/v1/redemptions", get(redemptions::list))
        .route("/api/v1/search", post(redemptions::search))
        .route("/api/v1/redemptions/{id}", get(redemptions::show))
        .layer(from_fn_with_state(Role::See, rights::needed));
    let decisions = Router::new()
        .route("/api/v1/redemptions/{id}/retry", post(actions::retry))
        .route("/api/v1/redemptions/{id}/void", post(actions::void))
        .route("/api/v1/redemptions/{id}/handled", post(actions::handled))
        .layer(from_fn_with_state(Role::Decide, rights::needed));
    let access = Arc::clone(&shared.access);
    let console = console::routes(&shared);
    let api = free.merge(views).merge(decisions).merge(engineering());
    let routes = api
        .merge(console)
        .fallback(console::no_path)
        .method_not_allowed_fallback(console::no_method);
    guarded(routes.with_state(shared), access)
}

/// What changes lanes, and what lets whole codes in and out.
fn engineering() -> Router<Arc<Admin>> {
    Router::new()
        .route("/api/v1/flush", post(actions::flush))
        .route("/api/v1/hold", post(actions::hold))
        .route("/api/v1/release", post(actions::release))
        .route("/api/v1/trust", post(risk::switch_all))
        .route("/api/v1/lanes/{name}/trust", post(risk::switch))
        .route("/api/v1/lanes/{name}/flush", post(actions::flush))
        .route("/api/v1/lanes/{name}/hold", post(actions::hold))
        .route("/api/v1/lanes/{name}/release", post(actions::release))
        .route("/api/v1/lanes/{name}/retry-held", post(actions::retry_held))
        .route("/api/v1/backup", post(backup::backup))
        .route("/api/v1/export", get(rescue::export))
        .route(
            "/api/v1/import",
            post(rescue::import).layer(DefaultBodyLimit::max(IMPORT_BYTES_MAX)),
        )
        .layer(from_fn_with_state(Role::Engineer, rights::needed))
}

/// What holds for every route, the missing ones included.
fn guarded(routes: Router, access: Arc<Access>) -> Router {
    routes
        .layer(from_fn(inbound::in_time))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(&access), access::identify))
        .layer(from_fn_with_state(access, guard::guard))
        .layer(from_fn(problem::in_language))
}
