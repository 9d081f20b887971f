//! item-kNN: users who had this also had that.
//!
//! Hardly any training, and often strong. Two products are as similar as the columns of the
//! user-product matrix, damped where few users speak for it:
//!
//! ```text
//! sim(i, j) = w(i) · w(j) / (|w(i)| × |w(j)| + shrinkage)
//! ```
//!
//! Each product keeps its [`NEIGHBOURS`] nearest others, and a product's score for a user is the sum
//! of its similarities to the products that the user has and that keep it. The weights are 1, or those
//! of BM25, by which users of many products say less. Sources: Sarwar, Karypis, Konstan, Riedl (2001),
//! Item-based collaborative filtering recommendation algorithms; Deshpande, Karypis (2004), Item-based
//! top-N recommendation algorithms; shrinkage and BM25 as in Ferrari Dacrema, Cremonesi, Jannach
//! (2019), Are we really making much progress?, and in implicit. A list is shorter than k if fewer
//! products have a score; it is not filled up.

use hotshelf_model::{Fallbacks, Model, UserRow};
use rayon::prelude::*;

use crate::evaluate::rankers::{RankWork, Ranker};

/// Neighbours per product (chosen: both papers find no gain beyond some dozens, and 200 take 1.6 kB
/// for each product with events).
pub(in crate::evaluate) const NEIGHBOURS: usize = 200;
/// Added to the product of both lengths (chosen: two products that three users share are half as
/// similar as by their cosine).
const SHRINKAGE: f64 = 3.0;
/// Constants of BM25, the usual ones.
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// How a user counts in a product's column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::evaluate) enum Weighting {
    Binary,
    Bm25,
}

/// Never a product × product matrix: neighbours of product `i` are
/// `neighbours[offsets[i]..offsets[i + 1]]`.
pub(in crate::evaluate) struct ItemKnn<'m> {
    name: &'static str,
    model: &'m Model,
    include_seen: bool,
    offsets: Vec<usize>,
    neighbours: Vec<(u32, f32)>,
}

impl<'m> ItemKnn<'m> {
    /// Costs the sum over users of the square of their number of products, on all threads of the
    /// pool that it is called in.
    pub(in crate::evaluate) fn new(
        model: &'m Model,
        weighting: Weighting,
        include_seen: bool,
    ) -> Self {
        let columns = Columns::of(model, weighting);
        let products = 0..model.products().len() as u32;
        let kept: Vec<Vec<(u32, f32)>> = products
            .into_par_iter()
            .map_init(RankWork::default, |work, product| {
                columns.neighbours(product, work)
            })
            .collect();
        let mut offsets = vec![0];
        offsets.extend(kept.iter().scan(0, |end, kept| {
            *end += kept.len();
            Some(*end)
        }));
        Self {
            name: match weighting {
                Weighting::Binary => "item_knn",
                Weighting::Bm25 => "item_knn_bm25",
            },
            model,
            include_seen,
            offsets,
            neighbours: kept.concat(),
        }
    }
}

impl Ranker for ItemKnn<'_> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn rank(&self, user: UserRow, k: usize, work: &mut RankWork) -> Fallbacks {
        let RankWork {
            list,
            scores,
            touched,
            ..
        } = work;
        scores.resize(self.model.products().len(), 0.0);
        let seen = self.model.history().seen(user);
        for product in seen {
            let product = *product as usize;
            let kept = self.offsets[product]..self.offsets[product + 1];
            for (row, similarity) in &self.neighbours[kept] {
                add(scores, touched, *row, f64::from(*similarity));
            }
        }
        list.clear();
        let had = |row: &u32| seen.binary_search(row).is_ok();
        let eligible = |row: &&u32| self.include_seen || !had(row);
        list.extend(touched.iter().filter(eligible));
        keep_best(list, scores, k);
        for row in touched.drain(..) {
            scores[row as usize] = 0.0;
        }
        Fallbacks::default()
    }
}

fn add(scores: &mut [f64], touched: &mut Vec<u32>, row: u32, score: f64) {
    let sum = &mut scores[row as usize];
    if *sum == 0.0 {
        touched.push(row);
    }
    *sum += score;
}

