//! Whether this server can record rollouts: its store honours conditional writes, and its credentials
//! allow them. Probed in the background, so that serving and following do not wait for it.

use crate::error::with_causes;
use crate::jitter::jittered;
use crate::metrics::Metrics;
use crate::supervisor::Supervised;
use hotshelf_registry::Registry;
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// First wait before the next probe (chosen: the watch reports an outage meanwhile).
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// Longest wait (chosen: newly granted rights are detected within two minutes).
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The state of write access; `proven` and `unproven` on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WriteAccess {
    /// The store was not reached yet, or has no model.
    #[default]
    Unverified,
    /// Rollouts can be recorded.
    Verified,
    /// They are refused, and why. Serving and following continue.
    Refused(String),
}

impl fmt::Display for WriteAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unverified => f.write_str("unproven"),
            Self::Verified => f.write_str("proven"),
            Self::Refused(why) => write!(f, "refused: {why}"),
        }
    }
}

/// Probes until the answer is final: while the store is down and while the credentials may only read. A store
/// that does not honour conditional writes is not probed again.
pub(super) struct WriteProbe {
    pub registry: Registry,
    pub metrics: Arc<Metrics>,
    pub access: watch::Sender<WriteAccess>,
    pub jitter: ChaCha8Rng,
}

impl Supervised for WriteProbe {
    async fn run(&mut self, stop: &CancellationToken) {
        let mut pause = PAUSE_FIRST;
        loop {
            let Some(outcome) = stop.run_until_cancelled(self.probe()).await else {
                return;
            };
            let (now, is_settled) = match outcome {
                Ok(true) => (WriteAccess::Verified, true),
                Ok(false) => (WriteAccess::Unverified, false),
                Err(error) if error.is_retryable() => (WriteAccess::Unverified, false),
                Err(error) => {
                    let is_settled =
                        matches!(error, hotshelf_registry::Error::NoConditionalWrites { .. });
                    (WriteAccess::Refused(with_causes(&error)), is_settled)
                }
            };
            self.set(now);
            if is_settled {
                return stop.cancelled().await;
            }
            let waited = tokio::time::sleep(jittered(pause, &mut self.jitter));
            if stop.run_until_cancelled(waited).await.is_none() {
                return;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

impl WriteProbe {
    /// False while the registry has no model. There is no rollout to record in an empty one, and a probe
    /// must not recreate a folder that is unmounted for the moment.
    async fn probe(&self) -> Result<bool, hotshelf_registry::Error> {
        if self.registry.models().await?.is_empty() {
            return Ok(false);
        }
        self.registry.verify_conditional_writes().await?;
        Ok(true)
    }

    /// Reports each change once; the text of a refusal differs from try to try.
    fn set(&self, now: WriteAccess) {
        let before = self.access.borrow().clone();
        if std::mem::discriminant(&before) == std::mem::discriminant(&now) {
            return;
        }
        let family = &self.metrics.lifecycle.registry_writable;
        let no_labels: [&str; 0] = [];
        family
            .with_label_values(&no_labels)
            .set(i64::from(now == WriteAccess::Verified));
        match &now {
            WriteAccess::Refused(why) => tracing::warn!(
                why,
                "registry is read-only for this server, which cannot record rollouts"
            ),
            WriteAccess::Verified => tracing::info!("registry write access verified"),
            WriteAccess::Unverified => tracing::warn!("cannot verify registry write access"),
        }
        self.access.send_replace(now);
    }
}
