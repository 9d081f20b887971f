//! Attacks on the key: values that imitate their neighbours, and requests that mean the same.

use super::*;
use crate::serving::{ProductFilter, RecommendCall, RecommendFields, SimilarCall, SimilarFields};
use hotshelf_model::{Basis, Strategy};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, any, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generator;
use std::collections::BTreeSet;

const ANSWERING: Answering<'static> = Answering {
    encoding: 0,
    model: "shop",
    rollout: 7,
    arm: "main",
    version: 3,
    manifest_sha256: &[0xaa; 32],
};

/// Texts that run into each other without a length: prefixes, lengths of others, the empty one.
fn text() -> impl Generator<Value = String> {
    prop_oneof![Just(String::new()), Just("\0".to_owned()), "[ab\u{1}]{1,3}",]
}

fn id() -> impl Generator<Value = String> {
    "[ab\u{1}]{1,3}"
}

fn filter() -> impl Generator<Value = ProductFilter> {
    let price = || prop_oneof![Just(None), Just(Some(0.0)), Just(Some(1.0))];
    let lists = (vec(id(), 0..3), vec(id(), 0..3), vec(id(), 0..3));
    (lists, price(), price()).prop_map(|((categories, brands, excluded), one, other)| {
        // Ordered, so that the filter is valid.
        let (price_min, price_max) = match (one, other) {
            (Some(one), Some(other)) if one > other => (Some(other), Some(one)),
            pair => pair,
        };
        ProductFilter {
            categories,
            brands,
            price_min,
            price_max,
            exclude_product_ids: excluded,
        }
    })
}

fn recommend_fields() -> impl Generator<Value = RecommendFields> {
    let strategy = prop_oneof![
        Just(None),
        Just(Some(Strategy::Hybrid)),
        Just(Some(Strategy::Collaborative)),
        Just(Some(Strategy::Content)),
        Just(Some(Strategy::Blended)),
    ];
    let alpha = prop_oneof![
        Just(None),
        Just(Some(0.0)),
        Just(Some(0.5)),
        Just(Some(1.0))
    ];
    let flags = (any::<Option<bool>>(), any::<bool>());
    let rest = (vec(id(), 0..3), filter(), flags, 1..3_u32);
    (text(), strategy, alpha, rest).prop_map(
        |(
            user_id,
            strategy,
            alpha,
            (recent_product_ids, filter, (include_seen, include_names), n),
        )| {
            RecommendFields {
                user_id,
                session_id: String::new(),
                request_id: String::new(),
                model: String::new(),
                n: Some(n),
                strategy: Ok(strategy),
                alpha,
                recent_product_ids,
                filter,
                include_seen,
                include_names,
                debug: false,
                pinned_version: None,
            }
        },
    )
}

fn similar_fields() -> impl Generator<Value = SimilarFields> {
    let basis = prop_oneof![
        Just(None),
        Just(Some(Basis::Content)),
        Just(Some(Basis::Collaborative)),
        Just(Some(Basis::Sequence)),
    ];
    (id(), basis, filter(), 1..3_u32).prop_map(|(product_id, basis, filter, n)| SimilarFields {
        product_id,
        model: String::new(),
        n: Some(n),
        basis: Ok(basis),
        filter,
        user_id: String::new(),
        session_id: String::new(),
        request_id: String::new(),
        debug: false,
        pinned_version: None,
    })
}

fn recommend_key(fields: RecommendFields) -> Key {
    key_of(ANSWERING, &RecommendCall::validate(fields).unwrap())
}

fn similar_key(fields: SimilarFields) -> Key {
    key_of(ANSWERING, &SimilarCall::validate(fields).unwrap())
}

