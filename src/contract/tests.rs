//! Tests of the wire.

use proptest::prelude::*;

use super::*;

const GOOD: &str = r#"{"reward_code":"9876543210","business_refrence":"shop","branch_id":"7","date":"2026-11-23 14:03:11","timestamp":"1"}"#;

fn faults(body: &str) -> Vec<String> {
    parse(Bytes::copy_from_slice(body.as_bytes())).expect_err(body).texts(Language::English)
}

fn parsed(body: &str) -> Request {
    parse(Bytes::copy_from_slice(body.as_bytes())).expect(body)
}

#[test]
fn the_five_fields_are_read_and_the_bytes_kept() {
    let request = parsed(GOOD);
    assert_eq!(request.reward_code.reveal(), "9876543210");
    assert_eq!(request.business_refrence, "shop");
    assert_eq!(request.branch_id, "7");
    assert_eq!(request.date, "2026-11-23 14:03:11");
    assert_eq!(request.timestamp, "1");
    assert_eq!(request.body, GOOD.as_bytes());
}

#[test]
fn fields_that_the_contract_does_not_name_are_kept() {
    let body =
        GOOD.replace("{\"reward", "{ \"x\": {\"business_reference\":[1.50, null]},\n\"reward");
    assert_eq!(parsed(&body).body, body.as_bytes());
}

#[test]
fn the_right_spelling_is_accepted_and_its_key_alone_renamed() {
    let nested = r#"{"a":{"business_reference":"in"}, "b":"business_reference", "c":["{\"business_reference\":\\"],"#;
    let body = GOOD
        .replace("business_refrence\":\"shop", "business_reference\" :\"business_reference")
        .replacen('{', nested, 1);
    let request = parsed(&body);
    assert_eq!(request.business_refrence, "business_reference");
    assert_eq!(
        request.body,
        body.replace("\"business_reference\" :", "\"business_refrence\" :").as_bytes()
    );
}

#[test]
fn an_escaped_key_is_renamed_too() {
    let body = GOOD.replace("business_refrence", "business\\u005freference");
    assert_eq!(parsed(&body).body, GOOD.as_bytes());
}

