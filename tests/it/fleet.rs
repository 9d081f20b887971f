//! Several servers of one registry, and what each knows of the others: who serves, who does not and why,
//! who was killed, who left, who cannot reach the store, who may not write to it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use hotshelf::grpc::proto::{GetRolloutStatusResponse, ReplicaStanding, ReplicaStatus};
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{
    BrokenCache, MODEL, Season, Server, Shop, Traffic, hotshelf, open_to_all, until, until_kept,
};
use crate::store_outage::Store;

/// Requests per second of those who must notice nothing.
const RATE: u32 = 100;

/// Lines of a table that is shown every second: those of a minute.
const LINES_MAX: usize = 500;

/// Told often; a server is lost after three seconds, as buckets tell times in whole ones.
const QUICK: [(&str, &str); 4] = [
    ("replica-interval-ms", "300"),
    ("replica-lost-ms", "3000"),
    ("retry-first-ms", "100"),
    ("retry-max-ms", "500"),
];

async fn start(shop: &Shop, replica: &str, settings: &[(&str, &str)]) -> Server {
    let settings = [&QUICK, settings, &[("replica", replica)]].concat();
    Server::start(shop, &settings).await
}

/// What a server tells of one replica; `None` where it knows of none by this name.
fn of<'a>(fleet: &'a GetRolloutStatusResponse, replica: &str) -> Option<&'a ReplicaStatus> {
    fleet.replicas.iter().find(|seen| seen.replica == replica)
}

/// What this server tells of a replica, once it stands so.
async fn until_seen(server: &Server, replica: &str, standing: ReplicaStanding) -> ReplicaStatus {
    until(&format!("{replica} as {standing:?}"), async || {
        let fleet = server.fleet().await;
        let seen = of(&fleet, replica)?;
        (seen.standing() == standing).then(|| seen.clone())
    })
    .await
}

/// A server that was killed is lost to the others, and so is one that cannot reach the store, which says so
/// of itself; neither harms a request elsewhere. What one proposes, all that are there serve.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_partitioned_servers_are_shown_as_lost() {
    let Some(store) = Store::new().await else {
        return;
    };
    let spring = store.direct.publish(Season::Spring).await.version;
    let autumn = store.direct.publish(Season::Autumn).await.version;

    let named = [("advertise-addr", "one.shop:1")];
    let one = start(&store.direct, "one", &named).await;
    let cut = start(&store.shop, "cut", &[]).await;
    let mut killed = start(&store.direct, "killed", &[]).await;
    one.reload(spring).await.unwrap();
    for server in [&one, &cut, &killed] {
        for replica in ["one", "cut", "killed"] {
            let seen = until_seen(server, replica, ReplicaStanding::Serving).await;
            assert_eq!((seen.live_rollout, seen.lag), (Some(1), None));
            assert_eq!(seen.arms[0].version, spring);
        }
        let fleet = server.fleet().await;
        assert_eq!(fleet.counts.unwrap().serving, 3);
        assert_eq!(of(&fleet, "one").unwrap().address, "one.shop:1");
        assert_eq!(
            (fleet.replicas_error.as_str(), fleet.silent.as_str()),
            ("", "")
        );
        let asked = fleet.replicas.iter().filter(|replica| replica.is_asked);
        assert_eq!(asked.count(), 1);
    }

    let traffic = Traffic::start(cut.data, Shop::users(), RATE);
    killed.signal(Signal::KILL);
    killed.ended().await;
    drop(store.proxy);
    one.reload(autumn).await.unwrap();
    for replica in ["killed", "cut"] {
        let seen = until_seen(&one, replica, ReplicaStanding::Lost).await;
        assert!(seen.held_back_by.starts_with("no heartbeat for "));
        assert_eq!((seen.live_rollout, seen.lag.is_some()), (Some(1), true));
    }
    let counts = one.fleet().await.counts.unwrap();
    assert_eq!((counts.serving, counts.lost), (1, 2));
    // Of itself it says why; the others it shows as it saw them last, growing older.
    let said = until("what the server says that is cut off", async || {
        let (fleet, status) = (cut.fleet().await, cut.status().await);
        let is_said = !fleet.replicas_error.is_empty() && !status.registry_error.is_empty();
        (is_said && !status.silent.is_empty()).then_some((fleet, status))
    })
    .await;
    assert!(said.1.silent.contains("the store failed"), "{:?}", said.1);
    assert_eq!(said.0.silent, said.1.silent);
    let own = of(&said.0, "cut").unwrap();
    assert_eq!(own.standing(), ReplicaStanding::Serving);
    assert!(
        own.held_back_by.contains("cannot read the registry"),
        "{own:?}"
    );
    until_seen(&cut, "one", ReplicaStanding::Lost).await;
    let errors = cut.scrape().await;
    let errors = errors.value("hotshelf_replica_state_errors_total", &[("model", MODEL)]);
    assert!(errors >= Some(1.0), "{errors:?}");
    traffic.finish().assert_all_answered();
    cut.stop().await;
    one.stop().await;
}

