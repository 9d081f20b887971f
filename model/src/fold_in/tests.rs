//! Folding in is refitting one row.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::{InteractionsBuilder, Model, UserRow, sample};

fn weights(model: &Model, value: f32) -> Weights {
    Weights {
        regularization: model.parameters().als.regularization,
        confidence: model.parameters().als.confidence,
        value,
    }
}

/// The normal equations in f64, solved by elimination with pivoting.
fn plain_solution(als: &Als, weights: Weights, products: &[u32]) -> Vec<f64> {
    let len = als.factors();
    let mut system: Vec<Vec<f64>> = (0..len)
        .map(|row| {
            let gram = als.gram().row(row).iter().map(|x| f64::from(*x));
            let mut row_of: Vec<f64> = gram.collect();
            row_of[row] += f64::from(weights.regularization);
            row_of.push(0.0);
            row_of
        })
        .collect();
    let mut distinct = products.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    for product in distinct {
        let count = products.iter().filter(|other| **other == product).count();
        let extra = f64::from(weights.confidence) * count as f64 * f64::from(weights.value);
        let factors: Vec<f64> = als
            .product(ProductRow(product))
            .iter()
            .map(|x| f64::from(*x))
            .collect();
        if factors.iter().all(|x| *x == 0.0) {
            continue;
        }
        for row in 0..len {
            for col in 0..len {
                system[row][col] += extra * factors[row] * factors[col];
            }
            system[row][len] += (1.0 + extra) * factors[row];
        }
    }
    for pivot in 0..len {
        let best = (pivot..len)
            .max_by(|a, b| system[*a][pivot].abs().total_cmp(&system[*b][pivot].abs()))
            .unwrap();
        system.swap(pivot, best);
        let of_pivot = system[pivot].clone();
        for row in (0..len).filter(|row| *row != pivot) {
            let share = system[row][pivot] / of_pivot[pivot];
            for col in pivot..=len {
                system[row][col] -= share * of_pivot[col];
            }
        }
    }
    (0..len)
        .map(|at| system[at][len] / system[at][at])
        .collect()
}

/// |found − expected| ÷ |expected|.
fn deviation(found: &[f32], expected: &[f64]) -> f64 {
    let off = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (f64::from(*a) - b).powi(2));
    let size: f64 = expected.iter().map(|x| x * x).sum();
    (off.sum::<f64>() / size).sqrt()
}

#[test]
fn factors_solve_the_normal_equations() {
    let mut fold_in = FoldIn::default();
    // Out of order of size, so that working memory shrinks and grows.
    for factors in [20, 3, 64, 16] {
        let model = sample::model(&sample::shop(200, 90), &sample::params(factors));
        for products in [
            &[4][..],
            &[7, 2, 7, 7, 0],
            &[1, 2, 3, 4, 5, 6, 7, 8],
            &(0..80).collect::<Vec<u32>>(),
        ] {
            for value in [0.5, 1.0, 40.0] {
                let weights = weights(&model, value);
                let expected = plain_solution(model.als(), weights, products);
                let found = fold_in.solve(model.als(), weights, products).unwrap();
                let off = deviation(found, &expected);
                assert!(
                    off < 1e-4,
                    "{factors} factors, {products:?} × {value}: {off}"
                );
            }
        }
    }
}

#[test]
fn known_user_folded_in_from_the_same_events_gets_the_stored_factors() {
    // Every event is worth the same, as every occurrence in a fold-in is.
    let value = 3.0;
    let mut builder = InteractionsBuilder::new();
    for user in 0..60u32 {
        for step in 0..2 + user % 9 {
            let product = (user * 31 + step * step * 7) % 40;
            builder.add(
                &format!("{user:02}"),
                &format!("{product:02}"),
                value,
                step.into(),
            );
        }
    }
    let data = builder.build();
    let model = sample::model(&data, &sample::params(12));
    assert_eq!(model.fold_in_value(), value);
    let mut fold_in = FoldIn::default();
    for user in 0..data.users().len() as u32 {
        let events = data.events().iter().filter(|event| event.user == user);
        // The catalogue added products, so rows moved.
        let products: Vec<u32> = events
            .map(|event| data.products()[event.product as usize].as_str())
            .map(|id| model.products().find(id).unwrap().0)
            .collect();
        let stored: Vec<f64> = model
            .als()
            .user(UserRow(user))
            .iter()
            .map(|x| f64::from(*x))
            .collect();
        let found = fold_in
            .solve(model.als(), weights(&model, value), &products)
            .unwrap();
        assert!(deviation(found, &stored) < 1e-4, "user {user}");
    }
}

#[test]
fn products_without_factors_do_not_help() {
    let model = sample::model(&sample::checkerboard(8), &sample::params(4));
    let unused = model.products().find("p9x").unwrap().0;
    let used = model.products().find("p01").unwrap().0;
    let mut fold_in = FoldIn::default();
    let weights = weights(&model, 1.0);
    assert_eq!(fold_in.solve(model.als(), weights, &[]), None);
    assert_eq!(fold_in.solve(model.als(), weights, &[unused, unused]), None);
    let alone = fold_in
        .solve(model.als(), weights, &[used])
        .unwrap()
        .to_vec();
    let both = fold_in.solve(model.als(), weights, &[used, unused]);
    assert_eq!(both, Some(&alone[..]));
}

#[test]
fn systems_f32_cannot_solve_are_solved_in_f64_and_nan_is_refused() {
    let model = sample::model(&sample::shop(200, 90), &sample::params(16));
    let mut fold_in = FoldIn::default();
    let heavy = Weights {
        value: 1e9,
        ..weights(&model, 1.0)
    };
    let products = [1, 2, 3];
    let found = fold_in.solve(model.als(), heavy, &products).unwrap();
    for product in products {
        let score = crate::dot::dot(found, model.als().product(ProductRow(product)));
        assert!(
            (score - 1.0).abs() < 1e-3,
            "a certain preference is reproduced: {score}"
        );
    }
    for value in [f32::NAN, f32::INFINITY] {
        let weights = Weights { value, ..heavy };
        assert_eq!(fold_in.solve(model.als(), weights, &products), None);
    }
}
