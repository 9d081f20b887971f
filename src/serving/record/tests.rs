use super::*;
use crate::guardrails::{Counts, Tallies, simulation};
use hotshelf_model::{Basis, Fallback, Fallbacks};

fn tallies() -> Tallies {
    Tallies::new(1, &simulation::settings())
}

fn similar(is_empty: bool, fallbacks: Fallbacks) -> AnswerSummary {
    AnswerSummary::Similar {
        basis: Basis::Content,
        fallbacks,
        is_empty,
    }
}

#[test]
fn refusals_count_as_errors_and_unknown_products_as_empty_answers() {
    let unknown_product = CallError::UnknownProduct {
        product_id: "p9".to_owned(),
        version: 3,
    };
    let tallies = tallies();
    let tally = &tallies.arms()[0];
    count_shortcoming(Some(tally.begin("a")), &unknown_product);
    count_shortcoming(Some(tally.begin("b")), &CallError::NeedsContent(3));
    count_shortcoming(Some(tally.begin("c")), &CallError::Internal("why"));
    let expected = Counts {
        asked: 3,
        empty: 1,
        errors: 2,
        ..Counts::default()
    };
    assert_eq!(tally.counts(), expected);
}

#[test]
fn cached_responses_count_for_everything_but_time() {
    let tallies = tallies();
    let tally = &tallies.arms()[0];
    let slow = simulation::settings().slow_after * 2;
    let mut fallbacks = Fallbacks::default();
    fallbacks.insert(Fallback::NoProductVector);
    let none = Fallbacks::default();
    count_evidence(Some(tally.begin("a")), &similar(true, none), None);
    count_evidence(Some(tally.begin("b")), &similar(false, none), Some(slow));
    let fast = Some(Duration::ZERO);
    count_evidence(Some(tally.begin("c")), &similar(false, fallbacks), fast);
    let expected = Counts {
        asked: 3,
        empty: 1,
        fallbacks: 1,
        computed: 2,
        slow: 1,
        errors: 0,
    };
    assert_eq!(tally.counts(), expected);
}
