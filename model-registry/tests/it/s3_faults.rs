//! An S3 store that goes wrong, over HTTP: what the caller sees, how often the store was asked, and
//! that nothing wrong is ever taken.

use crate::backends::{Fresh, s3_options};
use crate::faulty_s3::{Call, Fault, FaultyS3, Op};
use crate::shop::{assert_parts_of, load, load_mending, model, new_version, options, version};
use bytes::Bytes;
use hotshelf_registry::{CacheDir, Error, Manifest, Options, Proposed, Registry, RolloutDraft};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const TRIES: usize = 4;

/// A server with one version in it, and a registry that makes four tries.
struct Published {
    server: FaultyS3,
    registry: Registry,
    manifest: Manifest,
    cache: CacheDir,
    _folder: tempfile::TempDir,
}

impl Published {
    async fn new() -> Self {
        let server = FaultyS3::start().await;
        let registry = Fresh::in_bucket(&server.endpoint(), "faulty").registry;
        let manifest = registry
            .publish(&model(), new_version("ann"))
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let cache = CacheDir::open(folder.path()).unwrap();
        Self {
            server,
            registry,
            manifest,
            cache,
            _folder: folder,
        }
    }

    /// The same with these times for a call and for a range.
    fn hurried(&self, time: Duration) -> Registry {
        let mut hurried: Options = options(30);
        hurried.limits.retry.call_timeout = time;
        hurried.limits.fetch.range_timeout = time;
        self.registry.clone().with_options(hurried)
    }

    async fn assert_loads(&self) {
        let parts = load(&self.registry, &self.manifest, &self.cache).await;
        assert_parts_of("ann", &parts.unwrap());
    }

    /// As a server does it, with this many tries.
    async fn load_mending(&self, tries: usize) -> Result<BTreeMap<String, Bytes>, Error> {
        let tries = options(u32::try_from(tries).unwrap());
        let registry = self.registry.clone().with_options(tries);
        load_mending(&registry, &self.manifest, &self.cache).await
    }

    /// The first body of the third range is wrong: all of its part is asked for twice.
    async fn assert_one_wrong_body_is_mended(&self) {
        self.server.plan(at_first(1, Fault::Flip, is_third_range));
        let parts = self.load_mending(TRIES).await;
        assert_parts_of("ann", &parts.unwrap());
        assert_eq!(self.asked_ranges(), [2; 10]);
    }

    /// Of the version, in the cache.
    fn folder(&self) -> PathBuf {
        let model = self.cache.path().join(model().as_str());
        model.join(self.manifest.upload.to_string())
    }

    /// Names of everything in it.
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// How often each range of the long part was asked for, in the order of the ranges.
    fn asked_ranges(&self) -> Vec<usize> {
        let calls = self.server.calls();
        let of = |start: usize| {
            let range = format!("bytes={start}-");
            let is_it =
                |call: &&Call| call.name == "als.safetensors" && call.range.starts_with(&range);
            calls.iter().filter(is_it).count()
        };
        (0..10).map(|at| of(at * 1_024)).collect()
    }
}

/// Goes wrong this way the first `times` times that `is_it`.
fn at_first(
    times: usize,
    fault: Fault,
    is_it: impl Fn(&Call) -> bool + Send + Sync + 'static,
) -> impl Fn(&[Call], &Call) -> Fault + Send + Sync + 'static {
    move |calls, call| {
        let before = calls.iter().filter(|call| is_it(call)).count();
        if is_it(call) && before < times {
            fault
        } else {
            Fault::None
        }
    }
}

fn is_get(call: &Call) -> bool {
    call.op == Op::Get
}

fn is_third_range(call: &Call) -> bool {
    call.range.starts_with("bytes=2048-")
}

