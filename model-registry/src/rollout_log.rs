//! Which rollout is the desired state: the newest record with a valid chain of parents.
//!
//! ```text
//! 28 ◀─ 29 ◀─ 31 ◀─ 33      30: not JSON.  32: names 29 but another sha256.  Both are skipped and
//!                   head    reported; their numbers stay spent.
//! ```
//! Openers and followers read by one rule, so that all of them name the same record, whenever they started:
//!
//! - the head is the newest record that chains, whatever gaps and junk lie before it;
//! - a writer takes the first free number after the head, so that a stray beyond a gap stops nobody;
//! - a follower reads the numbers right after its head at every poll, and lists all of them every
//!   [`LIST_INTERVAL`]: it finds a record beyond a gap, and that a stray was removed.
//!
//! What a log knows is never taken back: a store that fails or shows nothing leaves the head where it is.

use crate::limits::{CHAIN_MAX, POLL_MAX, ROLLOUT_BYTES_MAX, SKIPPED_MAX};
use crate::rollout::{Parent, described};
use crate::store::{Numbered, Stamp};
use crate::{Error, ModelName, Registry, RolloutNumber, RolloutRecord};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Time between two listings of a log that is polled (chosen: a listing costs a dozen times what a poll
/// does, and only what no writer of this release makes waits for it).
const LIST_INTERVAL: Duration = Duration::from_secs(10);

/// The rollouts of one model, as far as they were read.
#[derive(Clone, Debug)]
pub struct RolloutLog {
    registry: Registry,
    model: ModelName,
    /// Newest first, each the parent of the one before it.
    chain: Vec<RolloutRecord>,
    /// Records that do not count: those after the head, and the newest of those before it.
    skipped: BTreeMap<RolloutNumber, Skipped>,
    listed_at: Instant,
    obstruction: Option<String>,
}

/// A record that does not count.
#[derive(Clone, Debug)]
struct Skipped {
    why: String,
    /// As it was listed when it was read; `None`: it was read without a listing.
    stamp: Option<Stamp>,
}

/// The record under one number.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a handful at a time, and mostly the large one"
)]
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
            skipped: BTreeMap::new(),
            listed_at: Instant::now(),
            obstruction: None,
        };
        let listed = log.list(1).await?;
        log.read_listed(&listed, Missing::IsAnError).await?;
        log.read_unlisted().await?;
        log.read_between_head_and_parent(&listed).await?;
        Ok(log)
    }
}

/// What it means that a number which was listed cannot be read.
#[derive(Clone, Copy, PartialEq)]
enum Missing {
    /// To an opener: an older record must not be taken for the newest.
    IsAnError,
    /// To a follower: it was removed meanwhile.
    IsGone,
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

    /// Records that do not count, as long as they are there, newest first, at most 64.
    #[must_use]
    pub fn skipped(&self) -> Vec<LogEntry> {
        let newest = self.skipped.iter().rev().take(SKIPPED_MAX);
        let entry = |(number, skipped): (&RolloutNumber, &Skipped)| LogEntry::Skipped {
            number: *number,
            why: skipped.why.clone(),
        };
        newest.map(entry).collect()
    }

