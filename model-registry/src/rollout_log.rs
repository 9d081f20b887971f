//! Which rollout is the desired state: the newest record with a valid chain of parents.
//!
//! ```text
//! 28 ◀─ 29 ◀─ 31 ◀─ 33      30: not JSON.  32: names 29 but another sha256.  Both are skipped and
//!                   head    reported; their numbers stay spent.
//! ```
//! Openers and followers read by one rule, so that all of them name the same record, whenever they started:
//!
//! - the head is the newest record that chains as the store has it now, whatever gaps and junk lie before it;
//! - a writer takes the first free number after the head, so that a stray beyond a gap stops nobody;
//! - a follower reads the numbers right after its head at every poll, and lists the numbers from the oldest of
//!   its chain on at every fifth. Where the listing differs from the one before, it reads what changed, and
//!   decides as one that opens (see `view`).
//!
//! So a head that was replaced by junk, by other bytes or by a folder, or that was deleted, is withdrawn by
//! everybody, and reported. What the store does not show is no evidence: a store that fails, or lists nothing
//! at all, leaves the head where it is.

mod view;

use crate::limits::{CHAIN_MAX, POLL_MAX, SKIPPED_MAX};
use crate::rollout::described;
use crate::store::Numbered;
use crate::{Error, ModelName, Registry, RolloutNumber, RolloutRecord};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
pub(crate) use view::Broken;
use view::{Found, Known, Missing, View};

/// Polls from one listing to the next (chosen: a listing costs a dozen times what a poll does, and only what
/// no writer of this release makes waits for it; ten seconds with the default interval of a watch).
const LISTED_EVERY: u32 = 5;
/// Longest time between two listings of a log that is polled (chosen).
const LIST_INTERVAL: Duration = Duration::from_secs(10);

/// The rollouts of one model, as far as they were read.
#[derive(Clone, Debug)]
pub struct RolloutLog {
    registry: Registry,
    model: ModelName,
    /// Newest first, each the parent of the one before it.
    chain: Vec<RolloutRecord>,
    /// What was read of the chain and of skipped numbers.
    found: BTreeMap<RolloutNumber, Found>,
    /// Records that do not count, and why: those after the head, and the newest of those before it.
    skipped: BTreeMap<RolloutNumber, String>,
    /// A head that was withdrawn, and why; until a newer record is the head.
    withdrawn: Option<(RolloutNumber, String)>,
    /// The numbers from the oldest of the chain on, as they were listed last.
    listed: Vec<Numbered>,
    listed_at: Instant,
    polls: u32,
    obstruction: Option<String>,
    is_hidden: bool,
}

/// The record under one number.
#[derive(Clone, Debug, PartialEq)]
pub enum LogEntry {
    /// A record that chains; the head from now on.
    Rollout(RolloutRecord),
    /// A record that does not parse or chain, or that a newer one replaced without naming it. Its number is
    /// spent, it changes nothing.
    Skipped {
        /// Its number.
        number: RolloutNumber,
        /// What is wrong with it.
        why: String,
    },
    /// The record that was the head until now: the store no longer has it, or what it names, as it was read.
    Withdrawn {
        /// The record.
        record: RolloutRecord,
        /// What the store has instead.
        why: String,
    },
}

impl Registry {
    /// Reads the rollouts of a model: one listing, then from the newest record backwards until a
    /// chain of parents is valid, at most 32 deep.
    ///
    /// A model without rollouts has an empty log: nothing is to serve yet.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; a record at fault is skipped and not an error.
    pub async fn rollouts(&self, model: &ModelName) -> Result<RolloutLog, Error> {
        let mut log = RolloutLog {
            registry: self.clone(),
            model: model.clone(),
            chain: Vec::new(),
            found: BTreeMap::new(),
            skipped: BTreeMap::new(),
            withdrawn: None,
            listed: Vec::new(),
            listed_at: Instant::now(),
            polls: 0,
            obstruction: None,
            is_hidden: false,
        };
        let listed = log.list(1).await?;
        let view = log.view(&listed, Missing::IsAnError).await?;
        log.commit(view, listed);
        log.read_unlisted().await?;
        Ok(log)
    }
}

