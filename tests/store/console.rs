//! The console's pages over a real store, as an engineer on the socket sees them.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use redeemd::admin::{Admin, Info, router};
use redeemd::clock::Clock;
use redeemd::listen::Peer;
use redeemd::queue::Queue;
use tempfile::TempDir;
use tokio::sync::watch;
use tower_service::Service;

use crate::world::{NOW_MS, World, declined, new, offline, parked};

/// An open store with its console.
struct Desk {
    _dir: TempDir,
    queue: Queue,
    routes: Router,
}

impl Desk {
    fn of(mut world: World) -> Self {
        let (store, clock) = (world.store.take().unwrap(), Clock::manual(NOW_MS + 60_000, true));
        let queue = Queue::start(store, clock.clone(), offline()).unwrap();
        let (_, ready) = watch::channel(true);
        let (gateway, started) = ("box".to_owned(), tokio::time::Instant::now());
        let info = Info { gateway, version: "9.9.9", started, clock, ready };
        let routes = router(Arc::new(Admin::new(queue.clone(), info)));
        Self { _dir: world.dir, queue, routes }
    }

    /// The status, and the page or where it leads.
    async fn ask(&mut self, method: &str, path: &str, form: &str) -> (StatusCode, String) {
        let request =
            Request::builder().method(method).uri(path).header("sec-fetch-site", "same-origin");
        let mut request = request
            .header(header::ACCEPT, "text/html")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()))
            .unwrap();
        request.extensions_mut().insert(Peer { uid: Some(0), addr: None });
        let response = self.routes.call(request).await.unwrap();
        let to = response.headers().get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned());
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 8 << 20).await.unwrap();
        (status, to.unwrap_or_else(|| String::from_utf8(body.to_vec()).unwrap()))
    }

    async fn page(&mut self, path: &str) -> String {
        let (status, body) = self.ask("GET", path, "").await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    /// Confirms what a dry run has counted; the job's page once it is over.
    async fn confirmed(&mut self, counted: &str) -> String {
        let field = |name: &str| {
            let after = counted.split(&format!(r#"name="{name}" value=""#)).nth(1)?;
            Some(format!("{name}={}", after.split('"').next()?.replace("&#61;", "%3D")))
        };
        let names = ["kind", "key", "action", "most", "newest", "at_ms"];
        let fields: Vec<String> = names.into_iter().filter_map(field).collect();
        assert_eq!(fields.len(), names.len(), "{counted}");
        let form =
            format!("{}&note=a+look", fields.join("&").replace("key=state=", "key=state%3D"));
        let (status, job) = self.ask("POST", "/bulk", &form).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{job}");
        loop {
            let page = self.page(&job).await;
            if !page.contains("It runs.") {
                return page;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn what_comes_in_between_the_count_and_the_confirmation_is_not_touched() {
    let mut world = World::new();
    for n in 0..3 {
        world.take("till-1", &format!("BEFORE-{n}"));
    }
    let mut desk = Desk::of(world);
    let counted = desk.page("/bulk?kind=search&key=state%3Dpending&action=void").await;
    assert!(counted.contains("3 redemptions"), "{counted}");
    for n in 0..2 {
        desk.queue.accept(new("till-1", &format!("MEANWHILE-{n}"))).await.unwrap();
    }
    let job = desk.confirmed(&counted).await;
    assert!(job.contains("It is done.") && job.contains("3 of 3"), "{job}");
    let counts = desk.queue.counts();
    assert_eq!((counts.accepted, counts.voided), (3 + counts.pending, 3), "{counts:?}");
    desk.queue.stop().await;
}

#[tokio::test]
async fn of_what_a_line_is_held_for_is_told_that_it_waits_for_the_line() {
    let mut desk = Desk::of(World::new());
    let waits = "It is sent once an engineer presses “Let it go on” for this line.";
    for (kind, action, is_told) in [
        ("streak", "retry", true),
        ("streak", "handled", false),
        ("declined-after", "retry", false),
    ] {
        let page = desk.page(&format!("/bulk?kind={kind}&key=x&action={action}")).await;
        assert_eq!(page.contains(waits), is_told, "{kind} {action}: {page}");
    }
    desk.queue.stop().await;
}

#[tokio::test]
async fn a_job_that_reached_fewer_than_were_counted_says_so() {
    let mut world = World::new();
    let taken = ["ONE", "TWO", "THREE"].map(|code| world.take("till-1", code));
    let mut desk = Desk::of(world);
    let counted = desk.page("/bulk?kind=search&key=state%3Dpending&action=void").await;
    desk.queue.void(&taken[0].id, "the other operator was first", "noor").await.unwrap();
    let job = desk.confirmed(&counted).await;
    assert!(job.contains("2 of 3") && job.contains("Fewer were left than were counted"), "{job}");
    desk.queue.stop().await;
}

#[tokio::test]
async fn a_job_that_ends_early_says_so_and_why() {
    let mut world = World::new();
    world.settled("till-1", "LOST", declined("expired"));
    let mut desk = Desk::of(world);
    let counted = desk.page("/bulk?kind=search&key=state%3Ddeclined&action=handled").await;
    desk.queue.stop().await;
    let job = desk.confirmed(&counted).await;
    let said = "It ended before all were reached: the gateway is stopping";
    assert!(job.contains(said) && !job.contains("It is done."), "{job}");
}

#[tokio::test]
async fn what_waits_is_found_at_once_behind_whatever_has_ended_since() {
    let mut world = World::new();
    world.take("till-1", "WAITS");
    let mut desk = Desk::of(world);
    let page = desk.page("/search?state=pending").await;
    assert!(page.contains("till-1") && !page.contains("Not everything"), "{page}");
    desk.queue.stop().await;
}

#[tokio::test]
async fn after_a_refused_form_the_language_leads_to_a_page() {
    let mut world = World::new();
    let id = world.settled("till-1", "ODD", parked()).id;
    let mut desk = Desk::of(world);
    for (form, to) in [
        (format!("/redemptions/{id}/void"), format!("/redemptions/{id}")),
        ("/lanes/nope/hold".to_owned(), "/".to_owned()),
        ("/bulk".to_owned(), "/inbox".to_owned()),
        ("/jobs/7/stop".to_owned(), "/jobs/7".to_owned()),
    ] {
        let (status, page) = desk.ask("POST", &form, "note=").await;
        assert!(status.is_client_error(), "{form}: {status}");
        assert!(page.contains(&format!(r#"name="to" value="{to}""#)), "{form}: {page}");
    }
    desk.queue.stop().await;
}

#[tokio::test]
async fn a_code_as_a_list_shows_it_is_looked_for_by_its_end() {
    let mut desk = Desk::of(World::new());
    let (_, to) = desk.ask("POST", "/search", "code=%E2%80%A64711").await;
    assert_eq!(to, "/search?code_ending=4711&newest=1");
    desk.queue.stop().await;
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_answered_with_what_is_wrong_in_it() {
    let mut desk = Desk::of(World::new());
    for (path, why) in [
        ("/trail?before=x", "before: "),
        ("/inbox?from=a&from=b", "duplicate field `from`"),
        ("/sign-in?to=a&to=b", "duplicate field `to`"),
        ("/search?lane=nix", "there is no lane"),
        ("/search?limit=x", "limit: a number from 1 to 1000"),
        ("/bulk?kind=search", "missing field `key`"),
        ("/bulk?kind=x&key=y&action=void", "kind: declined-after, "),
        ("/bulk?kind=search&key=state%3Dpending&action=x", "action: retry, void, handled"),
        ("/bulk?kind=search&key=lane%3Dnix&action=void", "there is no lane"),
        ("/bulk?kind=search&key=&action=void", "at least one field"),
        ("/api/v1/redemptions?lane=nix", "there is no lane"),
        ("/api/v1/figures?lane=nix", "there is no lane"),
        ("/api/v1/figures?from=x", "a day looks like"),
    ] {
        let (status, body) = desk.ask("GET", path, "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {body}");
        let body = body.replace("&#38;", "&").replace("&#39;", "'").replace("&#96;", "`");
        assert!(body.to_lowercase().contains(&why.to_lowercase()), "{path}: {body}");
        assert_eq!(body.contains("<h1>"), !path.starts_with("/api/"), "{path}: {body}");
    }
    desk.queue.stop().await;
}

#[tokio::test]
async fn a_search_for_what_waits_is_a_field_of_its_form_and_named_before_many_are_touched() {
    let mut world = World::new();
    world.settled("till-1", "LOST", declined("expired"));
    let mut desk = Desk::of(world);
    let form = desk.page("/search").await;
    assert!(form.contains(r#"name="waiting" type="checkbox" value="1"><label"#), "{form}");
    let found = desk.page("/search?state=declined&waiting=1").await;
    assert!(found.contains(r#"name="waiting" type="checkbox" value="1" checked"#), "{found}");
    let query = "state%3Ddeclined%26waiting%3Dtrue";
    let counted = desk.page(&format!("/bulk?kind=search&key={query}&action=handled")).await;
    let named = "<span>What needs a person</span> <bdi>yes</bdi>";
    assert!(counted.contains("1 redemption") && counted.contains(named), "{counted}");
    desk.queue.stop().await;
}

#[tokio::test]
async fn a_job_says_of_what_was_refused_why() {
    let mut world = World::new();
    let id = world.take("till-1", "ON THE WIRE").id;
    world.claim();
    let mut desk = Desk::of(world);
    let counted = desk.page("/bulk?kind=search&key=state%3Dpending&action=void").await;
    let job = desk.confirmed(&counted).await;
    let why = format!("<bdi>{id}</bdi></a> <span>an attempt is on the wire");
    assert!(job.contains(&why), "{job}");
    desk.queue.stop().await;
}

#[tokio::test]
async fn a_limit_that_is_used_up_is_not_called_nearly_used_up() {
    let mut world = World::new();
    world.offline.max_pending = 5;
    for n in 0..5 {
        world.take("till-1", &format!("CODE-{n}"));
    }
    let mut desk = Desk::of(world);
    let trail = desk.page("/trail").await;
    for said in
        ["A limit is nearly used up", "80 % used: 4 of 5", "A limit is used up", "used up: 5"]
    {
        assert!(trail.contains(said), "{said}: {trail}");
    }
    desk.queue.stop().await;
}
