//! The whole story of a canary on three servers of one bucket: one command ramps all three, and while it
//! stands one is killed, one's cache is corrupted, one is cut off from the store. Each is seen from the
//! others, none harms a request, and what one is told all follow, the one that was cut off once it can.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use hotshelf_model::Model;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{
    BrokenCache, MODEL, Season, Server, Shop, Traffic, hotshelf, until, until_kept,
};
use crate::store_outage::Store;

/// Requests per second to each server.
const RATE: u32 = 60;
/// The share at which the ramp stands while things go wrong, in basis points.
const HELD_BP: u32 = 7_000;
/// Up to it in two seconds, and no further for an hour.
const STEPS: &str = "10%:1s,40%:1s,70%:3600s,100%";
/// What is told of a server's shares until then.
const SHARES_BP: [u32; 4] = [0, 1_000, 4_000, HELD_BP];

/// Told often; a server is lost after three seconds. They look for rollouts as seldom as servers do that
/// are told nothing, and what everybody had before stays in memory, as with those.
const SETTINGS: [(&str, &str); 6] = [
    ("watch-interval-ms", "2000"),
    ("replica-interval-ms", "300"),
    ("replica-lost-ms", "3000"),
    ("retry-first-ms", "100"),
    ("retry-max-ms", "500"),
    ("previous-version", "keep"),
];

/// Three servers of one bucket, of which the third goes through the proxy.
struct Fleet {
    store: Store,
    /// Outlive the servers, who may be started again.
    caches: BTreeMap<&'static str, TempDir>,
    models: BTreeMap<u64, Model>,
}

impl Fleet {
    /// A bucket with three versions; None, and a line about it, where there is no server for it.
    async fn new() -> Option<Self> {
        let store = Store::new().await?;
        let mut models = BTreeMap::new();
        for (season, factors) in [
            (Season::Spring, 8),
            (Season::Autumn, 8),
            (Season::Autumn, 16),
        ] {
            let published = store.direct.publish_sized(season, factors).await;
            models.insert(published.version, published.model);
        }
        let caches = ["one", "two", "three"].map(|name| (name, tempfile::tempdir().unwrap()));
        Some(Self {
            store,
            caches: caches.into(),
            models,
        })
    }

    async fn start(&self, replica: &'static str) -> Server {
        let cache = self.caches[replica].path().display().to_string();
        let own = [("replica", replica), ("cache-dir", &cache)];
        let shop = if replica == "three" {
            &self.store.shop
        } else {
            &self.store.direct
        };
        Server::start(shop, &[&SETTINGS[..], &own].concat()).await
    }

    /// Every part that a server keeps on its disk.
    fn cached_parts(&self, replica: &str) -> Vec<PathBuf> {
        let folder = self.caches[replica].path().join(MODEL);
        let uploads = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
        let folders = uploads.map(|entry| entry.path()).filter(|at| at.is_dir());
        let parts = folders.flat_map(|at| std::fs::read_dir(at).unwrap().map(Result::unwrap));
        parts.map(|entry| entry.path()).collect()
    }

    /// Alters the last byte of every part that a server keeps on its disk; returns what they were.
    fn corrupt(&self, replica: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut were = BTreeMap::new();
        for path in self.cached_parts(replica) {
            let bytes = std::fs::read(&path).unwrap();
            let mut altered = bytes.clone();
            *altered.last_mut().unwrap() ^= 1;
            std::fs::write(&path, altered).unwrap();
            were.insert(path, bytes);
        }
        assert!(!were.is_empty());
        were
    }

    fn models(&self) -> BTreeMap<u64, &Model> {
        let models = self.models.iter();
        models.map(|(version, model)| (*version, model)).collect()
    }

    /// Ends the load on a server, whose every answer was right.
    fn assert_served(&self, traffic: Traffic) -> usize {
        let seen = traffic.leave();
        seen.assert_all_answered();
        seen.assert_computed_by(&self.models());
        seen.requests()
    }
}

fn traffic_to(server: &Server) -> Traffic {
    Traffic::start(server.data, Shop::users(), RATE)
}

