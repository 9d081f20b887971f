//! Splits a shop's events by time: training events before the cut, held-out events from it on.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::mapping::{Cut, EvaluationPlan};
use crate::shop::Shop;
use crate::time_format::{date, midnight, rfc3339};

/// A cut and the events after it.
#[derive(Debug)]
pub(crate) struct Split {
    /// Time of the cut.
    pub(crate) cut_s: i64,
    pub(crate) past_events: usize,
    pub(crate) future_events: usize,
    /// Products with a relevant held-out event, by user, in the shop's numbering; products ascend
    /// and are distinct.
    pub(crate) future: BTreeMap<u32, Vec<u32>>,
}

impl Split {
    /// Splits a shop's events.
    ///
    /// # Errors
    /// If one side is empty.
    pub(crate) fn new(shop: &Shop, plan: &EvaluationPlan) -> Result<Self, Error> {
        let cut_s = match plan.cut {
            Cut::At(at_s) => at_s,
            Cut::LastShare(share) => last_share(shop, share),
        };
        let relevant: Vec<u32> = plan
            .relevant
            .iter()
            .filter_map(|kind| shop.kinds.find(kind))
            .collect();
        let counts = |kind: u32| plan.relevant.is_empty() || relevant.contains(&kind);
        let mut future: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut future_events = 0;
        for event in shop.events.iter().filter(|event| event.at_s >= cut_s) {
            future_events += 1;
            if counts(event.kind) {
                future.entry(event.user).or_default().push(event.product);
            }
        }
        for products in future.values_mut() {
            products.sort_unstable();
            products.dedup();
        }
        let past_events = shop.events.len() - future_events;
        let split = Self {
            cut_s,
            past_events,
            future_events,
            future,
        };
        split.check(shop)?;
        Ok(split)
    }

    fn check(&self, shop: &Shop) -> Result<(), Error> {
        let side = match (self.past_events, self.future_events) {
            (0, _) => "before",
            (_, 0) => "after",
            _ => return Ok(()),
        };
        let (first, last) = shop.period_s().unwrap_or_default();
        Err(Error::Unusable(format!(
            "no event lies {side} the cut at {}; the events go from {} to {}",
            rfc3339(self.cut_s),
            date(first),
            date(last)
        )))
    }
}

/// The midnight before the last `share` of the events.
fn last_share(shop: &Shop, share: f64) -> i64 {
    let mut times: Vec<i64> = shop.events.iter().map(|event| event.at_s).collect();
    times.sort_unstable();
    let at = ((1.0 - share) * times.len() as f64) as usize;
    times
        .get(at.min(times.len().saturating_sub(1)))
        .map_or(0, |at_s| midnight(*at_s))
}
