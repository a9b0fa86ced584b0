//! People and machines at the operators' listener: who may what, signing in, and attacks on the
//! console.

use std::io::{Read, Write};
use std::time::Duration;

use crate::harness::{Gateway, Order, Provider, Reply, Till, eventually, until};

const PASSWORD: &str = "a long enough password";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
/// What a hostile till, customer or provider would like a browser to run.
const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror='alert(1)'>\u{202e}";

/// A gateway with a person and a machine of each role.
fn peopled(provider: &Provider) -> Gateway {
    let builder = Gateway::with().lane("main", provider, "").till("<b>till", "till-token");
    let folder = builder.folder().to_owned();
    let mut sections = String::new();
    for role in ["see", "decide", "engineer"] {
        let (token, password) =
            (folder.join(format!("{role}.token")), folder.join(format!("{role}.password")));
        std::fs::write(&token, format!("{role}-token-of-the-monitor")).unwrap();
        std::fs::write(&password, hash()).unwrap();
        sections = format!(
            "{sections}[[admin.token]]\nname = \"{role}-agent\"\nrole = \"{role}\"\ntoken_file \
             = \"{}\"\n[[admin.user]]\nname = \
             \"{role}-person\"\nrole = \"{role}\"\npassword_file = \"{}\"\n",
            token.display(),
            password.display()
        );
    }
    builder.more(&sections).start()
}

fn hash() -> String {
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_redeemd"))
        .arg("hash-password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

fn origin(gateway: &Gateway) -> String {
    format!("http://{}", gateway.admin_address())
}

/// A form, as a browser sends it from a page of the gateway's own.
fn post(gateway: &Gateway, path: &str, cookie: &str, form: &str) -> Reply {
    let origin = origin(gateway);
    let headers =
        [FORM, ("origin", &origin), ("sec-fetch-site", "same-origin"), ("cookie", cookie)];
    gateway.operators().send("POST", path, &headers, form.as_bytes())
}

fn get(gateway: &Gateway, path: &str, cookie: &str) -> Reply {
    gateway.operators().send("GET", path, &[("cookie", cookie)], b"")
}

/// The cookie of a new session.
fn signed_in(gateway: &Gateway, name: &str) -> String {
    let reply = post(
        gateway,
        "/sign-in",
        "x=1",
        &format!("name={name}&password={}", PASSWORD.replace(' ', "+")),
    );
    assert_eq!(reply.status, 303, "{reply:?}");
    reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

#[test]
fn over_tcp_reading_is_free_here_and_every_action_takes_a_credential_and_its_role() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    provider.rules(&["fault=refuse"]);
    let id = gateway.till("<b>till").redeem("ROLE-1").id();
    let json = |token: Option<&str>, path: &str, body: &str| {
        Till::new(gateway.admin_address(), token).send(
            "POST",
            path,
            &[("content-type", "application/json")],
            body.as_bytes(),
        )
    };
    let retry = format!("/api/v1/redemptions/{id}/retry");
    for read in ["/", "/inbox", "/search", "/metrics", "/api/v1/status", "/livez", "/readyz"] {
        assert_eq!(get(&gateway, read, "x=1").status, 200, "{read}");
    }
    let nobody = json(None, &retry, "{}");
    assert_eq!(
        (nobody.status, nobody.header("www-authenticate")),
        (401, Some("Bearer")),
        "{nobody:?}"
    );
    for (path, body, allowed) in [
        (retry.as_str(), "{}", ["decide", "engineer"].as_slice()),
        ("/api/v1/lanes/main/flush", "{}", &["engineer"]),
        ("/api/v1/hold", "{}", &["engineer"]),
        ("/api/v1/import", "{\"from\":\"\",\"rows\":[]}", &["engineer"]),
    ] {
        for role in ["see", "decide", "engineer"] {
            let status = json(Some(&format!("{role}-token-of-the-monitor")), path, body).status;
            assert_eq!(status != 403, allowed.contains(&role), "{role} {path}: {status}");
            assert_ne!(status, 401, "{role} {path}");
        }
    }
    assert_eq!(json(Some("another"), "/api/v1/hold", "{}").status, 401);
    let wrong =
        Till::new(gateway.admin_address(), Some("another")).send("GET", "/api/v1/status", &[], b"");
    assert_eq!(
        wrong.status, 401,
        "a token that does not hold is refused, also where none is needed"
    );
    assert_eq!(gateway.lane("main")["link"], "held");
}

#[test]
fn who_did_it_is_recorded_by_the_name_of_the_token_and_of_the_person() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    provider.rules(&["fault=refuse"]);
    let id = gateway.till("<b>till").redeem("WHO-1").id();
    let cookie = signed_in(&gateway, "decide-person");
    assert_eq!(post(&gateway, &format!("/redemptions/{id}/retry"), &cookie, "").status, 303);
    gateway.wait_for_counts("declined again", |counts| counts.declined == 1);
    let agent = Till::new(gateway.admin_address(), Some("decide-token-of-the-monitor"));
    let body = br#"{"note":"called the customer"}"#;
    assert_eq!(
        agent.send("POST", &format!("/api/v1/redemptions/{id}/handled"), &[], body).status,
        200
    );
    let story = get(&gateway, &format!("/redemptions/{id}"), &cookie).body;
    assert!(story.contains("decide-person") && story.contains("decide-agent"), "{story}");
    assert!(story.contains("called the customer"), "{story}");
}

#[test]
fn what_is_refused_is_said_in_the_language_that_whoever_asks_likes_best() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    provider.cut();
    let id = gateway.till("<b>till").redeem("TONGUE-1").id();
    let cookie = signed_in(&gateway, "decide-person");
    let ask = |path: &str, language: &str| {
        let headers = [
            ("accept-language", language),
            ("authorization", "Bearer decide-token-of-the-monitor"),
        ];
        let body = br#"{"note":"customer came back"}"#;
        Till::new(gateway.admin_address(), None).send("POST", path, &headers, body)
    };
    let path = format!("/api/v1/redemptions/{id}/handled");
    let english = ask(&path, "en");
    assert_eq!(english.json()["detail"], "it is pending: the provider has not answered about it");
    let arabic = ask(&path, "ar-SA, en;q=0.5");
    assert_eq!(arabic.json()["detail"], "ما زالت قيد الانتظار: لم يجب المزوّد عنها بعد");
    assert_eq!((arabic.status, arabic.header("content-language")), (409, Some("ar")));
    assert_eq!(arabic.header("content-type"), Some("application/problem+json"));
    let hold = ask("/api/v1/hold", "ar");
    assert_eq!(
        hold.json()["detail"],
        "لا يملك \u{2068}decide-agent\u{2069} الدور المطلوب: \
        الهندسة"
    );
    let page = |path: &str, form: &str| {
        let origin = origin(&gateway);
        let headers = [FORM, ("origin", &origin), ("cookie", &cookie), ("accept-language", "ar")];
        gateway.operators().send("POST", path, &headers, form.as_bytes()).body
    };
    assert!(
        page(&format!("/redemptions/{id}/handled"), "note=x").contains("لم يجب المزوّد عنها بعد")
    );
    assert!(
        page(&format!("/redemptions/{id}/void"), "note=").contains("السبب: اذكره بكلمات قليلة")
    );
}

