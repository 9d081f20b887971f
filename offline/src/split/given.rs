//! The split that a shop brings as files. The validation is cut off the training files, in the shape
//! of the test files.

use super::per_user::by_user;
use super::{Divided, refuse};
use crate::draw::{shuffle_tail, stream};
use crate::error::Error;
use crate::mapping::EvaluationPlan;
use crate::shop::{Period, Shop};

/// Share of the users whose test events must follow their training events for a test of the last
/// events; below, it is a test of events drawn at random (chosen: clocks differ and days end).
const FOLLOWING_MIN: f64 = 0.9;
/// Stream of the random choice, apart from those of fits and bootstraps.
const STREAM: u64 = 16;

/// Events of the test files are the test. Of each user, as great a share of the training events is
/// the validation as the test has of all events, at least one and never all: their last ones where
/// the test follows the training, else such as chance chooses.
pub(super) fn divide(shop: &Shop, plan: &EvaluationPlan) -> Result<Divided, Error> {
    let test_from = shop.test_from.unwrap_or(shop.events.len());
    let mut periods = vec![Period::Past; test_from];
    periods.resize(shop.events.len(), Period::Test);
    if test_from == shop.events.len() {
        return Err(refuse(
            plan,
            "no row of the files of evaluation.test is left",
        ));
    }
    let share = (shop.events.len() - test_from) as f64 / shop.events.len() as f64;
    let training: Vec<Vec<usize>> = by_user(shop)
        .into_iter()
        .map(|events| events.into_iter().filter(|at| *at < test_from).collect())
        .collect();
    let takes_last = !shop.has_times || test_follows(shop, &training, test_from);
    let mut rng = stream(0, STREAM);
    for mut events in training {
        let wanted = (share * events.len() as f64).round().max(1.0) as usize;
        let wanted = wanted.min(events.len().saturating_sub(1));
        let first = events.len() - wanted;
        if !takes_last {
            shuffle_tail(&mut events, first, &mut rng);
        }
        for at in &events[first..] {
            periods[*at] = Period::Validation;
        }
    }
    let which = if takes_last { "the last" } else { "a random" };
    Ok(Divided {
        cut_s: None,
        periods,
        validation_text: format!(
            "{which} {:.0} % of each user's training events",
            share * 100.0
        ),
    })
}

/// Whether users' test events come after their training events.
fn test_follows(shop: &Shop, training: &[Vec<usize>], test_from: usize) -> bool {
    let last_s: Vec<Option<i64>> = training
        .iter()
        .map(|events| events.last().map(|at| shop.events[*at].at_s))
        .collect();
    let test = &shop.events[test_from..];
    let follows = test
        .iter()
        .filter(|event| last_s[event.user as usize].is_some_and(|last_s| event.at_s >= last_s));
    follows.count() as f64 >= FOLLOWING_MIN * test.len() as f64
}
