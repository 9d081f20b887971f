//! Whole ramps, by counts of people: base and candidate differ in their caches, and in what the test says.

use super::super::judge::{Judge, Look};
use super::super::tally::Counts;
use super::super::{Guardrail, Guardrails, Mode};
use super::dice::Dice;
use super::settings;
use std::time::Duration;

/// Shares and how long they are held; half the ramp is over after 20 minutes.
const STEPS: [(u16, u64); 4] = [(100, 600), (500, 600), (2_500, 600), (5_000, 600)];
const RAMP_S: u64 = 2_400;
const REPLICAS: u64 = 20;

/// How much more often people of the candidate meet something, by guardrail.
type Harm = [f64; 4];

/// What is the same for all replicas of a ramp.
struct World {
    /// People whom one replica meets in a second, on average.
    people_per_s: f64,
    /// Between two looks.
    look_s: u64,
    harm: Harm,
    /// How often the machine stalls for a look, and how many computed answers are slow then.
    stalls: (f64, f64),
    settings: Guardrails,
}

/// One replica's ramp.
struct Replica<'a> {
    world: &'a World,
    dice: Dice,
    /// Of the day, so that replicas and ramps differ.
    phase: f64,
    /// How full the base's cache is already; the candidate's is empty.
    warmth: f64,
    counts: [Counts; 2],
    met_s: [f64; 2],
}

/// What came of it.
struct Found {
    at_s: u64,
    guardrail: Guardrail,
    candidate_people: u64,
}

struct Outcome {
    /// The first that leads to an abort, and the first of all.
    abort: Option<Found>,
    breach: Option<Found>,
    /// The largest ln e in the first epoch, by trial.
    ln_e_max: Vec<f64>,
}

impl Replica<'_> {
    fn run(mut self) -> Outcome {
        let names = vec!["base".to_owned(), "candidate".to_owned()];
        let mut shares = shares_at(0);
        let first = look(0, &shares, &self.counts);
        let judge = Judge::new(self.world.settings.clone(), names, first);
        let mut judge = judge.expect("a base, and guardrails that are on");
        let bound = judge.ln_bound();
        let (mut ln_e_max, mut abort, mut breach) = (vec![0.0_f64; 4], None, None);
        let (mut epoch_s, mut is_first) = (0, true);
        let steps = RAMP_S / self.world.look_s;
        for end_s in (1..=steps).map(|step| step * self.world.look_s) {
            self.meet(end_s, epoch_s, &shares);
            shares = shares_at(end_s);
            let now = look(end_s, &shares, &self.counts);
            let is_over = judge.look(now);
            if is_first {
                let nearness = judge.nearness().zip(&mut ln_e_max);
                nearness.for_each(|((_, _, near), max)| *max = max.max(near));
            }
            for found in judge.breaches() {
                let what = || Found {
                    at_s: end_s,
                    guardrail: found.guardrail,
                    candidate_people: found.counts.candidate.people,
                };
                breach.get_or_insert_with(what);
                if found.mode == Mode::Abort {
                    abort.get_or_insert_with(what);
                }
            }
            if abort.is_some() {
                break;
            }
            if is_over {
                (epoch_s, is_first) = (end_s, false);
                judge.renew(now);
            }
        }
        Outcome {
            abort,
            breach,
            ln_e_max: ln_e_max.into_iter().map(|near| near * bound).collect(),
        }
    }

    /// People who come until `end_s`. Fewer and fewer of an epoch's callers are new to it.
    fn meet(&mut self, end_s: u64, epoch_s: u64, shares: &[u16; 2]) {
        let world = self.world;
        let at = end_s as f64;
        let day = 1.0 + 0.6 * (at / 500.0 + self.phase).sin();
        let new = 0.4 + 0.6 * (-((end_s - epoch_s) as f64) / 300.0).exp();
        let mean = world.people_per_s * world.look_s as f64 * day * new;
        let people = self.dice.about(mean);
        let candidate = self
            .dice
            .events(people, f64::from(shares[1]) / f64::from(10_000));
        // The same for both arms, another one in every block: the day goes on, and the machine stalls.
        let is_stalled = self.dice.unit() < world.stalls.0;
        let slow = if is_stalled { world.stalls.1 } else { 0.004 };
        let rates = [0.001 * day, 0.005 * day, 0.1 * day, slow];
        for (arm, met) in [people - candidate, candidate].into_iter().enumerate() {
            self.met_s[arm] += met as f64 / people.max(1) as f64 * world.look_s as f64;
            let harm = if arm == 1 { world.harm } else { [0.0; 4] };
            self.answer(arm, met, [0, 1, 2, 3].map(|at| rates[at] + harm[at]));
        }
    }

    fn answer(&mut self, arm: usize, people: u64, rates: [f64; 4]) {
        let dice = &mut self.dice;
        // A cache fills with what its arm is asked.
        let age_s = self.met_s[arm] + if arm == 0 { self.warmth } else { 0.0 };
        let misses = 0.25 + 0.75 * (-age_s / 120.0).exp();
        let errors = dice.events(people, rates[0]);
        let answered = people - errors;
        let computed = dice.about(answered as f64 * misses).min(answered);
        let counts = &mut self.counts[arm];
        counts.asked += people;
        counts.errors += errors;
        counts.judged += answered;
        counts.empty += dice.events(answered, rates[1]);
        counts.fallbacks += dice.events(answered, rates[2]);
        counts.computed += computed;
        counts.slow += dice.events(computed, rates[3]);
    }
}

