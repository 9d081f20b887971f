//! Long-lived tasks that panic: a whole server in this process, whose log is a trap that panics at one message.
//! The tasks run on the test's own thread, and so does the trap.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hotshelf::app::{Addresses, App, AppError};
use hotshelf::config::{Config, Layers};
use hotshelf::grpc::proto::model_service_client::ModelServiceClient;
use hotshelf::grpc::proto::recommendation_service_client::RecommendationServiceClient;
use hotshelf::grpc::proto::{
    GetModelStatusRequest, GetModelStatusResponse, RecommendRequest, ReloadModelRequest,
    ReloadModelResponse,
};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Status;
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber, span};

use crate::harness::{
    MODEL, PATIENCE, Scrape, Season, Shop, channel, http_get, until, until_within,
};

/// Panics as often as it is armed for, at one message.
struct Trap {
    message: &'static str,
    armed: Arc<AtomicUsize>,
}

struct Found<'a>(&'a str, bool);

impl Visit for Found<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.1 |= field.name() == "message" && format!("{value:?}") == self.0;
    }
}

impl Subscriber for Trap {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("hotshelf")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut found = Found(self.message, false);
        event.record(&mut found);
        let springs = || {
            let less = |left: usize| left.checked_sub(1);
            self.armed
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
                .is_ok()
        };
        assert!(!(found.1 && springs()), "trapped at {:?}", self.message);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// A server whose tasks meet the trap.
struct Trapped {
    at: Addresses,
    armed: Arc<AtomicUsize>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), AppError>>,
    _trap: DefaultGuard,
    _cache: TempDir,
}

fn config(shop: &Shop, cache: &Path, settings: &[(&str, &str)]) -> Config {
    let cache = cache.display().to_string();
    let url = shop.url();
    let flags = [
        ("registry", url.as_str()),
        ("models", MODEL),
        ("cache_dir", &cache),
        ("data_addr", "127.0.0.1:0"),
        ("admin_addr", "127.0.0.1:0"),
        ("http_addr", "127.0.0.1:0"),
        ("watch_interval_ms", "50"),
        ("download_spread_ms", "0"),
        ("drain_delay_ms", "0"),
        ("wait_max_ms", "60000"),
    ];
    let flags = flags.iter().chain(settings);
    let layers = Layers {
        flags: flags
            .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
            .collect(),
        ..Layers::default()
    };
    Config::build(&layers).unwrap()
}

