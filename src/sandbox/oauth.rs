//! Who may redeem: a fixed bearer token, or the tokens of the contract's OAuth endpoint.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::books::BareAnswer;
use crate::redemption::Secret;
use crate::text::hex;

/// Access tokens that are valid at a time; the oldest grants beyond it are refused.
const ACCESS_TOKENS_MAX: usize = 10_000;

/// The OAuth client that the token endpoint knows.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    /// `client_id`
    pub id: String,
    /// `client_secret`
    pub secret: Secret,
    /// How long an access token is good.
    pub expires_in: Duration,
    /// The refresh token that is good at start.
    pub refresh_token: Option<Secret>,
    /// The authorization code that is good once.
    pub code: Option<Secret>,
}

/// Which tokens are good now.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    fixed: Option<Secret>,
    client: Option<OAuthClient>,
    access: HashMap<String, Instant>,
    refresh: Option<Secret>,
}

/// What a gateway asks the token endpoint; JSON as the contract has it, or a form as RFC 6749 has
/// it.
#[derive(Debug, Default, Deserialize)]
struct TokenRequest {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    refresh_token: Option<Secret>,
    code: Option<Secret>,
}

impl Tokens {
    pub(super) fn new(fixed: Option<Secret>, client: Option<OAuthClient>) -> Self {
        let refresh = client.as_ref().and_then(|client| client.refresh_token.clone());
        Self { fixed, client, access: HashMap::new(), refresh }
    }

    /// Sets the fixed token, or with `None` has none; the old one is refused from now on.
    pub(super) fn set_fixed(&mut self, token: Option<Secret>) {
        self.fixed = token;
    }

    /// Refuses every access token that was given so far; with `refresh` the refresh token too.
    pub(super) fn revoke(&mut self, refresh: bool) {
        self.access.clear();
        if refresh {
            self.refresh = None;
        }
    }

    /// Whether a request with this bearer token may redeem. Without any token set, all may.
    pub(super) fn accepts(&self, token: Option<&str>, now: Instant) -> bool {
        if self.fixed.is_none() && self.client.is_none() {
            return true;
        }
        let Some(token) = token else { return false };
        self.fixed.as_ref().is_some_and(|fixed| fixed.reveal() == token)
            || self.access.get(token).is_some_and(|until| now < *until)
    }

    /// The token endpoint.
    pub(super) fn grant(&mut self, body: &[u8], now: Instant) -> BareAnswer {
        let Some(client) = &self.client else {
            return refused(404, "invalid_request", "no OAuth client is set");
        };
        let ask = serde_json::from_slice(body).unwrap_or_else(|_| form(body));
        let known = ask.client_id.as_deref() == Some(client.id.as_str())
            && ask.client_secret.as_ref() == Some(&client.secret);
        if !known {
            return refused(401, "invalid_client", "Client authentication failed");
        }
        let good = match ask.grant_type.as_deref() {
            Some("client_credentials") => true,
            Some("refresh_token") => {
                ask.refresh_token.is_some() && ask.refresh_token == self.refresh
            }
            Some("authorization_code") => ask.code.is_some() && ask.code == client.code,
            _ => return refused(400, "unsupported_grant_type", "The grant type is not supported"),
        };
        if !good {
            return refused(400, "invalid_grant", "The refresh token or code is invalid");
        }
        self.issue(ask.grant_type.as_deref() == Some("authorization_code"), now)
    }

    /// New tokens; the refresh token that brought them is refused from now on.
    fn issue(&mut self, used_code: bool, now: Instant) -> BareAnswer {
        self.access.retain(|_, until| now < *until);
        let (Some(access), Some(refresh)) = (random_token(), random_token()) else {
            return refused(503, "server_error", "no random bits");
        };
        if self.access.len() >= ACCESS_TOKENS_MAX {
            return refused(503, "server_error", "too many tokens");
        }
        let Some(client) = &mut self.client else {
            return refused(404, "invalid_request", "no OAuth client is set");
        };
        if used_code {
            client.code = None;
        }
        self.refresh = Some(Secret::new(refresh.clone()));
        self.access.insert(access.clone(), now + client.expires_in);
        let answer = json!({ "access_token": access, "token_type": "Bearer",
            "expires_in": client.expires_in.as_secs(), "refresh_token": refresh });
        BareAnswer::json(200, &answer)
    }
}

fn refused(status: u16, error: &str, message: &str) -> BareAnswer {
    BareAnswer::json(
        status,
        &json!({ "error": error, "error_description": message, "message": message }),
    )
}

fn random_token() -> Option<String> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).ok()?;
    Some(hex(&bits))
}

/// `application/x-www-form-urlencoded`.
fn form(body: &[u8]) -> TokenRequest {
    let fields =
        url::form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), value.into()));
    serde_json::from_value(serde_json::Value::Object(fields.collect())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        let client = OAuthClient {
            id: "gw".to_owned(),
            secret: Secret::new("s&cret".to_owned()),
            expires_in: Duration::from_mins(1),
            refresh_token: Some(Secret::new("first".to_owned())),
            code: None,
        };
        Tokens::new(None, Some(client))
    }

    fn answer(said: &BareAnswer) -> serde_json::Value {
        serde_json::from_slice(&said.body).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_access_token_is_good_until_it_expires() {
        let mut tokens = tokens();
        let now = Instant::now();
        let said =
            tokens.grant(b"grant_type=client_credentials&client_id=gw&client_secret=s%26cret", now);
        assert_eq!(said.status, 200);
        let said = answer(&said);
        let token = said["access_token"].as_str();
        assert!(tokens.accepts(token, now + Duration::from_secs(59)));
        assert!(!tokens.accepts(token, now + Duration::from_mins(1)));
        assert!(!tokens.accepts(Some("other"), now) && !tokens.accepts(None, now));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refresh_token_is_good_once() {
        let mut tokens = tokens();
        let now = Instant::now();
        let ask = |token: &str| {
            json!({"grant_type": "refresh_token", "client_id": "gw", "client_secret": "s&cret",
                "refresh_token": token})
            .to_string()
        };
        let said = tokens.grant(ask("first").as_bytes(), now);
        let second = answer(&said)["refresh_token"].as_str().unwrap().to_owned();
        assert_eq!(tokens.grant(ask("first").as_bytes(), now).status, 400);
        assert_eq!(tokens.grant(ask(&second).as_bytes(), now).status, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_secret_gets_nothing() {
        let said = tokens()
            .grant(b"grant_type=client_credentials&client_id=gw&client_secret=x", Instant::now());
        assert_eq!(
            (said.status, answer(&said)["error"].as_str().unwrap()),
            (401, "invalid_client")
        );
    }
}
