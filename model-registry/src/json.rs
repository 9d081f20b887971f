//! JSON of the registry's records: the format number first, then the rest, and always the same
//! bytes for the same record.

use crate::{Cause, Error, FORMAT, limits::JSON_VALUES_MAX};
use bytes::Bytes;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

/// Longest excerpt of a parser's message, in bytes; it may repeat a whole value (chosen: three lines).
const MESSAGE_BYTES_MAX: usize = 256;

/// What is parsed first of every record.
#[derive(Deserialize)]
struct Envelope {
    format: u64,
    removed: Option<IgnoredAny>,
}

/// Whether the record is a tombstone. Errs on what is not JSON, has no format or a newer one: a
/// newer format may mean anything by its other fields, so that they are not looked at.
pub(crate) fn is_tombstone(what: &str, bytes: &[u8]) -> Result<bool, Error> {
    check_value_count(what, bytes)?;
    let envelope: Envelope = typed(what, bytes)?;
    match u32::try_from(envelope.format).unwrap_or(u32::MAX) {
        0 => Err(Error::corrupt(what, "format 0 does not exist")),
        FORMAT => Ok(envelope.removed.is_some()),
        found => Err(Error::UnsupportedFormat {
            what: what.to_owned(),
            found,
            supported: FORMAT,
        }),
    }
}

/// Counts the characters that start a value. A parsed tree takes up to 640 bytes for each, so that 16 MiB
/// of `{"":0}` would take 1.5 GiB. Those inside texts count too: a real record has few.
fn check_value_count(what: &str, bytes: &[u8]) -> Result<(), Error> {
    let is_start = |byte: &&u8| matches!(**byte, b',' | b'[' | b'{');
    let found = bytes.iter().filter(is_start).count();
    if found <= JSON_VALUES_MAX {
        return Ok(());
    }
    Err(Error::TooLarge {
        what: format!("number of JSON values of {what}"),
        found: found as u64,
        limit: JSON_VALUES_MAX as u64,
    })
}

/// A record of this format.
pub(crate) fn parse<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, Error> {
    is_tombstone(what, bytes)?;
    typed(what, bytes)
}

/// A value of this type, whatever its format.
pub(crate) fn typed<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|source| Error::Corrupt {
        what: what.to_owned(),
        why: "it is not a record of this kind".to_owned(),
        is_refetchable: false,
        source: Some(parser_message(source)),
    })
}

/// The parser's message, truncated where it repeats a value of a megabyte.
fn parser_message(error: serde_json::Error) -> Cause {
    let text = error.to_string();
    if text.len() <= MESSAGE_BYTES_MAX {
        return error.into();
    }
    let end = text.floor_char_boundary(MESSAGE_BYTES_MAX);
    let place = format!("line {} column {}", error.line(), error.column());
    format!("{}… at {place}", &text[..end]).into()
}

/// The stored bytes of a record, indented for people.
pub(crate) fn write<T: Serialize>(record: &T) -> Bytes {
    let mut bytes = serde_json::to_vec_pretty(record)
        .expect("records have text keys and no number that JSON lacks");
    bytes.push(b'\n');
    bytes.into()
}

/// Free text written by people: not blank, at most `bytes_max`, and no control characters but line feed
/// and tab.
pub(crate) fn check_text(field: &'static str, text: &str, bytes_max: usize) -> Result<(), Error> {
    let is_control = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.trim().is_empty() || text.len() > bytes_max || text.chars().any(is_control) {
        let limit = format!("1 to {bytes_max} bytes, not blank, no control characters");
        return Err(Error::invalid(field, text, limit));
    }
    Ok(())
}

/// The beginning of an unchecked text, its control characters replaced.
pub(crate) fn printable(text: &str, bytes_max: usize) -> String {
    let plain = |c: char| match c.is_control() && c != '\n' && c != '\t' {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    let end = text.floor_char_boundary(bytes_max);
    let cut = if end < text.len() { "…" } else { "" };
    text[..end].chars().map(plain).chain(cut.chars()).collect()
}

/// An RFC 3339 time.
pub(crate) fn check_time(field: &'static str, text: &str) -> Result<(), Error> {
    let parsed = text.parse::<jiff::Timestamp>();
    parsed
        .map(|_| ())
        .map_err(|_| Error::invalid(field, text, "an RFC 3339 time with offset"))
}
