//! What a listing says: the head, and what does not count. One rule for a log that is opened and for one that
//! follows; the latter reads only what was listed otherwise than before.

use super::{LogEntry, RolloutLog};
use crate::limits::{CHAIN_MAX, POLL_MAX, ROLLOUT_BYTES_MAX};
use crate::rollout::{Parent, described};
use crate::store::{Numbered, Stamp};
use crate::{Error, RolloutNumber, RolloutRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// What was read under a number, and as what it was listed then.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// `None`: it was read without a listing.
    pub(super) stamp: Option<Stamp>,
    /// An error is in words.
    pub(super) record: Result<RolloutRecord, String>,
}

/// A record that does not count.
pub(crate) struct Broken {
    pub(super) record: Result<RolloutRecord, String>,
    pub(crate) why: String,
}

/// What need not be read again.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    found: &'a BTreeMap<RolloutNumber, Found>,
    /// Only what is listed as it was.
    stamps: Option<&'a BTreeMap<RolloutNumber, Stamp>>,
}

impl<'a> Known<'a> {
    /// Everything but the record that is asked for.
    pub(super) fn all(found: &'a BTreeMap<RolloutNumber, Found>) -> Self {
        let stamps = None;
        Self { found, stamps }
    }

    fn get(&self, number: RolloutNumber) -> Option<&'a Result<RolloutRecord, String>> {
        let found = self.found.get(&number)?;
        let is_valid = match self.stamps {
            None => true,
            Some(stamps) => found.stamp.is_some() && found.stamp.as_ref() == stamps.get(&number),
        };
        is_valid.then_some(&found.record)
    }

    fn is_listed(&self, number: RolloutNumber) -> bool {
        self.stamps
            .is_some_and(|stamps| stamps.contains_key(&number))
    }
}

/// What it means that a number which was listed cannot be read.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Missing {
    /// To an opener: an older record must not be taken for the newest.
    IsAnError,
    /// To a follower that did not know it: it was removed meanwhile.
    IsGone,
}

/// What a listing says.
#[derive(Default)]
pub(super) struct View {
    pub(super) chain: Vec<RolloutRecord>,
    pub(super) found: BTreeMap<RolloutNumber, Found>,
    pub(super) skipped: BTreeMap<RolloutNumber, String>,
}

impl View {
    /// Adds the records of the chain to what was found.
    pub(super) fn remember_chain(&mut self, stamps: &BTreeMap<RolloutNumber, Stamp>) {
        for record in &self.chain {
            let stamp = stamps.get(&record.number).cloned();
            match self.found.get_mut(&record.number) {
                Some(found) if found.record.as_ref() == Ok(record) => {
                    found.stamp = stamp.or(found.stamp.take());
                }
                _ => {
                    let (number, record) = (record.number, Ok(record.clone()));
                    self.found.insert(number, Found { stamp, record });
                }
            }
        }
    }

    fn skip(&mut self, number: RolloutNumber, stamp: Option<&Stamp>, broken: Broken) {
        let Broken { record, why } = broken;
        let stamp = stamp.cloned();
        self.found.insert(number, Found { stamp, record });
        self.skipped.insert(number, why);
    }
}

impl RolloutLog {
    /// Reads from the newest number on until a record chains. The head is read also where it is not listed.
    pub(super) async fn view(&self, listed: &[Numbered], missing: Missing) -> Result<View, Error> {
        let stamped = listed.iter().filter_map(|one| {
            let number = RolloutNumber::new(one.number)?;
            Some((number, one.stamp.clone()))
        });
        let stamps: BTreeMap<RolloutNumber, Stamp> = stamped.collect();
        let known = Known {
            found: &self.found,
            stamps: Some(&stamps),
        };
        let mut numbers: BTreeSet<RolloutNumber> = stamps.keys().copied().collect();
        numbers.extend(self.head().map(|head| head.number));
        let mut view = View::default();
        for number in numbers.into_iter().rev() {
            match self.read_chain(number, known).await? {
                Some(Ok(chain)) => {
                    view.chain = chain;
                    break;
                }
                Some(Err(broken)) => view.skip(number, stamps.get(&number), broken),
                // What is listed and not shown is no evidence against a record that counts.
                None if stamps.contains_key(&number)
                    && (missing == Missing::IsAnError || self.found.contains_key(&number)) =>
                {
                    return Err(self.vanished(number));
                }
                None => {}
            }
        }
        view.remember_chain(&stamps);
        self.skip_between(&mut view, known).await?;
        Ok(view)
    }

