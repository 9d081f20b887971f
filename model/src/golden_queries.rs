//! Golden queries: whole queries with the answers that the publisher's build gave.
//!
//! Checksums prove that bytes arrived, and decoding that they are well-formed. A golden query
//! proves that they still mean the same: it catches factors permuted against ids, a changed
//! formula, a miscompiled kernel. The queries depend on the model alone.

use crate::{
    Breathe, Filter, Model, PerSide, Query, SCORING_REVISION, Scratch, Side, Strategy, UserRow,
    Weights,
    card::{GoldenItem, GoldenQuery, GoldenQueryReport, ModelCard},
};

/// Most golden queries in a card. Chosen: eight times what is published, seconds of work at most.
pub(crate) const GOLDEN_QUERIES_MAX: usize = 256;

/// Most products that a golden query asks for, and longest list in one. Chosen: ten times what a
/// caller may ask for.
pub(crate) const GOLDEN_LIST_MAX: usize = 1000;

/// Golden queries for special cases, beside those for known users.
const SPECIAL_QUERIES: usize = 14;

/// Users who are tried for a side that has something to say about few.
const USERS_TRIED: usize = 1000;

/// Products that every golden query asks for.
const PRODUCTS_ASKED: usize = 10;

/// Products that the golden query with exclusions excludes.
const PRODUCTS_EXCLUDED: usize = 3;

/// How far a score may lie from the publisher's, relatively; inherited from the format.
const TOLERANCE: f32 = 1e-4;

/// The same in terms of the greatest score of the answer, for scores that are small differences
/// of large numbers.
const TOLERANCE_OF_GREATEST: f32 = 1e-6;

/// Recent products in the golden query of a new visitor.
const PRODUCTS_RECENT: usize = 3;

/// `known` users spread over the segments by the model's defaults, then one of each special case that
/// the model can show: an unknown user, a new visitor with recent products, a user with exclusions,
/// one who may get seen products again, a filter, where there is content each side by itself and as
/// the hybrid's extreme, the hybrid where another is the default, and each further side by itself.
pub(crate) fn choose(model: &Model, known: usize) -> Vec<GoldenQuery> {
    let mut scratch = Scratch::default();
    let known = known.min(GOLDEN_QUERIES_MAX - SPECIAL_QUERIES);
    let users = spread(model, known.max(1));
    let mut queries: Vec<GoldenQuery> = users
        .iter()
        .take(known)
        .map(|user| ask(model, model.users().id(*user)))
        .collect();
    let unknown = unknown_user(model);
    queries.push(ask(model, &unknown));
    if let (Some(first), Some(last)) = (users.first(), users.last()) {
        let recents = model.history().recent(*first).take(PRODUCTS_RECENT);
        let recents = recents.map(|product| model.products().id(product).to_owned());
        queries.push(GoldenQuery {
            recent_product_ids: recents.collect(),
            ..ask(model, &unknown)
        });
        let mut excluding = ask(model, model.users().id(*last));
        answer(model, &mut excluding, &mut scratch);
        let best = excluding.items.iter().take(PRODUCTS_EXCLUDED);
        excluding.exclude_product_ids = best.map(|item| item.product_id.clone()).collect();
        queries.push(excluding);
        let first = ask(model, model.users().id(*first));
        queries.push(GoldenQuery {
            include_seen: !first.include_seen,
            ..first.clone()
        });
        let mut named = model.popular();
        let category = named.find_map(|product| model.products().category(product));
        queries.extend(category.map(|category| GoldenQuery {
            categories: vec![category.to_owned()],
            ..first.clone()
        }));
        if model.content().is_some() {
            queries.extend(one_sided(&first));
        }
        queries.extend((first.strategy != Strategy::Hybrid).then(|| GoldenQuery {
            strategy: Strategy::Hybrid,
            ..first.clone()
        }));
        queries.extend(
            (first.strategy != Strategy::Blended && has_weights(model)).then(|| GoldenQuery {
                strategy: Strategy::Blended,
                ..first.clone()
            }),
        );
        let optional = [Side::Sequence, Side::Repeat, Side::Trend];
        queries.extend(
            optional
                .into_iter()
                .filter_map(|side| by_side(model, side, &mut scratch)),
        );
    }
    for golden in &mut queries {
        answer(model, golden, &mut scratch);
    }
    queries
}

