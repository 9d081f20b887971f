//! The two servers as processes, and the processor time that the kernel books on them.

use crate::load::{self, Asked, Shape};
use crate::serving::arguments::Arguments;
use crate::serving::server::{Server, cpu_us};
use anyhow::Context;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// The measured server on the registry in `folder`, with version 1 live, with or without its response cache.
pub(crate) fn hotshelf(folder: &Path, is_cached: bool) -> anyhow::Result<Server> {
    Server::start(folder, &settings(is_cached))
}

/// The program of `--beside`, if there is one, on the same registry.
pub(crate) fn beside(folder: &Path, is_cached: bool) -> anyhow::Result<Option<Server>> {
    let arguments = Arguments::given();
    let Some(program) = arguments.after("--beside") else {
        return Ok(None);
    };
    let program = program.context("--beside: a program is missing")?;
    let cache = folder.join("cache-beside").display().to_string();
    let cache = ("cache-dir", cache.as_str());
    let settings: Vec<_> = settings(is_cached).into_iter().chain([cache]).collect();
    Server::start_program(program, folder, &settings).map(Some)
}

fn settings(is_cached: bool) -> [(&'static str, &'static str); 2] {
    let bytes = if is_cached { "67108864" } else { "0" };
    // Ten minutes: nothing expires while it is measured.
    [("cache-ttl-ms", "600000"), ("cache-bytes-max", bytes)]
}

/// A server's process and address.
pub(crate) fn measured(server: &Server) -> Measured {
    Measured {
        process: server.id(),
        address: server.data,
    }
}

/// This same program as the constant server; ends with its value.
pub(crate) struct Constant {
    child: Child,
    address: SocketAddr,
}

impl Constant {
    pub(crate) fn start(folder: &Path, answer: &[u8]) -> anyhow::Result<Self> {
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

    pub(crate) fn measured(&self) -> Measured {
        Measured {
            process: self.child.id(),
            address: self.address,
        }
    }
}

impl Drop for Constant {
    fn drop(&mut self) {
        // A process that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Either of them.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) process: u32,
    pub(crate) address: SocketAddr,
}

impl Measured {
    /// Processor time, user and system, per request of this load.
    pub(crate) fn cpu_us_per_request(
        self,
        shape: &Shape,
        asked: &Arc<Asked>,
        requests: usize,
    ) -> anyhow::Result<f64> {
        // Warms all caches: every user is asked for once before.
        let warming = asked.users.len().max(requests / 10);
        load::run(self.address, shape, asked, warming)?;
        let before = cpu_us(self.process)?;
        load::run(self.address, shape, asked, requests)?;
        Ok((cpu_us(self.process)? - before) / requests as f64)
    }
}
