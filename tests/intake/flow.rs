//! Redemptions from till to answer, with the real queue and store and a provider that the test
//! plays by hand.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redeemd::clock::Clock;
use redeemd::intake::{self, Intake};
use redeemd::link::Cause;
use redeemd::listen::{Bounds, Socket, serve};
use redeemd::queue::{Gate, Lane, LaneSettings, Mailboxes, Queue, Waited};
use redeemd::redemption::{Answer, Seq};
use redeemd::settings::{self, Settings};
use redeemd::store::{Claimed, Ended, Settlement, Store};
use redeemd::trust::{End, RowAsker, Trust, TrustEvidence};
use redeemd::verdict::{Outcome, Reply};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::support::{PATIENCE, answer, ask};

/// A gateway of two tills and one lane.
struct Shop {
    folder: TempDir,
    addr: std::net::SocketAddr,
    queue: Queue,
    intake: Arc<Intake>,
    lane: Arc<Lane>,
    mailboxes: Mailboxes,
    _stop: watch::Sender<bool>,
    _listener: JoinSet<()>,
}

fn settings(folder: &TempDir, reply_within: &str) -> Settings {
    let tokens = ["till-1", "till-2", "provider"].map(|name| {
        let path = folder.path().join(name);
        if !path.exists() {
            std::fs::write(&path, format!("{name}-token")).expect("written");
        }
        path.display().to_string()
    });
    let [one, two, provider] = tokens;
    let text = format!(
        r#"
        [intake]
        reply_within = "{reply_within}"
        [[intake.till]]
        name = "till-1"
        token_file = "{one}"
        [[intake.till]]
        name = "till-2"
        token_file = "{two}"
        [[provider]]
        name = "retm"
        redeem_url = "https://provider.example/redeem"
        check_url = "https://provider.example/check"
        token_file = "{provider}"
        [offline]
        max_pending = 2
        "#
    );
    settings::parse(&text, "branch").expect("good settings").settings
}

