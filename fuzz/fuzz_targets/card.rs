//! Replaces the card of a sound model with the input.

#![no_main]
#![allow(
    dead_code,
    reason = "the laws are shared with tests that use more of them"
)]

#[path = "../../model/tests/it/hostile/law.rs"]
mod law;
#[path = "../../model/tests/it/hostile/specimen.rs"]
mod specimen;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static SPECIMENS: LazyLock<Vec<specimen::Specimen>> = LazyLock::new(specimen::specimens);

fuzz_target!(|input: &[u8]| {
    if let Some(card) = law::read_card(input) {
        for specimen in SPECIMENS.iter() {
            law::try_artifact(&card, &specimen.parts);
        }
    }
});