    /// Numbers between the head and its parent are junk, or decisions that the head was made without. What
    /// was skipped before them stays so while it is listed as it was.
    async fn skip_between(&self, view: &mut View, known: Known<'_>) -> Result<(), Error> {
        let Some(head) = view.chain.first() else {
            return Ok(());
        };
        let (head, parent) = (head.number, head.parent);
        for (number, why) in &self.skipped {
            let is_older = *number < head && !view.found.contains_key(number);
            if let Some(found) = self.found.get(number).filter(|_| is_older)
                && known.get(*number).is_some()
            {
                view.found.insert(*number, found.clone());
                view.skipped.insert(*number, why.clone());
            }
        }
        let past = self.head().filter(|past| {
            let is_left = past.number < head && !follows(&view.chain, past);
            is_left && known.get(past.number).is_some()
        });
        if let Some(past) = past {
            let (record, why) = (Ok(past.clone()), overtaken(head));
            view.skip(past.number, None, Broken { record, why });
        }
        let (Some(parent), Some(stamps)) = (parent, known.stamps) else {
            return Ok(());
        };
        let between = stamps.range((Bound::Excluded(parent.number), Bound::Excluded(head)));
        for (number, stamp) in between.rev().take(POLL_MAX) {
            let broken = match self.read_chain(*number, known).await? {
                Some(Ok(chain)) => Broken {
                    record: chain.into_iter().next().ok_or_else(String::new),
                    why: overtaken(head),
                },
                Some(Err(broken)) => broken,
                None => continue,
            };
            view.skip(*number, Some(stamp), broken);
        }
        Ok(())
    }

    /// Takes a view as what this log knows, and returns what is new in it.
    pub(super) fn commit(&mut self, view: View, listed: Vec<Numbered>) -> Vec<LogEntry> {
        let View {
            chain,
            found,
            skipped,
        } = view;
        let past = self.head().cloned();
        let past_skipped = std::mem::replace(&mut self.skipped, skipped);
        (self.chain, self.found, self.listed) = (chain, found, listed);
        let named = |record: &RolloutRecord| record.as_parent();
        let is_new = self.head().map(named) != past.as_ref().map(named);
        let mut news = Vec::new();
        if is_new {
            self.withdrawn = None;
            let left = past.filter(|past| !follows(&self.chain, past));
            news.extend(left.and_then(|past| self.leave(past)));
            news.extend(self.head().cloned().map(LogEntry::Rollout));
        }
        let withdrawn = self.withdrawn.as_ref().map(|(number, _)| *number);
        let skipped = self.skipped.iter().rev().filter(|(number, why)| {
            past_skipped.get(*number) != Some(*why) && Some(**number) != withdrawn
        });
        let skipped = skipped.map(|(number, why)| LogEntry::Skipped {
            number: *number,
            why: why.clone(),
        });
        skipped.chain(news).collect()
    }

    /// The head was another record until now, which this one does not follow.
    fn leave(&mut self, past: RolloutRecord) -> Option<LogEntry> {
        let number = past.number;
        let stored = self.found.get(&number).map(|found| &found.record);
        if self.head_number() > number.get() {
            // It was still there when the newer one was found, or its place says what is there.
            if stored.is_some_and(|stored| stored.as_ref() == Ok(&past)) {
                let head = self.head().map_or(number, |head| head.number);
                self.skipped.insert(number, overtaken(head));
            }
            return None;
        }
        let why = match (self.skipped.get(&number), stored) {
            (Some(why), _) => why.clone(),
            (None, Some(Ok(other))) => {
                let (now, before) = (other.sha256, past.sha256);
                format!("it is stored with sha256 {now} now, and was with {before}")
            }
            (None, _) => "it is no longer in the store".to_owned(),
        };
        let said = format!("withdrawn: {}: {why}", past.in_words());
        self.withdrawn = Some((number, said));
        Some(LogEntry::Withdrawn { record: past, why })
    }

