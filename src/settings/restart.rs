//! Which changes a reload cannot apply.

use super::types::{Settings, Tls};

/// The keys that differ between `old` and `new` and that only a restart applies, in the order of
/// [`KEYS`](super::KEYS). A certificate that is renewed in place is none.
#[must_use]
pub fn needs_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let cert = |tls: &Option<Tls>| tls.as_ref().map(|tls| tls.cert_file.clone());
    let key = |tls: &Option<Tls>| tls.as_ref().map(|tls| tls.key_file.clone());
    let changed = [
        ("gateway.name", old.gateway.name != new.gateway.name),
        ("gateway.state_dir", old.gateway.state_dir != new.gateway.state_dir),
        ("intake.listen", old.intake.listen != new.intake.listen),
        ("intake.redeem_path", old.intake.redeem_path != new.intake.redeem_path),
        ("intake.check_path", old.intake.check_path != new.intake.check_path),
        ("intake.tls.cert_file", cert(&old.intake.tls) != cert(&new.intake.tls)),
        ("intake.tls.key_file", key(&old.intake.tls) != key(&new.intake.tls)),
        ("admin.listen", old.admin.listen != new.admin.listen),
        ("admin.socket", old.admin.socket != new.admin.socket),
        ("admin.tls.cert_file", cert(&old.admin.tls) != cert(&new.admin.tls)),
        ("admin.tls.key_file", key(&old.admin.tls) != key(&new.admin.tls)),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}
