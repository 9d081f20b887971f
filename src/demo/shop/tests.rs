use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::dice::{Dice, Stream, exp, running_sums};
use super::vocabulary::{DEPARTMENTS, FOLLOWED_BY, USED_UP, entries};
use super::{EventKind, MONTH_S, Shop, ShopEvent, ShopSpec, generate};

/// 2026-11-01, a Sunday, at midnight.
const END: i64 = 1_793_491_200;

fn small() -> ShopSpec {
    ShopSpec {
        seed: 7,
        products: 400,
        users: 500,
        months: 6,
        end: END,
    }
}

/// [`small`], made once for all tests.
static SHOP: LazyLock<Shop> = LazyLock::new(|| generate(&small()));

fn count_by<K: Ord>(shop: &Shop, key: impl Fn(&ShopEvent) -> K) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for event in shop.events() {
        *counts.entry(key(event)).or_default() += 1;
    }
    counts
}

/// Share of the total that the largest tenth holds; keys that never occur count as 0.
fn share_of_top_tenth(counts: &BTreeMap<u32, usize>, keys: usize) -> f64 {
    let mut sorted: Vec<usize> = counts.values().copied().collect();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let top: usize = sorted.iter().take(keys / 10).sum();
    top as f64 / sorted.iter().sum::<usize>() as f64
}

#[test]
fn same_spec_gives_the_same_shop() {
    assert_eq!(generate(&small()), *SHOP);
    let other = ShopSpec { seed: 8, ..small() };
    assert_ne!(SHOP.events(), generate(&other).events());
}

#[test]
fn same_spec_gives_the_same_files() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    SHOP.write_csv(one.path()).unwrap();
    generate(&small()).write_csv(two.path()).unwrap();
    for name in ["products.csv", "users.csv", "interactions.csv", "shop.toml"] {
        let read = |folder: &tempfile::TempDir| std::fs::read(folder.path().join(name)).unwrap();
        assert_eq!(read(&one), read(&two), "{name}");
        assert!(!read(&one).is_empty(), "{name}");
    }
}

/// The seed's meaning is part of what people quote from the demo: a change to it is deliberate.
#[test]
fn known_seed_gives_known_figures() {
    let shop = &*SHOP;
    let of = |kind| {
        shop.events()
            .iter()
            .filter(|event| event.kind == kind)
            .count()
    };
    let kinds = [
        EventKind::View,
        EventKind::Click,
        EventKind::AddToCart,
        EventKind::Purchase,
    ];
    assert_eq!(kinds.map(of), KNOWN_COUNTS);
    assert_eq!(shop.products()[0].name, KNOWN_NAME);
}

const KNOWN_COUNTS: [usize; 4] = [26_193, 10_712, 3_693, 2_216];
const KNOWN_NAME: &str = "Tavola Nera Recycled Glass Egg Cup";

#[test]
fn growing_the_shop_keeps_the_products_it_has() {
    let grown = ShopSpec {
        products: 450,
        ..small()
    };
    assert_eq!(SHOP.products(), &generate(&grown).products()[..400]);
}

#[test]
fn events_name_products_and_people_that_exist_and_were_there() {
    let (spec, shop) = (small(), &*SHOP);
    for event in shop.events() {
        let product = &shop.products()[event.product as usize];
        let user = &shop.users()[event.user as usize];
        assert!(product.on_sale_from_s <= event.at_s, "{event:?}");
        assert!(user.joined_s <= event.at_s, "{event:?}");
        assert!((spec.start()..spec.end).contains(&event.at_s), "{event:?}");
    }
    assert!(shop.events().is_sorted_by_key(|event| event.at_s));
    let active = count_by(shop, |event| event.user);
    assert!(
        active.len() >= 495,
        "{} of 500 people did something",
        active.len()
    );
}

#[test]
fn ids_are_unique_and_in_order() {
    let shop = &*SHOP;
    assert!(shop.products().is_sorted_by(|one, next| one.id < next.id));
    assert!(shop.users().is_sorted_by(|one, next| one.id < next.id));
    let names: BTreeSet<&str> = shop.products().iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names.len(), shop.products().len());
}

