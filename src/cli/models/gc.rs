//! `hotshelf models gc`: shows unused versions, and removes them with `--apply`.

use super::{ModelArgs, block_on, write_json};
use clap::Args;
use hotshelf_registry::{Fate, GcDone, GcPlan, GcRules, GcUpload, GcVersion};
use hotshelf_terminal::quantity::{self, parse_duration};
use hotshelf_terminal::table::{Column, TextTable};
use serde::Serialize;
use std::io::Write;
use std::time::Duration;

/// Arguments of `hotshelf models gc`.
#[derive(Args)]
pub(in crate::cli) struct GcArgs {
    #[command(flatten)]
    of: ModelArgs,
    /// Keep versions of this many newest rollouts
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    keep_rollouts: u32,
    /// Keep versions younger than this, such as 7d or 36h
    #[arg(long, default_value = "7d", value_name = "DURATION", value_parser = parse_duration)]
    min_age: Duration,
    /// Remove them; otherwise only print the plan
    #[arg(long, requires = "author")]
    apply: bool,
    /// Record who removed them
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    author: String,
    /// Record why
    #[arg(long, value_name = "TEXT", default_value = "no longer needed")]
    reason: String,
}

/// Why a version stays whose removal had begun.
const TAKEN_BACK: &str = "restored: it is needed again";

/// The plan or its outcome, as `--json` prints it.
#[derive(Serialize)]
struct Report {
    model: String,
    /// False: only planned.
    applied: bool,
    versions: Vec<VersionLine>,
    uploads: Vec<UploadLine>,
    /// Replicas that have not reported for a day; their files are removed.
    gone_replicas: Vec<String>,
    /// Other files among the replica files; they are kept.
    junk_replicas: Vec<Junk>,
    /// Freed, or to be freed.
    freed_bytes: u64,
    removed_versions: Vec<u64>,
    taken_back_versions: Vec<u64>,
}

/// One version.
#[derive(Serialize)]
struct VersionLine {
    version: u64,
    is_removed: bool,
    why: String,
    size_bytes: u64,
    age_s: u64,
}

/// One upload that no record names.
#[derive(Serialize)]
struct UploadLine {
    upload: String,
    is_removed: bool,
    why: &'static str,
    size_bytes: u64,
    age_s: u64,
}

impl VersionLine {
    fn of(entry: &GcVersion) -> Self {
        let why = match &entry.fate {
            Fate::Named(rollout) => format!("rollout {rollout} uses it"),
            Fate::InUse(replica) => format!("replica {replica} uses it"),
            Fate::NotRolledOut => "newer than the newest rollout".to_owned(),
            Fate::Young => "younger than --min-age".to_owned(),
            Fate::Unreadable(why) => format!("unreadable: {why}"),
            Fate::Unneeded => "unused".to_owned(),
            Fate::HalfRemoved => "removal was interrupted".to_owned(),
            Fate::TakenBack => TAKEN_BACK.to_owned(),
        };
        Self {
            version: entry.version.get(),
            is_removed: entry.fate.is_removed(),
            why,
            size_bytes: entry.size_bytes,
            age_s: entry.age.as_secs(),
        }
    }
}

impl UploadLine {
    fn of(upload: &GcUpload) -> Self {
        Self {
            upload: upload.upload.to_string(),
            is_removed: upload.is_removed,
            why: match upload.is_removed {
                true => "no version uses it",
                false => "young, or named by an unreadable record",
            },
            size_bytes: upload.size_bytes,
            age_s: upload.age.as_secs(),
        }
    }
}

impl Report {
    fn planned(model: String, plan: &GcPlan) -> Self {
        let versions: Vec<_> = plan.versions.iter().map(VersionLine::of).collect();
        let uploads: Vec<_> = plan.uploads.iter().map(UploadLine::of).collect();
        let removed = versions.iter().filter(|line| line.is_removed);
        let bytes = removed.clone().map(|line| line.size_bytes);
        let swept = uploads.iter().filter(|line| line.is_removed);
        let bytes = bytes.chain(swept.map(|line| line.size_bytes));
        Self {
            model,
            applied: false,
            freed_bytes: bytes.fold(0, u64::saturating_add),
            removed_versions: removed.map(|line| line.version).collect(),
            taken_back_versions: Vec::new(),
            gone_replicas: plan.replicas.iter().map(ToString::to_string).collect(),
            junk_replicas: plan.junk.iter().map(junk).collect(),
            versions,
            uploads,
        }
    }

