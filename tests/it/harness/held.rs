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
        let process = format!("/proc/{}", self.id());
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        let count = |folder: &str| {
            let entries = std::fs::read_dir(format!("{process}/{folder}")).unwrap();
            entries.count()
        };
        Held {
            anonymous: kib.unwrap().parse::<u64>().unwrap() << 10,
            descriptors: count("fd"),
            threads: count("task"),
        }
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
