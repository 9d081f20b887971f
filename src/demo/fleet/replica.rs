//! A server of the demo: a process of this program, which does not outlive the demo.

use crate::grpc::client::{Client, RolloutInfo};
use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// Time for a server to listen, to serve, and to stop (chosen: ten times what the slowest takes).
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two polls.
const LOOK: Duration = Duration::from_millis(20);

/// What differs from the defaults: free ports, frequent reports, no drain delay, and no shedding. A model is
/// trained on all cores beside the servers, and rejected calls are not this demo's subject.
const SETTINGS: [(&str, &str); 10] = [
    ("wait-max-ms", "10000"),
    ("data-addr", "127.0.0.1:0"),
    ("admin-addr", "127.0.0.1:0"),
    ("http-addr", "127.0.0.1:0"),
    ("data-threads", "1"),
    ("replica-interval-ms", "500"),
    ("replica-lost-ms", "3000"),
    ("drain-delay-ms", "0"),
    ("log-format", "json"),
    ("log-level", "info"),
];

/// A running server. Dropped, it is killed and waited for.
pub(super) struct Replica {
    name: &'static str,
    /// Client of its admin listener.
    pub(super) admin: Client,
    /// Its data listener.
    pub(super) data: SocketAddr,
    process: Process,
}

impl Replica {
    /// Starts it on the registry of this folder and waits until it listens. One name has one cache folder.
    pub(super) async fn start(name: &'static str, dir: &Path) -> anyhow::Result<Self> {
        let dir = std::path::absolute(dir)?;
        let log = dir.join("logs").join(format!("{name}.log"));
        let said_before = std::fs::metadata(&log).map_or(0, |file| file.len());
        let mut process = Process::spawn(name, (&dir, &log)).with_context(|| name.to_owned())?;
        let end = Instant::now() + PATIENCE;
        let listening = loop {
            if let Some(line) = listening(&log, said_before)? {
                break line;
            }
            let ended = process.0.try_wait()?;
            let is_there = ended.is_none() && Instant::now() < end;
            anyhow::ensure!(is_there, "{name} does not listen; see {}", log.display());
            tokio::time::sleep(LOOK).await;
        };
        let address = |key: &str| listening[key].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            name,
            admin: Client::connect(&address("admin")).await?,
            data: address("data").parse().context("its address")?,
            process,
        })
    }

    /// Of the process.
    pub(super) fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// A client of its data listener.
    pub(super) async fn caller(&self) -> anyhow::Result<Client> {
        Ok(Client::connect(&self.data.to_string()).await?)
    }

    /// The rollout that it serves, if any.
    pub(super) async fn live(&self) -> anyhow::Result<Option<RolloutInfo>> {
        Ok(self.admin.status("").await?.live)
    }

    /// Waits until it serves a version.
    pub(super) async fn until_live(&self) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        while self.live().await?.is_none() {
            anyhow::ensure!(Instant::now() < end, "{} serves nothing", self.name);
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// SIGKILL: it does not drain.
    pub(super) fn kill(mut self) -> anyhow::Result<()> {
        self.process.0.kill()?;
        self.process.0.wait()?;
        Ok(())
    }

    /// SIGTERM: it drains and exits.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.process.0), Signal::TERM)?;
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.0.try_wait()? {
                anyhow::ensure!(status.success(), "{} ended with {status}", self.name);
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < end, "{} does not stop", self.name);
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The log line, from this byte on, that says where it listens.
fn listening(log: &Path, from: u64) -> anyhow::Result<Option<Value>> {
    let text = std::fs::read(log).with_context(|| log.display().to_string())?;
    let new = text.get(from as usize..).unwrap_or_default();
    let mut lines = new.split(|byte| *byte == b'\n');
    let found = lines.find_map(|line| {
        let line: Value = serde_json::from_slice(line).ok()?;
        (line["message"] == "listening").then_some(line)
    });
    Ok(found)
}

/// Dropped, it is killed and waited for, however the demo ends.
struct Process(Child);

impl Process {
    fn spawn(name: &str, (dir, log): (&Path, &PathBuf)) -> anyhow::Result<Self> {
        let log = File::options().append(true).create(true).open(log)?;
        let mut command = Command::new(std::env::current_exe()?);
        // The user's environment must not change the demo.
        command.env_clear().arg("serve").args(["--replica", name]);
        let registry = format!("file://{}", dir.join("registry").display());
        command.arg("--registry").arg(registry);
        command.arg("--cache-dir").arg(dir.join("cache").join(name));
        for (key, value) in SETTINGS {
            command.arg(format!("--{key}")).arg(value);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(Self(command.stderr(log).spawn()?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where it has ended and was waited for, both do nothing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
