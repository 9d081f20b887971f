//! The `[catalogue]` table: products from files of their own, from the events, or from both.

use std::path::Path;

use super::embeddings::{self, EmbeddingFiles};
use super::events::optional;
use super::section::{Section, Value};
use super::source::{self, SourceMapping};

/// Where product attributes come from.
#[derive(Debug, Clone)]
pub(crate) struct CatalogueMapping {
    /// Product files, if the shop has any.
    pub(crate) files: Option<ProductFiles>,
    /// Attributes taken from the events' own rows: the commonest text, the median price.
    pub(crate) from_events: ProductColumns,
    /// The shop's own embeddings, if it has any.
    pub(crate) embeddings: Option<EmbeddingFiles>,
    /// Least share of ids that must match in each join, 0 to 1.
    pub(crate) matched_at_least: f64,
}

/// Least share of ids that match, by default: fewer are ids of another form or shop.
const MATCHED_AT_LEAST: f64 = 0.01;

#[derive(Debug, Clone)]
pub(crate) struct ProductFiles {
    pub(crate) source: SourceMapping,
    pub(crate) product_id: String,
    pub(crate) columns: ProductColumns,
}

/// Columns of one product; every one may be absent.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProductColumns {
    pub(crate) product_name: Option<TextColumns>,
    pub(crate) category: Option<TextColumns>,
    pub(crate) brand: Option<TextColumns>,
    pub(crate) description: Option<TextColumns>,
    pub(crate) price: Option<PriceColumn>,
}

/// Columns whose texts are joined; empty ones are left out.
#[derive(Debug, Clone)]
pub(crate) struct TextColumns {
    pub(crate) columns: Vec<String>,
    pub(crate) separator: String,
}

/// A price, or an amount for so many pieces.
#[derive(Debug, Clone)]
pub(crate) struct PriceColumn {
    pub(crate) column: String,
    /// Divides the column: `sales_value` per `quantity`.
    pub(crate) per: Option<String>,
}

/// None where a problem was reported.
pub(super) fn read(mut section: Section<'_>, folder: &Path) -> Option<CatalogueMapping> {
    let from_events = section
        .value("from_events")
        .and_then(|value| value.section());
    let from_events = from_events.map(|mut events| {
        let columns = read_columns(&mut events);
        events.finish();
        columns
    });
    let files = section.value("columns").and_then(|value| value.section());
    let files = files.map(|mut columns| {
        let source = source::read(&mut section, folder);
        let product_id = columns
            .required("product_id")
            .and_then(|value| value.text());
        let products = read_columns(&mut columns);
        columns.finish();
        Some(ProductFiles {
            source: source?,
            product_id: product_id?,
            columns: products?,
        })
    });
    let embeddings = section
        .value("embeddings")
        .and_then(|value| value.section());
    let embeddings = embeddings.map(|section| embeddings::read(section, folder));
    let matched_at_least = section.value("matched_at_least");
    let matched_at_least = matched_at_least.map(|value| value.number_in(0.0..=1.0));
    if files.is_none() && from_events.is_none() && embeddings.is_none() {
        section.complain(
            "needs files with [catalogue.columns], [catalogue.from_events], \
             [catalogue.embeddings], or several of them",
        );
    }
    section.finish();
    Some(CatalogueMapping {
        files: optional(files)?,
        from_events: optional(from_events)?.unwrap_or_default(),
        embeddings: optional(embeddings)?,
        matched_at_least: optional(matched_at_least)?.unwrap_or(MATCHED_AT_LEAST),
    })
}

fn read_columns(section: &mut Section<'_>) -> Option<ProductColumns> {
    let mut text = |key| optional(section.value(key).map(read_text));
    let product_name = text("product_name");
    let category = text("category");
    let brand = text("brand");
    let description = text("description");
    let price = optional(section.value("price").map(read_price));
    Some(ProductColumns {
        product_name: product_name?,
        category: category?,
        brand: brand?,
        description: description?,
        price: price?,
    })
}

fn read_text(value: Value<'_>) -> Option<TextColumns> {
    if !value.is_table() {
        return Some(TextColumns {
            columns: value.texts()?,
            separator: " ".to_owned(),
        });
    }
    let mut section = value.section()?;
    let columns = section.required("columns").and_then(|value| value.texts());
    let separator = section
        .value("separator")
        .map_or(Some(" ".to_owned()), |value| value.text());
    section.finish();
    Some(TextColumns {
        columns: columns?,
        separator: separator?,
    })
}

fn read_price(value: Value<'_>) -> Option<PriceColumn> {
    if !value.is_table() {
        return Some(PriceColumn {
            column: value.text()?,
            per: None,
        });
    }
    let mut section = value.section()?;
    let column = section.required("column").and_then(|value| value.text());
    let per = optional(section.value("per").map(|value| value.text()));
    section.finish();
    Some(PriceColumn {
        column: column?,
        per: per?,
    })
}