#[tokio::test]
async fn failing_server_is_retried_up_to_the_limit() {
    let published = Published::new().await;
    let (server, registry) = (&published.server, &published.registry);
    for status in [500, 502, 503, 429] {
        server.plan(at_first(TRIES - 1, Fault::Status(status), is_get));
        let read = registry.manifest(&model(), version(1)).await.unwrap();
        assert_eq!(read, published.manifest);
        assert_eq!(server.count(Op::Get), TRIES, "{status}");

        server.plan(move |_, _| Fault::Status(status));
        let error = registry.manifest(&model(), version(1)).await.unwrap_err();
        assert_eq!(error.kind(), "unavailable", "{error}");
        assert!(error.is_retryable());
        assert_eq!(server.count(Op::Get), TRIES, "{status}");
    }
}

#[tokio::test]
async fn server_that_is_gone_is_unavailable() {
    let published = Published::new().await;
    let registry = published.registry.clone();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let gone = Registry::open("s3://faulty/x", &s3_options(&endpoint)).unwrap();
    assert_nothing_is_said_of(&gone.with_options(options(2)), &published).await;
    assert!(registry.newest(&model()).await.unwrap().is_some());
}

#[tokio::test]
async fn bucket_that_is_not_there_is_no_empty_registry() {
    let Some(fresh) = Fresh::versitygw().await else {
        return;
    };
    let endpoint = fresh.endpoint().to_owned();
    let registry = Registry::open("s3://not-there/x", &s3_options(&endpoint)).unwrap();
    let elsewhere = Published::new().await;
    assert_nothing_is_said_of(&registry.with_options(options(2)), &elsewhere).await;
}

/// A store that does not answer for itself holds neither something nor nothing.
async fn assert_nothing_is_said_of(registry: &Registry, published: &Published) {
    let fetched = registry.fetch(&published.manifest, &published.cache).await;
    for error in [
        fetched.unwrap_err(),
        registry.models().await.unwrap_err(),
        registry.versions(&model()).await.unwrap_err(),
        registry.newest(&model()).await.unwrap_err(),
        registry.manifest(&model(), version(1)).await.unwrap_err(),
        registry.rollouts(&model()).await.unwrap_err(),
        registry
            .publish(&model(), new_version("ann"))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), "unavailable", "{error}");
    }
}

#[tokio::test]
async fn denied_read_fails_without_retries() {
    let published = Published::new().await;
    let (server, registry) = (&published.server, &published.registry);
    server.plan(|_, _| Fault::Status(403));
    let error = registry.manifest(&model(), version(1)).await.unwrap_err();
    assert_eq!(error.kind(), "unavailable", "credentials can be renewed");
    assert_eq!(
        server.count(Op::Get),
        1,
        "the same call has the same answer"
    );
}

#[tokio::test]
async fn denied_write_makes_the_registry_read_only() {
    let published = Published::new().await;
    let server = &published.server;
    // Another handle: this one has proved already that it may.
    let registry = published.registry.clone().with_options(options(4));
    server.plan(|_, call| match call.op {
        Op::Put | Op::Create | Op::Delete | Op::UploadBegin => Fault::Status(403),
        _ => Fault::None,
    });
    let refused = registry
        .publish(&model(), new_version("bob"))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), "read_only", "{refused}");
    assert!(!refused.is_retryable());
    assert_eq!((server.count(Op::Put), server.count(Op::Create)), (0, 1));
    published.assert_loads().await;
}

#[tokio::test]
async fn slow_body_is_waited_for() {
    let published = Published::new().await;
    published.server.plan(|_, call| {
        if is_get(call) {
            Fault::Slow
        } else {
            Fault::None
        }
    });
    published.assert_loads().await;
    assert_eq!(published.asked_ranges(), [1; 10]);
}

#[tokio::test]
async fn only_the_stalled_range_is_retried() {
    for fault in [Fault::Stall, Fault::StallHalfway] {
        let published = Published::new().await;
        published.server.plan(at_first(1, fault, is_third_range));
        // Long beside what an answer takes here, so that nothing else comes too late.
        let hurried = published.hurried(Duration::from_secs(3));
        let parts = load(&hurried, &published.manifest, &published.cache).await;
        assert_parts_of("ann", &parts.unwrap());
        let asked = published.asked_ranges();
        assert!(asked[2] >= 2, "{fault:?}: {asked:?}");
        assert_eq!(
            asked.iter().sum::<usize>() - asked[2],
            9,
            "{fault:?}: {asked:?}"
        );
    }
}

