//! `redeemd sandbox`: its command line, its help, its run.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    CertificateKind, FaultRule, HttpVersions, LogKind, OAuthClient, RECORDS_MAX_DEFAULT,
    RunningSandbox, Sandbox, StartError, WORDS, WrittenDuration, parse_rules,
};
use crate::files;
use crate::redemption::Secret;

/// The largest file of rules, in bytes.
const RULES_BYTES_MAX: u64 = 1024 * 1024;

/// A provider to test against: the loyalty provider's contract, and every fault on demand.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = help())]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Options {
    /// Where gateways or tills connect; port 0 picks one and prints it
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7799")]
    pub listen: SocketAddr,
    /// A listener of its own for the control API, so that the line can be cut
    #[arg(long, value_name = "ADDRESS")]
    pub control: Option<SocketAddr>,
    /// The path of Redeem
    #[arg(long, value_name = "PATH", default_value = "/redeem")]
    pub redeem_path: String,
    /// The path of Check Reward
    #[arg(long, value_name = "PATH", default_value = "/check")]
    pub check_path: String,
    /// The path of the OAuth token endpoint
    #[arg(long, value_name = "PATH", default_value = "/oauth/token")]
    pub token_path: String,
    /// The path where error webhooks are received
    #[arg(long, value_name = "PATH", default_value = "/webhook")]
    pub webhook_path: String,
    /// A fault: field=value,field=value or a JSON object; the first that fires decides; repeatable
    #[arg(long = "rule", value_name = "RULE")]
    pub rules: Vec<FaultRule>,
    /// Rules from a JSON file, after those of --rule; - is standard input
    #[arg(long, value_name = "FILE")]
    pub rules_file: Option<PathBuf>,
    /// Makes the rules' shares hit the same requests again; default: random, and printed
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Waits before every answer
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub delay: WrittenDuration,
    /// Answers a repeated Idempotency-Key with its first answer (the contract has no such key)
    #[arg(long)]
    pub honour_keys: bool,
    /// Refuses an order with a field that the contract does not have
    #[arg(long)]
    pub strict: bool,
    /// Codes that are never used up, a pattern with *
    #[arg(long, value_name = "PATTERN")]
    pub reusable: Vec<String>,
    /// What a check tells of a good code: a JSON object whose members win over the sandbox's own:
    /// `type`, `discount_amount`, `is_percentage`, `max_discount_amount`, `customer_number`
    #[arg(long, value_name = "JSON", value_parser = check_data)]
    pub check_data: Option<CheckData>,
    /// The file of the bearer token that requests must carry; without any token all are served
    #[arg(long, value_name = "FILE", value_parser = named_file(), conflicts_with = "token")]
    pub token_file: Option<PathBuf>,
    /// The bearer token itself, for tests: other users of this machine can see it
    #[arg(long, value_name = "TOKEN", value_parser = secret)]
    pub token: Option<Secret>,
    /// The OAuth client that gets tokens, for tests: other users of this machine can see it
    #[arg(long, value_name = "ID:SECRET", value_parser = client)]
    pub oauth: Option<(String, Secret)>,
    /// How long an access token is good
    #[arg(long, value_name = "DURATION", default_value = "1h", requires = "oauth")]
    pub oauth_expires: WrittenDuration,
    /// The refresh token that is good at start; each is good once
    #[arg(long, value_name = "TOKEN", requires = "oauth", value_parser = secret)]
    pub oauth_refresh: Option<Secret>,
    /// The authorization code that is good once
    #[arg(long, value_name = "CODE", requires = "oauth", value_parser = secret)]
    pub oauth_code: Option<Secret>,
    /// Serves TLS with a certificate that is so
    #[arg(long, value_name = "CERTIFICATE")]
    pub tls: Option<CertificateKind>,
    /// A further host name in the certificate, beside localhost and the address
    #[arg(long, value_name = "NAME", requires = "tls")]
    pub tls_name: Vec<String>,
    /// Where the authority's certificate is written, for a client's `ca_file`
    #[arg(long, value_name = "FILE", value_parser = named_file(), requires = "tls")]
    pub ca_out: Option<PathBuf>,
    /// HTTP/1.1 alone
    #[arg(long, conflicts_with = "http2")]
    pub http1: bool,
    /// HTTP/2 alone (without --tls: with prior knowledge)
    #[arg(long)]
    pub http2: bool,
    /// How many requests are kept for GET /sandbox/requests
    #[arg(long, value_name = "NUMBER", default_value_t = RECORDS_MAX_DEFAULT)]
    pub records: usize,
    /// Keeps no requests
    #[arg(long, conflicts_with = "records")]
    pub no_record: bool,
    /// Prints nothing after the addresses
    #[arg(long)]
    pub quiet: bool,
    /// The commands' common `--json`: an object a line, the addresses, then each request with its
    /// code whole.
    #[arg(skip)]
    pub json: bool,
}

