use super::*;

const EXACT: f64 = 1e-12;

fn block(candidate: (u64, u64), base: (u64, u64)) -> Block {
    let of = |(events, people)| Outcomes { events, people };
    Block {
        candidate: of(candidate),
        base: of(base),
    }
}

/// Evidence that knows the base's rate to be about `percent`.
fn informed(tolerance: f64, percent: u64) -> Evidence {
    let mut evidence = Evidence::new(tolerance);
    evidence.learn(block((0, 0), (percent * 10, 1000)));
    evidence
}

/// The chance of `events` among `people`.
fn binomial(events: u64, people: u64, chance: f64) -> f64 {
    let ways = (0..events).fold(1.0, |ways, k| ways * (people - k) as f64 / (k + 1) as f64);
    let rest = i32::try_from(people - events).unwrap();
    ways * chance.powi(i32::try_from(events).unwrap()) * (1.0 - chance).powi(rest)
}

/// By what the e-value is multiplied on average by a block of these sizes.
fn mean_factor(before: &Evidence, (n_c, n_b): (u64, u64), truth: Chances) -> f64 {
    let mut mean = 0.0;
    for candidate in 0..=n_c {
        for base in 0..=n_b {
            let mut after = before.clone();
            after.add(block((candidate, n_c), (base, n_b)));
            mean += binomial(candidate, n_c, truth.candidate)
                * binomial(base, n_b, truth.base)
                * (after.ln() - before.ln()).exp();
        }
    }
    mean
}

#[test]
fn factor_of_one_pair_is_as_worked_out_by_hand() {
    // Guess 0.6 against 0.2, as many people: the nearest point without tolerance is their mean, 0.4.
    let guess = Chances {
        candidate: 0.6,
        base: 0.2,
    };
    let nearest = nearest_harmless(guess, 0.5, 0.0);
    assert_eq!((nearest.candidate, nearest.base), (0.4, 0.4));
    for (candidate, base, factor) in [
        // 0.6/0.4 × 0.8/0.6, and so on.
        (1, 0, 2.0),
        (0, 1, 1.0 / 3.0),
        (1, 1, 0.75),
        (0, 0, 8.0 / 9.0),
    ] {
        let found = ln_factor(block((candidate, 1), (base, 1)), guess, nearest).exp();
        assert!(
            (found - factor).abs() < EXACT,
            "{candidate} {base}: {found}"
        );
    }
    // Three of the candidate for one of the base: 0.75 × 0.6 + 0.25 × 0.2 = 0.5.
    let nearest = nearest_harmless(guess, 0.75, 0.0);
    assert!((nearest.base - 0.5).abs() < EXACT);
    let found = ln_factor(block((2, 3), (0, 1)), guess, nearest).exp();
    // 1.2 × 1.2 × 0.8 × 1.6
    assert!((found - 1.8432).abs() < EXACT, "{found}");
}

#[test]
fn tolerance_moves_the_nearest_point_as_worked_out_by_hand() {
    // 0.7 against 0.3 with 0.2 tolerated mirrors itself, so the point is 0.6 and 0.4.
    let guess = Chances {
        candidate: 0.7,
        base: 0.3,
    };
    let nearest = nearest_harmless(guess, 0.5, 0.2);
    assert!((nearest.candidate - 0.6).abs() < EXACT, "{nearest:?}");
    assert!((nearest.base - 0.4).abs() < EXACT, "{nearest:?}");
    let found = ln_factor(block((1, 1), (0, 1)), guess, nearest).exp();
    assert!((found - 49.0 / 36.0).abs() < EXACT, "{found}");
}

#[test]
fn nearest_point_is_nearer_than_any_other_on_the_border() {
    let kl = |a: f64, b: f64| a * (a / b).ln() + (1.0 - a) * ((1.0 - a) / (1.0 - b)).ln();
    for (candidate, base, tolerance) in
        [(0.0203, 0.0001, 0.001), (0.5, 0.1, 0.01), (0.9, 0.02, 0.3)]
    {
        let guess = Chances { candidate, base };
        for weight in [0.0001, 0.01, 0.5, 0.99] {
            let far = |point: f64| {
                weight * kl(candidate, point + tolerance) + (1.0 - weight) * kl(base, point)
            };
            let nearest = nearest_harmless(guess, weight, tolerance);
            assert_eq!(nearest.candidate, nearest.base + tolerance);
            let step = (candidate - tolerance - base) / 1000.0;
            for other in 0..=1000 {
                let point = base + step * f64::from(other);
                assert!(far(nearest.base) <= far(point) + 1e-15, "{guess:?} {point}");
            }
        }
    }
}

