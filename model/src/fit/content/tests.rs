//! Hand-worked rows, and rows against their definition.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::{
    CardExtra, ContentParams, CpuPath, IndexChoice, Matrix, Model, ProductInfo, ProductRow,
    fit::fit_on, index::norm, sample,
};

fn product(id: &str, name: &str, price: Option<f32>) -> ProductInfo {
    ProductInfo {
        id: id.to_owned(),
        name: (!name.is_empty()).then(|| name.to_owned()),
        price,
        ..ProductInfo::default()
    }
}

fn embedded(products: &[ProductInfo], params: &ContentParams) -> (Matrix, Vec<u32>, Vec<String>) {
    let infos: Vec<Option<&ProductInfo>> = products.iter().map(Some).collect();
    let (groups, terms) = tfidf::embed(&infos, params).unwrap();
    let (rows, groups) = groups.into_parts().unwrap();
    (rows, groups.as_slice().to_vec(), terms)
}

fn assert_close(row: &[f32], expected: &[f64]) {
    assert_eq!(row.len(), expected.len());
    for (found, expected) in row.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-6, "{row:?}");
    }
}

/// ln(1 + price) of the two prices is 0 and ln 4: one deviation below and above the mean.
fn shelf() -> [ProductInfo; 4] {
    [
        product("a", "The Red mug", Some(0.0)),
        product("b", "red, red pot", Some(3.0)),
        product("c", "mug", None),
        product("d", "", Some(3.0)),
    ]
}

