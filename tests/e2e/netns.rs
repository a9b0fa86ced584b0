//! Real lines that fail and come back: carrier, addresses, routes, black holes, path MTU, DNS that
//! appears late.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::harness::network::{PROVIDER, redeem_url};
use crate::harness::{
    Gateway, Network, Order, Provider, Till, in_a_network_of_its_own, moment, until, until_within,
    within,
};

/// No backoff probe falls due within a test: what is delivered was brought on by an event.
const PATIENT: &str = "retry_min = \"30s\"\nretry_max = \"60s\"\nreconnect_spread = \"0s\"";
/// Far below `retry_min`, and above what a busy machine adds to the second that is promised.
const SOON: Duration = Duration::from_secs(8);

fn gateway(url: &str, more: &str) -> Gateway {
    let lines = format!("timeout = \"1s\"\nallow_plain_http = true\n{more}");
    let check = url.replace("/redeem", "/check");
    Gateway::with()
        .intake("reply_within = \"800ms\"")
        .forward(PATIENT)
        .lane_to("main", url, &check, &lines)
        .start()
}

fn plain() -> Gateway {
    gateway(&redeem_url("http", PROVIDER), "")
}

/// A redemption that finds out that the line is dead.
fn redeem_into_the_dark(gateway: &Gateway, code: &str) {
    let began = Instant::now();
    assert_eq!(gateway.till("").redeem(code).state(), "pending");
    gateway.wait_for_link("main", "down");
    last_a_while(began);
}

/// Events are told at most once a second: the outage lasts longer, as outages do.
fn last_a_while(began: Instant) {
    until("the outage has lasted a while", || began.elapsed() > Duration::from_millis(1300));
}

/// Does `restore` and measures until the provider has taken `code`.
fn assert_delivered_soon(provider: &Provider, code: &str, what: &str, restore: impl FnOnce()) {
    let began = Instant::now();
    restore();
    let restored = began.elapsed();
    let taken = || provider.requests_for(code).iter().any(|request| request.took).then_some(());
    within(SOON, &format!("{code} is delivered after {what}"), taken);
    println!(
        "{what}: first delivery {} ms later (the change itself took {} ms)",
        began.elapsed().as_millis(),
        restored.as_millis()
    );
}

#[test]
fn a_carrier_that_comes_back_delivers_at_once() {
    in_a_network_of_its_own("netns::a_carrier_that_comes_back_delivers_at_once", || {
        let network = Network::new();
        let provider = network.provider(&[]);
        let gateway = plain();
        assert_eq!(gateway.till("").redeem("BEFORE").state(), "confirmed");
        network.far("ip link set hq0 down");
        redeem_into_the_dark(&gateway, "DARK");
        assert_delivered_soon(&provider, "DARK", "the carrier", || {
            network.far("ip link set hq0 up");
        });
        assert_eq!(gateway.wait_until_drained().confirmed, 2);
        provider.assert_one_key_each();
    });
}

#[test]
fn a_new_address_delivers_at_once_and_no_till_meets_the_old_connections() {
    in_a_network_of_its_own(
        "netns::a_new_address_delivers_at_once_and_no_till_meets_the_old_connections",
        || {
            let network = Network::new();
            let provider = network.provider(&[]);
            let gateway = plain();
            let till = gateway.till("");
            assert_eq!(till.redeem("BEFORE").state(), "confirmed");
            network.store("ip addr flush dev wan0");
            redeem_into_the_dark(&gateway, "DARK");
            assert_delivered_soon(&provider, "DARK", "an address", || {
                network.store(
                    "ip addr add 10.7.0.3/24 dev wan0 && ip route add default via \
                    10.7.0.1 dev wan0",
                );
            });
            gateway.wait_for_link("main", "up");
            // The next lease is another one, and nobody noticed: connections from the old address
            // are dead.
            network.store(
                "ip addr add 10.7.0.4/24 dev wan0 && ip addr del 10.7.0.3/24 dev wan0; \
                       ip addr replace 10.7.0.4/24 dev wan0 && ip route replace default via \
                       10.7.0.1 dev wan0",
            );
            // Changes are told a second apart. The first request then meets no dead connection, on
            // which it would wait in vain for all of `reply_within`.
            moment(Duration::from_millis(1300));
            let first = till.redeem("AFTER");
            assert_eq!((first.status, first.state()), (200, "confirmed"), "{first:?}");
            assert!(gateway.wait_until_drained().confirmed >= 3);
            provider.assert_one_key_each();
        },
    );
}

