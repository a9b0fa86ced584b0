//! SIGHUP: the settings are read again; a fault changes nothing.

use super::RunningDaemon;
use crate::prepare::{Prepared, prepare};
use crate::settings::{NamedSecret, Problems, needs_restart, until_restart};
use crate::upstream::forget_system_authorities;

impl RunningDaemon {
    /// Reads the settings again and says how that went, to systemd, to the log and in `status`.
    pub(super) async fn reload(&mut self) {
        self.notify.reloading();
        let faults = match prepare(&self.options).and_then(Prepared::whole) {
            Ok(prepared) => self.take_over(prepared).await,
            Err(Problems(problems)) => problems.iter().map(ToString::to_string).collect(),
        };
        for fault in &faults {
            tracing::warn!("reload: {fault}");
        }
        if faults.is_empty() {
            tracing::info!("the settings were read again");
        } else {
            tracing::warn!("the reload changed nothing: the old settings stay in force");
        }
        self.core.queue.set_reload_faults(faults);
        self.warn_of_orphans();
        self.notify.ready();
        self.tell_status();
    }

    /// All that is new has been made; only what is open already and the store can still refuse it.
    async fn take_over(&mut self, prepared: Prepared) -> Vec<String> {
        let Prepared { loaded, .. } = prepared;
        let mut faults = self.listeners.opened_by(&loaded.settings, &self.begun_with);
        faults.extend(self.new_and_unread(&loaded.secrets));
        if !faults.is_empty() {
            return faults;
        }
        for warning in loaded.warnings.iter().chain(&loaded.notes) {
            tracing::warn!("{warning}");
        }
        forget_system_authorities();
        let keys = needs_restart(&self.begun_with, &loaded.settings);
        let settings = until_restart(&self.begun_with, loaded.settings);
        if let Err(fault) = self.core.reconfigure(&settings).await {
            return vec![fault.to_string()];
        }
        for key in &keys {
            tracing::warn!("{key} has changed: this takes a restart");
        }
        self.secrets = loaded.secrets;
        self.core.queue.set_restart_keys(keys);
        self.listeners.reload();
        Vec::new()
    }

    /// Secrets that are named anew and cannot be read: the good ones of before would go for them.
    /// One that was named before may be gone for a moment, and is read when it is back.
    fn new_and_unread(&self, named: &[NamedSecret]) -> impl Iterator<Item = String> {
        let was_named =
            |its: &NamedSecret| self.secrets.iter().any(|known| known.source == its.source);
        let new = named.iter().filter(move |its| !was_named(its));
        new.filter_map(|its| its.fault.clone())
    }
}
