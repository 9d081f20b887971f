//! The arms of a rollout: names, versions and shares.

use crate::limits::ARMS_MAX;
use crate::names::is_arm_name;
use crate::{Error, Sha256Digest, Version};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The shares of a rollout's arms add up to this: 100 %.
pub const SHARES_BP: u16 = 10_000;
/// The arm whose share grows, first in its record: it owns the buckets from 0 upwards.
pub const CANDIDATE: &str = "candidate";
/// The arm that has the rest.
pub const BASE: &str = "base";

/// One share of the traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// `[a-z0-9][a-z0-9_-]{0,31}`.
    pub name: String,
    /// The version that serves it.
    pub version: Version,
    /// Basis points, 0 to 10,000.
    pub share_bp: u16,
    /// Of the stored bytes of the version's manifest; absent in records of earlier releases. A manifest with
    /// another digest is another version, whatever its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_sha256: Option<Sha256Digest>,
}

impl Arm {
    /// Whether both give the same share to the same version under the same name.
    #[must_use]
    pub fn splits_like(&self, other: &Self) -> bool {
        let split = |arm: &Self| (arm.version, arm.share_bp);
        self.name == other.name && split(self) == split(other)
    }
}

/// The two arms of a ramp that starts, or continues, with this share.
#[must_use]
pub fn candidate_and_base(candidate: Version, base: Version, share_bp: u16) -> Vec<Arm> {
    let arm = |name: &str, version, share_bp| Arm {
        name: name.to_owned(),
        version,
        share_bp,
        manifest_sha256: None,
    };
    vec![
        arm(CANDIDATE, candidate, share_bp),
        arm(BASE, base, SHARES_BP.saturating_sub(share_bp)),
    ]
}

/// Whether a record may have these arms.
pub(crate) fn check_arms(arms: &[Arm]) -> Result<(), Error> {
    if arms.is_empty() || arms.len() > ARMS_MAX {
        let count = arms.len().to_string();
        return Err(Error::invalid(
            "number of arms",
            &count,
            format!("1 to {ARMS_MAX}"),
        ));
    }
    let (mut names, mut versions) = (BTreeSet::new(), BTreeSet::new());
    for arm in arms {
        if !is_arm_name(&arm.name) {
            let limit = "1 to 32 of a-z, 0-9, '-' and '_', the first a letter or digit";
            return Err(Error::invalid("arm", &arm.name, limit));
        }
        if !names.insert(&arm.name) {
            return Err(Error::invalid("arm", &arm.name, "a name once only"));
        }
        if !versions.insert(arm.version) {
            let version = arm.version.to_string();
            return Err(Error::invalid(
                "version of an arm",
                &version,
                "a version once only",
            ));
        }
    }
    let sum: u64 = arms.iter().map(|arm| u64::from(arm.share_bp)).sum();
    if sum != u64::from(SHARES_BP) {
        let limit = "10,000 basis points in all";
        return Err(Error::invalid("sum of shares", &sum.to_string(), limit));
    }
    Ok(())
}
