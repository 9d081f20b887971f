use super::*;
use crate::guardrails::{Counts, Tallies, simulation};
use hotshelf_model::{Basis, Fallbacks};

fn tallies() -> Tallies {
    Tallies::new(1, &simulation::settings())
}

fn similar(is_empty: bool) -> Seen {
    Seen::Similar {
        basis: Basis::Content,
        fallbacks: Fallbacks::default(),
        is_empty,
    }
}

#[test]
fn what_a_version_refuses_is_its_error_and_what_it_does_not_know_an_empty_answer() {
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
fn answers_count_as_they_are_and_kept_ones_have_no_time() {
    let tallies = tallies();
    let tally = &tallies.arms()[0];
    let slow = simulation::settings().slow_after * 2;
    answered(Some(tally.begin("a")), &similar(true), None);
    answered(Some(tally.begin("b")), &similar(false), Some(slow));
    let mut fallbacks = Fallbacks::default();
    fallbacks.insert(hotshelf_model::Fallback::NoProductVector);
    let fallen = Seen::Similar {
        basis: Basis::Content,
        fallbacks,
        is_empty: false,
    };
    answered(Some(tally.begin("c")), &fallen, Some(Duration::ZERO));
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
