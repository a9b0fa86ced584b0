//! The service manager's side: ready, and a watchdog that is fed by progress alone.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::harness::{DATABASE, Gateway, Provider, Shim, Witness, Word, until};

/// `WATCHDOG_USEC`, in milliseconds.
const INTERVAL_MS: u64 = 400;

/// What a service manager hears.
struct Manager(UnixDatagram);

impl Manager {
    /// All that comes within `time`.
    fn hear(&self, time: Duration) -> Vec<String> {
        let (until, mut all) = (Instant::now() + time, Vec::new());
        while let Some(left) =
            until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
        {
            self.0.set_read_timeout(Some(left)).unwrap();
            let mut bytes = [0; 4096];
            if let Ok(length) = self.0.recv(&mut bytes) {
                all.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
            }
        }
        all
    }

    fn feeds(&self, time: Duration) -> usize {
        self.hear(time).iter().filter(|text| text.contains("WATCHDOG=1")).count()
    }
}

fn managed(builder: crate::harness::Builder) -> (Manager, crate::harness::Builder) {
    let path = builder.folder().join("notify");
    let manager = Manager(UnixDatagram::bind(&path).unwrap());
    let builder = builder
        .environment("NOTIFY_SOCKET", path.to_str().unwrap())
        .environment("WATCHDOG_USEC", &(INTERVAL_MS * 1000).to_string());
    (manager, builder)
}

#[test]
fn the_watchdog_is_fed_while_work_gets_done_and_starves_while_the_store_is_stuck() {
    let (shim, provider) = (Shim::build(), Provider::start());
    let (manager, builder) = managed(shim.under(Gateway::with().lane("main", &provider, "")));
    let gateway = builder.start();
    let heard = manager.hear(Duration::from_millis(5 * INTERVAL_MS));
    let at = |word: &str| heard.iter().position(|text| text.contains(word));
    assert!(
        at("EXTEND_TIMEOUT_USEC=60000000") < at("READY=1") && at("READY=1").is_some(),
        "{heard:?}"
    );
    assert!(
        at("EXTEND_TIMEOUT_USEC").is_some(),
        "a million rows to salvage take longer than a start may: {heard:?}"
    );
    assert!(heard.iter().any(|text| text.contains("STATUS=main up")), "{heard:?}");
    assert!(heard.iter().filter(|text| text.contains("WATCHDOG=1")).count() >= 4, "{heard:?}");

    shim.set(Word::Block, 1);
    std::thread::scope(|scope| {
        // Its till waits in vain, too.
        scope.spawn(|| gateway.till("").redeem("STUCK"));
        until("a write is held up", || shim.get(Word::Blocked) > 0);
        manager.hear(Duration::from_millis(INTERVAL_MS));
        assert_eq!(
            manager.feeds(Duration::from_millis(6 * INTERVAL_MS)),
            0,
            "a stuck process was said to live"
        );
        // The timers and the listeners live, which is why nothing but progress may feed it.
        assert_eq!(gateway.operators().send("GET", "/livez", &[], b"").status, 200);
        shim.set(Word::Block, 0);
    });
    assert!(
        manager.feeds(Duration::from_millis(5 * INTERVAL_MS)) >= 3,
        "it came back and nobody heard of it"
    );
}

/// The page by which a row's events are found becomes nonsense, in the database file alone; a start
/// writes others.
fn spoil_the_events(database: &Path) {
    let raw = Connection::open(database).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'event_seq'";
    let root: u64 = raw.query_row(sql, [], |row| row.get(0)).unwrap();
    drop(raw);
    let file = File::options().write(true).open(database).unwrap();
    file.write_all_at(&[0xa5; 4096], (root - 1) * 4096).unwrap();
}

