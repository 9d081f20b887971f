//! docs/operations.md, run as it stands: every `console` block in one shell, in order, beside the built
//! programs, and what each command said held against what the page shows beneath it.

mod console;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use crate::harness::until;
use crate::tools::{self, Tool};
use console::{Step, script, steps, taken_apart};

/// Longest run of the whole page: several times what it takes on a busy machine.
const PAGE_PATIENCE: Duration = Duration::from_secs(180);

/// Between two looks at the shell.
const LOOK: Duration = Duration::from_millis(50);

/// A shell and all that it has started, as they are one process group; nothing of it outlives the test.
struct Shell {
    child: Child,
}

impl Shell {
    /// Runs `page.sh` of this folder with both outputs into `said`.
    fn start(folder: &Path, programs: &str) -> Self {
        let said = File::create(folder.join("said")).unwrap();
        let child = Command::new("bash")
            .arg("page.sh")
            .current_dir(folder)
            .env_clear()
            .env("PATH", programs)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stderr(said.try_clone().unwrap())
            .stdout(said)
            .process_group(0)
            .spawn()
            .unwrap();
        Self { child }
    }

    fn group(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Whether the script came to its end in time.
    async fn ends(&mut self) -> bool {
        let ended = async {
            while self.child.try_wait().unwrap().is_none() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PAGE_PATIENCE, ended).await.is_ok()
    }

    /// Returns once everything that it started has ended as well.
    async fn leaves_nothing(&self) {
        until("no process of the page", async || {
            test_kill_process_group(self.group()).err()
        })
        .await;
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = kill_process_group(self.group(), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// The page with a free port in place of each that it names.
fn with_free_ports(page: &str) -> String {
    const HOST: &str = "127.0.0.1:";
    let mut held = BTreeMap::new();
    for (at, _) in page.match_indices(HOST) {
        let digits = page[at + HOST.len()..].chars();
        let port: String = digits.take_while(char::is_ascii_digit).collect();
        held.entry(port)
            .or_insert_with(|| TcpListener::bind((HOST.trim_end_matches(':'), 0)).unwrap());
    }
    let mut page = page.to_owned();
    for (port, free) in &held {
        let free = free.local_addr().unwrap().port();
        // A mark between them, so that a free port is not taken for one of the page.
        page = page.replace(&format!("{HOST}{port}"), &format!("{HOST}\0{free}"));
    }
    page.replace('\0', "")
}

/// The folders of the system's own programs that the page uses.
const SYSTEM: [&str; 2] = ["/usr/bin", "/bin"];

/// The PATH of the page's shell, or None where a program of the page is missing.
fn programs() -> Option<String> {
    let trainer = tools::trainer()?;
    let grpcurl = tools::find(Tool::Grpcurl)?;
    for name in ["bash", "curl"] {
        if !SYSTEM.iter().any(|it| Path::new(it).join(name).is_file()) {
            tools::skip_on_this_machine(&format!("no {name} in {}", SYSTEM.join(" or ")));
            return None;
        }
    }
    let own = [trainer.parent()?, grpcurl.parent()?].map(|it| it.display().to_string());
    Some([own.join(":"), SYSTEM.join(":")].join(":"))
}

#[tokio::test]
async fn operations_page_shows_what_its_commands_print() {
    let Some(programs) = programs() else { return };
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let page = with_free_ports(&fs::read_to_string(page).unwrap());
    let steps = steps(&page);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page.sh"), script(&steps)).unwrap();

    let mut shell = Shell::start(folder.path(), &programs);
    let is_over = shell.ends().await;
    let said = String::from_utf8_lossy(&fs::read(folder.path().join("said")).unwrap()).into_owned();
    let outcomes = taken_apart(&said);
    let wrong: Vec<String> = steps
        .iter()
        .enumerate()
        .filter_map(|(number, step)| match outcomes.get(&number) {
            Some(outcome) => step.breach(outcome),
            None => Some(format!("line {}: never ended: {}", step.line, step.command)),
        })
        .collect();
    assert!(wrong.is_empty(), "docs/operations.md\n{}", wrong.join("\n"));
    assert!(is_over, "the shell goes on after the last command");
    shell.leaves_nothing().await;
}

#[test]
fn operations_page_shows_every_change_from_both_sides() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let commands: Vec<Step> = steps(&fs::read_to_string(page).unwrap());
    let runs = |what: &str| commands.iter().any(|step| step.command.contains(what));
    for change in [
        "start", "set", "pause", "resume", "promote", "abort", "rollback",
    ] {
        assert!(runs(&format!("hotshelf rollout {change} ")), "{change}");
        assert!(runs(&format!("{{\"{change}\": {{")), "{change} by grpcurl");
    }
    for call in [
        "ReloadModel",
        "ProposeRollout",
        "GetModelStatus",
        "GetRolloutStatus",
    ] {
        assert!(runs(&format!("hotshelf.v1.ModelService/{call}")), "{call}");
    }
}
