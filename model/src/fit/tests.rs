//! Laws of fitting.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    AlsParams, CardExtra, InteractionsBuilder, ProductRow, UserRow, normal::robust, sample,
};

const ONE: NonZeroUsize = NonZeroUsize::MIN;

fn bytes(model: &Model) -> Vec<crate::Part> {
    model.pack(CardExtra::default()).unwrap().parts
}

#[test]
fn same_bytes_for_any_number_of_threads_and_any_path() {
    let data = sample::shop(600, 150);
    for factors in [7, 32] {
        let params = FitParams {
            sides: crate::SidesParams::all(),
            ..sample::params(factors)
        };
        let expected = bytes(&fit(&data, &[], &params, ONE, &mut |_| {}).unwrap());
        for path in CpuPath::available() {
            for threads in 1..=3 {
                let machine = Machine {
                    clock: None,
                    threads: NonZeroUsize::new(threads).unwrap(),
                    path,
                };
                let model = fit_on(machine, &data, &[], &params, &mut |_| {}).unwrap();
                assert!(
                    bytes(&model) == expected,
                    "{threads} threads, {}",
                    path.as_str()
                );
            }
        }
    }
}

#[test]
fn graphs_have_the_same_bytes_on_any_path() {
    let data = sample::shop(600, 400);
    let params = FitParams {
        index: crate::IndexChoice::Hnsw,
        ..sample::params(7)
    };
    let model = fit(&data, &[], &params, ONE, &mut |_| {}).unwrap();
    assert_eq!(model.index().card().plan, "hnsw");
    let expected = bytes(&model);
    for path in CpuPath::available() {
        let machine = Machine {
            clock: None,
            threads: NonZeroUsize::new(2).unwrap(),
            path,
        };
        let model = fit_on(machine, &data, &[], &params, &mut |_| {}).unwrap();
        assert!(bytes(&model) == expected, "{}", path.as_str());
    }
}

#[test]
fn order_of_the_catalogue_does_not_matter_and_the_seed_does() {
    let data = sample::shop(50, 30);
    let mut catalogue = sample::catalogue();
    let params = sample::params(4);
    let expected = bytes(&fit(&data, &catalogue, &params, ONE, &mut |_| {}).unwrap());
    catalogue.reverse();
    assert!(bytes(&fit(&data, &catalogue, &params, ONE, &mut |_| {}).unwrap()) == expected);
    let other = FitParams {
        als: AlsParams {
            seed: 43,
            ..params.als.clone()
        },
        ..params
    };
    assert!(bytes(&fit(&data, &catalogue, &other, ONE, &mut |_| {}).unwrap()) != expected);
}

#[test]
fn loss_never_rises_and_every_alternation_is_reported() {
    for confidence in [0.0, 1.0, 40.0] {
        let als = AlsParams {
            factors: 12,
            iterations: 12,
            confidence,
            ..AlsParams::default()
        };
        let params = FitParams {
            als,
            ..FitParams::default()
        };
        let (mut last, mut steps) = (f64::INFINITY, 0);
        let mut progress = |step| {
            if let FitStep::Iteration { done, of, loss, .. } = step {
                steps += 1;
                assert_eq!((done, of), (steps, 12));
                assert!(
                    loss <= last + last.abs().min(1e12) * 1e-6,
                    "{loss} after {last}"
                );
                last = loss;
            }
        };
        fit(&sample::shop(300, 80), &[], &params, ONE, &mut progress).unwrap();
        assert_eq!(steps, 12);
    }
}

/// The objective by its definition, every pair visited.
fn plain_loss(data: &Interactions, model: &Model, params: &AlsParams) -> f64 {
    let (users, products) = (model.users().len(), model.products().len());
    let mut values = vec![0.0f64; users * products];
    for event in data.events() {
        values[event.user as usize * products + event.product as usize] += f64::from(event.value);
    }
    let inner = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    let mut loss = 0.0;
    for user in 0..users {
        let x = model.als().user(UserRow(user as u32));
        loss += f64::from(params.regularization) * inner(x, x);
        for product in 0..products {
            let value = values[user * products + product];
            let preference = f64::from(u8::from(value > 0.0));
            let error = preference - inner(x, model.als().product(ProductRow(product as u32)));
            loss += (1.0 + f64::from(params.confidence) * value) * error * error;
        }
    }
    let norms = (0..products).map(|p| model.als().product(ProductRow(p as u32)));
    loss + norms
        .map(|y| f64::from(params.regularization) * inner(y, y))
        .sum::<f64>()
}