/// Asks by the model's defaults.
fn ask(model: &Model, user_id: &str) -> GoldenQuery {
    let defaults = model.defaults();
    GoldenQuery {
        user_id: user_id.to_owned(),
        n: PRODUCTS_ASKED,
        strategy: defaults.strategy,
        exclude_product_ids: Vec::new(),
        include_seen: defaults.include_seen,
        alpha: None,
        weights: None,
        recent_product_ids: Vec::new(),
        categories: Vec::new(),
        answered_by: defaults.strategy,
        items: Vec::new(),
    }
}

fn has_weights(model: &Model) -> bool {
    model.parameters().scoring.weights.is_some()
}

/// A side by itself, for the first user about whom it has something to say; `None` where the model
/// lacks the side or it is silent about everybody tried. Seen products are eligible, as the side
/// repeat has no others.
fn by_side(model: &Model, side: Side, scratch: &mut Scratch) -> Option<GoldenQuery> {
    if !model.parameters().sides.has(side) {
        return None;
    }
    let mut weights = Weights::default();
    *weights.get_mut(side) = 1.0;
    let users = (0..model.users().len().min(USERS_TRIED)).map(|row| UserRow(row as u32));
    let mut queries = users.map(|user| GoldenQuery {
        strategy: Strategy::Blended,
        include_seen: true,
        weights: Some(weights),
        ..ask(model, model.users().id(user))
    });
    queries.find(|golden| {
        let answer = model.recommend(&query(golden), scratch);
        let items = answer.map_or(Vec::new(), |answer| answer.items);
        items
            .iter()
            .any(|item| item.scores.get(side).is_some_and(|score| score > 0.0))
    })
}

fn one_sided(golden: &GoldenQuery) -> impl Iterator<Item = GoldenQuery> {
    let sides = [
        (Strategy::Collaborative, None),
        (Strategy::Content, None),
        (Strategy::Hybrid, Some(1.0)),
        (Strategy::Hybrid, Some(0.0)),
    ];
    sides.into_iter().map(|(strategy, alpha)| GoldenQuery {
        strategy,
        alpha,
        ..golden.clone()
    })
}

/// `count` users, taken from the segments in turn and evenly spaced within each.
fn spread(model: &Model, count: usize) -> Vec<UserRow> {
    let users = model.users();
    let mut segments: Vec<Vec<UserRow>> = vec![Vec::new(); users.segment_names().len()];
    for row in 0..users.len() {
        segments[usize::from(users.segments.value(row))].push(UserRow(row as u32));
    }
    segments.retain(|segment| !segment.is_empty());
    if segments.is_empty() {
        return Vec::new();
    }
    let turns = count.div_ceil(segments.len());
    let in_turn = (0..turns).flat_map(|turn| {
        segments.iter().filter_map(move |segment| {
            let every = segment.len().div_ceil(turns);
            segment.get(turn * every)
        })
    });
    in_turn.take(count).copied().collect()
}

/// An id that the model does not know.
fn unknown_user(model: &Model) -> String {
    let mut id = "probe-unknown-user".to_owned();
    while model.users().find(&id).is_some() {
        id.push('~');
    }
    id
}

/// Asks the model and stores the answer in the golden query.
fn answer(model: &Model, golden: &mut GoldenQuery, scratch: &mut Scratch) {
    let Ok(answer) = model.recommend(&query(golden), scratch) else {
        return;
    };
    let items = answer.items.iter().map(|item| GoldenItem {
        product_id: model.products().id(item.product).to_owned(),
        score: item.score,
        reason: item.reason,
        collaborative: item.scores.collaborative,
        content: item.scores.content,
        sequence: item.scores.sequence,
        repeat: item.scores.repeat,
        trend: item.scores.trend,
    });
    let (answered_by, items) = (answer.strategy, items.collect());
    golden.answered_by = answered_by;
    golden.items = items;
}

fn query(golden: &GoldenQuery) -> Query<'_> {
    Query {
        user_id: &golden.user_id,
        n: golden.n,
        strategy: golden.strategy,
        exclude_product_ids: &golden.exclude_product_ids,
        include_seen: golden.include_seen,
        alpha: golden.alpha,
        weights: golden.weights,
        recent_product_ids: &golden.recent_product_ids,
        filter: Filter {
            categories: &golden.categories,
            ..Filter::default()
        },
        ..Query::default()
    }
}

