//! The main job: versions change places under load, and nobody who asks can tell but by the answer.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use hotshelf_model::Model;

use crate::harness::{MODEL, Season, Server, Shop, Traffic, top, until};
use crate::tools;

const RELOADS: u64 = 20;
/// Requests per second.
const RATE: u32 = 1_200;
/// Answers of a version before the next one takes its place.
const ANSWERS_EACH: usize = 40;

#[tokio::test]
async fn swapping_under_load_fails_no_request_and_every_answer_is_its_versions_own() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await.model;
    let autumn = shop.publish(Season::Autumn).await.model;
    swap_under_load(&shop, [&spring, &autumn]).await;
}

#[tokio::test]
async fn real_shop_is_trained_published_and_swapped_under_load() {
    let Some(events) = tools::public_shop("online_retail.csv.gz") else {
        return;
    };
    let Some(trainer) = tools::trainer() else {
        return;
    };
    let shop = Shop::new();
    // The example's mapping, and the whole table in the place of its slice.
    let mapping = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/online_retail/shop.toml");
    std::fs::copy(mapping, shop.place().join("shop.toml")).unwrap();
    let slice = shop.place().join("online_retail_slice.csv.gz");
    std::os::unix::fs::symlink(events.canonicalize().unwrap(), slice).unwrap();
    // Two months apart.
    train(
        &trainer,
        &shop,
        &["--until", "2011-10-01", "--cut", "2011-09-01"],
    );
    train(&trainer, &shop, &[]);
    let (one, other) = (shop.load(1).await, shop.load(2).await);
    swap_under_load(&shop, [&one, &other]).await;
}

fn train(trainer: &Path, shop: &Shop, more: &[&str]) {
    let mut command = Command::new(trainer);
    command.current_dir(shop.place()).args([
        "train",
        "shop.toml",
        "--trials",
        "1",
        "--json",
        "--samples",
        "0",
    ]);
    command
        .args(["--publish", &shop.url(), "--model", MODEL])
        .args(more);
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Swaps versions 1 and 2, which compute as these models do, back and forth.
#[allow(clippy::print_stdout, reason = "figures, shown with --nocapture")]
async fn swap_under_load(shop: &Shop, models: [&Model; 2]) {
    let [one, other] = models;
    let is_known = |id: &&str| other.users().find(id).is_some();
    let rows = 0..one.users().len() as u32;
    let ids = rows.map(|row| one.users().id(hotshelf_model::UserRow(row)));
    let users: Vec<String> = ids.filter(is_known).map(str::to_owned).collect();
    let server = Server::serving(shop, 1, &[]).await;
    let traffic = Traffic::start(server.data, users.clone(), RATE);
    for turn in 0..RELOADS {
        let (old, new) = (1 + turn % 2, 2 - turn % 2);
        let before = (traffic.answers_of(old), traffic.answers_of(new));
        until("answers of the old version", async || {
            (traffic.answers_of(old) >= before.0 + ANSWERS_EACH).then_some(())
        })
        .await;
        let done = server.reload(new).await.unwrap();
        assert_eq!((done.changed, done.previous_version), (true, Some(old)));
        until("answers of the new version", async || {
            (traffic.answers_of(new) > before.1).then_some(())
        })
        .await;
    }
    let seen = traffic.finish();
    println!(
        "{RELOADS} reloads, {} requests in {:?}",
        seen.requests(),
        seen.lasted
    );
    seen.assert_all_answered();
    seen.assert_computed_by(&BTreeMap::from([(1, one), (2, other)]));
    assert_eq!(shop.rollouts().len() as u64, 1 + RELOADS);
    let due = 1_000.0 * seen.lasted.as_secs_f64();
    assert!(
        seen.requests() as f64 >= due,
        "fewer were sent than were due"
    );
    assert_visibly_different(&users, models);
    server.stop().await;
}

/// Hardly anybody has the same ten products in both versions.
fn assert_visibly_different(users: &[String], [one, other]: [&Model; 2]) {
    let is_same = |user: &&String| top(one, user) == top(other, user);
    let same = users.iter().filter(is_same).count();
    assert!(
        same * 100 <= users.len(),
        "{same} of {} lists are the same",
        users.len()
    );
}
