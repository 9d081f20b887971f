//! The `hotshelf` binary.

use std::process::ExitCode;

/// glibc's allocator keeps what a retired version gave back; this one returns it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hotshelf::cli::run()
}
