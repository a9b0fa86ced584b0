//! The tills: connections that stay open and send fresh random codes as fast as they are answered.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Failure;
use crate::report::ratio;

/// One connection to whatever takes redemptions.
pub(crate) trait Till: Send + Sized + 'static {
    fn connect(to: SocketAddr) -> impl Future<Output = io::Result<Self>> + Send;
    /// Hands one redemption over and waits until it is acknowledged.
    fn give(&mut self) -> impl Future<Output = io::Result<()>> + Send;
}

/// Every answer's latency.
pub(crate) struct Done {
    times: Vec<Duration>,
    took: Duration,
}

impl Done {
    pub(crate) fn count(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn per_second(&self) -> f64 {
        ratio(self.times.len() as u64, 1) / self.took.as_secs_f64()
    }

    pub(crate) fn p50(&self) -> Duration {
        self.at(self.times.len() / 2)
    }

    pub(crate) fn p99(&self) -> Duration {
        self.at(self.times.len() * 99 / 100)
    }

    pub(crate) fn worst(&self) -> Duration {
        self.at(self.times.len().saturating_sub(1))
    }

    fn at(&self, place: usize) -> Duration {
        self.times.get(place).copied().unwrap_or_default()
    }
}

/// A few requests, so that what is made once is made.
pub(crate) fn warm_up(to: SocketAddr) -> Result<(), Failure> {
    run(to, 4, Duration::from_millis(500)).map(drop)
}

/// `connections` tills of ours for `round`.
pub(crate) fn run(to: SocketAddr, connections: usize, round: Duration) -> Result<Done, Failure> {
    run_as::<Http>(to, connections, round)
}

/// The same with tills that speak something else.
pub(crate) fn run_as<T: Till>(
    to: SocketAddr,
    connections: usize,
    round: Duration,
) -> Result<Done, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(T::connect(to).await?);
        }
        let begun = Instant::now();
        let mut tills = JoinSet::new();
        for till in open {
            tills.spawn(give_until(till, begun + round));
        }
        let mut times = Vec::new();
        while let Some(ended) = tills.join_next().await {
            times.extend(ended?.map_err(|error| format!("a till failed: {error}"))?);
        }
        let took = begun.elapsed();
        times.sort_unstable();
        Ok(Done { times, took })
    })
}

async fn give_until<T: Till>(mut till: T, until: Instant) -> io::Result<Vec<Duration>> {
    let mut times = Vec::new();
    while Instant::now() < until {
        let begun = Instant::now();
        till.give().await?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

/// A till that speaks the contract.
pub(crate) struct Http {
    stream: TcpStream,
    to: SocketAddr,
    buffer: Vec<u8>,
}

impl Till for Http {
    async fn connect(to: SocketAddr) -> io::Result<Self> {
        Ok(Self { stream: connect(to).await?, to, buffer: vec![0; 4096] })
    }

    async fn give(&mut self) -> io::Result<()> {
        self.stream.write_all(request("/redeem", self.to).as_bytes()).await?;
        answer(&mut self.stream, &mut self.buffer).await
    }
}

pub(crate) async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A redemption with a code that nobody has used.
pub(crate) fn request(path: &str, to: SocketAddr) -> String {
    let body = body();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {to}\r\nContent-Type: application/json\r\nAuthorization: \
         Bearer bench\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The contract's five fields.
pub(crate) fn body() -> String {
    body_of(code())
}

/// A code that nobody has used.
pub(crate) fn code() -> u128 {
    let mut random = [0; 16];
    getrandom::fill(&mut random).unwrap_or_default();
    u128::from_ne_bytes(random)
}

pub(crate) fn body_of(code: u128) -> String {
    format!(
        "{{\"reward_code\":\"{code:032x}\",\"business_refrence\":\"merchant-1\",\"branch_id\":\"branch-042\",\
         \"date\":\"2026-11-23 12:00:00\",\"timestamp\":\"1795435200\"}}"
    )
}

/// Reads one answer with a `Content-Length` and expects a 200.
pub(crate) async fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    let mut have = 0;
    loop {
        let room = buffer.get_mut(have..).unwrap_or_default();
        let read = stream.read(room).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        have += read;
        let text = String::from_utf8_lossy(buffer.get(..have).unwrap_or_default());
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.len() >= length(head)
        {
            let ok = head.starts_with("HTTP/1.1 200");
            return if ok { Ok(()) } else { Err(io::Error::other(text.into_owned())) };
        }
    }
}

fn length(head: &str) -> usize {
    let of = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    };
    head.lines().find_map(of).unwrap_or(0)
}