#[test]
fn a_default_route_moved_to_the_second_line_delivers_at_once() {
    in_a_network_of_its_own(
        "netns::a_default_route_moved_to_the_second_line_delivers_at_once",
        || {
            let network = Network::new();
            let provider = network.provider(&[]);
            let gateway = plain();
            assert_eq!(gateway.till("").redeem("BEFORE").state(), "confirmed");
            network.lose("iifname hq0");
            redeem_into_the_dark(&gateway, "DARK");
            assert_delivered_soon(&provider, "DARK", "the route over the second line", || {
                network.store("ip route replace default via 10.8.0.1 dev lte0");
            });
            assert_eq!(gateway.wait_until_drained().confirmed, 2);
            provider.assert_one_key_each();
        },
    );
}

/// Packets vanish and come through again, and the kernel says nothing about either.
fn black_hole(url: &str, more: &str, args: &[&str]) {
    let network = Network::new();
    let provider = network.provider(args);
    let gateway = gateway(url, more);
    let till = gateway.till("");
    assert_eq!(till.redeem("BEFORE").state(), "confirmed");
    network.lose("iifname hq0");
    let began = Instant::now();
    redeem_into_the_dark(&gateway, "DARK");
    assert!(began.elapsed() < Duration::from_secs(4), "the deadline is 1 s: {:?}", began.elapsed());
    let cause = gateway.lane("main")["cause"].clone();
    // What is tried once more finds no connection either.
    assert!(["write", "answer", "connect"].iter().any(|expected| cause == *expected), "{cause}");
    network.lose_nothing();
    let began = Instant::now();
    assert_eq!(till.redeem("PROBE").status, 200);
    until_within(SOON, "a new redemption finds out", || gateway.counts().pending == 0);
    println!(
        "a black hole ended: all delivered {} ms after a new redemption",
        began.elapsed().as_millis()
    );
    assert_eq!(gateway.counts().confirmed, 3);
    provider.assert_one_key_each();
}

#[test]
fn a_black_hole_is_left_by_the_deadline_and_its_end_found_by_the_next_redemption() {
    in_a_network_of_its_own(
        "netns::a_black_hole_is_left_by_the_deadline_and_its_end_found_by_the_next_redemption",
        || {
            black_hole(&redeem_url("http", PROVIDER), "", &["--http1"]);
        },
    );
}

#[test]
fn a_black_hole_under_http_2_with_tls_is_left_as_well() {
    in_a_network_of_its_own("netns::a_black_hole_under_http_2_with_tls_is_left_as_well", || {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        let args =
            ["--tls", "good", "--tls-name", PROVIDER, "--http2", "--ca-out", ca.to_str().unwrap()];
        black_hole(
            &redeem_url("https", PROVIDER),
            &format!("ca_file = \"{}\"", ca.display()),
            &args,
        );
    });
}

#[test]
fn a_path_on_which_only_big_packets_are_lost_is_a_write_fault() {
    in_a_network_of_its_own(
        "netns::a_path_on_which_only_big_packets_are_lost_is_a_write_fault",
        || {
            let network = Network::new();
            let provider = network.provider(&["--http1"]);
            let gateway = plain();
            network.lose("iifname hq0 ip length > 1000");
            let reply = gateway.till("").order(&Order::new("BIG").with("note", "x".repeat(6000)));
            assert_eq!(reply.state(), "pending");
            let lane = gateway.wait_for_link("main", "down");
            assert_eq!(lane["cause"], "write", "{lane}");
            assert!(gateway.says(&["status"]).contains("often a path MTU fault"));
            network.lose_nothing();
            gateway.says(&["flush"]);
            gateway.wait_until_drained();
            provider.assert_one_key_each();
        },
    );
}

/// A name server that answers every question with one address, which may change.
fn name_server(last: &Arc<AtomicU8>) {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 53), 53)).unwrap();
    let last = Arc::clone(last);
    std::thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, asker)) = socket.recv_from(&mut question) {
            let answer = answer(&question[..length], last.load(Ordering::SeqCst));
            socket.send_to(&answer, asker).unwrap();
        }
    });
}

