//! The drain's yardstick: a client that does nothing but send, with the same window.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::{Failure, load};

/// How long `rows` redemptions take over `window` connections.
pub(crate) fn bare_loop(to: SocketAddr, window: usize, rows: usize) -> Result<Duration, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let left = Arc::new(AtomicUsize::new(rows));
        let begun = Instant::now();
        let mut senders = JoinSet::new();
        for _ in 0..window {
            senders.spawn(sender(to, Arc::clone(&left)));
        }
        while let Some(ended) = senders.join_next().await {
            ended??;
        }
        Ok(begun.elapsed())
    })
}

async fn sender(to: SocketAddr, left: Arc<AtomicUsize>) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 4096];
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
        .is_ok()
    {
        stream.write_all(load::request("/redeem", to).as_bytes()).await?;
        load::answer(&mut stream, &mut buffer).await?;
    }
    Ok(())
}
