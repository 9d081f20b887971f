//! The model card: the model's own section of a manifest, as JSON.
//!
//! The registry carries it without reading it. Unknown fields are tolerated, so that a newer
//! publisher can say more to an older server.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    params::{FitParams, IndexChoice},
    query::{Defaults, Reason, Strategy},
    side::Weights,
    verdict::{Trial, Verdict},
};

/// What a published version says about itself beside its parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// [`crate::SCORING_REVISION`] of the publisher.
    pub scoring_revision: u32,
    /// Numbers of rows; parts are checked against them before anything is allocated.
    pub sizes: Sizes,
    /// Lengths of rows.
    pub dimensions: Dimensions,
    /// What the model was fitted with.
    #[serde(default)]
    pub parameters: FitParams,
    /// Plan of each index by name; `als` is the one over product factors, `content` the one over
    /// distinct embeddings.
    pub index: BTreeMap<String, IndexCard>,
    /// Content embeddings; absent in a version without content parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentCard>,
    /// What one recent product weighs in a fold-in: the mean interaction value of the events.
    #[serde(default = "fold_in_value_default")]
    pub fold_in_value: f32,
    /// Unix seconds of the last event that the version knows, from which its values decay; absent
    /// where events have no times, and in versions that were published before.
    #[serde(default, rename = "as_of", skip_serializing_if = "Option::is_none")]
    pub as_of_s: Option<i64>,
    /// What a query gets that leaves strategy or seen products open; absent: the hybrid, and seen
    /// products excluded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Defaults>,
    /// How the parameters were evaluated, if they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<Evaluation>,
    /// Queries with the answers the publisher got.
    #[serde(default, rename = "probes")]
    pub golden_queries: Vec<GoldenQuery>,
}

/// For versions that were published before fold-in.
fn fold_in_value_default() -> f32 {
    1.0
}

/// Numbers of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// Users, all with at least one interaction.
    pub users: usize,
    /// Products, those without interactions included.
    pub products: usize,
    /// Distinct user-product pairs.
    pub interactions: usize,
}

/// Lengths of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimensions {
    /// ALS factors.
    pub factors: usize,
    /// Length of a content embedding; 0 in a version without content parts.
    #[serde(default)]
    pub content: usize,
}

/// What content embeddings were made of, and how many there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContentCard {
    /// `text` (TF-IDF and price) or `own` (brought by the shop).
    pub source: String,
    /// Distinct embeddings G; products with equal ones form a group.
    pub groups: usize,
    /// Products with nothing to embed; they are answered by the popularity of their category.
    pub products_without: usize,
    /// Neighbours kept of each group.
    pub neighbours: usize,
    /// Whether the neighbour lists are exact; else they come from the index.
    pub neighbours_exact: bool,
    /// Names of the columns: the terms ascending, and `price` for the last one; empty for `own`.
    #[serde(default)]
    pub terms: Vec<String>,
}

/// How one index searches, and how well it was measured to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IndexCard {
    /// Name of the plan: `exact` or `hnsw`.
    pub plan: String,
    /// Share of the exact top 10 that the plan returns; 1 for exact plans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall_at_10: Option<f64>,
    /// Queries per second on one core of the publisher, where it measured them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queries_per_s: Option<f64>,
    /// The plan requested: `auto`, `exact` or `hnsw`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<IndexChoice>,
    /// Rows indexed.
    #[serde(default)]
    pub rows: usize,
    /// Rows of zeros, which no graph holds.
    #[serde(default)]
    pub zero_rows: usize,
    /// Every plan that was considered, the chosen one included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<PlanCard>,
    /// The graph; absent under plan `exact`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph: Option<GraphCard>,
}

/// Measurements of one plan; all plans are measured on the same queries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanCard {
    /// Name of the plan: `exact` or `hnsw`.
    pub plan: String,
    /// Metric of the graph: `l2_reduced`, `cosine` or `inner_product`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Nodes that a graph search keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ef: Option<usize>,
    /// Queries measured.
    #[serde(default)]
    pub queries: usize,
    /// Share of the exact top 10 found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall_at_10: Option<f64>,
    /// Mean rows scored for a query: by their codes in the exact plan, in full in a graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_scored: Option<f64>,
    /// The same in rows scored by their codes: the cost by which plans are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Queries per second on one core, where the publisher measured them; decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queries_per_s: Option<f64>,
    /// Whether it was built; where not, `note` says why.
    #[serde(default)]
    pub built: bool,
    /// Why it was or was not chosen, in words.
    #[serde(default)]
    pub note: String,
}

