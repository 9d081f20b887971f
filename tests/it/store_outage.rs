//! The registry in a bucket of a real S3 server, which is killed and started again in the middle of
//! publishing, fetching and reloading; and a read-only store. Callers of
//! Recommend notice none of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use hotshelf_model::{Model, UserRow};
use tempfile::TempDir;
use tonic::Code;

use crate::harness::{MODEL, Season, Server, Shop, Traffic, error_reason, hotshelf_in, until};
use crate::tools::s3_server::{Kind, S3Server};
use crate::tools::{self, Tool};

pub(crate) mod proxy;

use proxy::{Point, Proxy};

/// Answers that have to come while the store is down.
const ANSWERS_MEANWHILE: usize = 50;
/// Requests per second: enough to notice, few enough for a busy machine.
const RATE: u32 = 200;

/// An S3 server, a proxy before it, and a shop on either side.
pub(crate) struct Store {
    s3: S3Server,
    pub(crate) proxy: Proxy,
    /// Through the proxy.
    pub(crate) shop: Shop,
    /// Past it.
    pub(crate) direct: Shop,
    folder: Arc<TempDir>,
}

impl Store {
    /// An empty bucket; None, and a line about it, where there is no server for it.
    pub(crate) async fn new() -> Option<Self> {
        let program = tools::find(Tool::Versitygw)?;
        let folder = Shop::bucket_folder();
        let s3 = S3Server::own(Kind::Versitygw, program, folder.path()).await;
        let proxy = Proxy::before(s3.address()).await;
        let shop = Shop::in_bucket(&folder, &proxy.endpoint());
        let direct = Shop::in_bucket(&folder, &s3.endpoint());
        Some(Self {
            s3,
            proxy,
            shop,
            direct,
            folder,
        })
    }