#[test]
fn each_funnel_step_follows_the_one_before() {
    let shop = &*SHOP;
    let mut reached: BTreeMap<(u32, u32, u32), EventKind> = BTreeMap::new();
    for event in shop.events() {
        let visit = (event.user, event.visit, event.product);
        match event.kind {
            EventKind::View => {}
            EventKind::Click => assert!(reached.contains_key(&visit), "{event:?}"),
            EventKind::AddToCart => assert!(reached[&visit] >= EventKind::Click, "{event:?}"),
            EventKind::Purchase => assert!(reached[&visit] >= EventKind::AddToCart, "{event:?}"),
        }
        let furthest = reached.entry(visit).or_insert(event.kind);
        *furthest = (*furthest).max(event.kind);
    }
    let counts = count_by(shop, |event| event.kind);
    let counts: Vec<usize> = counts.into_values().collect();
    assert!(
        counts.is_sorted_by(|earlier, later| earlier > later),
        "{counts:?}"
    );
}

#[test]
fn few_products_and_few_people_make_most_of_the_traffic() {
    let shop = &*SHOP;
    let products = share_of_top_tenth(&count_by(shop, |event| event.product), 400);
    let people = share_of_top_tenth(&count_by(shop, |event| event.user), 500);
    assert!(
        (0.3..0.75).contains(&products),
        "top tenth of products: {products}"
    );
    assert!(
        (0.25..0.75).contains(&people),
        "top tenth of people: {people}"
    );
}

#[test]
fn every_month_has_events_and_weekends_are_busier() {
    let (spec, shop) = (small(), &*SHOP);
    let months = count_by(shop, |event| (event.at_s - spec.start()) / MONTH_S);
    assert_eq!(
        months.keys().copied().collect::<Vec<_>>(),
        [0, 1, 2, 3, 4, 5]
    );
    let mean = shop.events().len() / 6;
    assert!(months.values().all(|&count| count > mean / 3), "{months:?}");
    // Day 0 of unix time was a Thursday.
    let weekend = |event: &&ShopEvent| (event.at_s / 86_400 + 3) % 7 >= 5;
    let share = shop.events().iter().filter(weekend).count() as f64 / shop.events().len() as f64;
    assert!(share > 0.32, "{share}");
}

#[test]
fn products_and_people_arrive_over_time() {
    let (spec, shop) = (small(), &*SHOP);
    let late = shop
        .products()
        .iter()
        .filter(|p| p.on_sale_from_s > spec.start())
        .count();
    assert!((30..100).contains(&late), "{late} of 400 products arrived");
    let joined = shop
        .users()
        .iter()
        .filter(|user| user.joined_s > spec.start())
        .count();
    assert!(
        (150..250).contains(&joined),
        "{joined} of 500 people joined"
    );
}

#[test]
fn people_keep_to_what_they_like() {
    let shop = &*SHOP;
    let at_home = |event: &&ShopEvent| {
        let favourite = shop.users()[event.user as usize].favourite;
        shop.products()[event.product as usize].category == favourite
    };
    let share = shop.events().iter().filter(at_home).count() as f64 / shop.events().len() as f64;
    // By chance alone it would be about a twelfth.
    assert!(share > 0.3, "{share}");
}

#[test]
fn people_buy_again_what_is_used_up_and_little_else() {
    let shop = &*SHOP;
    let used_up = entries(USED_UP);
    let mut times: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    for event in shop.events() {
        if event.kind == EventKind::Purchase {
            *times.entry((event.user, event.product)).or_default() += 1;
        }
    }
    // Of the pairs that were bought once, how many were bought again.
    let again = |is_used_up: bool| {
        let name = |product: u32| &shop.products()[product as usize].name;
        let of = |product: u32| used_up.iter().any(|kind| name(product).contains(kind));
        let pairs = times
            .iter()
            .filter(|((_, product), _)| of(*product) == is_used_up);
        let counts: Vec<usize> = pairs.map(|(_, times)| *times).collect();
        counts.iter().filter(|times| **times > 1).count() as f64 / counts.len() as f64
    };
    assert!(again(true) > 0.5, "{}", again(true));
    assert!(again(false) < 0.25, "{}", again(false));
}

