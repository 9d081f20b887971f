//! The recommender in the plainest words: every product looked at, everything sorted.

use super::*;
use crate::{Filter, dot::dot, ids::UserRow};

/// One line of an answer: row, score, reason.
pub(super) type Ranked = (u32, f32, Reason);

/// Products that may come back.
pub(super) fn eligible(model: &Model, query: &Query<'_>) -> Vec<u32> {
    let user = model.users().find(query.user_id);
    let stays_away = |row: u32| {
        let id = model.products().id(ProductRow(row)).to_owned();
        let seen = user.is_some_and(|user| model.history().has_seen(user, ProductRow(row)));
        query.exclude_product_ids.contains(&id)
            || (!query.include_seen && (seen || query.recent_product_ids.contains(&id)))
    };
    let rows = 0..model.products().len() as u32;
    rows.filter(|row| !stays_away(*row) && passes(model, &query.filter, *row))
        .collect()
}

fn passes(model: &Model, filter: &Filter<'_>, row: u32) -> bool {
    let (products, product) = (model.products(), ProductRow(row));
    let named = |names: &[String], name: Option<&str>| {
        names.is_empty() || names.iter().any(|wanted| Some(wanted.as_str()) == name)
    };
    let price = products.price(product).map(f64::from);
    named(filter.categories, products.category(product))
        && named(filter.brands, products.brand(product))
        && filter
            .price_min
            .is_none_or(|min| price.is_some_and(|price| price >= min))
        && filter
            .price_max
            .is_none_or(|max| price.is_some_and(|price| price <= max))
}

/// Known user's factors; `None` for everyone else, who is compared where nothing is folded in.
pub(super) fn factors<'m>(model: &'m Model, query: &Query<'_>) -> Option<&'m [f32]> {
    Some(model.als().user(model.users().find(query.user_id)?))
}

/// Sum of the embeddings of the recents; `None` where there are none.
pub(super) fn interest(model: &Model, query: &Query<'_>) -> Option<(Vec<f32>, Vec<u32>)> {
    let content = model.content()?;
    let mut recents: Vec<u32> = match query.recent_product_ids {
        [] => {
            let user: UserRow = model.users().find(query.user_id)?;
            model
                .history()
                .recent(user)
                .map(|product| product.0)
                .collect()
        }
        ids => ids
            .iter()
            .filter_map(|id| Some(model.products().find(id)?.0))
            .collect(),
    };
    recents.retain(|row| content.group(ProductRow(*row)).is_some());
    let mut distinct: Vec<u32> = Vec::new();
    for row in recents {
        if !distinct.contains(&row) {
            distinct.push(row);
        }
    }
    distinct.truncate(model.parameters().scoring.recents);
    let mut sum = vec![0.0; content.embeddings().cols()];
    for row in &distinct {
        let group = content.group(ProductRow(*row)).unwrap();
        for (sum, x) in sum.iter_mut().zip(content.embeddings().row(group as usize)) {
            *sum += x;
        }
    }
    (!distinct.is_empty()).then_some((sum, distinct))
}

pub(super) fn content_score(model: &Model, sum: &[f32], row: u32) -> Option<f32> {
    let content = model.content()?;
    let group = content.group(ProductRow(row))?;
    Some(dot(sum, content.embeddings().row(group as usize)) + 0.0)
}

fn sorted(mut scored: Vec<(u32, f32)>) -> Vec<(u32, f32)> {
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scored
}

pub(super) fn by_factors(model: &Model, factors: &[f32], rows: &[u32]) -> Vec<(u32, f32)> {
    let score = |row: &u32| dot(factors, model.als().product(ProductRow(*row))) + 0.0;
    sorted(rows.iter().map(|row| (*row, score(row))).collect())
}

pub(super) fn by_content(model: &Model, sum: &[f32], rows: &[u32]) -> Vec<(u32, f32)> {
    let scored = rows
        .iter()
        .filter_map(|row| Some((*row, content_score(model, sum, *row)?)));
    sorted(scored.collect())
}

