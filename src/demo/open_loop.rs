//! Open-loop load: requests leave when the schedule says so, whether or not earlier ones have been answered,
//! and latency counts from the schedule. A server that stalls cannot hide it.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// A schedule of requests.
#[derive(Clone, Copy, Debug)]
pub struct OpenLoop {
    /// Requests per second.
    pub rate: u32,
    /// Requests in flight; more wait for a free slot, and their latency shows it.
    pub in_flight_max: usize,
}

/// One scheduled request.
#[derive(Clone, Copy, Debug)]
pub struct Scheduled {
    /// Its number, from 0.
    pub number: usize,
    /// When it is due: its latency counts from here.
    pub due: Instant,
}

impl OpenLoop {
    /// Sends until `is_over` of the next request's due time, then waits for what is in flight. `wait` returns
    /// at the time it is given.
    pub async fn run<W, R>(
        self,
        wait: impl Fn(Instant) -> W,
        is_over: impl Fn(Instant) -> bool,
        mut request: impl FnMut(Scheduled) -> R,
    ) where
        W: Future<Output = ()>,
        R: Future<Output = ()> + Send + 'static,
    {
        let period = Duration::from_secs(1) / self.rate.max(1);
        let slots = Arc::new(Semaphore::new(self.in_flight_max));
        let mut in_flight = JoinSet::new();
        let mut due = Instant::now();
        for number in 0.. {
            wait(due).await;
            if is_over(due) {
                break;
            }
            let slot = Arc::clone(&slots).acquire_owned().await;
            let request = request(Scheduled { number, due });
            in_flight.spawn(async move {
                request.await;
                drop(slot);
            });
            while in_flight.try_join_next().is_some() {}
            due += period;
        }
        while in_flight.join_next().await.is_some() {}
    }
}

impl Scheduled {
    /// One user after the other: a stride without a common factor with most sizes visits each in turn.
    pub fn user(self, users: &[String]) -> &str {
        &users[self.number.wrapping_mul(104_729) % users.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[tokio::test(start_paused = true)]
    async fn every_request_is_due_on_the_schedule_however_slow_answers_are() {
        let began = Instant::now();
        let numbers = Arc::new(Mutex::new(Vec::new()));
        let load = OpenLoop {
            rate: 10,
            in_flight_max: 3,
        };
        let end = began + Duration::from_millis(1_950);
        let seen = Arc::clone(&numbers);
        let request = move |scheduled: Scheduled| {
            let seen = Arc::clone(&seen);
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                seen.lock().unwrap().push(scheduled);
            }
        };
        // Three in flight, a second each: the schedule falls behind, and every request is still sent.
        load.run(|_| std::future::ready(()), |due| due > end, request)
            .await;
        let numbers = numbers.lock().unwrap();
        assert_eq!(numbers.len(), 20);
        for scheduled in numbers.iter() {
            let expected = Duration::from_millis(100) * scheduled.number as u32;
            let late = (scheduled.due - began).saturating_sub(expected);
            assert!(late < Duration::from_millis(50), "{late:?}");
        }
    }
}
