//! What people do in the shop: visits, and what happens during one.
//!
//! A visit has a department in mind. People look at products one after another; some looks become
//! clicks, some clicks land in the cart, and at the end part of the cart is bought. First of all
//! they replace what they have used up, and after some things they look at what goes with them.

use std::collections::BTreeSet;

use super::catalogue::Catalogue;
use super::dice::{Dice, running_sums};
use super::habits::{Habits, Larder};
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

/// How likely people look at what goes with a product that they clicked on.
const FOLLOWED: f64 = 0.45;
/// How well a product suits somebody who comes back for it, or takes it with another.
const WANTED: f64 = 0.9;

/// Everything one person does, appended to `events`; their account, appended to `users`.
pub(super) fn visits(
    spec: &ShopSpec,
    (catalogue, habits): (&Catalogue, &Habits),
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
        larder: Larder::default(),
        shopper,
    };
    for (visit, start) in (1..).zip(starts) {
        person.visit((catalogue, habits), (visit, start), events);
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
    larder: Larder,
}

impl Person {
    fn visit(
        &mut self,
        (catalogue, habits): (&Catalogue, &Habits),
        (visit, start): (u32, i64),
        events: &mut Vec<ShopEvent>,
    ) {
        let month = month(start);
        let wish = DEPARTMENTS.iter().zip(&self.shopper.departments);
        let wish = running_sums(wish.map(|(d, liking)| d.season[month] * liking));
        let focus = self.shopper.dice.weighted(&wish);
        let mut trip = Trip {
            user: self.row,
            visit,
            now: start,
            cart: Vec::new(),
            events,
        };
        for product in self.larder.replaced(start, &mut self.shopper.dice) {
            trip.replace(product, &mut self.shopper.dice);
        }
        let mut next = None;
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
            let look = match next.take() {
                Some(product) => on_sale(catalogue, product, trip.now),
                None => look(view, (catalogue, shelf), trip.now, &self.seen, dice),
            };
            if let Some(look) = look {
                self.seen.insert(look.product);
                let product = look.product;
                if trip.look(look, dice) {
                    next = habits.next(product).filter(|_| dice.chance(FOLLOWED));
                }
            }
            trip.now += 4 + dice.below_i64(40);
            if next.is_none() && dice.chance(0.16) {
                break;
            }
        }
        let dice = &mut self.shopper.dice;
        for (product, at_s) in trip.check_out(dice) {
            self.larder.stock(habits, (product, at_s), dice);
        }
    }
}

/// One visit so far.
struct Trip<'a> {
    user: u32,
    visit: u32,
    now: i64,
    cart: Vec<Look>,
    events: &'a mut Vec<ShopEvent>,
}

impl Trip<'_> {
    fn event(&mut self, kind: EventKind, product: usize) {
        self.events.push(ShopEvent {
            user: self.user,
            product: product as u32,
            kind,
            at_s: self.now,
            visit: self.visit,
        });
    }

    /// Looks at a product, perhaps clicks on it, perhaps takes it. Whether it was clicked on.
    fn look(&mut self, look: Look, dice: &mut Dice) -> bool {
        self.event(EventKind::View, look.product);
        if !dice.chance(0.12 + 0.45 * look.suits) {
            return false;
        }
        self.now += 2 + dice.below_i64(8);
        self.event(EventKind::Click, look.product);
        if dice.chance(0.08 + 0.35 * look.suits) {
            self.now += 10 + dice.below_i64(80);
            self.event(EventKind::AddToCart, look.product);
            self.cart.push(look);
        }
        true
    }

    /// Takes a product again, without looking around.
    fn replace(&mut self, product: usize, dice: &mut Dice) {
        for kind in [EventKind::View, EventKind::Click, EventKind::AddToCart] {
            self.event(kind, product);
            self.now += 2 + dice.below_i64(8);
        }
        self.cart.push(Look {
            product,
            suits: WANTED,
        });
    }

    /// Buys part of the cart; what was bought, and when.
    fn check_out(mut self, dice: &mut Dice) -> Vec<(usize, i64)> {
        self.now += 20 + dice.below_i64(120);
        let mut bought = Vec::new();
        for look in std::mem::take(&mut self.cart) {
            if dice.chance(0.3 + 0.4 * look.suits) {
                self.event(EventKind::Purchase, look.product);
                bought.push((look.product, self.now));
            }
        }
        bought
    }
}

/// A product that caught the eye.
struct Look {
    product: usize,
    /// Between 0 and 1.
    suits: f64,
}

/// What goes with another product, if the shop sells it by now.
fn on_sale(catalogue: &Catalogue, product: usize, now: i64) -> Option<Look> {
    let is_on_sale = catalogue.products[product].on_sale_from_s <= now;
    is_on_sale.then_some(Look {
        product,
        suits: WANTED,
    })
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
