//! Every setting with its kind, its default, its bounds and its meaning: the one list for
//! the loader, the shipped file, the manual page and README's table.

/// What a key's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A string that is not repeated in messages, because people put passwords into it.
    Url,
    /// A file or folder; relative ones are beside the settings file that names them. Not repeated
    /// in messages either.
    Path,
    /// A string of numbers with units.
    Duration,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Flag,
    /// A list of strings.
    Texts,
    /// A list of whole numbers.
    Integers,
    /// A string, or a list of strings.
    TextOrTexts,
    /// `true`, `false` or a word.
    FlagOrText,
    /// A table of strings, each with a name.
    Words,
}

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Sections and name, with dots; a table of `[[provider]]` or `[[intake.till]]` has no index
    /// here.
    pub path: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// The default as it is written in TOML; `None` where there is none.
    pub default: Option<&'static str>,
    /// The least and the most of a number or a duration, as they are written.
    pub bounds: Option<(&'static str, &'static str)>,
    /// Whether a change needs a restart; a reload applies all others.
    pub restart: bool,
}

/// A setting with what only the documents say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The setting.
    pub key: Key,
    /// What the shipped file shows where there is no default.
    pub sample: Option<&'static str>,
    /// Its meaning; `{bounds}` stands for them.
    pub doc: &'static str,
}

const fn setting(path: &'static str, kind: Kind) -> Setting {
    let key = Key { path, kind, default: None, bounds: None, restart: false };
    Setting { key, sample: None, doc: "" }
}

impl Setting {
    const fn restart(mut self) -> Self {
        self.key.restart = true;
        self
    }

    const fn default(mut self, text: &'static str) -> Self {
        self.key.default = Some(text);
        self
    }

    const fn bounds(mut self, least: &'static str, most: &'static str) -> Self {
        self.key.bounds = Some((least, most));
        self
    }

    const fn sample(mut self, text: &'static str) -> Self {
        self.sample = Some(text);
        self
    }

    const fn doc(mut self, text: &'static str) -> Self {
        self.doc = text;
        self
    }
}

/// Each setting's path, kind, properties and meaning.
macro_rules! settings {
    ($( $path:literal $kind:ident $( .$property:ident($($value:expr),*) )* => $doc:literal; )+) => {
        &[ $( setting($path, Kind::$kind)$( .$property($($value),*) )*.doc($doc), )+ ]
    };
}

/// The default of `provider.already_used`: each phrase is one that a refusal for another reason
/// does not contain. "must be used before May" holds no "used before" here.
const ALREADY_USED: &str = include_str!("already_used.json");
/// The default of `provider.in_progress`.
const IN_PROGRESS: &str = include_str!("in_progress.json");