#[tokio::test]
async fn server_that_never_answers_ends_the_fetch_within_its_tries() {
    let published = Published::new().await;
    published.server.plan(|_, call| {
        if is_third_range(call) {
            Fault::Stall
        } else {
            Fault::None
        }
    });
    let mut hurried = options(2);
    hurried.limits.fetch.range_timeout = Duration::from_millis(200);
    let registry = published.registry.clone().with_options(hurried);
    let failed = registry.fetch(&published.manifest, &published.cache).await;
    assert_eq!(failed.unwrap_err().kind(), "unavailable");
    assert_eq!(published.asked_ranges()[2], 2);
}

#[tokio::test]
async fn truncated_body_is_retried_and_never_accepted() {
    let published = Published::new().await;
    published
        .server
        .plan(at_first(TRIES - 1, Fault::Truncate, is_third_range));
    published.assert_loads().await;
    let mut expected = [1; 10];
    expected[2] = TRIES;
    assert_eq!(published.asked_ranges(), expected);

    let published = Published::new().await;
    published.server.plan(|_, call| {
        if is_get(call) {
            Fault::Truncate
        } else {
            Fault::None
        }
    });
    let read = published.registry.manifest(&model(), version(1)).await;
    assert_eq!(read.unwrap_err().kind(), "unavailable");
    let fetched = published
        .registry
        .fetch(&published.manifest, &published.cache)
        .await;
    assert_eq!(fetched.unwrap_err().kind(), "unavailable");
}

/// A proxy that hands out one bad body: the part is fetched anew, all of it, and no other is.
#[tokio::test]
async fn wrong_bytes_are_refetched_within_the_load_and_discarded() {
    let published = Published::new().await;
    published.assert_one_wrong_body_is_mended().await;
    let calls = published.server.calls();
    let others = calls.iter().filter(|call| call.name == "users.arrow");
    assert_eq!(others.count(), 1, "what was right is kept");
    let names = ["als.safetensors", "notes.json", "users.arrow"];
    assert_eq!(published.files(), names);
}

#[tokio::test]
async fn bytes_that_stay_wrong_are_corrupt_and_fetched_anew_next_time() {
    // As often as tries allow, and twice at most.
    for (tries, times) in [(TRIES, 2), (1, 1)] {
        let published = Published::new().await;
        published.server.plan(|_, call| {
            if is_third_range(call) || call.name == "users.arrow" {
                Fault::Flip
            } else {
                Fault::None
            }
        });
        let error = published.load_mending(tries).await.unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        assert!(!error.is_retryable(), "it is the store's own by now");
        assert!(error.to_string().contains("als.safetensors"), "{error}");
        assert_eq!(published.asked_ranges(), [times; 10]);
        let left = published.files();
        assert_eq!(left, ["notes.json"], "nothing of a wrong copy was kept");
        published.server.heal();
        published.assert_loads().await;
        assert_eq!(published.asked_ranges(), [1; 10]);
    }
}

/// A damaged file of the cache does not use up the second try of what is fetched in its place.
#[tokio::test]
async fn damaged_cache_and_one_wrong_body_after_it_cost_no_load() {
    let published = Published::new().await;
    published.assert_loads().await;
    let file = published.folder().join("als.safetensors");
    std::fs::write(&file, vec![0; 10_000]).unwrap();
    published.assert_one_wrong_body_is_mended().await;
}