fn look<'a>(at_s: u64, shares_bp: &'a [u16; 2], counts: &'a [Counts; 2]) -> Look<'a> {
    Look {
        now: Duration::from_secs(at_s),
        shares_bp,
        counts,
    }
}

/// Base and candidate.
fn shares_at(at_s: u64) -> [u16; 2] {
    let mut left = at_s;
    for (share, hold_s) in STEPS {
        if left < hold_s {
            return [10_000 - share, share];
        }
        left -= hold_s;
    }
    let (share, _) = STEPS[STEPS.len() - 1];
    [10_000 - share, share]
}

/// What became of every replica of these ramps, on two threads.
fn ramps(world: &World, seeds: std::ops::Range<u64>) -> Vec<Vec<Outcome>> {
    let ramp = |seed: u64| -> Vec<Outcome> {
        let one = |replica: u64| {
            let mut dice = Dice::of(seed * REPLICAS + replica);
            Replica {
                world,
                phase: dice.unit() * 6.3,
                warmth: dice.unit() * 600.0,
                dice,
                counts: [Counts::default(); 2],
                met_s: [0.0; 2],
            }
            .run()
        };
        (0..REPLICAS).map(one).collect()
    };
    let middle = u64::midpoint(seeds.start, seeds.end);
    std::thread::scope(|scope| {
        let second = scope.spawn(|| (middle..seeds.end).map(ramp).collect::<Vec<_>>());
        let mut all: Vec<_> = (seeds.start..middle).map(ramp).collect();
        all.extend(second.join().expect("its panic is this test's"));
        all
    })
}

fn world(harm: Harm) -> World {
    World {
        people_per_s: 10.0,
        look_s: 60,
        harm,
        stalls: (0.05, 0.2),
        settings: settings(),
    }
}

/// Ramps with a breach and with an abort; tests, and those that ever had an e-value of 20 or more.
fn alarms(all: &[Vec<Outcome>]) -> [usize; 4] {
    let ramps = |has: fn(&Outcome) -> bool| all.iter().filter(|ramp| ramp.iter().any(has)).count();
    let tests = || all.iter().flatten().flat_map(|outcome| &outcome.ln_e_max);
    [
        ramps(|outcome| outcome.breach.is_some()),
        ramps(|outcome| outcome.abort.is_some()),
        tests().count(),
        tests().filter(|ln| **ln >= 20.0_f64.ln()).count(),
    ]
}

