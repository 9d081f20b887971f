//! The part `transitions.safetensors`: what people took next.

use bytes::Bytes;

use super::{
    PackError, TRANSITIONS, UnpackError,
    check::{self, Location, each_row},
    container::{Container, Tensor, write},
};
use crate::{Breathe, Transitions, params::TRANSITIONS_MAX, topk};

pub(super) fn pack(transitions: &Transitions) -> Result<Vec<u8>, PackError> {
    let tensors = [
        Tensor::column("offsets", &transitions.offsets),
        Tensor::column("products", &transitions.products),
        Tensor::column("scores", &transitions.scores),
    ];
    write(TRANSITIONS, &tensors)
}

pub(super) fn unpack(
    bytes: &Bytes,
    products: usize,
    breathe: Breathe<'_>,
) -> Result<Transitions, UnpackError> {
    let container = Container::open(TRANSITIONS, bytes, &["offsets", "products", "scores"])?;
    let rows = container.list("products")?;
    let transitions = Transitions {
        offsets: container.tensor("offsets", &[products + 1])?,
        scores: container.tensor("scores", &[rows.as_slice().len()])?,
        products: rows,
    };
    let (offsets, listed) = (transitions.offsets.as_slice(), transitions.len());
    check::offsets(location("offsets"), (offsets, listed), breathe)?;
    // The last product, plus one, whose list named a product.
    let mut listed_by = vec![0u32; products];
    let bytes_per_row = 2 * size_of::<u32>() * listed / products.max(1);
    each_row(products, bytes_per_row, breathe, |row| {
        let (rows, scores) = transitions.after(crate::ProductRow(row as u32));
        check_list(row, rows, &mut listed_by)?;
        check_scores(row, rows, scores)
    })?;
    Ok(transitions)
}

fn location(what: &'static str) -> Location {
    Location {
        part: TRANSITIONS,
        what,
    }
}

/// Other products, each once, and not too many.
fn check_list(product: usize, list: &[u32], listed_by: &mut [u32]) -> Result<(), UnpackError> {
    let location = location("products");
    if list.len() > TRANSITIONS_MAX {
        let found = format!("a list of {}", list.len());
        let expected = format!("at most {TRANSITIONS_MAX} of a product");
        return Err(location.out_of_range(product, &found, &expected));
    }
    let this = product as u32 + 1;
    for next in list {
        match listed_by.get_mut(*next as usize) {
            None => {
                let expected = format!("a product row below {}", listed_by.len());
                return Err(location.out_of_range(product, next, &expected));
            }
            Some(_) if *next as usize == product => {
                return Err(location.out_of_range(product, next, &"another product"));
            }
            Some(by) if *by == this => {
                return Err(location.order(product, next, &"every product once"));
            }
            Some(by) => *by = this,
        }
    }
    Ok(())
}

/// Scores above 0 that descend, among equals the lower product row first.
fn check_scores(product: usize, list: &[u32], scores: &[f32]) -> Result<(), UnpackError> {
    let location = location("scores");
    let mut before = u64::MAX;
    for (next, score) in list.iter().zip(scores) {
        check::finite_number(location, product, *score)?;
        if *score <= 0.0 {
            return Err(location.out_of_range(product, score, &"above 0"));
        }
        let key = topk::key(*score, *next);
        if key >= before {
            let expected = "scores descending, among equals product rows ascending";
            return Err(location.order(product, score, &expected));
        }
        before = key;
    }
    Ok(())
}
