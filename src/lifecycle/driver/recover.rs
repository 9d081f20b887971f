//! A driver that was restarted: what is live stays live, and everything else begins anew.
//!
//! The manager's state is not trusted after a panic. A new one starts with the live rollout, which requests go
//! on using, and learns from the watch again what the registry wants.

use super::{DRAIN_CHECK, Driver, Input};
use crate::lifecycle::event::Reply;
use crate::lifecycle::handle::WatchReport;
use crate::lifecycle::manager::ModelManager;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

impl Driver {
    /// Returns once no thread of the run before is at work: one load of a model runs at a time, and the
    /// answers of those threads belong to the past.
    pub(super) async fn recover(&mut self, stop: &CancellationToken) {
        for (_, caller) in std::mem::take(&mut self.tickets) {
            reject(caller);
        }
        while self.workers.iter().any(|worker| !worker.is_finished()) {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(DRAIN_CHECK) => {}
                Some(input) = self.inputs.recv() => discard(input),
            }
        }
        while let Ok(input) = self.inputs.try_recv() {
            discard(input);
        }
        let live = self.handle.slot.live.load_full();
        let is_live = |version| {
            let mut arms = live.iter().flat_map(|live| live.arms());
            arms.any(|arm| arm.loaded.version == version)
        };
        let past = self
            .resident
            .extract_if(.., |version, _| !is_live(*version));
        self.draining.extend(past);
        for arm in live.iter().flat_map(|live| live.arms()) {
            let version = arm.loaded.version;
            self.resident.insert(version, Arc::clone(&arm.loaded));
        }
        self.freeing = 0;
        let draining = self.draining.iter().map(|(version, _)| *version);
        let status = self.handle.status.load();
        self.manager = ModelManager::resumed(
            self.manager.policy().clone(),
            (live.as_deref(), draining.collect()),
            &status.manager,
        );
        self.report = WatchReport::default();
        // Waits for the watch where that is being restarted, too.
        self.repeat.notify_one();
    }
}

/// Drops what a thread or the watch sent to the run before.
fn discard(input: Input) {
    if let Input::Propose(_, caller) = input {
        reject(caller);
    }
}

fn reject(caller: oneshot::Sender<Reply>) {
    let reply = Reply::NotRecorded {
        is_retryable: true,
        message:
            "the task that manages the model failed and was restarted; see which rollout is the \
                  newest, and try again"
                .to_owned(),
    };
    // The caller may have gone.
    let _ = caller.send(reply);
}
