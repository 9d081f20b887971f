use super::super::tasks::starts;
use super::{breaks, passes};

#[test]
fn tasks_and_threads_without_a_supervisor_are_found() {
    for line in [
        "tokio::spawn(run());",
        "let task = tokio::task::spawn(run());",
        "tasks.spawn(run());",
        "tasks.spawn_on(run(), &runtime);",
        "std::thread::Builder::new().spawn(move || {})?;",
        "std::thread::spawn(work);",
        "tokio::task::spawn_blocking(work);",
        "futures.map(tokio::spawn)",
        "runtime.spawn(run());",
    ] {
        breaks(starts, "src/fleet/a.rs", line, "1");
        breaks(starts, "model-registry/src/a.rs", line, "1");
    }
    for line in [
        "supervisor.spawn(&mut tasks, name, stop, task);",
        "self.spawn(\"loader\", work, failed);",
        "fn spawn(&mut self) {}",
        "// tokio::spawn(run())",
        "let respawned = 1;",
    ] {
        passes(starts, "src/fleet/a.rs", line);
    }
    passes(starts, "src/demo/a.rs", "tokio::spawn(run());");
    passes(starts, "offline/src/a.rs", "std::thread::spawn(work);");
    let test = "\nmod tests {\n    fn a() { tokio::spawn(run()); }\n}\n";
    passes(starts, "src/fleet/a.rs", test);
}