/// RFC 1035: the question repeated; for an A question one record of 10.9.9.LAST, valid for no time.
fn answer(question: &[u8], last: u8) -> Vec<u8> {
    let name_end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let is_a = question[name_end..name_end + 2] == [0, 1];
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    answer.extend(&question[12..name_end + 4]);
    if is_a {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 10, 9, 9, last]);
    }
    answer
}

#[test]
fn a_name_that_appears_late_and_then_changes_is_followed() {
    in_a_network_of_its_own("netns::a_name_that_appears_late_and_then_changes_is_followed", || {
        let network = Network::new();
        let folder = tempfile::tempdir().unwrap();
        let resolv = folder.path().join("resolv.conf");
        std::fs::write(&resolv, "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n").unwrap();
        network.store(&format!("mount --bind {} /etc/resolv.conf", resolv.display()));
        network.far("ip addr add 10.9.9.8/32 dev lo");
        let provider = network.provider(&[]);
        let gateway = gateway(&redeem_url("http", "provider.retm.example"), "");
        let till = gateway.till("");
        redeem_into_the_dark(&gateway, "NAMELESS");
        assert_eq!(gateway.lane("main")["cause"], "resolve");

        let last = Arc::new(AtomicU8::new(9));
        name_server(&last);
        assert_eq!(till.redeem("NAMED").status, 200);
        until_within(SOON, "a new redemption finds the name", || gateway.counts().pending == 0);

        last.store(8, Ordering::SeqCst);
        network.far("ip addr del 10.9.9.9/32 dev lo");
        // The old address is dead with its connection; what comes next asks for the name again.
        for n in 0..2 {
            // Where the second try does not find the new address in time, the till asks again as it
            // is told.
            let code = format!("MOVED-{n}");
            until("it is taken", || till.redeem(&code).status == 200);
        }
        until_within(SOON, "the new address is found", || gateway.counts().pending == 0);
        assert_eq!(gateway.counts().confirmed, 4);
        provider.assert_one_key_each();
    });
}

/// A question to a name server that is silent goes on for long after nobody waits for its answer.
#[test]
fn a_stop_waits_for_no_name_server() {
    in_a_network_of_its_own("netns::a_stop_waits_for_no_name_server", || {
        let network = Network::new();
        let folder = tempfile::tempdir().unwrap();
        let resolv = folder.path().join("resolv.conf");
        std::fs::write(&resolv, "nameserver 127.0.0.53\noptions timeout:30 attempts:1\n").unwrap();
        network.store(&format!("mount --bind {} /etc/resolv.conf", resolv.display()));
        let _silent = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 53), 53)).unwrap();
        let mut gateway = gateway(&redeem_url("http", "provider.retm.example"), "");
        gateway.till("").redeem("NAMELESS");
        let began = Instant::now();
        assert!(gateway.terminate().success());
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    });
}

/// The store's own address on its network.
const STORE: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 7, 0, 2), 7733);

#[test]
fn no_reload_lets_strangers_redeem_at_an_address_that_is_open_until_the_restart() {
    let name =
        "netns::no_reload_lets_strangers_redeem_at_an_address_that_is_open_until_the_restart";
    in_a_network_of_its_own(name, || {
        let _network = Network::new();
        let provider = Provider::start();
        let builder = Gateway::with().lane("main", &provider, "").till("till-1", "token-1");
        let mut gateway = builder.also_listen(STORE.into()).start();
        let till = gateway.till("till-1");
        let stranger = || Till::new(STORE.into(), None).redeem("STRANGE").status;
        assert_eq!(stranger(), 401);
        gateway.listen_at_one_alone();
        gateway.remove_till("till-1");
        gateway.reload();
        let fault = "tills are served on 10.7.0.2:7733 until a restart";
        until("the reload is refused", || {
            gateway.status()["reload_faults"].to_string().contains(fault)
        });
        assert_eq!((stranger(), till.redeem("KNOWN").status), (401, 200));
        // A restart takes the same settings, and nobody is served there any more.
        gateway.restart();
        assert_eq!(gateway.till("").redeem("HERE").status, 200);
        assert!(Till::new(STORE.into(), None).try_order(&Order::new("THERE")).is_err());
    });
}
