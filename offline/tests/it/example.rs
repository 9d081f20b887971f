//! The commands of `examples/online_retail/README.md`, exactly as they stand there.

use crate::harness::{Workplace, repository};

const COMMAND: &str = "cargo run --release -p hotshelf-offline -- ";
const REGISTRY: &str = "$PWD/target/registry";

/// Arguments of every command of this binary in the page, in its order.
fn commands(page: &str, workplace: &Workplace) -> Vec<Vec<String>> {
    let joined = page.replace("\\\n", " ");
    let registry = workplace.path("registry").display().to_string();
    let commands = joined.lines().filter_map(|line| line.strip_prefix(COMMAND));
    commands
        .map(|line| {
            let line = line.replace('"', "").replace(REGISTRY, &registry);
            line.split_whitespace().map(str::to_owned).collect()
        })
        .collect()
}

#[test]
fn readme_commands_train_and_publish_two_different_versions() {
    let page = repository().join("examples/online_retail/README.md");
    let page = std::fs::read_to_string(page).unwrap();
    let workplace = Workplace::new();
    let commands = commands(&page, &workplace);
    assert_eq!(commands.len(), 2, "the page's commands");
    for (at, command) in commands.iter().enumerate() {
        let run = workplace.run_in_repository(command);
        assert_eq!(run.code, 0, "{command:?}: {run:?}");
        let published = format!("version {}", at + 1);
        assert!(run.stdout.contains(&published), "{}", run.stdout);
    }
    let manifest = |version: u8| -> serde_json::Value {
        let path = format!("registry/online_retail/versions/{version:06}.json");
        serde_json::from_str(&workplace.read(&path)).unwrap()
    };
    let (first, second) = (manifest(1), manifest(2));
    assert_ne!(first["card"]["sizes"], second["card"]["sizes"]);
    assert_eq!(first["lineage"]["inputs"], second["lineage"]["inputs"]);
    for manifest in [first, second] {
        let rankers = &manifest["card"]["evaluation"]["rankers"];
        let ndcg = |ranker: &str| {
            let mut rankers = rankers.as_array().unwrap().iter();
            let scores = rankers.find(|scores| scores["ranker"] == ranker).unwrap();
            scores["ndcg"].as_f64().unwrap()
        };
        assert!(
            ndcg("collaborative") > ndcg("most_popular"),
            "collaborative beats most popular: {rankers}"
        );
    }
}