/// A replica that cannot load the desired version reports what it serves instead, and why.
#[tokio::test]
async fn broken_cache_shows_in_the_fleet_and_so_does_its_recovery() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await.version;
    let autumn = shop.publish(Season::Autumn).await.version;
    let one = start(&shop, "one", &[]).await;
    let broken = start(&shop, "broken", &[]).await;
    one.reload(spring).await.unwrap();
    broken.until_live(spring).await;
    until_kept(broken.cache()).await;
    let cache = BrokenCache::new(broken.cache());
    let traffic = Traffic::start(broken.data, Shop::users(), RATE);
    one.reload(autumn).await.unwrap();
    let seen = until_seen(&one, "broken", ReplicaStanding::Failed).await;
    assert!(seen.held_back_by.starts_with("version 2: "), "{seen:?}");
    assert!(seen.held_back_by.contains("cache folder"), "{seen:?}");
    assert!(
        seen.degraded
            .starts_with("desired rollout 2, serving rollout 1")
    );
    let numbers = (seen.live_rollout, seen.heard_rollout);
    assert_eq!(numbers, (Some(1), Some(2)));
    assert!(seen.lag.is_some());
    cache.mend();
    let seen = until_seen(&one, "broken", ReplicaStanding::Serving).await;
    assert_eq!((seen.live_rollout, seen.lag), (Some(2), None));
    traffic.finish().assert_all_answered();
    broken.stop().await;
    one.stop().await;
}

/// It does not look lost for being scaled down, and a file that nobody can read is shown as one.
#[tokio::test]
async fn drained_server_is_shown_as_stopped_and_junk_as_unreadable() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await.version;
    let one = start(&shop, "one", &[]).await;
    let other = start(&shop, "other", &[]).await;
    one.reload(spring).await.unwrap();
    until_seen(&one, "other", ReplicaStanding::Serving).await;
    other.stop().await;
    let stopped = until_seen(&one, "other", ReplicaStanding::Stopped).await;
    assert_eq!(stopped.held_back_by, "");
    let replicas = shop.root().join(MODEL).join("replicas");
    std::fs::write(replicas.join("junk.json"), "{ junk").unwrap();
    let junk = until_seen(&one, "junk", ReplicaStanding::Unreadable).await;
    assert!(junk.held_back_by.contains("corrupt"), "{junk:?}");
    let counts = one.fleet().await.counts.unwrap();
    assert_eq!(
        (counts.serving, counts.stopped, counts.unreadable),
        (1, 1, 1)
    );
    one.stop().await;
}

