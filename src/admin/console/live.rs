//! What changes on the first screen, as it changes: whole parts with their ids, over one stream a
//! page (the event streams of the HTML standard, section 9.2).

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame as BodyFrame;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::chart::Cached;
use super::home::{Fragment, fragments};
use super::{Frame, mark_of};
use crate::admin::rights::Asker;
use crate::admin::{Admin, Problem};
use crate::message::{Denied, Language};
use crate::queue::QueueError;

/// Streams at once; the rest of the listener's connections are for requests.
const STREAMS_MAX: usize = 16;
/// The screen is made anew at most so often, however much changes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For so long a screen that was made for one stream serves the others.
const SHARED_FOR: Duration = Duration::from_millis(900);
/// And at least so often while somebody looks: times and rates grow old by themselves.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// After so long without news a line says that the stream is alive; a proxy may close one that is
/// silent.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// How long a stream lasts; the browser comes again with the id of what it has, and who it is is
/// looked at again.
const LASTS: Duration = Duration::from_secs(60);

/// How many streams there are, and the signal that ends them.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: Arc<AtomicUsize>,
    stop: OnceLock<watch::Receiver<bool>>,
}

impl Streams {
    pub(super) fn closes_with(&self, stop: watch::Receiver<bool>) {
        // Only the first listener says when it stops; the others stop with it.
        self.stop.get_or_init(|| stop);
    }

    fn place(&self) -> Option<StreamPlace> {
        let place = StreamPlace(Arc::clone(&self.open));
        (self.open.fetch_add(1, Ordering::AcqRel) < STREAMS_MAX).then_some(place)
    }
}

struct StreamPlace(Arc<AtomicUsize>);

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// `GET /events`
pub(super) async fn events(
    State(admin): State<Arc<Admin>>,
    Extension(asker): Extension<Asker>,
    headers: HeaderMap,
) -> Response {
    let Some(place) = admin.desk.streams.place() else {
        let told = Problem::denied(StatusCode::SERVICE_UNAVAILABLE, Denied::TooManyFollow);
        return ([(header::RETRY_AFTER, "60")], told).into_response();
    };
    let known =
        headers.get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    // The parts are those of the first screen.
    let frame = Frame::new(&admin, &asker, &headers, &Uri::from_static("/"));
    let opened = *admin.queue.changes().borrow();
    let (sender, parts) = mpsc::channel(1);
    let mut task = JoinSet::new();
    task.spawn(async move {
        let sent = known.split('.').map(str::to_owned).collect();
        Follow { admin, frame, sender, opened, sent }.run().await;
        drop(place);
    });
    let types = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (types, Body::new(EventStream { parts, _task: task })).into_response()
}

/// The stream's body. Its task ends with it.
struct EventStream {
    parts: mpsc::Receiver<Bytes>,
    _task: JoinSet<()>,
}

impl hyper::body::Body for EventStream {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Self::Error>>> {
        self.parts.poll_recv(cx).map(|part| part.map(|bytes| Ok(BodyFrame::data(bytes))))
    }
}

/// What makes a stream.
struct Follow {
    admin: Arc<Admin>,
    frame: Frame,
    sender: mpsc::Sender<Bytes>,
    /// The number of changes when it was opened: its page shows them.
    opened: u64,
    /// The marks of the parts that the browser has, in their order.
    sent: Vec<String>,
}

impl Follow {
    async fn run(mut self) {
        let mut stop = self.admin.desk.streams.stop.get().cloned();
        let until = Instant::now() + LASTS;
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut spoke = Instant::now();
        let mut changes = self.admin.queue.changes();
        changes.mark_changed();
        while Instant::now() < until {
            tokio::select! {
                () = stopped(&mut stop) => return,
                () = self.sender.closed() => return,
                () = worth_a_look(&mut changes) => {}
            }
            ticks.tick().await;
            let Ok(screen) = self.screen().await else { return };
            // It may have been made for somebody else, before the last change.
            if screen.version != *changes.borrow_and_update() {
                changes.mark_changed();
            }
            let mut news = self.news(&screen);
            if news.is_empty() && spoke.elapsed() >= ALIVE_EVERY {
                news.push_str(": alive\n\n");
            }
            if !news.is_empty() {
                spoke = Instant::now();
                if self.sender.send(news.into()).await.is_err() {
                    return;
                }
            }
        }
    }

    /// The screen as it is now, the same for all who look at it in this language. One that is
    /// older than the page is not sent to it.
    async fn screen(&self) -> Result<Arc<SharedScreen>, QueueError> {
        let Frame { lang, may_engineer, .. } = &self.frame;
        let [english, arabic] = &self.admin.desk.screens;
        let [others, engineers] = match lang {
            Language::English => english,
            Language::Arabic => arabic,
        };
        let shared = if *may_engineer { engineers } else { others };
        let made = SharedScreen::new(&self.admin, &self.frame);
        shared.get_if(SHARED_FOR, |screen| screen.version >= self.opened, made).await
    }

    /// The parts that differ from those that were sent, the last with the marks of all.
    fn news(&mut self, screen: &SharedScreen) -> String {
        let is_new = |at: usize, mark: &String| self.sent.get(at) != Some(mark);
        let parts = screen.parts.iter().enumerate();
        let new = parts.filter(|(at, (mark, _))| is_new(*at, mark));
        let mut news: String = new.map(|(_, (_, event))| event.as_str()).collect();
        self.sent = screen.parts.iter().map(|(mark, _)| mark.clone()).collect();
        if !news.is_empty() {
            news = format!("{news}event: all\nid: {}\ndata: .\n\n", self.sent.join("."));
        }
        news
    }
}

/// What streams share, by language, and by whether lanes may be acted on.
pub(super) type Screens = [[Cached<SharedScreen>; 2]; 2];

/// The first screen as streams send it.
#[derive(Debug)]
pub(super) struct SharedScreen {
    /// The number of changes that it shows.
    version: u64,
    /// Each part's mark, and the part as an event.
    parts: Vec<(String, String)>,
}

impl SharedScreen {
    async fn new(admin: &Admin, frame: &Frame) -> Result<Self, QueueError> {
        let version = *admin.queue.changes().borrow();
        let parts = fragments(admin, frame).await?;
        let parts = parts.iter().map(|part| (mark_of(&["part", &part.html]), event(part)));
        Ok(Self { version, parts: parts.collect() })
    }
}

/// A line break inside the data begins another line of data.
fn event(part: &Fragment) -> String {
    let data = part.html.lines().fold(String::new(), |data, line| data + "data: " + line + "\n");
    format!("event: part\n{data}\n")
}

/// Returns when something has changed, or after a while.
async fn worth_a_look(changes: &mut watch::Receiver<u64>) {
    let news = async {
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    // When the time is over it is looked at all the same.
    drop(tokio::time::timeout(LOOK_AGAIN, news).await);
}

async fn stopped(stop: &mut Option<watch::Receiver<bool>>) {
    match stop {
        Some(stop) => drop(stop.wait_for(|stop| *stop).await),
        None => std::future::pending().await,
    }
}
