//! item-kNN: users who had this also had that.
//!
//! The baseline that a factor model has to beat: hardly any training, and often strong. The
//! similarity of two products is the cosine of their columns in the binary user-product matrix,
//!
//! ```text
//! sim(i, j) = |users of i ∩ users of j| / sqrt(|users of i| × |users of j|)
//! ```
//!
//! each product keeps its [`NEIGHBOURS`] nearest others, and a product's score for a user is the
//! sum of its similarities to the products that the user has and that keep it. Source: Sarwar,
//! Karypis, Konstan, Riedl (2001), Item-based collaborative filtering recommendation algorithms;
//! Deshpande, Karypis (2004), Item-based top-N recommendation algorithms (their cosine without the
//! optional normalising of rows). A list is shorter than k if fewer products have a score; it is
//! not filled up.

use hotshelf_model::{Fallbacks, Model, UserRow};

use super::rankers::Ranker;
use crate::mapping::{EvaluationPlan, SeenPolicy};

/// Neighbours per product (chosen: both papers find no gain beyond some dozens, and 200 take 1.6 kB
/// for each product with events).
pub(super) const NEIGHBOURS: usize = 200;

/// Never a product × product matrix: neighbours of product `i` are
/// `rows[offsets[i]..offsets[i + 1]]`.
pub(super) struct ItemKnn<'m> {
    model: &'m Model,
    k: usize,
    include_seen: bool,
    offsets: Vec<usize>,
    rows: Vec<u32>,
    similarities: Vec<f32>,
    /// By product; all zero between calls.
    scores: Vec<f64>,
    /// Products with a score.
    touched: Vec<u32>,
}

impl<'m> ItemKnn<'m> {
    /// Costs the sum over users of the square of their number of products.
    pub(super) fn new(model: &'m Model, plan: &EvaluationPlan) -> Self {
        let products = model.products().len();
        let mut ranker = Self {
            model,
            k: plan.k,
            include_seen: plan.seen == SeenPolicy::Included,
            offsets: Vec::with_capacity(products + 1),
            rows: Vec::new(),
            similarities: Vec::new(),
            scores: vec![0.0; products],
            touched: Vec::new(),
        };
        ranker.offsets.push(0);
        let owners = Owners::of(model);
        for product in 0..products as u32 {
            ranker.add_neighbours(product, &owners);
        }
        ranker
    }

    fn add_neighbours(&mut self, product: u32, owners: &Owners) {
        let users = owners.users(product);
        for user in users {
            let theirs = self.model.history().seen(UserRow(*user));
            for other in theirs.iter().filter(|other| **other != product) {
                add(&mut self.scores, &mut self.touched, *other, 1.0);
            }
        }
        for other in &self.touched {
            let pairs = (users.len() * owners.users(*other).len()) as f64;
            self.scores[*other as usize] /= pairs.sqrt();
        }
        let scores = &self.scores;
        keep_best(&mut self.touched, scores, NEIGHBOURS);
        self.rows.extend(&self.touched);
        let similarities = self.touched.iter().map(|row| scores[*row as usize] as f32);
        self.similarities.extend(similarities);
        self.offsets.push(self.rows.len());
        // Not only the nearest: all products of these users were touched.
        for user in users {
            for other in self.model.history().seen(UserRow(*user)) {
                self.scores[*other as usize] = 0.0;
            }
        }
        self.touched.clear();
    }
}

impl Ranker for ItemKnn<'_> {
    fn name(&self) -> &'static str {
        "item_knn"
    }

    fn rank(&mut self, user: UserRow, list: &mut Vec<u32>) -> Fallbacks {
        let seen = self.model.history().seen(user);
        for product in seen {
            let product = *product as usize;
            let kept = self.offsets[product]..self.offsets[product + 1];
            let neighbours = self.rows[kept.clone()].iter().zip(&self.similarities[kept]);
            for (row, similarity) in neighbours {
                let similarity = f64::from(*similarity);
                add(&mut self.scores, &mut self.touched, *row, similarity);
            }
        }
        list.clear();
        let had = |row: &u32| seen.binary_search(row).is_ok();
        let eligible = |row: &&u32| self.include_seen || !had(row);
        list.extend(self.touched.iter().filter(eligible));
        keep_best(list, &self.scores, self.k);
        for row in self.touched.drain(..) {
            self.scores[row as usize] = 0.0;
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

/// The users of each product, ascending.
struct Owners {
    offsets: Vec<usize>,
    users: Vec<u32>,
}

impl Owners {
    fn of(model: &Model) -> Self {
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
        Self { offsets, users }
    }

    fn users(&self, product: u32) -> &[u32] {
        let product = product as usize;
        &self.users[self.offsets[product]..self.offsets[product + 1]]
    }
}
