//! Working memory of one caller.

use super::{
    blend::SidesScratch, blended::BlendedScratch, eligibility::EligibilityScratch,
    person::PersonScratch, popular::PopularScratch,
};
use crate::{factor_cosines::CosineScratch, fold_in::FoldIn};

/// Working memory of one caller, reusable across queries and models: it grows to the largest
/// catalogue seen (16 bytes a product, 16 more once all sides are blended, 4 a group), factors (4 × F² bytes, once someone is folded
/// in) and answers, and is not allocated again.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    pub(super) eligibility: EligibilityScratch,
    pub(super) person: PersonScratch,
    pub(super) fold_in: FoldIn,
    pub(super) sides: SidesScratch,
    pub(super) blended: BlendedScratch,
    pub(super) popular: PopularScratch,
    pub(super) cosines: CosineScratch,
}
