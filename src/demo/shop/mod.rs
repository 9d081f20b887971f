//! A believable shop, made up from a seed: what `hotshelf demo` trains on.
//!
//! It sells some two thousand products in twelve departments to some three thousand people, each
//! with tastes of their own: favourite departments, kinds of things, brands, a style and a price
//! level. They come back in sessions over months, look around, click, fill baskets and sometimes
//! buy. Soap and notebooks are used up and bought again; after a tent people look at a sleeping
//! mat. Few products take most of the attention, some people come daily and many came once,
//! evenings and weekends are busy, garden shears sell in May and candles in December.
//!
//! ```text
//! vocabulary ─▶ catalogue ─▶ habits ─┐
//!                                    ├─▶ traffic ─▶ Shop ─▶ files
//!     dice   ─▶ shoppers ────────────┘
//! ```
//!
//! The same [`ShopSpec`] gives the same shop to the byte, on every machine. This module knows
//! nothing of models or of serving: it makes data, as a shop would.

mod catalogue;
mod dice;
mod files;
mod habits;
mod shoppers;
#[cfg(test)]
mod tests;
mod traffic;
mod vocabulary;

/// What shop to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShopSpec {
    /// Every choice follows from it.
    pub(crate) seed: u64,
    /// Products in the catalogue by the end.
    pub(crate) products: usize,
    /// People who came at least once.
    pub(crate) users: usize,
    /// How many months of events, each a twelfth of a year.
    pub(crate) months: u32,
    /// Unix time at which the events end (not included), in seconds.
    pub(crate) end: i64,
}

/// Seconds in a month of the shop: a twelfth of a year.
pub(crate) const MONTH_S: i64 = 2_629_800;

impl ShopSpec {
    /// The demo's shop: 2,000 products, 3,000 people, six months up to `end` (unix seconds).
    pub(crate) fn ending_at(end: i64) -> Self {
        Self {
            seed: 42,
            products: 2_000,
            users: 3_000,
            months: 6,
            end,
        }
    }

    /// Unix time of the first day of events, in seconds.
    pub(crate) fn start(&self) -> i64 {
        self.end - i64::from(self.months) * MONTH_S
    }
}

/// What somebody did with a product; each step needs the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EventKind {
    View,
    Click,
    AddToCart,
    Purchase,
}

impl EventKind {
    /// As written in `interactions.csv`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Click => "click",
            Self::AddToCart => "add_to_cart",
            Self::Purchase => "purchase",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShopEvent {
    /// Row in [`Shop::users`].
    pub(crate) user: u32,
    /// Row in [`Shop::products`].
    pub(crate) product: u32,
    pub(crate) kind: EventKind,
    /// Unix time in seconds.
    pub(crate) at_s: i64,
    /// Number of the user's visit, from 1; with the user it names the session.
    pub(crate) visit: u32,
}

/// One product as the shop presents it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ShopProduct {
    /// Such as `p01234`; sorted as the rows are.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) category: &'static str,
    pub(crate) brand: &'static str,
    /// Some products never got one, as in any shop.
    pub(crate) description: Option<String>,
    /// In the shop's currency, above 0.
    pub(crate) price: f32,
    /// Unix time from which it was on sale, in seconds.
    pub(crate) on_sale_from_s: i64,
}

/// One person, known to the shop by a number only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShopUser {
    /// Such as `u00042`; sorted as the rows are.
    pub(crate) id: String,
    /// Unix time before which they did nothing, in seconds.
    pub(crate) joined_s: i64,
    /// The department they like best; what a model has to find out for itself.
    pub(crate) favourite: &'static str,
}

/// A generated shop.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shop {
    products: Vec<ShopProduct>,
    users: Vec<ShopUser>,
    events: Vec<ShopEvent>,
}

impl Shop {
    /// The catalogue, by id.
    pub(crate) fn products(&self) -> &[ShopProduct] {
        &self.products
    }

    /// Everybody, by id.
    pub(crate) fn users(&self) -> &[ShopUser] {
        &self.users
    }

    /// Everything that happened, by time.
    pub(crate) fn events(&self) -> &[ShopEvent] {
        &self.events
    }
}

/// Makes the shop. About 70 events a user; time and memory grow with users and events.
pub(crate) fn generate(spec: &ShopSpec) -> Shop {
    let catalogue = catalogue::stock(spec);
    let habits = habits::Habits::of(&catalogue);
    let mut users = Vec::with_capacity(spec.users);
    let mut events = Vec::new();
    for row in 0..spec.users {
        let shopper = shoppers::Shopper::meet(spec, row);
        traffic::visits(
            spec,
            (&catalogue, &habits),
            shopper,
            (&mut users, &mut events),
        );
    }
    // Stable: what one person did within a second stays in the order in which they did it.
    events.sort_by_key(|event: &ShopEvent| (event.at_s, event.user));
    Shop {
        products: catalogue.products,
        users,
        events,
    }
}
