//! A till: an HTTP client that speaks the contract, and bare sockets where it must not.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

/// How long a till waits.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What a till asks for.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) fields: serde_json::Map<String, Value>,
    pub(crate) key: Option<String>,
}

impl Order {
    /// The contract's five fields; all orders of a code are alike unless a field is set.
    pub(crate) fn new(code: &str) -> Self {
        let fields = json!({ "reward_code": code, "business_refrence": "B-1", "branch_id": "7",
            "date": "2026-11-23 10:00:00", "timestamp": "1795428000" });
        Self { fields: fields.as_object().unwrap().clone(), key: None }
    }

    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    pub(crate) fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    pub(crate) fn body(&self) -> String {
        Value::Object(self.fields.clone()).to_string()
    }
}

/// What a till got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn id(&self) -> String {
        self.header("redeemd-id").unwrap_or_else(|| panic!("no Redeemd-Id in {self:?}")).to_owned()
    }

    pub(crate) fn state(&self) -> &str {
        self.header("redeemd-state").unwrap_or_else(|| panic!("no Redeemd-State in {self:?}"))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The refusal's words, having checked that it has the contract's shape.
    pub(crate) fn refusal(&self) -> String {
        let body = self.json();
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        let message = body["message"].as_str().unwrap_or_default();
        assert!(
            !message.is_empty() || !errors.is_empty(),
            "not a refusal in the contract's shape: {self:?}"
        );
        let errors: Vec<_> = errors.iter().filter_map(Value::as_str).collect();
        format!("{message} {}", errors.join(" "))
    }
}

/// One till.
#[derive(Clone)]
pub(crate) struct Till {
    address: SocketAddr,
    token: Option<String>,
    agent: ureq::Agent,
}

impl Till {
    pub(crate) fn new(address: SocketAddr, token: Option<&str>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .max_redirects(0)
            .proxy(None)
            .build();
        Self { address, token: token.map(str::to_owned), agent: config.into() }
    }

    pub(crate) fn redeem(&self, code: &str) -> Reply {
        self.order(&Order::new(code))
    }

    pub(crate) fn order(&self, order: &Order) -> Reply {
        self.try_order(order).unwrap_or_else(|error| panic!("no answer to {order:?}: {error}"))
    }

    /// For where no answer is an answer too.
    pub(crate) fn try_order(&self, order: &Order) -> Result<Reply, String> {
        let key: Vec<_> = order.key.iter().map(|key| ("idempotency-key", key.as_str())).collect();
        self.try_send("POST", "/redeem", &key, order.body().as_bytes())
    }

    pub(crate) fn check(&self, code: &str) -> Reply {
        let body = json!({ "reward_code": code, "business_refrence": "B-1" }).to_string();
        self.send("POST", "/check", &[], body.as_bytes())
    }

    pub(crate) fn receipt(&self, id: &str) -> Reply {
        self.send("GET", &format!("/redemptions/{id}"), &[], b"")
    }

    pub(crate) fn void(&self, id: &str) -> Reply {
        self.send("DELETE", &format!("/redemptions/{id}"), &[], b"")
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|error| panic!("no answer to {method} {path}: {error}"))
    }

    /// Any request; a body is `application/json` unless `headers` say otherwise.
    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Reply, String> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        if !body.is_empty()
            && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            request = request.header("content-type", "application/json");
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = if body.is_empty() {
            self.agent.run(request.body(()).map_err(|error| error.to_string())?)
        } else {
            self.agent.run(request.body(body).map_err(|error| error.to_string())?)
        };
        let mut answer = answer.map_err(|error| error.to_string())?;
        let text = |value: &ureq::http::HeaderValue| {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        let headers =
            answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let body = answer.body_mut().read_to_vec().map_err(|error| error.to_string())?;
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Reply { status: answer.status().as_u16(), headers, body })
    }

    /// A connection of its own.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream
    }

    /// The bytes of a redemption, as they go on the wire.
    pub(crate) fn bytes_of(&self, order: &Order) -> Vec<u8> {
        let body = order.body();
        let token = self
            .token
            .as_ref()
            .map(|token| format!("authorization: Bearer {token}\r\n"))
            .unwrap_or_default();
        format!(
            "POST /redeem HTTP/1.1\r\nhost: gateway\r\n{token}content-type: \
             application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    /// Sends bytes and gives back all that comes until the other side closes or says nothing for
    /// `patience`.
    pub(crate) fn raw(&self, bytes: &[u8], patience: Duration) -> String {
        let mut stream = self.connect();
        stream.set_read_timeout(Some(patience)).unwrap();
        // A server may refuse before it has read all.
        let sent = stream.write_all(bytes);
        let mut all = Vec::new();
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut chunk) {
            all.extend_from_slice(&chunk[..read]);
        }
        if all.is_empty() {
            sent.expect("neither sent nor answered");
        }
        String::from_utf8_lossy(&all).into_owned()
    }
}