/// The provider's check: it knows one code, and the line breaks on another.
fn checked(body: &[u8]) -> Option<Outcome> {
    let text = std::str::from_utf8(body).expect("UTF-8");
    if text.contains("no-check") {
        return None;
    }
    let body =
        if text.contains("portal") { "<html>" } else { r#"{"data":{"value":5},"errors":[]}"# };
    let answer = Answer { body: Bytes::from_static(body.as_bytes()), ..Answer::success() };
    let reply = Reply {
        answer,
        truncated: false,
        content_encoding: None,
        framed: true,
        retry_after: None,
        date: None,
        www_authenticate: None,
    };
    Some(Outcome::Answered(reply))
}

impl Shop {
    async fn open(reply_within: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings(&folder, reply_within);
        let state = folder.path().join("state");
        std::fs::create_dir(&state).expect("a folder");
        let (store, _) = Store::open(&state).expect("a new store");
        let queue =
            Queue::start(store, Clock::manual(1_800_000_000_000, true), settings.offline.clone())
                .expect("threads");
        let provider = settings.providers[0].clone();
        let (lane, mailboxes) = Lane::new(LaneSettings::of(&provider, &settings));
        queue.set_lanes(vec![Arc::clone(&lane)]).await.expect("a lane");
        let intake = Intake::new(
            &settings,
            queue.clone(),
            |_: &str, body: Bytes| std::future::ready(checked(&body)),
            None,
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("its number");
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let router = intake::router(Arc::clone(&intake));
        tasks.spawn(serve(vec![Socket::Tcp(listener)], router, Bounds::default(), stopped));
        Self { folder, addr, queue, intake, lane, mailboxes, _stop: stop, _listener: tasks }
    }

    fn gate(&self) -> Gate {
        Gate::up(TrustEvidence::new(self.lane.settings().terms()))
    }

    /// The line is up from now on.
    fn up(&self) {
        self.lane.set_gate(self.gate());
    }

    /// The line is down from now on.
    fn down(&self) {
        let (trust, outage) = (
            Trust::AtOnce { tenth: false },
            (Instant::now(), Duration::ZERO, Some(Duration::ZERO)),
        );
        self.lane.set_gate(Gate {
            ask: false,
            trust,
            cause: Some(Cause::Connect),
            outage,
            ..self.gate()
        });
    }

    /// `row` was sent whole, and so was a check of the gateway's own; neither was answered.
    fn nobody_is_answered(&self, row: &Claimed) {
        let mut evidence = TrustEvidence::new(self.lane.settings().terms());
        let till = row.till.as_str().into();
        evidence.begun(
            Duration::ZERO,
            row.seq,
            RowAsker { till: &till, live: true, suspect: false },
        );
        evidence.check_begun(Duration::ZERO);
        evidence.ended(Duration::ZERO, row.seq, End::Unanswered { whole: true });
        evidence.check_ended(Duration::ZERO, Duration::ZERO, End::Unanswered { whole: true });
        self.lane.set_gate(Gate::up(evidence));
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.expect("a connection")
    }

    async fn asks(&self, text: &str) -> Told {
        Told(ask(&mut self.connect().await, text).await)
    }

    async fn redeems(&self, till: &str, code: &str) -> Told {
        self.asks(&redeem(till, code, "")).await
    }

    /// A till that waits for the answer to what it asked.
    async fn waits(&self, text: &str) -> TcpStream {
        let mut till = self.connect().await;
        till.write_all(text.as_bytes()).await.expect("written");
        till
    }

    /// The next redemption that goes to the provider at once; its bytes leave.
    async fn attempt(&mut self) -> Claimed {
        let row =
            timeout(PATIENCE, self.mailboxes.live.recv()).await.expect("in time").expect("a lane");
        assert!(self.queue.begin(row.seq), "it was taken back");
        row
    }

    async fn settle(&self, row: &Claimed, ended: Ended) {
        let settled = self.queue.ask(Settlement::new(row.seq, row.attempt, ended)).await;
        assert!(settled.expect("settled").applied);
    }
}

fn redeem(till: &str, code: &str, extra: &str) -> String {
    let body = format!(
        r#"{{"reward_code":"{code}","business_refrence":"shop","branch_id":"7","date":"2026-11-23 14:03:11","timestamp":"1"}}"#
    );
    request("POST", "/redeem", till, extra, &body)
}

fn request(method: &str, path: &str, till: &str, extra: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer \
         {till}-token\r\ncontent-type: \
         application/json\r\ncontent-length: {length}\r\n{extra}\r\n{body}"
    )
}

fn refusal() -> Ended {
    let body = Bytes::from_static(br#"{"message":"Reward has expired"}"#);
    let answer = Answer { status: 400, content_type: Some("text/json".to_owned()), body };
    Ended::Declined { answer, already_used: false, strong: true }
}

/// One answer as it came.
#[derive(Debug)]
struct Told(String);

impl Told {
    fn status(&self) -> &str {
        self.0.get(9..12).unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.0.split("\r\n").take_while(|line| !line.is_empty());
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn id(&self) -> &str {
        self.header("redeemd-id").expect("an id")
    }

    fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// Status, state and body.
    fn is(&self, status: &str, state: Option<&str>, body: &str) {
        let told = (self.status(), self.header("redeemd-state"), self.body());
        assert_eq!(told, (status, state, body), "{self:?}");
    }

    fn says(&self, status: &str, words: &str) {
        assert!(
            self.status() == status && self.body().contains(words),
            "{status} {words}: {self:?}"
        );
    }
}

#[tokio::test]
async fn while_the_line_is_down_a_redemption_is_accepted_once() {
    let shop = Shop::open("900ms").await;
    shop.down();
    let first = shop.redeems("till-1", "1111222233334444").await;
    first.is("200", Some("pending"), "{}");
    let repeat = shop.redeems("till-1", "1111222233334444").await;
    repeat.is("200", Some("pending"), "{}");
    assert_eq!(first.id(), repeat.id());
    assert_eq!(repeat.header("redeemd-repeat"), Some("1"));
    let other = shop.redeems("till-2", "1111222233334444").await;
    // Whole, as the provider tells it: the till has just sent it.
    other.says("400", "Reward 1111222233334444 has been used on 2026-11-23 14:03:11 at till-1");
}

#[tokio::test]
async fn the_offline_limits_are_told_with_their_numbers() {
    let shop = Shop::open("900ms").await;
    shop.down();
    shop.redeems("till-1", "1").await.is("200", Some("pending"), "{}");
    // One till of several may fill three quarters of what there is.
    let told = shop.redeems("till-1", "2").await;
    told.says(
        "503",
        "offline limit of this till reached: no more than 1 redemption may wait for the line; do \
         not hand out the reward; ask again later",
    );
    assert_eq!(told.header("retry-after"), Some("30"), "{told:?}");
    shop.redeems("till-2", "2").await.is("200", Some("pending"), "{}");
    let told = shop.redeems("till-2", "3").await;
    told.says("503", "offline limit reached: no more than 2 redemptions may wait for the line");
}

#[tokio::test]
async fn a_receipt_and_a_void_are_its_own_tills_alone() {
    let shop = Shop::open("900ms").await;
    shop.down();
    let taken = shop.redeems("till-1", "1111222233334444").await;
    let path = format!("/redemptions/{}", taken.id());
    let of = |method: &str, till: &str| request(method, &path, till, "", "");
    shop.asks(&of("GET", "till-2")).await.says("404", "no such redemption");
    shop.asks(&of("DELETE", "till-2")).await.says("404", "no such redemption");
    shop.asks(&of("GET", "till-1"))
        .await
        .says("200", r#""state":"pending","owed":false,"accepted_at":"2027-01-15T08:00:00Z","#);
    for _ in 0..2 {
        let voided = shop.asks(&of("DELETE", "till-1")).await;
        voided.says("200", r#""state":"voided""#);
        assert!(voided.body().contains(r#""reward_code":"…4444"}"#), "{voided:?}");
    }
    shop.redeems("till-1", "1111222233334444").await.says("409", "taken back");
    // The reward may be in the customer's hands: nobody else is given it unasked.
    let other = shop.redeems("till-2", "1111222233334444").await;
    other.says("400", "has been used on 2026-11-23 14:03:11 at till-1");
    let corrected = redeem("till-1", "1111222233334444", "")
        .replace(r#""timestamp":"1""#, r#""timestamp":"2""#);
    shop.asks(&corrected).await.is("200", Some("pending"), "{}");
}

#[tokio::test]
async fn while_the_line_is_up_the_providers_own_answer_is_relayed() {
    let mut shop = Shop::open("20s").await;
    shop.up();
    let mut till = shop.waits(&redeem("till-1", "1", "")).await;
    let row = shop.attempt().await;
    let path = format!("/redemptions/{}", row.id);
    shop.asks(&request("DELETE", &path, "till-1", "", ""))
        .await
        .says("409", "may have reached the provider");
    shop.settle(&row, refusal()).await;
    let told = Told(answer(&mut till).await);
    told.is("400", Some("declined"), r#"{"message":"Reward has expired"}"#);
    assert_eq!(told.header("content-type"), Some("text/json"));
    let repeat = shop.redeems("till-1", "1").await;
    repeat.is("400", Some("declined"), r#"{"message":"Reward has expired"}"#);
    assert_eq!(repeat.id(), told.id());
}

#[tokio::test]
async fn a_providers_own_success_keeps_its_status_and_a_repeat_says_how_often_it_was_asked() {
    let mut shop = Shop::open("20s").await;
    shop.up();
    for status in [201, 206] {
        let code = status.to_string();
        let mut till = shop.waits(&redeem("till-1", &code, "")).await;
        let row = shop.attempt().await;
        shop.settle(&row, Ended::Confirmed(Answer { status, ..Answer::success() })).await;
        Told(answer(&mut till).await).is(&code, Some("confirmed"), "{}");
        for n in ["1", "2"] {
            let repeat = shop.redeems("till-1", &code).await;
            repeat.is(&code, Some("confirmed"), "{}");
            assert_eq!(repeat.header("redeemd-repeat"), Some(n), "{repeat:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_answered_in_time_is_given_on_evidence_from_others_alone() {
    let mut shop = Shop::open("300ms").await;
    shop.up();
    let mut till = shop.waits(&redeem("till-1", "1", "")).await;
    let row = shop.attempt().await;
    let told = Told(answer(&mut till).await);
    told.says("503", "the provider has not answered about this reward; do not hand it out");
    assert_eq!(
        (told.header("redeemd-state"), told.header("retry-after")),
        (Some("pending"), Some("2"))
    );
    shop.settle(&row, Ended::Unclear).await;

    let mut till = shop.waits(&redeem("till-2", "2", "")).await;
    let row = shop.attempt().await;
    shop.nobody_is_answered(&row);
    Told(answer(&mut till).await).is("200", Some("pending"), "{}");
    shop.redeems("till-2", "2").await.is("200", Some("pending"), "{}");
}

#[tokio::test]
async fn a_link_that_goes_down_while_a_till_waits_decides_at_once() {
    let mut shop = Shop::open("20s").await;
    shop.up();
    let mut till = shop.waits(&redeem("till-1", "1", "")).await;
    let row = shop.attempt().await;
    shop.settle(&row, Ended::Unclear).await;
    shop.down();
    shop.queue.tell(row.seq, Waited::Unreachable);
    Told(answer(&mut till).await).is("200", Some("pending"), "{}");
}

#[tokio::test]
async fn a_provider_that_takes_no_more_is_not_stood_in_for() {
    let mut shop = Shop::open("20s").await;
    shop.up();
    let mut till = shop.waits(&redeem("till-1", "1", "")).await;
    let row =
        timeout(PATIENCE, shop.mailboxes.live.recv()).await.expect("in time").expect("a lane");
    shop.queue.tell(row.seq, Waited::TurnedAway { retry_after_s: Some(17) });
    let told = Told(answer(&mut till).await);
    told.says("503", "takes no more requests now; do not hand out the reward");
    assert_eq!(
        (told.header("redeemd-state"), told.header("retry-after")),
        (Some("voided"), Some("17"))
    );
    assert!(!shop.queue.begin(row.seq), "it must not be sent any more");
}

#[tokio::test]
async fn a_till_that_hangs_up_cancels_nothing() {
    let mut shop = Shop::open("20s").await;
    shop.up();
    let till = shop.waits(&redeem("till-1", "1", "")).await;
    let row = shop.attempt().await;
    drop(till);
    shop.settle(&row, Ended::Confirmed(Answer::success())).await;
    let repeat = shop.redeems("till-1", "1").await;
    repeat.is("200", Some("confirmed"), "{}");
    assert_eq!(repeat.id(), row.id.as_str());
    assert_eq!(shop.intake.drain(PATIENCE).await, 0);
}

impl Shop {
    /// A redemption of till-1 that was sent, and of which its till was told "ask again".
    async fn refused(&mut self, code: &str) -> Claimed {
        let mut till = self.waits(&redeem("till-1", code, "")).await;
        let row = self.attempt().await;
        Told(answer(&mut till).await).says("503", "do not hand it out");
        row
    }

    /// Asks again for a redemption that is on its way, and waits for its answer.
    async fn asks_again(&self, code: &str, seq: Seq) -> TcpStream {
        let till = self.waits(&redeem("till-1", code, "")).await;
        while !self.queue.is_waited_for(seq) {
            tokio::task::yield_now().await;
        }
        till
    }
}

#[tokio::test]
async fn what_a_till_hung_up_on_after_it_was_refused_is_owed_to_whoever_asks_next() {
    let mut shop = Shop::open("1s").await;
    shop.up();
    let row = shop.refused("1").await;
    drop(shop.asks_again("1", row.seq).await);
    shop.settle(&row, Ended::Confirmed(Answer::success())).await;
    let mut changes = shop.queue.changes();
    let owed = async {
        while !shop.queue.show(&row.id).await.expect("read").expect("a row").row.owed {
            changes.changed().await.expect("a queue");
        }
    };
    timeout(PATIENCE, owed).await.expect("in time");
    let receipt = async |method: &str, till: &str| {
        let path = format!("/redemptions/{}", row.id);
        shop.asks(&request(method, &path, till, "", "")).await
    };
    receipt("GET", "till-2").await.says("404", "no such redemption");
    receipt("GET", "till-1").await.says("200", r#""state":"confirmed","owed":true,"#);
    let paid = shop.redeems("till-2", "1").await;
    paid.is("200", Some("confirmed"), "{}");
    assert_eq!(paid.header("redeemd-repeat"), None, "it asks for the first time");
    for till in ["till-1", "till-2"] {
        receipt("GET", till).await.says("200", r#""state":"confirmed","owed":false,"#);
        assert_eq!(receipt("DELETE", till).await.status(), "409", "{till}");
    }
    let told = shop.redeems("till-1", "1").await;
    told.says("400", "Reward 1 has been used on 2026-11-23 14:03:11 at till-2");
}

#[tokio::test]
async fn a_till_that_hung_up_and_asks_anew_hears_that_its_first_request_is_under_way() {
    let mut shop = Shop::open("900ms").await;
    shop.up();
    drop(shop.waits(&redeem("till-1", "1", "")).await);
    shop.attempt().await;
    let anew = redeem("till-1", "1", "").replace(r#""timestamp":"1""#, r#""timestamp":"2""#);
    let told = shop.asks(&anew).await;
    told.says("503", "the first request about this reward is still under way");
    assert_eq!(told.header("retry-after"), Some("2"));
}

#[tokio::test]
async fn a_redemption_whose_provider_is_not_set_up_any_more_says_so_to_its_till() {
    let mut shop = Shop::open("300ms").await;
    shop.up();
    let row = shop.refused("1").await;
    let unclear = Settlement::new(row.seq, row.attempt, Ended::Unclear);
    shop.queue.ask(unclear).await.expect("settled");
    shop.queue.set_lanes(Vec::new()).await.expect("no lanes");
    for code in ["1", "2"] {
        let told = shop.redeems("till-1", code).await;
        told.says("503", "this provider is not set up now");
        assert_eq!(told.header("retry-after"), Some("30"), "{code}");
    }
}

#[tokio::test]
async fn a_repeat_gets_its_answer_when_no_provider_serves_its_business_any_more() {
    let mut shop = Shop::open("900ms").await;
    shop.up();
    let keyed = redeem("till-1", "1", "idempotency-key: k\r\n");
    let mut till = shop.waits(&keyed).await;
    let row = shop.attempt().await;
    shop.settle(&row, Ended::Confirmed(Answer::success())).await;
    answer(&mut till).await;
    shop.down();
    shop.redeems("till-2", "2").await.is("200", Some("pending"), "{}");
    let mut settings = settings(&shop.folder, "900ms");
    settings.providers[0].businesses = vec!["another".to_owned()];
    settings.offline.listed = settings::listed(&settings.providers);
    shop.intake.reload(&settings);
    for _ in 0..2 {
        shop.asks(&keyed).await.is("200", Some("confirmed"), "{}");
    }
    let repeat = shop.redeems("till-2", "2").await;
    repeat.is("200", Some("pending"), "{}");
    assert_eq!(repeat.header("redeemd-repeat"), Some("1"));
    shop.redeems("till-2", "1").await.says("400", "no provider is set up");
    shop.redeems("till-1", "3").await.says("400", "no provider is set up");
}

#[tokio::test]
async fn a_code_that_was_confirmed_before_is_the_providers_to_decide_or_nobodys() {
    let mut shop = Shop::open("300ms").await;
    shop.up();
    let mut till = shop.waits(&redeem("till-1", "1111222233334444", "")).await;
    let row = shop.attempt().await;
    shop.settle(&row, Ended::Confirmed(Answer::success())).await;
    Told(answer(&mut till).await).is("200", Some("confirmed"), "{}");

    // Nobody takes it up in time: no byte has left.
    let told = shop.redeems("till-2", "1111222233334444").await;
    told.says("400", "Reward 1111222233334444 has been used on 2026-11-23 14:03:11 at till-1");
    assert_eq!(told.header("redeemd-state"), Some("voided"));
    let withdrawn = shop.mailboxes.live.recv().await.expect("handed over");
    assert!(!shop.queue.begin(withdrawn.seq), "it must not be sent any more");

    // Taken up, but not answered: the till gets no acceptance, now or when it asks again.
    let again = redeem("till-2", "1111222233334444", "idempotency-key: again\r\n");
    let mut till = shop.waits(&again).await;
    let row = shop.attempt().await;
    let told = Told(answer(&mut till).await);
    told.says("503", "do not hand out the reward");
    assert_eq!(told.header("redeemd-state"), Some("pending"));
    shop.asks(&again).await.says("503", "do not hand out the reward");
    shop.settle(&row, Ended::Confirmed(Answer::success())).await;
    shop.asks(&again).await.is("200", Some("confirmed"), "{}");
}

#[tokio::test]
async fn a_code_that_was_refused_before_is_refused_in_the_providers_words_where_no_byte_has_left() {
    let mut shop = Shop::open("300ms").await;
    shop.up();
    let mut till = shop.waits(&redeem("till-1", "1111222233334444", "")).await;
    let row = shop.attempt().await;
    shop.settle(&row, refusal()).await;
    Told(answer(&mut till).await).says("400", "Reward has expired");

    let told = shop.redeems("till-2", "1111222233334444").await;
    told.is("400", None, r#"{"message":"Reward has expired"}"#);
    let withdrawn = shop.mailboxes.live.recv().await.expect("handed over");
    assert!(!shop.queue.begin(withdrawn.seq), "it must not be sent any more");
}

#[tokio::test]
async fn a_key_belongs_to_one_request() {
    let shop = Shop::open("900ms").await;
    shop.down();
    let key = "idempotency-key: k\r\n";
    shop.asks(&redeem("till-1", "1", key)).await.is("200", Some("pending"), "{}");
    shop.asks(&redeem("till-1", "2", key))
        .await
        .says("422", "Idempotency-Key was used for another request");
    shop.asks(&redeem("till-2", "2", key)).await.is("200", Some("pending"), "{}");
}

#[tokio::test]
async fn a_token_is_asked_for_everywhere_and_revoked_by_a_reload() {
    let shop = Shop::open("900ms").await;
    shop.down();
    let paths = [
        ("POST", "/redeem"),
        ("POST", "/check"),
        ("GET", "/redemptions/1-a"),
        ("DELETE", "/redemptions/1-a"),
    ];
    for (method, path) in paths {
        let told = shop.asks(&request(method, path, "stranger", "", "{}")).await;
        told.says("401", "token");
        assert_eq!(told.header("www-authenticate"), Some("Bearer"));
    }
    shop.redeems("till-1", "1").await.is("200", Some("pending"), "{}");
    std::fs::write(shop.folder.path().join("till-1"), "other").expect("written");
    shop.intake.reload(&settings(&shop.folder, "900ms"));
    shop.redeems("till-1", "1").await.says("401", "token");
    shop.redeems("till-2", "2").await.is("200", Some("pending"), "{}");
}

#[tokio::test]
async fn a_check_is_the_providers_word_or_a_refusal() {
    let shop = Shop::open("900ms").await;
    let check = |code: &str| {
        let body = format!(r#"{{"reward_code":"{code}","business_reference":"shop"}}"#);
        request("POST", "/check", "till-1", "", &body)
    };
    shop.asks(&check("1")).await.is("200", None, r#"{"data":{"value":5},"errors":[]}"#);
    shop.asks(&check("portal")).await.says("503", "cannot be checked: the provider did not answer");
    shop.asks(&check("no-check")).await.says("404", "offers no check");
    shop.asks(&request("POST", "/check", "till-1", "", "{}"))
        .await
        .says("400", "reward_code is missing");
}

#[tokio::test]
async fn an_answer_before_the_end_of_its_body_says_that_its_connection_ends() {
    let shop = Shop::open("900ms").await;
    let expect = "expect: 100-continue\r\n";
    let json = "content-type: application/json\r\n";
    let unread = async |status: &str, path: &str, headers: &str, length: usize| {
        let mut till = shop.connect().await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer \
             till-1-token\r\n{headers}content-length: {length}\r\n\r\n"
        );
        let told = Told(ask(&mut till, &head).await);
        let seen = (told.status(), told.header("connection"));
        assert_eq!(seen, (status, Some("close")), "{path} {headers}");
        assert_eq!(answer(&mut till).await, "", "its connection is closed");
    };
    tokio::join!(
        unread("404", "/nothing", json, 900),
        unread("404", "/nothing", expect, 900),
        unread("415", "/redeem", "content-type: text/plain\r\n", 900),
        unread("413", "/redeem", json, 9_000_000),
    );
    let mut till = shop.connect().await;
    for _ in 0..2 {
        let told = Told(ask(&mut till, &request("POST", "/nothing", "till-1", "", "{}")).await);
        assert_eq!((told.status(), told.header("connection")), ("404", None), "it was read");
    }
}

#[tokio::test]
async fn a_stranger_whose_body_drips_is_told_no_and_shown_out() {
    let shop = Shop::open("900ms").await;
    let mut stranger = shop.connect().await;
    let head = "POST /redeem HTTP/1.1\r\nhost: x\r\ncontent-type: \
        application/json\r\ncontent-length: 900\r\n\r\n{";
    let told = ask(&mut stranger, head).await;
    assert!(told.starts_with("HTTP/1.1 401 "), "{told}");
    assert_eq!(answer(&mut stranger).await, "", "its connection is closed");
}
