//! Whom a search looks at: everybody, or in a large shop a sample of whole users.

use crate::draw::seeded_hash;
use crate::shop::{Known, Shop};
use crate::split::{Relevant, Split};

/// Most events of the tuning's fits (chosen: a trial of 64 factors takes half a minute on two cores).
const EVENTS_MAX: usize = 2_000_000;
/// Most users that a trial is scored by (chosen: a difference of one percent shows).
const USERS_MAX: usize = 5_000;

/// The users of a search, whole: all their events or none.
pub(super) struct Sample {
    /// By user of the shop: whether their events are fitted; None for everybody.
    fitted: Option<Vec<bool>>,
    /// What the users want that trials are scored by.
    wanted: Relevant,
    shop_users: usize,
}

impl Sample {
    /// Users with the smallest hashes of seed and id.
    pub(super) fn of(shop: &Shop, split: &Split, seed: u64) -> Self {
        Self::limited(shop, split, (seed, EVENTS_MAX, USERS_MAX))
    }

    pub(super) fn limited(
        shop: &Shop,
        split: &Split,
        (seed, events_max, users_max): (u64, usize, usize),
    ) -> Self {
        let mut events = vec![0usize; shop.users.len()];
        for (_, event) in shop.known_events(split.tuning_past()) {
            events[event.user as usize] += 1;
        }
        let mut users: Vec<u32> = (0..shop.users.len() as u32).collect();
        users.sort_by_cached_key(|user| seeded_hash(seed, shop.users.text(*user)));
        let is_large = events.iter().sum::<usize>() > events_max;
        let fitted = is_large.then(|| {
            let mut fitted = vec![false; shop.users.len()];
            let mut sum = 0;
            for user in &users {
                sum += events[*user as usize];
                if sum > events_max {
                    break;
                }
                fitted[*user as usize] = true;
            }
            fitted
        });
        let is_fitted = |user: &u32| fitted.as_ref().is_none_or(|fitted| fitted[*user as usize]);
        let wanting = users.iter().filter(|user| is_fitted(user));
        let wanting = wanting.filter(|user| events[**user as usize] > 0);
        let wanting = wanting.filter_map(|user| Some((*user, split.validation.get(user)?.clone())));
        Self {
            wanted: wanting.take(users_max).collect(),
            fitted,
            shop_users: shop.users.len(),
        }
    }

    /// Users that trials are scored by.
    pub(super) fn users(&self) -> usize {
        self.wanted.len()
    }

    pub(super) fn wanted(&self) -> &Relevant {
        &self.wanted
    }

    /// The events that trials are fitted on.
    pub(super) fn of_known<'a>(&'a self, known: Known<'a>) -> Known<'a> {
        match &self.fitted {
            Some(fitted) => known.of(fitted),
            None => known,
        }
    }

    /// What there is to say about a sample, empty without one.
    pub(super) fn text(&self) -> String {
        let Some(fitted) = &self.fitted else {
            return String::new();
        };
        let users = fitted.iter().filter(|fitted| **fitted).count();
        let all = self.shop_users;
        format!(
            "; the shop is large, so trials were fitted on a sample of {users} of {all} whole users"
        )
    }
}
