//! `hotshelf rollout history` and `hotshelf who-was-live`: the past, read from the registry without a
//! server.

use crate::cli::model_args::ModelArgs;
use crate::cli::{block_on, write_json};
use clap::Args;
use hotshelf_registry::{Arm, End, History, RolloutRecord, bucket};
use hotshelf_terminal::table::{Column, TextTable};
use hotshelf_terminal::text::one_line;
use jiff::Timestamp;
use serde::Serialize;
use std::io::Write;

/// Records read by a search in the past (chosen: years of daily rollouts).
const SEARCHED_MAX: usize = 10_000;

/// Arguments of `hotshelf rollout history`.
#[derive(Args)]
pub(in crate::cli) struct HistoryArgs {
    #[command(flatten)]
    of: ModelArgs,
    /// List at most this many
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

/// Arguments of `hotshelf who-was-live`.
#[derive(Args)]
pub(in crate::cli) struct WhoWasLiveArgs {
    #[command(flatten)]
    of: ModelArgs,
    /// Look at this moment, such as 2026-11-25T10:00:00Z
    #[arg(long, value_name = "TIME")]
    at: Timestamp,
    /// Show the arm of this user, session or request id
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

/// One record, as `--json` prints it.
#[derive(Serialize)]
struct Listed<'a> {
    rollout: u64,
    created_at: &'a str,
    author: &'a str,
    reason: &'a str,
    arms: &'a [Arm],
    salt: &'a str,
    sha256: String,
}

/// What was live, as `--json` prints it.
#[derive(Serialize)]
struct WasLive<'a> {
    at: String,
    rollout: Listed<'a>,
    /// When the next rollout replaced it.
    until: Option<&'a str>,
    user: Option<Whose<'a>>,
}

/// The arm of one user.
#[derive(Serialize)]
struct Whose<'a> {
    id: &'a str,
    bucket: u16,
    arm: &'a str,
    version: u64,
}

impl<'a> Listed<'a> {
    fn of(record: &'a RolloutRecord) -> Self {
        Self {
            rollout: record.number.get(),
            created_at: &record.created_at,
            author: &record.author,
            reason: &record.reason,
            arms: &record.arms,
            salt: &record.salt,
            sha256: record.sha256.to_string(),
        }
    }
}

fn read(args: &ModelArgs, limit: usize) -> anyhow::Result<History> {
    let registry = args.open()?;
    block_on(async { Ok(registry.history(&args.model, limit).await?) })
}

/// Runs `hotshelf rollout history`.
pub(super) fn run(args: &HistoryArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let history = read(&args.of, args.limit as usize)?;
    if args.of.output.json {
        let listed: Vec<Listed<'_>> = history.records.iter().map(Listed::of).collect();
        return write_json(out, &listed);
    }
    let mut table = TextTable::new([
        Column::Right("rollout"),
        Column::Left("created"),
        Column::Text("arms"),
        Column::Left("author"),
        Column::Text("reason"),
    ]);
    for record in &history.records {
        table.row([
            record.number.to_string(),
            record.created_at.clone(),
            arms_text(&record.arms),
            record.author.clone(),
            record.reason.clone(),
        ]);
    }
    write!(out, "{}", table.render(0))?;
    match &history.end {
        End::First => {}
        End::Limit => writeln!(out, "older rollouts: --limit shows more")?,
        End::Broken(why) => writeln!(out, "older rollouts cannot be read: {}", one_line(why))?,
    }
    Ok(())
}

/// Arms with their versions and shares, in their order.
pub(in crate::cli) fn arms_text(arms: &[Arm]) -> String {
    let arm = |arm: &Arm| {
        let percent = f64::from(arm.share_bp) / 100.0;
        format!("{} {} %: version {}", arm.name, percent, arm.version)
    };
    arms.iter().map(arm).collect::<Vec<_>>().join(", ")
}

/// Which manifest the rollout means by each version's number.
fn manifests_text(arms: &[Arm], out: &mut dyn Write) -> std::io::Result<()> {
    for arm in arms {
        match arm.manifest_sha256 {
            Some(digest) => writeln!(out, "version {}: manifest sha256 {digest}", arm.version)?,
            None => writeln!(
                out,
                "version {}: the rollout names no manifest digest",
                arm.version
            )?,
        }
    }
    Ok(())
}

/// Runs `hotshelf who-was-live`.
pub(in crate::cli) fn who_was_live(
    args: &WhoWasLiveArgs,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let history = read(&args.of, SEARCHED_MAX)?;
    let Some(record) = history.desired_at(args.at) else {
        let model = &args.of.model;
        match history.end {
            End::First => anyhow::bail!("model \"{model}\" had no rollout yet at {}", args.at),
            End::Limit => {
                anyhow::bail!("the last {SEARCHED_MAX} rollouts of model \"{model}\" are all later")
            }
            End::Broken(why) => {
                anyhow::bail!("cannot read the rollouts of model \"{model}\" that far back: {why}")
            }
        }
    };
    let next = history
        .records
        .iter()
        .take_while(|later| later.number != record.number)
        .last();
    let user = args.user.as_deref().and_then(|id| {
        let arm = record.arm_at(id, args.at)?;
        Some(Whose {
            id,
            bucket: bucket(&record.salt, id),
            arm: &arm.name,
            version: arm.version.get(),
        })
    });
    let live = WasLive {
        at: args.at.to_string(),
        rollout: Listed::of(record),
        until: next.map(|next| next.created_at.as_str()),
        user,
    };
    if args.of.output.json {
        return write_json(out, &live);
    }
    write_text(&live, out)
}

fn write_text(live: &WasLive<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
    let Listed {
        rollout,
        created_at,
        author,
        reason,
        arms,
        ..
    } = &live.rollout;
    writeln!(out, "rollout {rollout}: {}", arms_text(arms))?;
    let until = live.until.unwrap_or("now");
    writeln!(
        out,
        "desired from {created_at} until {until}, by {}: {}",
        one_line(author),
        one_line(reason)
    )?;
    manifests_text(arms, out)?;
    if let Some(user) = &live.user {
        let Whose {
            id,
            bucket,
            arm,
            version,
        } = user;
        writeln!(
            out,
            "user {}: bucket {bucket} of 10,000, arm {arm}, version {version}",
            one_line(id)
        )?;
    }
    writeln!(
        out,
        "A replica follows within seconds. One that could not follow served an older rollout, which its \
         responses name."
    )?;
    Ok(())
}
