//! A downgrade: a state directory of a newer redeemd is refused in plain words and left as it is.

use std::fs;

use crate::harness::{Gateway, Provider, redeemd};

#[test]
fn a_newer_schema_is_refused_with_exit_78_and_nothing_is_changed() {
    let provider = Provider::start();
    let mut gateway = Gateway::before(&provider);
    provider.cut();
    gateway.till("").redeem("KEPT");
    assert!(gateway.terminate().success());
    let db = gateway.state_dir().join("redeemd.db");
    let raw = rusqlite::Connection::open(&db).unwrap();
    let version: i64 = raw.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    raw.pragma_update(None, "user_version", version + 1).unwrap();
    drop(raw);
    let before = fs::read(&db).unwrap();
    let config = gateway.folder().join("redeemd.toml");
    let export = gateway.folder().join("export");
    for (name, args) in [("run", vec![]), ("export", vec![export.to_str().unwrap()])] {
        let output = redeemd(name).arg("--config").arg(&config).args(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{name}: {said}");
        assert!(said.contains("install the newer redeemd again"), "{name}: {said}");
    }
    assert!(fs::read(&db).unwrap() == before && !export.exists());
    let aside = |name: &str| name.contains("damaged") || name.contains("rescued");
    let names = fs::read_dir(gateway.state_dir()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.into_iter().any(|name| aside(name.to_str().unwrap())));
}