#[test]
fn hand_worked_rows() {
    let (rows, groups, terms) = embedded(&shelf()[..3], &ContentParams::default());
    assert_eq!(terms, ["mug", "pot", "red", "price"]);
    assert_eq!(groups, [0, 1, 2]);
    // Of 3 products 2 have `mug`, 2 `red`, 1 `pot`: idf ln(4/3) + 1, ln(4/3) + 1, ln(4/2) + 1.
    let (often, once) = (1.287_682_072, 1.693_147_181);
    let text = f64::hypot(2.0 * often, once);
    // Each row is [text | ±0.2], and √1.04 long before it is brought to length 1.
    let length = 1.019_803_903;
    let half = std::f64::consts::FRAC_1_SQRT_2;
    assert_close(
        rows.row(0),
        &[half / length, 0.0, half / length, -0.2 / length],
    );
    assert_close(
        rows.row(1),
        &[
            0.0,
            once / text / length,
            2.0 * often / text / length,
            0.2 / length,
        ],
    );
    assert_close(rows.row(2), &[1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn price_alone_gives_no_embedding() {
    let (rows, groups, _) = embedded(&shelf(), &ContentParams::default());
    assert_eq!((rows.rows(), groups[3]), (3, NO_GROUP));
    let none = [product("a", "the of", Some(1.0)), product("b", "", None)];
    let infos: Vec<Option<&ProductInfo>> = none.iter().map(Some).collect();
    let (groups, _) = tfidf::embed(&infos, &ContentParams::default()).unwrap();
    assert!(groups.into_parts().is_none());
}

#[test]
fn options_choose_terms_and_damp_counts() {
    let params = ContentParams {
        ngram_max: 2,
        ..ContentParams::default()
    };
    let (.., terms) = embedded(&shelf()[..2], &params);
    // Stop words are gone before words are joined.
    assert_eq!(
        terms,
        [
            "mug", "pot", "red", "red mug", "red pot", "red red", "price"
        ]
    );
    // `red` occurs three times, `mug` twice; then once each, the lower first.
    for (terms_max, expected) in [
        (1, vec!["red"]),
        (2, vec!["mug", "red"]),
        (3, vec!["mug", "pot", "red"]),
        (4, vec!["mug", "pot", "red", "red mug"]),
    ] {
        let params = ContentParams {
            terms_max,
            ..params
        };
        let (.., terms) = embedded(&shelf(), &params);
        assert_eq!(terms[..terms_max], expected);
    }
    let params = ContentParams {
        min_df: 2,
        ..ContentParams::default()
    };
    assert_eq!(embedded(&shelf(), &params).2, ["mug", "red", "price"]);
    let params = ContentParams {
        sublinear_tf: true,
        price_scale: 0.0,
        ..ContentParams::default()
    };
    // Of 4 products 1 has `pot`, 2 have `red`: (1 + ln 2) × 1.510826 beside 1.916291.
    let (rows, ..) = embedded(&shelf(), &params);
    assert_close(rows.row(1), &[0.0, 0.599_550_2, 0.800_337_1, 0.0]);
}

#[test]
fn equal_rows_are_one_group_even_of_different_texts_and_prices() {
    // A text of one term has length 1 however often the term stands there, and 9.99 lies within
    // half a step of 10.
    let products = [
        product("a", "mug", Some(10.0)),
        product("b", "mug mug", Some(9.99)),
        product("c", "mug", Some(1000.0)),
        product("d", "Mug!", Some(10.0)),
        product("e", "blue pot", None),
        product("f", "Blue pot: blue pot, pot blue", None),
    ];
    let (rows, groups, _) = embedded(&products, &ContentParams::default());
    assert_eq!((rows.rows(), groups), (3, vec![0, 0, 1, 0, 2, 2]));
    // Equal prices tell nothing apart.
    let flat = products[..4].iter().cloned().map(|info| ProductInfo {
        price: Some(0.1),
        ..info
    });
    let (rows, ..) = embedded(&flat.collect::<Vec<_>>(), &ContentParams::default());
    assert_eq!(rows.as_slice(), [1.0, 0.0]);
}

fn params() -> impl Strategy<Value = ContentParams> {
    (1usize..12, 1usize..4, any::<bool>(), 1usize..4, 0usize..2).prop_map(
        |(terms_max, ngram_max, sublinear_tf, min_df, price)| ContentParams {
            terms_max,
            ngram_max,
            sublinear_tf,
            min_df,
            price_scale: [0.0, 0.2][price],
        },
    )
}

/// Few words and prices, so that texts and rows repeat.
fn products() -> impl Strategy<Value = Vec<ProductInfo>> {
    let word = prop_oneof![
        Just("mug"),
        Just("Pot"),
        Just("the"),
        Just("x"),
        Just("tee-pot")
    ];
    let text = proptest::collection::vec(word, 0..5).prop_map(|words| words.join(" "));
    let price = prop_oneof![
        Just(None),
        Just(Some(1.0)),
        Just(Some(1.01)),
        Just(Some(90.0))
    ];
    proptest::collection::vec((text, price), 1..40).prop_map(|products| {
        let named = products.iter().zip(0..);
        named
            .map(|((text, price), number)| product(&format!("{number:03}"), text, *price))
            .collect()
    })
}

/// The text part by its definition, terms as strings; empty for a product without terms.
fn naive_texts(products: &[ProductInfo], params: &ContentParams) -> (Vec<String>, Vec<Vec<f64>>) {
    let splitter = words::Words::english();
    let terms_of = |info: &ProductInfo| {
        let mut words = Vec::new();
        let name = info.name.as_deref().unwrap_or("");
        splitter.each(name, |word| words.push(word.to_owned()));
        let runs = (1..=params.ngram_max).flat_map(|len| words.windows(len));
        let mut counts = BTreeMap::<String, f64>::new();
        runs.for_each(|run| *counts.entry(run.join(" ")).or_default() += 1.0);
        counts
    };
    let all: Vec<BTreeMap<String, f64>> = products.iter().map(terms_of).collect();
    let mut totals = BTreeMap::<&String, (f64, usize)>::new();
    for (term, count) in all.iter().flatten() {
        let total = totals.entry(term).or_default();
        *total = (total.0 + count, total.1 + 1);
    }
    let mut kept: Vec<(&String, (f64, usize))> = totals.into_iter().collect();
    kept.retain(|(_, (_, df))| *df >= params.min_df);
    kept.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
    kept.truncate(params.terms_max);
    kept.sort_by_key(|(term, _)| *term);
    let rows = all.iter().map(|counts| {
        let weights = kept.iter().map(|(term, (_, df))| {
            let idf = ((1.0 + products.len() as f64) / (1.0 + *df as f64)).ln() + 1.0;
            match counts.get(*term) {
                Some(count) if params.sublinear_tf => (1.0 + count.ln()) * idf,
                Some(count) => count * idf,
                None => 0.0,
            }
        });
        let weights: Vec<f64> = weights.collect();
        let norm = weights.iter().map(|x| x * x).sum::<f64>().sqrt();
        match norm > 0.0 {
            true => weights.iter().map(|x| x / norm).collect(),
            false => Vec::new(),
        }
    });
    (
        kept.iter().map(|(term, _)| (*term).clone()).collect(),
        rows.collect(),
    )
}

proptest! {
    #[test]
    fn rows_follow_the_definition_and_groups_partition_the_products(
        (products, params) in (products(), params()),
    ) {
        let infos: Vec<Option<&ProductInfo>> = products.iter().map(Some).collect();
        let (groups, terms) = tfidf::embed(&infos, &params).unwrap();
        let (expected_terms, expected) = naive_texts(&products, &params);
        prop_assert_eq!(&terms[..terms.len() - 1], &expected_terms[..]);
        let Some((rows, groups)) = groups.into_parts() else {
            prop_assert!(expected.iter().all(Vec::is_empty));
            return Ok(());
        };
        let mut first = 0;
        for ((group, text), info) in groups.as_slice().iter().zip(&expected).zip(&products) {
            prop_assert_eq!(*group == NO_GROUP, text.is_empty());
            if *group == NO_GROUP {
                continue;
            }
            prop_assert!(*group <= first, "numbered by first product");
            first = first.max(group + 1);
            let row = rows.row(*group as usize);
            prop_assert!((norm(row) - 1.0).abs() < 1e-6);
            let (price, found) = row.split_last().unwrap();
            prop_assert!(*price == 0.0 || (info.price.is_some() && params.price_scale > 0.0));
            let rest = (1.0 - f64::from(*price).powi(2)).sqrt();
            for (found, expected) in found.iter().zip(text) {
                prop_assert!((f64::from(*found) - expected * rest).abs() < 1e-6);
            }
        }
        prop_assert_eq!(first as usize, rows.rows());
        let mut bits: Vec<Vec<u32>> =
            (0..rows.rows()).map(|row| rows.row(row).iter().map(|x| x.to_bits()).collect()).collect();
        bits.sort();
        bits.dedup();
        prop_assert_eq!(bits.len(), rows.rows(), "no row twice");
    }
}

/// A catalogue of the products of [`sample::shop`] with texts that overlap.
fn catalogue(products: u32) -> Vec<ProductInfo> {
    let info = |number: u32| ProductInfo {
        id: format!("item-{number:04}"),
        name: Some(format!(
            "{} mug number {}",
            ["red", "blue"][number as usize % 2],
            number / 3
        )),
        category: (!number.is_multiple_of(5)).then(|| format!("kitchen {}", number % 7)),
        brand: Some("Acme".to_owned()),
        price: (!number.is_multiple_of(4)).then_some(number as f32 / 3.0),
        ..ProductInfo::default()
    };
    (0..products).map(info).collect()
}

fn fitted(machine: Machine, products: &[ProductInfo], params: &FitParams) -> Model {
    fit_on(
        machine,
        &sample::shop(60, 150),
        products,
        params,
        &mut |_| {},
    )
    .unwrap()
}

fn machine(threads: usize, path: CpuPath) -> Machine {
    Machine {
        threads: NonZeroUsize::new(threads).unwrap(),
        path,
        clock: None,
    }
}

#[test]
fn same_bytes_for_any_number_of_threads_any_path_and_either_source() {
    let texts = catalogue(140);
    let own = texts.iter().zip(1u32..).map(|(info, number)| {
        let numbers = (0..9).map(|at| (number * (at + 3) * 7919 % 101) as f32 - 50.0);
        ProductInfo {
            embedding: Some(numbers.collect()),
            ..info.clone()
        }
    });
    let own: Vec<ProductInfo> = own.collect();
    for (products, index) in [
        (&texts, IndexChoice::Auto),
        (&texts, IndexChoice::Hnsw),
        (&own, IndexChoice::Exact),
    ] {
        let params = FitParams {
            index,
            ..sample::params(3)
        };
        let pack = |machine| {
            let model = fitted(machine, products, &params);
            assert!(model.content().unwrap().card().groups > 64);
            model.pack(CardExtra::default()).unwrap()
        };
        let expected = pack(machine(1, CpuPath::Portable));
        for path in CpuPath::available() {
            for threads in 1..=3 {
                let same = pack(machine(threads, path)) == expected;
                assert!(same, "{threads} threads, {}", path.as_str());
            }
        }
    }
}

#[test]
fn members_are_the_products_of_a_group_and_no_terms_is_no_content() {
    let params = sample::params(3);
    let products = catalogue(140);
    let model = fitted(machine(2, CpuPath::detected()), &products, &params);
    let content = model.content().unwrap();
    let mut grouped = 0;
    for group in 0..content.card().groups as u32 {
        let members = content.members(group);
        assert!(members.windows(2).all(|pair| pair[0] < pair[1]));
        for product in members {
            assert_eq!(content.group(ProductRow(*product)), Some(group));
        }
        grouped += members.len();
    }
    // The last ten products of the shop are unknown to the catalogue.
    assert_eq!((grouped, content.without()), (140, 10));
    assert_eq!(content.card().products_without, 10);
    assert_eq!(content.group(ProductRow(149)), None);
    let mut params = params;
    params.content.terms_max = 0;
    let model = fitted(machine(1, CpuPath::detected()), &products, &params);
    assert!(model.content().is_none());
}

fn with_embeddings(embeddings: &[Option<&[f32]>]) -> Vec<ProductInfo> {
    let products = embeddings
        .iter()
        .zip(0..)
        .map(|(embedding, number)| ProductInfo {
            embedding: embedding.map(Arc::from),
            ..product(&format!("item-{number:04}"), "Mug", Some(1.0))
        });
    products.collect()
}

#[test]
fn own_embeddings_replace_texts_at_unit_length() {
    let products = with_embeddings(&[
        Some(&[3.0, 4.0]),
        None,
        Some(&[-0.0, 0.0]),
        Some(&[0.0, -2.0]),
        Some(&[6.0, 8.0]),
        Some(&[-0.0, -1.0]),
        Some(&[3e38, 0.0]),
        Some(&[1e-45, 0.0]),
    ]);
    let model = fitted(
        machine(1, CpuPath::detected()),
        &products,
        &sample::params(3),
    );
    let content = model.content().unwrap();
    let rows = content.embeddings().as_slice();
    assert_eq!(rows, [0.6, 0.8, 0.0, -1.0, 1.0, 0.0]);
    let groups: Vec<Option<u32>> = (0..8).map(|row| content.group(ProductRow(row))).collect();
    assert_eq!(
        groups,
        [
            Some(0),
            None,
            None,
            Some(1),
            Some(0),
            Some(1),
            Some(2),
            Some(2)
        ]
    );
    let card = content.card();
    assert_eq!(
        (card.source.as_str(), card.groups, card.neighbours),
        ("own", 3, 2)
    );
    assert_eq!((card.terms.len(), card.neighbours_exact), (0, true));
    assert_eq!(content.neighbours(0), (&[2, 1][..], &[0.6, -0.8][..]));
}

#[test]
fn own_embeddings_that_cannot_be_used_are_refused_by_product() {
    let refusal = |embeddings: &[Option<&[f32]>]| {
        let products = with_embeddings(embeddings);
        let (data, params) = (sample::shop(20, 30), sample::params(3));
        let machine = machine(1, CpuPath::detected());
        fit_on(machine, &data, &products, &params, &mut |_| {})
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refusal(&[None, Some(&[])]),
        "embedding of product \"item-0001\" has 0 numbers, expected 1 to 4096"
    );
    assert!(refusal(&[Some(&[1.0; 4097])]).contains("has 4097 numbers, expected 1 to 4096"));
    assert_eq!(
        refusal(&[Some(&[1.0, 2.0]), None, Some(&[1.0])]),
        "embedding of product \"item-0002\" has 1 numbers, expected 2, the length for product \
         \"item-0000\""
    );
    assert_eq!(
        refusal(&[Some(&[1.0, 2.0]), Some(&[1.0, f32::NAN])]),
        "embedding of product \"item-0001\" holds NaN at 1, which is not a finite number"
    );
    assert!(refusal(&[Some(&[f32::NEG_INFINITY, 2.0])]).contains("holds -inf at 0"));
}

#[test]
fn parameters_out_of_range_are_refused_by_name() {
    let refusal = |change: fn(&mut FitParams)| {
        let mut params = sample::params(3);
        change(&mut params);
        let machine = machine(1, CpuPath::detected());
        let refused = fit_on(machine, &sample::shop(9, 9), &[], &params, &mut |_| {});
        refused.unwrap_err().to_string()
    };
    let expected = "parameter terms_max is 10001, expected 0 to 10000";
    assert_eq!(refusal(|p| p.content.terms_max = 10_001), expected);
    assert!(refusal(|p| p.content.ngram_max = 0).contains("ngram_max is 0, expected 1 to 3"));
    assert!(refusal(|p| p.content.ngram_max = 4).contains("ngram_max is 4"));
    assert!(refusal(|p| p.content.min_df = 0).contains("min_df is 0, expected 1 or more"));
    for scale in [-0.1, 1.1, f32::NAN] {
        let mut params = sample::params(3);
        params.content.price_scale = scale;
        let refused = crate::fit(
            &sample::shop(9, 9),
            &[],
            &params,
            NonZeroUsize::MIN,
            &mut |_| {},
        );
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("parameter price_scale is"), "{text}");
    }
    assert!(refusal(|p| p.scoring.alpha = f64::NAN).contains("alpha is NaN, expected 0 to 1"));
    assert!(refusal(|p| p.scoring.alpha = 1.5).contains("alpha is 1.5"));
    assert!(refusal(|p| p.scoring.recents = 0).contains("recents is 0, expected 1 to 100"));
    assert!(refusal(|p| p.scoring.recents = 101).contains("recents is 101"));
}
