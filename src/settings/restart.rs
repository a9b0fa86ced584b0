//! Which changes a reload cannot apply, and what holds until the restart.

use super::types::{Gateway, SecretSource, Settings, Tls};

/// The keys that differ between `old` and `new` and that only a restart applies, in the order of
/// [`KEYS`](super::KEYS). A certificate or token that is renewed in place is none.
#[must_use]
pub fn needs_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let cert = |tls: &Option<Tls>| tls.as_ref().map(|tls| tls.cert_file.clone());
    let key = |tls: &Option<Tls>| tls.as_ref().map(|tls| tls.key_file.clone());
    let url = |all: &Settings| all.alert.as_ref().map(|alert| alert.url.clone());
    let token = |all: &Settings| all.alert.as_ref().and_then(|alert| alert.token.clone());
    let file = |all: &Settings| token(all).filter(|token| matches!(token, SecretSource::File(_)));
    let credential =
        |all: &Settings| token(all).filter(|token| matches!(token, SecretSource::Credential(_)));
    let changed = [
        ("gateway.name", old.gateway.name != new.gateway.name),
        ("gateway.state_dir", old.gateway.state_dir != new.gateway.state_dir),
        ("intake.listen", old.intake.listen != new.intake.listen),
        ("intake.tls.cert_file", cert(&old.intake.tls) != cert(&new.intake.tls)),
        ("intake.tls.key_file", key(&old.intake.tls) != key(&new.intake.tls)),
        ("admin.listen", old.admin.listen != new.admin.listen),
        ("admin.socket", old.admin.socket != new.admin.socket),
        ("admin.tls.cert_file", cert(&old.admin.tls) != cert(&new.admin.tls)),
        ("admin.tls.key_file", key(&old.admin.tls) != key(&new.admin.tls)),
        ("alert.url", url(old) != url(new)),
        ("alert.token_file", file(old) != file(new)),
        ("alert.credential", credential(old) != credential(new)),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}

/// What a reload applies of `new` settings: all but what [`needs_restart`] names, which stays as it
/// was at the start.
#[must_use]
pub fn until_restart(begun_with: &Settings, mut new: Settings) -> Settings {
    let Settings { gateway, intake, admin, alert, .. } = begun_with.clone();
    new.gateway = Gateway { day_ends: new.gateway.day_ends, ..gateway };
    (new.intake.listen, new.intake.tls) = (intake.listen, intake.tls);
    new.admin.listen = admin.listen;
    (new.admin.socket, new.admin.tls) = (admin.socket, admin.tls);
    new.alert = alert;
    new
}