/// Everything that decides an answer, as text that is unambiguous by itself: the meaning of a filter is
/// the set of its values.
fn meaning(fields: &RecommendFields) -> String {
    let filter = &fields.filter;
    let sets = [
        &filter.categories,
        &filter.brands,
        &filter.exclude_product_ids,
    ]
    .map(|values| values.iter().collect::<BTreeSet<_>>());
    let prices = (filter.price_min, filter.price_max);
    let person = (&fields.user_id, &fields.recent_product_ids);
    let scoring = (fields.n, &fields.strategy, fields.alpha);
    let flags = (fields.include_seen, fields.include_names);
    format!("{person:?} {scoring:?} {sets:?} {prices:?} {flags:?}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn different_requests_never_share_a_key(one in recommend_fields(), other in recommend_fields()) {
        let is_same = meaning(&one) == meaning(&other);
        prop_assert_eq!(recommend_key(one) == recommend_key(other), is_same);
    }

    #[test]
    fn changing_one_field_changes_the_key(one in recommend_fields(), other in recommend_fields()) {
        let with = |change: fn(&mut RecommendFields, &RecommendFields)| {
            let mut changed = one.clone();
            change(&mut changed, &other);
            changed
        };
        for changed in [
            with(|one, other| one.user_id.clone_from(&other.user_id)),
            with(|one, other| one.recent_product_ids.clone_from(&other.recent_product_ids)),
            with(|one, other| one.filter.clone_from(&other.filter)),
            with(|one, other| one.alpha = other.alpha),
            with(|one, other| one.strategy.clone_from(&other.strategy)),
            with(|one, other| one.include_seen = other.include_seen),
            with(|one, _| one.include_names = !one.include_names),
            with(|one, _| std::mem::swap(&mut one.filter.brands, &mut one.filter.categories)),
        ] {
            let is_same = meaning(&one) == meaning(&changed);
            prop_assert_eq!(recommend_key(one.clone()) == recommend_key(changed), is_same);
        }
    }

    #[test]
    fn requests_that_mean_the_same_share_a_key(
        mut fields in recommend_fields(),
        session_id in text(),
        request_id in text(),
    ) {
        fields.user_id = "ann".to_owned();
        fields.n = Some(10);
        let key = recommend_key(fields.clone());
        for values in [
            &mut fields.filter.categories,
            &mut fields.filter.brands,
            &mut fields.filter.exclude_product_ids,
        ] {
            values.reverse();
            values.extend(values.first().cloned());
        }
        fields.filter.price_min = fields.filter.price_min.map(|min| if min == 0.0 { -0.0 } else { min });
        let same = RecommendFields { n: None, session_id, request_id, ..fields };
        prop_assert_eq!(recommend_key(same), key);
    }

    #[test]
    fn different_requests_for_similar_products_never_share_a_key(
        one in similar_fields(),
        other in similar_fields(),
    ) {
        let meaning = |fields: &SimilarFields| {
            let sets = [&fields.filter.categories, &fields.filter.brands, &fields.filter.exclude_product_ids]
                .map(|values| values.iter().collect::<BTreeSet<_>>());
            let prices = (fields.filter.price_min, fields.filter.price_max);
            format!("{:?} {:?} {:?} {sets:?} {prices:?}", fields.product_id, fields.n, fields.basis)
        };
        let is_same = meaning(&one) == meaning(&other);
        prop_assert_eq!(similar_key(one) == similar_key(other), is_same);
    }
}

#[test]
fn calls_encodings_models_rollouts_arms_and_versions_never_share_a_key() {
    let answering = [
        ANSWERING,
        Answering {
            encoding: 1,
            ..ANSWERING
        },
        Answering {
            model: "shopm",
            arm: "ain",
            ..ANSWERING
        },
        Answering {
            model: "shop2",
            ..ANSWERING
        },
        Answering {
            rollout: 3,
            version: 7,
            ..ANSWERING
        },
        Answering {
            rollout: 8,
            ..ANSWERING
        },
        Answering {
            version: 4,
            ..ANSWERING
        },
        Answering {
            manifest_sha256: &[0xbb; 32],
            ..ANSWERING
        },
        Answering {
            arm: "base",
            ..ANSWERING
        },
    ];
    let keys: BTreeSet<Key> = answering.map(|one| key_of(one, &Recommend)).into();
    assert_eq!(keys.len(), answering.len());
    assert!(!keys.contains(&key_of(ANSWERING, &Similar)));
}

/// Two kinds of call whose fields write the same.
struct Recommend;
struct Similar;

impl CanonicalCall for Recommend {
    const KIND: CallKind = CallKind::Recommend;

    fn write_key(&self, key: &mut KeyWriter) {
        key.text("a");
    }
}

impl CanonicalCall for Similar {
    const KIND: CallKind = CallKind::Similar;

    fn write_key(&self, key: &mut KeyWriter) {
        key.text("a");
    }
}
