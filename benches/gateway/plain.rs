//! The yardstick: the gateway's own HTTP server answering `{}` without storing, in a process of its
//! own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use redeemd::listen::{Bounds, Socket, serve as listen};
use tokio::sync::watch;

use crate::Failure;

pub(crate) struct Plain {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Plain {
    pub(crate) fn start() -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .env("REDEEMD_BENCH_PLAIN", "1")
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        Ok(Self { address: line.trim().parse()?, child })
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop)) {
            eprintln!("the yardstick could not be ended: {error}");
        }
    }
}

/// The child's part.
pub(crate) fn serve() -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let answer = |body: Bytes| async move {
            std::hint::black_box(body);
            ([(CONTENT_TYPE, "application/json")], "{}")
        };
        let router = Router::new().route("/redeem", post(answer));
        let (_stop, stopped) = watch::channel(false);
        listen(vec![Socket::Tcp(listener)], router, Bounds::default(), stopped).await;
        Ok(())
    })
}
