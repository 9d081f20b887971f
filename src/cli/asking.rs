//! Flags of commands that ask for products.

use crate::grpc::client::{Explanation, FilterAsk, RetrievalInfo};
use clap::Args;
use std::io::Write;

/// Where to ask, and how much to be told.
#[derive(Args)]
pub(super) struct Asking {
    /// Data listener of the server
    #[arg(long, default_value = "127.0.0.1:50051")]
    pub(super) addr: String,
    /// Model to ask [default: the server's]
    #[arg(long, default_value = "")]
    pub(super) model: String,
    /// Say how the answer was computed; it is then not taken from the cache
    #[arg(long)]
    pub(super) debug: bool,
    /// Live version that shall answer, whatever the traffic's split says
    #[arg(long, value_name = "VERSION")]
    pub(super) pin: Option<u64>,
}

/// Which products may come back.
#[derive(Args)]
pub(super) struct FilterArgs {
    /// Only products of this category; may be given several times
    #[arg(long)]
    category: Vec<String>,
    /// Only products of this brand; may be given several times
    #[arg(long)]
    brand: Vec<String>,
    /// Only products that cost at least this
    #[arg(long, allow_negative_numbers = true)]
    price_min: Option<f64>,
    /// Only products that cost at most this
    #[arg(long, allow_negative_numbers = true)]
    price_max: Option<f64>,
    /// Products to leave out
    #[arg(long, value_delimiter = ',')]
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

/// What the list does without, and how it was computed where that was asked for.
pub(super) fn write_remarks(
    out: &mut dyn Write,
    fallbacks: &[String],
    debug: Option<&Explanation>,
) -> anyhow::Result<()> {
    if !fallbacks.is_empty() {
        writeln!(out, "without: {}", fallbacks.join(", "))?;
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
        debug.alpha.map(|alpha| format!("alpha {alpha}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if !parts.is_empty() {
        writeln!(out, "found: {}", parts.join(", "))?;
    }
    Ok(())
}
