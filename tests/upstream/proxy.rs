//! Attempts through a proxy: one that asks for a password, one that refuses, one that lies.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use redeemd::settings::{Provider, ProxyLogin, SecretSource};
use redeemd::verdict::Phase;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::server::{Reaction, Seen, Server, answer};
use crate::tls::{Authority, VALID, https, tls_server};
use crate::{Bench, answer_of, attempt, failed, failure_of, nothing_left, unwatched};

/// `store-7` and [`PASSWORD`] as RFC 7617 has them.
const BASIC: &str = "Basic c3RvcmUtNzpzL2U6cyU0MW1AZT8j";
const PASSWORD: &str = "s/e:s%41m@e?#";
const WANTS_A_PASSWORD: &str =
    "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"x\"\r\n\r\n";

/// A proxy: CONNECT is answered as `answer` says of its head, and where that is a 200 it leads to
/// `to`.
struct Proxy {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl Proxy {
    async fn start(to: u16, answer: impl Fn(&str) -> &'static str + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heads, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let mut task = JoinSet::new();
        let noted = Arc::clone(&heads);
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                connections.spawn(tunnel(client, to, Arc::clone(&answer), Arc::clone(&noted)));
            }
        });
        Self { port, heads, _task: task }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn tunnel(
    mut client: TcpStream,
    to: u16,
    answer: Arc<impl Fn(&str) -> &'static str>,
    heads: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let answer = answer(&head);
    heads.lock().unwrap().push(head);
    client.write_all(answer.as_bytes()).await.unwrap();
    if answer.starts_with("HTTP/1.1 200") {
        let mut server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
        tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
    }
}

fn asks_for_the_password(head: &str) -> &'static str {
    if head.contains(&format!("proxy-authorization: {BASIC}\r\n")) {
        "HTTP/1.1 200 OK\r\n\r\n"
    } else {
        WANTS_A_PASSWORD
    }
}

fn through(here: &Bench, authority: &Authority, url: &str, proxy: &str) -> Provider {
    std::fs::write(here.path("ca.pem"), authority.pem()).unwrap();
    let mut provider = here.provider(url);
    provider.ca_file = Some(here.path("ca.pem"));
    provider.proxy = Some(proxy.to_owned());
    provider.timeout = Duration::from_secs(2);
    provider
}

/// With the user, and the password in a file that holds `password`.
fn with_login(here: &Bench, mut provider: Provider, password: &str) -> Provider {
    std::fs::write(here.path("proxy-password"), password).unwrap();
    let password = SecretSource::File(here.path("proxy-password"));
    provider.proxy_login = Some(ProxyLogin { user: "store-7".to_owned(), password });
    provider
}

#[tokio::test]
async fn a_proxy_is_passed_and_sees_nothing_of_the_request() {
    let (authority, here) = (Authority::new(), Bench::new());
    let server = tls_server(&authority, "localhost", VALID).await;
    let url = https(server.address.port());
    let proxy = Proxy::start(server.address.port(), |_| "HTTP/1.1 200 OK\r\n\r\n").await;
    let upstream = here.upstream_of(&through(&here, &authority, &url, &proxy.url()));
    assert_eq!(answer_of(&upstream).await.answer.status, 200);
    let head = &proxy.heads()[0];
    assert!(head.starts_with("CONNECT localhost:") && !head.contains("uthorization"), "{head}");
}

#[tokio::test]
async fn a_proxy_that_asks_for_it_is_told_user_and_password_and_nobody_else_is() {
    let (authority, here) = (Authority::new(), Bench::new());
    let server = tls_server(&authority, "localhost", VALID).await;
    let url = https(server.address.port());
    let proxy = Proxy::start(server.address.port(), asks_for_the_password).await;
    let provider =
        with_login(&here, through(&here, &authority, &url, &proxy.url()), &format!("{PASSWORD}\n"));
    let upstream = here.upstream_of(&provider);
    assert_eq!(answer_of(&upstream).await.answer.status, 200);
    assert_eq!(server.seen()[0].header("proxy-authorization"), None);
    assert!(!format!("{upstream:?} {provider:?}").contains(PASSWORD));
}

#[tokio::test]
async fn a_password_from_systemd_is_read_and_one_that_changes_is_used_at_once() {
    let (authority, here) = (Authority::new(), Bench::new());
    let server = tls_server(&authority, "localhost", VALID).await;
    let url = https(server.address.port());
    let proxy = Proxy::start(server.address.port(), asks_for_the_password).await;
    let mut provider = with_login(&here, through(&here, &authority, &url, &proxy.url()), "");
    std::fs::create_dir(here.path("credentials")).unwrap();
    std::fs::write(here.path("credentials/proxy"), "an-old-one").unwrap();
    let password = SecretSource::Credential("proxy".to_owned());
    provider.proxy_login = Some(ProxyLogin { user: "store-7".to_owned(), password });
    let upstream = here.upstream_of(&provider);
    let failure = failure_of(&upstream).await;
    nothing_left(&failure, Phase::Proxy);
    std::fs::write(here.path("credentials/proxy"), PASSWORD).unwrap();
    assert_eq!(answer_of(&upstream).await.answer.status, 200);
    upstream.drop_pool();
    assert_eq!(answer_of(&upstream).await.answer.status, 200);
}