/// One replica as `hotshelf status --fleet --json` shows it, asked of this server.
fn shown(server: &Server, replica: &str) -> Option<Value> {
    let admin = server.admin.to_string();
    let fleet = hotshelf(&["status", "--fleet", "--json", "--admin", &admin]).json();
    let replicas = fleet["replicas"].as_array().unwrap();
    replicas
        .iter()
        .find(|seen| seen["replica"] == replica)
        .cloned()
}

/// The same, once it stands so and serves this rollout.
async fn until_shown(server: &Server, replica: &str, (standing, live): (&str, u64)) -> Value {
    until(&format!("{replica} {standing} with {live}"), async || {
        let seen = shown(server, replica)?;
        (seen["standing"] == standing && seen["live_rollout"] == live).then_some(seen)
    })
    .await
}

/// The share of its users that a server says the candidate has there, in basis points.
async fn share_bp(server: &Server) -> u32 {
    let live = server.live().await;
    let candidate = live.arms.iter().find(|arm| arm.name == "candidate");
    candidate.map_or(0, |arm| arm.share_bp)
}

/// Everybody's version by the format's own words.
fn expected_split(salt: &str) -> BTreeMap<String, u64> {
    let version = |user: &String| match Shop::bucket(salt, user) < HELD_BP.into() {
        true => 2,
        false => 1,
    };
    let users = Shop::users().into_iter();
    users.map(|user| (user.clone(), version(&user))).collect()
}

/// One command to one server: all three go through the steps, to the same share of the same users.
async fn ramp(servers: [&Server; 3]) -> BTreeMap<String, u64> {
    servers[0].rollout(&["start", "2", "--steps", STEPS]);
    let mut seen = [const { Vec::new() }; 3];
    until("the third step on all three", async || {
        for (server, seen) in servers.iter().zip(&mut seen) {
            seen.push(share_bp(server).await);
        }
        let is_there = |seen: &Vec<u32>| seen.last() == Some(&HELD_BP);
        seen.iter().all(is_there).then_some(())
    })
    .await;
    for seen in seen {
        assert!(seen.is_sorted(), "a share shrank: {seen:?}");
        let are_known = seen.iter().all(|share| SHARES_BP.contains(share));
        assert!(are_known, "{seen:?}");
    }
    let salt = servers[0].live().await.salt;
    let expected = expected_split(&salt);
    for server in servers {
        // The share of the moment is told by the clock, and served by a timer that may be late.
        until("its users", async || {
            (server.versions_by_user().await == expected).then_some(())
        })
        .await;
        for replica in ["one", "two", "three"] {
            until_shown(server, replica, ("serving", 2)).await;
            until("its share in the table", async || {
                let arms = shown(server, replica)?["arms"].clone();
                let is_held = arms[0]["share_bp"] == HELD_BP && arms[0]["version"] == 2;
                is_held.then_some(())
            })
            .await;
        }
    }
    expected
}

/// Its process dies, and its disk is corrupted before it comes again: lost, then back with good parts.
async fn killed_and_corrupted(fleet: &Fleet, (one, mut two): (&Server, Server)) -> Server {
    two.signal(Signal::KILL);
    two.ended().await;
    let seen = until_shown(one, "two", ("lost", 2)).await;
    let held_back = seen["held_back_by"].as_str().unwrap();
    assert!(held_back.starts_with("no heartbeat for "), "{held_back}");
    drop(two);
    let were = fleet.corrupt("two");
    let mut two = fleet.start("two").await;
    two.logged("damaged in the cache; refetched").await;
    two.until_ready().await;
    until("two's note of its cache", async || {
        let seen = shown(one, "two")?;
        let note = seen["held_back_by"].as_str()?;
        let is_told = note.contains("damaged in the cache and refetched");
        (seen["standing"] == "serving" && seen["live_rollout"] == 2 && is_told).then_some(())
    })
    .await;
    for (path, bytes) in were {
        assert!(std::fs::read(&path).unwrap() == bytes, "{path:?}");
    }
    two
}

