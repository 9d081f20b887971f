use super::*;

const WAIT_MAX: Duration = Duration::from_millis(10);

/// One whose clock has run for an hour, so that tests may set things back.
fn core() -> Arc<Core> {
    let mut core = Core::new(LineLimits { wait_max: WAIT_MAX });
    Arc::get_mut(&mut core).unwrap().born -= Duration::from_secs(3600);
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
    // Two connections' calls outside of turns, and the turn that was in the queue already.
    assert!(place <= 3 * TURN_CALLS, "{place}");
    for who in ['g', 'o'] {
        let own = order.iter().filter(|(of, _)| *of == who);
        let numbers: Vec<_> = own.map(|(_, number)| *number).collect();
        assert!(numbers.is_sorted(), "{who}: {numbers:?}");
    }
    let half = order[..100].iter().filter(|(who, _)| *who == 'g').count();
    assert!(half.abs_diff(50) <= TURN_CALLS, "{half} of the first 100");
    assert_eq!(core.waiting.load(Relaxed), 0);
    assert_eq!(core.in_turn.load(Relaxed), 0);
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
    core.place_nanos.store(100_000, Relaxed);
    core.waiting.store(500, Relaxed);
    line.own.waiting.store(500, Relaxed);
    assert!(line.has_room(), "50 ms of calls, as a burst");
    assert!(core.long_since.load(Relaxed) > 0);
    core.long_since.store(1, Relaxed);
    assert!(!line.has_room(), "50 ms of calls, for long");
    core.waiting.store(60, Relaxed);
    assert!(!line.has_room(), "more than are left to others");
    assert!(Line::new(&core).has_room());
    line.own.waiting.store(39, Relaxed);
    assert!(line.has_room(), "100 places, 60 taken");
    core.waiting.store(100, Relaxed);
    assert!(!line.has_room());
    assert!(
        Line::new(&core).has_room(),
        "nobody's first call made the line long"
    );
    core.waiting.store(200, Relaxed);
    assert!(!Line::new(&core).has_room());
    core.waiting.store(12, Relaxed);
    assert!(line.has_room());
    core.waiting.store(500, Relaxed);
    assert!(line.has_room(), "a short line in between: a burst again");
}

#[test]
fn however_slow_its_calls_are_a_short_line_has_room() {
    let core = core();
    core.place_nanos.store(10_000_000, Relaxed);
    core.long_since.store(1, Relaxed);
    let line = Line::new(&core);
    line.own.waiting.store(1, Relaxed);
    core.waiting.store(PLACES_MIN - 2, Relaxed);
    assert!(line.has_room());
    core.waiting.store(PLACES_MIN, Relaxed);
    assert!(!line.has_room());
}

#[test]
fn the_time_of_a_place_follows_the_calls_that_begin_while_others_wait() {
    let core = core();
    for step in 1..200 {
        // As if the last call had begun a millisecond ago.
        core.begun_at
            .store(core.now().saturating_sub(1_000_000).max(1), Relaxed);
        core.begun(step);
    }
    let place = core.place_nanos.load(Relaxed);
    assert!((900_000..5_000_000).contains(&place), "{place}");
    core.begun(0);
    assert_eq!(core.begun_at.load(Relaxed), 0);
    core.begun(0);
    assert_eq!(
        core.begun_at.load(Relaxed),
        0,
        "an idle core measures nothing"
    );
}
