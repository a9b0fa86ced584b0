//! Who asks, and what a role may do.

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// What a person or a machine may do; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Every view.
    See,
    /// What becomes of single redemptions: retry, void, handled.
    Decide,
    /// Lanes, export, import, backup.
    Engineer,
}

/// Somebody whose word counts, under the name that is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Actor {
    /// A user's name as the socket tells it, or that of a token or of a person who signed in.
    pub(super) name: String,
    /// The most that is allowed.
    pub(super) right: Right,
    /// Whether it came with the console's session cookie.
    pub(super) signed_in: bool,
}

/// Who sent a request; an extension of every request.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    /// `None`: nobody vouched for it.
    pub(super) who: Option<Actor>,
    /// Whether it came from this machine.
    pub(super) is_local: bool,
}

impl Asker {
    /// Reading is free on this machine.
    pub(super) fn may(&self, right: Right) -> bool {
        let allowed = self.who.as_ref().is_some_and(|actor| actor.right >= right);
        allowed || (right == Right::See && self.who.is_none() && self.is_local)
    }

    /// The name that is recorded with an action.
    pub(super) fn name(&self) -> &str {
        self.who.as_ref().map_or("nobody", |actor| &actor.name)
    }

    /// 401 for nobody, 403 for somebody who may not.
    fn refusal(&self, right: Right) -> Option<Problem> {
        if self.may(right) {
            return None;
        }
        let Some(actor) = &self.who else {
            let detail = "this takes a credential: a bearer token of [[admin.token]], or signing in at the console";
            return Some(Problem::new(StatusCode::UNAUTHORIZED, detail));
        };
        let needed = match right {
            Right::See => "see",
            Right::Decide => "decide",
            Right::Engineer => "engineer",
        };
        Some(Problem::new(StatusCode::FORBIDDEN, format!("{} lacks the role {needed}", actor.name)))
    }
}

/// The middleware of the views.
pub(super) async fn see(request: Request, next: Next) -> Response {
    passed(Right::See, request, next).await
}

/// The middleware of what is decided about single redemptions.
pub(super) async fn decide(request: Request, next: Next) -> Response {
    passed(Right::Decide, request, next).await
}

/// The middleware of what changes lanes or lets whole codes in and out.
pub(super) async fn engineer(request: Request, next: Next) -> Response {
    passed(Right::Engineer, request, next).await
}

async fn passed(right: Right, request: Request, next: Next) -> Response {
    let unknown = Asker { who: None, is_local: false };
    let refused = request.extensions().get::<Asker>().unwrap_or(&unknown).refusal(right);
    match refused {
        None => next.run(request).await,
        Some(problem) => challenged(problem.into_response()),
    }
}

/// A 401 says which credential is meant (RFC 9110, section 11.6.1).
pub(super) fn challenged(mut response: Response) -> Response {
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(right: Option<Right>, is_local: bool) -> Asker {
        Asker { who: right.map(|right| Actor { name: "amal".to_owned(), right, signed_in: false }), is_local }
    }

    #[test]
    fn each_role_may_what_those_before_it_may() {
        for (role, allowed) in [(Right::See, 1), (Right::Decide, 2), (Right::Engineer, 3)] {
            let rights = [Right::See, Right::Decide, Right::Engineer];
            assert_eq!(rights.iter().filter(|right| asker(Some(role), false).may(**right)).count(), allowed);
        }
    }

    #[test]
    fn nobody_may_read_on_this_machine_and_nothing_else() {
        assert!(asker(None, true).may(Right::See) && !asker(None, true).may(Right::Decide));
        assert!(!asker(None, false).may(Right::See));
        let status = |asker: Asker, right| asker.refusal(right).map(|problem| problem.document()["status"].clone());
        assert_eq!(status(asker(None, true), Right::Decide), Some(401.into()));
        assert_eq!(status(asker(Some(Right::Decide), true), Right::Engineer), Some(403.into()));
        assert_eq!(status(asker(Some(Right::Engineer), false), Right::Engineer), None);
    }
}
