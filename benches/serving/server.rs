//! The measured server as a process, and the kernel's figures of it.

#![allow(
    dead_code,
    reason = "each bench uses what it measures of this; the compiler sees one bench at a time"
)]

use super::arguments::Arguments;
use anyhow::Context;
use rustix::thread::CpuSet;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server that ends with its value.
pub(crate) struct Server {
    child: Child,
    pub(crate) data: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) http: SocketAddr,
}

/// Memory of the process, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Pages that no file backs.
    pub(crate) anonymous: u64,
    /// Pages of files: the program's own text.
    pub(crate) file: u64,
    /// Peak of both together since [`Server::forget_peak`].
    pub(crate) peak: u64,
}

impl Server {
    /// The built server on the registry in `folder`; returns when a version is live.
    pub(crate) fn start(folder: &Path, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_program(&program(), folder, settings)
    }

    /// The same by another program.
    pub(crate) fn start_program(
        program: &str,
        folder: &Path,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        Self::start_until("ready", program, (folder, settings))
    }

    /// The same with an empty registry.
    pub(crate) fn start_idle(folder: &Path, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_until("listening", &program(), (folder, settings))
    }

    /// Returns when the log has this message.
    fn start_until(
        said: &str,
        program: &str,
        (folder, settings): (&Path, &[(&str, &str)]),
    ) -> anyhow::Result<Self> {
        let cache = folder.join("cache").display().to_string();
        let has_cache = settings.iter().any(|(flag, _)| *flag == "cache-dir");
        let cache = (!has_cache).then_some(["--cache-dir", &cache]);
        let mut command = Command::new(program);
        command
            .arg("serve")
            .args([
                "--registry",
                &format!("file://{}", folder.join("registry").display()),
            ])
            .args(cache.into_iter().flatten())
            .args(["--data-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"])
            .args(["--http-addr", "127.0.0.1:0", "--log-format", "json"])
            // An hour: no connection reaches its age while it is measured.
            .args(["--connection-age-ms", "3600000"])
            // Every swap loads its version, also one back.
            .args(["--previous-version", "free"]);
        for (flag, value) in settings {
            command.arg(format!("--{flag}")).arg(value);
        }
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().context("stderr is piped")?;
        let mut lines = BufReader::new(stderr).lines();
        let mut listening = None;
        for line in lines.by_ref() {
            let line: serde_json::Value = serde_json::from_str(&line?)?;
            let message = line["message"].as_str().unwrap_or_default().to_owned();
            if message == "listening" {
                listening = Some(line);
            }
            if message == said {
                break;
            }
        }
        // The pipe stays drained, so that the server never waits for its log.
        std::thread::Builder::new().spawn(move || lines.for_each(drop))?;
        let listening = listening.context("the server ended before it listened")?;
        let address = |key: &str| -> anyhow::Result<SocketAddr> {
            let text = listening[key].as_str();
            Ok(text.context("no address in the log")?.parse()?)
        };
        let (data, admin, http) = (address("data")?, address("admin")?, address("http")?);
        Ok(Self {
            child,
            data,
            admin,
            http,
        })
    }

    /// The same with one core to itself, the first; the calling thread and those that it starts keep
    /// to the others. On a machine with one core both share it.
    pub(crate) fn start_apart(folder: &Path, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let (mut first, mut others) = (CpuSet::new(), CpuSet::new());
        first.set(0);
        let cores = std::thread::available_parallelism()?.get();
        (1..cores).for_each(|core| others.set(core));
        if cores > 1 {
            rustix::thread::sched_setaffinity(None, &first)?;
        }
        let started = Self::start(folder, settings);
        if cores > 1 {
            rustix::thread::sched_setaffinity(None, &others)?;
        }
        started
    }

    /// Calls that its data listener has answered, by the name of their code.
    pub(crate) fn calls_by_code(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut stream = TcpStream::connect(self.http)?;
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
            self.http
        )?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        let mut calls = BTreeMap::new();
        let of_data = |line: &&str| {
            line.starts_with("hotshelf_grpc_calls_total{") && line.contains("listener=\"data\"")
        };
        for line in page.lines().filter(of_data) {
            let code = line
                .split_once("code=\"")
                .and_then(|(_, rest)| rest.split_once('"'));
            let (code, _) = code.with_context(|| format!("no code in {line}"))?;
            let count = line
                .rsplit(' ')
                .next()
                .context("an empty line")?
                .parse::<f64>()?;
            *calls.entry(code.to_owned()).or_default() += count as u64;
        }
        Ok(calls)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let bytes = |key: &str| -> anyhow::Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let value = line.and_then(|line| line.split_whitespace().next());
            Ok(value.with_context(|| format!("no {key}"))?.parse::<u64>()? << 10)
        };
        Ok(Memory {
            anonymous: bytes("RssAnon:")?,
            file: bytes("RssFile:")? + bytes("RssShmem:")?,
            peak: bytes("VmHWM:")?,
        })
    }

    /// Resets [`Memory::peak`].
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        // 5 resets the high-water mark (proc(5), clear_refs).
        Ok(std::fs::write(
            format!("/proc/{}/clear_refs", self.id()),
            "5",
        )?)
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.id()))?.count())
    }

    pub(crate) fn threads(&self) -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/task", self.id()))?.count())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The measured server: this build's, or the program behind `--server`, such as one of an earlier commit.
fn program() -> String {
    let given = Arguments::given();
    let given = given.after("--server").flatten();
    given.unwrap_or(env!("CARGO_BIN_EXE_hotshelf")).to_owned()
}

/// Processor time of a process, user and system, in microseconds, over all threads that live, to the
/// nanosecond: `schedstat` of each.
pub(crate) fn cpu_us(process: u32) -> anyhow::Result<f64> {
    let mut nanos = 0_u64;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += text
            .split(' ')
            .next()
            .context("an empty schedstat")?
            .parse::<u64>()?;
    }
    Ok(nanos as f64 / 1e3)
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
