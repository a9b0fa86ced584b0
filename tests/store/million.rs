//! A million rows: what each page of the operators' side costs, counted in SQLite's own steps.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use redeemd::admin::{Admin, Info, router};
use redeemd::clock::Clock;
use redeemd::listen::Peer;
use redeemd::queue::Queue;
use redeemd::settings::Offline;
use redeemd::store::{FILE, Store, read_steps};
use tokio::sync::watch;
use tower_service::Service;

const ROWS: i64 = 1_000_000;
/// Of these, each so-many-th is declined after the fact, parked, inferred.
const DECLINED: i64 = 50;
const PARKED: i64 = 97;
const INFERRED: i64 = 1000;
/// A look reads 20,000 rows at most, at some twenty steps each, or ends after 40 ms; a count looks
/// ten times, and reads whole what waits: on a fast machine all 31,000 rows, at some 55 steps each.
/// Reading the whole table once takes ten million.
const STEPS_MAX: u64 = 2_500_000;

/// Two hundred thousand entries of the trail, of which the newest half is not shown in it, and all
/// of the newest thousand are about one redemption.
const EVENTS: &str =
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
    INSERT INTO event (at_ms, seq, id, lane, what, by, detail)
    SELECT i, CASE WHEN i > 199000 THEN 777000 END, NULL, 'retm',
        CASE WHEN i > 100000 THEN 'answered' ELSE 'retry' END, 'amal', '{\"m\":\"retry\"}' FROM n";
/// The figures of 800 days and 100 tills.
const TALLIES: &str =
    "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 79999)
    INSERT INTO tally SELECT 19600 + i / 100, 1, 'till-' || (i % 100), 0, 9, 1, 0, 8, 1, 0, 0, 0, 1,
        0, 0, 0 FROM n WHERE true ON CONFLICT DO NOTHING";
/// The refusals of as many days, for twenty reasons.
const REFUSALS: &str =
    "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 15999)
    INSERT INTO refusal SELECT 19600 + i / 20, 'reason-' || (i % 20), 3 FROM n";

/// A store with so many rows in it; a million are as if they had come over a year.
fn filled(dir: &Path, rows: i64) {
    let (mut store, _) = Store::open(dir).unwrap();
    store.ensure_lanes(&["retm".to_owned()]).unwrap();
    let path = store.path();
    store.close().unwrap();
    let sql = rusqlite::Connection::open(path).unwrap();
    let sql_of = |name: &str| -> String {
        sql.query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [name], |row| row.get(0))
            .unwrap()
    };
    let indexes = ["redemption_key", "redemption_pending", "redemption_exception"];
    let made: Vec<String> = indexes.into_iter().map(sql_of).collect();
    for index in indexes {
        sql.execute_batch(&format!("DROP INDEX {index}")).unwrap();
    }
    let rows = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO redemption (seq, tag, origin, lane, till, key, key_rest, request, guard, \
         business, code, branch,
             date, accepted_ms, kind, body_crc, crc, state, in_flight, marks, attempts, settled_ms)
         SELECT i, randomblob(12), NULL, 1, 'till-' || (i % 30), i, i, randomblob(16), random(), \
         'shop',
             'CODE-' || i, '042', '2026-11-01 10:00:00', 1760000000000 + i * 31000, 17, 0, 0,
             CASE WHEN i % {DECLINED} = 0 THEN 2 WHEN i % {PARKED} = 0 THEN 3 ELSE 1 END, 0,
             CASE WHEN i % {DECLINED} = 0 THEN 64 WHEN i % {INFERRED} = 0 THEN 2 ELSE 32 END, 1,
             1760000000000 + i * 31000 + 500 FROM n"
    );
    sql.execute_batch(&format!("BEGIN; {rows}; {}; COMMIT;", made.join(";"))).unwrap();
    sql.execute_batch(&format!("BEGIN; {EVENTS}; {TALLIES}; {REFUSALS}; COMMIT;")).unwrap();
    let books = "UPDATE lane SET accepted = (SELECT count(*) FROM redemption),
                 confirmed = (SELECT count(*) FROM redemption WHERE state = 1),
                 declined = (SELECT count(*) FROM redemption WHERE state = 2),
                 parked = (SELECT count(*) FROM redemption WHERE state = 3)";
    sql.execute_batch(books).unwrap();
}

/// How many rows' guards the next start would read.
fn unmerged(dir: &Path) -> i64 {
    let sql = rusqlite::Connection::open(dir.join(FILE)).unwrap();
    let unmerged = "SELECT count(*) FROM redemption WHERE seq > (SELECT upto FROM guarded)";
    sql.query_row(unmerged, [], |row| row.get(0)).unwrap()
}

fn admin(queue: Queue, clock: Clock) -> Router {
    let (_, ready) = watch::channel(true);
    let info = Info {
        gateway: "box".to_owned(),
        version: "9.9.9",
        started: tokio::time::Instant::now(),
        clock,
        ready,
    };
    router(Arc::new(Admin::new(queue, info)))
}

/// The page, as an engineer on the socket sees it.
async fn ask(
    routes: &mut Router,
    method: &str,
    path: &str,
    form: &'static str,
) -> (StatusCode, String) {
    let request =
        Request::builder().method(method).uri(path).header("sec-fetch-site", "same-origin");
    let mut request = request
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap();
    request.extensions_mut().insert(Peer { uid: Some(0), addr: None });
    let response = routes.call(request).await.unwrap();
    let to = response.headers().get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned());
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 8 << 20).await.unwrap();
    (status, to.unwrap_or_else(|| String::from_utf8(body.to_vec()).unwrap()))
}

