//! `hotshelf recommend`.

use super::{Output, block_on, table, write_json};
use crate::grpc::client::{Client, RecommendAsk, RecommendationList};
use clap::{Args, ValueEnum};
use hotshelf_model::Strategy;
use std::io::Write;

#[derive(Clone, Copy, ValueEnum)]
enum StrategyArg {
    Hybrid,
    Collaborative,
    Content,
}

/// Arguments of `hotshelf recommend`.
#[derive(Args)]
pub(super) struct RecommendArgs {
    /// The person; empty for an anonymous one
    #[arg(default_value = "")]
    user_id: String,
    /// Data listener of the server
    #[arg(long, default_value = "127.0.0.1:50051")]
    addr: String,
    /// Model to ask [default: the server's]
    #[arg(long, default_value = "")]
    model: String,
    /// How many products, 1 to 100
    #[arg(short, default_value_t = 10)]
    n: u32,
    /// How candidates are scored [default: the server's]
    #[arg(long)]
    strategy: Option<StrategyArg>,
    /// Products to leave out
    #[arg(long, value_delimiter = ',')]
    exclude: Vec<String>,
    /// Return products that the person already has, too
    #[arg(long)]
    include_seen: bool,
    #[command(flatten)]
    output: Output,
}

/// Asks, and writes the list.
pub(super) fn run(args: RecommendArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let ask = RecommendAsk {
        user_id: args.user_id,
        model: args.model,
        n: Some(args.n),
        strategy: args.strategy.map(|strategy| match strategy {
            StrategyArg::Hybrid => Strategy::Hybrid,
            StrategyArg::Collaborative => Strategy::Collaborative,
            StrategyArg::Content => Strategy::Content,
        }),
        exclude_product_ids: args.exclude,
        include_seen: args.include_seen,
    };
    let list = block_on(async { Ok(Client::connect(&args.addr).await?.recommend(ask).await?) })?;
    if args.output.json {
        write_json(out, &list)
    } else {
        write_text(out, &list)
    }
}

fn write_text(out: &mut dyn Write, list: &RecommendationList) -> anyhow::Result<()> {
    let who = if list.user_id.is_empty() {
        "an anonymous visitor"
    } else {
        &list.user_id
    };
    writeln!(
        out,
        "{who} ({}): {} of model {} version {}, rollout {}, arm {}",
        list.user_segment, list.strategy, list.model, list.version, list.rollout, list.arm
    )?;
    if !list.fallbacks.is_empty() {
        writeln!(out, "without: {}", list.fallbacks.join(", "))?;
    }
    let mut rows = vec![
        ["rank", "product", "score", "reason"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(list.items.iter().map(|item| {
        let score = format!("{:.4}", item.score);
        vec![
            item.rank.to_string(),
            item.product_id.clone(),
            score,
            item.reason.clone(),
        ]
    }));
    table::write(out, &rows)?;
    Ok(())
}
