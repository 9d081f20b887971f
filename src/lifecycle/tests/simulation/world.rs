//! The world of one sequence: replicas, one store, weather, and somebody who steps through it by dice. What
//! is true of the store as a whole is checked here.

use super::replica::{BAD, Disk, Ground, Replica, WallClock};
use super::store::Weather;
use crate::lifecycle::event::Reply;
use crate::lifecycle::{Change, Proposal};
use futures::StreamExt;
use hotshelf_registry::{Arm, Ramp, RampStep, RolloutRecord, Version};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Servers of one world.
const REPLICAS: usize = 3;
/// Steps of dice before the faults stop.
const STEPS: usize = 60;
/// Rounds of a second within which all agree once the faults have stopped (chosen: a retry is at most 30 s
/// away, and a candidate and its base are two loads, each after a write that may be retried).
const CALM_ROUNDS: usize = 150;
/// Published versions; the last one is [`BAD`].
pub(super) const VERSIONS: u64 = BAD;

pub(super) struct World {
    ground: Ground,
    replicas: Vec<Replica>,
    dice: ChaCha8Rng,
    /// What the store holds: every record that chains, in its order.
    pub(super) history: Vec<RolloutRecord>,
    /// Rollout objects that were looked at.
    looked: BTreeSet<Path>,
    asked: BTreeMap<u64, (usize, Proposal)>,
    /// What was expected to be the newest rollout, by author.
    expected: BTreeMap<String, u64>,
    next_ticket: u64,
    answered: BTreeSet<u64>,
    have_clocks_jumped: bool,
    journal: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(ground: Ground, seed: u64, is_told: bool) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let start = |dice: &mut ChaCha8Rng| {
            let place = (WallClock::default(), Disk::default());
            Replica::start(&ground, place, dice.next_u64())
        };
        let replicas = (0..REPLICAS).map(|_| start(&mut dice)).collect();
        Self {
            ground,
            replicas,
            dice,
            history: Vec::new(),
            looked: BTreeSet::new(),
            asked: BTreeMap::new(),
            expected: BTreeMap::new(),
            next_ticket: 0,
            answered: BTreeSet::new(),
            have_clocks_jumped: false,
            journal: is_told.then(Vec::new),
        }
    }

    /// The whole sequence. An error says which law was broken.
    pub(super) async fn run(&mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            self.step().await?;
            self.check().await?;
        }
        self.calm().await
    }

    /// What was done, where somebody wants to read it.
    pub(super) fn journal(&self) -> String {
        self.journal
            .iter()
            .flatten()
            .cloned()
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn roll(&mut self, sides: u32) -> u32 {
        self.dice.next_u32() % sides
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(journal) = &mut self.journal {
            journal.push(what());
        }
    }

    async fn step(&mut self) -> Result<(), String> {
        let at = self.roll(REPLICAS as u32) as usize;
        match self.roll(32) {
            0..15 => {
                self.tell(|| format!("replica {at} takes a turn"));
                for _ in 0..1 + self.roll(32) {
                    self.replicas[at].turn()?;
                }
            }
            15..18 => {
                let is_lucky = self.roll(4) > 0;
                self.tell(|| format!("errands of replica {at}, lucky {is_lucky}"));
                self.replicas[at].errands(is_lucky)?;
            }
            18..21 => {
                let millis = 1 << self.roll(16);
                self.tell(|| format!("{millis} ms pass"));
                tokio::time::advance(Duration::from_millis(millis)).await;
            }
            21..23 => {
                let drawn = self.roll(Weather::DRAWN.len() as u32) as usize;
                let weather = Weather::DRAWN[drawn];
                self.tell(|| format!("replica {at}: {weather:?}"));
                self.replicas[at].set_weather(weather);
            }
            23 => {
                let skew = i64::from(self.roll(14_400)) - 7_200;
                self.tell(|| format!("replica {at}: clock off by {skew} s"));
                self.have_clocks_jumped = true;
                self.replicas[at].clock.set(skew);
            }
            24 => self.crash(at),
            25 => self.damage(),
            26 => self.junk().await,
            27 => self.start_without_store(at).await?,
            _ => self.propose(at)?,
        }
        Ok(())
    }

    fn crash(&mut self, at: usize) {
        self.tell(|| format!("replica {at} crashes"));
        let seed = self.dice.next_u64();
        let crashed = self.replicas.remove(at);
        self.replicas.insert(at, crashed.crash(seed));
        self.asked.retain(|_, (asked, _)| *asked != at);
    }

    /// A crash, a start from the disk while the store is down, and then a store that shows nothing.
    async fn start_without_store(&mut self, at: usize) -> Result<(), String> {
        self.crash(at);
        self.tell(|| format!("replica {at} starts while the store is down, and then empty"));
        for weather in [Weather::Down, Weather::Empty] {
            self.replicas[at].set_weather(weather);
            for _ in 0..8 {
                tokio::time::advance(Duration::from_secs(2)).await;
                for _ in 0..4 {
                    self.replicas[at].turn()?;
                }
                self.replicas[at].errands(true)?;
            }
        }
        Ok(())
    }

    fn damage(&mut self) {
        let version = 1 + u64::from(self.roll(VERSIONS as u32));
        self.tell(|| format!("version {version} is damaged, or mended"));
        let mut corrupt = self.ground.corrupt.lock().unwrap();
        if !corrupt.remove(&version) {
            corrupt.insert(version);
        }
    }

    /// Something under the next number that is no record of this format.
    async fn junk(&mut self) {
        let next = self.looked.len() + 1;
        let bytes = [&b"not json"[..], br#"{"format": 2}"#][self.roll(2) as usize];
        self.tell(|| format!("junk under number {next}"));
        let path = Path::from(format!("r/home/rollouts/{next:06}.json"));
        let mode = object_store::PutMode::Create;
        let _ = self
            .ground
            .store
            .objects
            .put_opts(&path, bytes.into(), mode.into())
            .await;
    }

    fn propose(&mut self, at: usize) -> Result<(), String> {
        let version = Version::new(1 + u64::from(self.roll(VERSIONS as u32))).unwrap();
        let change = match self.roll(10) {
            0..3 => Change::All(version),
            3..5 => Change::Start {
                version,
                ramp: self.ramp(),
            },
            5 => Change::Set { ramp: self.ramp() },
            6 => [Change::Pause, Change::Resume][self.roll(2) as usize].clone(),
            7 => Change::Promote { arm: None },
            8 => [Change::Abort, Change::Rollback][self.roll(2) as usize].clone(),
            _ => self.test(version),
        };
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.tell(|| format!("replica {at} is asked ({ticket}): {change:?}"));
        let head = self.history.last().map_or(0, |head| head.number.get());
        let proposal = Proposal {
            change,
            expected_rollout: (self.roll(3) == 0).then_some(head),
            author: format!("t{ticket}"),
            reason: "dice".to_owned(),
        };
        if let Some(expected) = proposal.expected_rollout {
            self.expected.insert(proposal.author.clone(), expected);
        }
        self.asked.insert(ticket, (at, proposal.clone()));
        self.replicas[at].propose(ticket, proposal)
    }

    fn test(&mut self, version: Version) -> Change {
        let other = Version::new(1 + version.get() % VERSIONS).unwrap();
        let arm = |name: &str, version, share_bp| Arm {
            name: name.to_owned(),
            version,
            share_bp,
            manifest_sha256: None,
        };
        let share = self.roll(10_001) as u16;
        Change::Test {
            arms: vec![arm("a", version, share), arm("b", other, 10_000 - share)],
        }
    }

    fn ramp(&mut self) -> Ramp {
        let step = |share_bp, hold_s| RampStep { share_bp, hold_s };
        let first = self.roll(3_000) as u16;
        match self.roll(3) {
            0 => Ramp::held(first),
            1 => Ramp::new(vec![step(first, 5), step(10_000, 0)]),
            _ => Ramp::new(vec![step(first, 3), step(4_000, 60), step(8_000, 0)]),
        }
    }

    async fn check(&mut self) -> Result<(), String> {
        self.read_history().await?;
        for at in 0..REPLICAS {
            for (ticket, reply) in std::mem::take(&mut self.replicas[at].replies) {
                self.tell(|| format!("replica {at} answers {ticket}: {reply:?}"));
                if !self.answered.insert(ticket) {
                    return Err(format!("ticket {ticket} was answered twice"));
                }
                if let Some((_, proposal)) = self.asked.remove(&ticket) {
                    self.check_reply(&proposal, &reply)?;
                }
            }
            if let Some((live, _)) = &self.replicas[at].live
                && !self
                    .history
                    .iter()
                    .any(|known| known.as_parent() == live.as_parent())
            {
                return Err(format!("replica {at} serves {} of no history", live.number));
            }
        }
        Ok(())
    }

    /// Records are only added, each over the one before it: no fork, and none lost.
    async fn read_history(&mut self) -> Result<(), String> {
        let objects = self.ground.store.objects.clone();
        let folder = Path::from("r/home/rollouts");
        let listed: Vec<_> = objects.list(Some(&folder)).collect().await;
        let mut paths: Vec<Path> = listed
            .into_iter()
            .map(|meta| meta.unwrap().location)
            .collect();
        paths.sort();
        for known in &self.looked {
            if paths.binary_search(known).is_err() {
                return Err(format!("{known} is lost"));
            }
        }
        for path in paths {
            if !self.looked.insert(path.clone()) {
                continue;
            }
            let bytes = objects.get(&path).await.unwrap().bytes().await.unwrap();
            let Ok(record) = RolloutRecord::parse(&bytes) else {
                continue;
            };
            if record.parent != self.history.last().map(RolloutRecord::as_parent) {
                return Err(format!(
                    "rollout {} forks: {:?}",
                    record.number, record.parent
                ));
            }
            let over = record.parent.map_or(0, |parent| parent.number.get());
            if self
                .expected
                .get(&record.author)
                .is_some_and(|e| *e != over)
            {
                let author = &record.author;
                return Err(format!(
                    "{author} wrote over {over}, which he did not expect"
                ));
            }
            self.history.push(record);
        }
        Ok(())
    }

    fn check_reply(&self, proposal: &Proposal, reply: &Reply) -> Result<(), String> {
        let who = &proposal.author;
        match reply {
            Reply::Changed { rollout, .. } => {
                let record = self.history.iter().find(|known| known.number == *rollout);
                let record = record.ok_or(format!("{who} was told of a record that is none"))?;
                let is_his = &record.author == who;
                match &proposal.change {
                    Change::All(version) if record.all_to() != Some(*version) => {
                        Err(format!("{who} got another version than he asked for"))
                    }
                    Change::Start { version, .. }
                        if is_his && record.arms[0].version != *version =>
                    {
                        Err(format!("{who} got another candidate than he asked for"))
                    }
                    _ => Ok(()),
                }
            }
            Reply::Aborted { winner } if &winner.author == who => {
                Err(format!("{who} lost to himself"))
            }
            _ => Ok(()),
        }
    }

    /// The faults stop; within a bound all serve the head, and everybody is answered.
    async fn calm(&mut self) -> Result<(), String> {
        self.tell(|| "the faults stop".to_owned());
        self.ground.corrupt.lock().unwrap().clear();
        for replica in &self.replicas {
            replica.set_weather(Weather::Fine);
            replica.clock.set(0);
        }
        for _ in 0..CALM_ROUNDS {
            tokio::time::advance(Duration::from_secs(1)).await;
            for at in 0..REPLICAS {
                for _ in 0..4 {
                    self.replicas[at].turn()?;
                }
                self.replicas[at].errands(true)?;
            }
            self.check().await?;
            if self.is_calm() {
                return Ok(());
            }
        }
        let replicas: Vec<String> = self.replicas.iter().map(Replica::described).collect();
        let head = self.history.last().map(RolloutRecord::in_words);
        Err(format!(
            "no agreement on {head:?}; unanswered {:?}:\n{}",
            self.asked.keys(),
            replicas.join("\n")
        ))
    }

    fn is_calm(&self) -> bool {
        let is_settled = match self.history.last() {
            Some(head) => {
                let may_be_ahead = self.have_clocks_jumped;
                let mut all = self.replicas.iter();
                all.all(|replica| replica.is_settled_on(head, may_be_ahead))
            }
            None => self.replicas.iter().all(|replica| replica.live.is_none()),
        };
        is_settled && self.asked.is_empty()
    }
}
