//! Models of the greatest and smallest numbers that a load accepts: no score leaves f32.

use std::num::NonZeroUsize;

use proptest::{prelude::*, strategy::Strategy as _};

use super::*;
use crate::{
    Basis, FACTOR_NORM_MAX, Filter, IndexChoice, Interactions, Matrix, SidesParams, SimilarQuery,
    Strategy, Trend, als::Als, column::Column, factor_cosines::FactorCosines, index::ItemIndex,
    sample,
};

const PRODUCTS: usize = 12;
const USERS: usize = 6;
const FACTORS: usize = 2;

/// A side of a square whose diagonal has the greatest norm, with room for rounding.
const GREATEST: f32 = FACTOR_NORM_MAX * 0.7;

/// A factor: from the smallest subnormal to what the greatest norm leaves.
fn factor() -> impl proptest::strategy::Strategy<Value = f32> {
    let sizes = [0.0, 1e-45, 1e-38, 1e-20, 1.0, 1e9, GREATEST];
    (proptest::sample::select(sizes.to_vec()), any::<bool>())
        .prop_map(|(size, is_negative)| if is_negative { -size } else { size })
}

/// A unit vector in a plane, nearly orthogonal to the others or opposite.
fn embedding() -> impl proptest::strategy::Strategy<Value = Option<Vec<f32>>> {
    let rows = [[1.0, 0.0], [-1.0, 1e-45], [1e-40, 1.0], [-1e-38, -1.0]];
    proptest::option::weighted(0.9, proptest::sample::select(rows.map(Vec::from).to_vec()))
}

fn factors(rows: usize) -> impl proptest::strategy::Strategy<Value = Vec<f32>> {
    proptest::collection::vec(factor(), rows * FACTORS)
}

fn shop() -> Interactions {
    let mut builder = crate::InteractionsBuilder::new();
    // First, so that rows are in the order of the ids.
    (0..PRODUCTS).for_each(|product| builder.add_product(&format!("p{product:02}")));
    for user in 0..USERS {
        for step in 0..3 {
            let product = (user * 5 + step * 3) % PRODUCTS;
            builder.add(
                &format!("u{user}"),
                &format!("p{product:02}"),
                1.0,
                step as i64,
            );
        }
    }
    builder.build()
}

/// A small shop whose factors, Gram matrix and embeddings are these.
fn model(products: Vec<f32>, users: Vec<f32>, gram: [f32; 4], rows: &[Option<Vec<f32>>]) -> Model {
    let params = sample::params_without_content(FACTORS);
    let mut model = crate::fit(&shop(), &[], &params, NonZeroUsize::MIN, &mut |_| {}).unwrap();
    model.als = Als {
        user_factors: Matrix::from_vec(users, FACTORS).unwrap(),
        product_factors: Matrix::from_vec(products, FACTORS).unwrap(),
        gram: Matrix::from_vec(gram.to_vec(), FACTORS).unwrap(),
    };
    model.index = ItemIndex::build(&model.als.product_factors, IndexChoice::Exact, None);
    model.cosines = FactorCosines::new(&model.als.product_factors, &mut |_| {});
    if rows.iter().all(Option::is_none) {
        return model;
    }
    model.with_content(sample::content(rows, 3, IndexChoice::Exact))
}

/// What a load accepts in the parts of sequence, repeat and trend.
fn decayed() -> impl proptest::strategy::Strategy<Value = f32> {
    proptest::sample::select(vec![1e-45, 1e-38, 1.0, 1e30, f32::MAX])
}

/// A weight that a request or a card may name.
fn weight() -> impl proptest::strategy::Strategy<Value = f64> {
    proptest::sample::select(vec![0.0, 1e-300, 1e-40, 1.0, f64::from(f32::MAX), f64::MAX])
}

/// The model with all sides, whose transitions, personal frequencies and recent popularity are these.
fn with_sides(mut model: Model, [transition, frequency, popularity]: [f32; 3]) -> Model {
    let params = SidesParams::all();
    model
        .refit_sides(&shop(), &params, NonZeroUsize::MIN)
        .unwrap();
    let sides = &mut model.sides;
    let transitions = sides.transitions.as_mut().unwrap();
    let listed = transitions.scores.as_slice().len();
    assert!(listed > PRODUCTS, "{listed} transitions");
    transitions.scores = Column::from_vec(vec![transition; listed]);
    let frequencies = sides.frequencies.as_mut().unwrap();
    let pairs = frequencies.weights.as_slice().len();
    frequencies.weights = Column::from_vec(vec![frequency; pairs]);
    let mut scores = vec![popularity; PRODUCTS];
    scores[0] = 1e-45;
    sides.trend = Some(Trend::new(Column::from_vec(scores), &mut |_| {}));
    model
}