impl RolloutLog {
    /// The desired state; `None` before the first rollout.
    #[must_use]
    pub fn head(&self) -> Option<&RolloutRecord> {
        self.chain.first()
    }

    /// The head and what it followed, newest first, at most 32.
    #[must_use]
    pub fn chain(&self) -> &[RolloutRecord] {
        &self.chain
    }

    /// Records that do not count, as long as they are there, newest first, at most 64; and a head that was
    /// withdrawn, until there is a newer one.
    #[must_use]
    pub fn skipped(&self) -> Vec<LogEntry> {
        let withdrawn = self.withdrawn.iter().map(|(number, why)| (number, why));
        let is_withdrawn = |number: &RolloutNumber| {
            let known = self.withdrawn.as_ref();
            known.is_some_and(|(withdrawn, _)| withdrawn == number)
        };
        let skipped = self.skipped.iter().rev();
        let skipped = skipped.filter(|(number, _)| !is_withdrawn(number));
        let all = withdrawn.chain(skipped).take(SKIPPED_MAX);
        let entry = |(number, why): (&RolloutNumber, &String)| LogEntry::Skipped {
            number: *number,
            why: why.clone(),
        };
        all.map(entry).collect()
    }

    /// What lies among the rollouts and is not a file, as of the last listing: on local disk alone.
    #[must_use]
    pub fn obstruction(&self) -> Option<&str> {
        self.obstruction.as_deref()
    }

    /// Whether the last listing showed nothing at all, not even what this log knows. That is no order, and no
    /// ground for a decision.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.is_hidden
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &ModelName {
        &self.model
    }

    /// The number that the next record gets, as far as this log knows: the first one after the head that no
    /// skipped record has. `None` after the greatest number there is.
    #[must_use]
    pub fn next_number(&self) -> Option<RolloutNumber> {
        let mut next = self.head_number() + 1;
        for number in self.skipped.keys() {
            if number.get() == next {
                next += 1;
            }
        }
        RolloutNumber::new(next)
    }

    fn head_number(&self) -> u64 {
        self.head().map_or(0, |head| head.number.get())
    }

    /// Reads the numbers after the head, until there is none, at most 64; and a listing at every fifth call,
    /// and after ten seconds. Costs one small read where nothing is new.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if nothing could be read; the log is as before. What was read before
    /// a failure is returned, and the failure comes with the next call if it lasts.
    pub async fn poll(&mut self) -> Result<Vec<LogEntry>, Error> {
        self.polls += 1;
        if self.polls >= LISTED_EVERY || self.listed_at.elapsed() >= LIST_INTERVAL {
            return self.refresh().await;
        }
        self.read_following().await
    }

    /// As [`RolloutLog::poll`], with a listing: before a decision is made over the head.
    ///
    /// # Errors
    /// As of [`RolloutLog::poll`].
    pub async fn refresh(&mut self) -> Result<Vec<LogEntry>, Error> {
        let oldest = self.chain.last().map_or(1, |record| record.number.get());
        let listed = self.list(oldest).await?;
        let known = self.chain.first().filter(|_| listed.is_empty());
        self.is_hidden = match known.map(|head| head.number) {
            Some(head) => self.read(head).await?.is_none(),
            None => false,
        };
        let mut news = Vec::new();
        let is_evidence = !listed.is_empty() || self.chain.is_empty();
        if listed != self.listed && is_evidence {
            let mut view = self.view(&listed, Missing::IsGone).await?;
            if view.chain.is_empty() && oldest > 1 {
                // Nothing that this log knew counts any more: older records may.
                view.chain = self.registry.older_chain(&self.model).await?;
            }
            news = self.commit(view, listed);
        }
        (self.listed_at, self.polls) = (Instant::now(), 0);
        match self.read_following().await {
            Ok(following) => news.extend(following),
            Err(_) if !news.is_empty() => {}
            Err(error) => return Err(error),
        }
        Ok(news)
    }

