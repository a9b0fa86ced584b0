//! A provider of the tests' own, which shares no code with the crate: it notes every byte, and
//! fails on request.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
use serde_json::{Value, json};

use super::{Chance, moment};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;
/// The longest request head that is read, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What befalls a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The code is taken, then the connection is reset: nobody hears of it.
    LostReply,
    /// The connection is reset before the code is taken.
    Reset,
    /// 500, nothing taken.
    ServerError,
    /// The answer comes late.
    Delay,
    /// The code is taken and half of the answer is sent.
    HalfAnswer,
    /// An edge before it refuses in its name: 404, nothing taken.
    Edge,
    /// A success that says that it failed, nothing taken.
    SoftFailure,
    /// 409, the same key is being worked on; nothing taken.
    InProgress,
    /// 401, nothing taken.
    Denied,
}

/// A firewall before the provider blocks codes that begin so, while anything fails.
pub(crate) const BLOCKED: &str = "WALL-";
/// Codes that the provider never gave out begin so.
pub(crate) const INVENTED: &str = "INV-";

/// How often each fault happens, in requests of a thousand; what is left is answered at once.
pub(crate) type Shares = &'static [(Fault, u64)];

/// What is known of one code.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) keys: BTreeSet<String>,
    pub(crate) bodies: BTreeSet<Vec<u8>>,
    pub(crate) taken: u32,
    /// Under which key it was taken.
    pub(crate) taken_by: Option<String>,
    /// When requests for it came.
    pub(crate) came: Vec<Instant>,
}

/// All that has arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    pub(crate) codes: HashMap<String, Seen>,
    pub(crate) codes_of_key: HashMap<String, BTreeSet<String>>,
    /// Codes in the order in which they were taken.
    pub(crate) order: Vec<String>,
    pub(crate) faults: BTreeMap<Fault, u64>,
    /// Requests for which the line was cut before they had their answer.
    pub(crate) cut_off: u64,
    pub(crate) told_used: u64,
    /// When anybody was answered about a redemption.
    pub(crate) answered: Vec<Instant>,
    /// What could not be read as a redemption with a key.
    pub(crate) unreadable: Vec<String>,
}

struct Shared {
    notes: Mutex<Notes>,
    shares: Mutex<(Shares, Chance)>,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    up: bool,
    connections: HashMap<u64, TcpStream>,
    next: u64,
}

/// The provider. Its port stays its own, also while nobody listens there.
pub(crate) struct Witness {
    shared: Arc<Shared>,
    address: SocketAddr,
    _port: OwnedFd,
    acceptor: Option<JoinHandle<()>>,
}

impl Witness {
    pub(crate) fn start(seed: u64) -> Self {
        let port = bound((Ipv4Addr::LOCALHOST, 0).into());
        let address = SocketAddr::try_from(rustix::net::getsockname(&port).unwrap()).unwrap();
        let shared = Arc::new(Shared {
            notes: Mutex::default(),
            shares: Mutex::new((&[], Chance::new(seed))),
            line: Mutex::default(),
        });
        let mut witness = Self { shared, address, _port: port, acceptor: None };
        witness.restore();
        witness
    }

    pub(crate) fn redeem_url(&self) -> String {
        format!("http://{}/redeem", self.address)
    }

    pub(crate) fn fail(&self, shares: Shares) {
        self.shared.shares.lock().unwrap().0 = shares;
    }

    /// Connections are refused, open ones end.
    pub(crate) fn cut(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        let connections: Vec<_> = {
            let mut line = self.shared.line.lock().unwrap();
            line.up = false;
            line.connections.drain().map(|(_, stream)| stream).collect()
        };
        // Wakes the acceptor, which then closes its listener.
        drop(TcpStream::connect(self.address));
        acceptor.join().unwrap();
        for stream in connections {
            // One that has ended by itself cannot be ended again.
            stream.shutdown(Shutdown::Both).unwrap_or_default();
        }
    }

    pub(crate) fn restore(&mut self) {
        if self.acceptor.is_some() {
            return;
        }
        let socket = bound(self.address);
        listen(&socket, BACKLOG).unwrap();
        let listener = TcpListener::from(socket);
        self.shared.line.lock().unwrap().up = true;
        let shared = Arc::clone(&self.shared);
        self.acceptor = Some(std::thread::spawn(move || accept(&listener, &shared)));
    }

    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.shared.notes.lock().unwrap()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.cut();
    }
}

fn bound(address: SocketAddr) -> OwnedFd {
    // A daemon that is started meanwhile must not inherit it.
    let socket =
        socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    sockopt::set_socket_reuseaddr(&socket, true).unwrap();
    bind(&socket, &address).unwrap();
    socket
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let stream = stream.unwrap();
        let number = {
            let mut line = shared.line.lock().unwrap();
            if !line.up {
                return;
            }
            line.next += 1;
            let number = line.next;
            line.connections.insert(number, stream.try_clone().unwrap());
            number
        };
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            serve(stream, &shared);
            shared.line.lock().unwrap().connections.remove(&number);
        });
    }
}