/// Who may only read serves and follows, writes nothing, and is silent by its own word.
#[tokio::test]
async fn read_only_server_does_not_report_and_still_serves() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await.version;
    open_to_all(shop.place(), 0o755);
    let settings = [&QUICK[..], &[("replica", "reader")]].concat();
    let reader = Server::start_unprivileged(&shop, shop.place(), &settings).await;
    let one = start(&shop, "one", &[]).await;
    one.reload(spring).await.unwrap();
    reader.until_live(spring).await;
    until_seen(&reader, "one", ReplicaStanding::Serving).await;
    let silent = until("its own word", async || {
        let silent = reader.status().await.silent;
        silent.contains("read-only").then_some(silent)
    })
    .await;
    assert_eq!(reader.fleet().await.silent, silent);
    let own = reader.fleet().await;
    let own = of(&own, "reader").unwrap();
    assert_eq!(own.standing(), ReplicaStanding::Serving);
    assert_eq!(of(&one.fleet().await, "reader"), None);
    reader.stop().await;
    one.stop().await;
}

/// A server that is started again is the same replica; two on one machine are two.
#[tokio::test]
async fn generated_replica_name_survives_a_restart() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await.version;
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().display().to_string();
    let settings = [&QUICK[..], &[("cache-dir", folder.as_str())]].concat();
    let name = async |server: &Server| {
        let fleet = server.fleet().await;
        let own = fleet.replicas.into_iter().find(|replica| replica.is_asked);
        own.unwrap().replica
    };
    let server = Server::serving(&shop, spring, &settings).await;
    let first = name(&server).await;
    server.stop().await;
    let server = Server::start(&shop, &settings).await;
    assert_eq!(name(&server).await, first);
    let other = Server::start(&shop, &QUICK).await;
    assert_ne!(name(&other).await, first);
    let data = server.data.to_string();
    assert_eq!(of(&server.fleet().await, &first).unwrap().address, data);
    other.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn command_line_shows_the_fleet_once_as_json_and_again_and_again() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await.version;
    let one = start(&shop, "one", &[]).await;
    let other = start(&shop, "other", &[]).await;
    one.reload(spring).await.unwrap();
    until_seen(&one, "other", ReplicaStanding::Serving).await;
    let admin = one.admin.to_string();
    let ask = ["status", "--fleet", "--admin", &admin];
    let shown = hotshelf(&ask);
    let shown = shown.text();
    assert!(shown.contains("\nreplicas 2: 2 serving\n"), "{shown}");
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[4].starts_with("one *"), "{shown}");
    assert!(lines[5].starts_with("other "), "{shown}");
    let json = hotshelf(&[&ask[..], &["--json"]].concat()).json();
    assert_eq!(json["replicas"][1]["standing"], "serving");
    assert_eq!(json["replicas"][1]["lag_s"], Value::Null);
    assert_eq!(json["desired"]["number"], 1);
    let said = hotshelf(&["status", "--watch", "1", "--admin", &admin]);
    assert!(said.refusal(2).contains("--fleet"), "{said:?}");

    // Where nobody can look at a screen, one table after the other.
    let mut child = Command::new(Path::new(env!("CARGO_BIN_EXE_hotshelf")))
        .args([&ask[..], &["--watch", "1"]].concat())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first: Vec<String> = lines.by_ref().take(7).map(Result::unwrap).collect();
    assert_eq!(first[6], "", "{first:?}");
    assert!(!first.concat().contains('\u{1b}'), "{first:?}");
    other.stop().await;
    let changed = lines
        .map(Result::unwrap)
        .take(LINES_MAX)
        .find(|line| line.contains("stopped"));
    assert_eq!(changed.unwrap(), "replicas 2: 1 serving, 1 stopped");
    child.kill().unwrap();
    child.wait().unwrap();
    one.stop().await;
}

