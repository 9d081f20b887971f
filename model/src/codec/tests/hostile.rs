//! Artifacts made to hurt, one by one and with the words of their refusal. That nothing else hurts
//! either is what the mutants of `tests/it/hostile.rs` are for.

use super::*;
use crate::{
    FitParams, IndexChoice, ProductRow, SimilarQuery,
    index::{NO_EDGE, STRIDE},
    params::RECENT_LIST_MAX,
};

const CARD_FAULTS: &[Fault] = &[
    (
        |c, _| c.parameters.scoring.recents = 101,
        "card",
        "parameters.scoring.recents is 101, expected at most 100",
    ),
    (
        |c, _| c.parameters.scoring.alpha = 1.5,
        "card",
        "parameters.scoring.alpha is 1.5, expected 0 to 1",
    ),
    (
        |c, _| c.parameters.als.regularization = f32::INFINITY,
        "card",
        "parameters.als.regularization is inf, expected a finite number, 0 or more",
    ),
    (
        |c, _| c.parameters.als.confidence = -1.0,
        "card",
        "parameters.als.confidence is -1, expected a finite number",
    ),
    (
        |c, _| c.fold_in_value = f32::NAN,
        "card",
        "fold_in_value is NaN, expected a finite number",
    ),
    (
        |c, _| c.golden_queries = vec![c.golden_queries[0].clone(); 257],
        "card",
        "the number of golden queries is 257, expected at most 256",
    ),
    (
        |c, _| c.golden_queries[3].n = usize::MAX,
        "card",
        "probes.n is 18446744073709551615, expected at most 1000",
    ),
    (
        |c, _| c.golden_queries[3].items = vec![c.golden_queries[3].items[0].clone(); 1001],
        "card",
        "the length of probes.items is 1001, expected at most 1000",
    ),
    (
        |c, _| c.golden_queries[0].exclude_product_ids = vec![String::new(); 1001],
        "card",
        "the length of probes.exclude_product_ids is 1001, expected at most 1000",
    ),
    (
        |_, p| {
            edit(p, HISTORY, "recent_products", |bytes, shape| {
                shape[0] = RECENT_LIST_MAX + 1;
                *bytes = vec![0; 4 * shape[0]];
            });
            edit(p, HISTORY, "recent_offsets", |bytes, shape| {
                let all = RECENT_LIST_MAX as u64 + 1;
                let ends = std::iter::repeat_n(all, shape[0] - 1);
                *bytes = [0]
                    .into_iter()
                    .chain(ends)
                    .flat_map(u64::to_le_bytes)
                    .collect();
            });
        },
        "out_of_range",
        "recent_products row 0 holds a list of 1001, expected at most 1000 for a user",
    ),
];

#[test]
fn card_cannot_demand_unbounded_work() {
    check_faults(&packed(), CARD_FAULTS);
}

#[test]
fn error_quotes_at_most_one_line_of_its_input() {
    let megabyte = "ж".repeat(1 << 19);
    let (card, parts) = packed();
    let mut planned = card.clone();
    planned
        .index
        .get_mut("als")
        .unwrap()
        .plan
        .clone_from(&megabyte);
    let mut named = parts.clone();
    named.insert(megabyte.clone(), Bytes::new());
    let mut headed = parts.clone();
    let tensor = format!(
        r#"{{"{}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}}}"#,
        &megabyte[..60_000]
    );
    headed.insert(ALS.to_owned(), container(&tensor, 0));
    for (card, parts) in [(&planned, &parts), (&card, &named), (&card, &headed)] {
        let said = unpack(card, parts).unwrap_err().to_string();
        assert!(
            said.contains("ж…") && said.len() < 700,
            "{} bytes",
            said.len()
        );
    }
}

/// A safetensors file with this header and so many bytes of zeros.
fn container(header: &str, data: usize) -> Bytes {
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &vec![0; data]]
        .concat()
        .into()
}

/// Three factor matrices of 60, 40 and 7 rows of 7, at these offsets.
fn als_header(shape: &str, offsets: [[usize; 2]; 3]) -> String {
    let [users, products, gram] = offsets.map(|[from, to]| format!("[{from},{to}]"));
    format!(
        r#"{{"user_factors":{{"dtype":"F32","shape":{shape},"data_offsets":{users}}},
            "product_factors":{{"dtype":"F32","shape":[40,7],"data_offsets":{products}}},
            "gram":{{"dtype":"F32","shape":[7,7],"data_offsets":{gram}}}}}"#
    )
}

