//! The results of the traffic, as JSON and as text.

use super::traffic::{Phase, Sample};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// The demo's result; `--json` prints it as it is.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Requests sent.
    pub(super) requests: usize,
    /// Requests without a response.
    pub(super) failed: usize,
    /// Versions swapped under traffic.
    pub(super) swaps: usize,
    /// Responses by version.
    versions: BTreeMap<u64, usize>,
    /// Median over all requests outside training.
    p50_ms: f64,
    /// 99th percentile before the swap, with nothing else running.
    p99_ms_steady: f64,
    /// 99th percentile from the call of ReloadModel to a second after its answer.
    p99_ms_swap: f64,
    /// 99th percentile after the swap.
    p99_ms_after: f64,
    /// Messages of failed requests, each once.
    errors: Vec<String>,
}

impl Report {
    pub(super) fn of(samples: &[Sample], swaps: usize) -> Self {
        let mut versions = BTreeMap::new();
        let mut errors = Vec::new();
        for sample in samples {
            match &sample.outcome {
                Ok(version) => *versions.entry(*version).or_insert(0) += 1,
                Err(error) if errors.contains(error) => {}
                Err(error) => errors.push(error.clone()),
            }
        }
        let of = |phase: Phase| samples.iter().filter(move |sample| sample.phase == phase);
        let undisturbed = samples
            .iter()
            .filter(|sample| sample.phase != Phase::Training);
        Self {
            requests: samples.len(),
            failed: samples
                .iter()
                .filter(|sample| sample.outcome.is_err())
                .count(),
            swaps,
            versions,
            p50_ms: quantile_ms(undisturbed, 0.5),
            p99_ms_steady: quantile_ms(of(Phase::Steady), 0.99),
            p99_ms_swap: quantile_ms(of(Phase::Swap), 0.99),
            p99_ms_after: quantile_ms(of(Phase::After), 0.99),
            errors,
        }
    }

    /// One line of the live display.
    pub(super) fn line(phase: Phase, samples: &[Sample]) -> String {
        let failed = samples
            .iter()
            .filter(|sample| sample.outcome.is_err())
            .count();
        let newest = samples
            .iter()
            .rev()
            .find_map(|sample| sample.outcome.as_ref().ok());
        format!(
            "{:8} {:6} requests, {failed} failed, p50 {:.2} ms, p99 {:.2} ms, latest response from version {}",
            phase.as_str(),
            samples.len(),
            quantile_ms(samples.iter(), 0.5),
            quantile_ms(samples.iter(), 0.99),
            newest.map_or("none".to_owned(), u64::to_string),
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions: Vec<String> = self
            .versions
            .iter()
            .map(|(v, count)| format!("version {v}: {count}"))
            .collect();
        writeln!(
            f,
            "{} requests, {} failed, {} swap",
            self.requests, self.failed, self.swaps
        )?;
        writeln!(f, "responses by {}", versions.join(", "))?;
        writeln!(
            f,
            "p50 {:.2} ms; p99 steady {:.2} ms, during the swap {:.2} ms, after {:.2} ms",
            self.p50_ms, self.p99_ms_steady, self.p99_ms_swap, self.p99_ms_after
        )?;
        for error in &self.errors {
            writeln!(f, "failed: {error}")?;
        }
        Ok(())
    }
}

/// The smallest latency that a share `q` of the samples does not exceed, in milliseconds; 0 for none.
fn quantile_ms<'a>(samples: impl Iterator<Item = &'a Sample>, q: f64) -> f64 {
    let mut latencies: Vec<_> = samples.map(|sample| sample.latency).collect();
    latencies.sort_unstable();
    let rank = (q * latencies.len() as f64).ceil() as usize;
    latencies
        .get(rank.saturating_sub(1))
        .map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sample(phase: Phase, ms: u64, outcome: Result<u64, String>) -> Sample {
        Sample {
            phase,
            latency: Duration::from_millis(ms),
            outcome,
        }
    }

    #[test]
    fn quantiles_are_nearest_rank() {
        let samples: Vec<_> = (1..=100)
            .map(|ms| sample(Phase::Steady, ms, Ok(1)))
            .collect();
        assert_eq!(quantile_ms(samples.iter(), 0.5), 50.0);
        assert_eq!(quantile_ms(samples.iter(), 0.99), 99.0);
        assert_eq!(quantile_ms([].iter(), 0.99), 0.0);
    }

    #[test]
    fn every_failure_counts_and_its_message_is_listed_once() {
        let bad = || Err("UNAVAILABLE".to_owned());
        let samples = [
            sample(Phase::Steady, 1, Ok(1)),
            sample(Phase::Swap, 2, bad()),
            sample(Phase::Swap, 3, bad()),
            sample(Phase::After, 4, Ok(2)),
        ];
        let report = Report::of(&samples, 1);
        assert_eq!((report.requests, report.failed), (4, 2));
        assert_eq!(report.versions, BTreeMap::from([(1, 1), (2, 1)]));
        assert_eq!(report.errors, ["UNAVAILABLE"]);
        assert_eq!(report.p99_ms_swap, 3.0);
    }
}
