//! A thousand swaps under steady load, and what they leave behind.

use crate::failures::{failed, failed_by_code, in_words};
use crate::load::{self, Pace};
use crate::operator::Operator;
use crate::serving::server::Server;
use crate::serving::stock::Stock;
use crate::windows::{capacity, plan};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The swap after which things are counted for the first time.
const FIRST_COUNTED: usize = 5;
/// Of the capacity: steady, and with room for the loads on the same core.
const LOAD_SHARE: f64 = 0.25;
/// For the allocator to give back what it holds for a moment.
const SETTLE: Duration = Duration::from_secs(2);
const MIB: f64 = 1024.0 * 1024.0;

/// What a process holds.
#[derive(Clone, Copy, serde::Serialize)]
struct Held {
    anonymous_bytes: u64,
    descriptors: usize,
    threads: usize,
}

/// The table's figures.
#[derive(serde::Serialize)]
pub(crate) struct Row {
    swaps: usize,
    took_s: f64,
    requests: usize,
    failed: usize,
    /// How they failed: a code of the server's, or that nothing came back.
    failed_by_code: BTreeMap<String, u64>,
    after_fifth: Held,
    after_last: Held,
    /// Before any version came.
    empty_bytes: u64,
    /// With the smaller version live.
    small_bytes: u64,
    /// Largest peak of a swap after the fifth, anonymous memory.
    peak_bytes: u64,
    /// That over what the process holds by itself, the old and the new version.
    peak_ratio: f64,
}

pub(crate) fn measure(folder: &Path, shop: Stock, swaps: usize) -> anyhow::Result<Row> {
    anyhow::ensure!(
        swaps > FIRST_COUNTED && swaps % 2 == 1,
        "--swaps: an odd number above {FIRST_COUNTED}, so that one version is live after the fifth and the last"
    );
    let empty_bytes = {
        let idle = Server::start_idle(tempfile::tempdir()?.path(), &[])?;
        std::thread::sleep(SETTLE);
        idle.memory()?.anonymous
    };
    let server = Server::start_apart(folder, &[("cache-bytes-max", "0")])?;
    let operator = Operator::of(&server)?;
    if operator.live()? != 1 {
        operator.swap_to(1)?;
    }
    let rate = capacity(&server, shop)? * LOAD_SHARE;
    let calls_before = server.calls_by_code()?;
    let (plan, stop) = (
        plan(&server, shop, Pace::Open { rate }),
        AtomicBool::new(false),
    );
    let began = Instant::now();
    let (samples, counted) = std::thread::scope(|scope| {
        let loaded = scope.spawn(|| load::run(&plan, || stop.load(Ordering::Relaxed)));
        let counted = swap_and_count(&server, &operator, swaps);
        stop.store(true, Ordering::Relaxed);
        (
            loaded.join().expect("the load's thread does not panic"),
            counted,
        )
    });
    let (samples, counted) = (samples?, counted?);
    let both = counted.small_bytes + counted.after_fifth.anonymous_bytes;
    let room = both.saturating_sub(empty_bytes);
    Ok(Row {
        swaps,
        took_s: began.elapsed().as_secs_f64(),
        requests: samples.len(),
        failed: failed(&samples),
        failed_by_code: failed_by_code(&server, &calls_before, &samples)?,
        empty_bytes,
        peak_ratio: counted.peak_bytes as f64 / room as f64,
        after_fifth: counted.after_fifth,
        after_last: counted.after_last,
        small_bytes: counted.small_bytes,
        peak_bytes: counted.peak_bytes,
    })
}

struct Counted {
    small_bytes: u64,
    after_fifth: Held,
    after_last: Held,
    peak_bytes: u64,
}

fn swap_and_count(server: &Server, operator: &Operator, swaps: usize) -> anyhow::Result<Counted> {
    let (mut small_bytes, mut after_fifth, mut peak_bytes) = (0, None, 0);
    for swap in 1..=swaps {
        server.forget_peak()?;
        // Odd swaps go to the larger version, even ones back.
        operator.swap_to(if swap % 2 == 1 { 2 } else { 1 })?;
        let memory = server.memory()?;
        if swap > FIRST_COUNTED {
            peak_bytes = peak_bytes.max(memory.peak.saturating_sub(memory.file));
        }
        if swap == FIRST_COUNTED - 1 {
            std::thread::sleep(SETTLE);
            small_bytes = server.memory()?.anonymous;
        }
        if swap == FIRST_COUNTED {
            after_fifth = Some(held(server)?);
        }
    }
    Ok(Counted {
        small_bytes,
        after_fifth: after_fifth.expect("more swaps than that are asked for"),
        after_last: held(server)?,
        peak_bytes,
    })
}

fn held(server: &Server) -> anyhow::Result<Held> {
    std::thread::sleep(SETTLE);
    Ok(Held {
        anonymous_bytes: server.memory()?.anonymous,
        descriptors: server.descriptors()?,
        threads: server.threads()?,
    })
}

impl Row {
    pub(crate) fn print(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let mib = |bytes: u64| bytes as f64 / MIB;
        writeln!(
            out,
            "\nmany: {} swaps in {:.0} s under steady load, a quarter of the capacity: {} requests, {} failed{}",
            self.swaps,
            self.took_s,
            self.requests,
            self.failed,
            in_words(&self.failed_by_code)
        )?;
        writeln!(
            out,
            "{:16} {:>16} {:>12} {:>8}",
            "", "anonymous MiB", "descriptors", "threads"
        )?;
        for (name, held) in [
            ("after the fifth", self.after_fifth),
            ("after the last", self.after_last),
        ] {
            writeln!(
                out,
                "{name:16} {:>16.1} {:>12} {:>8}",
                mib(held.anonymous_bytes),
                held.descriptors,
                held.threads
            )?;
        }
        writeln!(
            out,
            "peak {:.1} MiB = {:.3} of empty server + old + new ({:.1} MiB empty, {:.1} with the smaller version)",
            mib(self.peak_bytes),
            self.peak_ratio,
            mib(self.empty_bytes),
            mib(self.small_bytes)
        )?;
        Ok(())
    }
}
