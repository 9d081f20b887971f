//! One rollout record: which versions are to serve, with which shares, by whose decision.

mod shares;

use crate::arm::check_arms;
use crate::limits::{AUTHOR_BYTES_MAX, REASON_BYTES_MAX, SALT_BYTES_MAX};
use crate::ramp::check_arms_of;
use crate::{
    Arm, Error, ModelName, Nonce, Ramp, RolloutNumber, SHARES_BP, Sha256Digest, Version, json,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Desired state, as stored in `rollouts/000031.json`.
///
/// What was read from a registry has been checked: format known, model and number those asked for,
/// 1 to 8 arms of distinct names and versions whose shares add up to 10,000.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolloutRecord {
    /// The stored format, 1.
    pub format: u32,
    /// Of which model.
    pub model: ModelName,
    /// Its number.
    pub number: RolloutNumber,
    /// The record it replaced; none for the first.
    pub parent: Option<Parent>,
    /// By which the writer recognises its own record.
    pub nonce: Nonce,
    /// The versions and their shares.
    pub arms: Vec<Arm>,
    /// How the first arm grows; then the arms are a candidate and its base, and the shares beside them
    /// are those of the moment at which the record was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Ramp>,
    /// Mixed into the choice of arm; the same salt and shares give every user the same arm.
    pub salt: String,
    /// Who decided, at most 256 bytes.
    pub author: String,
    /// Why, at most 1,024 bytes.
    pub reason: String,
    /// RFC 3339, by the writer's clock.
    pub created_at: String,
    /// Of the stored bytes, so not one of them; zeros in a record that was never stored.
    #[serde(skip, default = "Sha256Digest::none")]
    pub sha256: Sha256Digest,
    /// When the store accepted it, by the store's clock, where it has a ramp and that is known: the ramp does
    /// not begin before.
    #[serde(skip)]
    pub accepted_at: Option<Timestamp>,
}

/// A record's number and digest, by which its child names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Its number, below the child's.
    pub number: RolloutNumber,
    /// Of its stored bytes.
    pub sha256: Sha256Digest,
}

/// A rollout to be proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutDraft {
    /// 1 to 8 arms, shares adding up to 10,000.
    pub arms: Vec<Arm>,
    /// How the first arm grows.
    pub ramp: Option<Ramp>,
    /// At most 128 bytes; `None` draws a fresh one.
    pub salt: Option<String>,
    /// Who decides.
    pub author: String,
    /// Why.
    pub reason: String,
}

impl RolloutDraft {
    /// One arm, `main`, at 100 %.
    #[must_use]
    pub fn all_to(version: Version, author: impl Into<String>, reason: impl Into<String>) -> Self {
        let arm = Arm {
            name: "main".to_owned(),
            version,
            share_bp: SHARES_BP,
            manifest_sha256: None,
        };
        Self {
            arms: vec![arm],
            ramp: None,
            salt: None,
            author: author.into(),
            reason: reason.into(),
        }
    }

    /// Whether it may be proposed.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the first field at fault.
    pub fn check(&self) -> Result<(), Error> {
        check_arms(&self.arms)?;
        if let Some(ramp) = &self.ramp {
            check_arms_of(ramp, &self.arms)?;
        }
        if let Some(salt) = &self.salt {
            json::check_text("salt", salt, SALT_BYTES_MAX)?;
        }
        Self::check_author(&self.author)?;
        Self::check_reason(&self.reason)
    }

    /// Whether a record may have these arms.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the first field at fault.
    pub fn check_arms(arms: &[Arm]) -> Result<(), Error> {
        check_arms(arms)
    }

    /// Whether a record may name this author.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn check_author(author: &str) -> Result<(), Error> {
        json::check_text("author", author, AUTHOR_BYTES_MAX)
    }

    /// Whether a record may give this reason.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn check_reason(reason: &str) -> Result<(), Error> {
        json::check_text("reason", reason, REASON_BYTES_MAX)
    }
}

impl RolloutRecord {
    /// How a child names this record.
    #[must_use]
    pub fn as_parent(&self) -> Parent {
        Parent {
            number: self.number,
            sha256: self.sha256,
        }
    }

    /// `created_at`, parsed.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.created_at.parse().ok()
    }

    /// The version that has all traffic; `None` where there are several arms.
    #[must_use]
    pub fn all_to(&self) -> Option<Version> {
        match self.arms.as_slice() {
            [arm] => Some(arm.version),
            _ => None,
        }
    }

    /// For messages: `rollout 31 (version 12 at 10000 bp; by ann: fresher prices)`. The shares are those
    /// of the moment at which it was made.
    #[must_use]
    pub fn in_words(&self) -> String {
        let arm = |arm: &Arm| format!("version {} at {} bp", arm.version, arm.share_bp);
        let arms: Vec<String> = self.arms.iter().map(arm).collect();
        let arms = arms.join(", ");
        format!(
            "rollout {} ({arms}; by {}: {})",
            self.number, self.author, self.reason
        )
    }

    /// Reads stored bytes. The log checks its parents.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::UnsupportedFormat`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::parse_named("a rollout record", bytes)
    }

    /// Reads what is stored under `number`.
    pub(crate) fn parse_at(
        model: &ModelName,
        number: RolloutNumber,
        bytes: &[u8],
    ) -> Result<Self, Error> {
        let what = described(model, number);
        let record = Self::parse_named(&what, bytes)?;
        if (&record.model, record.number) != (model, number) {
            let why = format!(
                "the record is rollout {} of {}",
                record.number, record.model
            );
            return Err(Error::corrupt(what, why));
        }
        Ok(record)
    }

    fn parse_named(what: &str, bytes: &[u8]) -> Result<Self, Error> {
        let mut record: Self = json::parse(what, bytes)?;
        record.sha256 = Sha256Digest::of(bytes);
        match record.check() {
            Ok(()) => Ok(record),
            Err(error) => Err(error.in_stored(what)),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        check_arms(&self.arms)?;
        if let Some(ramp) = &self.ramp {
            check_arms_of(ramp, &self.arms)?;
        }
        json::check_text("salt", &self.salt, SALT_BYTES_MAX)?;
        json::check_text("author", &self.author, AUTHOR_BYTES_MAX)?;
        json::check_text("reason", &self.reason, REASON_BYTES_MAX)?;
        json::check_time("created_at", &self.created_at)?;
        match self.parent {
            Some(parent) if parent.number >= self.number => {
                let number = parent.number.to_string();
                Err(Error::invalid(
                    "parent",
                    &number,
                    format!("a number below {}", self.number),
                ))
            }
            _ => Ok(()),
        }
    }
}

/// How messages name a rollout.
pub(crate) fn described(model: &ModelName, number: RolloutNumber) -> String {
    format!("rollout {number} of {model}")
}

#[cfg(test)]
impl RolloutRecord {
    /// The first rollout, never stored; its salt is `salt`.
    pub(crate) fn of_arms(arms: Vec<Arm>) -> Self {
        Self {
            format: crate::FORMAT,
            model: "shop".parse().unwrap(),
            number: RolloutNumber::FIRST,
            parent: None,
            nonce: Nonce::from_bytes([7; 16]),
            arms,
            ramp: None,
            salt: "salt".to_owned(),
            author: "tests".to_owned(),
            reason: "tests".to_owned(),
            created_at: "2026-11-25T00:00:00Z".to_owned(),
            sha256: Sha256Digest::none(),
            accepted_at: None,
        }
    }
}

#[cfg(test)]
mod tests;
