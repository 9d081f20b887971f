//! The shop's people: what each of them likes, and how often they come.

use super::catalogue::{Catalogue, STYLE_AXES, Style, brands};
use super::dice::{Dice, Stream, exp, running_sums};
use super::vocabulary::{DEPARTMENTS, entries};
use super::{MONTH_S, ShopSpec, ShopUser};

/// Share of people who knew the shop before the first day; the others join as time goes by.
const KNOWN_AT_START: f64 = 0.6;
/// Spread of the logarithm of how often people come.
const ACTIVITY_SPREAD: f64 = 1.1;
/// Visits a month of the median person, beside the first.
const VISITS_A_MONTH: f64 = 0.75;

/// One person, with the dice that decide what they do.
pub(super) struct Shopper {
    pub(super) joined_s: i64,
    /// Visits in all, at least one.
    pub(super) visits: u32,
    /// Liking of each department.
    pub(super) departments: Vec<f64>,
    kinds: Vec<Vec<f64>>,
    brands: Vec<f64>,
    style: Style,
    price_level: f64,
    pub(super) dice: Dice,
}

/// How one person sees one shelf.
pub(super) struct ShelfView {
    /// Running sums over the shelf: what catches their eye.
    pub(super) attention: Vec<f64>,
    /// Between 0 and 1: how well each product suits them, whatever others think of it.
    pub(super) match_share: Vec<f64>,
}

impl Shopper {
    pub(super) fn meet(spec: &ShopSpec, row: usize) -> Self {
        let mut dice = Dice::new(spec.seed, Stream::Shopper(row));
        let joined_s = spec.start()
            + if dice.chance(KNOWN_AT_START) {
                -dice.below_i64(24 * MONTH_S)
            } else {
                // Nobody joins on the last day, so that everybody can come once.
                dice.below_i64(spec.end - spec.start() - 86_400)
            };
        let months = (spec.end - joined_s.max(spec.start())) as f64 / MONTH_S as f64;
        let expected = VISITS_A_MONTH * months * dice.log_normal(ACTIVITY_SPREAD);
        let visits = 1 + (expected + dice.unit()) as u32;
        let departments = departments(&mut dice);
        let kinds = DEPARTMENTS.iter().map(|department| {
            let kinds = entries(department.kinds);
            kinds.iter().map(|_| dice.log_normal(1.0)).collect()
        });
        let kinds = kinds.collect();
        let brands = brands().iter().map(|_| dice.log_normal(0.7)).collect();
        let style = [0.0; STYLE_AXES].map(|_: f64| dice.normal());
        let price_level = 0.8 * dice.normal();
        Self {
            joined_s,
            visits,
            departments,
            kinds,
            brands,
            style,
            price_level,
            dice,
        }
    }

    /// As the shop sees this person.
    pub(super) fn account(&self, row: usize) -> ShopUser {
        let liking = self.departments.iter().zip(&DEPARTMENTS);
        let favourite = liking.max_by(|one, other| one.0.total_cmp(other.0));
        ShopUser {
            id: format!("u{row:05}"),
            joined_s: self.joined_s,
            favourite: favourite.map_or("", |(_, department)| department.name),
        }
    }

    /// Looks along one shelf; one multiplication chain per product on it.
    pub(super) fn look_along(&self, catalogue: &Catalogue, shelf: usize) -> ShelfView {
        let rows = &catalogue.shelves[shelf];
        let liking: Vec<f64> = rows
            .iter()
            .map(|&row| self.liking(catalogue, shelf, row))
            .collect();
        let mean = liking.iter().sum::<f64>() / liking.len().max(1) as f64;
        let appeal = rows.iter().map(|&row| catalogue.traits[row].appeal);
        let attention = running_sums(
            liking
                .iter()
                .zip(appeal)
                .map(|(liked, drawn)| liked * drawn),
        );
        let match_share = liking.iter().map(|liked| liked / (liked + mean)).collect();
        ShelfView {
            attention,
            match_share,
        }
    }

    fn liking(&self, catalogue: &Catalogue, shelf: usize, row: usize) -> f64 {
        let traits = &catalogue.traits[row];
        let style: f64 = self
            .style
            .iter()
            .zip(&traits.style)
            .map(|(a, b)| a * b)
            .sum();
        let dearer = traits.price_level - self.price_level;
        let kind = self.kinds[shelf][traits.kind];
        // The exponent is held where one product cannot outweigh a whole shelf.
        kind * self.brands[traits.brand]
            * exp((0.8 * style - 0.4 * dearer * dearer).clamp(-6.0, 3.0))
    }
}

/// A little of everything, and two to four favourites.
fn departments(dice: &mut Dice) -> Vec<f64> {
    let mut liking = vec![0.03; DEPARTMENTS.len()];
    for _ in 0..2 + dice.below(3) {
        liking[dice.below(DEPARTMENTS.len())] += dice.between(0.3, 1.0);
    }
    liking
}