impl Default for Options {
    /// For tests: quiet, at a port that is free.
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            control: None,
            redeem_path: "/redeem".to_owned(),
            check_path: "/check".to_owned(),
            token_path: "/oauth/token".to_owned(),
            webhook_path: "/webhook".to_owned(),
            rules: Vec::new(),
            rules_file: None,
            seed: None,
            delay: WrittenDuration(Duration::ZERO),
            honour_keys: false,
            strict: false,
            reusable: Vec::new(),
            check_data: None,
            token_file: None,
            token: None,
            oauth: None,
            oauth_expires: WrittenDuration(Duration::from_hours(1)),
            oauth_refresh: None,
            oauth_code: None,
            tls: None,
            tls_name: Vec::new(),
            ca_out: None,
            http1: false,
            http2: false,
            records: RECORDS_MAX_DEFAULT,
            no_record: false,
            quiet: true,
            json: false,
        }
    }
}

/// Why `redeemd sandbox` ended at once.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// It could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Standard output, signals or random bits.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// Runs until SIGINT or SIGTERM; `options.json` is the caller's to set.
///
/// # Errors
/// It cannot start as the options ask.
pub async fn run(options: Options) -> Result<(), SandboxError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let seed = options.seed.map_or_else(random_seed, Ok)?;
    let running = Sandbox::start(Options { seed: Some(seed), ..options }).await?;
    let options = &running.provider.options;
    if let (Some(path), Some(pem)) = (&options.ca_out, &running.ca_pem) {
        std::fs::write(path, pem).map_err(file(path))?;
    }
    let mut out = std::io::stdout();
    out.write_all(options.greeting(&running).as_bytes())?;
    out.flush()?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    running.stop().await;
    Ok(())
}

impl Options {
    /// Takes in what the files hold.
    pub(super) fn read_files(&mut self) -> Result<(), StartError> {
        if let Some(path) = &self.rules_file {
            self.rules.extend(parse_rules(&read_rules(path).map_err(file(path))?)?);
        }
        if let Some(path) = &self.token_file {
            let token = std::fs::read_to_string(path).map_err(file(path))?;
            self.token = Some(Secret::new(token.trim().to_owned()));
        }
        Ok(())
    }

    /// For the rules' shares.
    pub(super) fn seed(&self) -> u64 {
        self.seed.unwrap_or_default()
    }

    /// Requests kept for the control API; 0 keeps none.
    pub(super) fn records_max(&self) -> usize {
        if self.no_record { 0 } else { self.records }
    }

    pub(super) fn oauth_client(&self) -> Option<OAuthClient> {
        let (id, secret) = self.oauth.clone()?;
        let (refresh_token, code) = (self.oauth_refresh.clone(), self.oauth_code.clone());
        Some(OAuthClient { id, secret, expires_in: self.oauth_expires.0, refresh_token, code })
    }

    pub(super) fn log_kind(&self) -> LogKind {
        match (self.quiet, self.json) {
            (true, _) => LogKind::Quiet,
            (false, true) => LogKind::Json,
            (false, false) => LogKind::Lines,
        }
    }

