//! Single people and their calls: why people are counted, and not calls.

use super::super::evidence::{Block, Evidence, Outcomes};
use super::super::tally::{Answered, Counts, Scope, Tallies};
use super::super::{ALPHA, Guardrail};
use super::dice::Dice;
use super::settings;
use std::time::Duration;

const PEOPLE: u64 = 2_000;
const CALLS: u64 = 12_000;
const LOOKS: u64 = 60;
const SHOPS: u64 = 200;

/// One A/A test in a shop of its own. Half of the people are in either arm; one in ten always falls back,
/// as an unknown person does; few make most of the calls. Returns whether counting people, and counting
/// calls, ever found a difference.
fn alarms(seed: u64) -> (bool, bool) {
    let mut dice = Dice::of(seed);
    let tallies = Tallies::with_bits(2, &settings(), 1 << 14);
    let (mut by_people, mut by_calls) = (Evidence::new(0.0), Evidence::new(0.0));
    let (mut last, mut calls) = ([Counts::default(); 2], [Outcomes::default(); 2]);
    let ln_bound = -(ALPHA.ln());
    let (mut people_alarm, mut calls_alarm) = (false, false);
    for _ in 0..LOOKS {
        for _ in 0..CALLS / LOOKS {
            // The square crowds calls onto the first people.
            let person = (dice.unit().powi(3) * PEOPLE as f64) as u64;
            let nature = Dice(seed << 32 | person).word();
            let (arm, is_fallback) = ((nature % 2) as usize, (nature >> 8).is_multiple_of(10));
            let answer = Answered {
                is_empty: false,
                is_fallback,
                computed_in: Some(Duration::ZERO),
            };
            tallies.arms()[arm]
                .begin(&person.to_string(), Scope::Everything)
                .answered(answer);
            calls[arm].people += 1;
            calls[arm].events += u64::from(is_fallback);
        }
        let counts = tallies.counts();
        let of = |arm: usize| counts[arm].since(&last[arm]).outcomes(Guardrail::Fallbacks);
        by_people.add(Block {
            candidate: of(1),
            base: of(0),
        });
        by_calls.add(Block {
            candidate: calls[1],
            base: calls[0],
        });
        last = [counts[0], counts[1]];
        calls = [Outcomes::default(); 2];
        people_alarm |= by_people.ln() >= ln_bound;
        calls_alarm |= by_calls.ln() >= ln_bound;
    }
    (people_alarm, calls_alarm)
}

#[test]
fn heavy_users_do_not_bias_a_good_candidate() {
    let all: Vec<_> = (0..SHOPS).map(alarms).collect();
    let people = all.iter().filter(|(people, _)| *people).count();
    let calls = all.iter().filter(|(_, calls)| *calls).count();
    println!("of {SHOPS} A/A tests {people} alarm by people, {calls} by calls");
    assert!(people as f64 <= ALPHA * SHOPS as f64, "{people}");
    // Else this shop proves nothing.
    assert!(calls as f64 > 0.1 * SHOPS as f64, "{calls}");
}