/// From the command line: shown, done, refused, and what is needed goes on being served.
#[tokio::test]
async fn gc_removes_only_what_is_unreferenced() {
    let shop = Shop::new();
    for season in [
        Season::Spring,
        Season::Autumn,
        Season::Spring,
        Season::Autumn,
    ] {
        shop.publish(season).await;
    }
    let one = start(&shop, "one", &[]).await;
    for version in [1, 2, 3] {
        one.reload(version).await.unwrap();
    }
    until("the file of what is live", async || {
        let file = shop.root().join(MODEL).join("replicas/one.json");
        let told: Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
        let versions = told["versions"].as_array()?;
        let retired = versions.iter().filter(|one| one["state"] == "retired");
        (told["live"]["number"] == 3 && retired.count() == 2).then_some(())
    })
    .await;
    let url = shop.url();
    let place = ["--registry", &url, "--model", MODEL];
    let run = |args: &[&str]| hotshelf(&[&["models", "gc"], &place[..], args].concat());
    let careful = run(&["--json"]).json();
    assert_eq!(careful["removed_versions"], serde_json::json!([]));
    let rules = ["--keep-rollouts", "1", "--min-age", "0s"];
    let planned = run(&rules);
    let planned = planned.text();
    assert!(planned.contains("--apply removes them"), "{planned}");
    let said = |version: &str| planned.lines().find(|line| line.starts_with(version));
    assert!(said("version 1").unwrap().ends_with("unused"));
    assert!(said("version 3").unwrap().ends_with("rollout 3 uses it"));
    assert!(
        said("version 4")
            .unwrap()
            .ends_with("newer than the newest rollout")
    );
    let refused = run(&[&rules[..], &["--apply"]].concat());
    assert!(refused.refusal(2).contains("--author"), "{refused:?}");
    let done = run(&[&rules[..], &["--apply", "--author", "gus", "--json"]].concat()).json();
    assert_eq!(done["removed_versions"], serde_json::json!([1, 2]));
    assert_eq!(shop.versions().await, [1, 2, 3, 4]);
    let gone = one.reload(1).await.unwrap_err();
    assert!(gone.message().contains("removed by gus"), "{gone:?}");
    one.reload(4).await.unwrap();
    one.reload(3).await.unwrap();
    let junk = shop.root().join(MODEL).join("replicas/junk.json");
    std::fs::write(junk, "{").unwrap();
    let planned = run(&rules);
    let ignored = "replica file junk.json ignored: state of replica junk";
    assert!(planned.text().contains(ignored), "{planned:?}");
    one.stop().await;
}

/// Two processes under one name are one file, which each overwrites: neither counts, and both say so.
#[tokio::test]
async fn processes_of_one_name_find_each_other_and_count_as_neither() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await.version;
    let own = start(&shop, "own", &[]).await;
    let twins = [
        start(&shop, "twin", &[]).await,
        start(&shop, "twin", &[]).await,
    ];
    own.reload(spring).await.unwrap();
    for twin in &twins {
        let said = until("the conflict", async || {
            let said = twin.status().await.silent;
            said.contains("another process reports as replica twin")
                .then_some(said)
        })
        .await;
        let others: Vec<String> = twins.iter().map(|one| one.data.to_string()).collect();
        let is_other = |address: &&String| **address != twin.data.to_string();
        let other = others.iter().find(is_other).unwrap();
        assert!(said.contains(other), "{said}");
        let scraped = twin.scrape().await;
        let gauge = scraped.value("hotshelf_replica_name_conflict", &[("model", MODEL)]);
        assert_eq!(gauge, Some(1.0));
        until("an answer of the version", async || {
            let answer = twin.recommend("u0001").await.ok()?;
            (answer.version == spring).then_some(())
        })
        .await;
    }
    let seen = until_seen(&own, "twin", ReplicaStanding::NameConflict).await;
    assert!(seen.held_back_by.contains("several processes"), "{seen:?}");
    let counts = own.fleet().await.counts.unwrap();
    assert_eq!((counts.serving, counts.name_conflict), (1, 1));
    let [one, other] = twins;
    other.stop().await;
    // It is alone with its name again.
    until_seen(&own, "twin", ReplicaStanding::Serving).await;
    until("the twin to say so itself", async || {
        one.status().await.silent.is_empty().then_some(())
    })
    .await;
    one.stop().await;
    own.stop().await;
}
