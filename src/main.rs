//! The `hotshelf` binary.

use std::process::ExitCode;

/// glibc's allocator keeps what a retired version gave back; this one returns it, on a thread of its own and
/// not on those that serve. `.cargo/config.toml` says how soon.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    hotshelf::cli::run()
}
