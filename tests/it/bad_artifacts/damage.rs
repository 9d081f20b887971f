//! How versions are damaged so that one check alone can find it.

use hotshelf_model::{CardExtra, Model};

use crate::harness::{Parts, Published, Season, Shop, factors_of};

/// A bad version and how its refusal has to read.
pub(super) struct Bad {
    pub(super) version: u64,
    pub(super) kind: &'static str,
    pub(super) said: &'static str,
}

/// The six of the issue; all but the first carry checksums that hold.
pub(super) async fn six_bad_versions(shop: &Shop, good: &Published) -> Vec<Bad> {
    let bad = |version, kind, said| Bad {
        version,
        kind,
        said,
    };
    let flipped = shop.publish_parts(&good.parts, &good.card).await;
    let file = shop.part_file(flipped, "als.safetensors").await;
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(file, bytes).unwrap();

    let mut truncated = good.parts.clone();
    let len = truncated.part("als.safetensors").len();
    truncated.part("als.safetensors").truncate(len - 100);

    let mut not_a_number = good.parts.clone();
    let factors = not_a_number.tensor("als.safetensors", "user_factors");
    factors[3 * 8 * 4..][..4].copy_from_slice(&f32::NAN.to_le_bytes());

    let mut dimension = good.parts.clone();
    let other = factors_of(Season::Spring, 12);
    *dimension.part("als.safetensors") = packed(&other, "als.safetensors");

    let mut unsorted = good.parts.clone();
    swap_ids(unsorted.part("users.arrow"), b"u0007u0008", b"u0008u0007");

    let published = |parts: Parts| async move { shop.publish_parts(&parts, &good.card).await };
    vec![
        bad(
            flipped,
            "corrupt",
            "part als.safetensors of version 2 of toy is corrupt: expected sha256",
        ),
        bad(
            published(truncated).await,
            "container",
            "part als.safetensors is not a readable safetensors",
        ),
        bad(
            published(not_a_number).await,
            "not_finite",
            "part als.safetensors: user_factors row 3 holds NaN",
        ),
        bad(
            published(dimension).await,
            "shape",
            "part als.safetensors: user_factors has shape [240, 12], expected [240, 8]",
        ),
        bad(
            published(unsorted).await,
            "ids",
            "part users.arrow: id row 8",
        ),
        bad(
            published(permuted(&good.parts)).await,
            "probes",
            "golden queries differ from the publisher's answers",
        ),
    ]
}

/// Parts that are not those of the manifest, and manifests that are not those of the parts.
pub(super) async fn incomplete_versions(shop: &Shop, good: &Published) -> Vec<Bad> {
    let bad = |version, kind, said| Bad {
        version,
        kind,
        said,
    };
    let gone = shop.publish_parts(&good.parts, &good.card).await;
    std::fs::remove_file(shop.part_file(gone, "history.safetensors").await).unwrap();

    // Shorter in the store than the manifest says.
    let short = shop.publish_parts(&good.parts, &good.card).await;
    let file = shop.part_file(short, "als.safetensors").await;
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();

    let mut fewer = good.parts.clone();
    fewer.0.remove("users.arrow");
    let mut more = good.parts.clone();
    more.0.insert("notes.json".to_owned(), b"{}".to_vec());
    let (fewer, more) = (
        shop.publish_parts(&fewer, &good.card).await,
        shop.publish_parts(&more, &good.card).await,
    );

    let mut card = good.card.clone();
    card["sizes"]["users"] = 1.into();
    let mismatched = shop.publish_parts(&good.parts, &card).await;
    card.as_object_mut().unwrap().remove("sizes");
    let unreadable = shop.publish_parts(&good.parts, &card).await;
    vec![
        bad(gone, "corrupt", "part history.safetensors"),
        bad(short, "corrupt", "part als.safetensors"),
        bad(fewer, "missing_part", "part users.arrow is missing"),
        bad(more, "unknown_part", "part notes.json is unknown"),
        bad(mismatched, "shape", "part users.arrow"),
        bad(unreadable, "card", "sizes"),
    ]
}

/// Product factors one row further, with an index that agrees with them: nothing but the meaning of
/// the rows is wrong.
fn permuted(good: &Parts) -> Parts {
    let mut parts = good.clone();
    parts.permute_rows("als.safetensors", "product_factors", 8);
    let products = parts.tensor("als_index.safetensors", "order").len() / 4;
    let norms = parts.tensor("als_index.safetensors", "norms").to_vec();
    let order = parts.tensor("als_index.safetensors", "order");
    let mut placed: Vec<(u32, [u8; 4])> = Vec::new();
    for (row, norm) in order.chunks_exact(4).zip(norms.chunks_exact(4)) {
        let row = u32::from_le_bytes(row.try_into().unwrap());
        placed.push(((row + 1) % products as u32, norm.try_into().unwrap()));
    }
    // Among equal norms rows ascend.
    placed.sort_by(|a, b| {
        let norm = |bytes| f32::from_le_bytes(bytes);
        norm(b.1).total_cmp(&norm(a.1)).then(a.0.cmp(&b.0))
    });
    for (place, (row, _)) in order.chunks_exact_mut(4).zip(placed) {
        place.copy_from_slice(&row.to_le_bytes());
    }
    parts
}

fn packed(model: &Model, name: &str) -> Vec<u8> {
    let extra = CardExtra {
        evaluation: None,
        golden_queries: 1,
    };
    let parts = model.pack(extra).unwrap().parts;
    parts
        .into_iter()
        .find(|part| part.name == name)
        .unwrap()
        .bytes
}

fn swap_ids(table: &mut [u8], from: &[u8], to: &[u8]) {
    let at = table
        .windows(from.len())
        .position(|window| window == from)
        .unwrap();
    table[at..at + to.len()].copy_from_slice(to);
}
