//! What a running server holds of the machine.

use super::server::Server;
use super::wait::until;

/// Descriptors and memory at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holding {
    pub(crate) descriptors: usize,
    pub(crate) anonymous_bytes: u64,
}

impl Server {
    pub(crate) fn holding(&self) -> Holding {
        let proc = format!("/proc/{}", self.pid());
        let status = std::fs::read_to_string(format!("{proc}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:"));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        Holding {
            descriptors: std::fs::read_dir(format!("{proc}/fd")).unwrap().count(),
            anonymous_bytes: kib.parse::<u64>().unwrap() * 1024,
        }
    }

    /// Waits until as few descriptors are open as before, and memory is within `slack` of it.
    pub(crate) async fn until_back_to(&self, before: Holding, slack: u64) {
        until("memory and descriptors as before", async || {
            let now = self.holding();
            let is_back = now.descriptors <= before.descriptors
                && now.anonymous_bytes <= before.anonymous_bytes + slack;
            is_back.then_some(())
        })
        .await;
    }
}
