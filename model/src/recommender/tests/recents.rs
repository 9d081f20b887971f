//! Recent products that the user only looked at, and histories that follow them.

use proptest::{prelude::*, sample::subsequence, strategy::Strategy as _};

use super::*;
use crate::{IndexChoice, Strategy, sample};

const PRODUCTS: u32 = 120;

fn model() -> Model {
    sample::shop_with_content(PRODUCTS, IndexChoice::Exact)
}

fn items(most: usize) -> impl proptest::strategy::Strategy<Value = Vec<String>> {
    let item = (0..PRODUCTS + 5).prop_map(|number| format!("item-{number:04}"));
    proptest::collection::vec(item, 1..most)
}

fn strategies() -> impl proptest::strategy::Strategy<Value = Strategy> {
    prop_oneof![
        Just(Strategy::Hybrid),
        Just(Strategy::Content),
        Just(Strategy::Collaborative)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn browsed_products_steer_like_others_and_stay_eligible(
        (recents, browsed) in items(9).prop_flat_map(|all| {
            let count = 0..=all.len();
            (Just(all.clone()), subsequence(all, count))
        }),
        strategy in strategies(),
    ) {
        let model = model();
        let had: Vec<_> = recents.iter().filter(|id| !browsed.contains(id)).cloned().collect();
        // A user without history: only the recents can be had.
        let query = Query { n: 20, strategy, recent_product_ids: &recents, ..Query::default() };
        let steered = ask(&model, &Query { browsed: &browsed, ..query });
        let named = Query { include_seen: true, exclude_product_ids: &had, ..query };
        prop_assert_eq!(steered.items, ask(&model, &named).items);
    }

    #[test]
    fn history_follows_recents_that_are_filled_up(
        user in 0u32..90,
        recents in items(4),
        include_seen: bool,
    ) {
        let model = model();
        let user_id = format!("user-{user:05}");
        let row = model.users.find(&user_id).unwrap();
        let history = model.history.recent(row).map(|product| model.products.id(product).to_owned());
        let whole: Vec<_> = recents.iter().cloned().chain(history).collect();
        let query = Query {
            user_id: &user_id,
            strategy: Strategy::Content,
            recent_product_ids: &recents,
            include_seen,
            ..Query::default()
        };
        let filled = ask(&model, &Query { fill_from_history: true, ..query });
        let named = ask(&model, &Query { recent_product_ids: &whole, ..query });
        prop_assert_eq!(filled.items, named.items);
    }
}