#[tokio::test]
async fn a_password_may_have_spaces_in_it() {
    let (authority, here) = (Authority::new(), Bench::new());
    let server = tls_server(&authority, "localhost", VALID).await;
    let url = https(server.address.port());
    let proxy = Proxy::start(server.address.port(), |_| "HTTP/1.1 200 OK\r\n\r\n").await;
    let provider = with_login(&here, through(&here, &authority, &url, &proxy.url()), "two words\n");
    let upstream = here.upstream_of(&provider);
    assert_eq!(answer_of(&upstream).await.answer.status, 200);
    // store-7:two words
    let sent = "proxy-authorization: Basic c3RvcmUtNzp0d28gd29yZHM=\r\n";
    assert!(proxy.heads()[0].contains(sent), "{}", proxy.heads()[0]);
}

#[tokio::test]
async fn a_password_that_cannot_be_read_is_the_proxys_cause_and_nothing_is_sent() {
    let (authority, here) = (Authority::new(), Bench::new());
    let proxy = Proxy::start(9, asks_for_the_password).await;
    let provider =
        with_login(&here, through(&here, &authority, "https://localhost:9/", &proxy.url()), "");
    let failure = failure_of(&here.upstream_of(&provider)).await;
    nothing_left(&failure, Phase::Proxy);
    let named = [format!("the proxy 127.0.0.1:{}", proxy.port), "proxy-password".to_owned()];
    assert!(named.iter().all(|name| failure.detail.contains(name)), "{}", failure.detail);
    assert!(proxy.heads().is_empty());
}

#[tokio::test]
async fn a_proxy_that_refuses_is_a_cause_of_its_own_and_is_named_without_the_password() {
    let (authority, here) = (Authority::new(), Bench::new());
    let server = tls_server(&authority, "localhost", VALID).await;
    let url = https(server.address.port());
    let refusals = [
        WANTS_A_PASSWORD,
        "HTTP/1.1 403 Forbidden\r\n\r\n",
        "HTTP/1.1 502 X\r\n\r\n",
        "nonsense\r\n\r\n",
        "",
    ];
    for refusal in refusals {
        let proxy = Proxy::start(server.address.port(), move |_| refusal).await;
        let provider = with_login(&here, through(&here, &authority, &url, &proxy.url()), PASSWORD);
        let failure = failure_of(&here.upstream_of(&provider)).await;
        assert_eq!(
            (failure.phase, failure.bytes_may_have_left),
            (Phase::Proxy, false),
            "{refusal}: {failure:?}"
        );
        assert!(!failure.sent_whole && !failure.deadline);
        assert!(
            failure.detail.contains(&format!("the proxy 127.0.0.1:{}", proxy.port)),
            "{}",
            failure.detail
        );
        assert!(
            !failure.detail.contains("s/e:s") && !failure.detail.contains("c3Rv"),
            "{}",
            failure.detail
        );
        assert!(server.seen().is_empty());
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_the_connects_failure() {
    let (authority, here) = (Authority::new(), Bench::new());
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let provider = through(&here, &authority, "https://localhost:9/", &format!("http://{address}"));
    let failure = failure_of(&here.upstream_of(&provider)).await;
    nothing_left(&failure, Phase::Connect);
}

#[tokio::test]
async fn who_answers_behind_a_proxy_proves_itself_as_anywhere() {
    let (authority, stranger, here) =
        (Authority::new(), Authority::named("a stranger"), Bench::new());
    let server = tls_server(&stranger, "localhost", VALID).await;
    let url = https(server.address.port());
    let proxy = Proxy::start(server.address.port(), |_| "HTTP/1.1 200 OK\r\n\r\n").await;
    let provider = through(&here, &authority, &url, &proxy.url());
    let failure = failure_of(&here.upstream_of(&provider)).await;
    nothing_left(&failure, Phase::Tls);
    // A server that ends where the handshake should be.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy =
        Proxy::start(listener.local_addr().unwrap().port(), |_| "HTTP/1.1 200 OK\r\n\r\n").await;
    let provider = through(&here, &authority, &url, &proxy.url());
    let upstream = here.upstream_of(&provider);
    let nobody = attempt();
    let none = unwatched();
    let (outcome, ()) = tokio::join!(upstream.redeem(&nobody, &none), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    assert_eq!(failed(outcome).phase, Phase::Tls);
}

#[tokio::test]
async fn a_proxy_between_plain_connections_is_asked_for_the_whole_url() {
    let proxy = Server::plain(|_: &Seen| answer(200, "", "{}")).await;
    let here = Bench::new();
    let mut provider = here.provider("http://name.invalid/redeem");
    provider.proxy = Some(proxy.url("/"));
    let provider = with_login(&here, provider, PASSWORD);
    assert_eq!(answer_of(&here.upstream_of(&provider)).await.answer.status, 200);
    assert_eq!(proxy.seen()[0].line, "POST http://name.invalid/redeem HTTP/1.1");
    assert_eq!(proxy.seen()[0].header("proxy-authorization"), Some(BASIC));
}

#[tokio::test]
async fn a_407_to_a_plain_request_is_the_proxys_and_not_an_answer() {
    let proxy = Server::plain(|_: &Seen| Reaction::Answer(WANTS_A_PASSWORD.to_owned())).await;
    let here = Bench::new();
    let mut provider = here.provider("http://name.invalid/redeem");
    provider.proxy = Some(proxy.url("/"));
    let failure = failure_of(&here.upstream_of(&provider)).await;
    assert_eq!(
        (failure.phase, failure.bytes_may_have_left),
        (Phase::Proxy, true),
        "{}",
        failure.detail
    );
    assert!(!failure.sent_whole, "of the proxy, not of the provider");
}
