//! The parts `content.safetensors`, `content_index.safetensors` and
//! `content_neighbours.safetensors`.
//!
//! Not checked: that cosines are those of the embeddings, and that lists miss nobody. Both would
//! cost a replica what they cost the publisher; golden queries see their effects.

use bytes::Bytes;

use super::{
    CONTENT, CONTENT_INDEX, CONTENT_INDEX_KEY, CONTENT_NEIGHBOURS, PackError, Part, UnpackError,
    check::{self, Location, each_row},
    container::{Container, Tensor, write},
    error::refused,
    index,
};
use crate::{
    Breathe, Content, Matrix, ModelCard, card::ContentCard, column::Column, content::Neighbours,
    grouped::NO_GROUP, index::norm,
};

/// Longest embedding read: the longest vocabulary that a fit takes, and the price.
const DIMENSION_MAX: usize = 10_001;

/// Most neighbours of a group that are read. Chosen: four times what a fit writes.
const NEIGHBOURS_MAX: usize = 256;

/// How far the norm of an embedding may lie from 1.
const UNIT_TOLERANCE: f64 = 1e-4;

/// How far a cosine may lie outside its range: embeddings are unit vectors to that tolerance.
const COSINE_MAX: f32 = 1.0001;

/// All three parts, by name.
pub(super) fn pack(content: &Content) -> Result<Vec<Part>, PackError> {
    let per_group = content.neighbours.per_group;
    let embeddings = [
        Tensor::matrix("embeddings", content.embeddings()),
        Tensor::column("groups", &content.groups),
    ];
    let mut neighbours = [
        Tensor::table("groups", &content.neighbours.groups, per_group),
        Tensor::table("cosines", &content.neighbours.cosines, per_group),
    ];
    // With no neighbours at all the columns are empty and cannot tell how many rows there are.
    neighbours
        .iter_mut()
        .for_each(|tensor| tensor.shape[0] = content.embeddings().rows());
    Ok(vec![
        Part {
            name: CONTENT,
            bytes: write(CONTENT, &embeddings)?,
        },
        Part {
            name: CONTENT_INDEX,
            bytes: index::pack(CONTENT_INDEX, content.index())?,
        },
        Part {
            name: CONTENT_NEIGHBOURS,
            bytes: write(CONTENT_NEIGHBOURS, &neighbours)?,
        },
    ])
}

/// Checks what the card says about content, before any part is opened.
pub(super) fn check_card(card: &ModelCard) -> Result<(), UnpackError> {
    let (dimension, products) = (card.dimensions.content, card.sizes.products);
    let refuse =
        |what, value: &dyn std::fmt::Display, expected| Err(refused(what, value, expected));
    let Some(content) = &card.content else {
        return match dimension {
            0 => Ok(()),
            _ => refuse(
                "dimensions.content",
                &dimension,
                "0 without content".to_owned(),
            ),
        };
    };
    if !(1..=DIMENSION_MAX).contains(&dimension) {
        return refuse(
            "dimensions.content",
            &dimension,
            format!("1 to {DIMENSION_MAX}"),
        );
    }
    if !(1..=products).contains(&content.groups) {
        return refuse(
            "content.groups",
            &content.groups,
            format!("1 to {products}, the products"),
        );
    }
    let grouped_max = products - content.groups;
    if content.products_without > grouped_max {
        return refuse(
            "content.products_without",
            &content.products_without,
            format!("at most {grouped_max}, the products beside one of each group"),
        );
    }
    if content.neighbours > NEIGHBOURS_MAX {
        return refuse(
            "content.neighbours",
            &content.neighbours,
            format!("at most {NEIGHBOURS_MAX}"),
        );
    }
    if !content.terms.is_empty() && content.terms.len() != dimension {
        return refuse(
            "content.terms",
            &format!("a list of {}", content.terms.len()),
            format!("none, or {dimension} as dimensions.content"),
        );
    }
    if !card.index.contains_key(CONTENT_INDEX_KEY) {
        return refuse("index.content.plan", &"absent", "a plan".to_owned());
    }
    Ok(())
}

/// Decodes the parts in the order of `CONTENT_PARTS` against a card that was checked.
pub(super) fn unpack(
    card: &ModelCard,
    [content, content_index, neighbours]: [&Bytes; 3],
    breathe: Breathe<'_>,
) -> Result<Content, UnpackError> {
    let Some(of) = &card.content else {
        return Err(UnpackError::UnknownPart {
            part: CONTENT.to_owned(),
        });
    };
    let (rows, dimension) = (of.groups, card.dimensions.content);
    let container = Container::open(CONTENT, content, &["embeddings", "groups"])?;
    let embeddings = container.tensor("embeddings", &[rows, dimension])?;
    let embeddings =
        Matrix::new(embeddings, rows, dimension).expect("the shape was compared just now");
    let groups = container.tensor("groups", &[card.sizes.products])?;
    check_embeddings(&embeddings, breathe)?;
    check_groups(&groups, of, breathe)?;
    let index = index::unpack(
        [CONTENT_INDEX, CONTENT],
        content_index,
        &embeddings,
        &card.index[CONTENT_INDEX_KEY],
        breathe,
    )?;
    let neighbours = unpack_neighbours(neighbours, of, breathe)?;
    Ok(Content::new(
        index,
        groups,
        (neighbours, of.clone()),
        breathe,
    ))
}

