//! Replaces one part of a sound model with the input; its first byte selects the model and the part.

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

use libfuzzer_sys::{Corpus, fuzz_target};

static SPECIMENS: LazyLock<Vec<specimen::Specimen>> = LazyLock::new(specimen::specimens);

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((choice, bytes)) = input.split_first() else {
        return Corpus::Reject;
    };
    let specimen = &SPECIMENS[usize::from(choice >> 4) % SPECIMENS.len()];
    let Some(name) = specimen.parts.keys().nth(usize::from(choice & 15)) else {
        return Corpus::Reject;
    };
    let mut parts = specimen.parts.clone();
    parts.insert(name.clone(), bytes.to_vec().into());
    law::try_artifact(&specimen.read, &parts);
    Corpus::Keep
});
