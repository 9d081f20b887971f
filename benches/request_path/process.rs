//! The two servers as processes, and the processor time that the kernel books on them.

use crate::load::{self, Asked, Shape};
use anyhow::Context;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// A server that ends with its value.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// The built server on the registry in `folder`, with version 1 live, that keeps its answers or
    /// computes every one.
    pub(crate) fn hotshelf(folder: &Path, is_cached: bool) -> anyhow::Result<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hotshelf"))
            .arg("serve")
            .args([
                "--registry",
                &format!("file://{}", folder.join("registry").display()),
            ])
            .args(["--cache-dir", &folder.join("cache").display().to_string()])
            .args(["--data-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"])
            .args(["--http-addr", "127.0.0.1:0", "--log-format", "json"])
            // Ten minutes: nothing expires while it is measured.
            .args(["--cache-ttl-ms", "600000"])
            .args([
                "--cache-bytes-max",
                if is_cached { "67108864" } else { "0" },
            ])
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().context("stderr is piped")?;
        let mut lines = BufReader::new(stderr).lines();
        let mut listening = None;
        for line in lines.by_ref() {
            let line: serde_json::Value = serde_json::from_str(&line?)?;
            match line["message"].as_str() {
                Some("listening") => listening = line["data"].as_str().map(str::parse),
                Some("ready") => break,
                _ => {}
            }
        }
        // The pipe stays drained, so that the server never waits for its log.
        std::thread::Builder::new().spawn(move || lines.for_each(drop))?;
        Ok(Self {
            child,
            address: listening.context("no address in the log")??,
        })
    }

    /// This same program as the constant server.
    pub(crate) fn constant(folder: &Path, answer: &[u8]) -> anyhow::Result<Self> {
        let file = folder.join("answer.bin");
        std::fs::write(&file, answer)?;
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command
            .arg("--baseline")
            .arg(file)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("stdout is piped")?;
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(Self {
            child,
            address: line.trim().parse()?,
        })
    }

    /// Processor time, user and system, per request of a run of this shape.
    pub(crate) fn cpu_us_per_request(
        &self,
        shape: &Shape,
        asked: &Arc<Asked>,
        requests: usize,
    ) -> anyhow::Result<f64> {
        // Warms caches, ours among them: everybody has been asked for before.
        let warming = asked.users.len().max(requests / 10);
        load::run(self.address, shape, asked, warming)?;
        let before = self.cpu_us()?;
        load::run(self.address, shape, asked, requests)?;
        Ok((self.cpu_us()? - before) / requests as f64)
    }

    /// In microseconds, over all threads, to the nanosecond: `schedstat` of each.
    fn cpu_us(&self) -> anyhow::Result<f64> {
        let mut nanos = 0_u64;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            nanos += text
                .split(' ')
                .next()
                .context("an empty schedstat")?
                .parse::<u64>()?;
        }
        Ok(nanos as f64 / 1e3)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor's name.
pub(crate) fn cpu_kind() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find(|line| line.starts_with("model name"));
    let name = line
        .and_then(|line| line.split(": ").nth(1))
        .unwrap_or("unknown processor");
    let is_wide = info.contains("avx512f");
    format!("{name}{}", if is_wide { " with AVX-512" } else { "" })
}
