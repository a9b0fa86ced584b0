//! Every key with its kind, its default and its meaning: the one list that the loader, the shipped
//! file and the manual page are held against.

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
    /// Whether a change needs a restart; a reload applies all others.
    pub restart: bool,
    /// Its meaning, in one line.
    pub doc: &'static str,
}

const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { path, kind, default: Some(default), restart: false, doc }
}

const fn bare(path: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { path, kind, default: None, restart: false, doc }
}

const fn fixed(key: Key) -> Key {
    Key { restart: true, ..key }
}

/// The default of `provider.already_used`, word for word the verdicts' own list; a test compares
/// them.
const ALREADY_USED: &str = r#"["has been used", "have been used", "already used", "already been used", "used already", "was used before", "previously used", "used previously", "has been redeemed", "was redeemed", "already redeemed", "already been redeemed", "redeemed already", "previously redeemed", "redeemed previously", "has been claimed", "already claimed", "already been claimed", "has been consumed", "already consumed", "already been consumed", "already spent", "already been spent", "already exchanged", "already been exchanged", "already utilized", "already utilised", "already availed", "already been availed", "already burned", "already burnt", "already applied", "redeemed before", "was claimed", "claimed already", "consumed already", "been used up", "fully used", "fully redeemed", "code is used", "reward is used", "voucher is used", "coupon is used", "was used on", "was used at", "was used by", "duplicate redemption", "duplicate transaction", "تم استخدام", "سبق استخدام", "سبق ان استخدم", "سبق وان استخدم", "لقد استخدمت", "استخدم مسبقا", "استخدم من قبل", "استخدمت مسبقا", "استخدمت من قبل", "مستخدم مسبقا", "مستخدم سابقا", "مستخدم من قبل", "مستخدم بالفعل", "مستخدمة مسبقا", "مستخدمة سابقا", "مستخدمة من قبل", "مستخدمة بالفعل", "تم استعمال", "سبق استعمال", "مستعمل من قبل", "مستعملة من قبل", "تم استبدال", "سبق استبدال", "تم استرداد", "سبق استرداد", "تم صرف", "سبق صرف", "تم استهلاك", "سبق استهلاك", "استخدامه من قبل", "استخدامها من قبل", "استخدامه مسبقا", "استخدامها مسبقا", "استخدامه بالفعل", "استخدامها بالفعل", "سبق لك استخدام", "سبق ان تم", "سبق الاستخدام", "تم الاستخدام", "تم الاستعمال", "تم الاستبدال", "تم الاسترداد", "تم الصرف", "استخدمت هذه", "مستعمل مسبقا", "مستعمل سابقا", "مستعملة مسبقا", "مستعملة سابقا", "مستبدلة من قبل", "مستبدلة مسبقا", "استبدلت من قبل", "استبدلت مسبقا", "استردت من قبل", "صرفت من قبل", "صرفت مسبقا", "استهلكت من قبل", "المكافأة مستخدمة", "القسيمة مستخدمة", "الكوبون مستخدم", "الكود مستخدم", "الرمز مستخدم", "القسيمة مستهلكة", "المكافأة مستهلكة"]"#;
/// The default of `provider.in_progress`; likewise.
const IN_PROGRESS: &str = r#"["in progress", "being processed", "already processing", "still processing", "concurrent", "outstanding", "try again later", "currently processing", "is processing", "processing your", "in process", "under process", "under processing", "ongoing", "underway", "in flight", "simultaneous", "another request", "please wait", "not yet complete", "not been completed", "retry later", "key is in use", "قيد المعالجة", "قيد التنفيذ", "جاري المعالجة", "جار المعالجة", "جاري معالجة", "جاري التنفيذ", "تتم معالجة", "يتم معالجة", "تجري معالجة", "حاول لاحقا", "حاول مرة اخرى لاحقا", "المحاولة لاحقا", "المحاولة مرة اخرى لاحقا", "مرة اخرى لاحقا", "تحت المعالجة", "تحت التنفيذ", "تحت الاجراء", "قيد الاجراء", "قيد الانتظار", "جاري تنفيذ", "جار تنفيذ", "جار التنفيذ", "لم تكتمل بعد", "لم يكتمل بعد", "طلب اخر", "يرجى الانتظار", "الرجاء الانتظار"]"#;