/// What a whole answer must be.
pub(super) fn answer(model: &Model, query: &Query<'_>) -> Vec<Ranked> {
    let rows = eligible(model, query);
    let factors = factors(model, query).filter(|_| query.strategy != Strategy::Content);
    let interest = interest(model, query).filter(|_| query.strategy != Strategy::Collaborative);
    let mut lines: Vec<Ranked> = match (factors, &interest) {
        (Some(factors), None) => {
            let ranked = by_factors(model, factors, &rows).into_iter();
            ranked
                .map(|(row, score)| (row, score, Reason::Collaborative))
                .collect()
        }
        (None, Some((sum, _))) => {
            let ranked = by_content(model, sum, &rows).into_iter();
            ranked
                .map(|(row, score)| (row, score, Reason::Content))
                .collect()
        }
        (Some(factors), Some((sum, _))) => hybrid(model, query, (factors, sum), &rows),
        (None, None) => Vec::new(),
    };
    lines.truncate(query.n);
    let alike: Vec<&str> = interest
        .iter()
        .flat_map(|(_, recents)| recents)
        .filter_map(|row| model.products().category(ProductRow(*row)))
        .collect();
    let mut rest: Vec<u32> = rows;
    rest.retain(|row| lines.iter().all(|line| line.0 != *row));
    let popularity = |row: &u32| model.products().popularity(ProductRow(*row));
    let is_alike = |row: &u32| {
        let category = model.products().category(ProductRow(*row));
        category.is_some_and(|category| alike.contains(&category))
    };
    rest.sort_by(|a, b| {
        is_alike(b)
            .cmp(&is_alike(a))
            .then(popularity(b).total_cmp(&popularity(a)))
            .then(a.cmp(b))
    });
    let missing = query.n - lines.len();
    lines.extend(
        rest.iter()
            .take(missing)
            .map(|row| (*row, popularity(row), Reason::Popular)),
    );
    lines
}

fn hybrid(
    model: &Model,
    query: &Query<'_>,
    (factors, sum): (&[f32], &[f32]),
    rows: &[u32],
) -> Vec<Ranked> {
    let alpha = query.alpha.unwrap_or(0.7);
    let many = (3 * query.n).max(30);
    let mut by_factors = by_factors(model, factors, rows);
    by_factors.truncate(if alpha == 1.0 {
        query.n
    } else if alpha > 0.0 {
        many
    } else {
        0
    });
    let mut by_content = by_content(model, sum, rows);
    let on_lists = on_neighbour_lists(model, query);
    let listed = by_content.iter().filter(|(row, _)| on_lists.contains(row));
    let listed: Vec<(u32, f32)> = listed.copied().collect();
    if alpha > 0.0 && alpha < 1.0 {
        if listed.len() >= query.n {
            by_content = listed;
        }
        by_content.truncate(many);
    } else {
        by_content.truncate(if alpha < 1.0 { query.n } else { 0 });
    }
    let is_in = |list: &[(u32, f32)], row: u32| list.iter().any(|(other, _)| *other == row);
    let mut candidates: Vec<u32> = by_factors.iter().chain(&by_content).map(|c| c.0).collect();
    candidates.sort_unstable();
    candidates.dedup();
    let collaborative: Vec<f64> = candidates
        .iter()
        .map(|row| f64::from(dot(factors, model.als().product(ProductRow(*row)))))
        .collect();
    let content: Vec<f64> = candidates
        .iter()
        .map(|row| content_score(model, sum, *row).map_or(0.0, f64::from))
        .collect();
    let divided = |scores: &[f64]| -> Vec<f64> {
        let max = scores.iter().copied().fold(f64::MIN, f64::max);
        let magnitude = scores.iter().map(|x| x.abs()).fold(0.0, f64::max);
        let by = if max > 0.0 {
            max
        } else if magnitude > 0.0 {
            magnitude
        } else {
            1.0
        };
        scores.iter().map(|x| x / by).collect()
    };
    let (collaborative, content) = (divided(&collaborative), divided(&content));
    let mut blended: Vec<(f64, u32)> = (0..candidates.len())
        .map(|at| {
            let score = alpha * collaborative[at] + (1.0 - alpha) * content[at] + 0.0;
            (score, candidates[at])
        })
        .collect();
    blended.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    blended
        .into_iter()
        .map(|(score, row)| {
            let reason = match (is_in(&by_factors, row), is_in(&by_content, row)) {
                (true, true) => Reason::Hybrid,
                (true, false) => Reason::Collaborative,
                _ => Reason::Content,
            };
            (row, score as f32, reason)
        })
        .collect()
}

/// Products of the recents' groups and of all groups on their neighbour lists.
pub(super) fn on_neighbour_lists(model: &Model, query: &Query<'_>) -> Vec<u32> {
    let (content, (_, recents)) = (model.content().unwrap(), interest(model, query).unwrap());
    let mut listed = Vec::new();
    for recent in recents {
        let group = content.group(ProductRow(recent)).unwrap();
        listed.extend(content.members(group));
        let (neighbours, _) = content.neighbours(group);
        listed.extend(neighbours.iter().flat_map(|group| content.members(*group)));
    }
    listed
}
