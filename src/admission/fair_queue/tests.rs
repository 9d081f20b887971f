use super::super::queue_delay::{PLACES_MIN, TURN_CALLS_MAX};
use super::*;

const WAIT_MAX: Duration = Duration::from_millis(10);

/// One whose clock has run for an hour, so that tests may set things back.
fn core() -> Arc<Core> {
    let mut core = Core::new(LineLimits { wait_max: WAIT_MAX });
    Arc::get_mut(&mut core).unwrap().pace.born -= Duration::from_secs(3600);
    core
}

fn connection(core: &Arc<Core>) -> Turns {
    Turns::new(Line::new(core), DecidedNow::default())
}

/// Which calls began, in order.
#[derive(Clone, Default)]
struct Begun(Arc<Mutex<Vec<(char, u32)>>>);

impl Begun {
    fn call(&self, who: char, number: u32) -> impl Future<Output = ()> + Send + 'static {
        let begun = self.clone();
        async move { lock(&begun.0).push((who, number)) }
    }

    /// Waits until so many have begun.
    async fn until(&self, count: usize) {
        for _ in 0..10 * count {
            if lock(&self.0).len() >= count {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("{count} never began");
    }

    async fn all(&self, count: usize) -> Vec<(char, u32)> {
        for _ in 0..10 * count {
            if lock(&self.0).len() == count {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(lock(&self.0).len(), count);
        std::mem::take(&mut *lock(&self.0))
    }
}

#[tokio::test]
async fn few_calls_do_not_wait_behind_another_connections_many() {
    let (core, begun) = (core(), Begun::default());
    let (greedy, other, modest) = (connection(&core), connection(&core), connection(&core));
    for number in 0..100 {
        greedy.execute(begun.call('g', number));
        other.execute(begun.call('o', number));
    }
    modest.execute(begun.call('m', 0));
    assert_eq!(core.waiting.load(Relaxed), 200 - 2 * TURN_CALLS_MAX);
    assert_eq!(lock(&begun.0).last(), Some(&('m', 0)), "it waits for none");
    let order = begun.all(201).await;
    for who in ['g', 'o'] {
        let own = order.iter().filter(|(of, _)| *of == who);
        let numbers: Vec<_> = own.map(|(_, number)| *number).collect();
        assert!(numbers.is_sorted(), "{who}: {numbers:?}");
    }
    let half = order[..100].iter().filter(|(who, _)| *who == 'g').count();
    assert!(
        half.abs_diff(50) <= TURN_CALLS_MAX,
        "{half} of the first 100"
    );
    assert_eq!(core.waiting.load(Relaxed), 0);
    assert_eq!(core.in_queue.load(Relaxed), 0);
}

#[tokio::test]
async fn a_turn_is_had_at_once_and_anew_with_each_look_where_nobody_waits() {
    let (core, begun) = (core(), Begun::default());
    let only = connection(&core);
    let calls = 3 * TURN_CALLS_MAX as u32;
    (0..calls).for_each(|number| only.execute(begun.call('a', number)));
    assert_eq!(lock(&begun.0).len(), TURN_CALLS_MAX);
    only.line.looks();
    only.execute(begun.call('a', calls));
    let now = lock(&begun.0).len();
    assert_eq!(now, TURN_CALLS_MAX, "its own calls wait, and come first");
    let numbers = begun.all(calls as usize + 1).await;
    assert!(numbers.is_sorted(), "{numbers:?}");
    only.line.looks();
    let turn = core.pace.turn_calls();
    (0..=turn as u32).for_each(|number| only.execute(begun.call('b', number)));
    assert_eq!(begun.all(turn + 1).await.len(), turn + 1);
    only.execute(begun.call('c', 0));
    assert!(lock(&begun.0).is_empty(), "it had its turn");
    assert_eq!(begun.all(1).await, [('c', 0)]);
    only.line.looks();
    only.execute(begun.call('d', 0));
    assert_eq!(*lock(&begun.0), [('d', 0)]);
}

#[tokio::test]
async fn a_call_that_begins_at_once_and_has_to_wait_for_something_goes_on_by_itself() {
    let (core, begun) = (core(), Begun::default());
    let only = connection(&core);
    let (open, opened) = tokio::sync::oneshot::channel::<()>();
    let end = begun.call('e', 0);
    only.execute(async move {
        opened.await.unwrap();
        end.await;
    });
    only.execute(begun.call('b', 0));
    assert_eq!(begun.all(1).await, [('b', 0)]);
    open.send(()).unwrap();
    assert_eq!(begun.all(1).await, [('e', 0)]);
    assert_eq!(core.waiting.load(Relaxed), 0);
}

#[tokio::test]
async fn what_is_decided_runs_at_once() {
    let (core, begun) = (core(), Begun::default());
    let greedy = connection(&core);
    (0..100).for_each(|number| greedy.execute(begun.call('g', number)));
    greedy.decided.set(true);
    greedy.execute(begun.call('d', 0));
    assert_eq!(lock(&begun.0)[TURN_CALLS_MAX..], [('d', 0)]);
    assert_eq!(begun.all(101).await[TURN_CALLS_MAX], ('d', 0));
}

#[tokio::test]
async fn calls_of_a_connection_that_ended_do_not_begin() {
    let (core, begun) = (core(), Begun::default());
    let (gone, stays) = (connection(&core), connection(&core));
    (0..100).for_each(|number| gone.execute(begun.call('g', number)));
    stays.execute(begun.call('s', 0));
    gone.line.leave();
    let order = begun.all(TURN_CALLS_MAX + 1).await;
    assert_eq!(order.last(), Some(&('s', 0)));
    while core.waiting.load(Relaxed) > 0 {
        tokio::task::yield_now().await;
    }
    assert!(lock(&begun.0).is_empty());
}

#[test]
fn a_burst_may_wait_and_a_line_that_stays_long_is_cut() {
    let core = core();
    let line = Line::new(&core);
    core.pace.place_nanos.store(100_000, Relaxed);
    core.waiting.store(500, Relaxed);
    line.own.waiting.store(500, Relaxed);
    assert!(line.has_room(), "50 ms of calls, as a burst");
    assert!(core.pace.long_since.load(Relaxed) > 0);
    core.pace.long_since.store(1, Relaxed);
    assert!(!line.has_room(), "50 ms of calls, for long");
    core.waiting.store(60, Relaxed);
    line.own.waiting.store(60, Relaxed);
    core.askers.store(1, Relaxed);
    assert!(
        line.has_room(),
        "it alone waits: all hundred places are its part"
    );
    core.askers.store(4, Relaxed);
    assert!(!line.has_room(), "of four, a quarter of the places and 40");
    assert!(Line::new(&core).has_room());
    line.own.waiting.store(39, Relaxed);
    assert!(line.has_room(), "100 places, 60 taken");
    core.waiting.store(100, Relaxed);
    assert!(!line.has_room());
    line.own.waiting.store(24, Relaxed);
    assert!(line.has_room(), "less than its part, however many wait");
    line.own.waiting.store(25, Relaxed);
    assert!(!line.has_room());
    assert!(
        Line::new(&core).has_room(),
        "nobody's first call made the line long"
    );
    core.waiting.store(800, Relaxed);
    assert!(
        Line::new(&core).has_room(),
        "however many of another's wait"
    );
    core.askers.store(100, Relaxed);
    assert!(!Line::new(&core).has_room(), "no place for each of them");
    core.waiting.store(12, Relaxed);
    assert!(line.has_room());
    core.waiting.store(500, Relaxed);
    assert!(line.has_room(), "a short line in between: a burst again");
}

#[test]
fn however_slow_its_calls_are_a_short_line_has_room() {
    let core = core();
    core.pace.place_nanos.store(10_000_000, Relaxed);
    core.pace.long_since.store(1, Relaxed);
    let line = Line::new(&core);
    core.askers.store(2 * PLACES_MIN, Relaxed);
    line.own.waiting.store(1, Relaxed);
    core.waiting.store(PLACES_MIN - 2, Relaxed);
    assert!(line.has_room());
    core.waiting.store(PLACES_MIN, Relaxed);
    assert!(!line.has_room());
}

#[tokio::test]
async fn what_comes_on_many_connections_at_once_stands_in_line() {
    let (core, begun) = (core(), Begun::default());
    let many: Vec<_> = (0..2000).map(|_| connection(&core)).collect();
    let at_once = AT_ONCE_TURNS * TURN_CALLS_MAX;
    for round in 1..=2 {
        for one in &many {
            one.line.looks();
            one.execute(begun.call('m', round));
        }
        assert_eq!(core.waiting.load(Relaxed), 2000 - at_once);
        many[0].line.has_room();
        let since = core.pace.long_since.load(Relaxed);
        assert!(since > 0, "and is seen to be too long");
        begun.all(2000).await;
        assert_eq!(core.waiting.load(Relaxed), 0);
        assert!(lock(&core.order).ring.is_empty(), "nobody is kept");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_look_brings_no_turn_while_another_waits() {
    let (core, begun) = (core(), Begun::default());
    let (other, one) = (connection(&core), connection(&core));
    (0..2 * TURN_CALLS_MAX as u32).for_each(|number| one.execute(begun.call('1', number)));
    begun.all(2 * TURN_CALLS_MAX).await;
    (0..100).for_each(|number| other.execute(begun.call('o', number)));
    one.line.own.left.store(0, Relaxed);
    one.line.looks();
    let before = lock(&begun.0).len();
    one.execute(begun.call('1', 100));
    assert_eq!(lock(&begun.0).len(), before, "it has had its turn");
    begun.all(101).await;
    tokio::task::yield_now().await;
    one.line.looks();
    one.execute(begun.call('1', 101));
    assert_eq!(*lock(&begun.0), [('1', 101)]);
}

#[test]
fn the_time_of_a_place_follows_the_calls_that_begin_while_others_wait() {
    let core = core();
    let pace = &core.pace;
    pace.begun(1);
    for _ in 0..50 {
        // As if the window had begun 40 ms and three calls ago.
        (0..3).for_each(|_| pace.begun(1));
        pace.window_since.store(pace.now() - 40_000_000, Relaxed);
        pace.begun(1);
    }
    let place = pace.place_nanos.load(Relaxed);
    assert!((9_000_000..15_000_000).contains(&place), "{place}");
    pace.begun(0);
    assert_eq!(pace.window_since.load(Relaxed), 0);
    pace.begun(0);
    let since = pace.window_since.load(Relaxed);
    assert_eq!(since, 0, "an idle core measures nothing");
}

#[test]
fn a_turn_is_as_long_as_its_calls_took_lately() {
    let core = core();
    for (place, calls) in [
        (0, 8),
        (1_000, 8),
        (50_000, 8),
        (111_000, 3),
        (300_000, 1),
        (9_000_000, 1),
    ] {
        core.pace.place_nanos.store(place, Relaxed);
        assert_eq!(core.pace.turn_calls(), calls, "{place} ns");
        assert_eq!(Line::new(&core).own.left.load(Relaxed), calls);
    }
}

#[test]
fn one_gap_between_two_calls_does_not_shorten_the_line() {
    let core = core();
    let pace = &core.pace;
    pace.begun(1);
    pace.place_nanos.store(100_000, Relaxed);
    // A hundred calls in 5 ms, among them one that waited 3 ms for refusals.
    (0..99).for_each(|_| pace.begun(1));
    pace.window_since.store(pace.now() - 8_000_000, Relaxed);
    pace.begun(1);
    let place = pace.place_nanos.load(Relaxed);
    assert!((90_000..110_000).contains(&place), "{place}");
}

#[test]
fn turning_away_takes_no_more_than_its_part_of_the_time() {
    let core = core();
    let (mut held, mut spent) = (Duration::ZERO, Duration::ZERO);
    assert_eq!(core.pace.hold(1_000), Duration::from_millis(1));
    for _ in 0..100 {
        // A millisecond of refusals, and then the hold is over.
        let hold = core.pace.hold(1_000_000);
        spent += Duration::from_millis(1);
        held += hold;
        let then = core.pace.now() - u64::try_from(hold.as_nanos()).unwrap();
        core.pace.spent_at.store(then, Relaxed);
    }
    assert!(held > 4 * spent, "held for {held:?}, spent {spent:?}");
    assert!(held < 6 * spent, "held for {held:?}, spent {spent:?}");
    let most = core.pace.hold(u64::MAX / 16);
    assert_eq!(most, Duration::from_millis(100));
}

#[tokio::test]
async fn one_with_a_part_of_its_turn_left_is_before_those_who_had_theirs() {
    let (core, begun) = (core(), Begun::default());
    let (greedy, other, modest) = (connection(&core), connection(&core), connection(&core));
    for number in 0..2000 {
        greedy.execute(begun.call('g', number));
        other.execute(begun.call('o', number));
    }
    let mut asked = Vec::new();
    let calls = 3 * TURN_CALLS_MAX as u32;
    for number in 0..calls {
        modest.line.looks();
        asked.push(lock(&begun.0).len());
        modest.execute(begun.call('m', number));
        // Both others have had at least one turn more when it has had all of its own.
        let now = lock(&begun.0).len();
        begun.until(now + 3).await;
    }
    let order = begun.all(4000 + calls as usize).await;
    for (number, asked) in (0..).zip(asked) {
        let at = order.iter().position(|call| *call == ('m', number));
        assert_eq!(at, Some(asked), "{number} waits for none");
    }
    for number in 0..100 {
        greedy.execute(begun.call('g', number));
        modest.execute(begun.call('m', number));
    }
    let order = begun.all(200).await;
    let half = order[..100].iter().filter(|(who, _)| *who == 'm').count();
    assert!(
        half.abs_diff(50) <= 2 * TURN_CALLS_MAX,
        "{half} of the first 100"
    );
}
