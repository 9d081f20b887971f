//! Artifacts made to hurt: sound models changed in a hundred thousand ways.
//!
//! A mutant is made from its number alone, so a failure names all that is needed to see it again:
//! put the number into [`SEEN_BEFORE`].

mod bytes;
mod dice;
mod header;
mod json;
pub(crate) mod law;
mod specimen;

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use dice::Dice;
use law::{Outcome, Parts, read_card, try_artifact};
use specimen::{Specimen, large_specimen, specimens};

/// Mutants of the small specimens, and of the large one.
const MUTANTS: u64 = 160_000;
const LARGE_MUTANTS: u64 = 2_000;

/// Mutants are shared out among so many threads; which one makes a mutant does not change it.
const THREADS: u64 = 2;

/// Most memory that reading an artifact and asking it may hold at once beside its own bytes: so
/// many times its parts, so many times its card, which is a tree of JSON first, and so much.
const PART_TIMES: u64 = 6;
const CARD_TIMES: u64 = 100;
const PEAK_BYTES: u64 = 384 << 10;

/// Most work that decoding may tell its pace, in the same terms.
const BREATHED_TIMES: usize = 16;
const BREATHED_BYTES: usize = 64 << 10;

/// Numbers of mutants that broke the law once.
const SEEN_BEFORE: &[u64] = &[];

/// An artifact after its changes.
struct Mutant<'a> {
    specimen: &'a Specimen,
    /// JSON; `None` while it is the specimen's.
    card: Option<Vec<u8>>,
    parts: Parts,
    /// What was changed, for the report.
    said: String,
}

impl<'a> Mutant<'a> {
    fn of(specimen: &'a Specimen, said: String) -> Self {
        Self {
            specimen,
            card: None,
            parts: specimen.parts.clone(),
            said,
        }
    }

    fn new(specimens: &'a [Specimen], number: u64) -> Self {
        let dice = &mut Dice::new(number);
        let mut mutant = Self::of(dice.pick(specimens), format!("mutant {number}"));
        for _ in 0..*dice.pick(&[1, 1, 1, 1, 2, 3]) {
            let did = match dice.below(10) {
                0 | 1 => mutant.change_card(dice),
                2 => mutant.exchange(dice.pick(specimens), dice),
                _ => mutant.change_part(dice),
            };
            mutant.said = format!("{}, {did}", mutant.said);
        }
        mutant
    }

    /// Reads it and asks it; `None` where the card is none.
    fn try_it(&self) -> Option<Outcome> {
        match &self.card {
            None => Some(try_artifact(&self.specimen.read, &self.parts)),
            Some(json) => Some(try_artifact(&read_card(json)?, &self.parts)),
        }
    }

    fn part_bytes(&self) -> usize {
        self.parts.values().map(::bytes::Bytes::len).sum()
    }

    /// What may be held at once while it is read and asked.
    fn peak_max(&self) -> u64 {
        let card = self.card.as_ref().map_or(0, Vec::len);
        PART_TIMES * self.part_bytes() as u64 + CARD_TIMES * card as u64 + PEAK_BYTES
    }

    fn change_card(&mut self, dice: &mut Dice) -> String {
        let mut card = self
            .card
            .take()
            .unwrap_or_else(|| self.specimen.card.clone());
        let readable = match dice.below(4) {
            0 => None,
            _ => json::change(&mut card, dice),
        };
        let did = readable.unwrap_or_else(|| {
            let donor = card.clone();
            bytes::change(&mut card, &donor, dice)
        });
        self.card = Some(card);
        format!("card: {did}")
    }

    fn change_part(&mut self, dice: &mut Dice) -> String {
        let names: Vec<String> = self.parts.keys().cloned().collect();
        let name = dice.pick(&names);
        let donor = self.parts[dice.pick(&names)].clone();
        let mut changed = self.parts[name].to_vec();
        let in_header = match dice.below(3) {
            0 if name.ends_with(".safetensors") => header::change(&mut changed, dice),
            _ => None,
        };
        let did = in_header.unwrap_or_else(|| bytes::change(&mut changed, &donor, dice));
        self.parts.insert(name.clone(), changed.into());
        format!("{name}: {did}")
    }

    /// A part of another model, or of another name; or one too few.
    fn exchange(&mut self, other: &Specimen, dice: &mut Dice) -> String {
        let names: Vec<String> = other.parts.keys().cloned().collect();
        let (name, from) = (dice.pick(&names).clone(), dice.pick(&names));
        match dice.below(8) {
            0 => drop(self.parts.remove(&name)),
            1 => drop(self.parts.insert(name.clone(), other.parts[from].clone())),
            _ => drop(self.parts.insert(name.clone(), other.parts[&name].clone())),
        }
        format!("{name}: exchanged")
    }
}

