use super::super::queue_delay::QUANTUM_CALLS_MAX;
use super::*;
use crate::net::InlineExecutor;
use futures::future::poll_fn;
use hyper::rt::Executor;
use std::future::Future;
use std::pin::pin;
use std::task::ready;
use tokio::sync::oneshot;

const DELAY_MAX: Duration = Duration::from_millis(10);
const QUANTUM: u32 = QUANTUM_CALLS_MAX as u32;

fn queue() -> Arc<FairQueue> {
    let delay_max = DELAY_MAX;
    FairQueue::new(QueueLimits { delay_max })
}

/// Runs calls as a connection does, every poll behind a turn.
struct Connection(Flow);

impl Connection {
    fn new(queue: &Arc<FairQueue>) -> Self {
        Self(Flow::new(queue))
    }

    fn execute(&self, call: impl Future<Output = ()> + Send + 'static) {
        let mut turn = Turn::new(self.0.clone());
        InlineExecutor.execute(async move {
            let mut call = pin!(call);
            poll_fn(|cx| {
                ready!(turn.poll(cx));
                call.as_mut().poll(cx)
            })
            .await;
        });
    }
}

/// Which calls were computed, in order.
#[derive(Clone, Default)]
struct Computed(Arc<Mutex<Vec<(char, u32)>>>);

