//! `hotshelf recommend`.

use super::asking::{Asking, FilterArgs, write_remarks};
use super::{Output, block_on, write_json};
use crate::grpc::client::{Client, RecommendAsk, Recommendation, RecommendationList};
use clap::{Args, ValueEnum};
use hotshelf_model::{Side, Strategy};
use hotshelf_terminal::table::{Column, TextTable};
use hotshelf_terminal::text::one_line;
use std::io::Write;

#[derive(Clone, Copy, ValueEnum)]
enum StrategyArg {
    Hybrid,
    Collaborative,
    Content,
    /// Every side by the version's weights
    Blended,
}

/// Arguments of `hotshelf recommend`.
#[derive(Args)]
pub(super) struct RecommendArgs {
    /// User id; empty for an anonymous visitor
    #[arg(default_value = "")]
    user_id: String,
    #[command(flatten)]
    asking: Asking,
    /// Return this many products, 1 to 100
    #[arg(short, default_value_t = 10)]
    n: u32,
    /// Score candidates by this strategy [default: the version's]
    #[arg(long)]
    strategy: Option<StrategyArg>,
    /// Weigh the collaborative score in the hybrid, 0 to 1 [default: the version's]
    #[arg(long, allow_negative_numbers = true)]
    alpha: Option<f64>,
    /// Use these recent products, newest first [default: the model's history]
    #[arg(long, value_name = "ID,...", value_delimiter = ',')]
    recent: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Include products that the person already has [default: the version's]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    include_seen: Option<bool>,
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
            StrategyArg::Blended => Strategy::Blended,
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

/// The sides that scored any item of an explained list.
fn sides_scored(list: &RecommendationList) -> Vec<Side> {
    let is_scored = |side: &Side| {
        list.items
            .iter()
            .any(|item| raw_score(item, *side).is_some())
    };
    Side::ALL.into_iter().filter(is_scored).collect()
}

fn raw_score(item: &Recommendation, side: Side) -> Option<f64> {
    match side {
        Side::Collaborative => item.collaborative_score,
        Side::Content => item.content_score,
        Side::Sequence => item.sequence_score,
        Side::Repeat => item.repeat_score,
        Side::Trend => item.trend_score,
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
    let mut columns = vec![
        Column::Right("rank"),
        Column::Left("product"),
        Column::Right("score"),
        Column::Left("reason"),
    ];
    let sides = sides_scored(list);
    for side in &sides {
        columns.extend([Column::Right(side.as_str()), Column::Right("share")]);
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
        for side in &sides {
            let share = item.shares.as_ref().map(|shares| *shares.get(*side));
            let pair = [raw_score(item, *side), share];
            cells.extend(pair.map(|score| score.map(number).unwrap_or_default()));
        }
        cells.push(item.product_name.clone());
        table.row(cells);
    }
    write!(out, "{}", table.render(0))?;
    Ok(())
}
