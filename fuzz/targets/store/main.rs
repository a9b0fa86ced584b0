//! The store: whatever is done to it in whatever order, it agrees with a model of a few lines, and its books balance.
#![no_main]

mod model;

use libfuzzer_sys::fuzz_target;
use model::{Step, World};
use redeemd::message::Language;
use redeemd::store::{
    Accept, Acted, Arrived, Decision, Import, NewRedemption, Retry, Settlement, Void,
};

fuzz_target!(|steps: Vec<Step>| {
    let mut world = World::new();
    for step in steps.iter().take(64) {
        take(&mut world, step);
        world.check();
    }
});

fn take(world: &mut World, step: &Step) {
    match *step {
        Step::Accept { till, code } => {
            // Ten refused codes would slow a till.
            let (till, code) = (format!("t{}", till % 3), code % 8);
            let (expected, request) = (world.may_take(code), model::request(code));
            let new = NewRedemption { till, key: None, lane: "l".to_owned(), request };
            match world.run(Accept::once(new)).decision {
                Decision::Taken(taken) if expected => world.add(taken, code),
                decision => assert!(!expected && !matches!(decision, Decision::Taken(_))),
            }
        }
        Step::Claim => {
            let rows = world.run(model::claim());
            world.claimed(&rows);
        }
        Step::Settle { row, how } => {
            let Some((seq, attempt)) = world.flying(row) else { return };
            let ended = model::ended(how);
            world.settled(seq, &ended);
            let settled = world.run(Settlement::new(seq, attempt, ended));
            assert!(settled.applied);
        }
        Step::Void { row } | Step::Retry { row } => {
            let Some((seq, id)) = world.nth(row) else { return };
            let (is_void, by, note) =
                (matches!(step, Step::Void { .. }), "f".to_owned(), "n".to_owned());
            let expected = if is_void { world.void(seq) } else { world.retry(seq) };
            let acted = if is_void {
                world.run(Void { id, note, by })
            } else {
                world.run(Retry { id, by })
            };
            assert_eq!(matches!(acted, Acted::Done(_)), expected, "{acted:?}");
        }
        Step::Import => {
            let rows = world.reader().export(redeemd::redemption::Seq(0), 500).unwrap().rows;
            assert_eq!(rows.len() as u64, world.open_rows());
            let import = Import { rows, from: String::new(), by: "f".to_owned(), language: Language::English };
            let arrived = world.run(import);
            assert!(arrived.iter().all(|one| matches!(one, Arrived::AlreadyThere { .. })));
        }
        Step::Crash => world.crash(),
    }
}
