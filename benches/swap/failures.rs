//! Requests of a load that failed, and how.

use crate::load::{Outcome, Sample};
use crate::serving::server::Server;
use std::collections::BTreeMap;

/// Requests that were not answered.
pub(crate) fn failed(samples: &[Sample]) -> usize {
    count(samples, |outcome| outcome != Outcome::Answered)
}

fn count(samples: &[Sample], is: impl Fn(Outcome) -> bool) -> usize {
    samples.iter().filter(|one| is(one.outcome)).count()
}

/// Failed calls since then by the code that the server counted, and those without an answer.
pub(crate) fn failed_by_code(
    server: &Server,
    before: &BTreeMap<String, u64>,
    samples: &[Sample],
) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut failed = server.calls_by_code()?;
    for (code, count) in &mut failed {
        *count -= before.get(code).copied().unwrap_or(0);
    }
    failed.remove("OK");
    let lost = count(samples, |outcome| outcome == Outcome::Lost);
    failed.insert("no answer".to_owned(), lost as u64);
    failed.retain(|_, count| *count > 0);
    Ok(failed)
}

/// ` (UNAVAILABLE 12, no answer 3)`; nothing where none failed.
pub(crate) fn in_words(failed: &BTreeMap<String, u64>) -> String {
    let each: Vec<String> = failed
        .iter()
        .map(|(code, count)| format!("{code} {count}"))
        .collect();
    if each.is_empty() {
        String::new()
    } else {
        format!(" ({})", each.join(", "))
    }
}
