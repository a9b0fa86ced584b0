//! What the console says to people: of one redemption in its story, of many in the inbox, and of a
//! lane on the first screen.

use crate::harness::{Gateway, Provider, eventually};

fn page(gateway: &Gateway, path: &str, language: &str) -> String {
    let headers = [("accept-language", language)];
    let page = gateway.operators().send("GET", path, &headers, b"");
    assert_eq!(page.status, 200, "{path}: {page:?}");
    page.body
}

/// The page has the first texts and none of the others, in English.
fn says(gateway: &Gateway, path: &str, (said, unsaid): (&[&str], &[&str])) {
    let page = page(gateway, path, "en");
    for part in said {
        assert!(page.contains(part), "{path}: {part}: {page}");
    }
    for part in unsaid {
        assert!(!page.contains(part), "{path}: {part}: {page}");
    }
}

fn story(id: &str) -> String {
    format!("/redemptions/{id}")
}

fn tills(provider: &Provider) -> Gateway {
    let gateway = Gateway::with().lane("main", provider, "");
    gateway.till("till-1", "token-1").till("till-2", "token-2").start()
}

#[test]
fn of_what_was_given_and_refused_in_a_row_nothing_is_told_and_what_tills_ask_is_sent() {
    let provider = Provider::start();
    let gateway = tills(&provider);
    provider.cut();
    for n in 0..12 {
        let till = gateway.till(["till-1", "till-2"][n % 2]);
        assert_eq!(till.redeem(&format!("ROW-{n}")).status, 200);
    }
    provider.rules(&["fault=refuse,code=ROW-*,message=Campaign not active"]);
    provider.restore();
    let held = || (gateway.lane("main")["cause"] == "declines").then_some(());
    eventually("the drain is held", held);
    assert_eq!(gateway.till("till-1").redeem("NOW-1").state(), "confirmed");
    let inbox = ["Refused in a row", "Nothing: the customer has the reward."];
    says(&gateway, "/inbox", (&inbox, &["refuses every code", "is owed to the customer"]));
    let home = ["what tills ask now is sent, what waits is not until a person has looked"];
    says(&gateway, "/", (&home, &["nothing more is sent"]));
}

#[test]
fn what_is_parked_is_told_by_whether_the_customer_has_the_reward() {
    let provider = Provider::start();
    let gateway = tills(&provider);
    let (given, looked) =
        ("Nothing: the customer has the reward.", "The code is being looked into.");
    provider.cut();
    assert_eq!(gateway.till("till-1").redeem("PARK-1").status, 200);
    provider.rules(&["fault=soft-status"]);
    provider.restore();
    gateway.wait_for_counts("what was given is parked", |counts| counts.parked == 1);
    says(&gateway, "/inbox", (&[given], &[looked, "is owed to the customer"]));
    assert_eq!(gateway.till("till-1").redeem("PARK-2").status, 400);
    says(&gateway, "/inbox", (&[given, looked], &[]));
    let inbox = page(&gateway, "/inbox", "en");
    assert_eq!(inbox.matches("An answer that nobody can read").count(), 2, "{inbox}");
}

#[test]
fn what_a_till_takes_back_after_it_was_given_waits_for_a_person_in_every_view() {
    let provider = Provider::start();
    let gateway = tills(&provider);
    provider.cut();
    let till = gateway.till("till-1");
    assert_eq!(till.redeem("CUT-1").status, 200);
    gateway.wait_for_link("main", "down");
    let id = till.redeem("BACK-1").id();
    eventually("it is taken back", || (till.void(&id).status == 200).then_some(()));
    provider.restore();
    gateway.wait_for_counts("the other is sent", |counts| counts.confirmed == 1);

    says(&gateway, "/inbox", (&["Taken back after it was given", &id], &["nothing to decide"]));
    assert!(page(&gateway, "/inbox", "ar").contains("هل ما زالت المكافأة في المتجر؟"));
    says(&gateway, "/", (&["Taken back after it was given"], &[]));
    assert!(gateway.says(&["list", "--waiting", "--json"]).contains(&id));
    let check = gateway.command(&["status", "--check"]);
    assert!(check.out.contains("1 taken back by a till after it was given"), "{check:?}");
    let report = gateway.says(&["report"]);
    assert!(report.contains("is the reward still in the store?"), "{report}");
    assert!(!report.contains("othing waits"), "{report}");
    assert!(gateway.says(&["report", "--json"]).contains(r#""reason":"taken_back""#));

    gateway.says(&["handled", &id, "--note", "it lies in the drawer"]);
    assert!(!gateway.says(&["list", "--waiting", "--json"]).contains(&id));
    says(&gateway, "/inbox", (&["there is nothing to decide"], &[&id]));
    assert_eq!(gateway.lane("main")["exposure"], "0.00");
}

#[test]
fn a_code_for_which_our_credential_was_not_taken_was_sent_and_its_attempts_are_counted() {
    let provider = Provider::start();
    let gateway = tills(&provider);
    assert_eq!(gateway.till("till-1").redeem("WELL").status, 200);
    provider.rules(&["fault=401"]);
    let refused = gateway.till("till-1").redeem("TOKEN-1");
    assert_eq!(refused.status, 503, "{refused:?}");
    let told = ["No: the till was told no, and the provider has not taken it.", "HTTP 401"];
    let voided =
        || gateway.list("voided").first().map(|row| row["id"].as_str().unwrap().to_owned());
    let id = eventually("it is voided", voided);
    says(&gateway, &story(&id), (&told, &["nothing was sent", "<dd>0</dd>"]));
}

#[test]
fn what_was_inferred_is_no_attempt_that_the_provider_took() {
    let provider = Provider::start();
    let gateway = tills(&provider);
    provider.cut();
    let id = gateway.till("till-1").redeem("OURS-1").id();
    let used = r#"{"data":[],"message":"Reward has been used","errors":["Reward has been used"]}"#;
    provider.loses_first_and_then("OURS-*", &[("OURS-1", 400, used)]);
    provider.restore();
    gateway.wait_for_counts("it counts as confirmed", |counts| counts.confirmed == 1);
    let said = ["the provider said it was used already · HTTP 400"];
    says(&gateway, &story(&id), (&said, &["the provider took it"]));
    let arabic = page(&gateway, &story(&id), "ar");
    assert!(arabic.contains("قال المزوّد إنها استُعملت من قبل · "), "{arabic}");
}