impl ModelCard {
    /// Repeats every golden query on `model`. Scores must agree within 1e-4 relative. The same
    /// products must come back, except where scores at the cut lie closer together than that.
    /// `breathe` is called after each; a golden query costs two queries.
    #[must_use]
    pub fn check_golden_queries(
        &self,
        model: &Model,
        scratch: &mut Scratch,
        breathe: Breathe<'_>,
    ) -> GoldenQueryReport {
        let mut report = GoldenQueryReport {
            checked: self.golden_queries.len(),
            mismatches: Vec::new(),
            revision_differs: self.scoring_revision != SCORING_REVISION,
        };
        for (number, golden) in self.golden_queries.iter().enumerate() {
            if let Err(why) = repeat(golden, model, scratch) {
                let user = &golden.user_id;
                report
                    .mismatches
                    .push(format!("golden query {number} (user {user:?}): {why}"));
            }
            breathe(0);
        }
        report
    }
}

fn repeat(golden: &GoldenQuery, model: &Model, scratch: &mut Scratch) -> Result<(), String> {
    if let Err(error) = model.recommend(&query(golden), scratch) {
        return Err(error.to_string());
    }
    let mut found = golden.clone();
    answer(model, &mut found, scratch);
    compare(golden, &found)
}

/// The first deviation of `found` from `expected`, in words.
fn compare(expected: &GoldenQuery, found: &GoldenQuery) -> Result<(), String> {
    if expected.answered_by != found.answered_by {
        let (expected, found) = (expected.answered_by.as_str(), found.answered_by.as_str());
        return Err(format!("answered by strategy {found}, expected {expected}"));
    }
    let (count, wanted) = (found.items.len(), expected.items.len());
    if count != wanted {
        return Err(format!("{count} products came back, expected {wanted}"));
    }
    let scores = expected
        .items
        .iter()
        .chain(&found.items)
        .map(|item| item.score.abs());
    let slack = scores.fold(0.0, f32::max) * TOLERANCE_OF_GREATEST;
    let close = |a: f32, b: f32| (a - b).abs() <= a.abs().max(b.abs()) * TOLERANCE + slack;
    for item in &expected.items {
        let id = &item.product_id;
        match found.items.iter().find(|other| other.product_id == *id) {
            Some(other) => compare_items(item, other, &close)?,
            None if is_at_cut(item, &found.items, &close) => {}
            None => return Err(format!("product {id:?} did not come back")),
        }
    }
    let is_new = |item: &&GoldenItem| {
        expected
            .items
            .iter()
            .all(|other| other.product_id != item.product_id)
    };
    match found
        .items
        .iter()
        .filter(is_new)
        .find(|i| !is_at_cut(i, &expected.items, &close))
    {
        Some(item) => Err(format!(
            "product {:?} came back unexpectedly",
            item.product_id
        )),
        None => Ok(()),
    }
}

fn is_at_cut(item: &GoldenItem, items: &[GoldenItem], close: &impl Fn(f32, f32) -> bool) -> bool {
    items
        .last()
        .is_some_and(|last| close(item.score, last.score))
}

fn compare_items(
    expected: &GoldenItem,
    found: &GoldenItem,
    close: &impl Fn(f32, f32) -> bool,
) -> Result<(), String> {
    let id = &expected.product_id;
    if expected.reason != found.reason {
        let (expected, found) = (expected.reason.as_str(), found.reason.as_str());
        return Err(format!(
            "product {id:?} has reason {found}, expected {expected}"
        ));
    }
    let sides = |item: &GoldenItem| PerSide {
        collaborative: item.collaborative,
        content: item.content,
        sequence: item.sequence,
        repeat: item.repeat,
        trend: item.trend,
    };
    let (ours, theirs) = (sides(expected), sides(found));
    let raw = |side: Side| (Some(side), *ours.get(side), *theirs.get(side));
    let score = (None, Some(expected.score), Some(found.score));
    let scores = std::iter::once(score).chain(Side::ALL.map(raw));
    for (side, expected, found) in scores {
        let agree = match (expected, found) {
            (Some(expected), Some(found)) => close(expected, found),
            (expected, found) => expected == found,
        };
        if !agree {
            let of = side.map_or(String::new(), |side| format!("{} ", side.as_str()));
            return Err(format!(
                "product {id:?} has {of}score {found:?}, expected {expected:?}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
