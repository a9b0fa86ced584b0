//! SIGHUP: the settings are read again; a faulty file changes nothing.

use super::Daemon;
use crate::settings::{Loaded, load, needs_restart};

impl Daemon {
    /// Reads the settings again and says how that went, to systemd, to the log and in `status`.
    pub(super) async fn reload(&mut self) {
        self.notify.reloading();
        let faults = match load(&self.options) {
            Ok(loaded) => self.take_over(loaded).await,
            Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
        };
        for fault in &faults {
            tracing::error!("reload: {fault}");
        }
        if faults.is_empty() {
            tracing::info!("the settings were read again");
        } else {
            tracing::error!("the old settings stay in force");
        }
        self.core.queue.set_reload_faults(faults);
        self.warn_of_orphans();
        self.notify.ready();
        self.tell_status();
    }

    async fn take_over(&mut self, loaded: Loaded) -> Vec<String> {
        let Loaded { settings, warnings, .. } = loaded;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        for key in needs_restart(&self.settings, &settings) {
            tracing::warn!(key, "this change takes a restart");
        }
        if let Err(fault) = self.listeners.reload() {
            return vec![fault];
        }
        if let Err(fault) = self.core.reconfigure(&settings).await {
            return vec![fault.to_string()];
        }
        self.settings = settings;
        Vec::new()
    }
}
