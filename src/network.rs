//! What the kernel says of links, addresses and routes.

/// Why it cannot be listened to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NetworkError(String);

/// A subscription.
#[derive(Debug)]
pub struct Watch;

/// Subscribes.
pub fn watch() -> Result<Watch, NetworkError> {
    Err(NetworkError("not built yet".to_owned()))
}

impl Watch {
    /// Returns at the next change.
    pub async fn changed(&mut self) {
        std::future::pending::<()>().await;
    }
}
