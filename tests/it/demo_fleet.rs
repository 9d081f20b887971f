//! `hotshelf demo --fleet`: three processes that end with the demo.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::harness::{hotshelf, until};

/// Small enough for a debug build on a busy machine.
const SIZE: [&str; 8] = [
    "--products",
    "200",
    "--users",
    "300",
    "--rate",
    "100",
    "--seconds",
    "1",
];

/// Command lines of the processes that work on this folder.
fn processes(place: &Path) -> Vec<String> {
    let place = place.display().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().map(Result::unwrap) {
        // One that ends while it is looked at is no longer there.
        let Ok(words) = std::fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        if words.contains(&place) {
            found.push(words);
        }
    }
    found
}

#[test]
fn fleet_demo_fails_no_request_and_stops_all_servers() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string();
    let fleet = ["demo", "--fleet", "--json", "--dir", &place];
    let report = hotshelf(&[&fleet[..], &SIZE].concat()).json();
    assert_eq!(report["failed"], 0, "{report}");
    let mut answers = 0;
    for name in ["one", "two", "three"] {
        let by_version = report["replicas"][name]["answers"].as_object().unwrap();
        let versions: Vec<_> = by_version.keys().collect();
        assert_eq!(versions, ["1", "2"], "{name}: {report}");
        answers += by_version
            .values()
            .map(|n| n.as_u64().unwrap())
            .sum::<u64>();
    }
    assert_eq!(report["requests"], answers);
    for name in ["one", "two"] {
        assert_eq!(report["replicas"][name]["refused"], json!(0), "{report}");
    }
    let refused = report["replicas"]["three"]["refused"].as_u64();
    assert!(refused > Some(0), "it was killed under traffic: {report}");
    for event in ["start", "lost", "back", "promote", "rollback"] {
        let seconds = report["seconds"][event].as_f64().unwrap();
        assert!(seconds > 0.0, "{event}: {report}");
    }
    assert_eq!(processes(folder.path()), [""; 0]);
    // The registry has every rollout: the first version, start, promote, rollback.
    let url = format!("file://{place}/registry");
    let place = ["--registry", &url, "--model", "default", "--json"];
    let history = hotshelf(&[&["rollout", "history"], &place[..]].concat()).json();
    assert_eq!(history.as_array().unwrap().len(), 4, "{history}");
}

/// Reads the demo's output until it contains this; the rest is read and dropped.
fn until_printed(demo: &mut Child, part: &str) {
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let found = lines.find(|line| line.as_ref().unwrap().contains(part));
    assert!(found.is_some(), "never printed: {part}");
    std::thread::Builder::new()
        .name("demo-output".to_owned())
        .spawn(move || lines.for_each(drop))
        .unwrap();
}

#[tokio::test]
async fn interrupted_fleet_demo_leaves_no_server_behind() {
    for signal in [Signal::INT, Signal::TERM] {
        let folder = tempfile::tempdir().unwrap();
        let mut demo = Command::new(env!("CARGO_BIN_EXE_hotshelf"))
            .args(["demo", "--fleet", "--dir"])
            .arg(folder.path())
            .args(SIZE)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        until_printed(&mut demo, "at 5 % on all three");
        assert_eq!(processes(folder.path()).len(), 4);
        // The demo alone, as by a supervisor: its servers get no signal.
        kill_process(Pid::from_child(&demo), signal).unwrap();
        let ended = until("the demo's end", async || demo.try_wait().unwrap()).await;
        assert_eq!(ended.code(), Some(1));
        assert_eq!(processes(folder.path()), [""; 0]);
    }
}
