//! Reads product attributes from rows, within the limits that fitting and loading have.

use hotshelf_model::FIELD_BYTES_MAX;

use super::row::{Column, Header, Reason, Row};
use crate::attributes::{Attributes, TEXTS};
use crate::mapping::{PriceColumn, ProductColumns, TextColumns};

/// Longest description (chosen: some 10,000 words; only its words are used).
const DESCRIPTION_BYTES_MAX: usize = 64 << 10;

/// Limit and name of each text.
const LIMITS: [(&str, usize); TEXTS] = [
    ("name", FIELD_BYTES_MAX),
    ("category", FIELD_BYTES_MAX),
    ("brand", FIELD_BYTES_MAX),
    ("description", DESCRIPTION_BYTES_MAX),
];

/// The mapped attribute columns by position.
pub(super) struct AttributeColumns<'m> {
    texts: [Option<(Vec<Column>, &'m str)>; TEXTS],
    price: Option<(Column, Option<Column>)>,
}

impl<'m> AttributeColumns<'m> {
    pub(super) fn bind(mapped: &'m ProductColumns, header: &mut Header) -> Self {
        let mut text = |columns: &'m Option<TextColumns>| {
            let columns = columns.as_ref()?;
            Some((header.columns(&columns.columns), columns.separator.as_str()))
        };
        let texts = [
            text(&mapped.product_name),
            text(&mapped.category),
            text(&mapped.brand),
            text(&mapped.description),
        ];
        let price = mapped.price.as_ref().map(|PriceColumn { column, per }| {
            (
                header.column(column),
                per.as_ref().map(|per| header.column(per)),
            )
        });
        Self { texts, price }
    }

    pub(super) fn read(&self, row: &Row<'_>) -> Result<Attributes, Reason> {
        let mut texts = <[String; TEXTS]>::default();
        for ((text, columns), limit) in texts.iter_mut().zip(&self.texts).zip(LIMITS) {
            if let Some((columns, separator)) = columns {
                *text = row.joined(columns, separator)?;
                check_length(text, limit)?;
            }
        }
        let price = match self.price {
            Some((column, per)) => price(column, per, row)?,
            None => None,
        };
        Ok(Attributes { texts, price })
    }
}

fn check_length(text: &str, (what, limit): (&str, usize)) -> Result<(), Reason> {
    if text.len() <= limit {
        return Ok(());
    }
    let bytes = text.len();
    Err(format!(
        "the {what} has {bytes} bytes, above the limit of {limit}"
    ))
}

/// None if the amount is empty, or the divisor is empty or not above 0.
fn price(column: Column, per: Option<Column>, row: &Row<'_>) -> Result<Option<f32>, Reason> {
    let Some(amount) = row.number_if_any(column)? else {
        return Ok(None);
    };
    if amount < 0.0 {
        return Err(row.about(column, &format!("is {amount}, a price below 0")));
    }
    let mut price = amount;
    if let Some(per) = per {
        match row.number_if_any(per)?.filter(|pieces| *pieces > 0.0) {
            Some(pieces) => price /= pieces,
            None => return Ok(None),
        }
    }
    let narrow = price as f32;
    if narrow.is_finite() {
        return Ok(Some(narrow));
    }
    let why = format!(
        "gives the price {price:e}, above the limit of {:e}",
        f32::MAX
    );
    Err(row.about(column, &why))
}