/// Letters of the Arabic alphabet, and no word of English outside of an isolation.
fn is_arabic(text: &str) -> bool {
    let mut depth = 0;
    let outside = |c: char| {
        depth += i32::from(c == '\u{2068}') - i32::from(c == '\u{2069}');
        depth == 0
    };
    let outside: String = text
        .chars()
        .filter({
            let mut outside = outside;
            move |c| outside(*c)
        })
        .collect();
    outside.contains(|c| matches!(c, '\u{621}'..='\u{64a}'))
        && !outside.contains(|c: char| c.is_ascii_alphabetic())
}

#[test]
fn every_text_of_the_api_is_arabic_for_whoever_likes_that_best() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    provider.cut();
    let id = gateway.till("<b>till").redeem("TONGUE-2").id();
    let ask = |method: &str, path: &str, body: &[u8]| {
        let headers = [
            ("accept-language", "ar"),
            ("content-type", "application/json"),
            ("authorization", "Bearer engineer-token-of-the-monitor"),
        ];
        Till::new(gateway.admin_address(), None).send(method, path, &headers, body)
    };
    let too_large = vec![b' '; 17 * 1024];
    let rows = format!(r#"{{"from":"","rows":[{}]}}"#, ["{}"; 3].join(","));
    let from = format!(r#"{{"from":"{}","rows":[]}}"#, "x".repeat(200));
    let post = |path: &'static str, body: &[u8], status| ("POST", path, body.to_vec(), status);
    let refused = [
        post("/api/v1/import", b"[", 400),
        post("/api/v1/import", rows.as_bytes(), 400),
        post("/api/v1/import", from.as_bytes(), 400),
        post("/api/v1/search", br#"{"code":7}"#, 400),
        post("/api/v1/hold", b"{", 400),
        post("/api/v1/hold", &too_large, 413),
        post("/api/v1/lanes/nope/hold", b"{}", 404),
        post("/api/v1/nope", b"{}", 404),
        ("GET", "/api/v1/redemptions?state=x&limit=0&till=%FF", Vec::new(), 400),
        ("GET", "/api/v1/redemptions/nope", Vec::new(), 404),
        ("GET", "/api/v1/figures?from=yesterday", Vec::new(), 400),
        ("GET", "/api/v1/figures?till=1", Vec::new(), 400),
        ("GET", "/api/v1/export?after=x", Vec::new(), 400),
        ("DELETE", "/api/v1/status", Vec::new(), 405),
    ];
    for (method, path, body, status) in refused {
        let reply = ask(method, path, &body);
        assert_eq!(
            (reply.status, reply.header("content-language")),
            (status, Some("ar")),
            "{path}"
        );
        for member in ["title", "detail"] {
            let text = reply.json()[member].as_str().unwrap().to_owned();
            assert!(is_arabic(&text), "{method} {path}: {member}: {text}");
        }
    }
    let held = ask("POST", "/api/v1/hold", b"{}");
    assert_eq!(held.status, 200, "{held:?}");
    eventually("not ready", || Some(ask("GET", "/readyz", b"")).filter(|it| it.status == 503));
    let told = ask("GET", "/readyz", b"").json()["detail"].as_str().unwrap().to_owned();
    assert!(is_arabic(&told), "{told}");
    let explained = ask("GET", "/api/v1/status", b"").json()["lanes"][0]["explanation"].clone();
    assert!(is_arabic(explained.as_str().unwrap()), "{explained}");
    let void = format!("/api/v1/redemptions/{id}/void");
    assert_eq!(ask("POST", &void, br#"{"note":"called off"}"#).status, 200);
    let story = ask("GET", &format!("/api/v1/redemptions/{id}"), b"").json();
    let told = story["events"][0]["detail"].as_str().unwrap();
    assert_eq!(told, "\u{2068}called off\u{2069}", "a name in a text from the right stands apart");
    let english = gateway.admin("GET", &format!("/api/v1/redemptions/{id}"), "").json();
    assert_eq!(english["events"][0]["detail"], "called off");
}

#[test]
fn what_an_import_refuses_or_parks_is_said_in_the_language_of_whoever_brings_it() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    provider.cut();
    gateway.till("<b>till").redeem("TRAVELS-1");
    let ask = |method: &str, path: &str, body: &str| {
        let headers = [
            ("accept-language", "ar"),
            ("content-type", "application/json"),
            ("authorization", "Bearer engineer-token-of-the-monitor"),
        ];
        Till::new(gateway.admin_address(), None).send(method, path, &headers, body.as_bytes())
    };
    let page = ask("GET", "/api/v1/export", "").json();
    let mut row = page["page"]["rows"][0].clone();
    let bring = |row: &serde_json::Value| {
        let body = serde_json::json!({ "from": "branch-1", "rows": [row] }).to_string();
        let arrived = ask("POST", "/api/v1/import", &body).json()["arrived"][0].clone();
        (arrived["outcome"].clone(), arrived["why"].as_str().unwrap_or_default().to_owned())
    };
    // Another id: the code is held by the redemption that is here.
    row["id"] = format!("9{}", row["id"].as_str().unwrap()).into();
    let (outcome, why) = bring(&row);
    assert!(outcome == "parked" && is_arabic(&why), "{outcome}: {why}");
    row["branch_id"] = "x".repeat(300).into();
    row["id"] = format!("8{}", row["id"].as_str().unwrap()).into();
    let (outcome, why) = bring(&row);
    assert!(outcome == "refused" && is_arabic(&why), "{outcome}: {why}");
}

#[test]
fn the_trail_has_who_signed_in_who_tried_a_line_and_who_touched_many_and_why() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    provider.cut();
    for n in 0..3 {
        gateway.till("<b>till").redeem(&format!("TRAIL-{n}"));
    }
    let cookie = signed_in(&gateway, "engineer-person");
    assert_eq!(post(&gateway, "/lanes/main/flush", &cookie, "").status, 303);
    assert_eq!(post(&gateway, "/lanes/main/hold", &cookie, "note=the+provider+asked").status, 303);
    let silent = post(&gateway, "/bulk", &cookie, "kind=search&key=state%3Dpending&action=void");
    assert_eq!(silent.status, 400, "whoever touches many says why: {silent:?}");
    let order =
        "kind=search&key=state%3Dpending%26till%3D%253Cb%253Etill&action=void&note=called+off";
    let job = post(&gateway, "/bulk", &cookie, order);
    assert_eq!(job.status, 303, "{job:?}");
    gateway.wait_for_counts("all are voided", |counts| counts.voided == 3);
    let trail = eventually("the job is in the trail", || {
        Some(get(&gateway, "/trail", "x=1").body)
            .filter(|trail| trail.contains("called off") && trail.contains("Many at once"))
    });
    for part in [
        "Signed in",
        "signed in from 127.0.0.1",
        "Told to try at once",
        "A line was held",
        "the provider asked",
    ] {
        assert!(trail.contains(part), "{part}: {trail}");
    }
    assert!(trail.contains("3 redemptions closed: called off"), "{trail}");
    assert_eq!(post(&gateway, "/sign-out", &cookie, "").status, 303);
    assert!(get(&gateway, "/trail", "x=1").body.contains("Signed out"));
}

#[test]
fn who_stopped_a_job_is_told_on_its_page_and_in_the_trail() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    provider.cut();
    for n in 0..150 {
        assert_eq!(gateway.till("<b>till").redeem(&format!("MANY-{n}")).status, 200);
    }
    let [begins, stops] = ["engineer-person", "decide-person"].map(|by| signed_in(&gateway, by));
    let order = "kind=search&key=state%3Dpending&action=void&note=called+off";
    let job = post(&gateway, "/bulk", &begins, order).header("location").unwrap().to_owned();
    for cookie in [&stops, &begins] {
        assert_eq!(post(&gateway, &format!("{job}/stop"), cookie, "").status, 303);
    }
    let page = eventually("it has ended", || {
        Some(get(&gateway, &job, &begins).body).filter(|page| page.contains("It was stopped."))
    });
    assert!(page.contains("Stopped by <bdi>decide-person</bdi>"), "{page}");
    let trail = get(&gateway, "/trail", &begins).body;
    assert!(trail.contains("and decide-person stopped it before all were reached"), "{trail}");
}

#[test]
fn trust_is_switched_off_at_the_console_by_engineers_alone_with_a_reason_and_stands_first() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    let off = "/lanes/main/trust-off";
    let decides = signed_in(&gateway, "decide-person");
    assert_eq!(post(&gateway, off, &decides, "note=guessed&hours=2").status, 403);
    assert!(!get(&gateway, "/", &decides).body.contains("trust-off"));
    let cookie = signed_in(&gateway, "engineer-person");
    assert_eq!(
        post(&gateway, off, &cookie, "note=&hours=2").status,
        400,
        "whoever does it says why"
    );
    assert_eq!(post(&gateway, "/lanes/nope/trust-off", &cookie, "note=guessed").status, 404);
    assert_eq!(post(&gateway, off, &cookie, "note=codes+are+guessed&hours=2").status, 303);
    let home = get(&gateway, "/", &cookie).body;
    let said =
        home.find("No reward is given without the provider&#39;s answer, for").expect("it is said");
    assert!(
        said < home.find("No line is known to be down").unwrap()
            && home.contains("engineer-person: codes are guessed")
            && !home.contains("All is well"),
        "{home}"
    );
    provider.cut();
    assert_eq!(gateway.till("<b>till").redeem("OFF-1").status, 503);
    assert_eq!(post(&gateway, "/lanes/main/trust-on", &cookie, "").status, 303);
    assert!(!get(&gateway, "/", &cookie).body.contains("codes are guessed"));
    until("it is given on trust again", || gateway.till("<b>till").redeem("OFF-2").status == 200);
}