/// Every key, in the order of the shipped file.
pub const KEYS: &[Key] = &[
    fixed(bare(
        "gateway.name",
        Kind::Text,
        "This gateway's name in every view; without it, the host name.",
    )),
    fixed(key(
        "gateway.state_dir",
        Kind::Path,
        r#""/var/lib/redeemd""#,
        "Where state lives; $STATE_DIRECTORY wins.",
    )),
    key("gateway.day_ends", Kind::Text, r#""00:00""#, "When a day ends in reports, in local time."),
    fixed(key(
        "intake.listen",
        Kind::TextOrTexts,
        r#""127.0.0.1:7733""#,
        "Where tills connect: one address or a list.",
    )),
    key("intake.redeem_path", Kind::Text, r#""/redeem""#, "The path of a redemption."),
    key("intake.check_path", Kind::Text, r#""/check""#, "The path of a check."),
    key(
        "intake.reply_within",
        Kind::Duration,
        r#""4s""#,
        "How long a till may wait for the provider's answer.",
    ),
    key(
        "intake.accepted_status",
        Kind::Integer,
        "200",
        "Status of an acceptance without the provider's answer.",
    ),
    key(
        "intake.max_body_bytes",
        Kind::Integer,
        "16384",
        "The largest body that is read from a till.",
    ),
    key(
        "intake.allow_anonymous",
        Kind::Flag,
        "false",
        "Allow a listener beyond loopback without tills' tokens.",
    ),
    bare("intake.till.name", Kind::Text, "The till's name in the books and in cashiers' messages."),
    bare("intake.till.token_file", Kind::Path, "The file of the till's bearer token."),
    bare(
        "intake.till.credential",
        Kind::Text,
        "The systemd credential of the till's bearer token.",
    ),
    key(
        "intake.till.businesses",
        Kind::Texts,
        "[]",
        "The only businesses that the till may redeem for.",
    ),
    key(
        "intake.till.branches",
        Kind::Texts,
        "[]",
        "The only branches that the till may redeem for.",
    ),
    bare(
        "intake.till.language",
        Kind::Text,
        "The language of the till's refusals: \"en\" or \"ar\".",
    ),
    fixed(bare("intake.tls.cert_file", Kind::Path, "The listener's certificate chain in PEM.")),
    fixed(bare("intake.tls.key_file", Kind::Path, "The listener's key in PEM.")),
    bare("intake.texts.en", Kind::Words, "The store's own English texts, by the refusal's name."),
    bare("intake.texts.ar", Kind::Words, "The store's own Arabic texts, by the refusal's name."),
    bare("provider.name", Kind::Text, "The lane's name."),
    key(
        "provider.businesses",
        Kind::Texts,
        "[]",
        "The business_refrence values it serves; empty: all others.",
    ),
    bare("provider.redeem_url", Kind::Url, "The provider's Redeem."),
    bare(
        "provider.check_url",
        Kind::Url,
        "The provider's Check Reward; without it nobody can be asked.",
    ),
    bare("provider.token_file", Kind::Path, "The file of the bearer token, followed live."),
    bare("provider.credential", Kind::Text, "The systemd credential of the bearer token."),
    bare("provider.ca_file", Kind::Path, "The only certificate authorities to trust, in PEM."),
    bare(
        "provider.proxy",
        Kind::Url,
        "The proxy that the provider's traffic passes: http://HOST:PORT.",
    ),
    bare("provider.proxy_user", Kind::Text, "The user that the proxy asks for."),
    bare("provider.proxy_password_file", Kind::Path, "The file of that user's password."),
    bare(
        "provider.proxy_password_credential",
        Kind::Text,
        "The systemd credential of that user's password.",
    ),
    key("provider.allow_plain_http", Kind::Flag, "false", "Allow http:// beyond loopback."),
    key("provider.timeout", Kind::Duration, r#""10s""#, "The deadline of one whole attempt."),
    key(
        "provider.declined_status",
        Kind::Integers,
        "[400, 404, 409, 410, 422]",
        "Statuses that may decline.",
    ),
    key(
        "provider.already_used",
        Kind::Texts,
        ALREADY_USED,
        "What a refusal says of a used code; any case.",
    ),
    key(
        "provider.in_progress",
        Kind::Texts,
        IN_PROGRESS,
        "What an answer says while a request is still worked on.",
    ),
    key(
        "provider.success",
        Kind::Text,
        r#""lenient""#,
        "Which 2xx confirm: \"lenient\" or \"contract\".",
    ),
    key(
        "provider.weak_after",
        Kind::Duration,
        r#""30m""#,
        "How long weak refusals alone go on before a person decides.",
    ),
    key(
        "provider.weak_declines",
        Kind::Flag,
        "false",
        "A bare message with 400, 409 or 422 declines.",
    ),
    key("provider.accept_language", Kind::Text, r#""en""#, "Accept-Language of each request."),
    key(
        "provider.same_code",
        Kind::Text,
        r#""folded""#,
        "Which codes are the same: \"folded\" or \"exact\".",
    ),
    key(
        "provider.canary",
        Kind::Flag,
        "true",
        "The gateway's own checks, of a made-up code, at check_url.",
    ),
    key(
        "provider.reusable_codes",
        Kind::Texts,
        "[]",
        "Patterns with * of codes that are not single-use.",
    ),
    bare("provider.oauth.token_url", Kind::Url, "The token endpoint."),
    bare("provider.oauth.client_id", Kind::Text, "The client's id."),
    bare("provider.oauth.client_secret_file", Kind::Path, "The file of the client's secret."),
    bare(
        "provider.oauth.client_secret_credential",
        Kind::Text,
        "The systemd credential of the client's secret.",
    ),
    key("provider.oauth.grant", Kind::Text, r#""client_credentials""#, "Or \"refresh_token\"."),
    bare("provider.oauth.refresh_token_file", Kind::Path, "The file of the first refresh token."),
    bare(
        "provider.oauth.refresh_token_credential",
        Kind::Text,
        "The systemd credential of the first refresh token.",
    ),
    key("offline.accept", Kind::Flag, "true", "Accept redemptions while a lane is not up."),
    key("offline.max_pending", Kind::Integer, "5000", "How many may be pending in a lane."),
    bare(
        "offline.max_pending_per_till",
        Kind::Integer,
        "How many of one till may be pending in a lane.",
    ),
    key("offline.max_outage", Kind::Duration, r#""72h""#, "How long the lane may have been down."),
    key(
        "offline.date_format",
        Kind::Text,
        r#""contract""#,
        "Which dates are accepted: \"contract\" or \"any\".",
    ),
    key(
        "offline.one_till",
        Kind::Text,
        r#""refuse""#,
        "Whether one till's word suffices: \"refuse\" or \"trust\".",
    ),
    key(
        "offline.remember_checks",
        Kind::Duration,
        r#""12h""#,
        "How long answers to checks are remembered.",
    ),
    key("offline.remember_checks_max", Kind::Integer, "20000", "How many checks are remembered."),
    key(
        "offline.unknown_check",
        Kind::Text,
        r#""refuse""#,
        "Checks of which nothing is known: \"refuse\" or \"answer\".",
    ),
    key(
        "offline.value_of_unknown",
        Kind::Text,
        r#""25.00""#,
        "What a reward counts as of which no check said it.",
    ),
    key(
        "offline.value_of_unbounded",
        Kind::Text,
        r#""100.00""#,
        "What a percentage without a most counts as.",
    ),
    key("offline.max_exposure", Kind::Text, r#""25000.00""#, "What may be at risk in a lane."),
    key(
        "offline.max_per_hour_per_till",
        Kind::Integer,
        "300",
        "How many one till may be trusted with in an hour.",
    ),
    key(
        "offline.checked_within",
        Kind::Duration,
        r#""15m""#,
        "How old a check may be that a rule goes by.",
    ),
    bare("offline.max_value", Kind::Text, "What one reward may be worth."),
    bare("offline.max_per_hour", Kind::Integer, "How many a lane may be trusted with in an hour."),
    bare("offline.max_per_day", Kind::Integer, "How many a lane may be trusted with in 24 hours."),
    bare("offline.hours", Kind::Text, "When, on the local clock: \"08:00-23:30\"."),
    bare(
        "offline.code_form.length",
        Kind::Text,
        "How many characters a code has: \"10\" or \"10-12\".",
    ),
    bare(
        "offline.code_form.alphabet",
        Kind::Text,
        "\"any\", \"digits\", \"hex\", \"letters\" or \"alphanumeric\".",
    ),
    bare("offline.code_form.check", Kind::Text, "A code's check: \"luhn\", \"mod97\" or \"gs1\"."),
    bare("offline.rule.name", Kind::Text, "The rule's name, as refusals and the books show it."),
    bare("offline.rule.code", Kind::TextOrTexts, "Patterns with * of the codes that it is for."),
    bare("offline.rule.business", Kind::TextOrTexts, "The businesses that it is for."),
    bare("offline.rule.branch", Kind::TextOrTexts, "The branches that it is for."),
    bare("offline.rule.till", Kind::TextOrTexts, "The tills that it is for."),
    bare(
        "offline.rule.type",
        Kind::TextOrTexts,
        "The types, as a check said them, that it is for.",
    ),
    bare(
        "offline.rule.checked_within",
        Kind::Duration,
        "It is for codes that were checked so recently.",
    ),
    bare(
        "offline.rule.cause",
        Kind::TextOrTexts,
        "The causes why nobody can be asked that it is for.",
    ),
    bare("offline.rule.accept", Kind::FlagOrText, "Whether what it is for is accepted on trust."),
    bare("offline.rule.max_value", Kind::Text, "What one reward may be worth."),
    bare("offline.rule.max_exposure", Kind::Text, "What may be at risk under it."),
    bare("offline.rule.max_pending", Kind::Integer, "How many may be pending under it."),
    bare(
        "offline.rule.max_per_hour",
        Kind::Integer,
        "How many may be accepted under it in an hour.",
    ),
    bare(
        "offline.rule.max_per_day",
        Kind::Integer,
        "How many may be accepted under it in 24 hours.",
    ),
    bare("offline.rule.max_outage", Kind::Duration, "How long the lane may have been down."),
    bare("offline.rule.hours", Kind::Text, "When, on the local clock: \"08:00-23:30\"."),
    bare("offline.rule.code_form.length", Kind::Text, "How many characters a code has."),
    bare("offline.rule.code_form.alphabet", Kind::Text, "The characters of a code."),
    bare("offline.rule.code_form.check", Kind::Text, "A code's check."),
    key("forward.max_in_flight", Kind::Integer, "8", "The drain's widest window, in requests."),
    key("forward.retry_min", Kind::Duration, r#""1s""#, "The first backoff step."),
    key(
        "forward.retry_max",
        Kind::Duration,
        r#""60s""#,
        "The longest wait between two probes of a dead link.",
    ),
    key(
        "forward.reconnect_spread",
        Kind::Duration,
        r#""5s""#,
        "A fleet's drains begin within this spread.",
    ),
    key("retention.settled", Kind::Duration, r#""30d""#, "How long settled redemptions are kept."),
    key(
        "retention.codes",
        Kind::Duration,
        r#""400d""#,
        "How long used codes are remembered, as hashes.",
    ),
    fixed(key("admin.listen", Kind::Text, r#""127.0.0.1:7734""#, "The operators' address.")),
    fixed(bare(
        "admin.socket",
        Kind::Path,
        "The commands' socket; without it, admin.sock in $RUNTIME_DIRECTORY or state_dir.",
    )),
    key("admin.hosts", Kind::Texts, "[]", "The names by which browsers may call the console."),
    bare("admin.token.name", Kind::Text, "Who is recorded for actions with the token."),
    bare("admin.token.role", Kind::Text, "\"see\", \"decide\" or \"engineer\"."),
    bare("admin.token.token_file", Kind::Path, "The file of the bearer token."),
    bare("admin.token.credential", Kind::Text, "The systemd credential of the bearer token."),
    bare("admin.user.name", Kind::Text, "The name to sign in with; recorded for actions."),
    bare("admin.user.role", Kind::Text, "\"see\", \"decide\" or \"engineer\"."),
    bare("admin.user.password_file", Kind::Path, "The file of the password's hash."),
    bare(
        "admin.user.password_credential",
        Kind::Text,
        "The systemd credential of the password's hash.",
    ),
    fixed(bare("admin.tls.cert_file", Kind::Path, "The console's certificate chain in PEM.")),
    fixed(bare("admin.tls.key_file", Kind::Path, "The console's key in PEM.")),
    fixed(bare("alert.url", Kind::Url, "The error webhook; without it there is none.")),
    fixed(bare("alert.token_file", Kind::Path, "The file of the webhook's bearer token.")),
    fixed(bare(
        "alert.credential",
        Kind::Text,
        "The systemd credential of the webhook's bearer token.",
    )),
];

/// The key at `path`.
pub(super) fn find(path: &str) -> Option<&'static Key> {
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

/// The name that a slip of the finger away from `name`, or that it is the beginning of.
fn nearest<'a>(names: &[&'a str], name: &str) -> Option<&'a str> {
    let slips = |other: &&str| distance(other, name);
    let near = names
        .iter()
        .copied()
        .min_by_key(slips)
        .filter(|other| distance(other, name) <= 1 + other.len() / 5);
    let begun = || names.iter().copied().find(|other| name.len() >= 3 && other.starts_with(name));
    near.or_else(begun)
}

/// Longer names are not compared letter by letter.
const COMPARED_BYTES_MAX: usize = 64;

/// How many letters have to be put in, taken out or changed between the two (Levenshtein's
/// distance).
fn distance(a: &str, b: &str) -> usize {
    if a.len() > COMPARED_BYTES_MAX || b.len() > COMPARED_BYTES_MAX {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (line, letter) in a.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(b.chars()) {
            let above = *cell;
            left = (diagonal + usize::from(letter != other)).min(above + 1).min(left + 1);
            diagonal = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_letters_put_in_taken_out_or_changed() {
        let cases = [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "", 3),
            ("", "abc", 3),
            ("listen", "lisen", 1),
        ];
        for (a, b, slips) in
            cases.into_iter().chain([("kitten", "sitting", 3), ("timeout", "tiemout", 2)])
        {
            assert_eq!(distance(a, b), slips, "{a} {b}");
        }
    }

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
