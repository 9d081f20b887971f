//! Compiled filters against the filter's own words.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::{Filter, Model, ProductRow, sample};

fn model() -> Model {
    let mut catalogue = sample::stock(90);
    // A shop without brands but for one product that has an empty one.
    for info in &mut catalogue {
        info.brand = info.brand.take().filter(|brand| brand != "house");
    }
    catalogue[7].brand = Some(String::new());
    catalogue[9].price = Some(9.99);
    let data = sample::shop(40, 90);
    let one = std::num::NonZeroUsize::MIN;
    crate::fit(&data, &catalogue, &sample::params(3), one, &mut |_| {}).unwrap()
}

#[test]
fn codes_and_lists_match_the_column() {
    let model = model();
    let products = model.products();
    let facets = Facets::new(products, &mut |_| {});
    type Name = fn(&Products, ProductRow) -> Option<&str>;
    let names: [(&Facet, Name); 2] = [
        (&facets.categories, Products::category),
        (&facets.brands, Products::brand),
    ];
    for (facet, name) in names {
        for row in 0..products.len() as u32 {
            let name = name(products, ProductRow(row));
            assert_eq!(facet.code(row), name.and_then(|name| facet.find(name)));
        }
        let mut listed = 0;
        for code in 0..facet.len() as u32 {
            let rows = facet.products(code);
            listed += rows.len();
            assert!(rows.iter().all(|row| facet.code(*row) == Some(code)));
            let of_code = facets
                .popular
                .iter()
                .filter(|row| facet.code(**row) == Some(code));
            assert!(rows.iter().eq(of_code), "most popular first");
        }
        let named = (0..products.len() as u32).filter(|row| facet.code(*row).is_some());
        assert_eq!(listed, named.count());
        assert_eq!(facet.find("no such name"), None);
    }
    assert_eq!(
        facets
            .brands
            .find("")
            .map(|code| facets.brands.products(code).len()),
        Some(1)
    );
}

#[test]
fn empty_shop_has_facets() {
    let empty = arrow_array::StringArray::from(Vec::<Option<&str>>::new());
    let facet = Facet::new(&empty, &[], &mut |_| {});
    assert_eq!((facet.len(), facet.find("")), (0, None));
}

#[test]
fn price_lies_within_bounds_that_are_written_like_it() {
    let model = model();
    let facets = Facets::new(model.products(), &mut |_| {});
    let product = model.products().find("item-0009").unwrap();
    let price = f64::from(model.products().price(product).unwrap());
    assert!(price < 9.99, "the nearest f32 lies below: {price}");
    let filter = Filter {
        price_min: Some(9.99),
        price_max: Some(9.99),
        ..Filter::default()
    };
    let mut scratch = FilterScratch::default();
    let compiled = facets.compile(&filter, &mut scratch);
    assert!(compiled.passes(product.0));
    assert!(compiled.shortest().eq([product.0]));
}

fn some(names: &'static [&'static str]) -> impl proptest::strategy::Strategy<Value = Vec<String>> {
    let name = proptest::sample::select(names).prop_map(str::to_owned);
    proptest::collection::vec(name, 0..4)
}

proptest! {
    #[test]
    fn compiled_filter_passes_what_the_filter_says(
        categories in some(&["category 0", "category 3", "category 6", "none"]),
        brands in some(&["brand 3", "brand 43", "", "brand"]),
        price_min in proptest::option::of(-1.0..60.0),
        price_max in proptest::option::of(prop_oneof![0.0..60.0, Just(f64::from(11.0f32))]),
    ) {
        static MODEL: std::sync::OnceLock<Model> = std::sync::OnceLock::new();
        let products = MODEL.get_or_init(model).products();
        let facets = Facets::new(products, &mut |_| {});
        let filter = Filter { categories: &categories, brands: &brands, price_min, price_max };
        let mut scratch = FilterScratch::default();
        let compiled = facets.compile(&filter, &mut scratch);
        let named = |names: &[String], name: Option<&str>| {
            names.is_empty() || name.is_some_and(|name| names.iter().any(|other| other == name))
        };
        let passes = |row: u32| {
            let product = ProductRow(row);
            let price = products.price(product).map_or(f64::NAN, f64::from);
            named(&categories, products.category(product))
                && named(&brands, products.brand(product))
                && price_min.is_none_or(|min| price >= f64::from(min as f32))
                && price_max.is_none_or(|max| price <= f64::from(max as f32))
        };
        let all = 0..products.len() as u32;
        let expected: Vec<u32> = all.clone().filter(|row| passes(*row)).collect();
        let found: Vec<u32> = all.filter(|row| compiled.passes(*row)).collect();
        prop_assert_eq!(&found, &expected);
        let shortest: Vec<u32> = compiled.shortest().collect();
        prop_assert_eq!(shortest.len(), compiled.matches_max());
        let mut listed: Vec<u32> = shortest.iter().copied().filter(|row| passes(*row)).collect();
        listed.sort_unstable();
        prop_assert_eq!(listed, expected, "none is missing, none twice");
    }
}