#[test]
fn who_holds_a_lane_and_why_stands_on_the_first_screen_in_both_languages_as_text() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    let cookie = signed_in(&gateway, "engineer-person");
    let note = "note=%3Cb%3Estocktaking%E2%80%AE";
    assert_eq!(post(&gateway, "/lanes/main/hold", &cookie, note).status, 303);
    gateway.wait_for_link("main", "held");
    for (language, said) in [
        ("en", "An operator holds this lane (engineer-person: &#60;b&#62;stocktaking)"),
        ("ar", "(\u{2068}engineer-person\u{2069}: \u{2068}&#60;b&#62;stocktaking\u{2069})"),
    ] {
        let headers = [("accept-language", language)];
        let home = gateway.operators().send("GET", "/", &headers, b"").body;
        assert_eq!(home.matches(said).count(), 2, "the sentence and the lane say it: {home}");
        assert!(!home.contains("held by") && !home.contains('\u{202e}'), "{home}");
    }
}

#[test]
fn whoever_sends_again_what_a_till_was_refused_is_told_that_it_may_be_owed_then() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    let till = gateway.till("<b>till");
    let cookie = signed_in(&gateway, "decide-person");
    let owes = "although the till was told no, the reward is owed to the customer.";
    let says = |path: &str| get(&gateway, path, &cookie).body.contains(owes);
    let search = |action: &str| format!("/bulk?kind=search&key=state%3Ddeclined&action={action}");
    provider.rules(&["fault=refuse,code=*-*"]);
    provider.cut();
    let given = till.redeem("GIVEN-1").id();
    provider.restore();
    gateway.wait_for_counts("declined after the fact", |counts| counts.declined == 1);
    assert!(!says("/inbox") && !says(&format!("/redemptions/{given}")));
    assert!(!says(&search("retry")));
    let refused = till.redeem("REFUSED-1").id();
    assert!(says("/inbox") && says(&format!("/redemptions/{refused}")));
    assert!(says(&search("retry")) && !says(&search("handled")));
    provider.rules(&[]);
    assert_eq!(post(&gateway, &format!("/redemptions/{refused}/retry"), &cookie, "").status, 303);
    gateway.wait_for_counts("the provider takes it", |counts| counts.confirmed == 1);
    assert!(get(&gateway, "/inbox", &cookie).body.contains("Owed to a customer"));
}

