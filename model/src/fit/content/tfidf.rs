//! Term frequency × inverse document frequency, with the price beside it.
//!
//! A row is `[text | price]`: the text part has unit length (Salton and Buckley, 1988: cosine
//! normalisation), the price column is `price_scale` × the standardised log price, and the whole
//! is brought to unit length again. Sums run in f64 over ascending columns and round to f32 once.

use std::collections::HashMap;

use super::{
    groups::{Groups, normalise},
    price::PriceScale,
    texts::Texts,
    vocabulary::Vocabulary,
};
use crate::{fit::FitError, interactions::ProductInfo, params::ContentParams};

/// Name of the last column.
const PRICE: &str = "price";

/// Embeds what the products say of themselves; the columns by name. A product whose text has no
/// term of the vocabulary gets no row, priced or not: its price alone would be its direction.
pub(super) fn embed(
    infos: &[Option<&ProductInfo>],
    params: &ContentParams,
) -> Result<(Groups, Vec<String>), FitError> {
    let texts = Texts::read(infos)?;
    let vocabulary = Vocabulary::choose(&texts, params);
    let prices = PriceScale::of(infos);
    let cols = vocabulary.terms.len() + 1;
    let mut groups = Groups::new(cols, infos.len());
    let (mut row, mut unit) = (vec![0.0; cols], Vec::with_capacity(cols));
    // Text and price decide the row, so each pair of them is embedded once.
    let mut known = HashMap::<(u32, i32), u32>::new();
    for (info, text) in infos.iter().zip(&texts.of_product) {
        let price = info.and_then(|info| info.price);
        let steps = match params.price_scale {
            0.0 => 0,
            _ => prices.steps(price),
        };
        if let Some(group) = known.get(&(*text, steps)) {
            groups.join(*group);
            continue;
        }
        let counts = vocabulary.count(&texts.texts[*text as usize].words);
        if counts.is_empty() {
            groups.skip();
            continue;
        }
        row.fill(0.0);
        weigh(&counts, &vocabulary.idf, params.sublinear_tf, &mut row);
        row[cols - 1] = f64::from(params.price_scale) * PriceScale::standardised(steps);
        normalise(&row, &mut unit);
        known.insert((*text, steps), groups.add(&unit));
    }
    let mut terms = vocabulary.terms;
    terms.push(PRICE.to_owned());
    Ok((groups, terms))
}

/// The text part at length 1.
fn weigh(counts: &[(u32, u32)], idf: &[f64], sublinear_tf: bool, row: &mut [f64]) {
    // A text said twice has the direction of the text said once; dividing first gives it the bits
    // as well, and so the group. Names repeated in descriptions are common.
    let divisor = counts
        .iter()
        .fold(0, |divisor, (_, count)| gcd(divisor, *count));
    let tf = |count: u32| match sublinear_tf {
        true => 1.0 + libm::log(f64::from(count)),
        false => f64::from(count / divisor),
    };
    let mut squares = 0.0;
    for (column, count) in counts {
        let weight = tf(*count) * idf[*column as usize];
        row[*column as usize] = weight;
        squares += weight * weight;
    }
    let norm = squares.sqrt();
    counts
        .iter()
        .for_each(|(column, _)| row[*column as usize] /= norm);
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
