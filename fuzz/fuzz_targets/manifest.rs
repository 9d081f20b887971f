//! Reads the input as the record of a version: a manifest or a tombstone.

#![no_main]
#![allow(
    dead_code,
    reason = "the laws are shared with tests that use more of them"
)]

#[path = "../../model-registry/tests/it/hostile/law.rs"]
mod law;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    law::block_on(law::try_version(Bytes::copy_from_slice(input)));
});