/// Keeps the rows with the highest scores, best first, among equals the lower row first.
fn keep_best(rows: &mut Vec<u32>, scores: &[f64], at_most: usize) {
    let order = |a: &u32, b: &u32| {
        let (score_a, score_b) = (scores[*a as usize], scores[*b as usize]);
        score_b.total_cmp(&score_a).then(a.cmp(b))
    };
    if rows.len() > at_most {
        rows.select_nth_unstable_by(at_most, order);
        rows.truncate(at_most);
    }
    rows.sort_unstable_by(order);
}

/// The weighted columns of the user-product matrix.
///
/// A weight is a product of one number of the user and one of the product, so the users' numbers
/// stand here squared and the products' are multiplied in at the end.
struct Columns<'m> {
    model: &'m Model,
    /// The users of product `i` are `users[offsets[i]..offsets[i + 1]]`, ascending.
    offsets: Vec<usize>,
    users: Vec<u32>,
    /// By user: the square of their number.
    squares: Vec<f64>,
    /// By product: its number.
    products: Vec<f64>,
    /// By product: the length of its column.
    lengths: Vec<f64>,
}

impl<'m> Columns<'m> {
    fn of(model: &'m Model, weighting: Weighting) -> Self {
        let history = model.history();
        let mut offsets = vec![0; model.products().len() + 1];
        let all = || (0..model.users().len() as u32).map(UserRow);
        let pairs = || all().flat_map(|user| history.seen(user).iter().map(move |p| (user, *p)));
        for (_, product) in pairs() {
            offsets[product as usize + 1] += 1;
        }
        for at in 1..offsets.len() {
            offsets[at] += offsets[at - 1];
        }
        let mut next = offsets.clone();
        let mut users = vec![0; history.interactions()];
        for (user, product) in pairs() {
            users[next[product as usize]] = user.0;
            next[product as usize] += 1;
        }
        let counts = offsets.windows(2).map(|pair| (pair[1] - pair[0]) as f64);
        let with_users = counts.clone().filter(|count| *count > 0.0).count().max(1) as f64;
        let mean = history.interactions() as f64 / with_users;
        let (squares, products) = match weighting {
            Weighting::Binary => (
                vec![1.0; model.users().len()],
                counts.map(|_| 1.0).collect(),
            ),
            Weighting::Bm25 => {
                let idf = |user| (1.0 + with_users / (1.0 + history.seen(user).len() as f64)).ln();
                let length = |count: f64| (K1 + 1.0) / (K1 * (1.0 - B + B * count / mean) + 1.0);
                (
                    all().map(|user| idf(user).powi(2)).collect(),
                    counts.map(length).collect(),
                )
            }
        };
        let mut columns = Self {
            model,
            offsets,
            users,
            squares,
            products,
            lengths: Vec::new(),
        };
        let lengths = (0..model.products().len() as u32).map(|product| columns.length(product));
        columns.lengths = lengths.collect();
        columns
    }

    fn users(&self, product: u32) -> &[u32] {
        let product = product as usize;
        &self.users[self.offsets[product]..self.offsets[product + 1]]
    }

    fn length(&self, product: u32) -> f64 {
        let squares = self.users(product).iter();
        let sum: f64 = squares.map(|user| self.squares[*user as usize]).sum();
        self.products[product as usize] * sum.sqrt()
    }

    /// The nearest others with their similarities, nearest first.
    fn neighbours(&self, product: u32, work: &mut RankWork) -> Vec<(u32, f32)> {
        let RankWork {
            list,
            scores,
            touched,
            ..
        } = work;
        scores.resize(self.model.products().len(), 0.0);
        for user in self.users(product) {
            let theirs = self.model.history().seen(UserRow(*user));
            for other in theirs.iter().filter(|other| **other != product) {
                add(scores, touched, *other, self.squares[*user as usize]);
            }
        }
        let this = product as usize;
        for other in touched.iter().map(|other| *other as usize) {
            let lengths = self.lengths[this] * self.lengths[other];
            scores[other] *= self.products[this] * self.products[other] / (lengths + SHRINKAGE);
        }
        list.clear();
        list.extend(&*touched);
        keep_best(list, scores, NEIGHBOURS);
        let kept = list.iter().map(|row| (*row, scores[*row as usize] as f32));
        let kept = kept.collect();
        for row in touched.drain(..) {
            scores[row as usize] = 0.0;
        }
        kept
    }
}
