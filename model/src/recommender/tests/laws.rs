//! Laws over random queries, under every choice of index.

use std::sync::OnceLock;

use proptest::{prelude::*, strategy::Strategy as _};

use super::{naive, *};
use crate::{Filter, IndexChoice, Strategy, sample};

const PRODUCTS: u32 = 300;
const CHOICES: [IndexChoice; 3] = [IndexChoice::Auto, IndexChoice::Exact, IndexChoice::Hnsw];

/// One shop under each choice.
fn models() -> &'static [Model; 3] {
    static MODELS: OnceLock<[Model; 3]> = OnceLock::new();
    MODELS.get_or_init(|| CHOICES.map(|choice| sample::shop_with_content(PRODUCTS, choice)))
}

/// Whether both indexes of a model promise the exact ranking.
fn is_exact(model: &Model) -> bool {
    let content = model.content().map(Content::index);
    let plans = std::iter::once(model.index()).chain(content);
    plans
        .map(|index| index.card().plan.as_str())
        .all(|plan| plan == "exact")
}

/// A query that owns its texts.
#[derive(Clone, Debug)]
struct Asked {
    user_id: String,
    n: usize,
    strategy: Strategy,
    alpha: Option<f64>,
    recents: Vec<String>,
    categories: Vec<String>,
    brands: Vec<String>,
    prices: (Option<f64>, Option<f64>),
    exclude: Vec<String>,
    include_seen: bool,
}

impl Asked {
    fn query(&self) -> Query<'_> {
        Query {
            user_id: &self.user_id,
            n: self.n,
            strategy: self.strategy,
            alpha: self.alpha,
            weights: None,
            recent_product_ids: &self.recents,
            filter: Filter {
                categories: &self.categories,
                brands: &self.brands,
                price_min: self.prices.0,
                price_max: self.prices.1,
            },
            exclude_product_ids: &self.exclude,
            include_seen: self.include_seen,
            ..Query::default()
        }
    }
}

fn item() -> impl proptest::strategy::Strategy<Value = String> {
    (0..PRODUCTS + 5).prop_map(|number| format!("item-{number:04}"))
}

fn items(most: usize) -> impl proptest::strategy::Strategy<Value = Vec<String>> {
    prop_oneof![2 => Just(Vec::new()), 1 => proptest::collection::vec(item(), 0..most)]
}

fn names(kind: &'static str, below: u32) -> impl proptest::strategy::Strategy<Value = Vec<String>> {
    let name = (0..below).prop_map(move |number| format!("{kind} {number}"));
    let house = Just("house".to_owned());
    let name = prop_oneof![9 => name, 1 => house];
    prop_oneof![2 => Just(Vec::new()), 1 => proptest::collection::vec(name, 1..4)]
}

fn price() -> impl proptest::strategy::Strategy<Value = Option<f64>> {
    prop_oneof![3 => Just(None), 1 => (0.0..60.0).prop_map(Some), 1 => Just(Some(f64::from(11.0f32)))]
}

prop_compose! {
    fn asked()(
        user in 0u32..95,
        n in prop_oneof![0usize..30, Just(400)],
        strategy in prop_oneof![
            Just(Strategy::Hybrid), Just(Strategy::Collaborative), Just(Strategy::Content)],
        alpha in prop_oneof![Just(None), Just(Some(0.0)), Just(Some(1.0)), (0.0..1.0).prop_map(Some)],
        recents in items(9),
        categories in names("category", 8),
        brands in names("brand", PRODUCTS),
        prices in (price(), price()),
        exclude in items(40),
        include_seen: bool,
    ) -> Asked {
        let user_id = format!("user-{user:05}");
        Asked {
            user_id, n, strategy, alpha, recents, categories, brands, prices, exclude, include_seen,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn answers_equal_the_naive_implementation(asked in asked(), choice in 0usize..3) {
        let model = &models()[choice];
        let query = asked.query();
        let folds_in = naive::factors(model, &query).is_none()
            && query.strategy != Strategy::Content
            && !query.recent_product_ids.is_empty();
        prop_assume!(is_exact(model) && !folds_in);
        let answer = ask(model, &query);
        let found: Vec<naive::Ranked> = answer
            .items
            .iter()
            .map(|item| (item.product.0, item.score, item.reason))
            .collect();
        prop_assert_eq!(found, naive::answer(model, &query));
    }

    #[test]
    fn answer_has_every_match_once_and_no_excluded_product(
        asked in asked(), choice in 0usize..3,
    ) {
        let model = &models()[choice];
        let query = asked.query();
        let answer = ask(model, &query);
        let eligible = naive::eligible(model, &query);
        prop_assert_eq!(answer.items.len(), query.n.min(eligible.len()));
        let mut rows: Vec<u32> = answer.items.iter().map(|item| item.product.0).collect();
        prop_assert!(rows.iter().all(|row| eligible.contains(row)));
        rows.sort_unstable();
        rows.dedup();
        prop_assert_eq!(rows.len(), answer.items.len());
        let unknown = query.recent_product_ids.iter();
        let unknown = unknown.filter(|id| model.products().find(id).is_none()).count();
        prop_assert_eq!(answer.recent_unknown, unknown);
        let matches_nothing = answer.fallbacks.contains(Fallback::NothingMatches);
        prop_assert_eq!(matches_nothing, eligible.is_empty() && query.n > 0);
    }

    #[test]
    fn raw_scores_are_the_one_dot_product(asked in asked(), choice in 0usize..3) {
        let model = &models()[choice];
        let query = asked.query();
        let interest = naive::interest(model, &query);
        for item in &ask(model, &query).items {
            if let (Some(factors), Some(score)) = (naive::factors(model, &query), item.scores.collaborative) {
                let factors = crate::dot::dot(factors, model.als().product(item.product)) + 0.0;
                prop_assert_eq!(score.to_bits(), factors.to_bits());
            }
            if let (Some((sum, _)), Some(score)) = (&interest, item.scores.content) {
                let expected = naive::content_score(model, sum, item.product.0).unwrap();
                prop_assert_eq!(score.to_bits(), expected.to_bits());
            }
        }
    }

    #[test]
    fn alpha_one_is_collaborative_and_alpha_zero_is_content(
        asked in asked(), choice in 0usize..3,
    ) {
        let model = &models()[choice];
        let query = Query { strategy: Strategy::Hybrid, ..asked.query() };
        let rows = |strategy, alpha| -> (Strategy, Vec<ProductRow>) {
            let answer = ask(model, &Query { strategy, alpha, ..query });
            (answer.strategy, answer.items.iter().map(|item| item.product).collect())
        };
        for (alpha, strategy) in [(1.0, Strategy::Collaborative), (0.0, Strategy::Content)] {
            let (used, hybrid) = rows(Strategy::Hybrid, Some(alpha));
            if used == Strategy::Hybrid {
                prop_assert_eq!(hybrid, rows(strategy, None).1, "alpha {}", alpha);
            }
        }
    }
}
