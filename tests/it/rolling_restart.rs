//! Three servers restarted one after the other under load, as a Deployment does it: clients with the
//! settings of docs/clients.md see no failure.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hotshelf::grpc::proto::RecommendRequest;
use hotshelf::grpc::proto::recommendation_service_client::RecommendationServiceClient;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::harness::{Season, Server, Shop, until};
use crate::tools::{self, Tool};

const SERVERS: usize = 3;
/// Calls per second of each client.
const RATE: u32 = 250;
/// Answers that a server gives between its own start and the next one's end.
const ANSWERS_BETWEEN: f64 = 20.0;
/// Attempts at one call, as in docs/clients.md.
const ATTEMPTS_MAX: usize = 3;

/// Below the ports that systems give to sockets that ask for any, so that nobody takes one of them while
/// its server is being restarted.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

#[tokio::test]
async fn rolling_restart_fails_no_call_of_a_grpc_client_with_the_documented_settings() {
    let Some(python) = tools::find(Tool::Python) else {
        return;
    };
    let mut fleet = Fleet::start().await;
    let client = PythonClient::start(&python, &fleet);
    fleet.restart_each_under_load().await;
    let told = client.finish();
    let outcomes = told["outcomes"].as_object().unwrap();
    println!("{told}");
    assert_eq!(outcomes.keys().collect::<Vec<_>>(), ["OK"], "{told}");
    fleet.stop().await;
}

#[tokio::test]
async fn rolling_restart_fails_no_call_of_a_client_that_fails_over() {
    let mut fleet = Fleet::start().await;
    let client = Passing::start(&fleet.addresses());
    fleet.restart_each_under_load().await;
    let (answered, failures) = client.finish().await;
    println!("{answered} answered");
    assert!(failures.is_empty(), "{answered} answered, {failures:?}");
    fleet.stop().await;
}

/// Three servers on ports of their own, each with its own cache folder.
struct Fleet {
    shop: Shop,
    homes: Vec<Home>,
    servers: Vec<Server>,
}

/// The address and cache folder of one server, which outlive its process.
struct Home {
    data: SocketAddr,
    cache: TempDir,
}

impl Fleet {
    async fn start() -> Self {
        let shop = Shop::new();
        let version = shop.publish(Season::Spring).await.version;
        let ports = free_ports();
        let home = |port: &u16| Home {
            data: SocketAddr::from(([127, 0, 0, 1], *port)),
            cache: tempfile::tempdir().unwrap(),
        };
        let mut fleet = Self {
            shop,
            homes: ports.iter().map(home).collect(),
            servers: Vec::new(),
        };
        for at in 0..SERVERS {
            let server = fleet.start_one(at).await;
            if at == 0 {
                server.reload(version).await.unwrap();
            }
            server.until_ready().await;
            fleet.servers.push(server);
        }
        fleet
    }

    async fn start_one(&self, at: usize) -> Server {
        let home = &self.homes[at];
        let settings = [
            ("data-addr", &*home.data.to_string()),
            ("cache-dir", &*home.cache.path().display().to_string()),
            // The default; other tests have no time for it.
            ("drain-delay-ms", "1000"),
        ];
        Server::start(&self.shop, &settings).await
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.homes.iter().map(|home| home.data).collect()
    }

    /// Each ends well and comes back on its port; the next one follows once this one is in use again.
    async fn restart_each_under_load(&mut self) {
        for at in 0..SERVERS {
            until_in_use(&self.servers[at]).await;
        }
        for at in 0..SERVERS {
            let server = &mut self.servers[at];
            server.signal(Signal::TERM);
            assert_eq!(server.ended().await.code(), Some(0));
            server.logged("drained").await;
            let restarted = self.start_one(at).await;
            restarted.until_ready().await;
            until_in_use(&restarted).await;
            self.servers[at] = restarted;
        }
    }

    async fn stop(self) {
        for server in self.servers {
            server.stop().await;
        }
    }
}

async fn until_in_use(server: &Server) {
    until("answers", async || {
        let answers = server.scrape().await.sum("recommendations_total", &[]);
        (answers >= ANSWERS_BETWEEN).then_some(())
    })
    .await;
}

