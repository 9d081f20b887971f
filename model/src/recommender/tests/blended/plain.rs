//! The blend of all sides in the plainest words: every product looked at, everything sorted.

use super::super::naive;
use super::*;

/// Raw scores of all products by one side, and those that it may retrieve; `None` where it has nothing
/// to say about the person.
fn side(model: &Model, query: &Query<'_>, side: Side) -> Option<(Vec<f32>, Vec<u32>)> {
    let scores = raw_scores(model, query, side)?;
    let mut retrieved: Vec<u32> = naive::eligible(model, query);
    retrieved.retain(|row| match (side, scores[*row as usize]) {
        (_, None) => false,
        (Side::Collaborative | Side::Content, Some(_)) => true,
        (_, Some(score)) => score > 0.0,
    });
    let scores: Vec<f32> = scores
        .into_iter()
        .map(|score| score.unwrap_or(0.0))
        .collect();
    retrieved.sort_by(|a, b| {
        let (x, y) = (scores[*a as usize], scores[*b as usize]);
        y.total_cmp(&x).then(a.cmp(b))
    });
    let many = (3 * query.n).max(30);
    if side == Side::Content {
        let listed = naive::on_neighbour_lists(model, query);
        let on_lists = retrieved.iter().filter(|row| listed.contains(row));
        let on_lists: Vec<u32> = on_lists.copied().collect();
        if on_lists.len() >= query.n {
            retrieved = on_lists;
        }
    }
    retrieved.truncate(many);
    Some((scores, retrieved))
}

/// The same of every product; `None`: a product that the side cannot score.
fn raw_scores(model: &Model, query: &Query<'_>, side: Side) -> Option<Vec<Option<f32>>> {
    let rows: Vec<u32> = (0..model.products().len() as u32).collect();
    let user = model.users().find(query.user_id);
    Some(match side {
        Side::Collaborative => {
            let factors = naive::factors(model, query)?;
            let score = |row: &u32| dot::dot(factors, model.als().product(ProductRow(*row))) + 0.0;
            rows.iter().map(|row| Some(score(row))).collect()
        }
        Side::Content => {
            let (sum, _) = naive::interest(model, query)?;
            rows.iter()
                .map(|row| naive::content_score(model, &sum, *row))
                .collect()
        }
        Side::Sequence => {
            let mut recents: Vec<ProductRow> = match query.recent_product_ids {
                [] => model.history().recent(user?).collect(),
                ids => ids
                    .iter()
                    .filter_map(|id| model.products().find(id))
                    .collect(),
            };
            let mut distinct = Vec::new();
            recents.retain(|row| {
                !distinct.contains(row) && {
                    distinct.push(*row);
                    true
                }
            });
            let params = model.parameters().sides.sequence.as_ref()?;
            let mut scores = vec![0.0f32; rows.len()];
            let mut weight = 1.0f32;
            for recent in recents.iter().take(params.recents) {
                let (after, transitions) = model.transitions()?.after(*recent);
                for (row, transition) in after.iter().zip(transitions) {
                    scores[*row as usize] += weight * transition;
                }
                weight *= params.recent_decay;
            }
            if recents.is_empty() {
                return None;
            }
            scores.into_iter().map(Some).collect()
        }
        Side::Repeat if !query.include_seen => return None,
        Side::Repeat => {
            let (user, frequencies) = (user?, model.frequencies()?);
            let pairs = model.history().seen_range(user);
            let mut scores = vec![Some(0.0); rows.len()];
            for (row, pair) in model.history().seen(user).iter().zip(pairs) {
                let age_s = model.as_of_s()? - frequencies.last_at.as_slice()[pair];
                let left = decay::left(age_s, 0.05);
                let weight = f64::from(frequencies.weights.as_slice()[pair]);
                scores[*row as usize] = Some((weight * left) as f32);
            }
            scores
        }
        Side::Trend => rows
            .iter()
            .map(|row| Some(model.trend().unwrap().score(ProductRow(*row))))
            .collect(),
    })
}

/// Rows and scores of a blended answer, without the popular products that fill it up.
pub(super) fn blended(model: &Model, query: &Query<'_>, weights: &Weights) -> Vec<(u32, f32)> {
    let asked: Vec<(f64, Vec<f32>, Vec<u32>)> = weights
        .iter()
        .filter(|(_, weight)| **weight > 0.0)
        .filter_map(|(one, weight)| {
            let (scores, retrieved) = side(model, query, one)?;
            Some((*weight, scores, retrieved))
        })
        .collect();
    let mut rows: Vec<u32> = asked
        .iter()
        .flat_map(|(_, _, retrieved)| retrieved)
        .copied()
        .collect();
    rows.sort_unstable();
    rows.dedup();
    let mut sums = vec![0.0f64; rows.len()];
    for (weight, scores, _) in &asked {
        let of_rows: Vec<f64> = rows
            .iter()
            .map(|row| scores[*row as usize].into())
            .collect();
        let greatest = of_rows.iter().copied().fold(0.0, f64::max);
        let magnitude = of_rows.iter().map(|score| score.abs()).fold(0.0, f64::max);
        let by = [greatest, magnitude, 1.0]
            .into_iter()
            .find(|by| *by > 0.0)
            .unwrap();
        for (sum, score) in sums.iter_mut().zip(of_rows) {
            *sum += weight * (score / by);
        }
    }
    let mut ranked: Vec<(f64, u32)> = sums.into_iter().map(|sum| sum + 0.0).zip(rows).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    ranked.truncate(query.n);
    ranked
        .into_iter()
        .map(|(score, row)| (row, score as f32))
        .collect()
}
