//! The main job, whole: redeem, cut, redeem, kill, restore, drain; and the books balance.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::harness::{Chance, Gateway, Order, Provider, at_once, seed, until};

#[test]
fn an_outage_with_a_sigkill_in_it_loses_nothing_and_redeems_nothing_twice() {
    let provider = Provider::start();
    let mut gateway = Gateway::before(&provider);
    let till = gateway.till("");

    let online = till.redeem("ONLINE-1");
    assert_eq!((online.status, online.body.as_str(), online.state()), (200, "{}", "confirmed"));

    provider.cut();
    for n in 0..20 {
        let offline = till.redeem(&format!("OFFLINE-{n}"));
        assert_eq!(
            (offline.status, offline.body.as_str(), offline.state()),
            (200, "{}", "pending")
        );
    }
    gateway.wait_for_link("main", "down");
    gateway.restart();
    assert_eq!(gateway.counts().pending, 20);

    provider.restore();
    let books = gateway.wait_until_drained();
    assert_eq!((books.accepted, books.confirmed), (21, 21));
    assert_eq!(provider.summary("codes_taken"), 21);
    provider.assert_one_key_each();
}

#[test]
fn readme_shows_what_status_says_while_the_line_is_down() {
    let provider = Provider::start();
    let offline = "max_pending = 5000\nmax_exposure = \"25000.00\"";
    let gateway = Gateway::with().lane("sandbox", &provider, "").offline(offline).start();
    gateway.till("").redeem("SPRING-4711");
    provider.cut();
    gateway.till("").redeem("SPRING-4712");
    gateway.wait_for_link("sandbox", "down");
    gateway.till("").order(&Order::new("SPRING-4712").with("timestamp", "later"));
    // A figure is another each time, and the clock is the machine's.
    let masked = |text: &str| {
        let (before, after) = text.split_once("clock ").unwrap();
        let words = before
            .split_whitespace()
            .chain(after.split("refused ").skip(1).flat_map(str::split_whitespace));
        let word = |word: &str| match word {
            "test," => "dev,".to_owned(),
            number if number.contains(|c: char| c.is_ascii_digit()) => "0".to_owned(),
            word => word.to_owned(),
        };
        words.map(word).collect::<Vec<_>>()
    };
    let readme = include_str!("../../README.md");
    let example = readme.split("```text\ngateway ").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(masked(&gateway.says(&["status"])), masked(&format!("gateway {example}")));
}

#[test]
fn while_the_line_is_up_the_providers_own_refusal_reaches_the_till() {
    let provider = Provider::start();
    let gateway = Gateway::before(&provider);
    provider.rules(&["fault=refuse,message=Reward {code} expired yesterday"]);
    let reply = gateway.till("").redeem("OLD-1");
    assert_eq!((reply.status, reply.state()), (400, "declined"));
    assert_eq!(reply.json()["message"], "Reward OLD-1 expired yesterday");
}

#[test]
fn a_lost_reply_ends_confirmed_under_one_key() {
    let provider = Provider::start();
    let gateway = Gateway::before(&provider);
    provider.rules(&["fault=reset-after-taking,per_code=1"]);
    let till = gateway.till("");
    for n in 0..5 {
        assert_eq!(till.redeem(&format!("LOST-{n}")).status, 200);
    }
    let books = gateway.wait_until_drained();
    assert_eq!((books.confirmed, books.declined), (5, 0));
    let doubted =
        gateway.list("confirmed").iter().filter(|row| row["duplicate_of_ours"] == true).count();
    assert_eq!((doubted, provider.summary("codes_taken")), (5, 5));
    provider.assert_one_key_each();
}

#[test]
fn a_campaigns_code_passes_at_two_tills_at_once_and_a_single_use_code_at_one() {
    let provider = Provider::with(&["--reusable", "SUMMER*"]);
    let gateway = Gateway::with()
        .lane("main", &provider, "reusable_codes = [\"SUMMER*\"]")
        .till("till-1", "token-1")
        .till("till-2", "token-2")
        .start();
    let tills = [gateway.till("till-1"), gateway.till("till-2")];
    let campaign = at_once(2, |n| tills[n].redeem("SUMMER10").status);
    assert_eq!(campaign, [200, 200]);
    let mut single = at_once(2, |n| tills[n].redeem("ONCE-1").status);
    single.sort_unstable();
    assert_eq!(single, [200, 400]);
}

