//! A database that is deleted, renamed, replaced or cut short under the daemon, or is not there at
//! a start.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::harness::{Gateway, Provider, eventually, until};

const FILES: [&str; 3] = ["redeemd.db", "redeemd.db-wal", "redeemd.db-shm"];

/// A gateway whose line is cut, running, with three redemptions pending.
fn in_an_outage(provider: &Provider) -> Gateway {
    let gateway = Gateway::before(provider);
    provider.cut();
    for code in ["KEPT-1", "KEPT-2", "KEPT-3"] {
        assert_eq!(gateway.till("").redeem(code).state(), "pending");
    }
    gateway
}

/// The files whose names begin so.
fn begins_with(dir: &Path, start: &str) -> Vec<PathBuf> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(start)).collect()
}

/// Nothing is acknowledged, everybody is told, and the next start has all that was.
fn refuses_and_goes_on_after_a_start(gateway: &mut Gateway, provider: &Provider, how: &str) {
    let refused = gateway.till("").redeem("IN-VAIN");
    assert!(
        refused.status == 503 && refused.refusal().contains("nothing was stored"),
        "{refused:?}"
    );
    let storage = gateway.status()["storage"].clone();
    assert!(
        storage["ok"] == false && storage["detail"].as_str().unwrap().contains(how),
        "{storage}"
    );
    until("the log says so", || gateway.log().contains(how));
    assert_eq!(begins_with(&gateway.state_dir(), "redeemd.db.rescued-").len(), 1);
    assert!(gateway.terminate().success());
    gateway.start();
    let books = gateway.counts();
    assert_eq!((books.accepted, books.pending), (3, 3));
    assert_eq!(gateway.till("").redeem("AFTERWARDS").state(), "pending");
    provider.restore();
    assert_eq!(gateway.wait_until_drained().confirmed, 4);
    assert_eq!(provider.summary("codes_taken"), 4);
    provider.assert_one_key_each();
}

#[test]
fn a_database_that_is_deleted_under_the_daemon_is_saved_and_nothing_is_acknowledged_in_vain() {
    let provider = Provider::start();
    let mut gateway = in_an_outage(&provider);
    for file in FILES {
        fs::remove_file(gateway.state_dir().join(file)).unwrap();
    }
    refuses_and_goes_on_after_a_start(&mut gateway, &provider, "it was deleted or renamed");
}

/// Nothing is asked and nothing is probed: the lane is held.
fn at_rest(provider: &Provider) -> Gateway {
    let mut gateway = in_an_outage(provider);
    assert_eq!(gateway.command(&["hold", "--note", "night"]).code, Some(0));
    assert!(gateway.terminate().success());
    gateway.start();
    gateway
}

