//! The `[evaluation]` table: how a shop's models are evaluated.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::section::{Section, Value};
use crate::time_format::parse_instant;

/// How events are split into training and held-out events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SplitRule {
    /// By time: what follows the cut is held out.
    Time(Cut),
    /// The last relevant event of each user is held out.
    LeaveLastOut,
    /// The shop's own files: those of `[evaluation] test` are held out.
    Given,
}

impl SplitRule {
    /// The word in files, flags and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Time(_) => "time",
            Self::LeaveLastOut => "leave_last_out",
            Self::Given => "given",
        }
    }
}

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
    /// How events are split.
    pub split: SplitRule,
    /// Lengths of the ranked lists, at least one; the first decides verdicts and tuning.
    pub lengths: Vec<usize>,
    /// Whether seen products are ranked and relevant.
    pub seen: SeenPolicy,
    /// Interaction types that count as hits; all of them if empty.
    pub relevant: Vec<String>,
    /// By how much nDCG may be worse before the gate refuses, 0 to 1.
    pub margin: f64,
    /// Where the split was chosen, for messages: file, line and key, or a flag.
    pub origin: String,
}

impl Default for EvaluationPlan {
    /// The last fifth of the events, lists of 10, without seen products, as the server answers.
    fn default() -> Self {
        Self {
            split: SplitRule::Time(Cut::LastShare(0.2)),
            lengths: vec![10],
            seen: SeenPolicy::Excluded,
            relevant: Vec::new(),
            margin: MARGIN,
            origin: "the default split".to_owned(),
        }
    }
}

impl EvaluationPlan {
    /// The length that decides: the first.
    pub fn k(&self) -> usize {
        self.lengths[0]
    }

    /// Whether lists include products that a user had.
    pub(crate) fn includes_seen(&self) -> bool {
        self.seen == SeenPolicy::Included
    }
}

/// Longest list that is evaluated; the server's own limit.
pub(crate) const K_MAX: u64 = 100;
/// Most lengths of one evaluation; each is a query of its own for every user and strategy.
pub(crate) const LENGTHS_MAX: usize = 10;
/// Default of `margin` (chosen: well below the differences that people act on).
const MARGIN: f64 = 0.001;

/// The table as it was read.
pub(super) struct Evaluation {
    pub(super) plan: EvaluationPlan,
    /// Files of held-out events, as the mapping names them, and their paths.
    pub(super) test: Vec<(String, PathBuf)>,
}

pub(super) fn read_evaluation(
    section: Option<Section<'_>>,
    (file, folder): (&Path, &Path),
    weights: &BTreeMap<String, f32>,
) -> Evaluation {
    let mut plan = EvaluationPlan::default();
    let Some(mut section) = section else {
        return Evaluation {
            plan,
            test: Vec::new(),
        };
    };
    let test = read_split(&mut section, &mut plan, file);
    if let Some(lengths) = section.value("k").as_ref().and_then(read_lengths) {
        plan.lengths = lengths;
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
    if let Some(margin) = section
        .value("margin")
        .and_then(|value| value.number_in(0.0..=1.0))
    {
        plan.margin = margin;
    }
    section.finish();
    let test = test.into_iter().map(|name| {
        let path = folder.join(&name);
        (name, path)
    });
    Evaluation {
        plan,
        test: test.collect(),
    }
}

/// Reads the keys of the split into the plan; returns the test files.
fn read_split(section: &mut Section<'_>, plan: &mut EvaluationPlan, file: &Path) -> Vec<String> {
    let at = section.value("cut");
    let share = section.value("last_share");
    let split = section.value("split");
    let test = section.value("test");
    if at.is_some() && share.is_some() {
        section.complain("needs either cut or last_share, not both");
    }
    let is_cut = at.is_some() || share.is_some();
    let origin = |key: &str, line| format!("{}, line {line}: evaluation.{key}", file.display());
    let cut = at.as_ref().map(|value| ("cut", value.line()));
    let cut = cut.or_else(|| Some(("last_share", share.as_ref()?.line())));
    if let Some((key, line)) = cut {
        plan.origin = origin(key, line);
    }
    if let Some(at) = at.as_ref().and_then(read_cut) {
        plan.split = SplitRule::Time(at);
    }
    if let Some(share) = share.and_then(|value| value.number_in(0.001..=0.999)) {
        plan.split = SplitRule::Time(Cut::LastShare(share));
    }
    if let Some(split) = split {
        if !is_cut {
            plan.origin = origin("split", split.line());
        }
        let rule = match split.text().as_deref() {
            Some("time") => Some(plan.split),
            Some("leave_last_out") => Some(SplitRule::LeaveLastOut),
            Some("given") => Some(SplitRule::Given),
            Some(other) => {
                split.complain(format!(
                    "is {other:?}, neither time, leave_last_out nor given"
                ));
                None
            }
            None => None,
        };
        plan.split = rule.unwrap_or(plan.split);
        if is_cut && !matches!(plan.split, SplitRule::Time(_)) {
            split.complain("must be \"time\" where cut or last_share is set");
        }
        if plan.split == SplitRule::Given && test.is_none() {
            split.complain("is \"given\" and needs the held-out files in evaluation.test");
        }
    }
    if let Some(test) = test.as_ref().filter(|_| plan.split != SplitRule::Given) {
        test.complain("needs split = \"given\"");
    }
    test.and_then(|test| test.texts()).unwrap_or_default()
}

fn read_cut(value: &Value<'_>) -> Option<Cut> {
    let text = value.date()?;
    parse_instant(&text)
        .map(Cut::At)
        .map_err(|why| value.complain(format!("is wrong: {why}")))
        .ok()
}

fn read_lengths(value: &Value<'_>) -> Option<Vec<usize>> {
    let lengths = value.whole_numbers_in(1..=K_MAX)?;
    let lengths: Vec<usize> = lengths.into_iter().map(|k| k as usize).collect();
    check_lengths(&lengths)
        .map_err(|why| value.complain(why))
        .ok()
        .map(|()| lengths)
}

/// Whether lists of these lengths can be evaluated; errs with the rest of a sentence.
pub(crate) fn check_lengths(lengths: &[usize]) -> Result<(), String> {
    let has_twins = (1..lengths.len()).any(|at| lengths[..at].contains(&lengths[at]));
    if has_twins {
        return Err("must not name a length twice".to_owned());
    }
    if lengths.is_empty() || lengths.len() > LENGTHS_MAX {
        let found = lengths.len();
        return Err(format!("must name 1 to {LENGTHS_MAX} lengths, not {found}"));
    }
    Ok(())
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
