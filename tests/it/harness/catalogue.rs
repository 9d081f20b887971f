//! What the shop says of its products: texts, categories, brands and prices.

use hotshelf_model::ProductInfo;

use super::shop::{PRODUCTS, TASTES, product_id};

/// One category for each taste.
pub(crate) const CATEGORIES: [&str; TASTES] = ["tea", "ink", "wool", "seed"];
/// Every fifth shelf has the same brand.
pub(crate) const BRANDS: [&str; 5] = ["Alder", "Birch", "Cedar", "Durmast", "Elm"];
const COLOURS: [&str; 6] = ["red", "green", "blue", "white", "black", "golden"];
const KINDS: [&str; 7] = [
    "small", "large", "fine", "coarse", "plain", "striped", "old",
];

/// All products in order of their ids. One in twenty has no price, and one no texts at all.
pub(crate) fn catalogue() -> Vec<ProductInfo> {
    (0..PRODUCTS).map(product).collect()
}

fn product(number: usize) -> ProductInfo {
    let (shelf, taste) = (number / TASTES, number % TASTES);
    let has_texts = number != PRODUCTS - 1;
    let text = |text: &str| has_texts.then(|| text.to_owned());
    let category = CATEGORIES[taste];
    let (colour, kind) = (COLOURS[shelf % 6], KINDS[shelf % 7]);
    ProductInfo {
        id: product_id(number),
        name: text(&format!("{colour} {kind} {category}")),
        category: text(category),
        brand: text(BRANDS[shelf % 5]),
        description: text(&format!("{kind} {category} from shelf{shelf}")),
        price: (number % 20 != 7).then(|| 1.0 + shelf as f32 / 2.0),
        embedding: None,
    }
}
