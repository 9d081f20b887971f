//! Sequences of faults, by seed: three servers' managers and watches over one registry, whose store is down,
//! slow, stalled, empty or read-only for one and not for the others, loses answers of writes that it made,
//! and holds junk; versions that are damaged and refetched; crashes between any two calls of the store; racing
//! callers; clocks that jump by hours.
//!
//! Real: the manager, the watch, the registry with its retries and its proof of create-only. Stood in for:
//! loads (a manifest from the store, then luck), the disk, and memory; time is paused and passed by dice.
//!
//! After every step: each replica answers by one version that is in memory; what is live stays live;
//! shares never fall within a record; the store's records only grow, each over the one before it; a caller
//! who was told of a record finds it there, saying what he asked for, and nobody loses to himself; every
//! ticket is answered once; few versions are in memory. When the faults stop all replicas serve the newest
//! record within a bound, with the same share, and every caller has his answer.
//!
//! Broken on purpose, one at a time, and found out by a run (the law in brackets): a record activated before
//! all its arms are loaded (in memory); an arm retired that the new record keeps (in memory); a share that
//! follows the clock down (shares); the newest rollout not compared with the one decided over (expected);
//! creates that overwrite (the proof of create-only); an empty registry taken for an order to unload (stays
//! live); a replica that does not know its own record again (nobody loses to himself); a caller answered and
//! kept waiting (once); what failed while nobody wanted it never tried again (agreement); a log opened
//! without what the store has just shown (agreement); nothing that makes way (agreement); a record without
//! parent (fork); a failed load taken for a version (in memory); two loads at a time; candidate and base
//! changed over (what he asked for); no retries (agreement); a running replica that walks back (newest).

mod replica;
mod store;
mod world;

use crate::metrics::Metrics;
use futures::StreamExt;
use hotshelf_registry::{
    Clock, Limits, Lineage, ModelName, NewPart, NewVersion, Options, Registry, RolloutDraft,
    Version,
};
use jiff::Timestamp;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use replica::Ground;
use std::sync::{Arc, Mutex};
use store::{Sky, SkyStore};
use tokio::time::Instant;
use world::World;

/// Sequences of one run.
const SEQUENCES: u64 = 10_000;
/// Threads that share them.
const THREADS: u64 = 2;

/// What a world begins with: published versions, and the first of them for everybody.
async fn published() -> Vec<(Path, bytes::Bytes)> {
    let objects = Arc::new(InMemory::new());
    let options = Options {
        limits: Limits {
            race_rounds: 1,
            ..Limits::default()
        },
        seed: Some([7; 32]),
        clock: Clock::from_fn(|| Timestamp::from_second(1_790_000_000).unwrap()),
    };
    let registry = Registry::with_store(Arc::clone(&objects) as Arc<dyn ObjectStore>, "r".into());
    let registry = registry.with_options(options);
    for _ in 0..world::VERSIONS {
        let part = NewPart::required("part.json".parse().unwrap(), "{}".into());
        let new = NewVersion {
            parts: vec![part],
            card: serde_json::Value::Null,
            lineage: Lineage::default(),
            author: "simulation".to_owned(),
        };
        registry.publish(&model(), new).await.unwrap();
    }
    let log = registry.rollouts(&model()).await.unwrap();
    let draft = RolloutDraft::all_to(Version::FIRST, "simulation", "the first");
    registry.propose(&log, draft).await.unwrap();
    let listed: Vec<_> = objects.list(None).collect().await;
    let mut found = Vec::new();
    for meta in listed {
        let path = meta.unwrap().location;
        let bytes = objects.get(&path).await.unwrap().bytes().await.unwrap();
        found.push((path, bytes));
    }
    found
}

fn model() -> ModelName {
    "home".parse().unwrap()
}

/// Runs one sequence; the error has what was done, step by step, if `is_told`.
async fn sequence(
    (seed, is_told): (u64, bool),
    metrics: &Arc<Metrics>,
    published: &[(Path, bytes::Bytes)],
) -> Result<usize, String> {
    let objects = Arc::new(InMemory::new());
    for (path, bytes) in published {
        objects
            .put(path, PutPayload::from(bytes.clone()))
            .await
            .unwrap();
    }
    let sky = Sky::new(ChaCha8Rng::seed_from_u64(seed));
    let ground = Ground {
        model: model(),
        store: SkyStore { objects, sky },
        metrics: Arc::clone(metrics),
        corrupt: Arc::new(Mutex::default()),
        began: Instant::now(),
    };
    let mut world = World::new(ground, seed, is_told);
    let outcome = world.run().await;
    let count = world.history.len();
    outcome
        .map(|()| count)
        .map_err(|why| format!("{}\n{why}", world.journal()))
}

fn run(seeds: impl Iterator<Item = u64>) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    let mut records = 0;
    // Polled by hand, so that nothing of it ever waits for the runtime to let others go first.
    runtime.block_on(tokio::task::unconstrained(async {
        let published = published().await;
        for seed in seeds {
            match sequence((seed, false), &metrics, &published).await {
                Ok(count) => records += count,
                Err(_) => {
                    let again = sequence((seed, true), &metrics, &published).await;
                    panic!("seed {seed}: {}", again.unwrap_err());
                }
            }
        }
    }));
    records
}

#[test]
fn no_sequence_of_faults_breaks_a_law_and_all_agree_when_they_stop() {
    let workers: Vec<_> = (0..THREADS)
        .map(|first| {
            let seeds = (first..SEQUENCES).step_by(THREADS as usize);
            let thread = std::thread::Builder::new().name(format!("sequences-{first}"));
            thread.spawn(move || run(seeds)).unwrap()
        })
        .collect();
    let records: usize = workers
        .into_iter()
        .map(|worker| worker.join().unwrap())
        .sum();
    // Most sequences change something, or they would prove nothing. (A reload is refused, and makes no record,
    // until the registry was read once.)
    assert!(records as u64 > SEQUENCES * 3 / 2, "{records} records");
}