#[test]
fn how_a_code_begins_is_for_those_who_may_decide() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    gateway.till("<b>till").redeem("SUMMER-OF-2026-A3F1");
    let list = |token: Option<&str>| {
        let reply =
            Till::new(gateway.admin_address(), token).send("GET", "/api/v1/redemptions", &[], b"");
        reply.json()["redemptions"][0]["code_prefix"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        (list(None), list(Some("see-token-of-the-monitor"))),
        (String::new(), String::new())
    );
    assert_eq!(list(Some("decide-token-of-the-monitor")), "SUMM");
}

#[test]
fn a_session_ends_with_sign_out_with_another_password_and_with_a_reload() {
    let provider = Provider::start();
    let mut gateway = peopled(&provider);
    let is_in = |gateway: &Gateway, cookie: &str| {
        get(gateway, "/", cookie).body.contains("engineer-person")
    };
    let line =
        post(&gateway, "/sign-in", "x=1", "name=engineer-person&password=a+long+enough+password");
    let line = line.header("set-cookie").unwrap().to_owned();
    assert!(
        line.contains("; HttpOnly")
            && line.contains("; SameSite=Strict")
            && line.contains("; Path=/"),
        "{line}"
    );

    let fixed = "redeemd=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let first =
        post(&gateway, "/sign-in", fixed, "name=engineer-person&password=a+long+enough+password");
    assert!(!is_in(&gateway, fixed), "a session that somebody fixed beforehand is none");
    let first = first.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert!(first != fixed && is_in(&gateway, &first));
    let second =
        post(&gateway, "/sign-in", &first, "name=engineer-person&password=a+long+enough+password");
    let second = second.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert!(
        !is_in(&gateway, &first) && is_in(&gateway, &second),
        "each sign-in begins a new session"
    );
    assert!(!is_in(&gateway, &format!("{second}; {second}")), "of two nobody can say which");

    assert_eq!(post(&gateway, "/sign-out", &second, "").status, 303);
    assert!(!is_in(&gateway, &second));
    let third = signed_in(&gateway, "engineer-person");
    std::fs::write(gateway.folder().join("engineer.password"), hash()).unwrap();
    until("another hash ends the session", || !is_in(&gateway, &third));
    let fourth = signed_in(&gateway, "engineer-person");
    gateway.reload();
    until("a reload ends the session", || !is_in(&gateway, &fourth));
}

#[test]
fn a_form_of_another_site_does_nothing_whatever_it_sends() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    let cookie = signed_in(&gateway, "engineer-person");
    let own = origin(&gateway);
    let hold = "/lanes/main/hold";
    let host = gateway.admin_address().to_string();
    for headers in [
        vec![FORM],
        vec![FORM, ("origin", "https://evil.example")],
        vec![FORM, ("origin", "null"), ("sec-fetch-site", "same-origin")],
        vec![FORM, ("origin", &own), ("sec-fetch-site", "cross-site")],
        vec![FORM, ("origin", &own), ("sec-fetch-site", "same-site")],
        vec![("content-type", "text/plain"), ("origin", &own)],
        vec![("content-type", "multipart/form-data; boundary=x"), ("origin", &own)],
        vec![FORM, ("origin", &own), ("host", "evil.example")],
        vec![FORM, ("origin", "http://evil.example"), ("host", "evil.example")],
    ] {
        let all: Vec<_> = headers.iter().copied().chain([("cookie", cookie.as_str())]).collect();
        let reply = gateway.operators().send("POST", hold, &all, b"");
        assert!([400, 403, 415, 421].contains(&reply.status), "{headers:?}: {reply:?}");
    }
    for path in [
        "/lanes/main/hold",
        "/redemptions/1-a/retry",
        "/bulk",
        "/jobs/1/stop",
        "/sign-out",
        "/language",
    ] {
        assert_ne!(
            gateway.operators().send("GET", path, &[("cookie", &cookie)], b"").status,
            303,
            "{path} by GET"
        );
    }
    assert_eq!(gateway.lane("main")["link"], "up");
    assert_eq!(post(&gateway, hold, &cookie, "").status, 303, "{host}");
    gateway.wait_for_link("main", "held");
}

#[test]
fn many_at_once_leave_as_they_are_what_a_person_has_closed() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    provider.rules(&["fault=refuse"]);
    let ids = ["SHUT-1", "SHUT-2", "SHUT-3"].map(|code| gateway.till("<b>till").redeem(code).id());
    let cookie = signed_in(&gateway, "decide-person");
    let handled = format!("/redemptions/{}/handled", ids[0]);
    assert_eq!(post(&gateway, &handled, &cookie, "note=the+customer+has+paid").status, 303);
    provider.rules(&[]);
    let asked = "kind=search&key=state%3Ddeclined&action=retry";
    let counted = get(&gateway, &format!("/bulk?{asked}"), &cookie);
    for part in ["<strong>2 redemptions</strong>", "a person has closed them: 1 redemption."] {
        assert!(counted.body.contains(part), "{part}: {counted:?}");
    }
    assert_eq!(post(&gateway, "/bulk", &cookie, &format!("{asked}&note=again")).status, 303);
    gateway.wait_for_counts("the others are sent again", |counts| counts.confirmed == 2);
    eventually("the job has ended", || {
        get(&gateway, "/trail", "x=1").body.contains("2 redemptions sent again").then_some(())
    });
    assert_eq!(gateway.list("declined")[0]["id"], ids[0].as_str());
}

#[test]
fn a_form_that_cannot_be_read_does_nothing_and_a_page_says_so() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    let cookie = signed_in(&gateway, "engineer-person");
    provider.rules(&["fault=refuse"]);
    let retry = format!("/redemptions/{}/retry", gateway.till("<b>till").redeem("FORM-1").id());
    for (path, form) in [
        ("/lanes/main/hold", "note=a&note=b"),
        (retry.as_str(), "note=a&note=b"),
        ("/bulk", "kind=search"),
        ("/search", "cod=FORM-1"),
        ("/language", "to=/"),
        ("/sign-in", "name=engineer-person"),
    ] {
        let page = post(&gateway, path, &cookie, form);
        assert_eq!(page.status, 400, "{path}: {page:?}");
        assert!(page.body.contains("What was sent is not as expected: "), "{path}: {page:?}");
    }
    let arabic = |path: &str, form: &str| {
        let cookie = format!("{cookie}; redeemd-language=ar");
        post(&gateway, path, &cookie, form).body
    };
    for (path, form, says) in [
        ("/lanes/main/hold", "note=a&note=b", "السبب: ورد مرتين"),
        ("/lanes/main/trust-off", "note=a&hours=x", "المدة بالساعات: عدد من 1 إلى"),
    ] {
        let page = arabic(path, form);
        assert!(page.contains(says) && !page.contains("duplicate field"), "{path}: {page}");
    }
    assert_eq!(gateway.lane("main")["link"], "up");
    assert_eq!(gateway.counts().declined, 1, "nothing was sent again");
}