    pub(super) fn http_versions(&self) -> HttpVersions {
        match (self.http1, self.http2) {
            (true, _) => HttpVersions::One,
            (false, true) => HttpVersions::Two,
            (false, false) => HttpVersions::Both,
        }
    }

    fn greeting(&self, running: &RunningSandbox) -> String {
        let seed = self.seed();
        let base = running.base_url();
        let control =
            running.control.map_or_else(|| base.clone(), |control| format!("http://{control}"));
        if self.json {
            let greeting = json!({ "listen": running.addr, "control": control,
                "redeem_url": running.redeem_url(),
                "check_url": running.check_url(), "token_url": format!("{base}{}", self.token_path),
                "webhook_url": format!("{base}{}", self.webhook_path), "seed": seed });
            return format!("{greeting}\n");
        }
        format!(
            "redeem   {}\ncheck    {}\ntoken    {base}{}\nwebhook  {base}{}\ncontrol  \
             {control}/sandbox/…\nseed     {seed}\n",
            running.redeem_url(),
            running.check_url(),
            self.token_path,
            self.webhook_path
        )
    }
}

/// A file that neither standard input nor standard output can stand for.
fn named_file() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(files::named)
}

fn file(path: &Path) -> impl FnOnce(std::io::Error) -> StartError {
    let path = path.to_owned();
    move |source| StartError::File { path, source }
}

fn read_rules(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut json = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().take(RULES_BYTES_MAX).read_to_end(&mut json)?;
    } else {
        std::fs::File::open(path)?.take(RULES_BYTES_MAX).read_to_end(&mut json)?;
    }
    Ok(json)
}

fn random_seed() -> std::io::Result<u64> {
    getrandom::u64().map_err(|error| std::io::Error::other(error.to_string()))
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that clap wants")]
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text.to_owned()))
}

/// The members of a check's `data`.
type CheckData = serde_json::Map<String, serde_json::Value>;

fn check_data(text: &str) -> Result<CheckData, String> {
    serde_json::from_str(text).map_err(|error| format!("write a JSON object: {error}"))
}

fn client(text: &str) -> Result<(String, Secret), String> {
    let (id, secret) = text.split_once(':').ok_or("write it as ID:SECRET")?;
    Ok((id.to_owned(), Secret::new(secret.to_owned())))
}

/// The part of `--help` that makes it a manual.
fn help() -> String {
    let mut help = String::from(INTRODUCTION);
    for word in WORDS {
        // Writing to a string cannot fail.
        writeln!(help, "  {:<20} {}", word.name, word.help).unwrap_or_default();
    }
    help.push_str(CONTROL);
    help
}

const INTRODUCTION: &str = "\
What it does:
  Redeem takes a code once; the second time it answers 400, \"Reward … has been used\". Check \
  Reward tells the same, or
  type, discount_amount, is_percentage, max_discount_amount and a made-up customer_number. The \
  OAuth token endpoint and
  a receiver for error webhooks are there too. Every request is kept and shown by the control API.
  What the contract forbids is refused: a field that is missing, empty, twice there or no string, \
  a date that is not
  yyyy-MM-dd HH:mm:ss or that no calendar has, a content type other than JSON; with --strict \
  unknown fields too.

Rules: --rule 'share=0.1,fault=reset-after-taking'  or  --rule \
'{\"fault\":\"refuse\",\"message\":\"a, b\"}'
  which requests (all that are given must hold):
  share=0.1            so many of those that match, by the seed
  code=A-*             the reward code, * stands for anything
  call=check           check, redeem or both; default: Redeem alone
  path=*               the path, instead of a call
  attempt=2            the second request of its code; also 2-4 and 2-
  skip=3               not the first three that match
  every=10             every tenth
  count=5              five at most
  per_code=1           the first of each code
  from=2s until=10s    so long after the rule was set
  what then:
  fault=NAME           see below
  delay=200ms          waits before the answer or the break
  status= body= content_type= message= location= www_authenticate=   parts of an answer; {code} in \
  a message
  retry_after=120      as written (also nonsense), or date+30, date-30: a date so far from the \
  answer's own
  clock_s=3600         the answer's Date is wrong by so many seconds
  rate=10              bytes a second of slow-body and endless-body
  bytes=1000000        length of huge-body
  take=true            the code is taken although the answer says otherwise

