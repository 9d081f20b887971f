//! Open-loop load: all requests that are due by the end are sent, so that a server which stalls meets them all
//! the same. Nothing is retried.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hotshelf::demo::open_loop::{OpenLoop, Scheduled};
use hotshelf::grpc::proto::recommendation_service_client::RecommendationServiceClient;
use hotshelf::grpc::proto::{RecommendRequest, RecommendResponse};
use hotshelf_model::Model;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::shop::top;

const CONNECTIONS: usize = 4;
/// Fewer than `calls_max`: nothing is shed.
const IN_FLIGHT_MAX: usize = 128;

/// Running load.
pub(crate) struct Traffic {
    end: Arc<Mutex<End>>,
    seen: Arc<Mutex<Seen>>,
    began: Instant,
    thread: Option<JoinHandle<()>>,
}

/// When the load ends.
#[derive(Clone, Copy)]
enum End {
    /// Not yet.
    Open,
    /// With what is due by then.
    At(Instant),
    /// Now, whatever is due.
    Now,
}

/// Every request and its outcome.
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
        let end = Arc::new(Mutex::new(End::Open));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let own = (Arc::clone(&end), Arc::clone(&seen));
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(send(to, (&users, rate), own));
        };
        let thread = std::thread::Builder::new()
            .name("traffic".to_owned())
            .spawn(run)
            .unwrap();
        Self {
            end,
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

    /// Sends nothing more, not even what is due, and returns when what was sent has been answered.
    pub(crate) fn leave(self) -> Seen {
        self.end_with(End::Now)
    }

    /// Ends the schedule here, and returns when everything that was due has been answered.
    pub(crate) fn finish(self) -> Seen {
        self.end_with(End::At(Instant::now()))
    }

    fn end_with(mut self, end: End) -> Seen {
        *self.end.lock().unwrap() = end;
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
        // The lock is poisoned where the load has panicked, and then it has ended.
        if let Ok(mut end) = self.end.lock() {
            *end = End::Now;
        }
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

async fn send(
    to: SocketAddr,
    (users, rate): (&[String], u32),
    (end, seen): (Arc<Mutex<End>>, Arc<Mutex<Seen>>),
) {
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        let endpoint = Endpoint::from_shared(format!("http://{to}")).unwrap();
        channels.push(endpoint.connect().await.unwrap());
    }
    let load = OpenLoop {
        rate,
        in_flight_max: IN_FLIGHT_MAX,
    };
    let wait = |due: Instant| tokio::time::sleep_until(due.into());
    let is_over = |due| match *end.lock().unwrap() {
        End::Open => false,
        End::At(end) => due > end,
        End::Now => true,
    };
    let request = |Scheduled { number, .. }: Scheduled| {
        let channel = channels[number % CONNECTIONS].clone();
        let user_id = users[number % users.len()].clone();
        ask(channel, user_id, Arc::clone(&seen))
    };
    load.run(wait, is_over, request).await;
}

async fn ask(channel: Channel, user_id: String, seen: Arc<Mutex<Seen>>) {
    let request = RecommendRequest {
        user_id,
        ..RecommendRequest::default()
    };
    let outcome = RecommendationServiceClient::new(channel)
        .recommend(request)
        .await;
    let mut seen = seen.lock().unwrap();
    match outcome {
        Ok(answer) => {
            let answer = answer.into_inner();
            *seen.by_version.entry(answer.version).or_default() += 1;
            seen.answers.push(answer);
        }
        Err(status) => seen.failures.push(status),
    }
}