#[test]
fn an_inbox_that_goes_on_from_nowhere_is_refused_and_does_not_look_empty() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    for wrong in ["xxx", "parked.1,xxx", "pending.1"] {
        let page = get(&gateway, &format!("/inbox?from={wrong}"), "x=1");
        assert_eq!(page.status, 400, "{wrong}: {page:?}");
        assert!(page.body.contains("what an answer of the gateway gave"), "{wrong}: {page:?}");
    }
    for right in ["/inbox", "/inbox?from=", "/inbox?from=parked.7,declined.7"] {
        assert_eq!(get(&gateway, right, "x=1").status, 200, "{right}");
    }
}

#[test]
fn whoever_is_refused_or_signed_out_comes_back_to_the_page_of_the_form() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    let cookie = signed_in(&gateway, "decide-person");
    let story = format!("/redemptions/{}", gateway.till("<b>till").redeem("BACK-1").id());
    let stale = post(&gateway, &format!("{story}/void"), &cookie, "note=the+till+was+wrong");
    assert!(stale.status == 409 && stale.body.contains(&format!("href=\"{story}\"")), "{stale:?}");
    let out = post(&gateway, &format!("{story}/void"), "", "note=the+till+was+wrong");
    let to = format!("/sign-in?to={}&undone=true", story.replace('/', "%2F"));
    assert_eq!((out.status, out.header("location")), (303, Some(to.as_str())));
    assert_eq!(
        post(&gateway, "/lanes/main/hold", "", "").header("location"),
        Some("/sign-in?to=%2F&undone=true")
    );
}

#[test]
fn who_presses_a_button_after_the_session_has_ended_is_told_that_it_was_not_done() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    provider.rules(&["fault=refuse"]);
    let handled = format!("/redemptions/{}/handled", gateway.till("<b>till").redeem("OUT-1").id());
    let cookie = signed_in(&gateway, "decide-person");
    std::fs::write(gateway.folder().join("decide.password"), hash()).unwrap();
    let ended = || !get(&gateway, "/", &cookie).body.contains("decide-person");
    until("another hash ends the session", ended);
    let pressed = post(&gateway, &handled, &cookie, "note=called+the+customer");
    let to = pressed.header("location").unwrap().to_owned();
    assert!(pressed.status == 303 && !to.contains("customer"), "{pressed:?}");
    let says = |language: &str, words: &str| {
        let headers = [("accept-language", language)];
        gateway.operators().send("GET", &to, &headers, b"").body.contains(words)
    };
    assert!(says("en", "You were signed out: what you pressed was not done"));
    assert!(says("ar", "انتهت جلستك: لم يُنفَّذ ما ضغطت عليه"));
    let plain = get(&gateway, "/sign-in?to=%2F", "x=1");
    assert!(!plain.body.contains("signed out"), "{plain:?}");
    let away = get(&gateway, "/sign-in?to=//elsewhere.example&undone=true", "x=1");
    assert!(away.body.contains("name=\"to\" value=\"/\""), "{away:?}");
}

/// No frame around it, and nothing in it that its policy does not allow.
fn is_guarded(page: &Reply) {
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
}

#[test]
fn no_string_of_a_till_a_customer_or_the_provider_becomes_markup_in_any_view() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    let order = Order::new(&format!("{HOSTILE}1")).with("branch_id", HOSTILE);
    let till = gateway.till("<b>till");
    provider.cut();
    let reply = till.order(&order);
    assert_eq!(reply.status, 200, "{reply:?}");
    let id = reply.id();
    let looks = |when: &str| {
        let story = format!("/redemptions/{id}");
        let cookie = signed_in(&gateway, "engineer-person");
        for path in [
            "/",
            "/inbox",
            "/search?newest=1",
            story.as_str(),
            "/search?till=%22%3E%3Cscript%3E",
            "/sign-in?to=%22%3E%3Cscript%3E",
            "/trail",
            "/inbox?from=%22%3E%3Cscript%3E",
            "/bulk?kind=search&key=state%3Dpending%26till%3D%2522%253E%253Cscript%253E&action=void",
        ] {
            for language in ["en", "ar"] {
                let headers = [("cookie", cookie.as_str()), ("accept-language", language)];
                let page = gateway.operators().send("GET", path, &headers, b"");
                let status = if path.starts_with("/inbox?from=") { 400 } else { 200 };
                assert_eq!(page.status, status, "{when} {path}: {page:?}");
                let lower = page.body.to_lowercase();
                assert!(
                    !lower.contains("<script>")
                        && !lower.contains("<img")
                        && !lower.contains("<b>till"),
                    "{path}: {lower}"
                );
                assert!(
                    !page.body.contains('\u{202e}'),
                    "{when} {path} turns the reading direction"
                );
                assert!(!page.body.contains(" style=") && !lower.contains("onclick"), "{path}");
                is_guarded(&page);
            }
        }
    };
    looks("pending");
    provider.rules(&[&format!(
        "fault=refuse,message=no {{code}} {}",
        HOSTILE.replace(['=', ','], ":")
    )]);
    provider.restore();
    gateway.wait_until_drained();
    looks("declined");
    let cookie = signed_in(&gateway, "decide-person");
    let note = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E%3Cimg%20src=x%3E";
    assert_eq!(
        post(&gateway, &format!("/redemptions/{id}/handled"), &cookie, &format!("note={note}"))
            .status,
        303
    );
    a_job_shows_its_note_as_text(&gateway, &cookie, note);
    looks("handled with a hostile note");
    no_redirect_leads_away(&gateway);
}

fn a_job_shows_its_note_as_text(gateway: &Gateway, cookie: &str, note: &str) {
    let order =
        format!("kind=search&key=till%3D%2522%253E%253Cscript%253E&action=retry&note={note}");
    let job = post(gateway, "/bulk", cookie, &order);
    let job = get(gateway, job.header("location").unwrap(), cookie).body.to_lowercase();
    assert!(
        job.contains("alert(1)") && !job.contains("<script>") && !job.contains("<img"),
        "{job}"
    );
}