/// How a graph was built and is searched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GraphCard {
    /// Metric of the graph: `l2_reduced`, `cosine` or `inner_product`.
    pub metric: String,
    /// M of the build; a node has at most twice as many edges.
    pub m: usize,
    /// Neighbours looked for when a node was inserted.
    pub ef_construction: usize,
    /// Nodes that a search for 10 keeps.
    pub ef_search: usize,
    /// Rows that are nodes.
    pub nodes: usize,
    /// Edges added by the repair; a walk from the entry visits every node.
    pub added_edges: usize,
    /// Share of sampled rows that a search with the row itself finds, or something scoring as high.
    pub self_found: f64,
}

/// An evaluation on held-out events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// How events were split into training and evaluation, in words.
    pub protocol: String,
    /// `time`, `leave_last_out` or `given`.
    #[serde(default = "split_default")]
    pub split: String,
    /// First instant of the held-out events, RFC 3339; empty unless the split is by time.
    pub cut_off: String,
    /// Length of the ranked lists.
    pub k: usize,
    /// Users evaluated.
    pub users: usize,
    /// Products ranked.
    pub catalogue: usize,
    /// `excluded` or `included`: products the user already had, in lists and in relevant sets.
    pub seen: String,
    /// Whether the published model was fitted again on all events and is itself unmeasured.
    pub refit: bool,
    /// Anything a reader of the numbers must know.
    pub note: String,
    /// One row per ranker, baselines included.
    pub rankers: Vec<RankerScores>,
    /// What it concluded; absent in versions that were published before verdicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Every trial of the search over parameters, none where there was no search.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trials: Vec<Trial>,
}

/// For versions that were published before there were others.
fn split_default() -> String {
    "time".to_owned()
}

/// Means over the measured users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankerScores {
    /// Name of the ranker.
    pub ranker: String,
    /// Precision@k.
    pub precision: f64,
    /// Recall@k.
    pub recall: f64,
    /// nDCG@k, binary relevance.
    pub ndcg: f64,
    /// Mean average precision at k.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<f64>,
    /// Mean reciprocal rank at k.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mrr: Option<f64>,
    /// Share of users with at least one hit.
    pub hit_rate: f64,
    /// Share of the catalogue in at least one user's list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<f64>,
}

/// What [`crate::Model::pack`] cannot know by itself.
#[derive(Clone, Debug, Default)]
pub struct CardExtra {
    /// How it was evaluated.
    pub evaluation: Option<Evaluation>,
    /// Golden queries by known users, at most 242. Up to fourteen more cover an unknown user, a new
    /// visitor, exclusions, seen products, a filter, the hybrid beside the blend, and each side alone.
    pub golden_queries: usize,
}

/// A query with the answer that the publisher got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GoldenQuery {
    /// User id; may be unknown to the model.
    pub user_id: String,
    /// Products asked for.
    pub n: usize,
    /// Strategy asked for.
    pub strategy: Strategy,
    /// Excluded product ids.
    #[serde(default)]
    pub exclude_product_ids: Vec<String>,
    /// Whether seen products are eligible.
    #[serde(default)]
    pub include_seen: bool,
    /// Weight of the collaborative score; absent: the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// Weights of the sides; absent: the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
    /// Recent products in the query.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent_product_ids: Vec<String>,
    /// Categories of the filter; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Strategy used in the answer.
    pub answered_by: Strategy,
    /// The answer, best first.
    pub items: Vec<GoldenItem>,
}

/// One product in the answer of a golden query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GoldenItem {
    /// Product id.
    pub product_id: String,
    /// Final score.
    pub score: f32,
    /// Where it came from.
    pub reason: Reason,
    /// Raw collaborative score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collaborative: Option<f32>,
    /// Raw content score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<f32>,
    /// Raw sequence score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<f32>,
    /// Raw repeat score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<f32>,
    /// Raw trend score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trend: Option<f32>,
}

/// Outcome of [`ModelCard::check_golden_queries`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoldenQueryReport {
    /// Golden queries repeated.
    pub checked: usize,
    /// One line per mismatch; empty if all answers agree.
    pub mismatches: Vec<String>,
    /// Whether publisher and this build use different scoring revisions. Mismatches are then
    /// reported and do not refuse the version.
    pub revision_differs: bool,
}

impl GoldenQueryReport {
    /// Whether the version must be refused.
    #[must_use]
    pub fn refuses(&self) -> bool {
        !self.revision_differs && !self.mismatches.is_empty()
    }
}