    /// Kills the server as soon as the next such request is at this point, looks `meanwhile`, and
    /// starts it again.
    async fn kill_at(
        &mut self,
        (method, part, point): (&'static str, &str, Point),
        meanwhile: impl AsyncFnOnce(),
    ) {
        self.proxy.hold(method, part, point);
        self.proxy.reached().await;
        self.s3.kill();
        self.proxy.cut();
        meanwhile().await;
        self.s3.start().await;
    }
}

/// The server says that its store is down.
async fn outage_is_noticed(server: &Server) {
    until("the server's word on its store", async || {
        let error = server.status().await.registry_error;
        (!error.is_empty()).then_some(())
    })
    .await;
}

/// It has given up what it was loading.
async fn a_load_fails(server: &Server) {
    until("a load that fails", async || {
        let failed = [("outcome", "failed"), ("reason", "unavailable")];
        let loads = server.scrape().await.sum("hotshelf_loads_total", &failed);
        (loads > 0.0).then_some(())
    })
    .await;
}

/// Answers go on coming.
async fn answers_come(traffic: &Traffic, version: u64) {
    let before = traffic.answers_of(version);
    until("answers while the store is down", async || {
        (traffic.answers_of(version) >= before + ANSWERS_MEANWHILE).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publish_interrupted_by_a_killed_store_succeeds_or_can_be_repeated() {
    let Some(mut store) = Store::new().await else {
        return;
    };
    let first = store.shop.publish(Season::Spring).await;
    let mut numbers = vec![first.version];
    let points = [
        ("PUT", "/parts/", Point::HalfSent),
        ("PUT", "/parts/", Point::Done),
        ("PUT", "/versions/", Point::HalfSent),
        ("PUT", "/versions/", Point::Done),
    ];
    // Back while the publisher still tries, or only after it has given up.
    let outages = points.map(|point| [(point, false), (point, true)]);
    for (point, is_long) in outages.into_iter().flatten() {
        let (shop, parts, card) = (
            Shop::in_bucket(&store.folder, &store.proxy.endpoint()),
            first.parts.clone(),
            first.card.clone(),
        );
        let publish = async move { shop.try_publish_parts(&parts, &card).await };
        let mut publishing = tokio::spawn(publish);
        let mut given_up = None;
        let meanwhile = async || {
            if is_long {
                given_up = Some((&mut publishing).await);
            }
        };
        store.kill_at(point, meanwhile).await;
        let ended = match given_up {
            Some(given_up) => given_up,
            None => publishing.await,
        };
        let number = match ended.unwrap() {
            Ok(number) => {
                assert!(!is_long, "{point:?}: published without a store");
                number
            }
            Err(error) => {
                assert!(error.is_retryable(), "{point:?}: {error}");
                store.shop.publish_parts(&first.parts, &first.card).await
            }
        };
        // A manifest whose create was done and never answered is a version of its own.
        let is_twice = number == numbers.len() as u64 + 2;
        if is_twice {
            assert_eq!(point, ("PUT", "/versions/", Point::Done));
            numbers.push(number - 1);
        }
        numbers.push(number);
        assert_eq!(store.direct.versions().await, numbers, "{point:?}");
    }
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    for number in numbers {
        store.shop.load(number).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_killed_during_fetch_and_reload_fails_no_request() {
    let Some(mut store) = Store::new().await else {
        return;
    };
    let spring = store.shop.publish(Season::Spring).await.model;
    let autumn = store.shop.publish(Season::Autumn).await.model;
    reload_through_outages(&mut store, [&spring, &autumn]).await;
}

/// Version 1 is live; 2 is fetched while the store dies; both are recorded again while it dies.
#[allow(clippy::print_stdout, reason = "figures, shown with --nocapture")]
async fn reload_through_outages(store: &mut Store, [one, other]: [&Model; 2]) {
    let ids = (0..one.users().len() as u32).map(|row| one.users().id(UserRow(row)));
    let users: Vec<String> = ids
        .filter(|id| other.users().find(id).is_some())
        .map(str::to_owned)
        .collect();
    // Loads are tried again soon.
    let server = Server::serving(&store.shop, 1, &[("retry-first-ms", "100")]).await;
    let traffic = Traffic::start(server.data, users, RATE);
    let fetch = ("GET", "als.safetensors", Point::HalfAnswered);
    let half = ("PUT", "/rollouts/", Point::HalfSent);
    let done = ("PUT", "/rollouts/", Point::Done);
    // The store is back before anybody has given up, or only after the server says that it is gone.
    let outages = [
        (fetch, true, 1, 2),
        (half, false, 2, 1),
        (done, false, 1, 2),
        (half, true, 2, 1),
        (done, true, 1, 2),
    ];
    for (point, is_long, from, to) in outages {
        let meanwhile = async || {
            if point == fetch {
                a_load_fails(&server).await;
            }
            if is_long {
                outage_is_noticed(&server).await;
            }
            answers_come(&traffic, from).await;
        };
        let cut = store.kill_at(point, meanwhile);
        let (reloaded, ()) = tokio::join!(server.reload(to), cut);
        if let Err(refused) = reloaded {
            let codes = [Code::Unavailable, Code::FailedPrecondition, Code::Aborted];
            assert!(codes.contains(&refused.code()), "{point:?}: {refused:?}");
            until("a reload after the outage", async || {
                server.reload(to).await.ok()
            })
            .await;
        }
        server.until_live(to).await;
        answers_come(&traffic, to).await;
    }
    let seen = traffic.finish();
    println!("{} requests in {:?}", seen.requests(), seen.lasted);
    seen.assert_all_answered();
    seen.assert_computed_by(&BTreeMap::from([(1, one), (2, other)]));
    let decisions = 1 + outages.len();
    assert_eq!(
        store.direct.rollouts().len(),
        decisions,
        "each decision once"
    );
    server.stop().await;
}

/// As a proxy or a cache on the way hands it out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrupt_response_of_the_store_is_refetched_and_reported() {
    let Some(store) = Store::new().await else {
        return;
    };
    store.direct.publish_two().await;
    let server = Server::serving(&store.shop, 1, &[]).await;
    let traffic = Traffic::start(server.data, Shop::users(), RATE);
    store.proxy.spoil("als.safetensors");
    let done = server.reload(2).await.unwrap();
    assert!(done.changed, "{done:?}");
    answers_come(&traffic, 2).await;
    traffic.finish().assert_all_answered();
    let status = server.status().await;
    let version = status.versions.iter().find(|entry| entry.version == 2);
    let mended = &version.unwrap().mended;
    let begins = "damaged in transit and refetched: part als.safetensors of ";
    assert!(mended.starts_with(begins), "{mended}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_verifies_conditional_writes_once_the_store_is_reachable() {
    let Some(store) = Store::new().await else {
        return;
    };
    let spring = store.shop.publish(Season::Spring).await.version;
    store.s3.kill();
    let server = Server::start(&store.shop, &[]).await;
    // By then the first attempt at a proof is over, too.
    until("several looks in vain", async || {
        let errors = server.scrape().await;
        let errors = errors.value("hotshelf_registry_errors_total", &[("model", MODEL)]);
        (errors >= Some(4.0)).then_some(())
    })
    .await;
    assert_eq!(server.status().await.registry_writing, "unproven");
    assert_ne!(writable(&server).await, Some(1.0));
    store.s3.start().await;
    until("the proof", async || {
        (server.status().await.registry_writing == "proven").then_some(())
    })
    .await;
    assert_eq!(writable(&server).await, Some(1.0));
    until("a reload", async || server.reload(spring).await.ok()).await;
    server.stop().await;
}

async fn writable(server: &Server) -> Option<f64> {
    server
        .scrape()
        .await
        .value("hotshelf_registry_writable", &[])
}

/// The commands that look at a registry themselves are told the way by flags and variables alike.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bucket_is_listed_shown_and_verified_from_the_command_line() {
    let Some(store) = Store::new().await else {
        return;
    };
    let published = store.shop.publish(Season::Spring).await;
    let variables = store.shop.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let (url, endpoint) = (store.shop.url(), store.s3.endpoint());
    let place = ["--registry", &url, "--model", MODEL, "--json"];
    let run = |variables: &[(&str, &str)], args: &[&str]| {
        hotshelf_in(store.folder.path(), variables, &[args, &place].concat())
    };
    let listed = run(&variables, &["models", "list"]).json();
    assert_eq!(listed[0]["version"], published.version);
    assert_eq!(run(&variables, &["models", "show"]).json()["model"], MODEL);
    assert_eq!(
        run(&variables, &["models", "verify"]).json()["is_good"],
        true
    );
    // The flag goes over the variable, which leads nowhere.
    let nowhere = [
        &variables[1..],
        &[("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")],
    ]
    .concat();
    let said = run(&nowhere, &["models", "list"]);
    assert!(said.refusal(1).contains("the store failed"), "{said:?}");
    let listed = run(&nowhere, &["models", "list", "--s3-endpoint", &endpoint]).json();
    assert_eq!(listed[0]["version"], published.version);
    let said = run(&[], &["models", "list", "--s3-endpoint", &endpoint]);
    assert!(said.refusal(2).contains("AWS_ACCESS_KEY_ID"), "{said:?}");
}

/// Read-only credentials, or a store where every conditional write wins: each is reported, and reads continue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_without_conditional_writes_refuses_reloads_and_is_followed() {
    let refused = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let taken = "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for (answer, said) in [
        (refused, "the registry is read-only here"),
        (taken, "does not honour conditional writes"),
    ] {
        let Some(store) = Store::new().await else {
            return;
        };
        let spring = store.direct.publish(Season::Spring).await;
        let autumn = store.direct.publish(Season::Autumn).await;
        store.proxy.answer_writes(answer);
        let server = Server::start(&store.shop, &[]).await;
        until("the verdict", async || {
            let writing = server.status().await.registry_writing;
            (writing.starts_with("refused: ") && writing.contains(said)).then_some(())
        })
        .await;
        assert_eq!(writable(&server).await, Some(0.0));
        store.direct.propose(spring.version).await;
        server.until_live(spring.version).await;
        let traffic = Traffic::start(server.data, Shop::users(), RATE);
        let refusal = server.reload(autumn.version).await.unwrap_err();
        assert_eq!(refusal.code(), Code::FailedPrecondition, "{refusal:?}");
        assert_eq!(error_reason(&refusal), "STORE_READ_ONLY");
        assert!(refusal.message().contains(said), "{refusal:?}");
        store.direct.propose(autumn.version).await;
        server.until_live(autumn.version).await;
        traffic.finish().assert_all_answered();
        server.stop().await;
    }
}

/// The walk of a data scientist: a real shop is trained, published, served, swapped; the store dies
/// in the middle of each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_shop_is_trained_published_and_swapped_over_a_killed_store() {
    let (Some(trainer), Some(mut store)) = (tools::trainer(), Store::new().await) else {
        return;
    };
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/online_retail");
    let place = store.folder.path().to_owned();
    std::fs::copy(example.join("shop.toml"), place.join("shop.toml")).unwrap();
    // The whole table where it lies beside the checkout, and its slice elsewhere.
    let whole = tools::public_shop("online_retail.csv.gz");
    let table = whole.unwrap_or_else(|| example.join("online_retail_slice.csv.gz"));
    let table = table.canonicalize().unwrap();
    std::os::unix::fs::symlink(table, place.join("online_retail_slice.csv.gz")).unwrap();

    let run = |args: &[&str]| {
        let mut command = Command::new(&trainer);
        command.current_dir(&place).envs(store.shop.variables());
        command.args(args).args(["--model", MODEL]);
        command
    };
    let url = store.shop.url();
    let train = [
        "train",
        "shop.toml",
        "--trials",
        "1",
        "--json",
        "--samples",
        "0",
    ];
    let published = run(&[
        &train[..],
        &[
            "--until",
            "2011-10-01",
            "--cut",
            "2011-09-01",
            "--publish",
            &url,
        ],
    ]
    .concat());
    done(published).await;
    let trained = run(&[&train[..], &["--out", "packed", "--publish", &url]].concat());
    let again = run(&["publish", "packed", "--registry", &url]);
    let training = tokio::spawn(ended(trained));
    let point = ("PUT", "als.safetensors", Point::HalfSent);
    store.kill_at(point, async || {}).await;
    let trained = training.await.unwrap();
    if !trained.status.success() {
        let said = String::from_utf8_lossy(&trained.stderr);
        assert!(said.contains("the store failed"), "{said}");
        done(again).await;
    }
    assert_eq!(store.direct.versions().await, [1, 2]);
    let (one, other) = (store.direct.load(1).await, store.direct.load(2).await);
    reload_through_outages(&mut store, [&one, &other]).await;
}

/// Off the test's runtime, where the proxy runs.
async fn ended(command: Command) -> Output {
    tokio::process::Command::from(command)
        .output()
        .await
        .unwrap()
}

async fn done(command: Command) {
    let output = ended(command).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
