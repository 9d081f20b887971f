//! `hotshelf recommend`.

use super::asking::{Asking, FilterArgs, write_remarks};
use super::{Output, block_on, write_json};
use crate::grpc::client::{Client, RecommendAsk, RecommendationList};
use clap::{Args, ValueEnum};
use hotshelf_model::Strategy;
use hotshelf_terminal::table::{Column, TextTable};
use hotshelf_terminal::text::one_line;
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
    /// The person's id; empty for an anonymous visitor
    #[arg(default_value = "")]
    user_id: String,
    #[command(flatten)]
    asking: Asking,
    /// Number of products, 1 to 100
    #[arg(short, default_value_t = 10)]
    n: u32,
    /// How candidates are scored [default: the server's]
    #[arg(long)]
    strategy: Option<StrategyArg>,
    /// Weight of the collaborative score in the hybrid, 0 to 1 [default: the version's]
    #[arg(long, allow_negative_numbers = true)]
    alpha: Option<f64>,
    /// Recent products, newest first, comma-separated [default: the model's history]
    #[arg(long, value_delimiter = ',')]
    recent: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Include products that the person already has
    #[arg(long)]
    include_seen: bool,
    #[command(flatten)]
    output: Output,
}

/// Calls Recommend and prints the list.
pub(super) fn run(args: RecommendArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let ask = RecommendAsk {
        user_id: args.user_id,
        model: args.asking.model,
        n: Some(args.n),
        strategy: args.strategy.map(|strategy| match strategy {
            StrategyArg::Hybrid => Strategy::Hybrid,
            StrategyArg::Collaborative => Strategy::Collaborative,
            StrategyArg::Content => Strategy::Content,
        }),
        alpha: args.alpha,
        recent_product_ids: args.recent,
        filter: args.filter.into_ask(),
        include_seen: args.include_seen,
        include_names: true,
        debug: args.asking.debug,
        pin: args.asking.pin,
    };
    let address = args.asking.address;
    let list = block_on(address.call(async |client: &Client| client.recommend(ask).await))?;
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
    let head = format!(
        "{who} ({}): {} of model {} version {}, rollout {}, arm {}",
        list.user_segment, list.strategy, list.model, list.version, list.rollout, list.arm
    );
    writeln!(out, "{}", one_line(head))?;
    write_remarks(out, &list.fallbacks, list.debug.as_ref())?;
    if list.recent_product_ids_unknown > 0 {
        let unknown = list.recent_product_ids_unknown;
        writeln!(
            out,
            "{unknown} of the recent products are unknown to the model"
        )?;
    }
    let is_debug = list.debug.is_some();
    let mut columns = vec![
        Column::Right("rank"),
        Column::Left("product"),
        Column::Right("score"),
        Column::Left("reason"),
    ];
    if is_debug {
        columns.extend([Column::Right("collaborative"), Column::Right("content")]);
    }
    // Last, because names are as long as people make them.
    columns.push(Column::Left("name"));
    let mut table = TextTable::new(columns);
    let number = |score: f64| format!("{score:.4}");
    for item in &list.items {
        let mut cells = vec![
            item.rank.to_string(),
            item.product_id.clone(),
            number(item.score),
            item.reason.clone(),
        ];
        if is_debug {
            let raw = [item.collaborative_score, item.content_score];
            cells.extend(raw.map(|score| score.map(number).unwrap_or_default()));
        }
        cells.push(item.product_name.clone());
        table.row(cells);
    }
    write!(out, "{}", table.render(0))?;
    Ok(())
}
