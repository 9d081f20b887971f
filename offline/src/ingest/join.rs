//! Joins of product ids: how many match on both sides, and the refusal where next to none do.
//!
//! Ids that differ in form alone (`101` and `101.0`) join nothing and break nothing: the model
//! merely has no names, prices or embeddings. So every join is counted, and one that matches next
//! to nothing is an error.

use std::collections::BTreeSet;

use super::report::JoinReport;

/// Ids shown of each side.
const EXAMPLES: usize = 3;

/// Products with events against the products of another source.
pub(super) struct Join<'a> {
    pub(super) with_events: BTreeSet<&'a str>,
    pub(super) other: BTreeSet<&'a str>,
    /// What the other source is, for messages: `the catalogue`.
    pub(super) other_name: &'static str,
}

impl Join<'_> {
    /// Counts both sides. Errs with a sentence if fewer than `at_least`, a share, match of either
    /// side: a catalogue may list a few products of many, or many of which few have events.
    pub(super) fn check(&self, at_least: f64) -> Result<JoinReport, String> {
        let matched = self.with_events.intersection(&self.other).count();
        let report = JoinReport {
            matched,
            events_only: self.with_events.len() - matched,
            other_only: self.other.len() - matched,
        };
        let smaller = self.with_events.len().min(self.other.len());
        let enough = matched as f64 >= at_least * smaller as f64 && matched > 0;
        if enough || at_least == 0.0 {
            return Ok(report);
        }
        let name = self.other_name;
        Err(format!(
            "of {} products with events {matched} are in {name}, which has {}; below \
             catalogue.matched_at_least = {at_least}. Only in the events: {}; only in {name}: {}",
            self.with_events.len(),
            self.other.len(),
            examples(self.with_events.difference(&self.other)),
            examples(self.other.difference(&self.with_events)),
        ))
    }
}

fn examples<'a>(ids: impl Iterator<Item = &'a &'a str>) -> String {
    let quoted: Vec<String> = ids.take(EXAMPLES).map(|id| format!("{id:?}")).collect();
    if quoted.is_empty() {
        return "none".to_owned();
    }
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn join<'a>(with_events: &[&'a str], other: &[&'a str]) -> Join<'a> {
        Join {
            with_events: with_events.iter().copied().collect(),
            other: other.iter().copied().collect(),
            other_name: "the catalogue",
        }
    }

    #[test]
    fn both_sides_are_counted() {
        let report = join(&["a", "b", "c"], &["c", "d"]).check(0.01).unwrap();
        let expected = JoinReport {
            matched: 1,
            events_only: 2,
            other_only: 1,
        };
        assert_eq!(report, expected);
    }

    #[test]
    fn ids_of_another_form_are_refused_with_examples_of_both() {
        let refusal = join(&["101", "102"], &["101.0", "102.0"])
            .check(0.01)
            .unwrap_err();
        assert_eq!(
            refusal,
            "of 2 products with events 0 are in the catalogue, which has 2; below \
             catalogue.matched_at_least = 0.01. Only in the events: \"101\", \"102\"; only in the \
             catalogue: \"101.0\", \"102.0\""
        );
        assert!(join(&["101"], &["0101"]).check(0.0).is_ok(), "0 allows it");
    }

    #[test]
    fn few_products_of_many_may_match() {
        let many: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(join(&many, &["7"]).check(0.01).is_ok());
        assert!(join(&["7"], &many).check(0.01).is_ok());
        let strange: Vec<String> = (999..1999).map(|n| n.to_string()).collect();
        let strange: Vec<&str> = strange.iter().map(String::as_str).collect();
        assert!(join(&many, &strange).check(0.01).is_err(), "1 of 1000");
    }
}