/// It cannot reach the store: the others lose it, itself it says why, and it answers on.
async fn cut_off(fleet: &Fleet, (one, three): (&Server, &Server)) {
    fleet.store.proxy.shut(true);
    until_shown(one, "three", ("lost", 2)).await;
    until("its own word", async || {
        let status = three.status().await;
        let says = !status.registry_error.is_empty() && !status.silent.is_empty();
        says.then_some(())
    })
    .await;
    let own = shown(three, "three").unwrap();
    let held_back = own["held_back_by"].as_str().unwrap();
    assert!(
        held_back.contains("cannot read the registry"),
        "{held_back}"
    );
    until_shown(three, "one", ("lost", 2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stdout, reason = "figures, shown with --nocapture")]
async fn ramp_by_one_command_survives_faults_and_one_command_rolls_it_back() {
    let Some(fleet) = Fleet::new().await else {
        return;
    };
    let one = fleet.start("one").await;
    let two = fleet.start("two").await;
    let three = fleet.start("three").await;
    one.reload(1).await.unwrap();
    for server in [&one, &two, &three] {
        server.until_live(1).await;
    }
    let mut asked = 0;
    let to_one = traffic_to(&one);
    let to_two = traffic_to(&two);
    let to_three = traffic_to(&three);
    let held = ramp([&one, &two, &three]).await;

    // A caller of a server that is killed has to turn to others; nothing else is asked of one.
    asked += fleet.assert_served(to_two);
    let two = killed_and_corrupted(&fleet, (&one, two)).await;
    let to_two = traffic_to(&two);
    // Under a server that runs, altered files are of no account: it has read them.
    fleet.corrupt("one");
    cut_off(&fleet, (&one, &three)).await;
    for server in [&one, &two, &three] {
        assert_eq!(server.versions_by_user().await, held);
    }

    let began = Instant::now();
    one.rollout(&["rollback"]);
    for server in [&one, &two] {
        server.until_live(1).await;
    }
    println!("rolled back where it was heard in {:?}", began.elapsed());
    let answered = one.versions_by_user().await;
    assert!(answered.values().all(|version| *version == 1));
    assert_eq!(two.versions_by_user().await, one.versions_by_user().await);
    assert_eq!(
        three.versions_by_user().await,
        held,
        "it has not heard, and answers on"
    );
    let began = Instant::now();
    fleet.store.proxy.shut(false);
    three.until_live(1).await;
    println!("and by the one cut off in {:?}", began.elapsed());
    for replica in ["one", "two", "three"] {
        until_shown(&one, replica, ("serving", 3)).await;
    }
    asked += [to_one, to_two, to_three]
        .map(|to| fleet.assert_served(to))
        .iter()
        .sum::<usize>();
    println!("{asked} requests, none failed");
    for server in [one, two, three] {
        server.stop().await;
    }
}

/// A full cache: the desired version cannot be loaded there, and every status says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_with_a_broken_cache_serves_the_base_and_shows_its_failure() {
    let Some(fleet) = Fleet::new().await else {
        return;
    };
    let one = fleet.start("one").await;
    let two = fleet.start("two").await;
    one.reload(1).await.unwrap();
    two.until_live(1).await;
    let cache = fleet.caches["two"].path();
    until_kept(cache).await;
    let loads = [traffic_to(&one), traffic_to(&two)];
    let broken = BrokenCache::new(cache);
    one.rollout(&["start", "2", "--share", "70%"]);
    let seen = until_shown(&one, "two", ("failed", 1)).await;
    let held_back = seen["held_back_by"].as_str().unwrap();
    assert!(held_back.starts_with("version 2: "), "{held_back}");
    assert!(held_back.contains("cache folder"), "{held_back}");
    let answered = two.versions_by_user().await;
    assert!(answered.values().all(|version| *version == 1));
    let salt = one.live().await.salt;
    assert_eq!(one.versions_by_user().await, expected_split(&salt));
    broken.mend();
    until_shown(&one, "two", ("serving", 2)).await;
    assert_eq!(two.versions_by_user().await, one.versions_by_user().await);
    for to in loads {
        fleet.assert_served(to);
    }
    for server in [one, two] {
        server.stop().await;
    }
}