#[test]
fn a_database_that_is_deleted_while_nothing_is_asked_is_noticed_and_saved() {
    let provider = Provider::start();
    let mut gateway = at_rest(&provider);
    fs::remove_file(gateway.state_dir().join("redeemd.db")).unwrap();
    let said = gateway.command(&["list"]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(said.err.contains("the database was taken away"), "{}", said.err);
    until("it is noticed", || gateway.status()["storage"]["ok"] == false);
    assert!(gateway.terminate().success());
    gateway.start();
    assert_eq!((gateway.counts().accepted, gateway.counts().pending), (3, 3));
}

#[test]
fn while_nothing_can_be_read_the_first_page_and_the_check_say_so_and_show_the_rest() {
    let provider = Provider::start();
    let gateway = at_rest(&provider);
    fs::remove_file(gateway.state_dir().join("redeemd.db")).unwrap();
    let page = |path, language| {
        gateway.operators().send("GET", path, &[("accept-language", language)], b"")
    };
    let first = page("/", "en");
    assert_eq!(first.status, 200, "{first:?}");
    for told in ["Redemptions cannot be stored now", "The redemptions cannot be read now"] {
        assert!(first.body.contains(told), "{told}: {}", first.body);
    }
    for wrong in ["This was not done", "All is well", "Nobody has to do anything"] {
        assert!(!first.body.contains(wrong), "{wrong}: {}", first.body);
    }
    let arabic = page("/", "ar");
    assert!(arabic.status == 200 && arabic.body.contains("لا يمكن قراءة العمليات الآن"));
    let search = page("/search?state=pending", "en");
    assert_eq!(search.status, 503);
    assert!(search.body.contains("This cannot be shown now"), "{}", search.body);
    let checked = gateway.command(&["status", "--check"]);
    assert_eq!(checked.code, Some(1));
    assert!(checked.err.contains("wait for a person could not be read"), "{}", checked.err);
}

#[test]
fn a_database_that_is_deleted_just_before_a_stop_is_saved_by_it() {
    let provider = Provider::start();
    let mut gateway = at_rest(&provider);
    for file in FILES {
        fs::remove_file(gateway.state_dir().join(file)).unwrap();
    }
    assert!(gateway.terminate().success());
    assert_eq!(begins_with(&gateway.state_dir(), "redeemd.db.rescued-").len(), 1);
    gateway.start();
    assert_eq!((gateway.counts().accepted, gateway.counts().pending), (3, 3));
}

#[test]
fn what_cannot_be_saved_when_it_is_taken_away_is_saved_as_soon_as_it_can_be() {
    let provider = Provider::start();
    let mut gateway = in_an_outage(&provider);
    let may_give = |gateway: &Gateway| gateway.status()["lanes"][0]["may_give"].as_u64();
    assert!(may_give(&gateway) > Some(0), "{:?}", may_give(&gateway));
    fs::remove_dir_all(gateway.state_dir()).unwrap();
    assert_eq!(gateway.till("").redeem("IN-VAIN").status, 503);
    assert_eq!(may_give(&gateway), Some(0), "what cannot be stored is not given");
    let detail = |gateway: &Gateway| gateway.status()["storage"]["detail"].to_string();
    assert!(detail(&gateway).contains("could not be saved"), "{}", detail(&gateway));
    let began = Instant::now();
    until("it was looked for space where there is no folder", || {
        assert_eq!(gateway.till("").redeem("IN-VAIN").status, 503);
        began.elapsed() > Duration::from_millis(2200)
    });
    fs::create_dir(gateway.state_dir()).unwrap();
    until("it is saved", || detail(&gateway).contains("all of it is saved as"));
    assert_eq!(begins_with(&gateway.state_dir(), "redeemd.db.rescued-").len(), 1);
    assert_eq!(gateway.log().matches("could not be saved").count(), 1, "{}", gateway.log());
    for wrong in ["the disk is full", "there is space again"] {
        assert!(!gateway.log().contains(wrong), "{wrong}: {}", gateway.log());
    }
    gateway.kill9();
    gateway.start();
    assert_eq!((gateway.counts().accepted, gateway.counts().pending), (3, 3));
}

fn remove_files(folder: &Path) {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_file()).for_each(|path| fs::remove_file(path).unwrap());
}

#[test]
fn a_first_start_that_failed_leaves_nothing_that_a_later_one_misses() {
    let provider = Provider::start();
    let mut gateway = Gateway::before(&provider);
    assert!(gateway.terminate().success());
    remove_files(&gateway.state_dir());
    // What one leaves that found no room for more, and what an export of nothing leaves.
    for lock in ["", "4711\n"] {
        fs::write(gateway.state_dir().join("lock"), lock).unwrap();
        gateway.start();
        assert_eq!(gateway.status()["storage"]["detail"], "");
        assert!(gateway.terminate().success());
        for file in FILES.into_iter().chain(["reserve"]) {
            drop(fs::remove_file(gateway.state_dir().join(file)));
        }
        // The lock alone tells now that there was one.
        gateway.start();
        assert!(gateway.log().contains("there is no database beside what a redeemd had left"));
        assert!(gateway.terminate().success());
        remove_files(&gateway.state_dir());
    }
}

#[test]
fn no_second_daemon_starts_where_the_locks_file_was_removed() {
    let provider = Provider::start();
    let gateway = in_an_outage(&provider);
    fs::remove_file(gateway.state_dir().join("lock")).unwrap();
    let second = Gateway::before(&provider);
    let settings = fs::read_to_string(second.folder().join("redeemd.toml")).unwrap();
    let (its, ours) = (second.state_dir(), gateway.state_dir());
    let settings = settings.replace(its.to_str().unwrap(), ours.to_str().unwrap());
    fs::write(second.folder().join("redeemd.toml"), settings).unwrap();
    let said = second.command(&["run"]);
    assert_eq!(said.code, Some(75), "{} {}", said.out, said.err);
    assert!(said.err.contains("another redeemd works on"), "{}", said.err);
    assert_eq!(gateway.till("").redeem("KEPT-4").state(), "pending");
}

