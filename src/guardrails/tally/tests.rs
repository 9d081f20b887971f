use super::super::simulation::settings;
use super::*;

fn two() -> Tallies {
    Tallies::new(2, &settings())
}

fn fine(computed_in: Option<Duration>) -> Answered {
    Answered {
        is_empty: false,
        is_fallback: false,
        computed_in,
    }
}

const FAST: Option<Duration> = Some(Duration::from_millis(1));

#[test]
fn person_counts_once_an_epoch_by_the_first_call_whichever_arm_it_met() {
    let tallies = two();
    let [base, candidate] = tallies.arms() else {
        unreachable!("two")
    };
    drop(candidate.begin("u1", Scope::Everything));
    for _ in 0..3 {
        candidate
            .begin("u1", Scope::Everything)
            .answered(fine(None));
        base.begin("u1", Scope::Everything).answered(fine(None));
    }
    let counts = tallies.counts();
    assert_eq!(counts[0], Counts::default());
    assert_eq!((counts[1].asked, counts[1].errors), (1, 1));
    tallies.forget_people();
    base.begin("u1", Scope::Everything).answered(fine(None));
    let counts = tallies.counts();
    assert_eq!(
        (counts[0].asked, counts[1].asked, counts[1].errors),
        (1, 1, 1)
    );
}

#[test]
fn time_counts_among_computed_answers_alone_by_the_first_one() {
    let tallies = two();
    let base = &tallies.arms()[0];
    let slow = Some(settings().slow_after + Duration::from_nanos(1));
    base.begin("cached", Scope::Everything).answered(fine(None));
    base.begin("cached", Scope::Everything).answered(fine(slow));
    base.begin("at the limit", Scope::Everything)
        .answered(fine(Some(settings().slow_after)));
    base.begin("fast", Scope::Everything).answered(fine(FAST));
    base.begin("fast", Scope::Everything).answered(fine(slow));
    let counts = base.counts();
    let outcomes = counts.outcomes(Guardrail::Slow);
    assert_eq!((outcomes.events, outcomes.people, counts.asked), (1, 3, 3));
}

#[test]
fn empty_answers_and_fallbacks_count_cached_or_computed_among_the_answered() {
    let tallies = two();
    let base = &tallies.arms()[0];
    let poor = |is_empty, is_fallback, computed_in| Answered {
        is_empty,
        is_fallback,
        computed_in,
    };
    base.begin("a", Scope::Everything)
        .answered(poor(true, true, FAST));
    base.begin("b", Scope::Everything)
        .answered(poor(false, true, None));
    base.begin("c", Scope::Everything).answered(fine(FAST));
    drop(base.begin("d", Scope::Everything));
    let seen = |guardrail| {
        let outcomes = base.counts().outcomes(guardrail);
        (outcomes.events, outcomes.people)
    };
    assert_eq!(seen(Guardrail::Errors), (1, 4));
    assert_eq!(seen(Guardrail::Empty), (1, 3));
    assert_eq!(seen(Guardrail::Fallbacks), (2, 3));
}

#[test]
fn call_that_panics_is_an_error() {
    let tallies = two();
    let base = &tallies.arms()[0];
    let call = std::panic::AssertUnwindSafe(|| {
        let _pending = base.begin("u1", Scope::Everything);
        std::panic::panic_any("the model's mistake");
    });
    assert!(std::panic::catch_unwind(call).is_err());
    assert_eq!(base.counts().errors, 1);
}

#[test]
fn full_set_counts_fewer_people_and_never_one_twice() {
    let tallies = Tallies::with_bits(1, &settings(), 64);
    let base = &tallies.arms()[0];
    for person in 0..10_000 {
        base.begin(&person.to_string(), Scope::Everything)
            .answered(fine(None));
    }
    assert_eq!(base.counts().asked, 64);
}

#[test]
fn counts_between_two_reads_are_never_negative_nor_more_events_than_people() {
    let later = Counts {
        asked: 5,
        errors: 1,
        ..Counts::default()
    };
    let earlier = Counts {
        asked: 5,
        errors: 0,
        ..Counts::default()
    };
    let outcomes = later.since(&earlier).outcomes(Guardrail::Errors);
    assert_eq!((outcomes.events, outcomes.people), (0, 0));
    assert_eq!(earlier.since(&later).errors, 0);
}

#[test]
fn call_out_of_scope_counts_for_nothing() {
    let tallies = two();
    let base = &tallies.arms()[0];
    drop(base.begin("u1", Scope::Nothing));
    base.begin("u2", Scope::Nothing).answered(fine(FAST));
    assert_eq!(base.counts(), Counts::default());
    // Nor does it use up the person's one count.
    drop(base.begin("u1", Scope::Everything));
    assert_eq!(base.counts().errors, 1);
}

#[test]
fn errors_and_time_alone_leave_the_person_to_count_for_the_rest_later() {
    let tallies = two();
    let base = &tallies.arms()[0];
    let empty = Answered {
        is_empty: true,
        is_fallback: true,
        computed_in: FAST,
    };
    base.begin("u1", Scope::ErrorsAndTime).answered(empty);
    let counts = base.counts();
    assert_eq!((counts.asked, counts.computed), (1, 1));
    assert_eq!((counts.judged, counts.empty, counts.fallbacks), (0, 0, 0));
    base.begin("u1", Scope::Everything).answered(empty);
    let counts = base.counts();
    assert_eq!((counts.asked, counts.computed), (1, 1));
    assert_eq!((counts.judged, counts.empty, counts.fallbacks), (1, 1, 1));
}