impl Computed {
    fn lock(&self) -> MutexGuard<'_, Vec<(char, u32)>> {
        self.0.lock().unwrap()
    }

    fn call(&self, who: char, number: u32) -> impl Future<Output = ()> + Send + 'static {
        let computed = self.clone();
        async move { computed.lock().push((who, number)) }
    }

    /// A call that awaits something before it computes.
    fn call_after(
        &self,
        awaited: oneshot::Receiver<()>,
        (who, number): (char, u32),
    ) -> impl Future<Output = ()> + Send + 'static {
        let compute = self.call(who, number);
        async move {
            awaited.await.unwrap();
            compute.await;
        }
    }

    async fn until(&self, count: usize) {
        for _ in 0..20 * count {
            if self.lock().len() >= count {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("{count} were never computed");
    }

    /// All of them, after which none is remembered.
    async fn all(&self, count: usize) -> Vec<(char, u32)> {
        self.until(count).await;
        tokio::task::yield_now().await;
        assert_eq!(self.lock().len(), count);
        std::mem::take(&mut *self.lock())
    }
}

fn count_of(who: char, calls: &[(char, u32)]) -> usize {
    calls.iter().filter(|(of, _)| *of == who).count()
}

fn assert_half(who: char, first_100: &[(char, u32)], slack: usize) {
    let half = count_of(who, first_100);
    assert!(half.abs_diff(50) <= slack, "{half} of the first 100");
}

#[tokio::test(start_paused = true)]
async fn few_calls_do_not_wait_behind_another_connections_many() {
    let (queue, computed) = (queue(), Computed::default());
    let (greedy, other, modest) = (
        Connection::new(&queue),
        Connection::new(&queue),
        Connection::new(&queue),
    );
    for number in 0..100 {
        greedy.execute(computed.call('g', number));
        other.execute(computed.call('o', number));
    }
    modest.execute(computed.call('m', 0));
    assert_eq!(queue.lock().queued, 200 - 2 * QUANTUM_CALLS_MAX);
    assert_eq!(
        computed.lock().last(),
        Some(&('m', 0)),
        "it waits for nobody"
    );
    let order = computed.all(201).await;
    for who in ['g', 'o'] {
        let own = order.iter().filter(|(of, _)| *of == who);
        let numbers: Vec<_> = own.map(|(_, number)| *number).collect();
        // Turns are granted in order; within one quantum tasks may run in any.
        let is_in_order = |(place, number): (u32, &u32)| number.abs_diff(place) < QUANTUM;
        assert!((0..).zip(&numbers).all(is_in_order), "{who}: {numbers:?}");
    }
    assert_half('g', &order[..100], QUANTUM_CALLS_MAX);
    let state = queue.lock();
    assert_eq!((state.queued, state.granted, state.flows_queued), (0, 0, 0));
    assert!(state.waiters.is_empty());
}

#[tokio::test(start_paused = true)]
async fn calls_that_awaited_take_no_more_than_their_connections_share() {
    let (queue, computed) = (queue(), Computed::default());
    let (awaiting, plain) = (Connection::new(&queue), Connection::new(&queue));
    let mut replies = Vec::new();
    for number in 0..100 {
        let (reply, awaited) = oneshot::channel();
        replies.push(reply);
        awaiting.execute(computed.call_after(awaited, ('a', number)));
    }
    while queue.lock().queued > 0 {
        tokio::task::yield_now().await;
    }
    assert!(computed.lock().is_empty(), "all of them await");
    // All replies are there before the first call of the other connection.
    replies
        .into_iter()
        .for_each(|reply| reply.send(()).unwrap());
    tokio::task::yield_now().await;
    (0..100).for_each(|number| plain.execute(computed.call('p', number)));
    let order = computed.all(200).await;
    assert_half('p', &order[..100], 2 * QUANTUM_CALLS_MAX);
}

#[tokio::test(start_paused = true)]
async fn call_that_awaited_starts_at_once_where_its_connection_has_quantum_left() {
    let (queue, computed) = (queue(), Computed::default());
    let (greedy, modest) = (Connection::new(&queue), Connection::new(&queue));
    let (reply, awaited) = oneshot::channel();
    modest.execute(computed.call_after(awaited, ('m', 0)));
    (0..100).for_each(|number| greedy.execute(computed.call('g', number)));
    reply.send(()).unwrap();
    let order = computed.all(101).await;
    let place = order.iter().position(|(who, _)| *who == 'm').unwrap();
    assert!(place <= 2 * QUANTUM_CALLS_MAX, "it came as number {place}");
}

#[tokio::test(start_paused = true)]
async fn awaiting_call_holds_up_nobody_and_is_no_service_time() {
    let (queue, computed) = (queue(), Computed::default());
    let (slow, other) = (Connection::new(&queue), Connection::new(&queue));
    let mut replies = Vec::new();
    for number in 0..100 {
        let (reply, awaited) = oneshot::channel();
        replies.push(reply);
        slow.execute(computed.call_after(awaited, ('s', number)));
    }
    (0..100).for_each(|number| other.execute(computed.call('o', number)));
    let order = computed.all(100).await;
    assert_eq!(count_of('o', &order), 100);
    let interval = queue.lock().delay.interval_nanos;
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(queue.lock().queued, 0, "an await is no queueing");
    other.0.refill();
    other.execute(computed.call('o', 100));
    assert_eq!(*computed.lock(), [('o', 100)]);
    replies
        .into_iter()
        .for_each(|reply| reply.send(()).unwrap());
    computed.all(101).await;
    assert_eq!(queue.lock().delay.interval_nanos, interval);
}

#[tokio::test(start_paused = true)]
async fn quantum_refills_with_each_run_of_the_connection_where_no_call_waits() {
    let (queue, computed) = (queue(), Computed::default());
    let only = Connection::new(&queue);
    (0..3 * QUANTUM).for_each(|number| only.execute(computed.call('a', number)));
    assert_eq!(computed.lock().len(), QUANTUM_CALLS_MAX);
    only.0.refill();
    only.execute(computed.call('a', 3 * QUANTUM));
    assert_eq!(
        computed.lock().len(),
        QUANTUM_CALLS_MAX,
        "its own calls wait, and come first"
    );
    let numbers = computed.all(3 * QUANTUM_CALLS_MAX + 1).await;
    assert!(numbers.is_sorted(), "{numbers:?}");
    only.0.refill();
    let quantum = queue.lock().delay.quantum_calls();
    (0..=quantum as u32).for_each(|number| only.execute(computed.call('b', number)));
    assert_eq!(computed.lock().len(), quantum, "one is beyond its quantum");
    computed.all(quantum + 1).await;
    only.0.refill();
    only.execute(computed.call('c', 0));
    assert_eq!(*computed.lock(), [('c', 0)]);
}

#[tokio::test(start_paused = true)]
async fn quantum_does_not_refill_while_another_connection_waits() {
    let (queue, computed) = (queue(), Computed::default());
    let (other, one) = (Connection::new(&queue), Connection::new(&queue));
    (0..2 * QUANTUM).for_each(|number| one.execute(computed.call('1', number)));
    computed.all(2 * QUANTUM_CALLS_MAX).await;
    (0..100).for_each(|number| other.execute(computed.call('o', number)));
    queue.lock().flows[one.0.0.key].quantum = 0;
    one.0.refill();
    let before = computed.lock().len();
    one.execute(computed.call('1', 100));
    assert_eq!(computed.lock().len(), before, "it has used its quantum");
    computed.all(101).await;
    one.0.refill();
    one.execute(computed.call('1', 101));
    assert_eq!(*computed.lock(), [('1', 101)]);
}

#[tokio::test(start_paused = true)]
async fn dropped_calls_leave_the_queue_wherever_they_wait() {
    let (queue, computed) = (queue(), Computed::default());
    let (gone, stays) = (Connection::new(&queue), Connection::new(&queue));
    gone.0.refill();
    let mut idle = Context::from_waker(Waker::noop());
    let mut turns: Vec<_> = (0..100).map(|_| Turn::new(gone.0.clone())).collect();
    let started = turns
        .iter_mut()
        .filter_map(|turn| turn.poll(&mut idle).is_ready().then_some(()))
        .count();
    assert_eq!(started, QUANTUM_CALLS_MAX);
    (0..2 * QUANTUM).for_each(|number| stays.execute(computed.call('s', number)));
    // Some of them were granted a turn that they will never take.
    assert!(queue.lock().granted > 0);
    drop(turns);
    drop(gone);
    assert_eq!(computed.all(2 * QUANTUM_CALLS_MAX).await.len(), 16);
    let state = queue.lock();
    assert_eq!((state.queued, state.granted, state.flows_queued), (0, 0, 0));
    assert_eq!((state.waiters.len(), state.flows.len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn each_connection_has_an_equal_part_of_a_queue_that_is_too_long() {
    let queue = queue();
    let flow = Flow::new(&queue);
    let set = |queued: usize, own: usize, flows: usize| {
        let mut state = queue.lock();
        (state.queued, state.flows_queued) = (queued, flows);
        state.flows[flow.0.key].queued = own;
    };
    queue.lock().delay.interval_nanos = 100_000;
    set(500, 500, 1);
    assert!(flow.has_room(), "50 ms of calls, as a burst");
    tokio::time::advance(Duration::from_millis(500)).await;
    assert!(!flow.has_room(), "50 ms of calls, sustained");
    set(60, 60, 1);
    assert!(flow.has_room(), "all of the 100 are its part");
    set(60, 60, 4);
    assert!(!flow.has_room(), "its part is a quarter, and 40 are left");
    assert!(Flow::new(&queue).has_room());
    set(60, 39, 4);
    assert!(flow.has_room(), "40 are left");
    set(100, 39, 4);
    assert!(!flow.has_room());
    set(100, 24, 4);
    assert!(
        flow.has_room(),
        "less than its part, however many others wait"
    );
    set(800, 25, 4);
    assert!(!flow.has_room());
    assert!(Flow::new(&queue).has_room(), "nobody's first call is shed");
    set(800, 25, 100);
    assert!(!Flow::new(&queue).has_room(), "unless there are too many");
    set(12, 12, 1);
    assert!(flow.has_room());
    set(500, 500, 1);
    assert!(flow.has_room(), "a short queue in between: a burst again");
    set(0, 0, 0);
}

#[tokio::test(start_paused = true)]
async fn calls_on_many_connections_at_once_wait_in_the_queue() {
    let (queue, computed) = (queue(), Computed::default());
    let many: Vec<_> = (0..2000).map(|_| Connection::new(&queue)).collect();
    let inline = INLINE_QUANTA * QUANTUM_CALLS_MAX;
    for round in 1..=2 {
        for one in &many {
            one.0.refill();
            one.execute(computed.call('m', round));
        }
        assert_eq!(queue.lock().queued, 2000 - inline);
        assert!(many[0].0.has_room());
        let exceeded = queue.lock().delay.exceeded_since;
        assert!(exceeded.is_some(), "and the delay is seen");
        computed.all(2000).await;
        {
            let state = queue.lock();
            assert_eq!(state.queued, 0);
            assert!(state.ring.is_empty() && state.unspent.is_empty());
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn connection_with_quantum_left_goes_before_those_that_used_theirs_up() {
    let (queue, computed) = (queue(), Computed::default());
    let (greedy, other, modest) = (
        Connection::new(&queue),
        Connection::new(&queue),
        Connection::new(&queue),
    );
    for number in 0..2000 {
        greedy.execute(computed.call('g', number));
        other.execute(computed.call('o', number));
    }
    let mut asked = Vec::new();
    for number in 0..3 * QUANTUM {
        modest.0.refill();
        asked.push(computed.lock().len());
        modest.execute(computed.call('m', number));
        // Both others have had at least one more turn when it has used its quantum up.
        let now = computed.lock().len();
        computed.until(now + 3).await;
    }
    let order = computed.all(4000 + 3 * QUANTUM_CALLS_MAX).await;
    for (number, asked) in (0..).zip(asked) {
        let place = order.iter().position(|call| *call == ('m', number));
        assert_eq!(place, Some(asked), "{number} waits for nobody");
    }
    for number in 0..100 {
        greedy.execute(computed.call('g', number));
        modest.execute(computed.call('m', number));
    }
    let order = computed.all(200).await;
    assert_half('m', &order[..100], 2 * QUANTUM_CALLS_MAX);
}