fn no_redirect_leads_away(gateway: &Gateway) {
    let page =
        post(gateway, "/language", "x=1", "language=%22%0d%0aset-cookie:a=b&to=//evil.example/");
    assert_eq!((page.status, page.header("location")), (303, Some("/")));
    assert!(page.header("set-cookie").is_none());
}

/// What comes over a page's stream within a moment.
fn streamed(gateway: &Gateway, language: &str) -> String {
    streamed_for(gateway, language, Duration::from_millis(700))
}

fn streamed_for(gateway: &Gateway, language: &str, within: Duration) -> String {
    let head = format!(
        "GET /events HTTP/1.1\r\nhost: {}\r\naccept-language: {language}\r\n\r\n",
        gateway.admin_address()
    );
    gateway.operators().raw(head.as_bytes(), within)
}

#[test]
fn a_page_that_is_opened_after_a_change_is_not_sent_what_others_saw_before_it() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    assert_eq!(gateway.till("<b>till").redeem("SEEN-1").status, 200);
    let cookie = signed_in(&gateway, "engineer-person");
    let sent = || streamed_for(&gateway, "en", Duration::from_millis(300));
    for (word, before, after) in [("hold", "up", "held"), ("release", "held", "up")] {
        let stands = |link: &str| format!("<span class=\"state {link}\">");
        until("others see it", || sent().contains(&stands(before)));
        assert_eq!(post(&gateway, &format!("/lanes/main/{word}"), &cookie, "").status, 303);
        until("it is done", || get(&gateway, "/", "x=1").body.contains(&stands(after)));
        let stream = sent();
        assert!(stream.contains(&stands(after)) && !stream.contains(&stands(before)), "{stream}");
    }
}

#[test]
fn what_a_page_is_sent_while_it_is_open_holds_no_markup_of_a_till_or_a_person_either() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    let till = gateway.till("<b>till");
    provider.rules(&["fault=refuse"]);
    eventually("a till whose codes are refused is slowed", || {
        till.redeem(&format!("GUESS-{}", provider.requests().len()));
        gateway.status()["slowed_tills"][0].as_str().map(str::to_owned)
    });
    let cookie = signed_in(&gateway, "engineer-person");
    let off = "note=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&hours=2";
    assert_eq!(post(&gateway, "/lanes/main/trust-off", &cookie, off).status, 303);
    provider.cut();
    till.redeem("CUT-1");
    for language in ["en", "ar"] {
        let stream = streamed(&gateway, language);
        assert!(stream.contains("event: part") && stream.contains("alert(1)"), "{stream}");
        assert!(stream.contains("&#60;b&#62;till"), "the slowed till is named: {stream}");
        assert!(stream.contains("<svg"), "the pictures are among it: {stream}");
        let lower = stream.to_lowercase();
        for markup in ["<script", "<b>", "<img", "onerror=", "style=", "javascript:"] {
            assert!(!lower.contains(markup), "{markup}: {stream}");
        }
    }
}

