//! The parts `als_index.safetensors` and `content_index.safetensors`.

use bytes::Bytes;

use super::{
    PackError, UnpackError,
    check::{Place, each_row},
    container::{Container, Tensor, write},
};
use crate::{
    Breathe, IndexCard, Matrix,
    column::Column,
    index::{Exact, ItemIndex, NORM_TOLERANCE, norm},
};

pub(super) fn pack(part: &'static str, index: &ItemIndex) -> Result<Vec<u8>, PackError> {
    let exact = index.as_exact();
    write(
        part,
        &[
            Tensor::column("order", &exact.order),
            Tensor::column("norms", &exact.norms),
        ],
    )
}

/// Reads the exact plan: `order` is a permutation of the rows by norm descending, then row
/// ascending, and `norms` are the norms of the rows it names.
pub(super) fn unpack(
    [part, of_part]: [&'static str; 2],
    bytes: &Bytes,
    rows: &Matrix,
    card: &IndexCard,
    breathe: Breathe<'_>,
) -> Result<ItemIndex, UnpackError> {
    let container = Container::open(part, bytes, &["order", "norms"])?;
    let order: Column<u32> = container.tensor("order", &[rows.rows()])?;
    let norms: Column<f32> = container.tensor("norms", &[rows.rows()])?;
    let (of, sorted) = (order.as_slice(), norms.as_slice());
    let place = Place {
        part,
        what: "order",
    };
    let mut is_placed = vec![false; rows.rows()];
    each_row(rows.rows(), rows.cols() * size_of::<f32>(), breathe, |at| {
        let row = of[at];
        match is_placed.get_mut(row as usize) {
            None => return Err(place.out_of_range(at, &row, &format!("below {}", rows.rows()))),
            Some(true) => return Err(place.order(at, &row, &"every row once")),
            Some(placed) => *placed = true,
        }
        let true_norm = norm(rows.row(row as usize));
        let deviation = (f64::from(sorted[at]) - true_norm).abs();
        // Written so that NaN fails, too; the second summand is the grain of subnormal norms.
        let is_close = deviation <= true_norm * NORM_TOLERANCE + f64::from(f32::from_bits(1));
        if !is_close {
            let place = Place {
                part,
                what: "norms",
            };
            let expected = format!("{true_norm:e}, the norm of row {row} in {of_part}");
            return Err(place.out_of_range(at, &sorted[at], &expected));
        }
        let Some(before) = at.checked_sub(1) else {
            return Ok(());
        };
        let descends =
            sorted[before] > sorted[at] || (sorted[before] == sorted[at] && of[before] < row);
        if descends {
            return Ok(());
        }
        Err(place.order(at, &row, &"norms descending, among equals rows ascending"))
    })?;
    Ok(ItemIndex::from_exact(
        rows,
        Exact::new(rows, order, norms, breathe),
        card.clone(),
    ))
}
