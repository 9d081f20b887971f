//! Baselines on hand-worked histories.

use super::*;
use crate::evaluate::baselines::{
    ItemKnn, MostPopular, Past, PersonalFrequency, Weighting, recently_popular,
};
use crate::evaluate::rankers::RankWork;
use crate::shop::Known;

fn fitted(shop: &Shop) -> Model {
    let mut params = FitParams::default();
    params.als.factors = 2;
    params.content.terms_max = 0;
    let data = shop.interactions(Known::default());
    hotshelf_model::fit(&data, &[], &params, NonZeroUsize::MIN, &mut |_| {}).unwrap()
}

fn list(model: &Model, ranker: &dyn Ranker, user: &str, k: usize) -> Vec<String> {
    let mut work = RankWork::default();
    let user = model.users().find(user).unwrap();
    // Twice: what a call leaves behind must not change the next one.
    ranker.rank(user, k, &mut work);
    ranker.rank(user, k, &mut work);
    let id = |row: &u32| {
        model
            .products()
            .id(hotshelf_model::ProductRow(*row))
            .to_owned()
    };
    work.list.iter().map(id).collect()
}

/// Users of a: 1 2 3 5, of b: 1 2, of c: 2 3 4, of d: 4 5. User 5 has a and d.
const SHARED: &str = "1 a 1\n2 a 1\n3 a 1\n1 b 1\n2 b 1\n2 c 1\n3 c 1\n4 c 1\n4 d 1\n5 a 1\n5 d 1";

#[test]
fn item_knn_adds_up_hand_worked_damped_cosines() {
    let model = fitted(&shop(SHARED));
    let knn = ItemKnn::new(&model, Weighting::Binary, false);
    // With shrinkage 3. b: 2 / (sqrt(4 × 2) + 3) = 0.343 by a. c: 2 / (sqrt(4 × 3) + 3) = 0.309 by a,
    // 1 / (sqrt(2 × 3) + 3) = 0.184 by d.
    assert_eq!(list(&model, &knn, "5", 2), ["c", "b"]);
    // Seen ones, too: a by d and d by a, 1 / (sqrt(4 × 2) + 3) = 0.172 each.
    let knn = ItemKnn::new(&model, Weighting::Binary, true);
    assert_eq!(list(&model, &knn, "5", 4), ["c", "b", "a", "d"]);
}

#[test]
fn bm25_lets_users_of_many_products_say_less() {
    // Of a, one user of nothing else has b, too, and one who has everything has c.
    let everything = "all a 1\nall c 1\nall d 1\nall e 1\nall f 1\nall g 1\nall h 1\nall i 1";
    let model = fitted(&shop(&format!(
        "{everything}\none a 1\none b 1\nme a 1\nyou c 1\nyou b 1"
    )));
    let binary = ItemKnn::new(&model, Weighting::Binary, false);
    let bm25 = ItemKnn::new(&model, Weighting::Bm25, false);
    // b and c have two users each and share one with a: equal by the cosine, so the first row leads.
    let leads = |model: &Model, ranker: &dyn Ranker| {
        let list = list(model, ranker, "me", 9);
        list.into_iter().find(|id| id == "b" || id == "c").unwrap()
    };
    assert_eq!([leads(&model, &binary), leads(&model, &bm25)], ["b", "b"]);
    // With b and c exchanged only BM25 tells who speaks for them.
    let swapped = "all a 1\nall b 1\nall d 1\nall e 1\nall f 1\nall g 1\none a 1\none c 1\nme a 1\nyou c 1\nyou b 1";
    let model = fitted(&shop(swapped));
    let binary = ItemKnn::new(&model, Weighting::Binary, false);
    let bm25 = ItemKnn::new(&model, Weighting::Bm25, false);
    assert_eq!([leads(&model, &binary), leads(&model, &bm25)], ["b", "c"]);
}

#[test]
fn recent_popularity_halves_an_event_every_week() {
    // Four events of a three weeks before the end weigh 4 / 8, one of b at the end 1, three of c a
    // week before it 3 / 2.
    let day = |day: i64| day * 86_400;
    let lines: String = [
        ("a", 0),
        ("a", 0),
        ("a", 0),
        ("a", 0),
        ("c", 14),
        ("c", 14),
        ("c", 14),
        ("b", 21),
    ]
    .iter()
    .enumerate()
    .map(|(user, (product, at))| format!("u{user} {product} {}\n", day(*at)))
    .collect();
    let shop = shop(&lines);
    let model = fitted(&shop);
    let past = Past::of(&model, &shop, Known::default());
    let recent = recently_popular(&model, &past, true);
    assert_eq!(list(&model, &recent, "u0", 3), ["c", "b", "a"]);
    let ever = MostPopular::new(&model, true);
    assert_eq!(list(&model, &ever, "u0", 3), ["a", "c", "b"]);
    let without_own = MostPopular::new(&model, false);
    assert_eq!(list(&model, &without_own, "u0", 3), ["c", "b"]);
}

#[test]
fn personal_frequency_counts_ones_own_events_then_fills_up() {
    let shop = shop("me b 1\nme b 2\nme a 3\nme c 4\nyou d 1\nyou d 2\nyou e 1\nhe e 1\nshe e 1");
    let model = fitted(&shop);
    let past = Past::of(&model, &shop, Known::default());
    let habit = PersonalFrequency::new(&model, &past);
    // b twice, then c and a, the later first; then e and d, which others have.
    assert_eq!(list(&model, &habit, "me", 5), ["b", "c", "a", "e", "d"]);
    assert_eq!(list(&model, &habit, "me", 2), ["b", "c"]);
}
