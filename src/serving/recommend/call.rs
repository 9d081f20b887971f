//! A Recommend request: its fields as asked, and the valid, canonical call.

use crate::error::CallError;
use crate::guardrails::Scope;
use crate::metrics::CallKind;
use crate::serving::N_DEFAULT;
use crate::serving::arm::Target;
use crate::serving::evidence::{Arms, Judged, is_filtered};
use crate::serving::filter::{ProductFilter, positive_zero};
use crate::serving::key::{CanonicalCall, KeyWriter};
use crate::serving::validate::Violations;
use hotshelf_model::{Model, Strategy};

/// Products that a request may ask for.
const N_MAX: u32 = 100;
/// Recent products that a request may name.
const RECENTS_MAX: usize = 100;

/// A request as the caller wrote it, in whatever encoding. The proto file says what the fields mean.
#[derive(Clone, Debug)]
pub struct RecommendFields {
    /// Empty: anonymous.
    pub user_id: String,
    /// Empty: none.
    pub session_id: String,
    /// Empty: none.
    pub request_id: String,
    /// Empty: the default model.
    pub model: String,
    /// `None`: 10.
    pub n: Option<u32>,
    /// `None`: the version's default. `Err`: why the value is no strategy.
    pub strategy: Result<Option<Strategy>, String>,
    /// `None`: the version's default.
    pub alpha: Option<f64>,
    /// Newest first; empty: what the model's history knows.
    pub recent_product_ids: Vec<String>,
    /// Which products may be returned.
    pub filter: ProductFilter,
    /// Whether seen products may be returned. `None`: the version's default.
    pub include_seen: Option<bool>,
    /// Whether items carry the names of their products.
    pub include_names: bool,
    /// Whether the answer says how it was computed.
    pub debug: bool,
    /// The version to be answered by, past the traffic split.
    pub pinned_version: Option<u64>,
}

/// Which sources a call's recents came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecentSources {
    /// The request named some.
    pub request: bool,
    /// This server's memory had some more.
    pub memory: bool,
}

impl RecentSources {
    /// Their names, newest source first.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let named = [(self.request, "request"), (self.memory, "memory")];
        named
            .into_iter()
            .filter_map(|(is_used, name)| is_used.then_some(name))
    }
}

/// A valid request in canonical form: requests that mean the same are equal.
#[derive(Clone, Debug)]
pub struct RecommendCall {
    pub(in crate::serving) target: Target,
    /// Empty: anonymous.
    pub user_id: String,
    /// How many products.
    pub n: usize,
    /// `None` until the version's default is filled in.
    pub strategy: Option<Strategy>,
    /// Whether the request named content, and is refused by versions without it.
    names_content: bool,
    /// Weight of the collaborative score; `None` where the strategy does not blend.
    pub alpha: Option<f64>,
    /// Newest first; those that the request names, then those of the store.
    pub recent_product_ids: Vec<String>,
    /// Those of them that the person only looked at.
    pub browsed: Vec<String>,
    /// Whether the model's history follows them.
    pub fill_from_history: bool,
    /// Where they came from.
    pub recent_sources: RecentSources,
    /// Sorted, without duplicates.
    pub filter: ProductFilter,
    /// Whether seen products may be returned; `None` until the version's default is filled in.
    pub include_seen: Option<bool>,
    /// Whether items carry the names of their products.
    pub include_names: bool,
    /// Whether the answer says how it was computed.
    pub debug: bool,
}

impl RecommendCall {
    /// Checks every field.
    ///
    /// # Errors
    /// `BadFields` with all bad ones.
    pub(in crate::serving) fn validate(fields: RecommendFields) -> Result<Self, CallError> {
        let mut bad = Violations::default();
        bad.optional_id("user_id", &fields.user_id);
        bad.optional_id("session_id", &fields.session_id);
        bad.optional_id("request_id", &fields.request_id);
        bad.model(&fields.model);
        let n = bad.count("n", fields.n, N_DEFAULT, N_MAX);
        let strategy = bad.choice("strategy", fields.strategy);
        if let Some(alpha) = fields.alpha.filter(|alpha| !(0.0..=1.0).contains(alpha)) {
            bad.add("alpha", format!("{alpha} is not within 0 to 1"));
        }
        let recents = &fields.recent_product_ids;
        bad.ids("recent_product_ids", recents, RECENTS_MAX);
        fields.filter.check(&mut bad);
        bad.finish()?;
        Ok(Self {
            target: Target::new(
                fields.model,
                [fields.session_id, fields.request_id],
                fields.pinned_version,
            ),
            user_id: fields.user_id,
            n: n as usize,
            strategy,
            names_content: strategy == Some(Strategy::Content),
            alpha: fields.alpha,
            recent_product_ids: fields.recent_product_ids,
            browsed: Vec::new(),
            fill_from_history: false,
            recent_sources: RecentSources::default(),
            filter: fields.filter.canonical(),
            include_seen: fields.include_seen,
            include_names: fields.include_names,
            debug: fields.debug,
        })
    }

    /// Empty: the request names none.
    pub(in crate::serving) fn session_id(&self) -> &str {
        self.target.session_id()
    }

    /// Fills in what the version decides. Alpha means something in the hybrid alone, so a request that
    /// sets it and names no strategy means the hybrid.
    pub(in crate::serving) fn fill_defaults(&mut self, model: &Model) {
        let defaults = model.defaults();
        let named = self.strategy.or(self.alpha.map(|_| Strategy::Hybrid));
        let strategy = named.unwrap_or(defaults.strategy);
        self.include_seen = Some(self.include_seen.unwrap_or(defaults.include_seen));
        let alpha = self.alpha.unwrap_or(model.parameters().scoring.alpha);
        self.strategy = Some(strategy);
        self.alpha = (strategy == Strategy::Hybrid).then_some(positive_zero(alpha));
    }
}

impl Judged for RecommendCall {
    fn split_key(&self) -> &str {
        self.target.split_key(&self.user_id)
    }

    fn scope(&self, arms: Arms<'_>) -> Scope {
        if self.names_content && !arms.have_content() || !arms.count_person(&self.user_id) {
            return Scope::Nothing;
        }
        let is_alike = !is_filtered(&self.filter)
            && arms.agree_on_person(&self.user_id)
            && arms.agree_on_products(&self.recent_product_ids);
        if is_alike {
            Scope::Everything
        } else {
            Scope::ErrorsAndTime
        }
    }
}

impl CanonicalCall for RecommendCall {
    const KIND: CallKind = CallKind::Recommend;

    fn write_key(&self, key: &mut KeyWriter) {
        let Self {
            // Chooses the arm, whose names are in the key.
            target: _,
            user_id,
            n,
            strategy,
            // Decides a refusal, which is not cached, and no answer.
            names_content: _,
            alpha,
            recent_product_ids,
            browsed,
            fill_from_history,
            // Of interest to an answer that explains itself, and those are not cached.
            recent_sources: _,
            filter,
            include_seen,
            include_names,
            // An answer that explains itself is not cached.
            debug: _,
        } = self;
        key.text(user_id);
        key.number(*n as u64);
        key.text(strategy.map_or("", Strategy::as_str));
        key.optional_f64(*alpha);
        key.texts(recent_product_ids);
        key.texts(browsed);
        key.flag(*fill_from_history);
        filter.write_key(key);
        key.flag(include_seen.is_some());
        key.flag(include_seen.unwrap_or_default());
        key.flag(*include_names);
    }
}

#[cfg(test)]
mod tests;