#[test]
fn a_log_that_is_deleted_alone_is_noticed_as_well() {
    let provider = Provider::start();
    let mut gateway = in_an_outage(&provider);
    fs::remove_file(gateway.state_dir().join("redeemd.db-wal")).unwrap();
    refuses_and_goes_on_after_a_start(
        &mut gateway,
        &provider,
        "redeemd.db-wal: it was deleted or renamed",
    );
}

#[test]
fn a_database_in_whose_place_another_is_put_is_saved_and_the_other_is_set_aside() {
    let provider = Provider::start();
    let mut gateway = in_an_outage(&provider);
    let (dir, copy) = (gateway.state_dir(), gateway.folder().join("another"));
    fs::write(&copy, "another").unwrap();
    fs::rename(&copy, dir.join("redeemd.db")).unwrap();
    refuses_and_goes_on_after_a_start(&mut gateway, &provider, "another file stands in its place");
    let aside = begins_with(&dir, "redeemd.db.damaged-");
    assert!(aside.iter().any(|path| fs::read(path).unwrap() == b"another"), "{aside:?}");
}

#[test]
fn a_database_that_is_put_back_goes_on_and_no_older_copy_of_it_is_left() {
    let provider = Provider::start();
    let gateway = in_an_outage(&provider);
    let (dir, elsewhere) = (gateway.state_dir(), gateway.folder().join("elsewhere"));
    fs::rename(dir.join("redeemd.db"), &elsewhere).unwrap();
    assert_eq!(gateway.till("").redeem("IN-VAIN").status, 503);
    fs::rename(&elsewhere, dir.join("redeemd.db")).unwrap();
    until("redemptions are taken again", || gateway.till("").redeem("AGAIN").status == 200);
    assert!(begins_with(&dir, "redeemd.db.rescued-").is_empty());
    provider.restore();
    assert_eq!(gateway.wait_until_drained().confirmed, 4);
    provider.assert_one_key_each();
}

#[test]
fn a_start_without_the_database_of_before_is_an_error_that_status_shows_until_somebody_looked() {
    let provider = Provider::start();
    let mut gateway = in_an_outage(&provider);
    assert!(gateway.terminate().success());
    for file in FILES {
        fs::remove_file(gateway.state_dir().join(file)).unwrap_or_default();
    }
    gateway.start();
    assert!(
        gateway.log().contains("there is no database beside what a redeemd had left"),
        "{}",
        gateway.log()
    );
    let detail =
        |gateway: &Gateway| gateway.status()["storage"]["detail"].as_str().unwrap().to_owned();
    assert!(detail(&gateway).contains("began with an empty one"), "{}", detail(&gateway));
    gateway.restart();
    assert!(detail(&gateway).contains("began with an empty one"), "{}", detail(&gateway));
    let marker = begins_with(&gateway.state_dir(), "redeemd.db.damaged-");
    assert_eq!(marker.len(), 1);
    fs::remove_file(&marker[0]).unwrap();
    gateway.restart();
    assert_eq!(detail(&gateway), "");
}

/// The database gets another name, out of the state directory; the old name and the new one.
fn put_elsewhere(gateway: &Gateway) -> (PathBuf, PathBuf) {
    let (database, elsewhere) =
        (gateway.state_dir().join("redeemd.db"), gateway.folder().join("elsewhere.db"));
    fs::rename(&database, &elsewhere).unwrap();
    (database, elsewhere)
}

#[test]
fn a_database_in_whose_place_a_link_to_it_is_put_is_saved_and_none_is_followed_at_a_start() {
    let provider = Provider::start();
    let mut gateway = in_an_outage(&provider);
    let (database, elsewhere) = put_elsewhere(&gateway);
    std::os::unix::fs::symlink(&elsewhere, &database).unwrap();
    refuses_and_goes_on_after_a_start(&mut gateway, &provider, "another file stands in its place");
    gateway.kill9();
    put_elsewhere(&gateway);
    std::os::unix::fs::symlink(&elsewhere, &database).unwrap();
    let (status, said) = gateway.start_in_vain();
    assert_eq!(status.code(), Some(73), "{said}");
    assert!(said.contains("redeemd.db: this is a symbolic link"), "{said}");
}