    /// Takes a record that was just created over the head as the head, without a read.
    pub fn push(&mut self, record: RolloutRecord) {
        if record.parent == self.head().map(RolloutRecord::as_parent) {
            let parents = self.chain.iter().take(CHAIN_MAX - 1).cloned();
            let chain = std::iter::once(record).chain(parents).collect();
            self.adopt(chain, &mut Vec::new());
        }
    }

    async fn list(&mut self, from: u64) -> Result<Vec<Numbered>, Error> {
        let folder = self.registry.layout().rollouts(&self.model);
        let what = format!("the rollouts of {}", self.model);
        let listed = self.registry.store().numbered(&what, &folder, from).await?;
        let odd = listed.iter().find_map(|one| Some((one.number, one.kind?)));
        self.obstruction = odd.map(|(number, kind)| {
            let name = crate::numbers::object_name(number);
            format!("{folder}/{name} is a {kind} and not a file; remove it")
        });
        Ok(listed)
    }

    /// A listing may be empty, truncated or stale: reads what follows the head without a gap.
    async fn read_unlisted(&mut self) -> Result<(), Error> {
        let what = format!("the rollouts of {}", self.model);
        let (layout, model) = (self.registry.layout(), &self.model);
        let path = |number| RolloutNumber::new(number).map(|n| layout.rollout(model, n));
        let head = self.head_number();
        let store = self.registry.store();
        let newest = store.newest_number(&what, Some(head), path).await?;
        for number in (head + 1..=newest).rev().filter_map(RolloutNumber::new) {
            if self.skipped.contains_key(&number) {
                continue;
            }
            match self.read_chain(number, Known::all(&self.found)).await? {
                Some(Ok(chain)) => {
                    self.adopt(chain, &mut Vec::new());
                    break;
                }
                Some(Err(broken)) => self.skip(number, broken, &mut Vec::new()),
                None if number.get() == newest => return Err(self.vanished(number)),
                // A gap below a stray.
                None => {}
            }
        }
        Ok(())
    }

    async fn read_following(&mut self) -> Result<Vec<LogEntry>, Error> {
        let mut news = Vec::new();
        let mut number = RolloutNumber::new(self.head_number() + 1);
        for _ in 0..POLL_MAX {
            let Some(next) = number else { break };
            match self.read_chain(next, Known::all(&self.found)).await {
                Ok(None) => break,
                Ok(Some(Ok(chain))) => self.adopt(chain, &mut news),
                Ok(Some(Err(broken))) => self.skip(next, broken, &mut news),
                Err(_) if !news.is_empty() => break,
                Err(error) => return Err(error),
            }
            number = RolloutNumber::new(next.get() + 1);
        }
        Ok(news)
    }

    /// Makes a chain the desired state that was read without a listing.
    fn adopt(&mut self, chain: Vec<RolloutRecord>, news: &mut Vec<LogEntry>) {
        let mut view = View {
            found: std::mem::take(&mut self.found),
            skipped: self.skipped.clone(),
            chain,
        };
        view.remember_chain(&BTreeMap::new());
        let listed = std::mem::take(&mut self.listed);
        news.extend(self.commit(view, listed));
    }

    /// Remembers a record that does not count; it is news once.
    fn skip(&mut self, number: RolloutNumber, broken: Broken, news: &mut Vec<LogEntry>) {
        let Broken { record, why } = broken;
        let stamp = None;
        self.found.insert(number, Found { stamp, record });
        let known = self.skipped.insert(number, why.clone());
        if known.as_ref() != Some(&why) {
            news.push(LogEntry::Skipped { number, why });
        }
    }

    fn vanished(&self, number: RolloutNumber) -> Error {
        Error::Unavailable {
            what: format!("reading {}", described(&self.model, number)),
            source: "the store has listed it, and does not show it".into(),
        }
    }
}

impl Registry {
    async fn older_chain(&self, model: &ModelName) -> Result<Vec<RolloutRecord>, Error> {
        // Boxed: to open a log never refreshes one, which the compiler cannot know.
        let opened = Box::pin(self.rollouts(model)).await?;
        Ok(opened.chain)
    }
}