#[test]
fn reported_loss_is_the_objective_by_its_definition() {
    let data = sample::shop(40, 25);
    let params = sample::params(5);
    let mut reported = Vec::new();
    let mut progress = |step| {
        if let FitStep::Iteration { loss, .. } = step {
            reported.push(loss);
        }
    };
    let model = fit(&data, &[], &params, ONE, &mut progress).unwrap();
    let plain = plain_loss(&data, &model, &params.als);
    // Users are solved once more after the last report, so the model is at most as bad.
    assert!(plain <= reported[4] * (1.0 + 1e-6), "{plain} {reported:?}");
    assert!(plain >= reported[4] * 0.97, "{plain} {reported:?}");
}

#[test]
fn user_factors_solve_their_normal_equations() {
    let data = sample::shop(60, 40);
    let params = sample::params(6);
    let model = fit(&data, &[], &params, ONE, &mut |_| {}).unwrap();
    let gram: Vec<f64> = model
        .als()
        .gram()
        .as_slice()
        .iter()
        .map(|x| f64::from(*x))
        .collect();
    for user in 0..model.users().len() as u32 {
        let mut system = robust::System::new(&gram, 6, params.als.regularization);
        let mut values = std::collections::BTreeMap::new();
        for event in data.events().iter().filter(|event| event.user == user) {
            *values.entry(event.product).or_insert(0.0) += f64::from(event.value);
        }
        for (product, value) in values {
            let weight = f64::from(params.als.confidence) * value;
            system.add(model.als().product(ProductRow(product)), weight);
        }
        for (found, exact) in model.als().user(UserRow(user)).iter().zip(system.solve()) {
            assert!((f64::from(*found) - exact).abs() < 1e-3 * exact.abs().max(0.1));
        }
    }
}

#[test]
fn rows_that_f32_cannot_solve_are_solved_in_f64_and_counted() {
    let mut builder = InteractionsBuilder::new();
    for user in 0..30 {
        for product in 0..12 {
            let value = if user == 3 {
                1e9
            } else {
                1.0 + ((user * product) % 5) as f32
            };
            if (user + product) % 3 > 0 {
                builder.add(&format!("{user:02}"), &format!("{product:02}"), value, 0);
            }
        }
    }
    let als = AlsParams {
        factors: 16,
        iterations: 3,
        ..AlsParams::default()
    };
    let params = FitParams {
        als,
        ..FitParams::default()
    };
    let mut in_f64 = 0;
    let mut progress = |step| {
        if let FitStep::Iteration {
            double_precision, ..
        } = step
        {
            in_f64 += double_precision;
        }
    };
    let model = fit(&builder.build(), &[], &params, ONE, &mut progress).unwrap();
    assert!(in_f64 > 0);
    let heavy = model.als().user(UserRow(3));
    let score = crate::dot::dot(heavy, model.als().product(ProductRow(1)));
    assert!(
        (score - 1.0).abs() < 1e-3,
        "a certain preference is reproduced, got {score}"
    );
}

