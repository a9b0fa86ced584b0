//! Damage that the running writer meets: requests wait, are decided by the new store, and status
//! says what happened.

use std::process::Command;

use redeemd::clock::Clock;
use redeemd::message::Language;
use redeemd::queue::{Queue, QueueError};
use redeemd::redemption::Seq;
use redeemd::store::{Claim, Decision, FILE, Filter, Job, StoreError, Trouble};

use crate::world::{LANE, NOW_MS, World, accept_op, new, offline};

/// As many rows that their pages do not stay in the writer's cache.
const ROWS: usize = 1500;

/// A store whose rows all lie in the database file, and in the middle of it pages that are
/// nonsense.
fn damaged_world() -> World {
    let mut world = World::new();
    let ops: Vec<_> = (0..ROWS)
        .map(|n| {
            let mut new = new("till-1", &format!("CODE-{n}"));
            new.request.body = vec![b'x'; 2000].into();
            accept_op(new)
        })
        .collect();
    for batch in ops.chunks(250) {
        world.run(batch);
    }
    world.restart();
    world.store().checkpoint().unwrap();
    let path = world.path().join(FILE);
    let pages = std::fs::metadata(&path).unwrap().len() / 4096;
    // By another process: closing the file here would end the locks of the store.
    let wrote = Command::new("dd")
        .args(["if=/dev/urandom", "bs=4096", "count=40", "conv=notrunc", "status=none"])
        .arg(format!("seek={}", pages / 2))
        .arg(format!("of={}", path.display()))
        .status();
    assert!(wrote.unwrap().success());
    world
}

/// A queue on such a store.
fn damaged() -> (tempfile::TempDir, Queue) {
    let mut world = damaged_world();
    let store = world.store.take().unwrap();
    let queue = Queue::start(store, Clock::manual(NOW_MS, true), offline()).unwrap();
    (world.dir, queue)
}

fn claim() -> Claim {
    Claim {
        lane: LANE.to_owned(),
        prefer: Vec::new(),
        after: Seq(0),
        not_from: None,
        except: Vec::new(),
        rows_max: ROWS,
        body_bytes_max: usize::MAX,
    }
}

#[test]
fn a_batch_that_meets_damage_is_refused_whole_and_not_tried_in_parts() {
    let mut world = damaged_world();
    let (mut accept, mut claim) = (Job::new(accept_op(new("till-2", "FIRST"))), Job::new(claim()));
    world.run_tasks(&mut [&mut accept, &mut claim]);
    let results = [accept.outcome().map(drop), claim.outcome().map(drop)];
    let refused = |result: &Result<(), StoreError>| {
        matches!(
            result,
            Err(e) if e.trouble() == Trouble::Damaged
        )
    };
    assert!(results.len() == 2 && results.iter().all(refused), "{results:?}");
    world.store().rescue("a test met it", &[]).unwrap();
    assert!(
        matches!(world.decide(new("till-3", "FIRST")), Decision::Taken(_)),
        "nothing of it was kept"
    );
}

#[tokio::test]
async fn a_request_that_meets_damage_is_decided_by_the_new_store() {
    let (_dir, queue) = damaged();
    let claimed = queue.ask(claim()).await.unwrap();
    assert!(claimed.len() > ROWS / 2, "{}", claimed.len());
    assert!(claimed.iter().all(|row| row.body.len() == 2000 && row.used_is_ours));
    let storage = queue.storage();
    assert!(storage.ok && storage.detail(Language::English).contains("set aside"), "{storage:?}");
    let counts = queue.counts();
    assert!(counts.balance() && counts.pending == claimed.len() as u64, "{counts:?}");
    assert!(matches!(queue.accept(new("till-1", "AFTERWARDS")).await, Ok((Decision::Taken(_), _))));
    queue.stop().await;
}

#[tokio::test]
async fn a_list_that_meets_damage_has_it_rescued() {
    let (dir, queue) = damaged();
    let all = || Filter { limit: 1000, ..Filter::default() };
    let mut refused = 0;
    for after in [0, 1000] {
        let filter = Filter { after: Some(Seq(after)), ..all() };
        refused += u32::from(matches!(queue.list(filter).await, Err(QueueError::Refusing(_))));
    }
    assert!(refused > 0, "it met none");
    queue.ping().await.unwrap();
    let files = std::fs::read_dir(dir.path()).unwrap();
    let is_set_aside = |name: std::ffi::OsString| name.to_str().unwrap().contains("damaged");
    assert!(files.map(|entry| entry.unwrap().file_name()).any(is_set_aside));
    assert!(queue.storage().detail(Language::English).contains("set aside"));
    assert!(queue.list(all()).await.is_ok());
    assert!(matches!(queue.accept(new("till-2", "CODE-0")).await, Ok((Decision::Used(_), _))));
    queue.stop().await;
}