    /// What lies among the rollouts and is not a file, as of the last listing: on local disk alone.
    #[must_use]
    pub fn obstruction(&self) -> Option<&str> {
        self.obstruction.as_deref()
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

    /// Reads the numbers after the head, until there is none, at most 64, and every ten seconds a listing.
    /// Costs one small read where nothing is new.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if nothing could be read; the log is as before. What was read before
    /// a failure is returned, and the failure comes with the next call if it lasts.
    pub async fn poll(&mut self) -> Result<Vec<LogEntry>, Error> {
        if self.listed_at.elapsed() >= LIST_INTERVAL {
            return self.refresh().await;
        }
        self.read_following().await
    }

    /// As [`RolloutLog::poll`], with a listing: before a decision is made over the head.
    ///
    /// # Errors
    /// As of [`RolloutLog::poll`].
    pub async fn refresh(&mut self) -> Result<Vec<LogEntry>, Error> {
        let lowest = self.skipped.keys().next().map_or(u64::MAX, |n| n.get());
        let listed = self.list(lowest.min(self.head_number() + 1)).await?;
        let is_there = |number: &RolloutNumber| {
            let found = listed.binary_search_by_key(&number.get(), |one| one.number);
            found.is_ok()
        };
        self.skipped.retain(|number, _| is_there(number));
        let mut news = self.read_listed(&listed, Missing::IsGone).await?;
        self.read_between_head_and_parent(&listed).await?;
        match self.read_following().await {
            Ok(following) => news.extend(following),
            Err(_) if !news.is_empty() => {}
            Err(error) => return Err(error),
        }
        Ok(news)
    }

    async fn list(&mut self, from: u64) -> Result<Vec<Numbered>, Error> {
        let folder = self.registry.layout().rollouts(&self.model);
        let what = format!("the rollouts of {}", self.model);
        let listed = self.registry.store().numbered(&what, &folder, from).await?;
        self.listed_at = Instant::now();
        let odd = listed.iter().find_map(|one| Some((one.number, one.kind?)));
        self.obstruction = odd.map(|(number, kind)| {
            let name = crate::numbers::object_name(number);
            format!("{folder}/{name} is a {kind} and not a file; remove it")
        });
        Ok(listed)
    }

    /// Reads what was listed after the head, from the newest on, until a record chains.
    async fn read_listed(
        &mut self,
        listed: &[Numbered],
        missing: Missing,
    ) -> Result<Vec<LogEntry>, Error> {
        let mut news = Vec::new();
        let head = self.head_number();
        let after = listed.iter().rev().take_while(|one| one.number > head);
        for one in after {
            let Some(number) = RolloutNumber::new(one.number) else {
                continue;
            };
            let stamp = Some(one.stamp);
            if self.skipped.get(&number).is_some_and(|s| s.stamp == stamp) {
                continue;
            }
            match self.read_chain(number).await? {
                Some(Ok(chain)) => {
                    self.adopt(chain, &mut news);
                    break;
                }
                Some(Err(why)) => self.skip(number, Skipped { why, stamp }, &mut news),
                None if missing == Missing::IsGone => {}
                // It was listed a moment ago, and rollouts are never removed.
                None => return Err(self.vanished(number)),
            }
        }
        Ok(news)
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
            match self.read_chain(number).await? {
                Some(Ok(chain)) => {
                    self.adopt(chain, &mut Vec::new());
                    break;
                }
                Some(Err(why)) => {
                    self.skip(number, Skipped { why, stamp: None }, &mut Vec::new());
                }
                None if number.get() == newest => return Err(self.vanished(number)),
                // A gap below a stray.
                None => {}
            }
        }
        Ok(())
    }

    /// Numbers between the head and its parent are junk, or decisions that the head was made without.
    async fn read_between_head_and_parent(&mut self, listed: &[Numbered]) -> Result<(), Error> {
        let parent = self.head().and_then(|head| head.parent);
        let Some(parent) = parent.map(|parent| parent.number.get()) else {
            return Ok(());
        };
        let between = parent + 1..self.head_number();
        let between = listed.iter().filter(|one| between.contains(&one.number));
        for one in between.rev().take(POLL_MAX) {
            let Some(number) = RolloutNumber::new(one.number) else {
                continue;
            };
            let stamp = Some(one.stamp);
            if self.skipped.get(&number).is_some_and(|s| s.stamp == stamp) {
                continue;
            }
            let why = match self.read_chain(number).await? {
                Some(Ok(_)) => self.overtaken(),
                Some(Err(why)) => why,
                None => continue,
            };
            self.skip(number, Skipped { why, stamp }, &mut Vec::new());
        }
        Ok(())
    }

    async fn read_following(&mut self) -> Result<Vec<LogEntry>, Error> {
        let mut news = Vec::new();
        let mut number = RolloutNumber::new(self.head_number() + 1);
        for _ in 0..POLL_MAX {
            let Some(next) = number else { break };
            match self.read_chain(next).await {
                Ok(None) => break,
                Ok(Some(Ok(chain))) => self.adopt(chain, &mut news),
                Ok(Some(Err(why))) => self.skip(next, Skipped { why, stamp: None }, &mut news),
                Err(_) if !news.is_empty() => break,
                Err(error) => return Err(error),
            }
            number = RolloutNumber::new(next.get() + 1);
        }
        Ok(news)
    }

