//! Arguments that `train` and `evaluate` share: shop, evaluation, report, parameters.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use hotshelf_model::CpuPath;

use super::json;
use super::report::{RunReport, html};
use crate::error::Error;
use crate::evaluate::{PerUser, is_per_user};
use crate::ingest::{IngestOptions, IngestReport, read_shop};
use crate::mapping::{
    Cut, EvaluationPlan, K_MAX, Mapping, ModelSettings, SeenPolicy, SplitRule, check_lengths,
};
use crate::outputs::{self, RunPath};
use crate::progress::Progress;
use crate::shop::Shop;
use crate::time_format::parse_instant;
use crate::train::TrainOptions;
use crate::tune::TuneOptions;

/// Commit of the code, if the build knew it; `--code-commit` overrides it.
const BUILT_FROM: Option<&str> = option_env!("HOTSHELF_CODE_COMMIT");

#[derive(Debug, Args)]
pub(super) struct ShopArgs {
    /// Mapping file of the shop
    #[arg(value_name = "SHOP.TOML")]
    shop: PathBuf,
    /// Drop events from this time on
    #[arg(long, value_name = "DATE", value_parser = parse_instant, help_heading = "Data")]
    until: Option<i64>,
    /// Split by time, or hold out each user's last event
    #[arg(long, value_name = "time|leave_last_out", value_parser = ["time", "leave_last_out"])]
    #[arg(hide_possible_values = true, help_heading = "Evaluation")]
    split: Option<String>,
    /// Hold out events from this time on [default: the last fifth]
    #[arg(long, value_name = "DATE", value_parser = parse_instant, help_heading = "Evaluation")]
    pub(super) cut: Option<i64>,
    /// Evaluate lists of these lengths, the first decides [default: 10]
    #[arg(long, value_name = "LENGTHS", value_delimiter = ',')]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=K_MAX), help_heading = "Evaluation")]
    k: Option<Vec<u64>>,
    /// Rank and count seen products, or neither [default: excluded]
    #[arg(
        long,
        value_enum,
        value_name = "excluded|included",
        hide_possible_values = true
    )]
    #[arg(help_heading = "Evaluation")]
    seen: Option<SeenPolicy>,
    /// Tolerate an nDCG lower by this much [default: 0.001]
    #[arg(long, value_name = "0..1", value_parser = margin, help_heading = "Evaluation")]
    margin: Option<f64>,
    /// Write the scores of every user and list as CSV
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(super) per_user: Option<PathBuf>,
    /// Fit on this many threads [default: all cores]
    #[arg(long, value_name = "COUNT", help_heading = "Training")]
    threads: Option<NonZeroUsize>,
    /// Compute with these instructions; every choice gives the same bytes [default: the fastest]
    #[arg(long, value_name = "portable|avx2|avx512", value_parser = cpu_path)]
    #[arg(help_heading = "Training")]
    cpu: Option<CpuPath>,
    /// Record the commit of the training code
    #[arg(long, value_name = "SHA", help_heading = "Training")]
    code_commit: Option<String>,
    /// Show this many users per segment and products per band
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 1,
        help_heading = "Report"
    )]
    pub(super) samples: usize,
    /// Print the report as one JSON object
    #[arg(long, help_heading = "Report")]
    pub(super) json: bool,
    /// Write the report as one HTML page, too
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    html: Option<PathBuf>,
    /// Replace existing files and packed models
    #[arg(long, help_heading = "Output")]
    pub(super) force: bool,
    #[command(flatten)]
    model: ModelSettings,
}

impl ShopArgs {
    pub(super) fn mapping(&self) -> Result<Mapping, Error> {
        Mapping::load(&self.shop)
    }

    pub(super) fn read(
        &self,
        mapping: &Mapping,
        progress: Progress,
    ) -> Result<(Shop, IngestReport), Error> {
        let options = IngestOptions {
            until_s: self.until,
            without_test: self.split.is_some(),
            force: self.force,
        };
        read_shop(mapping, options, progress)
    }

    /// Errs early if an output is an input or another output, or would replace a foreign file.
    pub(super) fn check_paths(
        &self,
        mapping: &Mapping,
        (inputs, outputs): (Vec<RunPath>, Vec<RunPath>),
    ) -> Result<(), Error> {
        type IsOurs = fn(&[u8]) -> bool;
        let file = |flag: &str, path: &Option<PathBuf>, is_ours: IsOurs| {
            let path = path.as_ref()?;
            Some((RunPath::file(flag, path), is_ours))
        };
        let files = [
            file("--html", &self.html, html::is_page),
            file("--per-user", &self.per_user, is_per_user),
        ];
        let files: Vec<(RunPath, IsOurs)> = files.into_iter().flatten().collect();
        let mut all_outputs = mapping.quarantines();
        all_outputs.extend(outputs);
        all_outputs.extend(files.iter().map(|(path, _)| path.clone()));
        let mut all_inputs = mapping.inputs();
        all_inputs.extend(inputs);
        outputs::check(&all_inputs, &all_outputs)?;
        files
            .iter()
            .try_for_each(|(path, is_ours)| outputs::check_replaceable(path, *is_ours, self.force))
    }

