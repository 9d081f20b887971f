//! What a server's process holds, as the kernel counts it.

use super::server::Server;
use super::wait::until;

/// Memory, descriptors and threads of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Bytes of pages that no file backs.
    pub(crate) anonymous: u64,
    /// Open descriptors.
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

impl Server {
    /// What it holds now.
    pub(crate) fn held(&self) -> Held {
        let count = |folder: &str| {
            let entries = std::fs::read_dir(format!("/proc/{}/{folder}", self.id())).unwrap();
            entries.count()
        };
        Held {
            anonymous: self.memory_bytes("RssAnon:"),
            descriptors: count("fd"),
            threads: count("task"),
        }
    }

    /// The most that was in memory at once so far.
    pub(crate) fn peak_memory_bytes(&self) -> u64 {
        self.memory_bytes("VmHWM:")
    }

    /// The most addresses that it had at once so far, whether it touched what is behind them or not.
    pub(crate) fn peak_address_bytes(&self) -> u64 {
        self.memory_bytes("VmPeak:")
    }

    /// A line of its status that is in kB.
    fn memory_bytes(&self, line: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let found = status.lines().find_map(|text| text.strip_prefix(line));
        let kib = found.and_then(|rest| rest.split_whitespace().next());
        kib.unwrap().parse::<u64>().unwrap() << 10
    }

    /// Waits until as few descriptors are open as then, and memory is within `slack` bytes of it.
    pub(crate) async fn until_back_to(&self, then: Held, slack: u64) {
        until("memory and descriptors as before", async || {
            let now = self.held();
            let is_back =
                now.descriptors <= then.descriptors && now.anonymous <= then.anonymous + slack;
            is_back.then_some(())
        })
        .await;
    }
}