/// Answers requests until the connection ends or a fault ends it.
fn serve(mut stream: TcpStream, shared: &Shared) {
    stream.set_nodelay(true).unwrap();
    while let Some((key, body)) = read_request(&mut stream) {
        let fault = roll(shared);
        let is_walled = !shared.shares.lock().unwrap().0.is_empty();
        let answer = shared.notes.lock().unwrap().take((key.as_ref(), is_walled), body, fault);
        let half = answer.len() - 2;
        let sent = match fault {
            Some(Fault::LostReply | Fault::Reset) => return reset(&stream),
            Some(Fault::HalfAnswer) => {
                stream.write_all(&answer[..half]).unwrap_or_default();
                return reset(&stream);
            }
            Some(Fault::Delay) => {
                moment(Duration::from_millis(120));
                stream.write_all(&answer)
            }
            Some(
                Fault::ServerError
                | Fault::Edge
                | Fault::SoftFailure
                | Fault::InProgress
                | Fault::Denied,
            )
            | None => stream.write_all(&answer),
        };
        if is_about_it(&answer) {
            shared.notes.lock().unwrap().answered.push(Instant::now());
        }
        if sent.is_err() {
            shared.notes.lock().unwrap().cut_off += 1;
            return;
        }
    }
}

/// Whether an answer is about a redemption: a success or a refusal.
fn is_about_it(answer: &[u8]) -> bool {
    [200, 400, 404].iter().any(|status| answer.starts_with(format!("HTTP/1.1 {status}").as_bytes()))
}

fn roll(shared: &Shared) -> Option<Fault> {
    let mut chance = shared.shares.lock().unwrap();
    let mut rolled = chance.1.below(1000);
    chance.0.iter().find_map(|(fault, share)| {
        let hit = rolled < *share;
        rolled = rolled.saturating_sub(*share);
        hit.then_some(*fault)
    })
}

/// Both sides lose what is under way.
fn reset(stream: &TcpStream) {
    sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap_or_default();
}

/// The idempotency key and the body of the next request.
fn read_request(stream: &mut TcpStream) -> Option<(Option<String>, Vec<u8>)> {
    let mut all = Vec::new();
    let mut chunk = [0; 4096];
    let end = loop {
        if let Some(at) = all.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        assert!(all.len() < HEAD_BYTES_MAX, "a head without an end");
        match stream.read(&mut chunk) {
            Ok(read @ 1..) => all.extend_from_slice(&chunk[..read]),
            Ok(0) | Err(_) => return None,
        }
    };
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    let header = |name: &str| {
        let mut pairs = head.lines().filter_map(|line| line.split_once(": "));
        pairs.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let length: usize = header("content-length").unwrap().parse().unwrap();
    let mut body = all.split_off(end);
    while body.len() < length {
        match stream.read(&mut chunk) {
            Ok(read @ 1..) => body.extend_from_slice(&chunk[..read]),
            Ok(0) | Err(_) => return None,
        }
    }
    assert_eq!(body.len(), length, "the next request came before this one was answered");
    Some((header("idempotency-key"), body))
}

impl Notes {
    /// Notes what came; the answer's bytes.
    fn take(
        &mut self,
        (key, is_walled): (Option<&String>, bool),
        body: Vec<u8>,
        fault: Option<Fault>,
    ) -> Vec<u8> {
        if let Some(fault) = fault {
            *self.faults.entry(fault).or_default() += 1;
        }
        let parsed: Value = serde_json::from_slice(&body).unwrap_or_default();
        let (Some(code), Some(key)) = (parsed["reward_code"].as_str(), key) else {
            self.unreadable.push(String::from_utf8_lossy(&body).into_owned());
            return answer(400, &json!({ "message": "unreadable" }));
        };
        self.codes_of_key.entry(key.clone()).or_default().insert(code.to_owned());
        let seen = self.codes.entry(code.to_owned()).or_default();
        seen.keys.insert(key.clone());
        seen.bodies.insert(body);
        seen.came.push(Instant::now());
        if code.starts_with(BLOCKED) && is_walled {
            return answer(403, &json!({ "message": "Forbidden" }));
        }
        match fault {
            Some(Fault::ServerError) => return answer(500, &json!({ "message": "Server Error" })),
            Some(Fault::Reset) => return answer(500, &Value::Null),
            Some(Fault::Edge) => {
                return answer(404, &json!({ "message": "no Route matched with those values" }));
            }
            Some(Fault::SoftFailure) => {
                return answer(200, &json!({ "success": false, "message": "Reward expired" }));
            }
            Some(Fault::InProgress) => {
                let text = "A request with the same Idempotency-Key is being processed";
                return answer(409, &json!({ "message": text }));
            }
            Some(Fault::Denied) => return answer(401, &json!({ "message": "Unauthenticated." })),
            Some(Fault::LostReply | Fault::HalfAnswer | Fault::Delay) | None => {}
        }
        if code.starts_with(INVENTED) {
            let text = format!("Reward {code} not found");
            return answer(400, &json!({ "data": [], "message": text, "errors": [text] }));
        }
        if seen.taken > 0 {
            self.told_used += 1;
            return answer(
                400,
                &json!({ "data": [], "message": format!("Reward {code} has been used") }),
            );
        }
        seen.taken += 1;
        seen.taken_by = Some(key.clone());
        self.order.push(code.to_owned());
        answer(200, &json!({}))
    }
}

fn answer(status: u16, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: \
        {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
