//! Which arm a key belongs to: the same on every replica, in every language, at any time.

use crate::{Arm, RolloutRecord, SHARES_BP};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// The first 8 bytes, big-endian, of sha256(`salt` ‖ 0x00 ‖ `key`), modulo 10,000. Costs one hash of
/// at most a few hundred bytes.
///
/// The key is the user's id, else the session's, else the request's.
#[must_use]
pub fn bucket(salt: &str, key: &str) -> u16 {
    let digest = Sha256::new()
        .chain_update(salt)
        .chain_update([0])
        .chain_update(key)
        .finalize();
    let (head, _) = digest.split_at(8);
    let word = head
        .iter()
        .fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    u16::try_from(word % u64::from(SHARES_BP)).expect("a remainder of 10,000 is below it")
}

impl RolloutRecord {
    /// The arm of this key while a candidate has `candidate_bp` basis points; a record without a ramp
    /// has no such arm, and the number no effect. Arms own the buckets from 0 upwards, in their order, as
    /// many as their shares say.
    #[must_use]
    pub fn arm_for(&self, key: &str, candidate_bp: u16) -> Option<&Arm> {
        self.arm_of(bucket(&self.salt, key), candidate_bp)
    }

    /// The arm of this key at `now`.
    #[must_use]
    pub fn arm_at(&self, key: &str, now: Timestamp) -> Option<&Arm> {
        self.arm_for(key, self.first_share_at(now))
    }

    fn arm_of(&self, bucket: u16, candidate_bp: u16) -> Option<&Arm> {
        if self.ramp.is_some() {
            return self.arms.get(usize::from(bucket >= candidate_bp));
        }
        let mut left = bucket;
        self.arms.iter().find(|arm| {
            let is_within = left < arm.share_bp;
            left = left.saturating_sub(arm.share_bp);
            is_within
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;
    use proptest::prelude::*;

    /// Those of the README, computed with Python's hashlib.
    const VECTORS: [(&str, &str, u16); 6] = [
        ("", "", 3192),
        ("salt", "user-1", 2642),
        ("salt", "user-2", 7471),
        ("other salt", "user-1", 204),
        ("salt", "", 7940),
        ("salt", "Ærøskøbing ✓", 2267),
    ];

    #[test]
    fn buckets_are_those_of_the_test_vectors() {
        for (salt, key, expected) in VECTORS {
            assert_eq!(bucket(salt, key), expected, "{salt:?} {key:?}");
        }
    }

    #[test]
    fn test_vectors_are_listed_in_the_readme() {
        let readme = include_str!("../README.md");
        for (salt, key, bucket) in VECTORS {
            let row = format!("| `{salt}` | `{key}` | {bucket} |").replace("``", "(empty)");
            assert!(readme.contains(&row), "{row}");
        }
    }

    fn record(shares: &[u16]) -> RolloutRecord {
        let arm = |(at, share_bp): (usize, &u16)| Arm {
            name: format!("arm{at}"),
            version: Version::new(at as u64 + 1).unwrap(),
            share_bp: *share_bp,
            manifest_sha256: None,
        };
        RolloutRecord::of_arms(shares.iter().enumerate().map(arm).collect())
    }

    #[test]
    fn arms_own_their_shares_of_the_buckets_in_their_order() {
        // user-1 has bucket 2642.
        let arm = |shares: &[u16]| record(shares).arm_for("user-1", 0).unwrap().name.clone();
        assert_eq!(arm(&[2642, 7358]), "arm1");
        assert_eq!(arm(&[2643, 7357]), "arm0");
        assert_eq!(arm(&[0, 2642, 0, 7358]), "arm3");
        assert_eq!(arm(&[10_000]), "arm0");
    }

    /// Of a million users each arm gets its share, and as the first one grows users only move into
    /// it. Fixed ids, so that the outcome is the same every time; the bound is the 99.9 % quantile of
    /// chi-square with 3 degrees of freedom.
    #[test]
    fn a_million_users_are_split_by_the_shares_and_only_ever_move_forward() {
        const USERS: u32 = 1_000_000;
        const SHARES: [u16; 4] = [100, 400, 2_000, 7_500];
        let mut counts = [0_u32; 4];
        let ramp = [100, 500, 2_500, 10_000].map(|share| record(&[share, 10_000 - share]));
        let split = record(&SHARES);
        for user in 0..USERS {
            let key = format!("user-{user}");
            let bucket = bucket(&split.salt, &key);
            let of = |step: &RolloutRecord| step.arm_of(bucket, 0).unwrap().version.get();
            counts[of(&split) as usize - 1] += 1;
            assert!(ramp.iter().map(of).is_sorted_by(|a, b| a >= b), "{key}");
        }
        let chi_square: f64 = counts
            .iter()
            .zip(SHARES)
            .map(|(count, share)| {
                let expected = f64::from(USERS) * f64::from(share) / 1e4;
                (f64::from(*count) - expected).powi(2) / expected
            })
            .sum();
        assert!(chi_square < 16.27, "{chi_square}: {counts:?}");
    }

    proptest! {
        #[test]
        fn every_key_has_an_arm_and_growing_the_first_only_moves_keys_into_it(
            key in ".{0,40}",
            share in 0_u16..10_000,
            more in 0_u16..10_000,
        ) {
            let of = |share: u16| {
                record(&[share, 10_000 - share]).arm_for(&key, 0).unwrap().name.clone()
            };
            let (before, after) = (of(share.min(more)), of(share.max(more)));
            prop_assert!(before == after || (before == "arm1" && after == "arm0"));
        }
    }
}