/// What a run of mutants came to.
#[derive(Default)]
struct Outcomes {
    accepted: u64,
    refused: BTreeMap<&'static str, u64>,
    /// Greatest peak, in per cent of its limit, and whose.
    peak: (u64, String),
    broken: Vec<String>,
}

impl Outcomes {
    fn add(&mut self, mutant: &Mutant<'_>) {
        let mut outcome = None;
        let held = allocation_counter::measure(|| {
            outcome = catch_unwind(AssertUnwindSafe(|| mutant.try_it())).ok();
        });
        let Some(outcome) = outcome else {
            self.broken.push(format!("{}: panicked", mutant.said));
            return;
        };
        let (refused_as, breathed) = match outcome {
            None => (Some("json"), 0),
            Some(outcome) => (outcome.refused_as, outcome.breathed),
        };
        match refused_as {
            None => self.accepted += 1,
            Some(kind) => *self.refused.entry(kind).or_default() += 1,
        }
        let peak = held.bytes_max * 100 / mutant.peak_max();
        if peak > self.peak.0 {
            self.peak = (peak, format!("{} held {}", mutant.said, held.bytes_max));
        }
        if peak > 100 {
            self.broken
                .push(format!("{}: held {} bytes", mutant.said, held.bytes_max));
        }
        if breathed > BREATHED_TIMES * mutant.part_bytes() + BREATHED_BYTES {
            self.broken
                .push(format!("{}: {breathed} bytes of work", mutant.said));
        }
    }

    fn join(&mut self, other: Self) {
        self.accepted += other.accepted;
        for (kind, count) in other.refused {
            *self.refused.entry(kind).or_default() += count;
        }
        if other.peak.0 > self.peak.0 {
            self.peak = other.peak;
        }
        self.broken.extend(other.broken);
    }
}

/// Makes and tries the mutants of these numbers.
fn try_all(specimens: &[Specimen], numbers: std::ops::Range<u64>) -> Outcomes {
    let share = |first: u64| {
        let mut outcomes = Outcomes::default();
        for number in numbers.clone().filter(|n| n % THREADS == first) {
            outcomes.add(&Mutant::new(specimens, number));
        }
        outcomes
    };
    thread::scope(|scope| {
        let runs: Vec<_> = (0..THREADS)
            .map(|first| scope.spawn(move || share(first)))
            .collect();
        let mut outcomes = Outcomes::default();
        for run in runs {
            outcomes.join(run.join().unwrap());
        }
        outcomes
    })
}

#[test]
fn specimens_are_sound_and_hold_little() {
    for specimen in specimens().iter().chain([&large_specimen()]) {
        let mut mutant = Mutant::of(specimen, "a specimen".to_owned());
        mutant.card = Some(specimen.card.clone());
        let mut outcomes = Outcomes::default();
        outcomes.add(&mutant);
        assert_eq!((outcomes.accepted, outcomes.broken), (1, Vec::new()));
    }
}

#[test]
fn no_mutant_panics_or_takes_more_than_its_share() {
    let outcomes = try_all(&specimens(), 0..MUTANTS);
    println!(
        "{MUTANTS} mutants: {} accepted, {:?}; greatest peak {} % of its limit: {}",
        outcomes.accepted, outcomes.refused, outcomes.peak.0, outcomes.peak.1
    );
    assert!(outcomes.broken.is_empty(), "{:#?}", outcomes.broken);
    // Mutants that are all refused, or all for one reason, would try little.
    assert!(outcomes.accepted > MUTANTS / 20, "{}", outcomes.accepted);
    for kind in [
        "json",
        "card",
        "container",
        "ids",
        "missing_part",
        "not_finite",
        "order",
        "out_of_range",
        "schema",
        "shape",
        "unknown_part",
    ] {
        assert!(
            outcomes.refused.contains_key(kind),
            "nothing was refused as {kind}"
        );
    }
}

#[test]
fn larger_artifact_holds_no_more_in_proportion() {
    let large = [large_specimen()];
    let outcomes = try_all(&large, 0..LARGE_MUTANTS);
    println!(
        "greatest peak {} % of its limit: {}",
        outcomes.peak.0, outcomes.peak.1
    );
    assert!(outcomes.broken.is_empty(), "{:#?}", outcomes.broken);
}

#[test]
fn mutants_that_broke_the_law_once_keep_it() {
    let specimens = specimens();
    let mut outcomes = Outcomes::default();
    for number in SEEN_BEFORE {
        outcomes.add(&Mutant::new(&specimens, *number));
    }
    assert!(outcomes.broken.is_empty(), "{:#?}", outcomes.broken);
}
