//! Records made to hurt: sound ones changed in tens of thousands of ways.
//!
//! A mutant is made from its number alone, so a failure names all that is needed to see it again:
//! put the number into [`SEEN_BEFORE`].

use std::{
    collections::BTreeMap,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use bytes::Bytes;

use super::law::{Outcome, block_on, try_listing, try_rollouts, try_version};
use super::specimen::Specimens;

// What changes bytes and JSON knows neither package, and fuzzing a record is no other craft than
// fuzzing a part.
#[path = "../../../../model/tests/it/hostile/bytes.rs"]
mod bytes_changed;
#[path = "../../../../model/tests/it/hostile/dice.rs"]
mod dice;
#[path = "../../../../model/tests/it/hostile/json.rs"]
mod json_changed;

use dice::Dice;

const MUTANTS: u64 = 45_000;

/// Mutants are shared out among so many threads; which one makes a mutant does not change it.
const THREADS: u64 = 2;

/// Most memory that reading a record may hold at once beside its bytes: so many times these, for JSON
/// is a tree first, and so much.
const PEAK_TIMES: u64 = 100;
const PEAK_BYTES: u64 = 256 << 10;

/// Numbers of mutants that broke the law once.
const SEEN_BEFORE: &[u64] = &[];

/// A changed record among sound ones.
enum Mutant {
    Version(Bytes),
    Rollouts(Vec<Bytes>),
    Listing(Vec<String>, Bytes),
}

impl Mutant {
    fn new(sound: &Specimens, number: u64) -> Self {
        let dice = &mut Dice::new(number);
        let changed = |record: &[u8], dice: &mut Dice| {
            let mut record = record.to_vec();
            for _ in 0..*dice.pick(&[1, 1, 1, 2, 3]) {
                let readable = match dice.below(2) {
                    0 => json_changed::change(&mut record, dice),
                    _ => None,
                };
                if readable.is_none() {
                    bytes_changed::change(&mut record, &sound.manifest, dice);
                }
            }
            Bytes::from(record)
        };
        match dice.below(10) {
            0..=3 => Self::Version(changed(&sound.manifest, dice)),
            4 => Self::Version(changed(&sound.tombstone, dice)),
            5..=8 => {
                let mut records = sound.rollouts.clone();
                let at = 1 + dice.below(2);
                records[at] = changed(&records[at], dice);
                Self::Rollouts(records)
            }
            _ => {
                let names = (0..3).map(|_| {
                    let mut name = dice
                        .pick(&["000013.json", "1000000.json", "13"])
                        .as_bytes()
                        .to_vec();
                    bytes_changed::change(&mut name, b"../000001.json", dice);
                    String::from_utf8_lossy(&name[..name.len().min(200)]).into_owned()
                });
                Self::Listing(names.collect(), sound.manifest.clone().into())
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Version(bytes) => bytes.len(),
            Self::Rollouts(records) => records.iter().map(Bytes::len).sum(),
            Self::Listing(names, sound) => {
                names.iter().map(String::len).sum::<usize>() + sound.len()
            }
        }
    }

    fn try_it(&self) -> Outcome {
        block_on(async {
            match self {
                Self::Version(bytes) => try_version(bytes.clone()).await,
                Self::Rollouts(records) => try_rollouts(records).await,
                Self::Listing(names, sound) => try_listing(names, sound.clone()).await,
            }
        })
    }
}

/// How often each outcome came, the greatest peak in per cent of its limit, and what broke the law.
#[derive(Default)]
struct Tally {
    outcomes: BTreeMap<&'static str, u64>,
    peak: u64,
    broken: Vec<String>,
}

impl Tally {
    fn add(&mut self, mutant: &Mutant, number: u64) {
        let mut outcome = None;
        let held = allocation_counter::measure(|| {
            outcome = catch_unwind(AssertUnwindSafe(|| mutant.try_it())).ok();
        });
        match outcome {
            Some(outcome) => {
                *self
                    .outcomes
                    .entry(outcome.unwrap_or("accepted"))
                    .or_default() += 1;
            }
            None => self.broken.push(format!("mutant {number} panicked")),
        }
        let peak = held.bytes_max * 100 / (PEAK_TIMES * mutant.bytes() as u64 + PEAK_BYTES);
        self.peak = self.peak.max(peak);
        if peak > 100 {
            let said = format!("mutant {number} held {} bytes", held.bytes_max);
            self.broken.push(said);
        }
    }

    fn join(&mut self, other: Self) {
        for (kind, count) in other.outcomes {
            *self.outcomes.entry(kind).or_default() += count;
        }
        self.peak = self.peak.max(other.peak);
        self.broken.extend(other.broken);
    }
}

fn try_all(sound: &Specimens, numbers: Range<u64>) -> Tally {
    let share = |first: u64| {
        let mut tally = Tally::default();
        for number in numbers.clone().filter(|n| n % THREADS == first) {
            tally.add(&Mutant::new(sound, number), number);
        }
        tally
    };
    thread::scope(|scope| {
        let runs: Vec<_> = (0..THREADS)
            .map(|first| scope.spawn(move || share(first)))
            .collect();
        let mut tally = Tally::default();
        for run in runs {
            tally.join(run.join().unwrap());
        }
        tally
    })
}

#[test]
fn sound_records_are_accepted() {
    let sound = Specimens::new();
    let outcome = |mutant: Mutant| mutant.try_it();
    assert_eq!(
        outcome(Mutant::Version(sound.manifest.clone().into())),
        None
    );
    let removed = outcome(Mutant::Version(sound.tombstone.clone().into()));
    assert_eq!(removed, Some("removed"));
    assert_eq!(outcome(Mutant::Rollouts(sound.rollouts)), None);
}

#[test]
fn no_changed_record_panics_takes_more_than_its_share_or_hides_older_ones() {
    let tally = try_all(&Specimens::new(), 0..MUTANTS);
    println!(
        "{MUTANTS} mutants: {:?}; greatest peak {} % of its limit",
        tally.outcomes, tally.peak
    );
    assert!(tally.broken.is_empty(), "{:#?}", tally.broken);
    // Mutants that are all refused, or all for one reason, would try little.
    for kind in [
        "accepted",
        "corrupt",
        "removed",
        "too_large",
        "unsupported_format",
        "no number",
    ] {
        let count = tally.outcomes.get(kind).copied().unwrap_or(0);
        assert!(count > 10, "{count} mutants were {kind}");
    }
}

#[test]
fn records_that_broke_the_law_once_keep_it() {
    let (sound, mut tally) = (Specimens::new(), Tally::default());
    for number in SEEN_BEFORE {
        tally.add(&Mutant::new(&sound, *number), *number);
    }
    assert!(tally.broken.is_empty(), "{:#?}", tally.broken);
}
