use super::*;
use crate::bucket;
use crate::{RolloutRecord, Version, candidate_and_base};
use jiff::Timestamp;
use proptest::prelude::*;

fn steps(of: &[(u16, u64)]) -> Vec<RampStep> {
    let step = |(share_bp, hold_s): &(u16, u64)| RampStep {
        share_bp: *share_bp,
        hold_s: *hold_s,
    };
    of.iter().map(step).collect()
}

fn usual() -> Ramp {
    Ramp::new(steps(&[
        (100, 600),
        (500, 1_800),
        (2_500, 3_600),
        (10_000, 0),
    ]))
}

const BEGAN: i64 = 1_790_000_000;

fn record(ramp: Ramp) -> RolloutRecord {
    let (candidate, base) = (Version::new(8).unwrap(), Version::new(7).unwrap());
    RolloutRecord {
        created_at: at(0).to_string(),
        arms: candidate_and_base(candidate, base, ramp.first_share()),
        ramp: Some(ramp),
        ..RolloutRecord::of_arms(Vec::new())
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(BEGAN + seconds).unwrap()
}

#[test]
fn each_step_is_held_from_its_beginning_to_the_next_ones() {
    let record = record(usual());
    assert!(record.check().is_ok());
    for (second, share) in [
        (-86_400, 100),
        (-1, 100),
        (0, 100),
        (599, 100),
        (600, 500),
        (2_399, 500),
        (2_400, 2_500),
        (5_999, 2_500),
        (6_000, 10_000),
        (1_000_000_000, 10_000),
    ] {
        assert_eq!(record.first_share_at(at(second)), share, "at {second} s");
    }
}

#[test]
fn next_step_is_known_until_the_last() {
    let ramp = usual();
    let left = |elapsed| {
        ramp.grows_in(Duration::from_secs(elapsed))
            .map(|d| d.as_secs())
    };
    assert_eq!(left(0), Some(600));
    assert_eq!(left(599), Some(1));
    assert_eq!(left(600), Some(1_800));
    assert_eq!(left(5_999), Some(1));
    assert_eq!(left(6_000), None);
    let paused = Ramp {
        is_paused: true,
        ..ramp
    };
    assert_eq!(paused.grows_in(Duration::ZERO), None);
    assert_eq!(Ramp::held(100).grows_in(Duration::ZERO), None);
}

#[test]
fn paused_ramp_keeps_its_share_and_resumes_there() {
    let first = record(usual());
    let carried = first.carried_ramp(at(1_000), 500).unwrap();
    assert_eq!(carried.elapsed_s, 1_000);
    let paused = record(Ramp {
        is_paused: true,
        ..carried
    });
    assert_eq!(paused.first_share_at(at(1_000_000)), 500);
    let resumed = record(Ramp {
        is_paused: false,
        ..paused.carried_ramp(at(5_000), 500).unwrap()
    });
    assert_eq!(resumed.arms[0].share_bp, 500);
    assert_eq!(resumed.first_share_at(at(1_399)), 500);
    assert_eq!(resumed.first_share_at(at(1_400)), 2_500);
}

#[test]
fn successor_starts_at_the_share_its_writer_serves_whatever_its_clock_says() {
    // The clock was set back; 2,500 are served already.
    let carried = record(usual()).carried_ramp(at(-50), 2_500).unwrap();
    assert_eq!(carried.elapsed_s, 2_400);
    assert_eq!(record(carried).arms[0].share_bp, 2_500);
}

#[test]
fn malformed_ramp_is_refused_by_field_value_and_limit() {
    let with = |of: &[(u16, u64)]| Ramp::new(steps(of)).check().unwrap_err().to_string();
    let many: Vec<(u16, u64)> = (1..=33).map(|n| (n, u64::from(n < 33))).collect();
    for (found, said) in [
        (with(&[]), "number of steps \"0\" is refused: 1 to 32"),
        (with(&many), "number of steps \"33\""),
        (
            with(&[(500, 60), (500, 0)]),
            "share of a step \"500\" is refused: more than the 500 of the step before",
        ),
        (with(&[(500, 60), (100, 0)]), "share of a step \"100\""),
        (with(&[(100, 0), (500, 0)]), "hold of a step \"0\""),
        (
            with(&[(100, 2_592_001), (500, 0)]),
            "hold of a step \"2592001\"",
        ),
        (with(&[(10_001, 0)]), "share of a step \"10001\""),
        (with(&[(100, 60)]), "hold of the last step \"60\""),
    ] {
        assert!(found.contains(said), "{said:?} in {found:?}");
    }
}

#[test]
fn record_whose_arms_contradict_its_ramp_is_refused() {
    let refused = |change: &dyn Fn(&mut RolloutRecord)| {
        let mut record = record(usual());
        change(&mut record);
        record.check().unwrap_err().to_string()
    };
    let order = refused(&|record| record.arms.reverse());
    assert!(order.contains("arms \"base, candidate\""), "{order}");
    let share = refused(&|record| {
        record.arms = candidate_and_base(record.arms[0].version, record.arms[1].version, 101);
    });
    assert!(share.contains("100, as its ramp begins"), "{share}");
    let elapsed = refused(&|record| {
        record.ramp.as_mut().unwrap().elapsed_s = u64::MAX;
    });
    assert!(elapsed.contains("elapsed_s"), "{elapsed}");
}

#[test]
fn record_without_ramp_is_written_as_before_and_one_with_a_ramp_reads_back() {
    let with = record(Ramp {
        elapsed_s: 700,
        ..usual()
    });
    let bytes = crate::json::write(&with);
    let back = RolloutRecord::parse(&bytes).unwrap();
    assert_eq!(back.ramp, with.ramp);
    let mut without = with;
    without.ramp = None;
    let text = String::from_utf8(crate::json::write(&without).to_vec()).unwrap();
    assert!(!text.contains("ramp"), "{text}");
}

fn any_ramp() -> impl Strategy<Value = Ramp> {
    let shares = proptest::collection::btree_set(0_u16..=10_000, 1..8);
    (shares, proptest::collection::vec(1_u64..5_000, 8)).prop_map(|(shares, holds)| {
        let last = shares.len() - 1;
        let of = shares.iter().zip(holds).enumerate();
        Ramp::new(
            of.map(|(at, (share_bp, hold_s))| RampStep {
                share_bp: *share_bp,
                hold_s: if at == last { 0 } else { hold_s },
            })
            .collect(),
        )
    })
}

proptest! {
    #[test]
    fn later_moment_never_has_a_smaller_share_and_never_moves_a_user_back(
        ramp in any_ramp(),
        key in ".{0,20}",
        early in 0_i64..40_000,
        more in 0_i64..40_000,
    ) {
        let record = record(ramp);
        let (before, after) = (at(early), at(early + more));
        prop_assert!(record.first_share_at(before) <= record.first_share_at(after));
        let arm = |now| record.arm_at(&key, now).unwrap().name.clone();
        prop_assert!(arm(before) == arm(after) || (arm(before) == BASE && arm(after) == CANDIDATE));
    }

    #[test]
    fn arms_with_their_shares_own_the_buckets_of_the_ramp(
        ramp in any_ramp(),
        key in ".{0,20}",
        when in 0_i64..40_000,
    ) {
        let record = record(ramp);
        let share = record.first_share_at(at(when));
        let arms = record.arms_with(share);
        prop_assert_eq!(arms.iter().map(|arm| arm.share_bp).sum::<u16>(), SHARES_BP);
        let is_candidate = bucket(&record.salt, &key) < arms[0].share_bp;
        prop_assert_eq!(record.arm_at(&key, at(when)).unwrap().name == CANDIDATE, is_candidate);
    }

    #[test]
    fn continued_ramp_has_the_share_of_the_moment(
        ramp in any_ramp(),
        when in -1_000_i64..40_000,
    ) {
        let first = record(ramp);
        let share = first.first_share_at(at(when));
        let next = first.carried_ramp(at(when), share).unwrap();
        prop_assert!(next.check().is_ok());
        prop_assert_eq!(next.share_after(Duration::from_secs(next.elapsed_s)), share);
    }
}
