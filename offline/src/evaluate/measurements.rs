//! The lists of every ranker for every user: scores, and how often each product was recommended.
//!
//! Users are measured on all threads and their scores kept in the order of the users, so any number
//! of threads gives the same result; counts of products are sums, which have no order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use hotshelf_model::metrics::{
    average_precision_at_k, hit_at_k, ndcg_at_k, precision_at_k, recall_at_k, reciprocal_rank_at_k,
};
use hotshelf_model::{Fallback, Fallbacks, Model, ProductRow};
use indicatif::ProgressBar;
use rayon::prelude::*;

use super::audience::EvaluatedUser;
use super::list_properties::ListProperties;
use super::rankers::{RankWork, Ranker};
use super::report::{LongTail, METRICS, Means};

/// Scores of one list: the first six judge it by what the user wanted, the others describe it.
pub(super) type ListScores = [f64; METRICS + 3];
pub(super) const NDCG: usize = 2;
const NOVELTY: usize = METRICS;
const DIVERSITY: usize = METRICS + 1;
const POPULARITY: usize = METRICS + 2;

/// Users between two reports of progress.
const USERS_PER_BLOCK: usize = 2048;

/// Measurements of one ranker.
pub(super) struct Measurements {
    pub(super) ranker: &'static str,
    /// By length of the lists, then by user.
    pub(super) scores: Vec<Vec<ListScores>>,
    /// By length, then by product row: how many lists have the product; of the first length by
    /// segment, too.
    recommended: Vec<Vec<AtomicU32>>,
    by_segment: Vec<Vec<AtomicU32>>,
    pub(super) fallbacks: BTreeMap<&'static str, usize>,
}

/// Whom and how to measure.
pub(super) struct Measuring<'a> {
    pub(super) model: &'a Model,
    pub(super) users: &'a [EvaluatedUser],
    pub(super) lengths: &'a [usize],
    pub(super) properties: &'a ListProperties<'a>,
}

/// One list of one user.
struct Measured {
    scores: ListScores,
    fallbacks: Fallbacks,
}