    /// Writes the files that were asked for, and returns the report for standard output.
    pub(super) fn finish(&self, report: &RunReport, per_user: &PerUser) -> Result<String, Error> {
        if let Some(file) = &self.per_user {
            per_user.write(file).map_err(|source| Error::Write {
                path: file.clone(),
                source,
            })?;
        }
        if let Some(file) = &self.html {
            html::write(report, file)?;
        }
        if self.json {
            json(report)
        } else {
            Ok(report.text())
        }
    }

    /// Flags over the mapping over the defaults.
    pub(super) fn options(&self, mapping: &Mapping) -> Result<TrainOptions, Error> {
        if let Some(path) = self.cpu {
            let chosen = path.choose();
            chosen.map_err(|why| Error::Argument(format!("--cpu {}: {why}", path.as_str())))?;
        }
        let plan = self.plan(mapping)?;
        let params = self.model.over(&mapping.model).params();
        let (light, heavy) = (params.segments.light_from, params.segments.heavy_from);
        if heavy < light {
            let why = format!("heavy_from is {heavy}, below light_from, which is {light}");
            return Err(Error::Argument(why));
        }
        let threads = self
            .threads
            .or_else(|| std::thread::available_parallelism().ok());
        Ok(TrainOptions {
            plan,
            params,
            refit: true,
            threads: threads.unwrap_or(NonZeroUsize::MIN),
            live: None,
            tune: TuneOptions::plain(self.model.over(&mapping.model)),
            code_commit: self
                .code_commit
                .clone()
                .or_else(|| BUILT_FROM.map(str::to_owned)),
        })
    }

    /// The evaluation by flags over the mapping.
    fn plan(&self, mapping: &Mapping) -> Result<EvaluationPlan, Error> {
        let of_file = &mapping.evaluation;
        let mut plan = of_file.clone();
        let by_time = match of_file.split {
            SplitRule::Time(cut) => cut,
            SplitRule::LeaveLastOut | SplitRule::Given => Cut::LastShare(0.2),
        };
        if let Some(split) = &self.split {
            plan.origin = "--split".to_owned();
            plan.split = match split.as_str() {
                "time" => SplitRule::Time(by_time),
                _ => SplitRule::LeaveLastOut,
            };
        }
        if let Some(cut) = self.cut {
            let SplitRule::Time(_) = plan.split else {
                let split = plan.split.as_str();
                let why = format!(
                    "--cut needs a split by time, and {} is {split:?}",
                    plan.origin
                );
                return Err(Error::Argument(why));
            };
            plan.origin = "--cut".to_owned();
            plan.split = SplitRule::Time(Cut::At(cut));
        }
        let has_times = mapping.events.columns.timestamp.is_some();
        let needs_times = matches!(plan.split, SplitRule::Time(_)).then_some("--split time");
        if let Some(flag) = needs_times
            .or(self.until.map(|_| "--until"))
            .filter(|_| !has_times)
        {
            let why = format!("{flag} needs times, and events.columns has no timestamp");
            return Err(Error::Argument(why));
        }
        if let Some(lengths) = &self.k {
            plan.lengths = lengths.iter().map(|k| *k as usize).collect();
            let checked = check_lengths(&plan.lengths);
            checked.map_err(|why| Error::Argument(format!("--k {why}")))?;
        }
        plan.seen = self.seen.unwrap_or(plan.seen);
        plan.margin = self.margin.unwrap_or(plan.margin);
        Ok(plan)
    }
}

/// Parses the name of a CPU path.
fn cpu_path(text: &str) -> Result<CpuPath, String> {
    let mut paths = CpuPath::ALL.into_iter();
    let found = paths.find(|path| path.as_str() == text);
    found.ok_or_else(|| "not portable, avx2 or avx512".to_owned())
}

/// Parses a margin.
fn margin(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(margin) if (0.0..=1.0).contains(&margin) => Ok(margin),
        Ok(_) => Err("not in 0 to 1".to_owned()),
        Err(_) => Err("not a number".to_owned()),
    }
}
