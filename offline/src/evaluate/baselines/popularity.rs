//! One order of products for everybody: by all events, or by the recent ones.

use hotshelf_model::{Fallbacks, Model, UserRow};

use super::{Past, fill};
use crate::evaluate::rankers::{RankWork, Ranker};

/// Half-life of an event in recent popularity (chosen: a week has every weekday once).
const RECENT_HALF_LIFE_DAYS: f64 = 7.0;

const DAY_S: f64 = 86_400.0;

/// Products by popularity, without those that the user has unless seen products are ranked.
pub(in crate::evaluate) struct MostPopular<'m> {
    name: &'static str,
    model: &'m Model,
    order: Vec<u32>,
    include_seen: bool,
}

impl<'m> MostPopular<'m> {
    /// By the sum of interaction values.
    pub(in crate::evaluate) fn new(model: &'m Model, include_seen: bool) -> Self {
        Self {
            name: "most_popular",
            model,
            order: model.popular().map(|product| product.0).collect(),
            include_seen,
        }
    }
}

/// By the sum of interaction values, each halved every week before the last event.
pub(in crate::evaluate) fn recently_popular<'m>(
    model: &'m Model,
    past: &Past,
    include_seen: bool,
) -> MostPopular<'m> {
    let mut popularity = vec![0.0f64; model.products().len()];
    for event in &past.events {
        let age_days = (past.last_s - event.at_s) as f64 / DAY_S;
        let weight = (-age_days / RECENT_HALF_LIFE_DAYS).exp2();
        popularity[event.product as usize] += weight * f64::from(event.value);
    }
    let mut order: Vec<u32> = (0..popularity.len() as u32).collect();
    order.sort_by(|a, b| popularity[*b as usize].total_cmp(&popularity[*a as usize]));
    MostPopular {
        name: "recently_popular",
        order,
        ..MostPopular::new(model, include_seen)
    }
}

impl Ranker for MostPopular<'_> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn rank(&self, user: UserRow, k: usize, work: &mut RankWork) -> Fallbacks {
        let seen = if self.include_seen {
            &[]
        } else {
            self.model.history().seen(user)
        };
        work.list.clear();
        fill(&mut work.list, k, &self.order, seen);
        Fallbacks::default()
    }
}