#[test]
fn a_report_for_spreadsheets_holds_no_formula_of_a_till_or_its_codes() {
    let provider = Provider::start();
    let gateway = Gateway::before(&provider);
    provider.cut();
    let formula = "=cmd|' /C calc'!A0";
    let hostile = ["@SUM(1+1)*cmd|' /C calc'!A0", "+1\"x\"", "-2,3", formula];
    for (n, branch) in hostile.into_iter().enumerate() {
        let order = Order::new(&format!("=cmd|{n}")).with("branch_id", branch);
        let reply = gateway.till("").order(&order);
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let said = gateway.command(&["report", "--csv"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("'=cmd") && said.out.contains("'@SUM(1+1)"), "{}", said.out);
    for line in said.out.lines() {
        // A cell begins a line, or follows a comma and perhaps a quotation mark.
        let mut cells = line.split(',').map(|cell| cell.trim_start_matches('"'));
        assert!(!cells.any(|cell| cell.starts_with(['=', '+', '-', '@'])), "{line}");
    }
}

#[test]
fn a_whole_code_is_found_and_stands_in_no_address_and_no_log() {
    let provider = Provider::start();
    let mut gateway = peopled(&provider);
    let code = "SECRET-CODE-OF-A-CUSTOMER-7F3Q";
    let id = gateway.till("<b>till").redeem(code).id();
    let found = post(&gateway, "/search", "x=1", &format!("code={code}"));
    let address = found.header("location").unwrap().to_owned();
    assert!(found.status == 303 && !address.contains("SECRET"), "{found:?}");
    let page = get(&gateway, &address, "x=1");
    assert!(page.body.contains(&id) && !page.body.contains("SECRET"), "{page:?}");
    let api = gateway.operators().send(
        "POST",
        "/api/v1/search",
        &[],
        format!("{{\"code\":\"{code}\"}}").as_bytes(),
    );
    assert_eq!(api.json()["redemptions"][0]["id"], id.as_str());
    gateway.restart();
    assert!(get(&gateway, &address, "x=1").body.contains(&id), "the address holds after a restart");
    assert!(!gateway.log().contains("SECRET"));
    for filter in [
        "till=%3Cb%3Etill",
        "code_ending=7f3q",
        "branch=042&newest=1",
        "since=2020-01-01&until=2099-01-01",
    ] {
        let rows = gateway.admin("GET", &format!("/api/v1/redemptions?{filter}"), "").json();
        let ids: Vec<_> =
            rows["redemptions"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
        assert!(
            ids.contains(&id.clone().into()) || filter.starts_with("branch"),
            "{filter}: {rows}"
        );
    }
    assert!(
        gateway.admin("GET", "/api/v1/redemptions?code_ending=7F3X", "").json()["redemptions"][0]
            .is_null()
    );
}

#[test]
fn guessing_a_password_is_slowed_by_name_and_by_source() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    let wrong = || post(&gateway, "/sign-in", "x=1", "name=see-person&password=wrong");
    let late = eventually("a wait", || Some(wrong()).filter(|reply| reply.status == 429));
    assert!(late.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    let other =
        post(&gateway, "/sign-in", "x=1", "name=decide-person&password=a+long+enough+password");
    assert_eq!(other.status, 429, "the source waits, whatever the name");
    let own = origin(&gateway);
    for (name, value) in [
        ("x-forwarded-for", "203.0.113.7"),
        ("forwarded", "for=203.0.113.7"),
        ("x-real-ip", "203.0.113.7"),
    ] {
        let headers = [FORM, ("origin", own.as_str()), (name, value)];
        let form = b"name=engineer-person&password=a+long+enough+password";
        let reply = gateway.operators().send("POST", "/sign-in", &headers, form);
        assert_eq!(reply.status, 429, "whoever asks does not say where from: {name}");
    }
}

/// Headers, cookies, values and fields by the thousand, and JSON that is deep.
fn many_small_things(gateway: &Gateway) {
    let many = (0..5_000).fold(String::new(), |all, n| all + &format!("x-{n}: y\r\n"));
    let deep = "[".repeat(15 * 1024);
    let cookies = "a=b; ".repeat(20_000);
    let host = gateway.admin_address();
    for bomb in [
        format!("GET / HTTP/1.1\r\nhost: {host}\r\n{many}\r\n"),
        format!("GET / HTTP/1.1\r\nhost: {host}\r\ncookie: {cookies}\r\n\r\n"),
        format!("GET /?{} HTTP/1.1\r\nhost: {host}\r\n\r\n", "a=b&".repeat(100_000)),
        format!(
            "POST /api/v1/search HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{deep}",
            deep.len()
        ),
    ] {
        let said = gateway.operators().raw(bomb.as_bytes(), Duration::from_secs(1));
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    }
    let fields = "name=a&".repeat(2_000);
    assert!([400, 413].contains(&post(gateway, "/sign-in", "x=1", &fields).status));
}

#[test]
fn a_thousand_streams_and_bombs_of_headers_and_forms_leave_the_listener_in_service() {
    let provider = Provider::start();
    let mut gateway = peopled(&provider);
    let request = format!("GET /events HTTP/1.1\r\nhost: {}\r\n\r\n", gateway.admin_address());
    let mut streams = Vec::new();
    let (mut followed, mut refused) = (0, 0);
    for _ in 0..1000 {
        let Ok(mut stream) = std::net::TcpStream::connect(gateway.admin_address()) else {
            continue;
        };
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        if stream.write_all(request.as_bytes()).is_err() {
            continue;
        }
        if streams.len() < 40 {
            let mut head = [0; 64];
            match stream.read(&mut head) {
                Ok(read) if head[..read].starts_with(b"HTTP/1.1 200") => followed += 1,
                Ok(read) if head[..read].starts_with(b"HTTP/1.1 503") => refused += 1,
                Ok(_) | Err(_) => {}
            }
        }
        streams.push(stream);
        if streams.len() > 200 {
            streams.drain(40..120);
        }
    }
    assert!(
        followed <= 16 && followed > 0 && refused > 0,
        "{followed} followed, {refused} refused"
    );
    assert_eq!(get(&gateway, "/api/v1/status", "x=1").status, 200);
    drop(streams);
    send_bombs(&gateway);
    until("the console answers again", || get(&gateway, "/", "x=1").status == 200);
    let begun = std::time::Instant::now();
    assert!(gateway.terminate().success());
    assert!(begun.elapsed() < Duration::from_secs(8), "open streams do not hold up the stop");
}

/// Forms and headers that are too large, too many or too deep: each is refused or cut off.
fn send_bombs(gateway: &Gateway) {
    let form = "a=".to_owned() + &"x".repeat(1024 * 1024);
    let bomb = gateway.operators().try_send(
        "POST",
        "/sign-in",
        &[FORM, ("origin", &origin(gateway))],
        form.as_bytes(),
    );
    assert!(bomb.is_err() || [400, 413].contains(&bomb.unwrap().status));
    let head = format!(
        "GET / HTTP/1.1\r\nhost: {}\r\nx: {}\r\n",
        gateway.admin_address(),
        "y".repeat(1024 * 1024)
    );
    let said = gateway.operators().raw(head.as_bytes(), Duration::from_secs(1));
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    many_small_things(gateway);
}

/// A page comes again once a minute: 16 of them for an hour come 960 times.
#[test]
fn an_hour_of_open_pages_leaves_the_memory_as_it_was() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    for n in 0..20 {
        gateway.till("<b>till").redeem(&format!("OPEN-{n}"));
    }
    let request = format!("GET /events HTTP/1.1\r\nhost: {}\r\n\r\n", gateway.admin_address());
    let come_again = |times: usize| {
        for _ in 0..times {
            let mut stream = std::net::TcpStream::connect(gateway.admin_address()).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut head = [0; 12];
            stream.read_exact(&mut head).unwrap();
            assert!(head.starts_with(b"HTTP/1.1 "), "{head:?}");
        }
    };
    let resident = || {
        let page = gateway.admin("GET", "/metrics", "").body;
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix("process_resident_memory_bytes "))
            .unwrap();
        line.parse::<f64>().unwrap()
    };
    come_again(200);
    let before = resident();
    come_again(960);
    let grown = (resident() - before) / 1024.0 / 1024.0;
    println!("{grown:.2} MiB more after 960 streams");
    assert!(grown < 2.0, "{grown:.2} MiB more");
}

/// What a gateway keeps resident after a day on which so many pages were open, in bytes, and how
/// much they were told.
fn after_a_day_with(pages: usize) -> (f64, usize) {
    let provider = Provider::start();
    let limits =
        "max_pending = 50000\nmax_per_hour_per_till = 50000\nmax_exposure = \"9000000.00\"";
    let gateway = Gateway::with().lane("main", &provider, "").offline(limits).start();
    provider.cut();
    let request = format!("GET /events HTTP/1.1\r\nhost: {}\r\n\r\n", gateway.admin_address());
    let open = |_| {
        let mut stream = std::net::TcpStream::connect(gateway.admin_address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        stream
    };
    let day = |pages: usize, hours: usize| {
        // More than are followed at once: the rest is refused, and stays connected.
        let mut streams: Vec<_> = (0..pages).map(open).collect();
        let (mut bytes, mut news) = (0, vec![0; 64 * 1024]);
        for hour in 0..hours {
            std::thread::scope(|threads| {
                for till in 0..4 {
                    let codes = (0..50).map(move |n| format!("DAY-{hours}-{hour}-{till}-{n}"));
                    let till = gateway.till("");
                    threads.spawn(move || codes.for_each(|code| drop(till.redeem(&code))));
                }
            });
            for stream in &mut streams {
                while let Ok(read @ 1..) = stream.read(&mut news) {
                    bytes += read;
                }
            }
        }
        bytes
    };
    // Both have had pages open before, which are gone when the next may come.
    day(16, 1);
    until("the places are free", || {
        let again = gateway.operators().raw(request.as_bytes(), Duration::from_millis(300));
        again.starts_with("HTTP/1.1 200")
    });
    let bytes = day(pages, 12);
    assert!(gateway.counts().accepted >= 2_400, "{:?}", gateway.counts());
    let page = gateway.admin("GET", "/metrics", "").body;
    let mut lines = page.lines();
    let resident = lines.find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    (resident.unwrap().parse().unwrap(), bytes)
}

#[test]
fn pages_that_were_open_while_thousands_of_redemptions_came_leave_the_memory_as_it_is_without_them()
{
    let ((without, nothing), (with, bytes)) = (after_a_day_with(0), after_a_day_with(100));
    assert!(nothing == 0 && bytes > 100_000, "the pages were told what changed: {bytes} bytes");
    let ratio = with / without;
    println!("{ratio:.3} of {:.1} MiB, after {bytes} bytes of news", without / 1_048_576.0);
    assert!(ratio < 1.2, "{ratio:.3} of {without}");
}

#[test]
fn a_mistyped_address_is_a_page_for_a_browser_and_a_problem_for_a_machine() {
    let gateway = peopled(&Provider::start());
    let browser = |path: &str| {
        let accept = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
        gateway.operators().send("GET", path, &accept, b"")
    };
    for (path, status) in [("/inbix", 404), ("/lanes", 404), ("/sign-out", 405)] {
        let page = browser(path);
        assert_eq!(page.status, status, "{page:?}");
        assert!(page.body.contains("<nav") && page.body.contains("href=\"/\""), "{page:?}");
        is_guarded(&page);
        let problem = get(&gateway, path, "x=1");
        assert_eq!(problem.header("content-type"), Some("application/problem+json"));
    }
    assert_eq!(browser("/api/v1/x").header("content-type"), Some("application/problem+json"));
}

#[test]
fn what_needs_nobody_has_no_button_that_would_do_nothing() {
    let provider = Provider::start();
    let gateway = peopled(&provider);
    let cookie = signed_in(&gateway, "decide-person");
    let has_form = |id: &str| {
        let page = get(&gateway, &format!("/redemptions/{id}"), &cookie);
        assert_eq!(page.status, 200, "{page:?}");
        page.body.contains("/handled\"")
    };
    assert!(!has_form(&gateway.till("<b>till").redeem("FINE-1").id()));
    provider.rules(&["fault=refuse"]);
    let refused = gateway.till("<b>till").redeem("REFUSED-1").id();
    assert!(has_form(&refused));
    let form = post(&gateway, &format!("/redemptions/{refused}/handled"), &cookie, "note=x");
    assert_eq!(form.status, 303, "{form:?}");
    assert!(!has_form(&refused), "a second time it would do nothing");
}

/// What the database does for so many open pages while redemptions come for some seconds, in
/// SQLite's steps.
fn steps_for(gateway: &Gateway, pages: usize) -> u64 {
    let steps = || {
        let page = gateway.admin("GET", "/metrics", "").body;
        let mut lines = page.lines();
        let line = lines.find_map(|line| line.strip_prefix("redeemd_read_steps_total "));
        line.unwrap().parse::<u64>().unwrap()
    };
    let request = format!("GET /events HTTP/1.1\r\nhost: {}\r\n\r\n", gateway.admin_address());
    let open = |_| {
        let mut stream = std::net::TcpStream::connect(gateway.admin_address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        stream
    };
    let _open: Vec<_> = (0..pages).map(open).collect();
    let (before, begun) = (steps(), std::time::Instant::now());
    let mut n = 0;
    while begun.elapsed() < Duration::from_secs(6) {
        assert_eq!(gateway.till("").redeem(&format!("STEP-{pages}-{n}")).status, 200);
        n += 1;
    }
    steps() - before
}

/// A screen is made once a second for all who watch it, and what was given stands in the books.
#[test]
fn ten_who_watch_cost_the_database_no_more_than_two_would() {
    let provider = Provider::start();
    let limits = "max_pending = 50000\nmax_per_hour_per_till = 50000\nmax_exposure = \
                  \"9000000.00\"";
    let gateway = Gateway::with().lane("main", &provider, "").offline(limits).start();
    provider.cut();
    for n in 0..1000 {
        gateway.till("").redeem(&format!("WATCH-{n}"));
    }
    let (one, ten) = (steps_for(&gateway, 1), steps_for(&gateway, 10));
    println!("{one} steps for one who watches, {ten} for ten");
    assert!(ten < 2 * one + 100_000, "{one} and {ten}");
}

#[test]
fn beyond_this_machine_the_console_is_there_by_tls_by_its_names_and_for_who_signed_in() {
    let provider = Provider::start();
    let gateway = Gateway::with().lane("main", &provider, "").start();
    let folder = gateway.folder();
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let said = std::process::Command::new(env!("CARGO_BIN_EXE_redeemd"))
        .args([
            "make-certificate",
            "store-042.example",
            "127.0.0.1",
            "--cert-file",
            cert,
            "--key-file",
            key,
        ])
        .output()
        .unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.starts_with("SHA-256 fingerprint: ") && said.trim().len() == 21 + 95, "{said}");
    std::fs::write(folder.join("p"), hash()).unwrap();
    let sections = format!(
        "hosts = [\"store-042.example\"]\n[admin.tls]\ncert_file = \"{cert}\"\nkey_file \
         = \"{key}\"\n[[admin.user]]\nname = \
         \"amal\"\nrole = \"see\"\npassword_file = \"{}\"\n",
        folder.join("p").display()
    );
    let mut tls = gateway;
    tls.terminate();
    tls.rewrite(&sections);
    tls.launch();
    let ask = |args: &[&str]| {
        let url = format!("https://store-042.example:{}", tls.admin_address().port());
        let resolve = format!("store-042.example:{}:127.0.0.1", tls.admin_address().port());
        let out = std::process::Command::new("curl")
            .args([
                "--silent",
                "--include",
                "--max-time",
                "10",
                "--cacert",
                cert,
                "--resolve",
                &resolve,
            ])
            .args(args)
            .arg(url + "/sign-in")
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    until("it serves TLS under its name", || ask(&[]).starts_with("HTTP/1.1 200"));
    let origin = format!("origin: https://store-042.example:{}", tls.admin_address().port());
    let form = ["--header", &origin, "--data", "name=amal&password=a+long+enough+password"];
    let said = ask(&form).to_lowercase();
    assert!(said.contains("set-cookie: __host-redeemd=") && said.contains("; secure"), "{said}");
    let plain = Till::new(tls.admin_address(), None).try_send("GET", "/", &[], b"");
    assert!(plain.is_err() || plain.unwrap().status >= 400, "nothing is served without TLS");
}