    /// Makes a chain the desired state. The head before it is reported where the new one does not follow it.
    fn adopt(&mut self, chain: Vec<RolloutRecord>, news: &mut Vec<LogEntry>) {
        let past = self.head().map(RolloutRecord::as_parent);
        news.extend(chain.first().cloned().map(LogEntry::Rollout));
        self.chain = chain;
        let Some(past) = past else { return };
        let is_followed = self.chain.iter().any(|record| record.as_parent() == past);
        let oldest = self.chain.last().map(|record| record.number);
        // A chain that ends above the past head may well go on to it.
        if is_followed || oldest.is_some_and(|oldest| oldest > past.number) {
            return;
        }
        let why = self.overtaken();
        self.skip(past.number, Skipped { why, stamp: None }, news);
    }

    fn overtaken(&self) -> String {
        format!(
            "rollout {} was decided without it, and is newer",
            self.head_number()
        )
    }

    /// Remembers a record that does not count; it is news once.
    fn skip(&mut self, number: RolloutNumber, skipped: Skipped, news: &mut Vec<LogEntry>) {
        let why = skipped.why.clone();
        let known = self.skipped.insert(number, skipped);
        if known.is_none_or(|known| known.why != why) {
            news.push(LogEntry::Skipped { number, why });
        }
    }

    fn vanished(&self, number: RolloutNumber) -> Error {
        Error::Unavailable {
            what: format!("reading {}", described(&self.model, number)),
            source: "the store has listed it, and does not show it".into(),
        }
    }

    /// The record under `number` with its parents; `Ok(Some(Err(why)))` if it does not parse or
    /// chain, `Ok(None)` if there is none. Reads only parents that this log does not hold.
    pub(crate) async fn read_chain(
        &self,
        number: RolloutNumber,
    ) -> Result<Option<Result<Vec<RolloutRecord>, String>>, Error> {
        let mut chain = match self.read(number).await {
            Ok(Some(record)) => vec![record],
            Ok(None) => return Ok(None),
            Err(error) if error.is_object_fault() => return Ok(Some(Err(error.with_causes()))),
            Err(error) => return Err(error),
        };
        while let Some(parent) = chain.last().and_then(|last| last.parent) {
            if chain.len() >= CHAIN_MAX {
                break;
            }
            let held = self
                .chain
                .iter()
                .position(|known| known.as_parent() == parent);
            if let Some(at) = held {
                let room = CHAIN_MAX - chain.len();
                chain.extend(self.chain[at..].iter().take(room).cloned());
                break;
            }
            let broken = match self.read_parent(parent).await? {
                Ok(record) => {
                    chain.push(record);
                    continue;
                }
                Err(why) => why,
            };
            let what = described(&self.model, number);
            let why = format!(
                "{what} does not chain: its ancestor {} {broken}",
                parent.number
            );
            return Ok(Some(Err(why)));
        }
        Ok(Some(Ok(chain)))
    }

    /// The record that a child names; `Ok(Err(why))` if it is missing, unreadable or another one.
    pub(crate) async fn read_parent(
        &self,
        parent: Parent,
    ) -> Result<Result<RolloutRecord, String>, Error> {
        match self.read(parent.number).await {
            Ok(Some(record)) if record.as_parent() == parent => Ok(Ok(record)),
            Ok(Some(record)) => Ok(Err(format!(
                "is stored with sha256 {}, not {}",
                record.sha256, parent.sha256
            ))),
            Ok(None) => Ok(Err("does not exist".to_owned())),
            Err(error) if error.is_object_fault() => Ok(Err(error.with_causes())),
            Err(error) => Err(error),
        }
    }

    async fn read(&self, number: RolloutNumber) -> Result<Option<RolloutRecord>, Error> {
        let what = described(&self.model, number);
        let path = self.registry.layout().rollout(&self.model, number);
        let bytes = self
            .registry
            .store()
            .read(&what, &path, ROLLOUT_BYTES_MAX)
            .await?;
        bytes
            .map(|bytes| RolloutRecord::parse_at(&self.model, number, &bytes))
            .transpose()
    }
}
