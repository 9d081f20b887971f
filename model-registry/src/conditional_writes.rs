//! The test before the first write: does this store honour conditional writes?
//!
//! Two publishers or two operators are kept apart by one property alone: of many creates of one object
//! exactly one succeeds. Some servers accept the condition and ignore it, others check and then write.
//! So each process tests it once, under a prefix that no model can have.

use crate::store::Created;
use crate::{Error, Registry};
use bytes::Bytes;
use futures::future::join_all;
use object_store::path::Path;

/// Creates of one object that run against each other (chosen: as many as the S3 client keeps
/// connections, so that from the second round on none waits for one).
const RACERS: usize = 16;
/// Largest test object, in bytes.
const PROBE_BYTES_MAX: u64 = 1_024;

/// The outcome of a test that ran to its end.
type Verdict = Result<(), String>;

impl Registry {
    /// Verifies that the store honours conditional writes: once per registry handle and its clones;
    /// every write calls it. Leaves nothing behind where deleting is allowed.
    ///
    /// Costs 5 small calls and 18 for each round of [`crate::Limits::race_rounds`] the first time,
    /// nothing afterwards. A store that failed the test is not tested again; one that could not be
    /// reached is.
    ///
    /// # Errors
    /// [`Error::NoConditionalWrites`], [`Error::ReadOnly`], [`Error::Unavailable`].
    pub async fn verify_conditional_writes(&self) -> Result<(), Error> {
        let verdict = self
            .conditional_writes()
            .get_or_try_init(|| self.test_conditional_writes())
            .await?;
        verdict
            .clone()
            .map_err(|why| Error::NoConditionalWrites { why })
    }

    async fn test_conditional_writes(&self) -> Result<Verdict, Error> {
        let path = self.probe_path()?;
        let mut verdict = self.create_twice(&path).await;
        self.clear(&path, &verdict).await;
        for _ in 0..self.limits().race_rounds {
            if !matches!(verdict, Ok(Ok(()))) {
                break;
            }
            let path = self.probe_path()?;
            verdict = self.race(&path).await;
            self.clear(&path, &verdict).await;
        }
        verdict
    }

    fn probe_path(&self) -> Result<Path, Error> {
        let nonce = self.store().random.nonce()?;
        Ok(self.layout().write_probe(nonce))
    }

    /// A store that failed or refused receives no further call.
    async fn clear(&self, path: &Path, verdict: &Result<Verdict, Error>) {
        if verdict.is_err() {
            return;
        }
        if let Err(error) = self.store().delete("the test object", path).await {
            // Writing may be allowed where deleting is not; the object does no harm.
            tracing::warn!(error = error.with_causes(), %path, "cannot delete the test object");
        }
    }

    /// A second create of an object must be refused and must not change it.
    async fn create_twice(&self, path: &Path) -> Result<Verdict, Error> {
        let first = Bytes::from_static(b"first");
        // A conflict here is the answer to our own create, lost and tried again; the bytes tell.
        self.store().create("the test object", path, &first).await?;
        let second = Bytes::from_static(b"second");
        let again = self
            .store()
            .create("the test object", path, &second)
            .await?;
        let stored = self
            .store()
            .read("the test object", path, PROBE_BYTES_MAX)
            .await?;
        Ok(match (again, stored) {
            (Created::Yes, _) => Err("an object that existed was created again".to_owned()),
            (Created::Conflict, Some(stored)) if stored == first => Ok(()),
            (Created::Conflict, Some(_)) => Err("a refused create changed the object".to_owned()),
            (Created::Conflict, None) => Err("a created object could not be read back".to_owned()),
        })
    }

    /// Of creates at the same time exactly one wins, and its bytes are those that stay.
    async fn race(&self, path: &Path) -> Result<Verdict, Error> {
        let bytes: Vec<Bytes> = (0..RACERS)
            .map(|racer| format!("racer {racer}").into())
            .collect();
        let creates = bytes
            .iter()
            .map(|bytes| self.store().create("the test object", path, bytes));
        let outcomes = join_all(creates)
            .await
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        let winners: Vec<usize> = (0..RACERS)
            .filter(|racer| outcomes[*racer] == Created::Yes)
            .collect();
        let stored = self
            .store()
            .read("the test object", path, PROBE_BYTES_MAX)
            .await?;
        let Some(stored) = stored else {
            return Ok(Err("a created object could not be read back".to_owned()));
        };
        Ok(match winners.as_slice() {
            [winner] if bytes[*winner] == stored => Ok(()),
            // The winner's answer was lost, so that its second try met its first.
            [] if bytes.contains(&stored) => Ok(()),
            [_] | [] => Err("the object holds bytes of a create that was refused".to_owned()),
            many => Err(format!(
                "{} of {RACERS} creates of one object won",
                many.len()
            )),
        })
    }
}
