//! The parts `als.safetensors` and `history.safetensors`.

use bytes::Bytes;

use super::{
    ALS, HISTORY, PackError, UnpackError,
    check::{self, Location, each_row},
    container::{Container, Tensor, write},
};
use crate::{Als, Breathe, History, Matrix, Sizes, history::Lists, params::RECENT_LIST_MAX};

pub(super) fn pack_als(als: &Als) -> Result<Vec<u8>, PackError> {
    let tensors = [
        Tensor::matrix("user_factors", als.user_factors()),
        Tensor::matrix("product_factors", als.product_factors()),
        Tensor::matrix("gram", als.gram()),
    ];
    write(ALS, &tensors)
}

pub(super) fn pack_history(history: &History) -> Result<Vec<u8>, PackError> {
    let tensors = [
        Tensor::column("offsets", &history.seen.offsets),
        Tensor::column("products", &history.seen.rows),
        Tensor::column("recent_offsets", &history.recent.offsets),
        Tensor::column("recent_products", &history.recent.rows),
    ];
    write(HISTORY, &tensors)
}

pub(super) fn unpack_als(
    bytes: &Bytes,
    sizes: &Sizes,
    factors: usize,
    breathe: Breathe<'_>,
) -> Result<Als, UnpackError> {
    let names = ["user_factors", "product_factors", "gram"];
    let container = Container::open(ALS, bytes, &names)?;
    let matrix = |name, rows| {
        let column = container.tensor(name, &[rows, factors])?;
        Ok(Matrix::new(column, rows, factors).expect("the shape was compared just now"))
    };
    let als = Als {
        user_factors: matrix("user_factors", sizes.users)?,
        product_factors: matrix("product_factors", sizes.products)?,
        gram: matrix("gram", factors)?,
    };
    check::factors(
        Location {
            part: ALS,
            what: "user_factors",
        },
        &als.user_factors,
        breathe,
    )?;
    check::factors(
        Location {
            part: ALS,
            what: "product_factors",
        },
        &als.product_factors,
        breathe,
    )?;
    check::finite(
        Location {
            part: ALS,
            what: "gram",
        },
        &als.gram,
    )?;
    Ok(als)
}

pub(super) fn unpack_history(
    bytes: &Bytes,
    sizes: &Sizes,
    breathe: Breathe<'_>,
) -> Result<History, UnpackError> {
    let names = ["offsets", "products", "recent_offsets", "recent_products"];
    let container = Container::open(HISTORY, bytes, &names)?;
    let offsets = [sizes.users + 1];
    let history = History {
        seen: Lists {
            offsets: container.tensor("offsets", &offsets)?,
            rows: container.tensor("products", &[sizes.interactions])?,
        },
        recent: Lists {
            offsets: container.tensor("recent_offsets", &offsets)?,
            rows: container.list("recent_products")?,
        },
    };
    check_lists("offsets", &history.seen, breathe)?;
    check_lists("recent_offsets", &history.recent, breathe)?;
    check_rows("products", &history.seen, sizes.products, breathe)?;
    check_rows("recent_products", &history.recent, sizes.products, breathe)?;
    check_ascending(&history.seen, sizes.users, breathe)?;
    check_lengths(&history.recent, sizes.users, breathe)?;
    Ok(history)
}

fn check_lists(what: &'static str, lists: &Lists, breathe: Breathe<'_>) -> Result<(), UnpackError> {
    let location = Location {
        part: HISTORY,
        what,
    };
    let (offsets, rows) = (lists.offsets.as_slice(), lists.rows.as_slice());
    check::offsets(location, (offsets, rows.len()), breathe)
}

/// Every row listed is a product.
fn check_rows(
    what: &'static str,
    lists: &Lists,
    products: usize,
    breathe: Breathe<'_>,
) -> Result<(), UnpackError> {
    let (location, rows) = (
        Location {
            part: HISTORY,
            what,
        },
        lists.rows.as_slice(),
    );
    each_row(rows.len(), size_of::<u32>(), breathe, |at| {
        if (rows[at] as usize) < products {
            return Ok(());
        }
        Err(location.out_of_range(at, &rows[at], &format!("a product row below {products}")))
    })
}

/// Nobody has more recent products than an answer may walk over.
fn check_lengths(recent: &Lists, users: usize, breathe: Breathe<'_>) -> Result<(), UnpackError> {
    let location = Location {
        part: HISTORY,
        what: "recent_products",
    };
    each_row(users, size_of::<u64>(), breathe, |user| {
        let length = recent.of(crate::UserRow(user as u32)).len();
        if length <= RECENT_LIST_MAX {
            return Ok(());
        }
        let (found, expected) = (
            format!("a list of {length}"),
            format!("at most {RECENT_LIST_MAX} for a user"),
        );
        Err(location.out_of_range(user, &found, &expected))
    })
}

/// Seen products of every user ascend.
fn check_ascending(seen: &Lists, users: usize, breathe: Breathe<'_>) -> Result<(), UnpackError> {
    let location = Location {
        part: HISTORY,
        what: "products",
    };
    let row_bytes = seen.rows.as_bytes().len() / users.max(1);
    each_row(users, row_bytes, breathe, |user| {
        let listed = seen.of(crate::UserRow(user as u32));
        match listed.windows(2).find(|pair| pair[0] >= pair[1]) {
            None => Ok(()),
            Some(pair) => {
                let expected = format!("above {}, the product before it", pair[0]);
                Err(location.order(user, &pair[1], &expected))
            }
        }
    })
}