#[test]
fn both_spellings_at_once_are_a_fault() {
    let body = GOOD.replacen('{', r#"{"business_reference":"shop","#, 1);
    assert_eq!(
        faults(&body),
        ["business_refrence and business_reference are both present: send one of them"]
    );
}

#[test]
fn every_fault_is_named_at_once() {
    let long = "x".repeat(257);
    let body = format!(
        r#"{{"reward_code":"","business_refrence":7,"branch_id":"a\u0007b","date":"{long}","date":"1","z":1,"z":2}}"#
    );
    assert_eq!(
        faults(&body),
        [
            "date appears more than once",
            "a field that the contract does not name appears more than once in its object",
            "reward_code is empty",
            "business_refrence must be a string, not a number",
            "branch_id contains a control character",
            "date is longer than 256 bytes",
            "timestamp is missing",
        ]
    );
}

#[test]
fn each_wrong_type_is_called_by_its_name() {
    for (value, name) in [
        ("null", "null"),
        ("true", "a boolean"),
        ("-1.5", "a number"),
        ("[]", "an array"),
        ("{}", "an object"),
    ] {
        let body = GOOD.replace("\"7\"", value);
        assert_eq!(faults(&body), [format!("branch_id must be a string, not {name}")]);
    }
}

#[test]
fn two_hundred_and_fifty_six_bytes_pass_and_one_more_does_not() {
    let body = |count| GOOD.replace("\"7\"", &format!("\"{}\"", "é".repeat(count)));
    assert_eq!(parsed(&body(128)).branch_id.len(), 256);
    assert_eq!(faults(&body(129)), ["branch_id is longer than 256 bytes"]);
}

#[test]
fn an_inner_object_that_names_a_field_twice_is_a_fault() {
    let body = GOOD.replacen('{', r#"{"x":[{"a":1,"\u0061":2}],"#, 1);
    assert_eq!(
        faults(&body),
        ["a field that the contract does not name appears more than once in its object"]
    );
}

#[test]
fn what_is_no_object_is_refused_in_words() {
    assert_eq!(faults(""), ["the body is empty"]);
    assert_eq!(faults(" \n"), ["the body is empty"]);
    assert_eq!(faults("[1]"), ["the body must be a JSON object, not an array"]);
    assert_eq!(faults("\"x\""), ["the body must be a JSON object, not a string"]);
    assert_eq!(faults("{\"reward_code\":"), ["the body ends in the middle of the JSON"]);
    assert_eq!(faults("{'reward_code'}"), ["the body is not valid JSON (line 1, column 2)"]);
    assert_eq!(
        faults(&format!("{GOOD}{GOOD}")),
        [format!("the body is not valid JSON (line 1, column {})", GOOD.len() + 1)]
    );
    assert_eq!(
        faults(&format!("\u{feff}{GOOD}")),
        ["the body begins with a byte order mark: send plain UTF-8"]
    );
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_place() {
    let fault = parse(Bytes::from_static(b"{\"a\":\"\xff\"}")).expect_err("not UTF-8");
    assert_eq!(fault.texts(Language::English), ["the body is not UTF-8 (at byte 6)"]);
}

#[test]
fn a_lone_surrogate_is_no_text() {
    let told = |field: &str| vec![format!("{field} contains half a character (a lone surrogate)")];
    assert_eq!(faults(&GOOD.replace("\"7\"", "\"\\ud800\"")), told("branch_id"));
    assert_eq!(faults(&GOOD.replace("9876543210", "98\\uDC00")), told("reward_code"));
}

#[test]
fn what_is_not_read_need_not_be_readable_and_is_forwarded_as_it_came() {
    for further in [
        r#""x":1e400"#,
        r#""x":-1E+999"#,
        r#""x":123456789012345678901234567890.5"#,
        r#""x":"\ud800""#,
        r#""x":["\udc00",{"y":"\ud83d-"}]"#,
        r#""\"x":{"\"":1e999,"y":[]}"#,
    ] {
        let body = GOOD.replacen('{', &format!("{{{further},"), 1);
        assert_eq!(parsed(&body).body, body.as_bytes(), "{further}");
    }
    for half in [r#""\ud800":1"#, r#""x":[{"a\udc00":1e999,"y":[]}]"#] {
        let body = GOOD.replacen('{', &format!("{{{half},"), 1);
        let told = ["the name of a field contains half a character (a lone surrogate)"];
        assert_eq!(faults(&body), told, "{half}");
        assert!(parse_accepted(Bytes::from(body)).is_ok(), "what was accepted stays");
    }
    for broken in
        [r#""x":1e"#, r#""x":"\ud80""#, r#""x":01"#, r#""x":.5"#, "\"x\":\"\t\"", r#""x":"\q""#]
    {
        let body = GOOD.replacen('{', &format!("{{{broken},"), 1);
        assert!(faults(&body)[0].starts_with("the body is not valid JSON"), "{broken}");
    }
    for twice in [r#""x":1e400,"x":1"#, r#""y":[{"a":1e400,"a":2}]"#] {
        let body = GOOD.replacen('{', &format!("{{{twice},"), 1);
        let told = ["a field that the contract does not name appears more than once in its object"];
        assert_eq!(faults(&body), told, "{twice}");
    }
}

#[test]
fn a_field_of_which_nothing_can_be_seen_is_empty() {
    for (field, value) in [
        ("reward_code", "9876543210"),
        ("business_refrence", "shop"),
        ("branch_id", "7"),
        ("date", "2026-11-23 14:03:11"),
        ("timestamp", "1"),
    ] {
        for blank in [
            " ",
            "\u{a0}\u{3000}",
            "\u{200b}",
            "\u{200f}\u{200e}",
            "\u{feff}",
            "\u{ad}",
            "\u{2800} \u{fe0f}",
        ] {
            let body = GOOD.replace(&format!(r#":"{value}""#), &format!(r#":"{blank}""#));
            assert_eq!(faults(&body), [format!("{field} is empty: nothing in it can be seen")]);
            let check =
                format!(r#"{{"reward_code":"1","business_refrence":"1","{field}":"{blank}"}}"#);
            let is_asked_for = field == "reward_code" || field == "business_refrence";
            assert_eq!(parse_check(Bytes::from(check)).is_err(), is_asked_for, "{field}");
            assert!(parse_accepted(Bytes::from(body)).is_ok(), "what was accepted stays");
        }
    }
    assert_eq!(
        parsed(&GOOD.replace("9876543210", " \u{200f}9 ")).reward_code.reveal(),
        " \u{200f}9 "
    );
}

#[test]
fn a_twin_of_one_of_the_contracts_fields_is_a_fault() {
    for (twin, field) in [
        ("Reward_Code", "reward_code"),
        ("rewardCode", "reward_code"),
        ("RewardCode", "reward_code"),
        ("REWARD-CODE", "reward_code"),
        ("reward_code ", "reward_code"),
        ("ｒeward_code", "reward_code"),
        ("Business_Refrence", "business_refrence"),
        ("BusinessReference", "business_refrence"),
        ("branchId", "branch_id"),
        ("Date", "date"),
        ("time_stamp", "timestamp"),
    ] {
        let body = GOOD.replacen('{', &format!("{{\"{twin}\":\"2\","), 1);
        assert_eq!(
            faults(&body),
            [format!("{field} is there in another spelling too: send {field} alone")],
            "{twin}"
        );
        assert!(parse_accepted(Bytes::from(body)).is_ok(), "what was accepted stays");
    }
    let same = GOOD.replacen('{', r#"{"branchId":"7","RewardCode":"9876543210","#, 1);
    assert_eq!(parsed(&same).body, same.as_bytes(), "with the same value there is one meaning");
    let alone = GOOD.replace("reward_code", "Reward_Code");
    assert_eq!(faults(&alone), ["reward_code is missing"]);
    for other in ["reward_codes", "my_reward_code", "dates", "x"] {
        let body = GOOD.replacen('{', &format!("{{\"{other}\":\"1\","), 1);
        assert_eq!(parsed(&body).body, body.as_bytes(), "{other}");
    }
}

#[test]
fn the_depth_is_bounded() {
    let nested = |depth: usize| {
        GOOD.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(depth), "]".repeat(depth)), 1)
    };
    assert_eq!(parsed(&nested(31)).branch_id, "7");
    assert_eq!(faults(&nested(32)), ["the JSON is nested deeper than 32 levels"]);
    assert_eq!(faults(&"[".repeat(100_000)), ["the JSON is nested deeper than 32 levels"]);
}

#[test]
fn a_check_needs_its_two_fields_alone() {
    let body = r#"{"reward_code":"1234","business_reference":"shop"}"#;
    let check = parse_check(Bytes::from_static(body.as_bytes())).expect("a check");
    assert_eq!((check.reward_code.reveal(), check.business_refrence.as_str()), ("1234", "shop"));
    assert_eq!(&check.body[..], br#"{"reward_code":"1234","business_refrence":"shop"}"#);
    let fault = parse_check(Bytes::from_static(b"{}")).expect_err("nothing");
    assert_eq!(
        fault.texts(Language::English),
        ["reward_code is missing", "business_refrence is missing"]
    );
}

#[test]
fn a_refusal_has_the_contracts_shape_and_escapes_what_it_quotes() {
    assert_eq!(
        &refusal("a \"b\"", &["c\n".to_owned()])[..],
        br#"{"data":[],"message":"a \"b\"","errors":["c\n"]}"#
    );
    assert_eq!(&accepted()[..], b"{}");
}

#[test]
fn every_fault_is_told_in_the_tills_language() {
    let fault = parse(Bytes::from_static(b"{}")).expect_err("nothing");
    let [english, arabic] =
        [Language::English, Language::Arabic].map(|language| fault.texts(language));
    assert_eq!((english.len(), arabic.len()), (5, 5));
    assert_eq!(arabic[0], "الحقل \u{2068}reward_code\u{2069} غير موجود");
}

#[test]
fn a_providers_body_is_told_by_its_shape() {
    for (body, expected) in [
        ("", Shape::Foreign),
        ("<html>", Shape::Foreign),
        ("[\"message\",\"errors\"]", Shape::Foreign),
        ("{\"message\":", Shape::Foreign),
        ("{}", Shape::Object),
        (" {\"data\":{\"message\":1}}", Shape::Object),
        ("{\"message\":null}", Shape::Refusal),
        ("{\"errors\":[]}", Shape::Refusal),
        ("\u{feff}{\"x\":1e400}", Shape::Object),
        ("{\"message\":\"\\ud800\",\"message\":1}", Shape::Refusal),
    ] {
        assert_eq!(shape(body.as_bytes()), expected, "{body}");
    }
}

/// A JSON string of any text, with some characters escaped that need not be.
fn quoted(text: &str, escape_all: bool) -> String {
    if escape_all {
        let units =
            text.encode_utf16().fold(String::new(), |all, unit| all + &format!("\\u{unit:04x}"));
        return format!("\"{units}\"");
    }
    serde_json::to_string(text).expect("a string")
}

/// Something of it can be seen: a field of blanks alone is a fault.
fn field() -> impl Strategy<Value = String> {
    "[ -~äß€𝄞]{0,20}[!-~äß€𝄞][ -~äß€𝄞]{0,19}"
}

fn space() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,3}"
}

/// A body as a till may write it: the five fields in any order, with odd space and escapes and
/// further fields.
fn body(
    spelled: &'static str,
) -> impl Strategy<Value = (Vec<(String, String)>, Vec<String>, Vec<bool>)> {
    let names = [REWARD_CODE, spelled, BRANCH, DATE, TIMESTAMP].map(str::to_owned);
    let values = prop::collection::vec(field(), names.len());
    let known =
        values.prop_map(move |values| names.iter().cloned().zip(values).collect::<Vec<_>>());
    let further = prop::collection::vec(("x[a-z{}\\[\\],:\"\\\\]{0,8}", field()), 0..4).prop_map(
        |mut all| {
            all.sort();
            all.dedup_by(|a, b| a.0 == b.0);
            all
        },
    );
    let fields =
        (known, further).prop_map(|(known, further)| [known, further].concat()).prop_shuffle();
    (fields, prop::collection::vec(space(), 40), prop::collection::vec(any::<bool>(), 20))
}

fn written(
    fields: &[(String, String)],
    spaces: &[String],
    escapes: &[bool],
    rename_to: Option<&str>,
) -> String {
    let mut spaces = spaces.iter().cycle();
    let mut escapes = escapes.iter().cycle();
    let mut space = || spaces.next().expect("endless").clone();
    let mut text = space() + "{";
    for (index, (name, value)) in fields.iter().enumerate() {
        let name_escaped = quoted(name, *escapes.next().expect("endless"));
        let name = if name == BUSINESS_SPELLED_RIGHT {
            rename_to.map_or(name_escaped, |to| format!("\"{to}\""))
        } else {
            name_escaped
        };
        let value = quoted(value, *escapes.next().expect("endless"));
        let comma = if index == 0 { "" } else { "," };
        text += &[comma, &space(), &name, &space(), ":", &space(), &value, &space()].concat();
    }
    text + "}" + &space()
}

proptest! {
    #[test]
    fn renaming_keeps_every_other_byte((fields, spaces, escapes) in body(BUSINESS_SPELLED_RIGHT)) {
        let sent = written(&fields, &spaces, &escapes, None);
        let expected = written(&fields, &spaces, &escapes, Some(BUSINESS));
        let request = parse(Bytes::from(sent)).expect("a good body");
        prop_assert_eq!(request.body, Bytes::from(expected));
        let (_, value) = fields.iter().find(|(name, _)| name == BUSINESS_SPELLED_RIGHT).expect("there");
        prop_assert_eq!(&request.business_refrence, value);
    }

    #[test]
    fn the_contracts_spelling_is_forwarded_byte_for_byte(
        (fields, spaces, escapes) in body(BUSINESS),
    ) {
        let sent = written(&fields, &spaces, &escapes, None);
        let parsed = parse(Bytes::from(sent.clone())).expect("a good body");
        prop_assert_eq!(parsed.body, Bytes::from(sent));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _may_be_either = parse(Bytes::from(bytes)).is_ok();
    }

    #[test]
    fn a_damaged_body_never_panics_and_never_loses_a_byte(
        at in 0..GOOD.len(),
        byte in any::<u8>(),
    ) {
        let mut bytes = GOOD.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(request) = parse(Bytes::from(bytes.clone())) {
            prop_assert_eq!(request.body, Bytes::from(bytes));
        }
    }

    #[test]
    fn every_missing_field_is_named(kept in prop::collection::vec(any::<bool>(), 5)) {
        let names = [REWARD_CODE, BUSINESS, BRANCH, DATE, TIMESTAMP];
        let chosen = names.iter().zip(&kept).filter(|(_, kept)| **kept);
        let text: Vec<String> = chosen.map(|(name, _)| format!("\"{name}\":\"v\"")).collect();
        let missing = names.iter().zip(&kept).filter(|(_, kept)| !**kept);
        let expected: Vec<String> = missing.map(|(name, _)| format!("{name} is missing")).collect();
        let parsed = parse(Bytes::from(format!("{{{}}}", text.join(","))));
        let told = parsed.map_or_else(|faults| faults.texts(Language::English), |_| Vec::new());
        prop_assert_eq!(told, expected);
    }

    #[test]
    fn a_fault_never_repeats_a_value(code in "[A-Z0-9]{8,20}") {
        for body in [
            format!(r#"{{"reward_code":"{code}","{code}":1,"{code}":2}}"#),
            format!(r#"{{"reward_code":"{code}\u0000"}}"#),
            format!(r#"{{"reward_code":"{code}"#),
            format!(r#"{{"reward_code":{code}}}"#),
            format!(r#"{{"reward_code":["{code}"]}}"#),
        ] {
            prop_assert!(!faults(&body).join(" ").contains(&code));
        }
    }
}
