//! Whether this server may record rollouts: its store keeps create-only writes, and its credentials
//! allow them. Found out in the background, so that serving and following wait for neither.

use crate::error::with_causes;
use crate::jitter::jittered;
use crate::metrics::Metrics;
use hotshelf_registry::Registry;
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// First wait before the store is asked again (chosen: the watch tells of an outage meanwhile).
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// Longest wait (chosen: rights that were granted are noticed within two minutes).
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WriteAccess {
    /// The store has not been reached yet, or has no model in it.
    #[default]
    Unverified,
    /// Rollouts can be recorded.
    Verified,
    /// They are refused, and why. Serving and following go on.
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

/// Asks until the answer cannot change any more: while the store is down and while the credentials
/// may only read. A store that keeps no condition is not asked again.
pub(super) struct WriteProbe {
    pub registry: Registry,
    pub metrics: Arc<Metrics>,
    pub access: watch::Sender<WriteAccess>,
    pub jitter: ChaCha8Rng,
}

impl WriteProbe {
    /// Runs until then or until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut pause = PAUSE_FIRST;
        loop {
            let Some(outcome) = stop.run_until_cancelled(self.prove()).await else {
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
            self.tell(now);
            if is_settled {
                return;
            }
            let waited = tokio::time::sleep(jittered(pause, &mut self.jitter));
            if stop.run_until_cancelled(waited).await.is_none() {
                return;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// False while the registry has no model. There is no rollout to record in an empty one, and a
    /// folder that is away for the moment must not be made anew by looking at it.
    async fn prove(&self) -> Result<bool, hotshelf_registry::Error> {
        if self.registry.models().await?.is_empty() {
            return Ok(false);
        }
        self.registry.verify_conditional_writes().await?;
        Ok(true)
    }

    /// Once for each change; the words of a refusal differ from try to try.
    fn tell(&self, now: WriteAccess) {
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
                "the registry is only read: rollouts cannot be recorded by this server"
            ),
            WriteAccess::Verified => tracing::info!("the registry keeps create-only writes"),
            WriteAccess::Unverified => tracing::warn!("the registry cannot be reached for writing"),
        }
        self.access.send_replace(now);
    }
}
