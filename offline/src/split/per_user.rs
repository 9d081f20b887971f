//! Splits user by user: the last events of each.

use super::{Divided, RelevantKinds};
use crate::shop::{Period, Shop};

/// The last relevant event of each user is the test, the last but one the validation; what a user
/// did after the one that is held out is held out with it. None if nobody has two relevant events.
///
/// Of a user with one relevant event nothing is held out, of one with two nothing is validated, so
/// that everybody has a past.
pub(super) fn leave_last_out(shop: &Shop, relevant: &RelevantKinds) -> Option<Divided> {
    let mut periods = vec![Period::Past; shop.events.len()];
    let mut is_split = false;
    for events in by_user(shop) {
        let is_relevant = |at: &usize| relevant.has(shop.events[events[*at]].kind);
        let hits: Vec<usize> = (0..events.len()).filter(is_relevant).collect();
        let [.., last_but_one, last] = hits[..] else {
            continue;
        };
        // Something before what is held out must stay.
        if last == 0 {
            continue;
        }
        is_split = true;
        for event in &events[last..] {
            periods[*event] = Period::Test;
        }
        if last_but_one > 0 {
            for event in &events[last_but_one..last] {
                periods[*event] = Period::Validation;
            }
        }
    }
    is_split.then(|| Divided {
        cut_s: None,
        periods,
        validation_text: "the last but one relevant event of each user".to_owned(),
    })
}

/// Indexes of each user's events in the order of time, then of the files.
pub(super) fn by_user(shop: &Shop) -> Vec<Vec<usize>> {
    let mut by_user = vec![Vec::new(); shop.users.len()];
    for (at, event) in shop.events.iter().enumerate() {
        by_user[event.user as usize].push(at);
    }
    for events in &mut by_user {
        // Stable: events of one moment stay in the order of the files.
        events.sort_by_key(|at| shop.events[*at].at_s);
    }
    by_user
}
