use super::pace::PLACES_MIN;
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
    assert_eq!(core.waiting.load(Relaxed), 201);
    let order = begun.all(201).await;
    let place = order.iter().position(|(who, _)| *who == 'm').unwrap();
    // Those that began in the queue, and a turn of each of the others, who came first.
    assert!(place <= 3 * TURN_CALLS, "{place}");
    for who in ['g', 'o'] {
        let own = order.iter().filter(|(of, _)| *of == who);
        let numbers: Vec<_> = own.map(|(_, number)| *number).collect();
        assert!(numbers.is_sorted(), "{who}: {numbers:?}");
    }
    let half = order[..100].iter().filter(|(who, _)| *who == 'g').count();
    assert!(half.abs_diff(50) <= TURN_CALLS, "{half} of the first 100");
    assert_eq!(core.waiting.load(Relaxed), 0);
    assert_eq!(core.in_queue.load(Relaxed), 0);
}

#[tokio::test]
async fn what_is_decided_runs_at_once() {
    let (core, begun) = (core(), Begun::default());
    let greedy = connection(&core);
    (0..100).for_each(|number| greedy.execute(begun.call('g', number)));
    greedy.decided.set(true);
    greedy.execute(begun.call('d', 0));
    assert_eq!(*lock(&begun.0), [('d', 0)]);
    assert_eq!(begun.all(101).await[0], ('d', 0));
}

#[tokio::test]
async fn calls_of_a_connection_that_ended_do_not_begin() {
    let (core, begun) = (core(), Begun::default());
    let (gone, stays) = (connection(&core), connection(&core));
    (0..100).for_each(|number| gone.execute(begun.call('g', number)));
    stays.execute(begun.call('s', 0));
    gone.line.leave();
    assert_eq!(begun.all(1).await, [('s', 0)]);
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
    assert!(line.has_room(0), "50 ms of calls, as a burst");
    assert!(core.pace.long_since.load(Relaxed) > 0);
    core.pace.long_since.store(1, Relaxed);
    assert!(!line.has_room(0), "50 ms of calls, for long");
    core.waiting.store(60, Relaxed);
    line.own.waiting.store(60, Relaxed);
    core.askers.store(1, Relaxed);
    assert!(
        line.has_room(0),
        "it alone waits: all hundred places are its part"
    );
    core.askers.store(4, Relaxed);
    assert!(!line.has_room(0), "of four, a quarter of the places and 40");
    assert!(Line::new(&core).has_room(0));
    line.own.waiting.store(39, Relaxed);
    assert!(line.has_room(0), "100 places, 60 taken");
    core.waiting.store(100, Relaxed);
    assert!(!line.has_room(0));
    line.own.waiting.store(24, Relaxed);
    assert!(line.has_room(0), "less than its part, however many wait");
    line.own.waiting.store(25, Relaxed);
    assert!(!line.has_room(0));
    assert!(
        Line::new(&core).has_room(0),
        "nobody's first call made the line long"
    );
    core.waiting.store(800, Relaxed);
    assert!(
        Line::new(&core).has_room(0),
        "however many of another's wait"
    );
    core.askers.store(100, Relaxed);
    assert!(!Line::new(&core).has_room(0), "no place for each of them");
    core.waiting.store(12, Relaxed);
    assert!(line.has_room(0));
    core.waiting.store(500, Relaxed);
    assert!(line.has_room(0), "a short line in between: a burst again");
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
    assert!(line.has_room(0));
    core.waiting.store(PLACES_MIN, Relaxed);
    assert!(!line.has_room(0));
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
    for number in 0..500 {
        greedy.execute(begun.call('g', number));
        other.execute(begun.call('o', number));
    }
    let mut asked = Vec::new();
    for number in 0..2 {
        // Both have had at least one turn more.
        let now = lock(&begun.0).len();
        begun.until(now + 3 * TURN_CALLS).await;
        asked.push(lock(&begun.0).len());
        modest.execute(begun.call('m', number));
    }
    let order = begun.all(1002).await;
    for (number, asked) in (0..).zip(asked) {
        let at = order.iter().position(|call| *call == ('m', number));
        let at = at.unwrap();
        assert!(at <= asked + TURN_CALLS, "{number}: {at}, asked at {asked}");
    }
    for number in 0..100 {
        greedy.execute(begun.call('g', number));
        modest.execute(begun.call('m', number));
    }
    let order = begun.all(200).await;
    let half = order[..100].iter().filter(|(who, _)| *who == 'm').count();
    assert!(
        half.abs_diff(50) <= 2 * TURN_CALLS,
        "{half} of the first 100"
    );
}