impl Measuring<'_> {
    /// Measures every ranker; runs on the pool that it is called in.
    pub(super) fn all(
        &self,
        rankers: &[Box<dyn Ranker + '_>],
        bar: &ProgressBar,
    ) -> Vec<Measurements> {
        let mut measured: Vec<Measurements> = rankers
            .iter()
            .map(|ranker| Measurements::new(ranker.name(), self))
            .collect();
        for block in self.users.chunks(USERS_PER_BLOCK) {
            let lists: Vec<Vec<Measured>> = block
                .par_iter()
                .map_init(RankWork::default, |work, user| {
                    self.user(user, (rankers, &measured), work)
                })
                .collect();
            for of_user in &lists {
                let mut lists = of_user.iter();
                for measurements in &mut measured {
                    measurements.add(lists.by_ref().take(self.lengths.len()));
                }
            }
            bar.inc(block.len() as u64);
        }
        measured
    }

    /// Every ranker's lists of one user, by ranker, then by length.
    fn user(
        &self,
        user: &EvaluatedUser,
        (rankers, measured): (&[Box<dyn Ranker + '_>], &[Measurements]),
        work: &mut RankWork,
    ) -> Vec<Measured> {
        let mut lists = Vec::with_capacity(rankers.len() * self.lengths.len());
        for (ranker, measurements) in rankers.iter().zip(measured) {
            for (at, k) in self.lengths.iter().enumerate() {
                let fallbacks = ranker.rank(user.row, *k, work);
                measurements.count(user.segment, at, &work.list);
                lists.push(Measured {
                    scores: self.scores(&work.list, &user.relevant, *k),
                    fallbacks,
                });
            }
        }
        lists
    }

    fn scores(&self, list: &[u32], relevant: &[u32], k: usize) -> ListScores {
        let scores = [
            precision_at_k(list, relevant, k),
            recall_at_k(list, relevant, k),
            ndcg_at_k(list, relevant, k),
            average_precision_at_k(list, relevant, k),
            reciprocal_rank_at_k(list, relevant, k),
            hit_at_k(list, relevant, k),
            self.properties.novelty(list),
            self.properties.diversity(list),
            self.properties.popularity(list),
        ];
        // The gain of an empty list is an empty sum, which is -0.
        scores.map(|score| score + 0.0)
    }
}

impl Measurements {
    fn new(ranker: &'static str, measuring: &Measuring<'_>) -> Self {
        let products = measuring.model.products().len();
        let counts = || (0..products).map(|_| AtomicU32::new(0)).collect();
        let segments = measuring.model.users().segment_names();
        Self {
            ranker,
            scores: vec![Vec::with_capacity(measuring.users.len()); measuring.lengths.len()],
            recommended: measuring.lengths.iter().map(|_| counts()).collect(),
            by_segment: segments.iter().map(|_| counts()).collect(),
            fallbacks: BTreeMap::new(),
        }
    }

    fn count(&self, segment: usize, length: usize, list: &[u32]) {
        for row in list {
            self.recommended[length][*row as usize].fetch_add(1, Ordering::Relaxed);
            if length == 0 {
                self.by_segment[segment][*row as usize].fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Adds one user's lists, one of each length.
    fn add<'l>(&mut self, lists: impl Iterator<Item = &'l Measured>) {
        for (at, list) in lists.enumerate() {
            self.scores[at].push(list.scores);
            let taken = Fallback::ALL.into_iter().filter(|_| at == 0);
            for fallback in taken.filter(|fallback| list.fallbacks.contains(*fallback)) {
                *self.fallbacks.entry(fallback.as_str()).or_default() += 1;
            }
        }
    }

    /// The mean of one metric over all users, in lists of the first length.
    pub(super) fn mean(&self, metric: usize) -> f64 {
        let scores = self.scores[0].iter().map(|scores| scores[metric]);
        scores.sum::<f64>() / self.scores[0].len().max(1) as f64
    }

    /// Means over some users, whose segment is given where they are one, in lists of one length. `profile`:
    /// the mean popularity of what these users have.
    pub(super) fn means(
        &self,
        length: usize,
        (users, segment): (&[usize], Option<usize>),
        profile: f64,
    ) -> Means {
        let scores = &self.scores[length];
        let mean = |metric: usize| {
            let scores = users.iter().map(|user| scores[*user][metric]);
            scores.fold(0.0, |sum, score| sum + score) / users.len().max(1) as f64
        };
        // Lists that are too short to have a property have no say in it.
        let mean_if_any = |metric: usize| {
            let scores = users.iter().map(|user| scores[*user][metric]);
            let (sum, count) = scores
                .filter(|score| !score.is_nan())
                .fold((0.0, 0), |(sum, count), score| (sum + score, count + 1));
            (count > 0).then(|| sum / f64::from(count))
        };
        let counts = match segment {
            Some(segment) => &self.by_segment[segment],
            None => &self.recommended[length],
        };
        Means {
            precision: mean(0),
            recall: mean(1),
            ndcg: mean(NDCG),
            map: mean(3),
            mrr: mean(4),
            hit_rate: mean(5),
            coverage: coverage(counts),
            novelty: mean_if_any(NOVELTY),
            diversity: mean_if_any(DIVERSITY),
            popularity_bias: mean_if_any(POPULARITY)
                .filter(|_| profile > 0.0)
                .map(|popularity| popularity / profile - 1.0),
        }
    }

    /// How the slots of all lists are distributed over popular and rare products.
    pub(super) fn long_tail(&self, model: &Model) -> LongTail {
        let has_events = |row: &usize| model.products().popularity(ProductRow(*row as u32)) > 0.0;
        let by_popularity: Vec<usize> = model.popular().map(|product| product.index()).collect();
        let with_events = by_popularity.iter().filter(|row| has_events(row)).count();
        let lists = |row: usize| u64::from(self.recommended[0][row].load(Ordering::Relaxed));
        let all: u64 = by_popularity.iter().map(|row| lists(*row)).sum();
        let share = |rows: &[usize]| {
            let slots: u64 = rows.iter().map(|row| lists(*row)).sum();
            slots as f64 / all.max(1) as f64
        };
        let edge = |tenth: usize| tenth * with_events / 10;
        LongTail {
            ranker: self.ranker,
            tenths: std::array::from_fn(|at| share(&by_popularity[edge(at)..edge(at + 1)])),
            without_events: share(&by_popularity[with_events..]),
        }
    }
}

fn coverage(counts: &[AtomicU32]) -> f64 {
    let is_recommended = |count: &&AtomicU32| count.load(Ordering::Relaxed) > 0;
    counts.iter().filter(is_recommended).count() as f64 / counts.len().max(1) as f64
}
