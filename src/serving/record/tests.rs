use super::*;
use crate::guardrails::{Counts, Scope, Tallies, simulation};
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
fn cached_responses_count_for_everything_but_time() {
    let tallies = tallies();
    let tally = &tallies.arms()[0];
    let slow = simulation::settings().slow_after * 2;
    let mut fallbacks = Fallbacks::default();
    fallbacks.insert(Fallback::NoProductVector);
    let none = Fallbacks::default();
    count_evidence(
        Some(tally.begin("a", Scope::Everything)),
        &similar(true, none),
        None,
    );
    count_evidence(
        Some(tally.begin("b", Scope::Everything)),
        &similar(false, none),
        Some(slow),
    );
    let fast = Some(Duration::ZERO);
    count_evidence(
        Some(tally.begin("c", Scope::Everything)),
        &similar(false, fallbacks),
        fast,
    );
    let expected = Counts {
        asked: 3,
        judged: 3,
        empty: 1,
        fallbacks: 1,
        computed: 2,
        slow: 1,
        errors: 0,
    };
    assert_eq!(tally.counts(), expected);
}
