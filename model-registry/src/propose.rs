//! Writing a rollout: the one way to change what is served.

use crate::limits::{NUMBER_TRIES_MAX, ROLLOUT_BYTES_MAX};
use crate::rollout::described;
use crate::rollout_log::Broken;
use crate::store::Created;
use crate::{
    Error, FORMAT, Registry, RolloutDraft, RolloutLog, RolloutNumber, RolloutRecord, Sha256Digest,
    json,
};
use object_store::path::Path;

/// The outcome of a proposal.
#[derive(Clone, Debug, PartialEq)]
pub enum Proposed {
    /// It is the desired state.
    Created(RolloutRecord),
    /// Another record came first; nothing was written. The other writer's record is here.
    Lost(RolloutRecord),
}

impl Registry {
    /// Writes `draft` over the log's head, under the next free number.
    ///
    /// A number taken by a record that chains ends the proposal: the decision was made over a head that
    /// is outdated. A number taken by junk is skipped. The log does not change; its next poll reads the
    /// new record.
    ///
    /// # Errors
    /// [`Error::Invalid`] before anything is written; those of [`Registry::verify_conditional_writes`];
    /// [`Error::Unavailable`]: the record may have been written all the same, and a poll shows it;
    /// [`Error::Contended`].
    pub async fn propose(&self, log: &RolloutLog, draft: RolloutDraft) -> Result<Proposed, Error> {
        draft.check()?;
        self.verify_conditional_writes().await?;
        let RolloutDraft {
            arms,
            ramp,
            salt,
            author,
            reason,
        } = draft;
        let salt = salt.map_or_else(|| self.store().random.salt(), Ok)?;
        let mut record = RolloutRecord {
            format: FORMAT,
            model: log.model().clone(),
            number: RolloutNumber::FIRST,
            parent: log.head().map(RolloutRecord::as_parent),
            nonce: self.store().random.nonce()?,
            arms,
            ramp,
            salt,
            author,
            reason,
            created_at: self.clock().now_text(),
            sha256: Sha256Digest::none(),
            accepted_at: None,
        };
        let mut next = log.next_number();
        for _ in 0..NUMBER_TRIES_MAX {
            let Some(number) = next else { break };
            record.number = number;
            if let Some(ended) = self.try_number(log, &mut record).await? {
                return Ok(ended);
            }
            next = RolloutNumber::new(number.get() + 1);
        }
        let what = format!("proposing a rollout of {}", record.model);
        if next.is_none() {
            let limit = "every number after it is beyond 2^53 − 1; remove that record to go on";
            let head = log.head().map_or(0, |head| head.number.get());
            return Err(Error::invalid("rollout", &head.to_string(), limit));
        }
        Err(Error::Contended {
            what,
            tries: NUMBER_TRIES_MAX,
        })
    }

    /// Creates the record under its number; `None` if junk stands there.
    async fn try_number(
        &self,
        log: &RolloutLog,
        record: &mut RolloutRecord,
    ) -> Result<Option<Proposed>, Error> {
        let number = record.number;
        let bytes = json::write(record);
        if bytes.len() as u64 > ROLLOUT_BYTES_MAX {
            let what = format!("size of {}", described(&record.model, number));
            let found = bytes.len() as u64;
            return Err(Error::TooLarge {
                what,
                found,
                limit: ROLLOUT_BYTES_MAX,
            });
        }
        record.sha256 = Sha256Digest::of(&bytes);
        let path = self.layout().rollout(&record.model, number);
        let what = described(&record.model, number);
        match self.store().create(&what, &path, &bytes).await? {
            Created::Yes => Ok(Some(Proposed::Created(
                self.dated(&what, &path, record).await,
            ))),
            Created::Conflict => match self.conflicting_record(log, number).await? {
                Some(Ok(chain)) => Ok(chain.into_iter().next().map(|stored| {
                    let is_ours = stored.nonce == record.nonce;
                    if is_ours {
                        Proposed::Created(stored)
                    } else {
                        Proposed::Lost(stored)
                    }
                })),
                Some(Err(broken)) => {
                    tracing::warn!(%number, why = broken.why, "rollout record skipped");
                    Ok(None)
                }
                // Refused because it exists, and yet it cannot be read: no reason to write elsewhere.
                None => Err(Error::Unavailable {
                    what: format!("creating {what}"),
                    source: "the create was refused and yet there is no record".into(),
                }),
            },
        }
    }

    /// A created record with the store's time of it, where that matters.
    async fn dated(&self, what: &str, path: &Path, record: &RolloutRecord) -> RolloutRecord {
        let record = record.clone();
        if record.ramp.is_none() {
            return record;
        }
        match self.store().modified(what, path).await {
            Ok(Some(at)) => record.accepted_at(at),
            // Every reader finds it out by itself.
            Ok(None) | Err(_) => record,
        }
    }

    /// The record under a number whose create was refused. Read as often as any call is tried: a store may
    /// refuse a create because another one is in flight, and show that one a moment later.
    async fn conflicting_record(
        &self,
        log: &RolloutLog,
        number: RolloutNumber,
    ) -> Result<Option<Result<Vec<RolloutRecord>, Broken>>, Error> {
        let retry = &self.limits().retry;
        let mut backoff = retry.backoff;
        for _ in 1..retry.tries {
            let found = log.read_conflicting(number).await?;
            if found.is_some() {
                return Ok(found);
            }
            tokio::time::sleep(self.store().random.around(backoff)).await;
            backoff = (backoff * 2).min(retry.backoff_max);
        }
        log.read_conflicting(number).await
    }
}