#[test]
fn a_database_that_has_a_second_name_is_the_same_and_nothing_is_lost() {
    let provider = Provider::start();
    let mut gateway = in_an_outage(&provider);
    let (database, elsewhere) = put_elsewhere(&gateway);
    fs::hard_link(&elsewhere, &database).unwrap();
    assert_eq!(gateway.till("").redeem("KEPT-4").state(), "pending");
    gateway.restart();
    assert_eq!((gateway.counts().accepted, gateway.counts().pending), (4, 4));
}

#[test]
fn a_circle_of_links_in_the_place_of_the_state_directory_is_no_full_disk() {
    let provider = Provider::start();
    let gateway = in_an_outage(&provider);
    let (dir, elsewhere) = (gateway.state_dir(), gateway.folder().join("elsewhere"));
    fs::rename(&dir, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&dir, &dir).unwrap();
    assert_eq!(gateway.till("").redeem("IN-VAIN").status, 503);
    let detail = gateway.status()["storage"]["detail"].to_string();
    assert!(detail.contains("it was deleted or renamed"), "{detail}");
    fs::remove_file(&dir).unwrap();
    fs::rename(&elsewhere, &dir).unwrap();
    until("redemptions are taken again", || gateway.till("").redeem("AGAIN").status == 200);
}

/// What happens next after a file was emptied.
#[derive(Clone, Copy)]
enum Next {
    Asked,
    Redeemed,
    Settled,
    Stopped,
}

#[test]
fn a_file_of_the_database_that_is_emptied_under_the_daemon_takes_nothing_with_it() {
    for file in ["redeemd.db", "redeemd.db-wal"] {
        for next in [Next::Asked, Next::Redeemed, Next::Settled, Next::Stopped] {
            is_emptied(file, next);
        }
    }
}

fn is_emptied(file: &str, next: Next) {
    let provider = Provider::start();
    let mut gateway = in_an_outage(&provider);
    fs::File::create(gateway.state_dir().join(file)).unwrap();
    let mut accepted = 3;
    match next {
        Next::Asked => drop(gateway.command(&["list"])),
        Next::Redeemed => {
            assert_eq!(gateway.till("").redeem("KEPT-4").state(), "pending");
            accepted += 1;
        }
        Next::Settled => provider.restore(),
        Next::Stopped => assert!(gateway.terminate().success()),
    }
    if matches!(next, Next::Stopped) {
        gateway.start();
    } else {
        until("the log says so", || gateway.log().contains("was cut short while redeemd ran"));
    }
    let detail = eventually("it is told", || {
        let detail = gateway.status()["storage"]["detail"].to_string();
        detail.contains(&format!("{file} was cut short")).then_some(detail)
    });
    let is_whole = detail.contains("a copy of all") || detail.contains("none was lost");
    assert!(is_whole, "{detail}");
    assert_eq!(begins_with(&gateway.state_dir(), "redeemd.db.damaged-").len(), 3);
    assert_eq!(gateway.till("").redeem("AFTERWARDS").status, 200);
    gateway.restart();
    assert_eq!(gateway.counts().accepted, accepted + 1);
    provider.restore();
    assert_eq!(gateway.wait_until_drained().confirmed, accepted + 1);
    provider.assert_one_key_each();
}

#[test]
fn what_a_database_that_is_emptied_held_alone_is_told_as_lost_and_the_daemon_goes_on() {
    let provider = Provider::start();
    let mut gateway = in_an_outage(&provider);
    for number in 0..1000 {
        assert_eq!(gateway.till("").redeem(&format!("OLD-{number}")).state(), "pending");
    }
    assert!(gateway.terminate().success());
    gateway.start();
    let new = gateway.till("").redeem("NEW");
    fs::File::create(gateway.state_dir().join("redeemd.db")).unwrap();
    let newer = gateway.till("").redeem("NEWER");
    assert_eq!((new.state(), newer.state()), ("pending", "pending"));
    let detail = gateway.status()["storage"]["detail"].to_string();
    assert!(detail.contains("was cut short") && detail.contains("were lost"), "{detail}");
    for (code, first) in [("NEW", new), ("NEWER", newer)] {
        assert_eq!(gateway.till("").redeem(code).id(), first.id(), "its repeat finds it");
    }
}