/// Parts are never overwritten; where somebody does it all the same, the digest tells.
#[tokio::test]
async fn part_overwritten_during_its_fetch_is_never_accepted() {
    for size in [10_000, 9_999] {
        let fresh = Fresh::s3s().await.unwrap();
        let published = fresh
            .registry
            .publish(&model(), new_version("ann"))
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let cache = CacheDir::open(folder.path()).unwrap();
        let mut slow = options(4);
        slow.limits.fetch.parallel_max = 1;
        let registry = fresh.registry.clone().with_options(slow);
        let part = format!("parts/{}/als.safetensors", published.upload);
        let server = fresh.server();
        let first_range_is_out = async {
            while !server
                .calls()
                .iter()
                .any(|call| call.range.starts_with("bytes=1024-"))
            {
                tokio::task::yield_now().await;
            }
            fresh.put(&part, &"x".repeat(size)).await;
        };
        server.plan(|_, call| {
            if is_third_range(call) {
                Fault::Slow
            } else {
                Fault::None
            }
        });
        let (loaded, ()) = tokio::join!(
            load_mending(&registry, &published, &cache),
            first_range_is_out
        );
        let error = loaded.unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{size}: {error}");
    }
}

#[tokio::test]
async fn applied_create_whose_answer_is_lost_is_one_success() {
    let published = Published::new().await;
    let (server, registry) = (&published.server, &published.registry);
    server.plan(at_first(1, Fault::LoseAnswer, |call| call.op == Op::Create));
    let second = registry
        .publish(&model(), new_version("bob"))
        .await
        .unwrap();
    assert_eq!(second.version, version(2));
    let creates = |server: &FaultyS3| server.count(Op::Create);
    assert_eq!(creates(server), 2, "the lost one, and the one that met it");
    assert_eq!(registry.versions(&model()).await.unwrap().len(), 2);

    server.plan(at_first(1, Fault::LoseAnswer, |call| call.op == Op::Create));
    let log = registry.rollouts(&model()).await.unwrap();
    let draft = RolloutDraft::all_to(version(2), "ann", "a test");
    let proposed = registry.propose(&log, draft).await.unwrap();
    assert!(matches!(proposed, Proposed::Created(_)), "{proposed:?}");
    assert_eq!(creates(server), 2);
    assert_eq!(registry.rollouts(&model()).await.unwrap().chain().len(), 1);
}

/// S3 says 409 while another conditional write is under way, which may still fail.
#[tokio::test]
async fn create_that_is_undecided_is_tried_again_and_costs_no_number() {
    let published = Published::new().await;
    let (server, registry) = (&published.server, &published.registry);
    server.plan(at_first(2, Fault::Status(409), |call| {
        call.op == Op::Create
    }));
    let second = registry
        .publish(&model(), new_version("bob"))
        .await
        .unwrap();
    assert_eq!(second.version, version(2));
    assert_eq!(server.count(Op::Create), 3);

    server.plan(|_, call| {
        if call.op == Op::Create {
            Fault::Status(409)
        } else {
            Fault::None
        }
    });
    let error = registry
        .publish(&model(), new_version("cid"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), "unavailable", "{error}");
    assert_eq!(server.count(Op::Create), TRIES);
    server.heal();
    let third = registry
        .publish(&model(), new_version("cid"))
        .await
        .unwrap();
    assert_eq!(third.version, version(3));
}

#[tokio::test]
async fn empty_listing_unloads_nothing_and_reuses_no_number() {
    let published = Published::new().await;
    let (server, registry) = (&published.server, &published.registry);
    let mut log = registry.rollouts(&model()).await.unwrap();
    let draft = RolloutDraft::all_to(version(1), "ann", "a test");
    registry.propose(&log, draft).await.unwrap();
    log.poll().await.unwrap();
    server.plan(|_, call| {
        if call.op == Op::List {
            Fault::ListNothing
        } else {
            Fault::None
        }
    });
    assert_eq!(log.poll().await.unwrap(), []);
    assert!(log.head().is_some(), "what is known stays");
    let opened = registry.rollouts(&model()).await.unwrap();
    assert_eq!(opened.chain(), log.chain(), "found without the listing");
    assert_eq!(registry.newest(&model()).await.unwrap(), Some(version(1)));
    let second = registry
        .publish(&model(), new_version("bob"))
        .await
        .unwrap();
    assert_eq!(second.version, version(2));
}