Faults:
";

const CONTROL: &str = "
Control API (on --control, else under the same address):
  GET    /sandbox/requests?after=N   the requests after number N: keys, attempts, bodies, what was \
  answered
  DELETE /sandbox/requests           forgets them
  GET    /sandbox/summary            codes taken, keys seen, codes under two keys
  DELETE /sandbox/codes              every code is good again
  GET, POST, DELETE /sandbox/rules   shows (with counts), replaces, removes the rules: a rule or \
  an array of rules
  GET, POST /sandbox/line            {\"state\":\"up\"}, \"refuse\" (connections are refused, open \
  ones reset) or
                                     \"silent\" (accepted, never answered); needs --control
  GET, POST /sandbox/check-data      what a check tells of a good code: \
  {\"discount_amount\":\"25.00\"}
  POST   /sandbox/token              {\"token\":\"…\"}: from now on this bearer token; null: none
  POST   /sandbox/revoke             the OAuth access tokens given so far; {\"refresh\":true}: the \
  refresh token too

Examples:
  redeemd sandbox --rule 'share=0.1,fault=reset-after-taking'        one reply in ten is lost
  redeemd sandbox --rule 'from=10s,until=40s,fault=html-200'         a captive portal for half a \
  minute
  redeemd sandbox --rule 'count=3,fault=503,retry_after=20'          busy three times
  redeemd sandbox --rule 'code=X-*,fault=waf-403'                    a firewall that dislikes some \
  codes
  redeemd sandbox --rule 'fault=in-progress,attempt=2-3'             our own retry is refused, twice
  redeemd sandbox --rule 'share=0.2,fault=mood' --seed 7             anything at all, one time in \
  five
  redeemd sandbox --tls expired --ca-out ca.pem                      a certificate that has expired
  redeemd sandbox --control 127.0.0.1:7736 &
  curl -d '{\"state\":\"refuse\"}' http://127.0.0.1:7736/sandbox/line    the line is cut
";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn the_help_names_every_fault_and_every_field_of_a_rule() {
        let help = help();
        for word in WORDS {
            assert!(help.contains(&format!("\n  {:<20} ", word.name)), "{}", word.name);
        }
        let mut all = FaultRule::always(WORDS[0]);
        all.share = Some(1.0);
        for field in
            "share code path call attempt skip every count per_code from until delay status body \
             content_type message retry_after www_authenticate location clock_s rate bytes take"
                .split_whitespace()
        {
            assert!(help.contains(&format!("{field}=")), "{field}");
        }
    }

    #[test]
    fn the_helps_own_examples_are_good_rules() {
        let quoted = help();
        let rules: Vec<&str> =
            quoted.split("--rule '").skip(1).filter_map(|rest| rest.split('\'').next()).collect();
        assert!(rules.len() >= 5);
        for rule in rules {
            rule.parse::<FaultRule>().unwrap();
        }
    }

    #[test]
    fn a_command_line_becomes_options_and_a_debug_line_shows_no_token() {
        let line = "redeemd --token t0ps3cret --oauth gw:s3cret --delay 20ms --no-record --http2 \
            --rule fault=500";
        let line = CommandLine::parse_from(line.split_whitespace());
        let options = line.options;
        assert_eq!(
            (options.records_max(), options.http_versions(), options.rules.len()),
            (0, HttpVersions::Two, 1)
        );
        let shown = format!("{options:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("t0ps3cret"), "{shown}");
        assert!(CommandLine::try_parse_from(["redeemd", "--rule", "fault=nothing"]).is_err());
    }
}