/// Every number finite, every row of unit length.
fn check_embeddings(embeddings: &Matrix, breathe: Breathe<'_>) -> Result<(), UnpackError> {
    let location = Location {
        part: CONTENT,
        what: "embeddings",
    };
    check::factors(location, embeddings, breathe)?;
    let row_bytes = embeddings.cols() * size_of::<f32>();
    each_row(embeddings.rows(), row_bytes, breathe, |row| {
        let norm = norm(embeddings.row(row));
        if (norm - 1.0).abs() <= UNIT_TOLERANCE {
            return Ok(());
        }
        Err(location.out_of_range(row, &format!("a row of norm {norm:e}"), &"a row of norm 1"))
    })
}

/// Groups are numbered by their first product, and as many as the card says.
fn check_groups(
    groups: &Column<u32>,
    card: &ContentCard,
    breathe: Breathe<'_>,
) -> Result<(), UnpackError> {
    let location = Location {
        part: CONTENT,
        what: "groups",
    };
    let groups = groups.as_slice();
    let (mut first, mut without) = (0, 0);
    each_row(groups.len(), size_of::<u32>(), breathe, |row| {
        let group = groups[row];
        if group == NO_GROUP {
            without += 1;
        } else if group as usize >= card.groups {
            let expected = format!("a group below {}, or {NO_GROUP} for none", card.groups);
            return Err(location.out_of_range(row, &group, &expected));
        } else if group > first {
            let expected = format!("{first} before it: groups are numbered by first product");
            return Err(location.order(row, &group, &expected));
        } else if group == first {
            first += 1;
        }
        Ok(())
    })?;
    let counts = [
        ("content.groups", card.groups, first as usize),
        ("content.products_without", card.products_without, without),
    ];
    match counts.into_iter().find(|(_, said, found)| said != found) {
        None => Ok(()),
        Some((what, said, found)) => Err(UnpackError::Card {
            what,
            value: said.to_string(),
            expected: format!("{found}, as counted in {CONTENT}"),
        }),
    }
}

fn unpack_neighbours(
    bytes: &Bytes,
    card: &ContentCard,
    breathe: Breathe<'_>,
) -> Result<Neighbours, UnpackError> {
    let container = Container::open(CONTENT_NEIGHBOURS, bytes, &["groups", "cosines"])?;
    let shape = [card.groups, card.neighbours];
    let neighbours = Neighbours {
        groups: container.tensor("groups", &shape)?,
        cosines: container.tensor("cosines", &shape)?,
        per_group: card.neighbours,
    };
    let per_group = card.neighbours;
    // The last group, plus one, whose list named a group.
    let mut listed_by = vec![0u32; card.groups];
    each_row(
        card.groups,
        per_group * 2 * size_of::<u32>(),
        breathe,
        |group| {
            let start = group * per_group;
            let groups = &neighbours.groups.as_slice()[start..][..per_group];
            let cosines = &neighbours.cosines.as_slice()[start..][..per_group];
            check_list(group, groups, &mut listed_by)?;
            check_cosines(group, groups, cosines)
        },
    )?;
    Ok(neighbours)
}

/// Other groups, each once, then padding.
fn check_list(group: usize, list: &[u32], listed_by: &mut [u32]) -> Result<(), UnpackError> {
    let location = Location {
        part: CONTENT_NEIGHBOURS,
        what: "groups",
    };
    let len = list
        .iter()
        .position(|x| *x == NO_GROUP)
        .unwrap_or(list.len());
    if let Some(behind) = list[len..].iter().find(|x| **x != NO_GROUP) {
        return Err(location.order(group, behind, &"nothing behind the last neighbour"));
    }
    let this = group as u32 + 1;
    for neighbour in &list[..len] {
        match listed_by.get_mut(*neighbour as usize) {
            None => {
                let expected = format!("a group below {}", listed_by.len());
                return Err(location.out_of_range(group, neighbour, &expected));
            }
            Some(_) if *neighbour as usize == group => {
                return Err(location.out_of_range(group, neighbour, &"another group"));
            }
            Some(by) if *by == this => {
                return Err(location.order(group, neighbour, &"every neighbour once"));
            }
            Some(by) => *by = this,
        }
    }
    Ok(())
}

/// Cosines that descend, among equals the lower group first; 0 behind the last.
fn check_cosines(group: usize, list: &[u32], cosines: &[f32]) -> Result<(), UnpackError> {
    let location = Location {
        part: CONTENT_NEIGHBOURS,
        what: "cosines",
    };
    for (at, (neighbour, cosine)) in list.iter().zip(cosines).enumerate() {
        check::finite_number(location, group, *cosine)?;
        if *neighbour == NO_GROUP {
            if *cosine != 0.0 {
                return Err(location.out_of_range(group, cosine, &"0 behind the last neighbour"));
            }
            continue;
        }
        if cosine.abs() > COSINE_MAX {
            let expected = format!("a cosine within -{COSINE_MAX} and {COSINE_MAX}");
            return Err(location.out_of_range(group, cosine, &expected));
        }
        let Some(before) = at.checked_sub(1) else {
            continue;
        };
        let descends =
            cosines[before] > *cosine || (cosines[before] == *cosine && list[before] < *neighbour);
        if !descends {
            let expected = "cosines descending, among equals groups ascending";
            return Err(location.order(group, cosine, &expected));
        }
    }
    Ok(())
}
