//! What people do in the shop: visits, and what happens during one.
//!
//! A visit has a department in mind. People look at products one after another; some looks become
//! clicks, some clicks land in the cart, and at the end part of the cart is bought.

use std::collections::BTreeSet;

use super::catalogue::Catalogue;
use super::dice::{Dice, running_sums};
use super::shoppers::{ShelfView, Shopper};
use super::vocabulary::DEPARTMENTS;
use super::{EventKind, ShopEvent, ShopSpec, ShopUser};

const DAY_S: i64 = 86_400;
/// How busy the days of the week are, Monday first.
const WEEK: [f64; 7] = [0.9, 0.85, 0.85, 0.9, 1.0, 1.3, 1.4];
/// How busy the hours of the day are, UTC.
const HOURS: [f64; 24] = [
    0.3, 0.15, 0.1, 0.1, 0.1, 0.2, 0.4, 0.7, 0.9, 1.0, 1.1, 1.2, //
    1.3, 1.1, 1.0, 1.0, 1.1, 1.3, 1.6, 1.9, 2.0, 1.8, 1.2, 0.6,
];
/// Most products looked at in one visit.
const LOOKS_MAX: usize = 25;
/// Tries at finding a product that is on sale and not stale before a look is given up.
const TRIES_MAX: usize = 12;

/// Everything one person does, appended to `events`; their account, appended to `users`.
pub(super) fn visits(
    spec: &ShopSpec,
    catalogue: &Catalogue,
    mut shopper: Shopper,
    (users, events): (&mut Vec<ShopUser>, &mut Vec<ShopEvent>),
) {
    let (row, first) = (users.len(), events.len());
    users.push(shopper.account(row));
    let from = shopper.joined_s.max(spec.start());
    let mut starts: Vec<i64> = (0..shopper.visits)
        .map(|_| visit_start(from, spec.end, &mut shopper.dice))
        .collect();
    starts.sort_unstable();
    let mut person = Person {
        row: row as u32,
        views: DEPARTMENTS.iter().map(|_| None).collect(),
        seen: BTreeSet::new(),
        shopper,
    };
    for (visit, start) in (1..).zip(starts) {
        person.visit(catalogue, visit, start, events);
    }
    // A visit in the last minutes is cut off where the data ends.
    let own = events.split_off(first);
    events.extend(own.into_iter().filter(|event| event.at_s < spec.end));
}

/// A moment at which this person may come: more often when the shop is busy.
fn visit_start(from: i64, end: i64, dice: &mut Dice) -> i64 {
    let hours = running_sums(HOURS.into_iter());
    let busiest = 1.4 * 1.5;
    for _ in 0..200 {
        let at = from + dice.below_i64(end - from);
        let hour = dice.weighted(&hours) as i64;
        let at = at - at.rem_euclid(DAY_S) + hour * 3_600 + dice.below_i64(3_600);
        let busy = WEEK[weekday(at)] * shop_season(at);
        if (from..end).contains(&at) && dice.chance(busy / busiest) {
            return at;
        }
    }
    from
}

/// Monday is 0. The first day of unix time was a Thursday.
fn weekday(at_s: i64) -> usize {
    (at_s.div_euclid(DAY_S) + 3).rem_euclid(7) as usize
}

/// January is 0; within a day or two of the calendar, which is enough for a season.
fn month(at_s: i64) -> usize {
    let day_of_year = (at_s.div_euclid(DAY_S) * 4).rem_euclid(1_461) / 4;
    (day_of_year * 12 / 366) as usize
}

/// Demand of the whole shop: the mean over its departments, between about 0.8 and 1.5.
fn shop_season(at_s: i64) -> f64 {
    let month = month(at_s);
    DEPARTMENTS.iter().map(|d| d.season[month]).sum::<f64>() / DEPARTMENTS.len() as f64
}

struct Person {
    row: u32,
    shopper: Shopper,
    /// Shelves looked along so far.
    views: Vec<Option<ShelfView>>,
    seen: BTreeSet<usize>,
}

impl Person {
    fn visit(
        &mut self,
        catalogue: &Catalogue,
        visit: u32,
        start: i64,
        events: &mut Vec<ShopEvent>,
    ) {
        let month = month(start);
        let wish = DEPARTMENTS.iter().zip(&self.shopper.departments);
        let wish = running_sums(wish.map(|(d, liking)| d.season[month] * liking));
        let focus = self.shopper.dice.weighted(&wish);
        let mut now = start;
        let mut cart = Vec::new();
        let mut event = |kind, product: usize, at_s| {
            let (user, product) = (self.row, product as u32);
            events.push(ShopEvent {
                user,
                product,
                kind,
                at_s,
                visit,
            });
        };
        for _ in 0..LOOKS_MAX {
            let aside = self.shopper.dice.chance(0.2);
            let shelf = if aside {
                self.shopper.dice.weighted(&wish)
            } else {
                focus
            };
            let view =
                self.views[shelf].get_or_insert_with(|| self.shopper.look_along(catalogue, shelf));
            let dice = &mut self.shopper.dice;
            if let Some(look) = look(view, (catalogue, shelf), now, &self.seen, dice) {
                self.seen.insert(look.product);
                event(EventKind::View, look.product, now);
                if dice.chance(0.12 + 0.45 * look.suits) {
                    now += 2 + dice.below_i64(8);
                    event(EventKind::Click, look.product, now);
                    if dice.chance(0.08 + 0.35 * look.suits) {
                        now += 10 + dice.below_i64(80);
                        event(EventKind::AddToCart, look.product, now);
                        cart.push(look);
                    }
                }
            }
            now += 4 + dice.below_i64(40);
            if dice.chance(0.16) {
                break;
            }
        }
        let dice = &mut self.shopper.dice;
        now += 20 + dice.below_i64(120);
        for look in cart {
            if dice.chance(0.3 + 0.4 * look.suits) {
                event(EventKind::Purchase, look.product, now);
            }
        }
    }
}

/// A product that caught the eye.
struct Look {
    product: usize,
    /// Between 0 and 1.
    suits: f64,
}

/// Draws a product by attention: on sale by now, and seldom one that was looked at before.
fn look(
    view: &ShelfView,
    (catalogue, shelf): (&Catalogue, usize),
    now: i64,
    seen: &BTreeSet<usize>,
    dice: &mut Dice,
) -> Option<Look> {
    let rows = &catalogue.shelves[shelf];
    if rows.is_empty() {
        return None;
    }
    for _ in 0..TRIES_MAX {
        let at = dice.weighted(&view.attention);
        let product = rows[at];
        let on_sale = catalogue.products[product].on_sale_from_s <= now;
        let stale = seen.contains(&product) && dice.chance(0.7);
        if on_sale && !stale {
            return Some(Look {
                product,
                suits: view.match_share[at],
            });
        }
    }
    None
}
