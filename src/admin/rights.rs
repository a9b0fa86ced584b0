//! Who asks, and what a role may do.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use crate::message::{Denied, Language};
use crate::settings::Role;

/// Somebody whose word counts, under the name that is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Actor {
    /// A user's name as the socket tells it, or that of a token or of a person who signed in.
    pub(super) name: String,
    /// The most that is allowed.
    pub(super) role: Role,
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
    /// What the API's texts are read in.
    pub(super) language: Language,
}

impl Asker {
    /// Who sent the request with these extensions.
    pub(super) fn of(extensions: &axum::http::Extensions) -> Self {
        extensions.get().cloned().unwrap_or(Self {
            who: None,
            is_local: false,
            language: Language::English,
        })
    }

    /// Somebody on this machine.
    #[cfg(test)]
    pub(super) fn local() -> Self {
        Self { who: None, is_local: true, language: Language::English }
    }

    /// Reading is free on this machine.
    pub(super) fn may(&self, needed: Role) -> bool {
        let allowed = self.who.as_ref().is_some_and(|actor| actor.role >= needed);
        allowed || (needed == Role::See && self.who.is_none() && self.is_local)
    }

    /// The name that is recorded with an action.
    pub(super) fn name(&self) -> &str {
        self.who.as_ref().map_or("nobody", |actor| &actor.name)
    }

    /// 401 for nobody, 403 for somebody who may not.
    fn refusal(&self, needed: Role) -> Option<Problem> {
        if self.may(needed) {
            return None;
        }
        let Some(actor) = &self.who else {
            return Some(Problem::denied(StatusCode::UNAUTHORIZED, Denied::NoCredential));
        };
        let role = match needed {
            Role::See => "see",
            Role::Decide => "decide",
            Role::Engineer => "engineer",
        };
        let told = Denied::LacksRole { name: actor.name.clone(), role: role.to_owned() };
        Some(Problem::denied(StatusCode::FORBIDDEN, told))
    }
}

/// The middleware of what takes this role.
pub(super) async fn needed(State(role): State<Role>, request: Request, next: Next) -> Response {
    match Asker::of(request.extensions()).refusal(role) {
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

    fn asker(role: Option<Role>, is_local: bool) -> Asker {
        Asker {
            who: role.map(|role| Actor { name: "amal".to_owned(), role, signed_in: false }),
            is_local,
            language: Language::English,
        }
    }

    #[test]
    fn each_role_may_what_those_before_it_may() {
        for (role, allowed) in [(Role::See, 1), (Role::Decide, 2), (Role::Engineer, 3)] {
            let rights = [Role::See, Role::Decide, Role::Engineer];
            assert_eq!(
                rights.iter().filter(|right| asker(Some(role), false).may(**right)).count(),
                allowed
            );
        }
    }

    #[test]
    fn nobody_may_read_on_this_machine_and_nothing_else() {
        assert!(asker(None, true).may(Role::See) && !asker(None, true).may(Role::Decide));
        assert!(!asker(None, false).may(Role::See));
        let status = |asker: Asker, right| {
            asker.refusal(right).map(|problem| problem.document()["status"].clone())
        };
        assert_eq!(status(asker(None, true), Role::Decide), Some(401.into()));
        assert_eq!(status(asker(Some(Role::Decide), true), Role::Engineer), Some(403.into()));
        assert_eq!(status(asker(Some(Role::Engineer), false), Role::Engineer), None);
    }
}
