//! What ReloadModel and ProposeRollout share: a proposal on its way to the model's driver, and what
//! its reply means for the caller.

use super::Operations;
use crate::error::CallError;
use crate::lifecycle::{Input, ModelHandle, Proposal, Reply};
use hotshelf_registry::Version;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Left of the caller's deadline to answer with the state so far.
const ANSWER_MARGIN: Duration = Duration::from_millis(50);

impl Operations {
    /// Hands a proposal to the driver and waits for its reply; `None` if `until` comes first.
    pub(super) async fn settled(
        &self,
        handle: &ModelHandle,
        proposal: Proposal,
        until: Instant,
    ) -> Result<Option<Reply>, CallError> {
        let (sender, receiver) = oneshot::channel();
        let replied = async {
            let sent = handle.inputs.send(Input::Propose(proposal, sender)).await;
            sent.map_err(|_| CallError::ShuttingDown)?;
            receiver.await.map_err(|_| CallError::ShuttingDown)
        };
        match tokio::time::timeout_at(until.into(), replied).await {
            Ok(reply) => reply.map(Some),
            Err(_) => Ok(None),
        }
    }
}

/// When to answer with the state so far.
pub(super) fn deadline_or(deadline: Option<Instant>, longest: Duration) -> Instant {
    deadline.map_or_else(
        || Instant::now() + longest,
        |deadline| deadline.checked_sub(ANSWER_MARGIN).unwrap_or(deadline),
    )
}

/// The version with the largest share now.
pub(super) fn live_version(handle: &ModelHandle) -> Option<u64> {
    let snapshot = handle.slot.live.load();
    let main = snapshot
        .as_ref()
        .and_then(|live| live.record.main_version(live.candidate_bp()));
    main.map(Version::get)
}

/// The error that a caller sees where the driver did not do what was proposed.
pub(super) fn refusal(handle: &ModelHandle, reply: Reply) -> CallError {
    match reply {
        Reply::Unchanged | Reply::Changed { .. } => {
            CallError::Internal("a proposal that was granted is no refusal")
        }
        Reply::Refused(error) => {
            let live = live_version(handle);
            let serving = live.map_or("nothing is live".to_owned(), |v| {
                format!("version {v} keeps serving")
            });
            let message = format!("{} ({serving})", error.message);
            CallError::VersionRefused {
                kind: error.kind.as_str(),
                message,
            }
        }
        Reply::NotExpected { newest } => CallError::RolloutNotExpected(match newest {
            Some(newest) => format!(
                "expected_rollout: the newest rollout is {}; pass its number to replace it",
                newest.in_words()
            ),
            None => "expected_rollout: there is no rollout yet; pass 0".to_owned(),
        }),
        Reply::Impossible(why) => CallError::RolloutImpossible(why),
        Reply::Aborted { winner } => {
            CallError::RolloutLost(format!("another writer was first: {}", winner.in_words()))
        }
        Reply::NotRecorded {
            is_retryable: true,
            message,
        } => CallError::StoreUnavailable(message),
        Reply::NotRecorded {
            is_retryable: false,
            message,
        } => CallError::StoreReadOnly(message),
        Reply::TooMany { .. } => CallError::Overloaded { pushback_ms: 1_000 },
    }
}
