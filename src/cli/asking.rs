//! Arguments of commands that request products.

use super::address::DataAddress;
use crate::grpc::client::{Explanation, FilterAsk, RetrievalInfo};
use clap::Args;
use hotshelf_model::PerSide;
use hotshelf_terminal::text::one_line;
use std::io::Write;

/// Which server and model, and how much the response explains.
#[derive(Args)]
pub(super) struct Asking {
    #[command(flatten)]
    pub(super) address: DataAddress,
    /// Ask this model [default: the server's first]
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) model: String,
    /// Explain how the response was computed; bypasses the cache
    #[arg(long)]
    pub(super) debug: bool,
    /// Pin this live version
    #[arg(long, value_name = "VERSION")]
    pub(super) pin: Option<u64>,
}

/// Which products are eligible.
#[derive(Args)]
pub(super) struct FilterArgs {
    /// Return only products of this category (repeatable)
    #[arg(long, value_name = "NAME")]
    category: Vec<String>,
    /// Return only products of this brand (repeatable)
    #[arg(long, value_name = "NAME")]
    brand: Vec<String>,
    /// Return only products at or above this price
    #[arg(long, value_name = "PRICE", allow_negative_numbers = true)]
    price_min: Option<f64>,
    /// Return only products at or below this price
    #[arg(long, value_name = "PRICE", allow_negative_numbers = true)]
    price_max: Option<f64>,
    /// Exclude these products
    #[arg(long, value_name = "ID,...", value_delimiter = ',')]
    exclude: Vec<String>,
}

impl FilterArgs {
    pub(super) fn into_ask(self) -> FilterAsk {
        FilterAsk {
            categories: self.category,
            brands: self.brand,
            price_min: self.price_min,
            price_max: self.price_max,
            exclude_product_ids: self.exclude,
        }
    }
}

/// The sides that have weight, each with its weight.
fn weights(weights: PerSide<f64>) -> String {
    let weighted = weights.iter().filter(|(_, weight)| **weight > 0.0);
    let weighted = weighted.map(|(side, weight)| format!("{} {weight}", side.as_str()));
    format!("weights {}", weighted.collect::<Vec<_>>().join(" "))
}

/// The fallbacks, and how the list was computed if it was to be explained.
pub(super) fn write_remarks(
    out: &mut dyn Write,
    fallbacks: &[String],
    debug: Option<&Explanation>,
) -> anyhow::Result<()> {
    if !fallbacks.is_empty() {
        writeln!(out, "fallbacks: {}", one_line(fallbacks.join(", ")))?;
    }
    let Some(debug) = debug else { return Ok(()) };
    let side = |name: &str, side: &Option<RetrievalInfo>| {
        let side = side.as_ref()?;
        Some(format!(
            "{name} by {} ({} rows scored)",
            side.plan, side.rows_scored
        ))
    };
    let parts = [
        side("collaborative", &debug.collaborative),
        side("content", &debug.content),
        side("sequence", &debug.sequence),
        side("repeat", &debug.repeat),
        side("trend", &debug.trend),
        debug.alpha.map(|alpha| format!("alpha {alpha}")),
        debug.weights.map(weights),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if !parts.is_empty() {
        writeln!(out, "computed: {}", one_line(parts.join(", ")))?;
    }
    Ok(())
}