/// Every kind of answer that a model gives: every strategy and alpha, for known, folded-in and unknown
/// people; similar products on either basis.
fn assert_finite(model: &Model) {
    let recents = ["p00", "p03", "p07"].map(str::to_owned);
    let people = [
        ("u1", &recents[..0]),
        ("u1", &recents[..]),
        ("", &recents[..]),
        ("", &[]),
    ];
    let strategies = [Strategy::Hybrid, Strategy::Collaborative, Strategy::Content];
    for (user_id, recent_product_ids) in people {
        for strategy in strategies {
            for alpha in [0.0, 1e-300, 0.5, 0.7, 1.0 - f64::EPSILON, 1.0] {
                let query = Query {
                    user_id,
                    strategy,
                    alpha: Some(alpha),
                    recent_product_ids,
                    include_seen: true,
                    n: PRODUCTS,
                    ..Query::default()
                };
                let Ok(answer) = model.recommend(&query, &mut Scratch::default()) else {
                    assert!(model.content.is_none() && strategy == Strategy::Content);
                    continue;
                };
                for item in &answer.items {
                    let scores = [
                        Some(item.score),
                        item.scores.collaborative,
                        item.scores.content,
                    ];
                    let is_finite = scores.into_iter().flatten().all(f32::is_finite);
                    assert!(is_finite, "{query:?}: {item:?}");
                }
            }
        }
    }
    for basis in [Some(Basis::Content), Some(Basis::Collaborative), None] {
        let query = SimilarQuery {
            product_id: "p00",
            n: PRODUCTS,
            basis,
            filter: Filter::default(),
            exclude_product_ids: &[],
        };
        let Ok(answer) = model.similar(&query, &mut Scratch::default()) else {
            continue;
        };
        for item in &answer.items {
            assert!(item.similarity.is_finite(), "{basis:?}: {item:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_score_is_finite_whatever_a_load_accepts(
        products in factors(PRODUCTS),
        users in factors(USERS),
        gram in prop_oneof![
            Just([0.0; 4]),
            Just([1e-45, 0.0, 0.0, 1e-45]),
            Just([f32::MAX, 0.0, 0.0, f32::MAX]),
            Just([1.0, f32::MAX, f32::MAX, 1.0]),
        ],
        rows in proptest::collection::vec(embedding(), PRODUCTS),
    ) {
        assert_finite(&model(products, users, gram, &rows));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_blended_score_and_share_is_finite_whatever_a_load_accepts(
        products in factors(PRODUCTS),
        users in factors(USERS),
        rows in proptest::collection::vec(embedding(), PRODUCTS),
        sides in proptest::array::uniform3(decayed()),
        weights in proptest::array::uniform5(weight()),
    ) {
        let model = with_sides(model(products, users, [0.0; 4], &rows), sides);
        let [collaborative, content, sequence, repeat, trend] = weights;
        let weights = Weights { collaborative, content, sequence, repeat, trend };
        let recents = ["p00", "p03", "p05", "p07"].map(str::to_owned);
        for (user_id, recent_product_ids) in [("u1", &recents[..0]), ("u1", &recents), ("", &recents)] {
            let query = Query {
                user_id,
                strategy: Strategy::Blended,
                weights: Some(weights),
                recent_product_ids,
                include_seen: true,
                n: PRODUCTS,
                ..Query::default()
            };
            let answer = ask(&model, &query);
            for item in &answer.items {
                let shares = item.shares.iter().map(|(_, share)| *share);
                let scores = item.scores.iter().filter_map(|(_, score)| *score);
                let all: Vec<f32> = shares.chain(scores).chain([item.score]).collect();
                prop_assert!(all.iter().all(|score| score.is_finite()), "{query:?}: {item:?}");
            }
            let scores = answer.items.iter().filter(|item| item.reason != Reason::Popular);
            let scores: Vec<f32> = scores.map(|item| item.score).collect();
            prop_assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
        }
        let query = SimilarQuery {
            product_id: "p00",
            n: PRODUCTS,
            basis: Some(Basis::Sequence),
            filter: Filter::default(),
            exclude_product_ids: &[],
        };
        let answer = model.similar(&query, &mut Scratch::default()).unwrap();
        prop_assert!(!answer.items.is_empty());
        prop_assert!(answer.items.iter().all(|item| item.similarity.is_finite()));
    }
}

#[test]
fn negative_scores_beside_a_tiny_greatest_one_stay_finite_and_in_order() {
    // By factors: one product at 1e-45 and the others far below it.
    let mut products = vec![0.0; PRODUCTS * FACTORS];
    for (row, factors) in products.chunks_exact_mut(FACTORS).enumerate() {
        factors[0] = if row == 0 {
            1e-45
        } else {
            -GREATEST * row as f32 / 16.0
        };
    }
    let users = [GREATEST, 0.0].repeat(USERS);
    let rows: Vec<_> = (0..PRODUCTS).map(|_| Some(vec![1.0, 0.0])).collect();
    let by_factors = model(products, users, [0.0; 4], &rows);
    // By content: one product at 1e-40 and the others opposite.
    let mut rows = vec![Some(vec![-1.0, 0.0]); PRODUCTS];
    rows[0] = Some(vec![1.0, 0.0]);
    rows[1] = Some(vec![1e-40, 1.0]);
    let ones = || vec![1.0; PRODUCTS * FACTORS];
    let by_content = model(ones(), vec![1.0; USERS * FACTORS], [1.0; 4], &rows);
    let recents = ["p00".to_owned()];
    for (model, recents) in [(by_factors, &recents[..0]), (by_content, &recents[..])] {
        let answer = ask(
            &model,
            &Query {
                user_id: "u1",
                recent_product_ids: recents,
                n: PRODUCTS,
                ..Query::default()
            },
        );
        let scores: Vec<f32> = answer.items.iter().map(|item| item.score).collect();
        assert!(scores.contains(&f32::MIN), "{scores:?}");
        assert!(scores.iter().all(|score| score.is_finite()), "{scores:?}");
        assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
        assert_finite(&model);
    }
}
