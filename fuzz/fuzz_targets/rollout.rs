//! Reads the input as a rollout record after two sound ones.

#![no_main]
#![allow(
    dead_code,
    reason = "the laws are shared with tests that use more of them"
)]

#[path = "../../model-registry/tests/it/hostile/law.rs"]
mod law;
#[path = "../../model-registry/tests/it/hostile/specimen.rs"]
mod specimen;

use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

static SPECIMENS: LazyLock<specimen::Specimens> = LazyLock::new(specimen::Specimens::new);

fuzz_target!(|input: &[u8]| {
    let mut records = SPECIMENS.rollouts.clone();
    records[2] = Bytes::copy_from_slice(input);
    law::block_on(law::try_rollouts(&records));
});