    /// The record under `number` with its parents; `Ok(Some(Err(_)))` if it does not parse or
    /// chain, `Ok(None)` if there is none.
    pub(super) async fn read_chain(
        &self,
        number: RolloutNumber,
        known: Known<'_>,
    ) -> Result<Option<Result<Vec<RolloutRecord>, Broken>>, Error> {
        let first = match known.stamps {
            Some(_) => self.read_unless_known(number, known).await?,
            None => self.read(number).await?,
        };
        let mut chain = match first {
            None => return Ok(None),
            Some(Ok(record)) => vec![record],
            Some(Err(why)) => {
                let record = Err(why.clone());
                return Ok(Some(Err(Broken { record, why })));
            }
        };
        while let Some(parent) = chain.last().and_then(|last| last.parent) {
            if chain.len() >= CHAIN_MAX {
                break;
            }
            let found = self.read_unless_known(parent.number, known).await?;
            if found.is_none() && known.is_listed(parent.number) {
                return Err(self.vanished(parent.number));
            }
            match checked(parent, found) {
                Ok(record) => chain.push(record),
                Err(broken) => {
                    let what = described(&self.model, number);
                    let ancestor = parent.number;
                    let why = format!("{what} does not chain: its ancestor {ancestor} {broken}");
                    let record = Ok(chain.swap_remove(0));
                    return Ok(Some(Err(Broken { record, why })));
                }
            }
        }
        Ok(Some(Ok(chain)))
    }

    /// The record under a number whose create was refused.
    pub(crate) async fn read_conflicting(
        &self,
        number: RolloutNumber,
    ) -> Result<Option<Result<Vec<RolloutRecord>, Broken>>, Error> {
        self.read_chain(number, Known::all(&self.found)).await
    }

    /// The record that a child names; `Ok(Err(why))` if it is missing, unreadable or another one.
    pub(crate) async fn read_parent(
        &self,
        parent: Parent,
    ) -> Result<Result<RolloutRecord, String>, Error> {
        Ok(checked(parent, self.read(parent.number).await?))
    }

    async fn read_unless_known(
        &self,
        number: RolloutNumber,
        known: Known<'_>,
    ) -> Result<Option<Result<RolloutRecord, String>>, Error> {
        match known.get(number) {
            Some(known) => Ok(Some(known.clone())),
            None => self.read(number).await,
        }
    }

    /// `Ok(Some(Err(why)))` where what is stored is no record.
    pub(super) async fn read(
        &self,
        number: RolloutNumber,
    ) -> Result<Option<Result<RolloutRecord, String>>, Error> {
        let what = described(&self.model, number);
        let path = self.registry.layout().rollout(&self.model, number);
        let store = self.registry.store();
        let read = store.read_dated(&what, &path, ROLLOUT_BYTES_MAX).await;
        let parsed = match read {
            Ok(None) => return Ok(None),
            Ok(Some((bytes, at))) => RolloutRecord::parse_at(&self.model, number, &bytes)
                .map(|record| record.accepted_at(at)),
            Err(error) => Err(error),
        };
        match parsed {
            Ok(record) => Ok(Some(Ok(record))),
            Err(error) if error.is_object_fault() => Ok(Some(Err(error.with_causes()))),
            Err(error) => Err(error),
        }
    }
}

/// The record if it is the one that its child names; else why it is not.
fn checked(
    parent: Parent,
    found: Option<Result<RolloutRecord, String>>,
) -> Result<RolloutRecord, String> {
    match found {
        Some(Ok(record)) if record.as_parent() == parent => Ok(record),
        Some(Ok(record)) => Err(format!(
            "is stored with sha256 {}, not {}",
            record.sha256, parent.sha256
        )),
        Some(Err(why)) => Err(why),
        None => Err("does not exist".to_owned()),
    }
}

/// Whether the newest of a chain descends from this record, as far as that is known.
fn follows(chain: &[RolloutRecord], past: &RolloutRecord) -> bool {
    let mut records = chain.iter();
    let is_in = records.any(|record| record.as_parent() == past.as_parent());
    let oldest = chain.last().map(|record| record.number);
    // A chain that ends above the past head may well go on to it.
    is_in || oldest.is_some_and(|oldest| oldest > past.number)
}

fn overtaken(head: RolloutNumber) -> String {
    format!("rollout {head} was decided without it, and is newer")
}