#[test]
fn a_dead_provider_leaves_the_other_lane_alone() {
    let (dead, alive) = (Provider::start(), Provider::start());
    let gateway = Gateway::with()
        .lane("dead", &dead, "businesses = [\"DEAD\"]")
        .lane("alive", &alive, "")
        .start();
    dead.cut();
    let till = gateway.till("");
    let order = |n: usize, business: &str| {
        Order::new(&format!("{business}-{n}")).with("business_refrence", business)
    };
    for n in 0..10 {
        assert_eq!(till.order(&order(n, "DEAD")).state(), "pending");
        assert_eq!(till.order(&order(n, "ALIVE")).state(), "confirmed");
    }
    gateway.wait_for_link("dead", "down");
    assert_eq!(gateway.lane("alive")["link"], "up");
    assert_eq!(
        (gateway.lane("dead")["pending"].as_u64(), gateway.lane("alive")["pending"].as_u64()),
        (Some(10), Some(0))
    );
}

#[test]
fn sigterm_in_the_middle_of_traffic_is_an_ordered_stop_that_loses_nothing() {
    let provider = Provider::with(&["--delay", "20ms"]);
    let mut gateway = Gateway::before(&provider);
    let (acknowledged, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let till = gateway.till("");
    let redeem = |thread: usize| {
        for n in 0..10_000 {
            let accepted = till
                .try_order(&Order::new(&format!("T{thread}-{n}")))
                .is_ok_and(|reply| reply.status == 200);
            acknowledged.fetch_add(usize::from(accepted), Ordering::SeqCst);
            if stop.load(Ordering::SeqCst) {
                return;
            }
        }
    };
    let status = std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || redeem(thread));
        }
        until("traffic flows", || acknowledged.load(Ordering::SeqCst) > 40);
        let status = gateway.terminate();
        stop.store(true, Ordering::SeqCst);
        status
    });
    assert!(status.success(), "{status}");
    gateway.start();
    let books = gateway.wait_until_drained();
    assert!(books.confirmed >= acknowledged.load(Ordering::SeqCst) as u64, "{books:?}");
    assert_eq!(books.accepted, books.confirmed + books.voided, "{books:?}");
    provider.assert_one_key_each();
}

/// A till that waits as long as `reply_within` allows.
#[test]
fn a_till_that_waits_long_for_its_answer_has_it_at_a_stop() {
    let provider = Provider::with(&["--delay", "6s"]);
    let mut gateway = Gateway::with()
        .intake("reply_within = \"12s\"")
        .lane("main", &provider, "timeout = \"10s\"")
        .start();
    let till = gateway.till("");
    let told = std::thread::scope(|scope| {
        let told = scope.spawn(|| till.redeem("SLOW"));
        until("it is on its way", || gateway.counts().pending == 1);
        assert!(gateway.terminate().success());
        told.join().unwrap()
    });
    assert_eq!((told.status, told.state()), (200, "confirmed"), "{told:?}");
}

#[test]
fn twenty_sigkills_in_traffic_leave_every_acknowledged_redemption_confirmed_under_one_key() {
    let provider = Provider::start();
    provider.rules(&["share=0.1,fault=reset-after-taking", "share=0.1,fault=reset-before-taking"]);
    let mut gateway = Gateway::before(&provider);
    let mut chance = Chance::new(seed());
    let mut acknowledged = Vec::new();
    for round in 0..20 {
        let wanted = 5 + usize::try_from(chance.below(20)).unwrap();
        acknowledged.extend(redeem_until_killed(&mut gateway, round, wanted));
        gateway.start();
    }
    provider.rules(&[]);
    let books = gateway.wait_until_drained();
    assert_eq!((books.declined, books.parked, books.voided), (0, 0, 0), "{books:?}");
    let requests = provider.requests();
    for code in &acknowledged {
        let taken = requests
            .iter()
            .filter(|request| request.code.as_ref() == Some(code) && request.took)
            .count();
        assert_eq!(taken, 1, "{code} was acknowledged and taken {taken} times");
    }
    provider.assert_one_key_each();
}

/// Redeems from four tills, kills the gateway after `wanted` acknowledgements; the codes that were
/// acknowledged.
fn redeem_until_killed(gateway: &mut Gateway, round: usize, wanted: usize) -> Vec<String> {
    let (till, count) = (gateway.till(""), AtomicUsize::new(0));
    let redeem = |thread: usize| {
        let mut codes = Vec::new();
        for n in 0..10_000 {
            let code = format!("K{round}-{thread}-{n}");
            match till.try_order(&Order::new(&code)) {
                Ok(reply) if reply.status == 200 => codes.push(code),
                // Reset again and again while the provider answers others.
                Ok(reply) if reply.status == 503 => continue,
                Ok(reply) => panic!("{reply:?}"),
                Err(_) => return codes,
            }
            count.fetch_add(1, Ordering::SeqCst);
        }
        codes
    };
    std::thread::scope(|scope| {
        let redeem = &redeem;
        let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || redeem(thread))).collect();
        until("enough is acknowledged", || count.load(Ordering::SeqCst) >= wanted);
        gateway.kill9();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}
