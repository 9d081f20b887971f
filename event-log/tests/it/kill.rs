//! kill -9 at any moment loses no acknowledged event and doubles none.

use super::{close, event, limits};
use hotshelf_event_log::{EventLog, Folder, segment};
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const FOLDER: &str = "EVENT_LOG_TEST_FOLDER";

/// Appends until it is killed, and prints each id as soon as it is acknowledged. Does nothing where it is
/// not started by the test below.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the parent speaks through the environment"
)]
async fn child_process() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let small = hotshelf_event_log::Limits {
        segment_bytes: 2_000,
        ..limits()
    };
    let (log, _) = EventLog::open(folder, small).unwrap();
    let mut out = std::io::stdout();
    for n in 0.. {
        let id = format!("{}-{n}", std::process::id());
        log.append(vec![event(&id)]).await.unwrap();
        writeln!(out, "acknowledged {id}").unwrap();
        out.flush().unwrap();
    }
}

#[tokio::test]
async fn killed_writer_loses_no_acknowledged_event_and_doubles_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 1..=8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::child_process", "--exact", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ids = lines.map_while(Result::ok);
        let ids = ids.filter_map(|line| {
            line.split_once("acknowledged ")
                .map(|(_, id)| id.to_owned())
        });
        for (count, id) in ids.enumerate() {
            acknowledged.push(id);
            if count == 7 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        // As a restart does: repairs and seals.
        let (log, _) = EventLog::open(folder.path(), limits()).unwrap();
        close(log).await;
    }
    let mut found = Vec::new();
    for file in Folder::new(folder.path()).segments().unwrap() {
        let (events, scanned) = segment::read(&file.path).unwrap();
        assert_eq!(scanned.torn_bytes, 0, "{}", file.path.display());
        found.extend(events.into_iter().map(|event| event.event_id));
    }
    let once: HashSet<_> = found.iter().cloned().collect();
    assert_eq!(once.len(), found.len(), "none twice");
    assert!(
        acknowledged.len() > 8 * 7,
        "{} were acknowledged",
        acknowledged.len()
    );
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|id| !once.contains(*id))
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
}
