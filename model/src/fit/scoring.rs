//! What of a model may change after its fit: how it scores, and what it answers by default.

use super::{FitError, report::refuse};
use crate::{Defaults, Model, ScoringParams, SidesParams, Strategy, params::RECENTS_MAX};

/// Refuses scoring parameters by name. A weight on a side that these `sides` leave out is refused, as
/// nothing would come of it.
pub(super) fn check(scoring: &ScoringParams, sides: &SidesParams) -> Result<(), FitError> {
    if !(0.0..=1.0).contains(&scoring.alpha) {
        return refuse("alpha", &scoring.alpha, "0 to 1");
    }
    if !(1..=RECENTS_MAX).contains(&scoring.recents) {
        return refuse("recents", &scoring.recents, "1 to 100");
    }
    let Some(weights) = &scoring.weights else {
        return Ok(());
    };
    weights.check()?;
    match sides.first_absent(weights) {
        None => Ok(()),
        Some((side, weight)) => Err(FitError::SideAbsent { side, weight }),
    }
}

impl Model {
    /// Scores by other parameters from here on: another alpha, other weights. Costs nothing.
    ///
    /// # Errors
    /// Bad parameters by name, a weight on a side that the model lacks, no weights where blended is
    /// the default. The model stays as it was.
    pub fn set_scoring(&mut self, scoring: ScoringParams) -> Result<(), FitError> {
        check(&scoring, &self.parameters().sides)?;
        if scoring.weights.is_none() {
            self.check_strategy(self.defaults().strategy, false)?;
        }
        self.replace_scoring(scoring);
        Ok(())
    }

    /// States what queries get that leave strategy or seen products open; travels in the card.
    ///
    /// # Errors
    /// A strategy that this model cannot answer by. The model stays as it was.
    pub fn set_defaults(&mut self, defaults: Defaults) -> Result<(), FitError> {
        let has_weights = self.parameters().scoring.weights.is_some();
        self.check_strategy(defaults.strategy, has_weights)?;
        self.replace_defaults(defaults);
        Ok(())
    }

    fn check_strategy(&self, strategy: Strategy, has_weights: bool) -> Result<(), FitError> {
        let expected = match strategy {
            Strategy::Blended if !has_weights => "another, as the model has no weights",
            Strategy::Content if self.content().is_none() => "another, as the model has no content",
            _ => return Ok(()),
        };
        refuse("defaults.strategy", &strategy.as_str(), expected)
    }
}
