//! Splits a shop's events into three periods: past, validation, test.
//!
//! ```text
//! time             past ────────────────────────┤ validation ────┤ test ────▶  cut_s divides, for everybody
//! leave_last_out   past of a user ──────────────┤ last but one ──┤ last        user by user
//! given            training files ──────────────┤ a share ───────┤ test files  user by user
//! ```
//!
//! Models are judged by the test period and tuned on the validation period, which never overlaps it.
//! The fit that is judged knows past and validation; a fit of the tuning knows the past alone.

mod given;
mod per_user;
#[cfg(test)]
mod tests;
mod time;

use std::collections::BTreeMap;

use crate::error::Error;
use crate::mapping::{EvaluationPlan, SplitRule};
use crate::shop::{Known, Period, Shop, ShopEvent};

/// Relevant products by user, in the shop's numbering; products ascend and are distinct.
pub(crate) type Relevant = BTreeMap<u32, Vec<u32>>;

/// A shop's events, divided.
#[derive(Debug)]
pub(crate) struct Split {
    /// `time`, `leave_last_out` or `given`.
    pub(crate) rule: &'static str,
    /// Start of the test period, where it has one.
    pub(crate) cut_s: Option<i64>,
    /// By event.
    periods: Vec<Period>,
    /// Events before the test period.
    pub(crate) past_events: usize,
    /// Events of the test period.
    pub(crate) future_events: usize,
    /// What users of the test period want.
    pub(crate) future: Relevant,
    /// What users of the validation period want; empty where there is none.
    pub(crate) validation: Relevant,
    /// What the validation period is, in words.
    pub(crate) validation_text: String,
}

/// A rule's outcome.
struct Divided {
    cut_s: Option<i64>,
    periods: Vec<Period>,
    validation_text: String,
}

impl Split {
    /// Splits a shop's events.
    ///
    /// # Errors
    /// If one side is empty, with where the split was chosen.
    pub(crate) fn new(shop: &Shop, plan: &EvaluationPlan) -> Result<Self, Error> {
        let relevant = RelevantKinds::new(shop, plan);
        let divided = match plan.split {
            SplitRule::Time(cut) => time::divide(shop, (cut, &plan.origin))?,
            SplitRule::LeaveLastOut => {
                per_user::leave_last_out(shop, &relevant).ok_or_else(|| {
                    refuse(
                        plan,
                        "no user has two relevant events, the last of which could be held out",
                    )
                })?
            }
            SplitRule::Given => given::divide(shop, plan)?,
        };
        let wanted = |period: Period| wanted(shop, &divided.periods, (period, &relevant));
        let future_events = count(&divided.periods, Period::Test);
        let split = Self {
            rule: plan.split.as_str(),
            cut_s: divided.cut_s,
            past_events: shop.events.len() - future_events,
            future_events,
            future: wanted(Period::Test),
            validation: wanted(Period::Validation),
            validation_text: divided.validation_text,
            periods: divided.periods,
        };
        if split.future.is_empty() {
            return Err(refuse(plan, "no held-out event is relevant"));
        }
        let is_judged = |(_, event): (usize, &ShopEvent)| split.future.contains_key(&event.user);
        if !shop.known_events(split.past()).any(is_judged) {
            let why =
                "no user with held-out events has training events, so nobody can be evaluated";
            return Err(refuse(plan, why));
        }
        Ok(split)
    }

    /// What the fit that is judged may know.
    pub(crate) fn past(&self) -> Known<'_> {
        Known::before(&self.periods, Period::Test)
    }

    /// What a fit of the tuning may know.
    pub(crate) fn tuning_past(&self) -> Known<'_> {
        Known::before(&self.periods, Period::Validation)
    }
}

fn refuse(plan: &EvaluationPlan, why: &str) -> Error {
    let origin = &plan.origin;
    Error::Unusable(match plan.split {
        SplitRule::Time(_) => format!("{origin}: {why}"),
        SplitRule::LeaveLastOut | SplitRule::Given => {
            format!("{origin} is {:?}: {why}", plan.split.as_str())
        }
    })
}

/// Interaction types that count as hits.
struct RelevantKinds {
    /// By type of the shop.
    counts: Vec<bool>,
}

impl RelevantKinds {
    fn new(shop: &Shop, plan: &EvaluationPlan) -> Self {
        let named = |kind: u32| {
            let text = shop.kinds.text(kind);
            plan.relevant.is_empty() || plan.relevant.iter().any(|one| one == text)
        };
        Self {
            counts: (0..shop.kinds.len() as u32).map(named).collect(),
        }
    }

    fn has(&self, kind: u32) -> bool {
        self.counts[kind as usize]
    }
}

/// The products with relevant events of one period.
fn wanted(
    shop: &Shop,
    periods: &[Period],
    (period, relevant): (Period, &RelevantKinds),
) -> Relevant {
    let mut wanted = Relevant::new();
    let events = shop.events.iter().zip(periods);
    for (event, _) in events.filter(|(event, of)| **of == period && relevant.has(event.kind)) {
        wanted.entry(event.user).or_default().push(event.product);
    }
    for products in wanted.values_mut() {
        products.sort_unstable();
        products.dedup();
    }
    wanted
}

fn count(periods: &[Period], period: Period) -> usize {
    periods.iter().filter(|of| **of == period).count()
}
