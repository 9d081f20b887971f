//! `hotshelf similar`.

use super::asking::{Asking, FilterArgs, write_remarks};
use super::{Output, block_on, write_json};
use crate::grpc::client::{Client, SimilarAsk, SimilarList};
use clap::{Args, ValueEnum};
use hotshelf_model::Basis;
use hotshelf_terminal::table::{Column, TextTable};
use hotshelf_terminal::text::one_line;
use std::io::Write;

#[derive(Clone, Copy, ValueEnum)]
enum BasisArg {
    Content,
    Collaborative,
    /// What people took next: bought together
    Sequence,
}

/// Arguments of `hotshelf similar`.
#[derive(Args)]
pub(super) struct SimilarArgs {
    /// Product id
    product_id: String,
    #[command(flatten)]
    asking: Asking,
    /// Return this many products, 1 to 50
    #[arg(short, default_value_t = 10)]
    n: u32,
    /// Compute similarity from this basis [default: the version's]
    #[arg(long)]
    basis: Option<BasisArg>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    output: Output,
}

/// Calls SimilarProducts and prints the list.
pub(super) fn run(args: SimilarArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let ask = SimilarAsk {
        product_id: args.product_id,
        model: args.asking.model,
        n: Some(args.n),
        basis: args.basis.map(|basis| match basis {
            BasisArg::Content => Basis::Content,
            BasisArg::Collaborative => Basis::Collaborative,
            BasisArg::Sequence => Basis::Sequence,
        }),
        filter: args.filter.into_ask(),
        debug: args.asking.debug,
        pin: args.asking.pin,
    };
    let address = args.asking.address;
    let list = block_on(address.call(async |client: &Client| client.similar(ask).await))?;
    if args.output.json {
        write_json(out, &list)
    } else {
        write_text(out, &list)
    }
}

fn write_text(out: &mut dyn Write, list: &SimilarList) -> anyhow::Result<()> {
    let head = format!(
        "similar to {}: {} of model {} version {}, rollout {}, arm {}",
        list.product_id, list.basis, list.model, list.version, list.rollout, list.arm
    );
    writeln!(out, "{}", one_line(head))?;
    write_remarks(out, &list.fallbacks, list.debug.as_ref())?;
    let score = match list.basis.as_str() {
        "sequence" => "score",
        _ => "cosine",
    };
    let mut table = TextTable::new([
        Column::Right("rank"),
        Column::Left("product"),
        Column::Right(score),
        Column::Right("price"),
        Column::Left("category"),
        Column::Left("name"),
    ]);
    for item in &list.items {
        let price = item.price.map(|price| format!("{price:.2}"));
        table.row([
            item.rank.to_string(),
            item.product_id.clone(),
            format!("{:.4}", item.similarity_score),
            price.unwrap_or_default(),
            item.category.clone(),
            item.product_name.clone(),
        ]);
    }
    write!(out, "{}", table.render(0))?;
    Ok(())
}