    fn done(model: String, done: &GcDone) -> Self {
        let mut planned = Self::planned(model, &done.plan);
        for (line, entry) in planned.versions.iter_mut().zip(&done.plan.versions) {
            if done.taken_back.contains(&entry.version) {
                line.is_removed = false;
                line.why = TAKEN_BACK.to_owned();
            }
        }
        Self {
            applied: true,
            freed_bytes: done.freed_bytes,
            removed_versions: done.removed.iter().map(|v| v.get()).collect(),
            taken_back_versions: done.taken_back.iter().map(|v| v.get()).collect(),
            ..planned
        }
    }
}

/// Runs `hotshelf models gc`.
pub(super) fn run(args: &GcArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let registry = args.of.open()?;
    let rules = GcRules {
        keep_rollouts: args.keep_rollouts as usize,
        min_age: args.min_age,
        ..GcRules::default()
    };
    let model = &args.of.model;
    let report = block_on(async {
        if args.apply {
            let by = (args.author.as_str(), args.reason.as_str());
            let done = registry.apply_gc(model, &rules, by).await?;
            return Ok(Report::done(model.to_string(), &done));
        }
        let plan = registry.plan_gc(model, &rules).await?;
        Ok(Report::planned(model.to_string(), &plan))
    })?;
    if args.of.output.json {
        return write_json(out, &report);
    }
    write_text(out, &report)
}

fn write_text(out: &mut dyn Write, report: &Report) -> anyhow::Result<()> {
    let (goes, stays) = match report.applied {
        true => ("removed", "kept"),
        false => ("to remove", "keep"),
    };
    let line = |what: String, (is_removed, why): (bool, &str), (bytes, age_s): (u64, u64)| {
        [
            what,
            if is_removed { goes } else { stays }.to_owned(),
            quantity::bytes(bytes),
            format!("{:.1}", age_s as f64 / 86_400.0),
            why.to_owned(),
        ]
    };
    let mut table = TextTable::new([
        Column::Left("what"),
        Column::Left("action"),
        Column::Right("size"),
        Column::Right("days"),
        Column::Text("why"),
    ]);
    for one in &report.versions {
        let what = format!("version {}", one.version);
        table.row(line(
            what,
            (one.is_removed, &one.why),
            (one.size_bytes, one.age_s),
        ));
    }
    for one in &report.uploads {
        let what = format!("upload {}", one.upload);
        table.row(line(
            what,
            (one.is_removed, one.why),
            (one.size_bytes, one.age_s),
        ));
    }
    write!(out, "{}", table.render(0))?;
    for Junk { replica, why } in &report.junk_replicas {
        writeln!(
            out,
            "replica file {replica}.json ignored: {}",
            why.escape_debug()
        )?;
    }
    let freed = quantity::bytes(report.freed_bytes);
    let gone = report.gone_replicas.len();
    let versions = report.removed_versions.len();
    if report.applied {
        writeln!(
            out,
            "removed {versions} versions, {freed}, {gone} files of gone replicas"
        )?;
        for version in &report.taken_back_versions {
            writeln!(
                out,
                "version {version} was needed again during removal; restored"
            )?;
        }
    } else {
        writeln!(
            out,
            "to remove: {versions} versions, {freed}, {gone} files of gone replicas; --apply removes them"
        )?;
    }
    Ok(())
}

/// A file that is no replica's, and why.
#[derive(Serialize)]
struct Junk {
    replica: String,
    why: String,
}

fn junk((replica, why): &(hotshelf_registry::ReplicaId, String)) -> Junk {
    Junk {
        replica: replica.to_string(),
        why: why.clone(),
    }
}