#[test]
fn tables_match_the_data() {
    let mut builder = InteractionsBuilder::new();
    for (product, value, at_s) in [("b", 1.0, 5), ("a", 2.0, 7), ("b", 4.0, 9), ("c", 1.0, 9)] {
        builder.add("anna", product, value, at_s);
    }
    builder.add("ben", "b", 10.0, 1);
    let catalogue = [ProductInfo {
        id: "z".into(),
        price: Some(0.0),
        ..ProductInfo::default()
    }];
    let mut params = sample::params(2);
    params.segments = crate::SegmentParams {
        light_from: 2,
        heavy_from: 3,
    };
    params.recent_max = 2;
    let model = fit(&builder.build(), &catalogue, &params, ONE, &mut |_| {}).unwrap();
    let products = model.products();
    assert_eq!(
        products.ids().iter().collect::<Vec<_>>(),
        ["a", "b", "c", "z"]
    );
    let sums: Vec<f32> = (0..4)
        .map(|row| products.popularity(ProductRow(row)))
        .collect();
    assert_eq!(sums, [2.0, 15.0, 1.0, 0.0]);
    assert_eq!(products.price(ProductRow(3)), Some(0.0));
    assert_eq!(
        model.als().product(ProductRow(3)),
        [0.0, 0.0],
        "no interactions, no factors"
    );
    assert_eq!(
        model.popular().map(|p| p.0).collect::<Vec<_>>(),
        [1, 0, 2, 3]
    );
    let (anna, ben) = (UserRow(0), UserRow(1));
    assert_eq!(model.history().seen(anna), [0, 1, 2]);
    // The newest are b and c at one time: the lower row first; a is older and over the limit.
    assert_eq!(
        model
            .history()
            .recent(anna)
            .map(|p| p.0)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(
        model.history().recent(ben).map(|p| p.0).collect::<Vec<_>>(),
        [1]
    );
    assert_eq!(model.users().segment(anna), "heavy");
    assert_eq!(model.users().segment(ben), "new");
    assert_eq!(model.history().interactions(), 4);
}

fn refusal(change: impl Fn(&mut FitParams)) -> String {
    let mut params = sample::params(4);
    change(&mut params);
    fit(&sample::checkerboard(4), &[], &params, ONE, &mut |_| {})
        .unwrap_err()
        .to_string()
}

#[test]
fn parameters_out_of_range_are_refused_by_name() {
    assert_eq!(
        refusal(|p| p.als.factors = 0),
        "parameter factors is 0, expected 1 to 1024"
    );
    assert!(refusal(|p| p.als.iterations = 0).contains("iterations"));
    assert!(refusal(|p| p.recent_max = 1001).contains("recent_max is 1001, expected 0 to 1000"));
    assert!(refusal(|p| p.als.regularization = 0.0).contains("regularization"));
    assert!(refusal(|p| p.als.regularization = f32::NAN).contains("regularization is NaN"));
    assert!(refusal(|p| p.als.confidence = -1.0).contains("confidence is -1"));
    assert!(refusal(|p| p.segments.heavy_from = 0).contains("heavy_from"));
}

#[test]
fn data_that_cannot_be_fitted_is_refused_by_name() {
    let fit_events = |events: &[(&str, &str, f32)], catalogue: &[ProductInfo]| {
        let mut builder = InteractionsBuilder::new();
        events
            .iter()
            .for_each(|(user, product, value)| builder.add(user, product, *value, 0));
        let fitted = fit(
            &builder.build(),
            catalogue,
            &sample::params(2),
            ONE,
            &mut |_| {},
        );
        fitted.unwrap_err().to_string()
    };
    assert_eq!(fit_events(&[], &[]), "there are no interactions to fit");
    for value in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let text = fit_events(&[("u", "p", value)], &[]);
        assert!(
            text.starts_with("user \"u\", product \"p\": value"),
            "{text}"
        );
    }
    assert_eq!(
        fit_events(&[("", "p", 1.0)], &[]),
        "user id row 0: the id is empty"
    );
    let long = "x".repeat(300);
    assert!(fit_events(&[("u", &long, 1.0)], &[]).starts_with("product id row 0"));
    let twice = [
        ProductInfo {
            id: "p".into(),
            ..ProductInfo::default()
        },
        ProductInfo {
            id: "p".into(),
            ..ProductInfo::default()
        },
    ];
    assert!(fit_events(&[("u", "p", 1.0)], &twice).contains("\"p\": the id occurs twice"));
    let priced = [ProductInfo {
        id: "p".into(),
        price: Some(-1.0),
        ..ProductInfo::default()
    }];
    assert!(fit_events(&[("u", "p", 1.0)], &priced).contains("price"));
    let endless = [ProductInfo {
        id: "p".into(),
        category: Some("x".repeat(4097)),
        ..ProductInfo::default()
    }];
    assert_eq!(
        fit_events(&[("u", "p", 1.0)], &endless),
        "catalogue product \"p\": its category has 4097 bytes, at most 4096 are allowed"
    );
}