/// Ports that nobody listens on.
fn free_ports() -> Vec<u16> {
    let spread = std::process::id() as usize * 97;
    // Tests of one process run side by side.
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    let first = spread + 50 * TAKEN.fetch_add(1, Ordering::Relaxed) as usize;
    let ports = PORTS.cycle().skip(first % PORTS.len());
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.filter(is_free).take(SERVERS).collect()
}

/// A grpcio client in a process of its own, with the service config that docs/clients.md shows.
struct PythonClient {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    _config: tempfile::NamedTempFile,
}

impl PythonClient {
    fn start(python: &Path, fleet: &Fleet) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let config = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(config.path(), documented_service_config(root)).unwrap();
        let mut command = Command::new(python);
        command.arg(root.join("tests/python/rolling_client.py"));
        command.arg("--service-config").arg(config.path());
        command.args(["--rate", &RATE.to_string()]);
        for address in fleet.addresses() {
            command.args(["--address", &address.to_string()]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "running\n");
        Self {
            child,
            output,
            _config: config,
        }
    }

    /// Ends the load and returns what became of every call.
    fn finish(mut self) -> Value {
        drop(self.child.stdin.take());
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(self.child.wait().unwrap().success());
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for PythonClient {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first JSON block of the page.
fn documented_service_config(root: &Path) -> String {
    let page = std::fs::read_to_string(root.join("docs/clients.md")).unwrap();
    let (_, rest) = page.split_once("```json\n").unwrap();
    let (json, _) = rest.split_once("```").unwrap();
    let parsed: Value = serde_json::from_str(json).unwrap();
    let retries = &parsed["methodConfig"][0]["retryPolicy"]["maxAttempts"];
    assert_eq!(*retries, ATTEMPTS_MAX);
    json.to_owned()
}

/// A tonic client with one channel for each server, which takes them in turn and passes over to the next
/// one where a server is not to be had.
#[derive(Clone)]
struct Passing {
    channels: Vec<Channel>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
}

/// Tasks that share the rate, so that a slow call delays no other.
const TASKS: usize = 16;

struct Running {
    client: Passing,
    tasks: Vec<JoinHandle<Vec<Status>>>,
}

impl Passing {
    fn start(addresses: &[SocketAddr]) -> Running {
        let channel = |address: &SocketAddr| {
            Endpoint::from_shared(format!("http://{address}"))
                .unwrap()
                .connect_lazy()
        };
        let client = Self {
            channels: addresses.iter().map(channel).collect(),
            stop: Arc::default(),
            answered: Arc::default(),
        };
        let tasks = (0..TASKS).map(|task| tokio::spawn(client.clone().run(task)));
        let tasks = tasks.collect();
        Running { client, tasks }
    }

    async fn run(self, task: usize) -> Vec<Status> {
        let mut due = tokio::time::interval(Duration::from_secs(1) * TASKS as u32 / RATE);
        let (mut failures, mut turn) = (Vec::new(), task);
        while !self.stop.load(Ordering::Relaxed) {
            due.tick().await;
            turn += TASKS;
            match self.ask(turn).await {
                Ok(()) => drop(self.answered.fetch_add(1, Ordering::Relaxed)),
                Err(status) => failures.push(status),
            }
        }
        failures
    }

    async fn ask(&self, turn: usize) -> Result<(), Status> {
        let mut attempt = 0;
        loop {
            let channel = self.channels[(turn + attempt) % self.channels.len()].clone();
            let request = RecommendRequest {
                user_id: format!("u{:04}", turn % 240),
                ..RecommendRequest::default()
            };
            let mut client = RecommendationServiceClient::new(channel);
            attempt += 1;
            match client.recommend(request).await {
                Ok(answer) => {
                    assert_eq!(answer.into_inner().items.len(), 10);
                    return Ok(());
                }
                Err(status) if is_to_pass_over(&status) && attempt < ATTEMPTS_MAX => {}
                Err(status) => return Err(status),
            }
        }
    }
}

/// A status with a source is the transport's own word: a call that met GOAWAY before it was sent is
/// INTERNAL to tonic.
fn is_to_pass_over(status: &Status) -> bool {
    status.code() == Code::Unavailable || status.source().is_some()
}

impl Running {
    async fn finish(self) -> (u64, Vec<Status>) {
        self.client.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for task in self.tasks {
            failures.extend(task.await.unwrap());
        }
        let answered = self.client.answered.load(Ordering::Relaxed);
        assert!(answered > 0);
        (answered, failures)
    }
}
