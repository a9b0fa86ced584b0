//! The contract's error webhook: three failed deliveries in a row, and recovery.

use std::path::PathBuf;

use tokio::sync::watch;

use crate::settings::Alert;

/// Tells the webhook.
#[derive(Clone, Debug)]
pub struct Alerts;

impl Alerts {
    /// Off without settings.
    #[must_use]
    pub fn new(_settings: Option<&Alert>, _credentials_dir: Option<PathBuf>) -> Self {
        Self
    }

    /// A delivery failed.
    pub fn delivery_failed(&self, _lane: &str, _endpoint: &str, _code: u16, _message: &str) {}

    /// A delivery went through.
    pub fn delivered(&self, _lane: &str) {}

    /// Sends until `stop`.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        drop(stop.wait_for(|stop| *stop).await);
    }
}