#[test]
fn false_aborts_of_a_thousand_good_ramps_stay_within_alpha() {
    let [breached, aborted, tests, beyond_20] = alarms(&ramps(&world([0.0; 4]), 0..1_000));
    println!(
        "A/A: of 1,000 ramps over {REPLICAS} replicas {breached} breached, {aborted} aborted; of {tests} \
         tests {beyond_20} ever had an e-value of 20 or more"
    );
    assert!(breached <= 10, "{breached} of 1,000, promised are 10");
    // A single test's own promise: at most one in twenty.
    assert!(beyond_20 * 20 <= tests, "{beyond_20} of {tests}");
}

#[test]
fn candidates_at_the_tolerance_are_aborted_within_alpha() {
    let settings = settings();
    let harm = settings.rules.map(|rule| rule.tolerance);
    let [breached, _, tests, beyond_20] = alarms(&ramps(&world(harm), 5_000..5_200));
    println!(
        "as bad as tolerated: {breached} of 200 ramps, {beyond_20} of {tests} tests beyond 20"
    );
    assert!(breached <= 2, "{breached} of 200, promised are 2");
    assert!(beyond_20 * 20 <= tests, "{beyond_20} of {tests}");
    // Else the border was not tried.
    assert!(beyond_20 * 1_000 > tests, "{beyond_20} of {tests}");
}

/// Thirty times as many people as above: enough to see what is tolerated.
#[test]
fn tolerated_difference_is_accepted() {
    const RAMPS: usize = 20;
    let harm = settings().rules.map(|rule| rule.tolerance);
    let mut busy = World {
        people_per_s: 300.0,
        ..world(harm)
    };
    let breached = |world: &World| alarms(&ramps(world, 5_000..5_000 + RAMPS as u64))[0];
    assert_eq!(breached(&busy), 0, "as bad as tolerated");
    let rules = busy.settings.rules.iter_mut();
    rules.for_each(|rule| rule.tolerance = 0.0);
    assert_eq!(
        breached(&busy),
        RAMPS,
        "the same where nothing is tolerated"
    );
}

/// The seconds at which ramps first find a breach, in order, and how many people of the candidate the
/// finder had met; ramps that find none are left out.
fn finds<'a>(firsts: impl Iterator<Item = Option<&'a Found>>) -> Vec<(u64, u64)> {
    let found = firsts.flatten();
    let mut found: Vec<_> = found.map(|f| (f.at_s, f.candidate_people)).collect();
    found.sort_unstable();
    found
}

#[test]
fn two_in_a_hundred_more_are_found_before_half_the_ramp() {
    const RAMPS: u64 = 20;
    for (guardrail, harm) in [
        (Guardrail::Errors, 0.02),
        (Guardrail::Empty, 0.02),
        (Guardrail::Slow, 0.02),
        // One in ten falls back anyway, and one in a hundred more is tolerated.
        (Guardrail::Fallbacks, 0.05),
    ] {
        let mut harms = [0.0; 4];
        harms[guardrail as usize] = harm;
        let world = World {
            people_per_s: 100.0,
            look_s: 20,
            stalls: (0.02, 0.05),
            ..world(harms)
        };
        let all = ramps(&world, 0..RAMPS);
        let breaches = all.iter().flatten().filter_map(|o| o.breach.as_ref());
        assert!(breaches.clone().all(|found| found.guardrail == guardrail));
        let fleet = finds(all.iter().map(|ramp| {
            let found = ramp.iter().filter_map(|outcome| outcome.breach.as_ref());
            found.min_by_key(|found| found.at_s)
        }));
        let alone = finds(all.iter().map(|ramp| ramp[0].breach.as_ref()));
        let middle = |found: &[(u64, u64)]| found.get(found.len() / 2).copied();
        println!(
            "{}: {harm} more at {} people/s and replica: {REPLICAS} replicas find it in {} of {RAMPS} ramps, \
             (s, people of the candidate) in the median {:?}, at the latest {:?}; one alone in {}, in the \
             median {:?}",
            guardrail.as_str(),
            world.people_per_s,
            fleet.len(),
            middle(&fleet),
            fleet.last(),
            alone.len(),
            middle(&alone),
        );
        assert_eq!(fleet.len() as u64, RAMPS, "{guardrail:?}");
        assert!(
            fleet.iter().all(|(at_s, _)| *at_s < RAMP_S / 2),
            "{guardrail:?}"
        );
    }
}