#[test]
fn people_look_next_at_what_goes_with_a_product() {
    let shop = &*SHOP;
    let is = |product: u32, kind: &str| shop.products()[product as usize].name.contains(kind);
    let mut by_user: Vec<&ShopEvent> = shop.events().iter().collect();
    by_user.sort_by_key(|event| event.user);
    let (mut followed, mut clicked) = (0, 0);
    for (event, then) in by_user.iter().zip(&by_user[1..]) {
        let is_followed = (event.user, event.visit) == (then.user, then.visit)
            && event.kind == EventKind::Click
            && event.product != then.product;
        let mut pairs = FOLLOWED_BY.iter().filter(|_| is_followed);
        if let Some((_, next)) = pairs.find(|(first, _)| is(event.product, first)) {
            clicked += 1;
            followed += usize::from(is(then.product, next));
        }
    }
    // By chance alone it would be one in ten, as a department has some eight kinds.
    assert!(
        clicked > 500 && followed * 3 > clicked,
        "{followed} of {clicked}"
    );
}

#[test]
fn shop_of_nothing_is_empty() {
    let nobody = generate(&ShopSpec {
        users: 0,
        ..small()
    });
    assert!(nobody.events().is_empty());
    let nothing = generate(&ShopSpec {
        products: 0,
        users: 5,
        ..small()
    });
    assert!(nothing.events().is_empty());
    let no_time = generate(&ShopSpec {
        months: 0,
        ..small()
    });
    assert!(no_time.events().is_empty());
}

#[test]
fn prices_are_positive_and_spread() {
    let shop = &*SHOP;
    let mut prices: Vec<f32> = shop
        .products()
        .iter()
        .map(|product| product.price)
        .collect();
    prices.sort_unstable_by(f32::total_cmp);
    assert!(prices[0] >= 1.0, "{}", prices[0]);
    assert!(
        prices[360] > 5.0 * prices[40],
        "{} and {}",
        prices[360],
        prices[40]
    );
}

#[test]
fn departments_are_twelve_with_about_forty_brands() {
    let names: BTreeSet<&str> = DEPARTMENTS.iter().map(|d| d.name).collect();
    assert_eq!(names.len(), 12);
    let brands = super::catalogue::brands();
    assert!((35..=45).contains(&brands.len()), "{}", brands.len());
    for department in &DEPARTMENTS {
        let lists = [
            department.kinds,
            department.makes,
            department.sentences,
            department.variants,
        ];
        for entry in lists.into_iter().flat_map(entries) {
            assert_eq!(entry.trim(), entry);
            assert!(!entry.is_empty());
        }
    }
    let sold = |kind: &str| {
        let mut kinds = DEPARTMENTS.iter().map(|d| entries(d.kinds));
        kinds.find(|kinds| kinds.contains(&kind)).is_some()
    };
    assert!(entries(USED_UP).into_iter().all(sold));
    for (first, then) in FOLLOWED_BY {
        let mut kinds = DEPARTMENTS.iter().map(|d| entries(d.kinds));
        let both = kinds.any(|kinds| kinds.contains(&first) && kinds.contains(&then));
        assert!(both, "{first}, {then}");
    }
}

#[test]
fn exp_is_exp() {
    for x in [-20.0, -1.0, 0.0, 1e-9, 0.5, 3.0, 20.0] {
        let relative = exp(x) / f64::exp(x) - 1.0;
        assert!(relative.abs() < 1e-11, "{x}: {relative}");
    }
}

#[test]
fn weighted_draws_follow_the_weights() {
    let mut dice = Dice::new(1, Stream::Brands);
    let running = running_sums([1.0, 0.0, 3.0].into_iter());
    let mut drawn = [0; 3];
    for _ in 0..4_000 {
        drawn[dice.weighted(&running)] += 1;
    }
    assert_eq!(drawn[1], 0);
    assert!((2_800..3_200).contains(&drawn[2]), "{drawn:?}");
}