#[expect(clippy::too_many_lines, reason = "a list of pages")]
#[tokio::test]
async fn with_a_million_rows_every_page_reads_a_bounded_number_of_them() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), ROWS);
    let (store, _) = Store::open(dir.path()).unwrap();
    assert!(unmerged(dir.path()) < 65_536, "a start merges what is too much for memory");
    let clock = Clock::manual(1_760_000_000_000 + ROWS * 31_000, true);
    let queue = Queue::start(store, clock.clone(), Offline::default()).unwrap();
    let mut routes = admin(queue.clone(), clock);
    let (_, found) = ask(&mut routes, "POST", "/search", "code=CODE-777000").await;
    let (_, nobodys) = ask(&mut routes, "POST", "/search", "code=CODE-OF-NOBODY").await;
    let (_, rows) = ask(&mut routes, "GET", "/api/v1/redemptions?after=776999&limit=1", "").await;
    let id = rows.split(r#""id":""#).nth(1).unwrap().split('"').next().unwrap();
    let (page_of_one, api) = (format!("/redemptions/{id}"), format!("/api/v1/redemptions/{id}"));
    let pages = [
        "/",
        "/inbox",
        "/inbox?from=declined.500000,confirmed.500000",
        "/trail",
        "/search",
        "/search?newest=1&state=confirmed",
        "/search?newest=1&till=nobody",
        "/search?newest=1&code_ending=none",
        "/search?state=declined&newest=1&since=2026-01-01",
        "/search?since=2020-01-01&until=2020-01-02",
        found.as_str(),
        nobodys.as_str(),
        page_of_one.as_str(),
        "/search?newest=1&business=nobody",
        "/search?newest=1&branch=nobody&since=2026-01-01",
        "/search?state=parked&newest=1&code_ending=none",
        "/search?state=voided&newest=1&till=till-7",
        "/search?state=pending",
        "/search?newest=1&lane=retm&state=confirmed&after=500000",
        "/trail?before=90000",
        "/bulk?kind=declined-after&key=x&action=retry",
        "/bulk?kind=streak&key=x&action=retry",
        "/bulk?kind=ours&key=x&action=handled",
        "/bulk?kind=owed&key=x&action=handled",
        "/bulk?kind=unreadable&key=x&action=void",
        "/bulk?kind=doubt&key=x&action=void",
        "/bulk?kind=moved&key=x&action=void",
        "/bulk?kind=damaged&key=x&action=void",
        "/bulk?kind=refused&key=x&action=retry",
        "/bulk?kind=search&key=state%3Dparked%26till%3Dnobody&action=void",
        "/api/v1/status",
        "/api/v1/redemptions?limit=1000",
        "/api/v1/redemptions?limit=1000&state=parked",
        "/api/v1/redemptions?limit=1000&state=confirmed&waiting=true",
        "/api/v1/redemptions?limit=1000&state=parked&lane=retm",
        "/api/v1/redemptions?till=nobody&limit=1000",
        "/api/v1/redemptions?business=nobody&limit=1000",
        "/api/v1/redemptions?branch=nobody&limit=1000",
        "/api/v1/redemptions?code_ending=none&limit=1000",
        "/api/v1/redemptions?since=2020-01-01&until=2020-01-02&limit=1000",
        "/api/v1/redemptions?since=2025-10-20&limit=1000&newest=1",
        "/api/v1/redemptions?state=pending&limit=1000",
        "/api/v1/redemptions?state=declined&after=500000&limit=1000",
        api.as_str(),
        "/api/v1/figures",
        "/api/v1/figures?from=2025-01-01&to=2025-01-31",
        "/api/v1/figures?lane=retm",
        "/api/v1/names",
        "/api/v1/export",
        "/api/v1/export?after=900000",
        "/metrics",
    ];
    for page in pages {
        let before = read_steps();
        let (status, body) = ask(&mut routes, "GET", page, "").await;
        let taken = read_steps() - before;
        assert_eq!(status, StatusCode::OK, "{page}: {body}");
        println!("{page}: {taken} steps");
        assert!(taken < STEPS_MAX, "{page}: {taken} steps");
    }
    let (_, body) = ask(&mut routes, "GET", "/search?newest=1&till=nobody", "").await;
    assert!(body.contains("after="), "it offers to go on");
    let (_, home) = ask(&mut routes, "GET", "/", "").await;
    assert!(home.contains("Only the newest redemptions were looked at"), "{home}");
    let (_, rest) = ask(&mut routes, "GET", "/inbox?from=confirmed.999", "").await;
    assert!(rest.contains("Nothing among those") && !rest.contains("nothing to decide"), "{rest}");
    queue.stop().await;
}

#[tokio::test]
async fn the_first_screen_counts_what_waits_behind_more_rows_than_one_look_reads() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 22_000);
    let sql = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
    sql.execute("UPDATE redemption SET marks = 2 WHERE seq = 7", []).unwrap();
    drop(sql);
    let (store, _) = Store::open(dir.path()).unwrap();
    let clock = Clock::manual(1_760_000_000_000 + ROWS * 31_000, true);
    let queue = Queue::start(store, clock.clone(), Offline::default()).unwrap();
    let ours = "<span>Probably ours</span> <strong>1 case</strong>";
    // A look lasts 40 ms at most, in which a busy machine reads little; a new page looks anew.
    for tries in 1.. {
        let mut routes = admin(queue.clone(), clock.clone());
        let (_, home) = ask(&mut routes, "GET", "/", "").await;
        if home.contains(ours) && !home.contains("Only the newest redemptions") {
            break;
        }
        assert!(tries < 20, "{home}");
    }
    queue.stop().await;
}