impl Trapped {
    /// The trap is armed from the start where `armed` says so.
    async fn start(
        shop: &Shop,
        (message, armed): (&'static str, usize),
        settings: &[(&str, &str)],
    ) -> Self {
        let cache = tempfile::tempdir().unwrap();
        let armed = Arc::new(AtomicUsize::new(armed));
        let trap = Trap {
            message,
            armed: Arc::clone(&armed),
        };
        let trap = tracing::subscriber::set_default(trap);
        let app = App::bind(config(shop, cache.path(), settings))
            .await
            .unwrap();
        let at = app.addresses();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(app.run(async { drop(stopped.await) }));
        Self {
            at,
            armed,
            stop,
            served,
            _trap: trap,
            _cache: cache,
        }
    }

    fn arm(&self) {
        self.armed.store(1, Ordering::SeqCst);
    }

    async fn reload(&self, version: u64) -> Result<ReloadModelResponse, Status> {
        let mut client = ModelServiceClient::new(channel(self.at.admin).await);
        let mut request = tonic::Request::new(ReloadModelRequest {
            version: Some(version),
            author: "ann".to_owned(),
            ..ReloadModelRequest::default()
        });
        request.set_timeout(Duration::from_secs(60));
        Ok(client.reload_model(request).await?.into_inner())
    }

    async fn status(&self) -> GetModelStatusResponse {
        let mut client = ModelServiceClient::new(channel(self.at.admin).await);
        let request = GetModelStatusRequest::default();
        client.get_model_status(request).await.unwrap().into_inner()
    }

    /// The version that answers.
    async fn answering(&self) -> u64 {
        let mut client = RecommendationServiceClient::new(channel(self.at.data).await);
        let request = RecommendRequest {
            user_id: "u0001".to_owned(),
            ..RecommendRequest::default()
        };
        client
            .recommend(request)
            .await
            .unwrap()
            .into_inner()
            .version
    }

    async fn restarts(&self, task: &str) -> f64 {
        let (_, page) = http_get(self.at.http, "/metrics").await;
        let restarts =
            Scrape::parse(&page).value("hotshelf_task_restarts_total", &[("task", task)]);
        restarts.unwrap()
    }

    /// The task was restarted once, and `/livez` and status say so.
    async fn until_restarted(&self, task: &str) {
        until("the restart", async || {
            (self.restarts(task).await >= 1.0).then_some(())
        })
        .await;
        assert_eq!(self.restarts(task).await, 1.0);
        let said = format!("task {task}");
        let (code, page) = http_get(self.at.http, "/livez").await;
        assert!(code == 200 && page.contains(&said), "{code} {page}");
        let degraded = self.status().await.degraded;
        assert!(
            degraded.contains(&said) && degraded.contains("trapped at"),
            "{degraded}"
        );
    }

    async fn until_live(&self, version: u64) {
        until("the version is live", async || {
            let live = self.status().await.live;
            live.is_some_and(|live| live.arms[0].version == version)
                .then_some(())
        })
        .await;
    }

    async fn stop(self) {
        drop(self.stop);
        self.served.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn every_long_lived_task_is_supervised() {
    let shop = Shop::new();
    let server = Trapped::start(&shop, ("nothing", 0), &[]).await;
    let (_, page) = http_get(server.at.http, "/metrics").await;
    let page = Scrape::parse(&page);
    let series = page.matching("hotshelf_task_restarts_total", &[]);
    let tasks: BTreeSet<String> = series.map(|(labels, _)| labels["task"].clone()).collect();
    let expected = [
        "accept_admin",
        "accept_data",
        "driver",
        "guardrails",
        "heartbeat",
        "http",
        "readiness",
        "watch",
        "write_probe",
    ];
    assert_eq!(tasks, expected.map(str::to_owned).into());
    server.stop().await;
}

#[tokio::test]
async fn driver_that_panics_keeps_what_is_live_answers_its_callers_and_follows_the_next_rollout() {
    let shop = Shop::with_two_versions().await;
    let server = Trapped::start(&shop, ("rollout is live", 0), &[]).await;
    server.reload(1).await.unwrap();
    server.arm();
    // The rollout was written; the driver panics when it makes it live.
    let refused = server.reload(2).await.unwrap_err();
    assert!(refused.message().contains("was restarted"), "{refused:?}");
    server.until_restarted("driver").await;
    server.until_live(2).await;
    assert_eq!(server.answering().await, 2);
    assert!(server.reload(1).await.unwrap().changed);
    assert_eq!(server.answering().await, 1);
    server.stop().await;
}

#[tokio::test]
async fn driver_that_panics_again_and_again_takes_nothing_away() {
    let shop = Shop::with_two_versions().await;
    let server = Trapped::start(&shop, ("rollout is live", 0), &[]).await;
    server.reload(1).await.unwrap();
    server.armed.store(3, Ordering::SeqCst);
    shop.propose(2).await;
    until("three restarts", async || {
        let answering = server.answering().await;
        let restarts = server.restarts("driver").await;
        assert!(
            answering == 1 || restarts >= 3.0,
            "{answering} after {restarts}"
        );
        (restarts >= 3.0).then_some(())
    })
    .await;
    server.until_live(2).await;
    assert_eq!(server.answering().await, 2);
    server.stop().await;
}

#[tokio::test]
async fn watch_that_panics_is_restarted_and_follows() {
    let shop = Shop::with_two_versions().await;
    let server = Trapped::start(&shop, ("rollout record skipped", 0), &[]).await;
    server.reload(1).await.unwrap();
    server.arm();
    let junk = shop.root().join(MODEL).join("rollouts/000002.json");
    std::fs::write(junk, "junk").unwrap();
    server.until_restarted("watch").await;
    shop.propose(2).await;
    server.until_live(2).await;
    assert_eq!(server.answering().await, 2);
    server.stop().await;
}

#[tokio::test]
async fn watch_that_panics_while_it_writes_answers_who_waits() {
    let shop = Shop::with_two_versions().await;
    // It looks when a caller waits, and not before.
    let settings = [("watch_interval_ms", "3600000")];
    let server = Trapped::start(&shop, ("rollout record skipped", 0), &settings).await;
    server.reload(1).await.unwrap();
    server.arm();
    let junk = shop.root().join(MODEL).join("rollouts/000002.json");
    std::fs::write(junk, "junk").unwrap();
    // A watch that panics before it writes is back in time to do so.
    let answered = server.reload(2).await;
    if let Err(refused) = answered {
        assert!(refused.message().contains("was restarted"), "{refused:?}");
    }
    server.until_restarted("watch").await;
    server.reload(2).await.unwrap();
    assert_eq!(server.answering().await, 2);
    server.stop().await;
}

#[tokio::test]
async fn probe_of_write_access_that_panics_is_restarted_and_verifies() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    let message = "registry write access verified";
    let server = Trapped::start(&shop, (message, 1), &[]).await;
    server.until_restarted("write_probe").await;
    until("write access", async || {
        (server.status().await.registry_writing == "proven").then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn readiness_that_panics_is_restarted_and_reported() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    let server = Trapped::start(&shop, ("ready", 1), &[]).await;
    server.reload(1).await.unwrap();
    server.until_restarted("readiness").await;
    until("ready", async || {
        (http_get(server.at.http, "/readyz").await.0 == 200).then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn heartbeat_that_panics_is_restarted_and_reports() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    // A file where the folder of heartbeats belongs.
    let replicas = shop.root().join(MODEL).join("replicas");
    std::fs::write(&replicas, "").unwrap();
    let server = Trapped::start(&shop, ("heartbeat failed", 1), &[]).await;
    server.until_restarted("heartbeat").await;
    std::fs::remove_file(&replicas).unwrap();
    // A write that was refused is tried again after 30 to 90 s.
    until_within(2 * PATIENCE, "a heartbeat", async || {
        let files = std::fs::read_dir(&replicas);
        files
            .is_ok_and(|mut files| files.next().is_some())
            .then_some(())
    })
    .await;
    server.stop().await;
}
