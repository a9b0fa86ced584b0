//! The file in which rows travel: a JSON object a line, each closed by a checksum over its own
//! text.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Exported, Seq};
use crate::store::{StoreError, schema};

/// The version of the file's format; a reader refuses a higher one.
pub const FORMAT: u32 = 1;
/// What the checksum's member looks like around its eight digits.
const CRC_BEGIN: &str = ",\"crc\":\"";
const CRC_END: &str = "\"}";
const CRC_DIGITS: usize = 8;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    redeemd: String,
    /// [`FORMAT`].
    pub format: u32,
    /// The schema version of the redeemd that wrote it.
    pub schema: i64,
    /// The gateway's name, empty where it is not known.
    pub gateway: String,
    /// The version of the redeemd that wrote it.
    pub version: String,
    /// RFC 3339, UTC, by the clock of that machine.
    pub exported_at: String,
    warning: String,
}

impl Header {
    /// The header of a file that is written now.
    #[must_use]
    pub fn new(gateway: &str, exported_at: String) -> Self {
        Self {
            redeemd: "export".to_owned(),
            format: FORMAT,
            schema: schema::VERSION,
            gateway: gateway.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            exported_at,
            warning: "this file holds whole reward codes: whoever reads it can spend them"
                .to_owned(),
        }
    }
}

/// The last line: a file without it was cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndLine {
    /// How many rows the file has.
    pub end: u64,
    /// Rows that were open and could not be read, by their numbers.
    pub unreadable: Vec<Seq>,
}

/// A line that is as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportLine {
    /// The first.
    Header(Header),
    /// A redemption.
    Row(Box<Exported>),
    /// The last.
    End(EndLine),
}

/// Why a line is not taken; it never repeats a value, which may be a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// Its text is not what was written.
    #[error("damaged or changed: its checksum does not fit")]
    Checksum,
    /// It is a redemption's, and this field of it cannot be read.
    #[error("{0}: missing, or nothing that can stand there")]
    Field(&'static str),
    /// It was written so, and cannot be read here.
    #[error("not a line of an export that this redeemd can read")]
    Unknown,
}

/// One line, without its end: the object with its checksum as the last member.
///
/// # Errors
/// A defect: every value here can be written as JSON.
pub fn seal(value: &impl Serialize) -> Result<String, StoreError> {
    let text = serde_json::to_string(value)
        .map_err(|_| StoreError::Internal("an export line cannot be written"))?;
    let open = text.strip_suffix('}').ok_or(StoreError::Internal("an export line is no object"))?;
    Ok(format!("{open}{CRC_BEGIN}{:08x}{CRC_END}", crc32c::crc32c(open.as_bytes())))
}

/// Reads one line.
///
/// # Errors
/// See [`LineFault`].
pub fn unseal(line: &str) -> Result<ExportLine, LineFault> {
    let (open, crc) = taken_apart(line).ok_or(LineFault::Checksum)?;
    if crc != format!("{:08x}", crc32c::crc32c(open.as_bytes())) {
        return Err(LineFault::Checksum);
    }
    let text = format!("{open}}}");
    if text.starts_with("{\"redeemd\":") {
        read(&text).map(ExportLine::Header)
    } else if text.starts_with("{\"end\":") {
        read(&text).map(ExportLine::End)
    } else {
        read(&text).map(|row| ExportLine::Row(Box::new(row))).map_err(|_| faulty_field(&text))
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, LineFault> {
    serde_json::from_str(text).map_err(|_| LineFault::Unknown)
}

/// A row in which every field is as it can be.
const SAMPLE: &str = r#"{"id":"1-00000000000000000000","state":"pending","lane":"","till":"","business_refrence":"",
    "reward_code":"","branch_id":"","date":"","body":"","key":"","request":"","accepted_ms":0,"kind":0,"marks":0,
    "attempts":0,"value":null,"value_assumed":false,"rule":"","note":null,"answer":null}"#;
/// Its fields.
const FIELDS: [&str; 20] = [
    "id",
    "state",
    "lane",
    "till",
    "business_refrence",
    "reward_code",
    "branch_id",
    "date",
    "body",
    "key",
    "request",
    "accepted_ms",
    "kind",
    "marks",
    "attempts",
    "value",
    "value_assumed",
    "rule",
    "note",
    "answer",
];

/// Which field of a row keeps it from being read. What the parser says would repeat the value,
/// which may be a code.
fn faulty_field(text: &str) -> LineFault {
    let object = |text| serde_json::from_str::<serde_json::Map<String, Value>>(text);
    let (Ok(row), Ok(sample)) = (object(text), object(SAMPLE)) else { return LineFault::Unknown };
    if !row.contains_key("id") {
        return LineFault::Unknown;
    }
    let is_faulty = |field: &&str| {
        let mut probe = sample.clone();
        match row.get(*field) {
            Some(value) => drop(probe.insert((*field).to_owned(), value.clone())),
            None => drop(probe.remove(*field)),
        }
        serde_json::from_value::<Exported>(Value::Object(probe)).is_err()
    };
    FIELDS.into_iter().find(is_faulty).map_or(LineFault::Unknown, LineFault::Field)
}

fn taken_apart(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_suffix(CRC_END)?;
    let (rest, crc) = line.split_at_checked(line.len().checked_sub(CRC_DIGITS)?)?;
    Some((rest.strip_suffix(CRC_BEGIN)?, crc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_back_as_it_was_written_and_any_changed_byte_is_seen() {
        let header = Header::new("branch-042", "2026-11-23T10:00:00Z".to_owned());
        let line = seal(&header).unwrap();
        assert_eq!(unseal(&line), Ok(ExportLine::Header(header)));
        for at in 0..line.len() {
            let mut bytes = line.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert_eq!(unseal(&changed), Err(LineFault::Checksum), "byte {at}");
        }
        for cut in 0..line.len() {
            assert!(unseal(&line[..cut]).is_err());
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_is_refused_with_its_fields_name_and_without_its_value() {
        let sample: serde_json::Map<String, Value> = serde_json::from_str(SAMPLE).unwrap();
        assert!(matches!(unseal(&seal(&sample).unwrap()), Ok(ExportLine::Row(_))));
        assert!(
            sample.keys().all(|field| FIELDS.contains(&field.as_str()))
                && sample.len() == FIELDS.len()
        );
        let hostile = |field: &str| match field {
            "note" | "answer" => serde_json::json!([1]),
            "attempts" => serde_json::json!(4_294_967_296_u64),
            "kind" | "marks" | "accepted_ms" | "value" => serde_json::json!(u64::MAX),
            _ => serde_json::json!({ "reward_code": "SECRET" }),
        };
        for field in FIELDS {
            let mut row = sample.clone();
            row.insert(field.to_owned(), hostile(field));
            assert_eq!(unseal(&seal(&row).unwrap()), Err(LineFault::Field(field)));
        }
        let said = LineFault::Field("attempts").to_string();
        assert_eq!(said, "attempts: missing, or nothing that can stand there");
    }

    #[test]
    fn an_intact_line_of_something_else_is_told_from_a_damaged_one() {
        #[derive(Serialize)]
        struct Other {
            it: u8,
        }
        assert_eq!(unseal(&seal(&Other { it: 1 }).unwrap()), Err(LineFault::Unknown));
        assert_eq!(unseal("{}"), Err(LineFault::Checksum));
        assert_eq!(unseal(""), Err(LineFault::Checksum));
    }
}
