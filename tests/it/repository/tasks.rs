//! Who may start tasks and threads.

use super::boundaries::production_code;
use super::laws::Breach;
use super::source::SourceFile;

/// Files that start tasks or threads, and why they need no supervisor.
const STARTERS: [(&str, &str); 11] = [
    ("src/supervisor.rs", "it is the supervisor"),
    (
        "src/net/core.rs",
        "a serving thread: the process ends with it; a connection's task: the connection ends with it",
    ),
    (
        "src/net/http_plane.rs",
        "a connection's task: the connection ends with it",
    ),
    (
        "src/net/executor.rs",
        "a call's task: hyper resets the stream",
    ),
    (
        "src/admission/fair_queue.rs",
        "runs once, without an await, after the tasks of this turn",
    ),
    (
        "src/lifecycle/driver/workers.rs",
        "a thread for one piece of work: it sends its outcome also where it panics",
    ),
    (
        "src/telemetry/writer.rs",
        "the log's thread: it catches panics, and a line is lost",
    ),
    (
        "src/demo/",
        "a command that ends with what it started, and fails where that does",
    ),
    (
        "src/guardrails/simulation/ramps.rs",
        "a test's threads, joined by their scope",
    ),
    (
        "model-registry/src/store/disk.rs",
        "one listing, which its caller awaits",
    ),
    (
        "model-registry/src/s3/issued.rs",
        "one read of a token file, which its caller awaits",
    ),
];

/// Long-lived tasks of a server are spawned by the supervisor, which restarts and shows them.
pub(crate) fn starts(file: &SourceFile) -> Vec<Breach> {
    let is_server = file.path.starts_with("src/") || file.path.starts_with("model-registry/src/");
    if !is_server || !file.has_extension(&["rs"]) || file.path.contains("/tests") {
        return Vec::new();
    }
    let starter = STARTERS
        .iter()
        .any(|(path, _)| file.path == *path || path.ends_with('/') && file.path.starts_with(path));
    if starter {
        return Vec::new();
    }
    let code = production_code(file);
    let lines = code.lines().enumerate();
    let breaches = lines.filter(|(_, line)| is_start(line));
    let what =
        "a long-lived task is spawned by the supervisor; another one is listed with its reason";
    breaches
        .map(|(number, _)| Breach::new(file, number + 1, what))
        .collect()
}

fn is_start(line: &str) -> bool {
    let mut words = line.match_indices("spawn").map(|(at, _)| {
        let before = line[..at].trim_end_matches(['.', ':']);
        let after = &line[at + "spawn".len()..];
        (before, after)
    });
    words.any(|(before, after)| {
        let calls = after.starts_with(['(', '_', ':', ')']);
        // The supervisor, and the driver's own threads.
        let is_allowed = before.ends_with("supervisor") || before.ends_with("self");
        calls && !is_allowed && !before.ends_with("fn ")
    })
}
