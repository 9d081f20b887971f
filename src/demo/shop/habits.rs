//! What people come back for, and what they look at next.

use std::collections::BTreeMap;

use super::catalogue::Catalogue;
use super::dice::Dice;
use super::vocabulary::{DEPARTMENTS, FOLLOWED_BY, USED_UP, entries};

/// Seconds that a thing lasts at least, and at most: two weeks to seven.
const LASTS_S: (i64, i64) = (14 * 86_400, 49 * 86_400);
/// How likely somebody replaces what is used up in a visit.
const REPLACED: f64 = 0.8;

/// What the products of a catalogue lead to.
pub(super) struct Habits {
    /// By product: whether it is used up and bought again.
    used_up: Vec<bool>,
    /// By product: what people look at next.
    next: Vec<Option<usize>>,
}

impl Habits {
    pub(super) fn of(catalogue: &Catalogue) -> Self {
        let mut used_up = vec![false; catalogue.products.len()];
        let mut next = vec![None; catalogue.products.len()];
        let consumed = entries(USED_UP);
        for (department, shelf) in DEPARTMENTS.iter().zip(&catalogue.shelves) {
            let kinds = entries(department.kinds);
            let kind = |row: &usize| kinds[catalogue.traits[*row].kind];
            for row in shelf {
                used_up[*row] = consumed.contains(&kind(row));
                let followed = FOLLOWED_BY.iter().find(|(first, _)| *first == kind(row));
                let Some((_, then)) = followed else {
                    continue;
                };
                let choice: Vec<usize> = shelf
                    .iter()
                    .filter(|row| kind(row) == *then)
                    .copied()
                    .collect();
                next[*row] = choice.get(row % choice.len().max(1)).copied();
            }
        }
        Self { used_up, next }
    }

    /// What people look at after a product.
    pub(super) fn next(&self, product: usize) -> Option<usize> {
        self.next[product]
    }

    pub(super) fn is_used_up(&self, product: usize) -> bool {
        self.used_up[product]
    }
}

/// What one person has at home that will be used up, and when.
#[derive(Default)]
pub(super) struct Larder(BTreeMap<usize, i64>);

impl Larder {
    /// Puts away what was bought.
    pub(super) fn stock(
        &mut self,
        habits: &Habits,
        (product, at_s): (usize, i64),
        dice: &mut Dice,
    ) {
        if habits.is_used_up(product) {
            let (least, most) = LASTS_S;
            self.0
                .insert(product, at_s + least + dice.below_i64(most - least));
        }
    }

    /// What is used up by now and will be replaced today.
    pub(super) fn replaced(&self, now: i64, dice: &mut Dice) -> Vec<usize> {
        let empty = self.0.iter().filter(|(_, until_s)| **until_s <= now);
        empty
            .filter(|_| dice.chance(REPLACED))
            .map(|(product, _)| *product)
            .collect()
    }
}
