//! Arguments that `train` and `evaluate` share: shop, evaluation, report, parameters.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::json;
use super::report::{RunReport, html};
use crate::error::Error;
use crate::ingest::{IngestOptions, IngestReport, read_shop};
use crate::mapping::{Cut, EvaluationPlan, Mapping, ModelSettings, SeenPolicy};
use crate::outputs::{self, RunPath};
use crate::progress::Progress;
use crate::shop::Shop;
use crate::time_format::parse_instant;
use crate::train::TrainOptions;

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
    /// Hold out events from this time on [default: the last fifth]
    #[arg(long, value_name = "DATE", value_parser = parse_instant, help_heading = "Evaluation")]
    pub(super) cut: Option<i64>,
    /// Evaluate lists of this length [default: 10]
    #[arg(long, value_name = "LENGTH", value_parser = clap::value_parser!(u64).range(1..=100))]
    #[arg(help_heading = "Evaluation")]
    k: Option<u64>,
    /// Rank and count seen products, or neither [default: excluded]
    #[arg(
        long,
        value_enum,
        value_name = "excluded|included",
        hide_possible_values = true
    )]
    #[arg(help_heading = "Evaluation")]
    seen: Option<SeenPolicy>,
    /// Fit on this many threads [default: all cores]
    #[arg(long, value_name = "COUNT", help_heading = "Training")]
    threads: Option<NonZeroUsize>,
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
        let html = self.html.as_ref();
        let html = html.map(|path| RunPath::file("--html", path));
        let mut all_outputs = mapping.quarantines();
        all_outputs.extend(outputs);
        all_outputs.extend(html.clone());
        let mut all_inputs = mapping.inputs();
        all_inputs.extend(inputs);
        outputs::check(&all_inputs, &all_outputs)?;
        html.map_or(Ok(()), |html| {
            outputs::check_replaceable(&html, html::is_page, self.force)
        })
    }

    /// Writes the HTML page, if any, and returns the report for standard output.
    pub(super) fn finish(&self, report: &RunReport) -> Result<String, Error> {
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
        let plan = EvaluationPlan {
            cut: self.cut.map_or(mapping.evaluation.cut, Cut::At),
            k: self.k.map_or(mapping.evaluation.k, |k| k as usize),
            seen: self.seen.unwrap_or(mapping.evaluation.seen),
            relevant: mapping.evaluation.relevant.clone(),
        };
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
            code_commit: self
                .code_commit
                .clone()
                .or_else(|| BUILT_FROM.map(str::to_owned)),
        })
    }
}
