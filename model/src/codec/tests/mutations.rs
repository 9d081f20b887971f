//! Flipped bytes and cut ends: the decoder may accept or refuse, never panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use super::*;

/// Mutations of each part.
const ROUNDS: usize = 3000;

#[test]
fn no_flipped_byte_or_cut_end_panics() {
    let (card, parts) = packed();
    let refused = mutate(&card, &parts, |_| true);
    // Most flips hit numbers, and any factor is as good as another to the decoder.
    assert!(refused > ROUNDS, "only {refused} mutations were refused");
}

#[test]
fn no_flipped_byte_of_a_graph_panics_or_never_ends() {
    let (card, parts) = index::packed_graph();
    let refused = mutate(&card, &parts, |part| part == ALS_INDEX);
    assert!(
        refused > ROUNDS / 2,
        "only {refused} mutations were refused"
    );
}

/// Mutates the parts that `is_meant` names; returns how many mutations were refused.
fn mutate(card: &ModelCard, parts: &Parts, is_meant: impl Fn(&str) -> bool) -> usize {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut below = |limit: usize| random.next_u64() as usize % limit;
    let mut refused = 0;
    for (name, bytes) in parts.iter().filter(|(name, _)| is_meant(name)) {
        for round in 0..ROUNDS {
            let mut changed = bytes.to_vec();
            // Headers and footers are where structure is: half of the flips go there.
            let len = changed.len();
            for _ in 0..1 + below(3) {
                let at = match round % 4 {
                    0 => below(len.min(512)),
                    1 => len - 1 - below(len.min(1200)),
                    _ => below(len),
                };
                changed[at] ^= 1 << below(8);
            }
            if round % 8 == 7 {
                changed.truncate(below(len));
            }
            let mut parts = parts.clone();
            parts.insert(name.clone(), changed.clone().into());
            let outcome = catch_unwind(AssertUnwindSafe(|| unpack(card, &parts)));
            let outcome = outcome.unwrap_or_else(|_| panic!("{name}, round {round}, panicked"));
            match outcome {
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().contains(name.as_str()), "{error}");
                }
                Ok(model) => {
                    let report = card.check_probes(&model, &mut Scratch::default());
                    assert_eq!(report.checked, card.probes.len());
                }
            }
        }
    }
    refused
}
