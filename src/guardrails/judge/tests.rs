use super::super::simulation::settings;
use super::super::{Mode, Rule};
use super::*;

/// Base and candidate, each with this many people and errors.
fn counts(base: (u64, u64), candidate: (u64, u64)) -> [Counts; 2] {
    [base, candidate].map(|(errors, asked)| Counts {
        asked,
        errors,
        ..Counts::default()
    })
}

fn look(seconds: u64, candidate_bp: u16, counts: &[Counts; 2], judge: &mut Judge) -> bool {
    judge.look(Look {
        now: Duration::from_secs(seconds),
        shares_bp: &[10_000 - candidate_bp, candidate_bp],
        counts,
    })
}

fn arms() -> Vec<String> {
    vec!["base".to_owned(), "candidate".to_owned()]
}

fn judge(settings: Guardrails, candidate_bp: u16) -> Option<Judge> {
    let first = Look {
        now: Duration::ZERO,
        shares_bp: &[10_000 - candidate_bp, candidate_bp],
        counts: &[Counts::default(); 2],
    };
    Judge::new(settings, arms(), first)
}

#[test]
fn bound_is_shared_by_guardrails_arms_replicas_and_epochs() {
    let mut judge = judge(settings(), 100).unwrap();
    // 4 guardrails, 1 arm, 20 replicas; epoch 1 has half, epoch 2 a sixth.
    let tests = 4.0 * 20.0 / 0.01;
    assert!((judge.ln_bound() - (tests * 2.0_f64).ln()).abs() < 1e-12);
    judge.renew(Look {
        now: Duration::ZERO,
        shares_bp: &[9_900, 100],
        counts: &[Counts::default(); 2],
    });
    assert!((judge.ln_bound() - (tests * 6.0_f64).ln()).abs() < 1e-12);

    let mut one = settings();
    for guardrail in [Guardrail::Empty, Guardrail::Fallbacks, Guardrail::Slow] {
        one.rules[guardrail as usize].mode = Mode::Off;
    }
    let arms = ["a", "base", "b", "c"].map(str::to_owned).to_vec();
    let first = Look {
        now: Duration::ZERO,
        shares_bp: &[2_500; 4],
        counts: &[Counts::default(); 4],
    };
    let judge = Judge::new(one, arms, first).unwrap();
    // 1 guardrail, 3 arms, 20 replicas.
    assert!((judge.ln_bound() - (3.0 * 20.0 / 0.01 * 2.0_f64).ln()).abs() < 1e-12);
}

#[test]
fn nothing_is_judged_without_a_base_or_with_all_guardrails_off() {
    let first = Look {
        now: Duration::ZERO,
        shares_bp: &[5_000; 2],
        counts: &[Counts::default(); 2],
    };
    let named = |names: [&str; 2]| names.map(str::to_owned).to_vec();
    assert!(Judge::new(settings(), named(["a", "b"]), first).is_none());
    assert!(Judge::new(settings(), vec!["base".to_owned()], first).is_none());
    let off = Rule {
        mode: Mode::Off,
        tolerance: 0.0,
    };
    let mut all_off = settings();
    all_off.rules = [off; 4];
    assert!(judge(all_off, 100).is_none());
    assert!(judge(settings(), 100).is_some());
}

#[test]
fn worse_candidate_is_found_once_and_said_in_figures() {
    let mut judge = judge(settings(), 5_000).unwrap();
    let steady = |look: u64| counts((0, look * 100), (look * 5, look * 100));
    for second in 1..=20 {
        look(second, 5_000, &steady(second), &mut judge);
    }
    let [breach] = judge.breaches() else {
        panic!("{:?}", judge.breaches())
    };
    assert_eq!((breach.guardrail, breach.arm), (Guardrail::Errors, 1));
    assert!(breach.ln_e >= breach.ln_bound);
    let said = breach.to_string();
    for part in [
        "guardrail errors",
        "on candidate (5.00 %)",
        "on base (0.00 %)",
        "tolerated 0.10 points more",
        "bound 10^4.2",
    ] {
        assert!(said.contains(part), "{part:?} is missing in {said}");
    }
}

#[test]
fn better_candidate_is_never_found() {
    let mut judge = judge(settings(), 5_000).unwrap();
    for second in 1..=100 {
        let steady = counts((second * 5, second * 100), (0, second * 100));
        look(second, 5_000, &steady, &mut judge);
    }
    assert!(judge.breaches().is_empty());
}

#[test]
fn no_breach_before_enough_people_stand_on_either_side() {
    let mut patient = settings();
    patient.people_min = 1_000;
    let mut judge = judge(patient, 5_000).unwrap();
    for (second, asked, is_found) in [(1, 400, false), (2, 999, false), (3, 1_000, true)] {
        let all_fail = counts((0, asked * 2), (asked, asked));
        look(second, 5_000, &all_fail, &mut judge);
        // The first evaluation only learns the base's rate; its people still count.
        assert_eq!(!judge.breaches().is_empty(), is_found, "{asked}");
    }
}

#[test]
fn block_within_which_the_shares_changed_proves_nothing() {
    let mut judge = judge(settings(), 5_000).unwrap();
    look(1, 5_000, &counts((0, 1_000), (0, 1_000)), &mut judge);
    for (second, share) in (2..40).zip([5_001, 5_002].into_iter().cycle()) {
        let asked = 1_000 + second * 100;
        let failing = counts((0, asked), (asked / 2, asked));
        look(second, share, &failing, &mut judge);
    }
    assert!(judge.breaches().is_empty());
}

#[test]
fn epoch_ends_after_an_hour_or_when_a_share_has_doubled() {
    let none = [Counts::default(); 2];
    let mut judge = judge(settings(), 100).unwrap();
    assert!(!look(3_599, 100, &none, &mut judge));
    assert!(look(3_600, 100, &none, &mut judge));
    assert!(!look(10, 199, &none, &mut judge));
    assert!(look(10, 200, &none, &mut judge));
    judge.renew(Look {
        now: Duration::from_secs(10),
        shares_bp: &[9_800, 200],
        counts: &none,
    });
    assert!(!look(11, 399, &none, &mut judge));
    assert!(!look(12, 50, &none, &mut judge));
    // The base's growth is nobody's gain.
    assert!(!look(13, 0, &none, &mut judge));
    assert!(look(13, 400, &none, &mut judge));
}

#[test]
fn evidence_of_two_epochs_is_not_multiplied() {
    let mut judge = judge(settings(), 5_000).unwrap();
    look(1, 5_000, &counts((0, 1_000), (0, 1_000)), &mut judge);
    let mut before = 0.0;
    for epoch in 1..=8 {
        let asked = 1_000 + epoch * 200;
        let failing = counts((0, asked), (epoch * 6, asked));
        look(epoch + 1, 5_000, &failing, &mut judge);
        let near = judge.nearness().next().unwrap().2;
        assert!(near > 0.0 && near < 1.0, "{near}");
        assert!(epoch == 1 || near < before, "{near} after {before}");
        before = near;
        judge.renew(Look {
            now: Duration::from_secs(epoch),
            shares_bp: &[5_000; 2],
            counts: &failing,
        });
    }
    assert!(judge.breaches().is_empty());
}
