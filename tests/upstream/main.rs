//! One attempt against real sockets: what is sent, and how every way in which it can end is told.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests are tests"
)]

mod alert;
mod attempts;
mod network;
mod oauth;
mod proxy;
mod server;
mod tls;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use redeemd::clock::Clock;
use redeemd::redemption::{Id, Seq};
use redeemd::settings::{Auth, Provider, SecretSource};
use redeemd::upstream::{Progress, RedeemAttempt, TokensInUse, Upstream, UpstreamContext};
use redeemd::verdict::{Failure, Outcome, Phase, Reply};

/// Everything that a test's upstream stands on.
pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Clock,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let this = Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Clock::manual(1_793_600_000_000, true),
        };
        this.write_token("first-token");
        this
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write_token(&self, token: &str) {
        std::fs::write(self.path("token"), format!("{token}\n")).unwrap();
    }

    pub(crate) fn context(&self) -> UpstreamContext {
        UpstreamContext {
            clock: self.clock.clone(),
            state_dir: self.dir.path().to_owned(),
            credentials_dir: Some(self.path("credentials")),
            gateway: "branch-042".to_owned(),
            tokens: TokensInUse::default(),
        }
    }

    pub(crate) fn provider(&self, redeem_url: &str) -> Provider {
        provider(redeem_url, &self.path("token"))
    }

    pub(crate) fn upstream(&self, redeem_url: &str) -> Upstream {
        self.upstream_of(&self.provider(redeem_url))
    }

    pub(crate) fn upstream_of(&self, provider: &Provider) -> Upstream {
        Upstream::new(provider, &self.context()).unwrap()
    }
}

fn provider(redeem_url: &str, token_file: &Path) -> Provider {
    Provider {
        declined_status: vec![400],
        already_used: Vec::new(),
        ..Provider::new("retm", redeem_url, Auth::Token(SecretSource::File(token_file.to_owned())))
    }
}

pub(crate) const BODY: &str = r#"{"reward_code":"1234","extra":[1,2]}"#;

pub(crate) fn attempt() -> RedeemAttempt {
    RedeemAttempt {
        id: Id::new(Seq(42), [7; 12]),
        number: 3,
        accepted_at_ms: 1_793_527_200_000,
        body: Bytes::from_static(BODY.as_bytes()),
        suspect: false,
    }
}

/// Whether `event` comes before this time is over. It passes at once where nothing is left to do:
/// nobody has to wait to know that it does not come.
pub(crate) async fn comes(within: Duration, event: impl Future<Output = ()>) -> bool {
    tokio::time::pause();
    let came = tokio::time::timeout(within, event).await.is_ok();
    tokio::time::resume();
    came
}

/// For an attempt that nobody looks at meanwhile.
pub(crate) fn unwatched() -> Progress {
    Progress::default()
}

/// The answer to one redemption.
pub(crate) async fn answer_of(upstream: &Upstream) -> Reply {
    answered(upstream.redeem(&attempt(), &unwatched()).await)
}

/// Why one redemption got no answer.
pub(crate) async fn failure_of(upstream: &Upstream) -> Failure {
    failed(upstream.redeem(&attempt(), &unwatched()).await)
}

pub(crate) fn answered(outcome: Outcome) -> Reply {
    match outcome {
        Outcome::Answered(reply) => reply,
        Outcome::Failed(failure) => panic!("no answer: {failure:?}"),
    }
}

pub(crate) fn failed(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed(failure) => failure,
        Outcome::Answered(reply) => panic!("answered: {reply:?}"),
    }
}

/// It failed then, and no byte of the request left.
#[track_caller]
pub(crate) fn nothing_left(failure: &Failure, phase: Phase) {
    let told = (failure.phase, failure.bytes_may_have_left);
    assert_eq!(told, (phase, false), "{}", failure.detail);
}
