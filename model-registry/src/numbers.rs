//! Numbers of versions and rollouts: counted from one, never used twice.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// Greatest number (chosen: every JSON reader holds it exactly, 2^53 − 1).
const NUMBER_MAX: u64 = (1 << 53) - 1;
/// Digits of an object's name; greater numbers just have more.
const NAME_DIGITS: usize = 6;

/// The object name of a number: six digits or more.
pub(crate) fn object_name(number: u64) -> String {
    format!("{number:0NAME_DIGITS$}.json")
}

/// The number of an object name; `None` for every name that [`object_name`] does not write, and for numbers
/// that no object has.
pub(crate) fn from_object_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".json")?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    let is_number = (1..=NUMBER_MAX).contains(&number);
    (is_number && object_name(number) == name).then_some(number)
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "u64", into = "u64")]
        pub struct $name(NonZeroU64);

        impl $name {
            /// Number 1.
            pub const FIRST: Self = Self(NonZeroU64::MIN);

            /// `None` for 0 and above 2^53 − 1.
            #[must_use]
            pub fn new(number: u64) -> Option<Self> {
                NonZeroU64::new(number).filter(|_| number <= NUMBER_MAX).map(Self)
            }

            /// The number.
            #[must_use]
            pub fn get(self) -> u64 {
                self.0.get()
            }
        }

        impl TryFrom<u64> for $name {
            type Error = Error;
            fn try_from(number: u64) -> Result<Self, Error> {
                Self::new(number).ok_or_else(|| {
                    Error::invalid($field, &number.to_string(), "from 1 to 2^53 − 1")
                })
            }
        }

        impl From<$name> for u64 {
            fn from(number: $name) -> Self {
                number.get()
            }
        }

        impl FromStr for $name {
            type Err = Error;
            /// Decimal digits only: no sign, no leading zero.
            fn from_str(text: &str) -> Result<Self, Error> {
                let number = text.parse().ok().and_then(Self::new);
                number
                    .filter(|number| number.to_string() == text)
                    .ok_or_else(|| Error::invalid($field, text, "a whole number from 1, without sign or leading zero"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A version's number within its model.
    Version, "version"
);
number!(
    /// A rollout record's number within its model.
    RolloutNumber, "rollout"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_names_are_padded_to_six_and_grow_past_it() {
        for (number, name) in [
            (1, "000001.json"),
            (12, "000012.json"),
            (999_999, "999999.json"),
            (1_000_000, "1000000.json"),
        ] {
            assert_eq!(object_name(number), name);
            assert_eq!(from_object_name(name), Some(number));
        }
    }

    #[test]
    fn other_object_names_are_no_numbers() {
        for name in [
            "12.json",
            "0000012.json",
            "000012",
            "000012.json~",
            "+00012.json",
            ".json",
            "00001².json",
            "000000.json",
            "9007199254740992.json",
            "18446744073709551615.json",
            "18446744073709551616.json",
        ] {
            assert_eq!(from_object_name(name), None, "{name}");
        }
    }

    #[test]
    fn numbers_start_at_one_and_stay_exact_in_json() {
        assert!(Version::new(0).is_none() && Version::new(1 << 53).is_none());
        assert!(Version::new((1 << 53) - 1).is_some());
        assert!(serde_json::from_str::<Version>("0").is_err());
        assert!(serde_json::from_str::<RolloutNumber>("-1").is_err());
        for text in ["0", "01", "+1", "1 ", "", "1e3"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
        assert_eq!("12".parse::<Version>().unwrap().to_string(), "12");
    }
}
