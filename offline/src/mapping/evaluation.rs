//! The `[evaluation]` table: how a shop's models are evaluated.

use std::collections::BTreeMap;

use super::section::{Section, Value};
use crate::time_format::parse_instant;

/// The cut between training and held-out events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cut {
    /// At a time, in Unix seconds.
    At(i64),
    /// At the midnight before the last share of all events (0 to 1).
    LastShare(f64),
}

/// Whether products that a user had before the cut are ranked and count as hits.
///
/// One rule for both: excluding seen products from the list and then counting them as relevant
/// would score zero by construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SeenPolicy {
    /// Neither ranked nor relevant: does the model find what is new to a user?
    Excluded,
    /// Ranked and relevant: does it predict what a user does next, repeats included?
    Included,
}

impl SeenPolicy {
    /// The word in files, flags and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Excluded => "excluded",
            Self::Included => "included",
        }
    }
}

/// How models of a shop are evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationPlan {
    /// The cut between training and held-out events.
    pub cut: Cut,
    /// Length of the ranked lists.
    pub k: usize,
    /// Whether seen products are ranked and relevant.
    pub seen: SeenPolicy,
    /// Interaction types that count as hits; all of them if empty.
    pub relevant: Vec<String>,
}

impl Default for EvaluationPlan {
    /// The last fifth of the events, lists of 10, without seen products, as the server answers.
    fn default() -> Self {
        Self {
            cut: Cut::LastShare(0.2),
            k: 10,
            seen: SeenPolicy::Excluded,
            relevant: Vec::new(),
        }
    }
}

/// Longest list that is evaluated; the server's own limit.
pub(crate) const K_MAX: u64 = 100;

pub(super) fn read_evaluation(
    section: Option<Section<'_>>,
    weights: &BTreeMap<String, f32>,
) -> EvaluationPlan {
    let mut plan = EvaluationPlan::default();
    let Some(mut section) = section else {
        return plan;
    };
    let at = section.value("cut");
    let share = section.value("last_share");
    if at.is_some() && share.is_some() {
        section.complain("needs either cut or last_share, not both");
    }
    if let Some(at) = at.as_ref().and_then(read_cut) {
        plan.cut = at;
    }
    if let Some(share) = share.and_then(|value| value.number_in(0.001..=0.999)) {
        plan.cut = Cut::LastShare(share);
    }
    if let Some(k) = section
        .value("k")
        .and_then(|value| value.whole_in(1..=K_MAX))
    {
        plan.k = k as usize;
    }
    if let Some(seen) = section.value("seen").as_ref().and_then(read_seen) {
        plan.seen = seen;
    }
    if let Some(value) = section.value("relevant") {
        plan.relevant = value.texts().unwrap_or_default();
        for kind in plan
            .relevant
            .iter()
            .filter(|kind| !weights.contains_key(*kind))
        {
            value.complain(format!(
                "names {kind:?}, an interaction type without a weight"
            ));
        }
    }
    section.finish();
    plan
}

fn read_cut(value: &Value<'_>) -> Option<Cut> {
    let text = value.date()?;
    parse_instant(&text)
        .map(Cut::At)
        .map_err(|why| value.complain(format!("is wrong: {why}")))
        .ok()
}

fn read_seen(value: &Value<'_>) -> Option<SeenPolicy> {
    match value.text()?.as_str() {
        "excluded" => Some(SeenPolicy::Excluded),
        "included" => Some(SeenPolicy::Included),
        other => {
            value.complain(format!("is {other:?}, neither excluded nor included"));
            None
        }
    }
}