#[test]
fn inconsistent_safetensors_headers_are_refused() {
    let sound = [[0, 1680], [1680, 2800], [2800, 2996]];
    let (card, mut parts) = packed();
    let header = als_header("[60,7]", sound);
    let beyond = {
        let mut bytes = container(&header, 2996).to_vec();
        bytes[..8].copy_from_slice(&60_000u64.to_le_bytes());
        Bytes::from(bytes)
    };
    let huge = format!("{header}{}", " ".repeat((99 << 20) - header.len()));
    let offsets = |offsets| container(&als_header("[60,7]", offsets), 2996);
    let cases: [(Bytes, &str); 13] = [
        (container(&huge, 2996), "its header claims 103809024 bytes"),
        (beyond, "invalid header length"),
        (Bytes::from_static(&[1; 7]), "header too small"),
        (Bytes::new(), "header too small"),
        (container("", 0), "EOF while parsing"),
        (
            container(&"[".repeat(60_000), 0),
            "expected struct HashMetadata",
        ),
        (
            container(&als_header("[9223372036854775808,4]", sound), 2996),
            "overflow computing buffer size",
        ),
        (
            container(&als_header("[18446744073709551616,4]", sound), 2996),
            "expected usize",
        ),
        (
            offsets([[0, 1680], [1600, 2720], [2800, 2996]]),
            "invalid offset for tensor `product_factors`",
        ),
        (
            offsets([[0, 1680], [1684, 2804], [2800, 2996]]),
            "invalid offset for tensor `product_factors`",
        ),
        (
            offsets([[1680, 0], [1680, 2800], [2800, 2996]]),
            "invalid offset for tensor `user_factors`",
        ),
        (
            offsets([[0, 1680], [1680, 2800], [1 << 40, (1 << 40) + 196]]),
            "invalid offset for tensor `gram`",
        ),
        (
            container(&header, 3000),
            "incomplete metadata, file not fully covered",
        ),
    ];
    for (bytes, words) in cases {
        parts.insert(ALS.to_owned(), bytes);
        let error = unpack(&card, &parts).unwrap_err();
        assert_eq!(error.kind(), "container", "{error}");
        let said = error.to_string();
        assert!(said.contains(words), "{words:?} in {said:?}");
    }
}

#[test]
fn inconsistent_arrow_offsets_are_refused() {
    let (card, parts) = packed();
    // Ids are of ten bytes: the offsets are 0, 10, 20 and so on.
    let offsets: Vec<u8> = (0..4i32).flat_map(|at| (10 * at).to_le_bytes()).collect();
    let find = |what: &[u8]| {
        parts[USERS]
            .windows(what.len())
            .position(|w| w == what)
            .unwrap()
    };
    let (at, text) = (find(&offsets), find(b"user-00003"));
    for (at, bytes, words) in [
        (
            at + 4 * 3,
            &5i32.to_le_bytes()[..],
            "Offset invariant failure",
        ),
        (
            at + 4 * 60,
            &100_000i32.to_le_bytes(),
            "Last offset 100000 of Utf8 is larger",
        ),
        (
            at + 4 * 60,
            &i32::MAX.to_le_bytes(),
            "Last offset 2147483647 of Utf8",
        ),
        (
            at + 4 * 2,
            &(-10i32).to_le_bytes(),
            "Could not convert offset -10",
        ),
        (
            text,
            &[0xff, 0xfe],
            "Invalid UTF8 sequence at string index 3",
        ),
    ] {
        let mut parts = parts.clone();
        let mut changed = parts[USERS].to_vec();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        parts.insert(USERS.to_owned(), changed.into());
        let said = unpack(&card, &parts).unwrap_err().to_string();
        assert!(said.contains(words), "{words:?} in {said:?}");
    }
}

#[test]
fn every_float_of_every_part_must_be_finite() {
    let (card, parts) = packed_with(&FitParams {
        index: IndexChoice::Hnsw,
        ..sample::params(7)
    });
    let mut tried = 0;
    for (name, bytes) in parts
        .iter()
        .filter(|(name, _)| name.ends_with("safetensors"))
    {
        let container = SafeTensors::deserialize(bytes).unwrap();
        let floats = container.iter().filter(|(_, t)| t.dtype() == Dtype::F32);
        for (tensor, count) in floats.map(|(n, t)| (n.to_owned(), t.data().len() / 4)) {
            for (at, value) in [0, count / 2, count - 1]
                .into_iter()
                .flat_map(|at| [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].map(|x| (at, x)))
            {
                let mut parts = parts.clone();
                edit(&mut parts, name, &tensor, put(at, value.to_le_bytes()));
                let error = unpack(&card, &parts).unwrap_err();
                assert!(
                    ["not_finite", "out_of_range"].contains(&error.kind()),
                    "{name}, {tensor}, {value}: {error}"
                );
                tried += 1;
            }
        }
    }
    // Three factor tensors, norms of two indexes, embeddings and cosines.
    assert_eq!(tried, 7 * 9);
}

/// Rings and islands are sound as far as loading looks: what matters is that searches end and
/// that what they miss is found otherwise.
#[test]
fn graphs_with_loops_or_islands_return_all_results() {
    let (card, parts) = super::index::packed_graph();
    let ring = |row: u32, rows: u32| [(row + 1) % rows];
    let island = |row: u32, _: u32| [row ^ 1];
    for to in [ring as fn(u32, u32) -> [u32; 1], island] {
        let mut parts = parts.clone();
        edit(&mut parts, ALS_INDEX, "edges", |bytes, shape| {
            let rows = shape[0] as u32;
            let edges = (0..rows).flat_map(|row| {
                let padding = [NO_EDGE; STRIDE - 1];
                to(row, rows).into_iter().chain(padding)
            });
            *bytes = edges.flat_map(u32::to_le_bytes).collect();
        });
        edit(&mut parts, ALS_INDEX, "ef", put(0, 4096u32.to_le_bytes()));
        let model = unpack(&card, &parts).unwrap();
        let mut scratch = Scratch::default();
        for n in [1, 8, 39, 40, 1000] {
            let query = Query {
                user_id: "user-0003",
                n,
                include_seen: true,
                ..Query::default()
            };
            let answer = model.recommend(&query, &mut scratch).unwrap();
            assert_eq!(answer.items.len(), n.min(40));
        }
        let query = SimilarQuery {
            product_id: model.products().id(ProductRow(0)),
            n: 100,
            basis: None,
            filter: crate::Filter::default(),
            exclude_product_ids: &[],
        };
        assert_eq!(model.similar(&query, &mut scratch).unwrap().items.len(), 39);
    }
}
