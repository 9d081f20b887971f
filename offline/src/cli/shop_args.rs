//! What `train` and `evaluate` are told in the same way: the shop, the split, the parameters.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::json;
use super::report::{Report, html};
use crate::error::Error;
use crate::ingest::read_shop;
use crate::mapping::{Cut, EvaluationPlan, Mapping, ModelSettings, Seen};
use crate::progress::Progress;
use crate::shop::Shop;
use crate::time_format::parse_instant;
use crate::train::TrainOptions;

/// A build that knows its commit says so; `--code-commit` wins.
const BUILT_FROM: Option<&str> = option_env!("HOTSHELF_CODE_COMMIT");

#[derive(Debug, Args)]
pub(super) struct ShopArgs {
    /// The shop's mapping file
    #[arg(value_name = "SHOP.TOML")]
    shop: PathBuf,
    /// Leave out events from this date or RFC 3339 time on
    #[arg(long, value_name = "DATE", value_parser = parse_instant)]
    until: Option<i64>,
    /// Evaluate on the events from this date or time on [default: the last fifth of the events]
    #[arg(long, value_name = "DATE", value_parser = parse_instant)]
    pub(super) cut: Option<i64>,
    /// Length of the evaluated lists [default: 10]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..=100))]
    k: Option<u64>,
    /// Products that a user had before the cut [default: excluded]
    #[arg(long, value_enum)]
    seen: Option<Seen>,
    /// Threads of the fit; any number gives the same model [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Commit of the code that trains, for the model's lineage
    #[arg(long, value_name = "SHA")]
    code_commit: Option<String>,
    /// Users of each segment, and products of each popularity band, that are shown
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) samples: usize,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
    /// Write the report into this file as one self-contained HTML page, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    model: ModelSettings,
}

impl ShopArgs {
    pub(super) fn mapping(&self) -> Result<Mapping, Error> {
        Mapping::load(&self.shop)
    }

    pub(super) fn read(&self, mapping: &Mapping, progress: Progress) -> Result<Shop, Error> {
        read_shop(mapping, self.until, progress)
    }

    /// Finds what would keep a report from being written before anything is computed for it.
    pub(super) fn check_outputs(&self) -> Result<(), Error> {
        self.html.as_deref().map_or(Ok(()), html::check_writable)
    }

    /// The report for standard output, once its page is written.
    pub(super) fn hand_over(&self, report: &Report) -> Result<String, Error> {
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