/// Every setting, in the order of the shipped file. A constant, so that the program itself holds no
/// more of it than [`KEYS`].
pub const TABLE: &[Setting] = settings! {
    "gateway.name" Text.restart().sample(r#""branch-042""#) =>
        "This gateway's name in every view, 1 to 64 bytes. It also seeds the gateway's place in \
        reconnect_spread. Without it: the host name.";
    "gateway.state_dir" Path.restart().default(r#""/var/lib/redeemd""#) =>
        "Where redemptions and state live. $STATE_DIRECTORY, which systemd sets for the service, \
        wins over it.";
    "gateway.day_ends" Text.default(r#""00:00""#) =>
        "When a day of the reports ends, in local time: 00:00 to 23:59. With an hour before noon, \
        what comes before it belongs to the day before; with a later one, what comes after it \
        belongs to the next day. The time zone is that of TZ or of /etc/localtime, read at each \
        start and reload. A redemption keeps the day that it got.";
    "intake.listen" TextOrTexts.restart().default(r#""127.0.0.1:7733""#) =>
        "The address and port where tills connect, or a list of up to 16, unless systemd hands in \
        sockets. Beyond loopback every till needs a token, or allow_anonymous.";
    "intake.redeem_path" Text.default(r#""/redeem""#) =>
        "The path of a redemption: letters, digits, and / . _ ~ -.";
    "intake.check_path" Text.default(r#""/check""#) => "The path of a check.";
    "intake.reply_within" Duration.default(r#""4s""#).bounds("100ms", "60s") =>
        "How long a till may wait for the provider's own answer, {bounds}. What is not answered \
        by then is given only where the provider answers nobody; else the till is told to ask \
        again.";
    "intake.accepted_status" Integer.default("200").bounds("200", "202") =>
        "The status of an acceptance that the provider has not answered yet: 200, or 202 for \
        tills that tell the two apart.";
    "intake.max_body_bytes" Integer.default("16384").bounds("1024", "65536") =>
        "The largest body that is read from a till, in bytes: {bounds}.";
    "intake.allow_anonymous" Flag.default("false") =>
        "Whether a listener beyond loopback may stand without tills' tokens.";
    "intake.till.name" Text.sample(r#""till-1""#) =>
        "The till's name, as the books and the cashiers' messages show it: 1 to 64 bytes, unique, \
        not \"anonymous\", which is everybody's name where there are no tills. A new name is a new \
        till: what the old one repeats under it is refused as used, and its limits begin anew.";
    "intake.till.token_file" Path.sample(r#""/etc/redeemd/till-1.token""#) =>
        "The file that holds the till's bearer token. Each till needs this or credential, not \
        both.";
    "intake.till.credential" Text.sample(r#""till-1""#) =>
        "The systemd credential that holds the till's bearer token.";
    "intake.till.businesses" Texts.default("[]") =>
        "The only business_refrence values that the till may redeem for. Empty: all.";
    "intake.till.branches" Texts.default("[]") =>
        "The only branches that the till may redeem for. Empty: all.";
    "intake.till.language" Text.sample(r#""ar""#) =>
        "The language of the refusals that the gateway itself writes for the till: \"en\" or \
        \"ar\". Without it: what the till asks for with Accept-Language, else English.";
    "intake.tls.cert_file" Path.restart().sample(r#""/etc/redeemd/tls/cert.pem""#) =>
        "The certificate chain of the tills' listener in PEM. A certificate that is renewed in \
        place needs no restart.";
    "intake.tls.key_file" Path.restart().sample(r#""/etc/redeemd/tls/key.pem""#) =>
        "Its key in PEM.";
    "intake.texts.en" Words
        .sample(r#"{ used = "Reward {code} has been used on {when} at {till}" }"#)
        => "A table of English texts by the refusal's name: en = { used = \"...\" }, or a section \
        [intake.texts.en]. Each has 1 to 512 bytes. What stands in braces is filled in; each text \
        has its own placeholders, those of its default, which redeemd.toml(5) lists. {code} is \
        whole, since the till has sent it, and {when} is the earlier till's own time. Of several \
        files each wins text by text. The provider's own words are passed on as they came.";
    "intake.texts.ar" Words
        .sample(r#"{ used = "المكافأة {code} استُعملت من قبل في {when} عند نقطة البيع {till}" }"#)
        => "The same for tills that are spoken to in Arabic.";
    "provider.name" Text.sample(r#""retm""#) =>
        "The lane's name: 1 to 64 of a-z, 0-9, '.', '_' and '-'; unique. Redemptions remember it, \
        so do not rename a provider that has any pending. A new name is a new lane: a hold of the \
        old one does not bind it, its limits begin anew, and it begins without the refresh token \
        that was kept for the old one: put a new one into refresh_token_file.";
    "provider.businesses" Texts.default("[]") =>
        "The business_refrence values that it serves. Empty: all that no other provider serves. \
        They match whatever their case, form of digits or outer spaces. No value may stand in two \
        providers, and one provider at most may have none.";
    "provider.redeem_url" Url.sample(r#""https://SERVICE.retm.sa/redeem""#) =>
        "The provider's Redeem: put in your own service id and path. It has to be https, or http \
        to loopback, and holds no user and no password.";
    "provider.check_url" Url.sample(r#""https://SERVICE.retm.sa/check""#) =>
        "The provider's Check Reward. Without it a check of a code of which this store knows \
        nothing is answered with 404 in the contract's shape, or with 200 where \
        offline.unknown_check is \"answer\".";
    "provider.token_file" Path.sample(r#""/etc/redeemd/retm.token""#) =>
        "The file that holds the bearer token. It is followed live. Each provider needs exactly \
        one of token_file, credential and [provider.oauth].";
    "provider.credential" Text.sample(r#""retm""#) =>
        "The systemd credential that holds the bearer token. On systemd before 253 a changed \
        credential needs a restart.";
    "provider.ca_file" Path.sample(r#""/etc/redeemd/provider-ca.pem""#) =>
        "The only certificate authorities to trust, in PEM, in place of the system's. The file is \
        read at each start and reload.";
    "provider.proxy" Url.sample(r#""http://proxy.example:3128""#) =>
        "The proxy that the provider's traffic has to pass: http://HOST:PORT. The environment's \
        proxy is not used.";
    "provider.proxy_user" Text.sample(r#""gateway""#) =>
        "The user that the proxy asks for, without a colon. It needs proxy and a password.";
    "provider.proxy_password_file" Path.sample(r#""/etc/redeemd/proxy.password""#) =>
        "The file that holds that user's password, which may have spaces in it but not around it; \
        this or proxy_password_credential.";
    "provider.proxy_password_credential" Text.sample(r#""proxy""#) =>
        "The systemd credential that holds that user's password.";
    "provider.allow_plain_http" Flag.default("false") =>
        "Whether http:// beyond loopback is accepted in this provider's URLs.";
    "provider.timeout" Duration.default(r#""10s""#).bounds("1ms", "120s") =>
        "The deadline of one whole attempt: {bounds}.";
    "provider.declined_status" Integers.default("[400, 404, 409, 410, 422]") =>
        "Statuses that decline a redemption when the answer has the contract's shape: 400 to 499, \
        but not 401, 403, 408, 425 and 429.";
    "provider.already_used" Texts.default(ALREADY_USED) =>
        "What a refusal says of a code that was used already: a part of its message or of one of \
        its errors, in any case, said of the code or of nothing that is named.";
    "provider.in_progress" Texts.default(IN_PROGRESS) =>
        "What an answer says while an earlier request for the redemption is still being worked \
        on: a part of its message, in any case. The redemption waits and is asked for again; a \
        409 or 425 that says so for weak_after is a person's.";
    "provider.success" Text.default(r#""lenient""#) =>
        "Which 2xx confirm a redemption: \"lenient\", every JSON object that does not say that it \
        failed, and an empty body; or \"contract\", an empty body and objects of data, message \
        and errors alone.";
    "provider.weak_after" Duration.default(r#""30m""#).bounds("1s", "30d") =>
        "How long weak refusals alone, alike and with the lane otherwise well, go on before a \
        redemption is parked for a person: {bounds}. A refusal is weak that a proxy or a \
        framework could have made: trust.md in /usr/share/doc/redeemd lists the phrases and \
        members that tell.";
    "provider.weak_declines" Flag.default("false") =>
        "Whether 400, 409 and 422 with a bare message decline, for a provider whose own refusals \
        look so.";
    "provider.accept_language" Text.default(r#""en""#) =>
        "The value of Accept-Language in each request to the provider.";
    "provider.same_code" Text.default(r#""folded""#) =>
        "Which reward codes are the same: \"folded\", those that look alike (case, width, digits \
        of every script, which kind of dash, invisible characters), or \"exact\", those of the \
        same bytes.";
    "provider.canary" Flag.default("true") =>
        "Whether the gateway may send checks of its own, of a made-up code, to check_url, to \
        learn whether the provider answers.";
    "provider.reusable_codes" Texts.default("[]") =>
        "Codes that may be redeemed again and again: patterns, anchored at both ends, in which * \
        stands for anything.";
    "provider.oauth.token_url" Url.sample(r#""https://SERVICE.retm.sa/oauth/token""#) =>
        "The token endpoint; as for redeem_url, https or loopback.";
    "provider.oauth.client_id" Text.sample(r#""…""#) => "The client's id.";
    "provider.oauth.client_secret_file" Path.sample(r#""/etc/redeemd/retm.secret""#) =>
        "The file that holds the client's secret; this or client_secret_credential.";
    "provider.oauth.client_secret_credential" Text.sample(r#""retm-secret""#) =>
        "The systemd credential that holds the client's secret.";
    "provider.oauth.grant" Text.default(r#""client_credentials""#) =>
        "How the first token is had: \"client_credentials\" or \"refresh_token\". A refresh token \
        that the provider gives is kept in the state directory. The contract's authorization code \
        is for a person with a browser: trade it once elsewhere, and give the refresh token.";
    "provider.oauth.refresh_token_file" Path.sample(r#""/etc/redeemd/retm.refresh""#) =>
        "The file that holds the first refresh token; this or refresh_token_credential, and with \
        grant = \"refresh_token\" alone.";
    "provider.oauth.refresh_token_credential" Text.sample(r#""retm-refresh""#) =>
        "The systemd credential that holds the first refresh token.";
    "offline.accept" Flag.default("true") =>
        "Whether redemptions are accepted while a lane is not up.";
    "offline.max_pending" Integer.default("5000").bounds("1", "100000000") =>
        "How many may be pending in a lane before tills are refused: {bounds}.";
    "offline.max_pending_per_till" Integer.sample("3750").bounds("1", "100000000") =>
        "How many redemptions of one till may be pending in a lane before that till is refused: 1 \
        to max_pending. Without it: three quarters of max_pending where there is more than one \
        till, else max_pending.";
    "offline.max_outage" Duration.default(r#""72h""#).bounds("1s", "3650d") =>
        "How long the lane may have been down before tills are refused: {bounds}. Neither a \
        restart nor an operator's hold or release resets it.";
    "offline.date_format" Text.default(r#""contract""#) =>
        "Which dates are accepted while a lane is not up: \"contract\", those that the contract \
        can mean, or \"any\".";
    "offline.one_till" Text.default(r#""refuse""#) =>
        "Whether a provider that does not answer one till may be taken for silent without \
        evidence from another till or from the gateway's own checks: \"refuse\" or \"trust\". \
        \"trust\" is for a store with one till whose provider has no check_url.";
    "offline.remember_checks" Duration.default(r#""12h""#).bounds("0s", "7d") =>
        "How long the provider's answers to tills' checks are remembered: {bounds}; 0s is not at \
        all. It is the gateway's elapsed time, which goes on over restarts and follows no step of \
        the clock. While the provider cannot be asked, a check is answered from them, with \
        Redeemd-State: remembered and their age in Redeemd-Age. They may name the customer: they \
        are kept no longer, and go back to tills alone. No list, export, metric, log or backup \
        holds them.";
    "offline.remember_checks_max" Integer.default("20000").bounds("0", "10000000") =>
        "How many of them are remembered: {bounds}. When there are more, the till that brought \
        the most forgets its oldest, refusals last.";
    "offline.unknown_check" Text.default(r#""refuse""#) =>
        "What a till is told that checks a code of which nothing is known, while the provider \
        cannot be asked: \"refuse\", 503 with Retry-After, or \"answer\", 200 with \
        {\"data\":{},\"errors\":[]}. A provider that is only busy is not spoken for: that is 503 \
        in any case.";
    "offline.value_of_unknown" Text.default(r#""25.00""#) =>
        "What a reward counts as of which no check said what it is worth, or said 0 or what \
        nobody can read: an amount of the store's currency in quotes, from 0 to 1000000000. \
        Amounts are exact; more than four decimals round up.";
    "offline.value_of_unbounded" Text.default(r#""100.00""#) =>
        "What a percentage counts as for which a check said no most.";
    "offline.max_exposure" Text.default(r#""25000.00""#) =>
        "What may be at risk in a lane before tills are refused. At risk is what was given on \
        trust and is pending, parked, lost, confirmed by inference or taken back, until a person \
        has handled it.";
    "offline.max_per_hour_per_till" Integer.default("300").bounds("1", "100000000") =>
        "How many redemptions of one till may be accepted on trust in a lane within 60 minutes: \
        {bounds}.";
    "offline.checked_within" Duration.default(r#""15m""#).bounds("1s", "30d") =>
        "How old a check may be by which a rule with type goes, unless the rule has its own: \
        {bounds}.";
    "offline.max_value" Text.sample(r#""100.00""#) =>
        "What one reward may be worth. A rule's own max_value takes its place.";
    "offline.max_per_hour" Integer.sample("500").bounds("0", "100000000") =>
        "How many may be accepted on trust in a lane within 60 minutes: {bounds}.";
    "offline.max_per_day" Integer.sample("2000").bounds("0", "100000000") =>
        "How many may be accepted on trust in a lane within 24 hours: {bounds}.";
    "offline.hours" Text.sample(r#""08:00-23:30""#) =>
        "When rewards are given on trust, on the clock on the wall: \"08:00-23:30\", \
        \"18:00-02:00\" past midnight, or \"00:00-24:00\" for all day. In the night in which the \
        clock is put back an hour comes twice, and so does what lies in it. While the clock is \
        not synchronised nothing is given. A rule's own hours take their place.";
    "offline.code_form.length" Text.sample(r#""10-12""#) =>
        "How many characters a code has: \"10\" or \"10-12\". A code of another form is refused \
        with 400 while nobody can be asked. A rule's own code_form takes its place.";
    "offline.code_form.alphabet" Text.sample(r#""digits""#) =>
        "The characters of a code: \"any\", \"digits\", \"hex\", \"letters\" or \"alphanumeric\".";
    "offline.code_form.check" Text.sample(r#""luhn""#) =>
        "How a code's last digits follow from the others: \"luhn\" (ISO/IEC 7812), \"mod97\" \
        (ISO/IEC 7064) or \"gs1\".";
    "offline.rule.name" Text.sample(r#""vouchers""#) =>
        "The rule's name, unique, as refusals and the books show it. Files of conf.d change a \
        rule by its name. The first rule that fits a redemption is the one; what a rule does not \
        say fits everything.";
    "offline.rule.code" TextOrTexts.sample(r#"["V-*", "*-VIP"]"#) =>
        "One pattern or a list, with * for anything, that the code fits byte by byte.";
    "offline.rule.business" TextOrTexts.sample(r#""shop""#) =>
        "One business or a list; they match folded.";
    "offline.rule.branch" TextOrTexts.sample(r#"["7", "8"]"#) => "One branch or a list.";
    "offline.rule.till" TextOrTexts.sample(r#""till-1""#) => "One till or a list.";
    "offline.rule.type" TextOrTexts.sample(r#""voucher""#) =>
        "One type or a list, as a valid check said it within checked_within.";
    "offline.rule.checked_within" Duration.sample(r#""2h""#).bounds("1s", "30d") =>
        "The rule is for codes of which a valid check is remembered that is not older: {bounds}. \
        Without it, a rule with type takes offline.checked_within.";
    "offline.rule.cause" TextOrTexts.sample(r#"["tls", "clock"]"#) =>
        "One cause or a list, such as \"connect\" or \"tls\": why nobody can be asked.";
    "offline.rule.accept" FlagOrText.sample("true") =>
        "true or false: whether what the rule is for is accepted on trust, whatever \
        offline.accept says. \"override\" waits for a later version.";
    "offline.rule.max_value" Text.sample(r#""50.00""#) =>
        "What one reward may be worth, instead of offline.max_value.";
    "offline.rule.max_exposure" Text.sample(r#""1000.00""#) =>
        "What may be at risk of the rewards that this rule has let through.";
    "offline.rule.max_pending" Integer.sample("100").bounds("0", "100000000") =>
        "How many of them may be pending: {bounds}.";
    "offline.rule.max_per_hour" Integer.sample("20").bounds("0", "100000000") =>
        "How many it lets through within 60 minutes: {bounds}.";
    "offline.rule.max_per_day" Integer.sample("100").bounds("0", "100000000") =>
        "How many it lets through within 24 hours: {bounds}.";
    "offline.rule.max_outage" Duration.sample(r#""4h""#).bounds("1s", "3650d") =>
        "How long the lane may have been down: {bounds}.";
    "offline.rule.hours" Text.sample(r#""18:00-02:00""#) =>
        "When, on the local clock, instead of offline.hours.";
    "offline.rule.code_form.length" Text.sample(r#""12""#) => "How many characters a code has.";
    "offline.rule.code_form.alphabet" Text.sample(r#""alphanumeric""#) =>
        "The characters of a code.";
    "offline.rule.code_form.check" Text.sample(r#""mod97""#) =>
        "How a code's last digits follow from the others.";
    "forward.max_in_flight" Integer.default("8").bounds("1", "256") =>
        "How many requests a drain may have in flight: {bounds}. What tills wait for has 32 \
        places beside them.";
    "forward.retry_min" Duration.default(r#""1s""#).bounds("100ms", "1h") =>
        "The first wait after a failure: {bounds}, not longer than retry_max.";
    "forward.retry_max" Duration.default(r#""60s""#).bounds("100ms", "1h") =>
        "The longest wait between two probes of a link that is down: {bounds}.";
    "forward.reconnect_spread" Duration.default(r#""5s""#).bounds("0s", "10m") =>
        "When the line is back, the gateways of a fleet begin to drain within this spread: \
        {bounds}.";
    "retention.settled" Duration.default(r#""30d""#).bounds("1h", "3650d") =>
        "How long settled redemptions are kept: {bounds}. What was declined after the fact or \
        taken back after it was given, is confirmed by inference or is owed is kept until a person \
        has handled it. Its code is held for longer: see codes.";
    "retention.codes" Duration.default(r#""400d""#).bounds("0s", "3650d") =>
        "How long codes that were used or refused are remembered, as hashes of 16 bytes, when \
        their redemptions are gone: {bounds}.";
    "admin.listen" Text.restart().default(r#""127.0.0.1:7734""#) =>
        "The operators' side: console, status and metrics, at this one address. Beyond loopback \
        only with [admin.tls], an [[admin.user]] and hosts; loopback is not served beside it then.";
    "admin.socket" Path.restart().sample(r#""/run/redeemd/admin.sock""#) =>
        "The socket of redeemd's own commands, at most 107 bytes. Without it: admin.sock in \
        $RUNTIME_DIRECTORY, else in state_dir.";
    "admin.hosts" Texts.default("[]") =>
        "The host names and addresses, without port, by which browsers may call the console, \
        beside loopback's own. Beyond loopback it takes one at least.";
    "admin.token.name" Text.sample(r#""monitor""#) =>
        "Who is recorded for what is done with the token: 1 to 64 bytes, unique among tokens and \
        users.";
    "admin.token.role" Text.sample(r#""see""#) =>
        "What it may do: \"see\", look; \"decide\", also retry, void and handle; \"engineer\", \
        also lanes, hold, export, import.";
    "admin.token.token_file" Path.sample(r#""/etc/redeemd/monitor.token""#) =>
        "The file that holds the bearer token; this or credential.";
    "admin.token.credential" Text.sample(r#""monitor""#) =>
        "The systemd credential that holds the bearer token.";
    "admin.user.name" Text.sample(r#""layla""#) =>
        "The name to sign in with, recorded for what the person does: 1 to 64 bytes, unique among \
        tokens and users.";
    "admin.user.role" Text.sample(r#""decide""#) => "As for a token.";
    "admin.user.password_file" Path.sample(r#""/etc/redeemd/layla.password""#) =>
        "The file that holds the hash of the password, never the password; this or credential.";
    "admin.user.credential" Text.sample(r#""layla""#) =>
        "The systemd credential that holds the hash of the password. Its earlier name, \
        password_credential, is taken too.";
    "admin.tls.cert_file" Path.restart().sample(r#""/etc/redeemd/tls/console.pem""#) =>
        "The certificate chain of admin.listen in PEM. A certificate that is renewed in place \
        needs no restart.";
    "admin.tls.key_file" Path.restart().sample(r#""/etc/redeemd/tls/console.key""#) =>
        "Its key in PEM.";
    "alert.url" Url.restart().sample(r#""https://alerts.example/hook""#) =>
        "Where the error webhook posts; https, or http to loopback. Without it there is no \
        webhook.";
    "alert.token_file" Path.restart().sample(r#""/etc/redeemd/alert.token""#) =>
        "The file that holds the webhook's bearer token, if it needs one. A token that is renewed \
        in place needs no restart.";
    "alert.credential" Text.restart().sample(r#""alert""#) =>
        "The systemd credential that holds the webhook's bearer token.";
};

/// Every key.
pub const KEYS: &[Key] = &keys::<{ TABLE.len() }>();

#[expect(clippy::indexing_slicing, reason = "while the program is compiled")]
const fn keys<const LENGTH: usize>() -> [Key; LENGTH] {
    let (mut all, mut at) = ([TABLE[0].key; LENGTH], 0);
    while at < LENGTH {
        all[at] = TABLE[at].key;
        at += 1;
    }
    all
}

/// How `admin.user.credential` was written at first; it is taken still.
const CREDENTIAL_BEFORE: &str = "admin.user.password_credential";

/// The key at `path`.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    let path = if path == CREDENTIAL_BEFORE { "admin.user.credential" } else { path };
    KEYS.iter().find(|key| key.path == path)
}

/// Whether `path` is a section or a list, so that keys stand below it.
pub(super) fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| below(path, key.path).is_some())
}

/// Whether `path` is a section without which something is off: no key in it has a default.
pub(super) fn is_optional(path: &str) -> bool {
    KEYS.iter().filter(|key| below(path, key.path).is_some()).all(|key| key.default.is_none())
}

/// What is left of `path` below `section`; the top has the empty path.
fn below<'a>(section: &str, path: &'a str) -> Option<&'a str> {
    if section.is_empty() { Some(path) } else { path.strip_prefix(section)?.strip_prefix('.') }
}

/// The names that may stand in `section`, in the order of the list.
fn names_in(section: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for key in KEYS {
        let name = below(section, key.path).and_then(|rest| rest.split('.').next());
        names.extend(name.filter(|name| !names.contains(name)));
    }
    names
}

/// What somebody who wrote the unknown `name` in `section` may have meant.
pub(super) fn advice(section: &str, name: &str) -> String {
    let names = names_in(section);
    if let Some(near) = nearest(&names, name) {
        return format!("did you mean `{near}`?");
    }
    let elsewhere = KEYS.iter().find(|key| key.path.rsplit('.').next() == Some(name));
    match elsewhere.and_then(|key| key.path.rsplit_once('.')) {
        Some((home, _)) => format!("`{name}` belongs into [{home}]"),
        None => format!("known here: {}", names.join(", ")),
    }
}

/// Longer names are not compared letter by letter.
const COMPARED_BYTES_MAX: usize = 64;

/// The name that a slip of the finger away from `name`, or that it is the beginning of.
fn nearest<'a>(names: &[&'a str], name: &str) -> Option<&'a str> {
    let slips = |other: &&str| strsim::levenshtein(other, name);
    let near = names
        .iter()
        .copied()
        .filter(|_| name.len() <= COMPARED_BYTES_MAX)
        .min_by_key(slips)
        .filter(|other| slips(other) <= 1 + other.len() / 5);
    let begun = || names.iter().copied().find(|other| name.len() >= 3 && other.starts_with(name));
    near.or_else(begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_listed_twice() {
        for (index, key) in KEYS.iter().enumerate() {
            assert!(
                KEYS.iter().skip(index + 1).all(|other| other.path != key.path),
                "{}",
                key.path
            );
        }
    }

    #[test]
    fn advice_names_the_nearest_key_or_its_home_or_all_of_them() {
        assert_eq!(advice("intake", "lisen"), "did you mean `listen`?");
        assert_eq!(advice("provider", "token"), "did you mean `token_file`?");
        assert_eq!(advice("intake", "max_pending"), "`max_pending` belongs into [offline]");
        assert_eq!(advice("retention", "x"), "known here: settled, codes");
        assert_eq!(advice("", "providers"), "did you mean `provider`?");
    }
}