#[test]
fn the_watchdog_is_fed_while_a_database_is_salvaged_under_the_daemon() {
    let (shim, provider) = (Shim::build(), Provider::start());
    let quiet = Gateway::with()
        .forward("retry_min = \"30s\"\nretry_max = \"60s\"\nreconnect_spread = \"0s\"");
    let (manager, builder) = managed(shim.under(quiet.lane("main", &provider, "")));
    let mut gateway = builder.start();
    provider.cut();
    assert_eq!(gateway.till("").redeem("KEPT").state(), "pending");
    // The whole log goes into the database: what is damaged there is nowhere else.
    assert!(gateway.terminate().success());
    gateway.start();
    let id = gateway.list("pending")[0]["id"].as_str().unwrap().to_owned();
    spoil_the_events(&gateway.state_dir().join("redeemd.db"));
    // The new database is held up, and no commit before the rescue.
    shim.set(Word::Which, DATABASE);
    shim.set(Word::Block, 1);
    gateway.operators().send("GET", &format!("/api/v1/redemptions/{id}"), &[], b"");
    let told = |word: &str| {
        until(word, || gateway.status()["storage"].to_string().contains(word));
    };
    told("salvaged");
    until("the salvage is held up", || shim.get(Word::Blocked) > 0);
    manager.hear(Duration::from_millis(INTERVAL_MS));
    assert!(manager.feeds(Duration::from_millis(4 * INTERVAL_MS)) >= 3, "it would be ended");
    shim.set(Word::Block, 0);
    told("set aside");
}

#[test]
fn the_watchdog_is_fed_while_the_line_is_down_and_while_the_provider_hangs() {
    let mut witness = Witness::start(1);
    let (manager, builder) = managed(Gateway::behind(&witness));
    let gateway = builder.start();
    witness.cut();
    assert_eq!(gateway.till("").redeem("OFFLINE").state(), "pending");
    gateway.wait_for_link("main", "down");
    assert!(manager.feeds(Duration::from_millis(6 * INTERVAL_MS)) >= 5);
    let provider = Provider::start();
    provider.rules(&["fault=hang-before-taking"]);
    let (manager, builder) = managed(Gateway::with().lane("main", &provider, "timeout = \"20s\""));
    let gateway = builder.start();
    assert_eq!(gateway.till("").redeem("HANGS").state(), "pending");
    assert!(manager.feeds(Duration::from_millis(6 * INTERVAL_MS)) >= 5);
}

#[test]
fn a_service_manager_that_does_not_listen_keeps_nobody_waiting() {
    let provider = Provider::start();
    let (manager, builder) = managed(Gateway::with().lane("main", &provider, ""));
    let mut gateway = builder.start();
    // More than a socket holds, and more than a few at a time.
    for n in 0..30 {
        gateway.rewrite(&format!("[retention]\nsettled = \"{}h\"", n + 2));
        gateway.reload();
        assert_eq!(gateway.till("").redeem(&format!("ANY-{n}")).status, 200);
        gateway.wait_until_drained();
        provider.cut();
        assert_eq!(gateway.till("").redeem(&format!("DOWN-{n}")).state(), "pending");
        gateway.wait_for_link("main", "down");
        provider.restore();
        gateway.wait_until_drained();
    }
    assert!(gateway.terminate().success());
    drop(manager);
}

#[test]
fn a_stop_and_a_reload_are_told_to_the_service_manager() {
    let provider = Provider::start();
    let (manager, builder) = managed(Gateway::with().lane("main", &provider, ""));
    let mut gateway = builder.start();
    gateway.reload();
    let heard = manager.hear(Duration::from_millis(3 * INTERVAL_MS));
    let reloading = heard
        .iter()
        .position(|text| text.contains("RELOADING=1") && text.contains("MONOTONIC_USEC="));
    let ready = heard.iter().rposition(|text| text.contains("READY=1"));
    assert!(reloading.is_some() && ready > reloading, "{heard:?}");
    assert!(gateway.terminate().success());
    let heard = manager.hear(Duration::from_millis(INTERVAL_MS));
    assert!(heard.iter().any(|text| text.contains("STOPPING=1")), "{heard:?}");
}