#[test]
fn e_value_is_a_supermartingale_while_nothing_is_wrong() {
    let chances = [0.0, 0.001, 0.02, 0.1, 0.5, 0.9, 1.0];
    for (tolerance, percent) in [(0.0, 0), (0.0, 10), (0.005, 0), (0.1, 5), (0.3, 60)] {
        let mut evidence = informed(tolerance, percent);
        // A second and a third block, of other sizes, after ones that moved the guess and the weights.
        for (sizes, came) in [
            ((1, 1), block((1, 4), (3, 90))),
            ((1, 12), block((9, 10), (1, 40))),
            ((4, 3), block((0, 30), (30, 30))),
            ((6, 1), block((0, 0), (0, 0))),
        ] {
            for base in chances {
                for candidate in chances.into_iter().chain([base + tolerance, base]) {
                    let is_harmless = candidate <= (base + tolerance).min(1.0);
                    let truth = Chances { candidate, base };
                    let mean = mean_factor(&evidence, sizes, truth);
                    assert!(
                        !is_harmless || mean <= 1.0 + 1e-9,
                        "{tolerance} {truth:?}: {mean}"
                    );
                }
            }
            evidence.add(came);
        }
    }
}

#[test]
fn e_value_grows_on_average_where_the_candidate_is_worse_than_tolerated() {
    for (tolerance, percent, candidate) in [(0.0, 0, 0.05), (0.001, 1, 0.2), (0.1, 5, 0.9)] {
        let evidence = informed(tolerance, percent);
        let base = percent as f64 / 100.0;
        let mean = mean_factor(&evidence, (5, 20), Chances { candidate, base });
        assert!(mean > 1.0, "{mean}");
    }
}

#[test]
fn blocks_of_one_arm_and_blocks_to_learn_from_are_no_evidence() {
    let mut evidence = informed(0.0, 1);
    evidence.add(block((5, 5), (0, 0)));
    evidence.add(block((0, 0), (5, 500)));
    evidence.learn(block((50, 50), (0, 500)));
    assert_eq!(evidence.ln(), 0.0);
    evidence.add(block((5, 5), (0, 500)));
    assert!(evidence.ln() > 1.0);
    evidence.renew();
    assert_eq!(evidence.ln(), 0.0);
}

#[test]
fn nothing_is_bet_before_the_base_is_known_or_where_all_is_tolerated() {
    let mut early = Evidence::new(0.0);
    early.add(block((9, 9), (0, 99)));
    assert_eq!(early.ln(), 0.0);
    let mut resigned = informed(0.5, 60);
    resigned.add(block((9, 9), (6, 10)));
    assert_eq!(resigned.ln(), 0.0);
}

#[test]
fn e_values_stay_finite_at_the_edges() {
    let mut evidence = informed(0.0, 100);
    for _ in 0..50 {
        evidence.add(block((1_000_000, 1_000_000), (0, 1_000_000)));
        evidence.add(block((0, 1_000_000), (1_000_000, 1_000_000)));
    }
    assert!(!evidence.ln().is_nan());
}

#[test]
fn no_block_loses_more_than_its_stake() {
    let mut evidence = informed(0.0, 0);
    // The common rate leaps: a guess from before would call this all but impossible.
    evidence.add(block((5, 10), (500_000, 1_000_000)));
    assert!((LN_KEPT - KEPT.ln()).abs() < EXACT);
    assert!((evidence.ln() - LN_KEPT).abs() < 0.01, "{}", evidence.ln());
    for (ln, expected) in [(0.0, 0.0), (0.5, (0.001 + 0.999 * 0.5_f64.exp()).ln())] {
        assert!((kept_back(ln) - expected).abs() < EXACT);
    }
    // On both sides of where the formula changes, and far beyond.
    assert!((kept_back(1.0) - (0.001 + 0.999 * 1.0_f64.exp()).ln()).abs() < EXACT);
    assert!((kept_back(5_000.0) - (5_000.0 + 0.999_f64.ln())).abs() < EXACT);
}
