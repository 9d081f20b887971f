//! Reloads one version after the other, as an operator does.

use crate::serving::server::Server;
use anyhow::Context;
use hotshelf::grpc::client::{Client, ReloadAsk};
use std::time::{Duration, Instant};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two polls of the status (chosen: too rare to load the server).
const LOOK: Duration = Duration::from_millis(10);

pub(crate) struct Operator {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Operator {
    pub(crate) fn of(server: &Server) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let client = runtime.block_on(Client::connect(&server.admin.to_string()))?;
        Ok(Self { runtime, client })
    }

    /// The version that answers.
    pub(crate) fn live(&self) -> anyhow::Result<u64> {
        let status = self.runtime.block_on(self.client.status(""))?;
        let live = status.live.context("nothing is live")?;
        Ok(live.arms.first().context("a rollout without arms")?.version)
    }

    /// Makes a version live and returns once the one before it has left memory.
    pub(crate) fn swap_to(&self, version: u64) -> anyhow::Result<()> {
        let ask = ReloadAsk {
            version: Some(version),
            author: "bench".to_owned(),
            reason: "measured".to_owned(),
            timeout: PATIENCE,
            ..ReloadAsk::default()
        };
        self.runtime.block_on(async {
            let done = self.client.reload(ask).await?;
            anyhow::ensure!(done.changed, "version {version} was live already");
            let end = Instant::now() + PATIENCE;
            loop {
                let status = self.client.status("").await?;
                let is_leaving = status.versions.iter().any(|one| one.state == "draining");
                if !is_leaving {
                    return Ok(());
                }
                anyhow::ensure!(Instant::now() < end, "the old version never left memory");
                tokio::time::sleep(LOOK).await;
            }
        })
    }
}
