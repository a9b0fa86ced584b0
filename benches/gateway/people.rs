//! People at the console: each has the first screen open, which is told what changes, and looks at
//! one page after the other.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::process::{get, pause, request};

/// Between two pages.
const READS_FOR: Duration = Duration::from_secs(1);
/// What they look at.
pub(crate) const PAGES: [&str; 7] = [
    "/",
    "/inbox",
    "/search",
    "/search?state=pending",
    "/search?newest=1&till=nobody",
    "/search?newest=1&since=2020-01-01&until=2020-01-02",
    "/trail",
];

/// How long one page takes to come whole.
pub(crate) fn time_of(admin: SocketAddr, page: &str) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let text = get(admin, page)?;
    let took = begun.elapsed();
    if text.starts_with("HTTP/1.1 200") { Ok(took) } else { Err(format!("{page}: {text}").into()) }
}

/// They go when it is dropped.
pub(crate) struct People {
    gone: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl People {
    pub(crate) fn come(admin: SocketAddr, count: usize) -> Self {
        let gone = Arc::new(AtomicBool::new(false));
        let person = |_| {
            let gone = Arc::clone(&gone);
            std::thread::spawn(move || {
                if let Err(error) = look_around(admin, &gone) {
                    eprintln!("somebody at the console saw: {error}");
                }
            })
        };
        let threads = (0..count).map(person).collect();
        Self { gone, threads }
    }
}

impl Drop for People {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                eprintln!("somebody at the console fell over");
            }
        }
    }
}

fn look_around(admin: SocketAddr, gone: &AtomicBool) -> Result<(), Failure> {
    let mut stream = request(admin, "/events")?;
    stream.set_nonblocking(true)?;
    for page in PAGES.iter().cycle() {
        if gone.load(Ordering::Relaxed) {
            break;
        }
        time_of(admin, page)?;
        read_all(&mut stream)?;
        pause(READS_FOR);
    }
    Ok(())
}

/// What has come so far; a stream that ended, as each does after a minute, is left at that.
fn read_all(stream: &mut TcpStream) -> Result<(), Failure> {
    let mut bytes = [0; 16 * 1024];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
