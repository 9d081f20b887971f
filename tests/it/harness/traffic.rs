//! Load on a schedule: requests are due whether or not earlier ones were answered, and all that were
//! due by the end are sent, so that a server which stalls meets them all the same. Nothing is retried.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hotshelf::grpc::proto::recommendation_service_client::RecommendationServiceClient;
use hotshelf::grpc::proto::{RecommendRequest, RecommendResponse};
use hotshelf_model::Model;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::shop::top;

const CONNECTIONS: usize = 4;
/// Fewer in all than the server's limit of calls at once: nothing is shed.
const TASKS_PER_CONNECTION: usize = 32;

/// Running load.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    away: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    began: Instant,
    thread: Option<JoinHandle<()>>,
}

/// Every request and what became of it.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) answers: Vec<RecommendResponse>,
    pub(crate) failures: Vec<Status>,
    by_version: BTreeMap<u64, usize>,
    /// From the first request due to the last.
    pub(crate) lasted: Duration,
}

impl Traffic {
    /// Sends `rate` requests per second, for one user after the other.
    pub(crate) fn start(to: SocketAddr, users: Vec<String>, rate: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let away = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let own = (Arc::clone(&stop), Arc::clone(&away), Arc::clone(&seen));
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(send(
                to,
                Sender {
                    users: users.into(),
                    rate,
                    stop: own.0,
                    away: own.1,
                    seen: own.2,
                },
            ));
        };
        let thread = std::thread::Builder::new()
            .name("traffic".to_owned())
            .spawn(run)
            .unwrap();
        Self {
            stop,
            away,
            seen,
            began: Instant::now(),
            thread: Some(thread),
        }
    }

    /// Answers so far that this version gave.
    pub(crate) fn answers_of(&self, version: u64) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.by_version.get(&version).copied().unwrap_or(0)
    }

    /// Sends nothing more, also nothing that was due before, and returns when what was sent has been
    /// answered.
    pub(crate) fn turn_away(self) -> Seen {
        self.away.store(true, Ordering::Relaxed);
        self.finish()
    }

    /// Ends the schedule here, and returns when everything that was due has been answered.
    pub(crate) fn finish(mut self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let lasted = self.began.elapsed();
        self.thread.take().unwrap().join().unwrap();
        Seen {
            lasted,
            ..std::mem::take(&mut *self.seen.lock().unwrap())
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Seen {
    pub(crate) fn requests(&self) -> usize {
        self.answers.len() + self.failures.len()
    }

    /// Asserts that nothing failed.
    pub(crate) fn assert_all_answered(&self) {
        assert!(
            self.failures.is_empty(),
            "{} failed: {:?}",
            self.failures.len(),
            self.failures[0]
        );
        assert!(!self.answers.is_empty());
    }

    /// Asserts that every answer is, item by item and to the bit, what the version that it names
    /// computes alone.
    pub(crate) fn assert_computed_by(&self, models: &BTreeMap<u64, &Model>) {
        let mut known = BTreeMap::new();
        for answer in &self.answers {
            let model = models[&answer.version];
            let expected = known
                .entry((answer.version, answer.user_id.as_str()))
                .or_insert_with(|| top(model, &answer.user_id));
            let items = answer.items.iter();
            let given: Vec<_> = items
                .map(|item| (item.product_id.clone(), item.score as f32))
                .collect();
            assert_eq!(
                given, *expected,
                "version {} for {}",
                answer.version, answer.user_id
            );
        }
    }
}

#[derive(Clone)]
struct Sender {
    users: Arc<[String]>,
    rate: u32,
    stop: Arc<AtomicBool>,
    away: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
}

async fn send(to: SocketAddr, sender: Sender) {
    let tasks = CONNECTIONS * TASKS_PER_CONNECTION;
    let period = Duration::from_secs(1) * tasks as u32 / sender.rate;
    let mut running = tokio::task::JoinSet::new();
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        let endpoint = Endpoint::from_shared(format!("http://{to}")).unwrap();
        channels.push(endpoint.connect().await.unwrap());
    }
    let began = Instant::now();
    for task in 0..tasks {
        let first = began + period * task as u32 / tasks as u32;
        let channel = channels[task % CONNECTIONS].clone();
        running.spawn(sender.clone().run(channel, (first, period), task));
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

impl Sender {
    async fn run(self, channel: Channel, (mut due, period): (Instant, Duration), task: usize) {
        let mut client = RecommendationServiceClient::new(channel);
        let mut turn = task;
        loop {
            tokio::time::sleep_until(due.into()).await;
            if self.away.load(Ordering::Relaxed) {
                return;
            }
            // Behind the schedule, what was due is sent before the end is taken.
            if self.stop.load(Ordering::Relaxed) && due + period > Instant::now() {
                return;
            }
            let user_id = self.users[turn % self.users.len()].clone();
            let outcome = client
                .recommend(RecommendRequest {
                    user_id,
                    ..RecommendRequest::default()
                })
                .await;
            let mut seen = self.seen.lock().unwrap();
            match outcome {
                Ok(answer) => {
                    let answer = answer.into_inner();
                    *seen.by_version.entry(answer.version).or_default() += 1;
                    seen.answers.push(answer);
                }
                Err(status) => seen.failures.push(status),
            }
            drop(seen);
            due += period;
            turn += CONNECTIONS * TASKS_PER_CONNECTION;
        }
    }
}
