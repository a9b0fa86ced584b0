//! The settings' types: what the other rooms read, one struct a section.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that a person can set, checked. Defaults are those of the shipped file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `[gateway]`
    pub gateway: Gateway,
    /// `[intake]`
    pub intake: Intake,
    /// `[[provider]]`, in the order of the file; names are unique, at most one has no `businesses`.
    pub providers: Vec<Provider>,
    /// `[offline]`
    pub offline: Offline,
    /// `[forward]`
    pub forward: Forward,
    /// `[retention]`
    pub retention: Retention,
    /// `[admin]`
    pub admin: Admin,
    /// `[alert]`; off unless `url` is set.
    pub alert: Option<Alert>,
}

/// `[gateway]`: who this box is and where its state lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its name in every view; default: the host name.
    pub name: String,
    /// The state directory: `$STATE_DIRECTORY`, else what is set, else `/var/lib/redeemd`.
    pub state_dir: PathBuf,
}

/// `[intake]`: the tills' side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intake {
    /// Where tills connect, unless systemd hands in a socket.
    pub listen: SocketAddr,
    /// The path of a redemption.
    pub redeem_path: String,
    /// The path of a check.
    pub check_path: String,
    /// How long a till may wait for the provider's own answer.
    pub reply_within: Duration,
    /// 200 or 202.
    pub accepted_status: u16,
    /// The largest body that is read, in bytes.
    pub max_body_bytes: usize,
    /// Whether a listener without tills' tokens may stand beyond loopback.
    pub allow_anonymous: bool,
    /// The tills; without any, everybody on the listener is the till `anonymous`.
    pub tills: Vec<Till>,
    /// `[intake.tls]`
    pub tls: Option<Tls>,
}

/// `[[intake.till]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Till {
    /// The till's name, as the books and the cashier's messages show it.
    pub name: String,
    /// Where its token is.
    pub token: SecretSource,
}

/// `[intake.tls]`: certificate chain and key in PEM, read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain's file.
    pub cert_file: PathBuf,
    /// The key's file.
    pub key_file: PathBuf,
}

/// Where a secret is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file that is followed live; white space around the secret is dropped.
    File(PathBuf),
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// `[[provider]]`: one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// The lane's name.
    pub name: String,
    /// The `business_refrence` values that it serves; empty: all that no other serves.
    pub businesses: Vec<String>,
    /// The contract's Redeem.
    pub redeem_url: String,
    /// The contract's Check Reward, if offered.
    pub check_url: Option<String>,
    /// How requests are authorised.
    pub auth: Auth,
    /// The only certificate authorities to trust, instead of the platform's.
    pub ca_file: Option<PathBuf>,
    /// `http://…`: the proxy that the provider's traffic must pass.
    pub proxy: Option<String>,
    /// Whether plain http beyond loopback is explicitly allowed.
    pub allow_plain_http: bool,
    /// The whole of one attempt.
    pub timeout: Duration,
    /// Statuses that decline when the answer has the contract's shape.
    pub declined_status: Vec<u16>,
    /// Substrings (any case) of a refusal that means "already used".
    pub already_used: Vec<String>,
    /// Patterns with `*`, anchored at both ends, of codes that may be redeemed again and again.
    pub reusable_codes: Vec<String>,
}

/// How a provider's requests are authorised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// A static bearer token.
    Token(SecretSource),
    /// `[provider.oauth]`
    OAuth(OAuth),
}

/// `[provider.oauth]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth {
    /// The token endpoint.
    pub token_url: String,
    /// The client's id.
    pub client_id: String,
    /// `client_secret_file` or `client_secret_credential`.
    pub client_secret: SecretSource,
    /// `grant`: how the first token is had. A refresh token, once given, is kept in `oauth/NAME`.
    pub grant: Grant,
    /// `refresh_token_file` or `refresh_token_credential`: the first refresh token for [`Grant::RefreshToken`].
    pub refresh_token: Option<SecretSource>,
}

/// The grant of RFC 6749 by which the first token is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// RFC 6749 section 4.4.
    ClientCredentials,
    /// RFC 6749 section 6.
    RefreshToken,
}

/// `[offline]`: what may be accepted while a lane is not up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offline {
    /// Whether anything is.
    pub accept: bool,
    /// Rows pending in a lane.
    pub max_pending: u64,
    /// How long the lane may have been down.
    pub max_outage: Duration,
}

/// `[forward]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The drain's widest window; one more slot is live traffic's.
    pub max_in_flight: u32,
    /// The first backoff step.
    pub retry_min: Duration,
    /// The longest wait between two probes of a link that is down.
    pub retry_max: Duration,
    /// A fleet's drains begin within this spread after the line is back.
    pub reconnect_spread: Duration,
}

/// `[retention]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How long settled rows are kept.
    pub settled: Duration,
}

/// `[admin]`: the operators' side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// A loopback address.
    pub listen: SocketAddr,
    /// The commands' own way in: `$RUNTIME_DIRECTORY/admin.sock`, else `admin.sock` in the state directory.
    pub socket: PathBuf,
}

/// `[alert]`: the contract's error webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Where `{"code","endpoint","message"}` is posted.
    pub url: String,
    /// Optional bearer token: `token_file` or `credential`.
    pub token: Option<SecretSource>,
}
