//! JSON of the registry's records: the format number first, then the rest, and always the same
//! bytes for the same record.

use crate::{Error, FORMAT};
use bytes::Bytes;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

/// What every record begins its parse with.
#[derive(Deserialize)]
struct Envelope {
    format: u64,
    removed: Option<IgnoredAny>,
}

/// Whether the record is a tombstone. Errs on what is not JSON, has no format or a newer one: a
/// newer format may mean anything by its other fields, so that they are not looked at.
pub(crate) fn is_tombstone(what: &str, bytes: &[u8]) -> Result<bool, Error> {
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

/// A record of this format.
pub(crate) fn parse<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, Error> {
    is_tombstone(what, bytes)?;
    typed(what, bytes)
}

fn typed<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|source| Error::Corrupt {
        what: what.to_owned(),
        why: "it is not a record of this kind".to_owned(),
        is_refetchable: false,
        source: Some(Box::new(source)),
    })
}

/// The stored bytes of a record, indented for people.
pub(crate) fn write<T: Serialize>(record: &T) -> Bytes {
    let mut bytes = serde_json::to_vec_pretty(record)
        .expect("records have text keys and no number that JSON lacks");
    bytes.push(b'\n');
    bytes.into()
}

/// Free text that people wrote: something visible, not over `bytes_max`, and no control characters
/// but line feed and tab.
pub(crate) fn check_text(field: &'static str, text: &str, bytes_max: usize) -> Result<(), Error> {
    let is_control = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.trim().is_empty() || text.len() > bytes_max || text.chars().any(is_control) {
        let limit = format!("1 to {bytes_max} bytes, not blank, no control characters");
        return Err(Error::invalid(field, text, limit));
    }
    Ok(())
}

/// An RFC 3339 time.
pub(crate) fn check_time(field: &'static str, text: &str) -> Result<(), Error> {
    let parsed = text.parse::<jiff::Timestamp>();
    parsed
        .map(|_| ())
        .map_err(|_| Error::invalid(field, text, "an RFC 3339 time with offset"))
}
