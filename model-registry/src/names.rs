//! Names chosen by people: of models, parts and replicas.
//!
//! Parsing is the validation: the alphabet has neither a dot segment, a separator, an upper-case
//! letter nor anything outside ASCII, so that a name is one path segment on every store and file
//! system, and two names that differ never meet in one file. JSON goes through the same parse.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longest name, in bytes (chosen: a DNS label, so that every name can be one).
const NAME_BYTES_MAX: usize = 63;
/// Longest part name, in bytes (chosen).
const PART_BYTES_MAX: usize = 64;
/// What a part may hold, by its extension.
const PART_EXTENSIONS: [&str; 3] = ["arrow", "safetensors", "json"];

const NAME_RULE: &str =
    "1 to 63 of a-z, 0-9, '-' and '_', the first a letter or digit (lower case only)";
const PART_RULE: &str = "at most 64 bytes: a-z, 0-9 and '_', then .arrow, .safetensors or .json";

fn is_name(text: &str) -> bool {
    let Some((first, rest)) = text.as_bytes().split_first() else {
        return false;
    };
    let is_plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= NAME_BYTES_MAX
        && is_plain(first)
        && rest
            .iter()
            .all(|byte| is_plain(byte) || matches!(byte, b'-' | b'_'))
}

fn is_part(text: &str) -> bool {
    let Some((stem, extension)) = text.split_once('.') else {
        return false;
    };
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() <= PART_BYTES_MAX
        && !stem.is_empty()
        && stem.bytes().all(is_plain)
        && PART_EXTENSIONS.contains(&extension)
}

macro_rules! parsed_name {
    ($(#[$doc:meta])* $name:ident, $field:literal, $check:expr, $rule:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                if $check(text) { Ok(Self(text.into())) } else { Err(Error::invalid($field, text, $rule)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self, Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

parsed_name!(
    /// A model's name: `[a-z0-9][a-z0-9_-]{0,62}`.
    ModelName, "model name", is_name, NAME_RULE
);
parsed_name!(
    /// A replica's name: `[a-z0-9][a-z0-9_-]{0,62}`.
    ReplicaId, "replica", is_name, NAME_RULE
);
parsed_name!(
    /// A part's name: `[a-z0-9_]+` and `.arrow`, `.safetensors` or `.json`; at most 64 bytes.
    PartName, "part name", is_part, PART_RULE
);

/// Whether `text` may name an arm; the same rule as for models, at most 32 bytes.
pub(crate) fn is_arm_name(text: &str) -> bool {
    text.len() <= 32 && is_name(text)
}

#[cfg(test)]
mod tests;
