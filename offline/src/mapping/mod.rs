//! The mapping file: how one shop's columns become events and products, as data.
//!
//! A shop with other column names, formats or filters needs another TOML file and no code. This
//! module holds the checked file, with every path resolved against the file's own folder. It opens
//! no data file and does not know whether the columns exist; `ingest` does. `docs/mapping.md`
//! describes the keys.

mod catalogue;
mod drop_rule;
mod embeddings;
mod evaluation;
mod events;
mod paths;
mod problems;
mod section;
mod settings;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(crate) use catalogue::{
    CatalogueMapping, PriceColumn, ProductColumns, ProductFiles, TextColumns,
};
pub(crate) use drop_rule::{Condition, number};
pub(crate) use embeddings::{EmbeddingFiles, MatrixFormat};
pub use evaluation::{Cut, EvaluationPlan, SeenPolicy, SplitRule};
pub(crate) use evaluation::{K_MAX, check_lengths};
pub(crate) use events::{EventColumns, KindColumn};
pub use settings::{ContentSettings, ModelSettings};
pub(crate) use source::{Quoting, SourceMapping};

use crate::error::Error;
use evaluation::Evaluation;
use hotshelf_terminal::file::read_text;
use problems::Document;
use section::Section;

/// A checked mapping file.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// The file it was read from.
    pub file: PathBuf,
    /// Name of the shop in reports; by default the file's stem.
    pub shop: String,
    pub(crate) events: EventsMapping,
    pub(crate) catalogue: Option<CatalogueMapping>,
    /// Weight of one event of each type.
    pub(crate) weights: BTreeMap<String, f32>,
    /// How models trained on this shop are evaluated.
    pub evaluation: EvaluationPlan,
    /// The model parameters that the shop sets.
    pub model: ModelSettings,
}

#[derive(Debug, Clone)]
pub(crate) struct EventsMapping {
    pub(crate) source: SourceMapping,
    /// Files of held-out events with the columns of `source`: each as the mapping names it, and its
    /// path; empty unless the split is given.
    pub(crate) test: Vec<(String, PathBuf)>,
    pub(crate) columns: EventColumns,
}

/// Default weight of one event (chosen with the project's owners: a purchase weighs as much as two
/// carts, five clicks or ten views).
const WEIGHTS: [(&str, f32); 4] = [
    ("view", 1.0),
    ("click", 2.0),
    ("add_to_cart", 5.0),
    ("purchase", 10.0),
];

/// Greatest weight of an event; more is a mistake in the file rather than a strong preference.
const WEIGHT_MAX: f64 = 1e6;

/// Longest mapping file (chosen: a thousand times a long one).
const FILE_BYTES_MAX: u64 = 1 << 20;

impl Mapping {
    /// Reads and checks a mapping file.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if the file cannot be read, [`Error::Mapping`] with every problem.
    pub fn load(file: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Unreadable {
            path: file.to_owned(),
            source,
        };
        let text = read_text(file, FILE_BYTES_MAX).map_err(unreadable)?;
        Self::parse(file, &text)
    }

    /// [`Mapping::load`] of a text already read; `file` gives the folder that paths start from.
    ///
    /// # Errors
    /// [`Error::Mapping`] with every problem.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Error> {
        let document = Document::new(text);
        let mapping = Section::root(&document).and_then(|root| read(file, root));
        let problems = document.into_problems();
        match mapping {
            Some(mapping) if problems.is_empty() => Ok(mapping),
            _ => Err(Error::Mapping {
                file: file.to_owned(),
                problems,
            }),
        }
    }
}

/// None only where a problem was reported.
fn read(file: &Path, mut root: Section<'_>) -> Option<Mapping> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let shop = root.value("shop").and_then(|value| value.text());
    let weights = read_weights(root.value("values").and_then(|value| value.section()));
    let events = root.required("events").and_then(|value| value.section());
    let catalogue = root.value("catalogue").and_then(|value| value.section());
    let catalogue = catalogue.map(|section| catalogue::read(section, folder));
    let evaluation = root.value("evaluation").and_then(|value| value.section());
    // Before the events: a split by time needs their times.
    let Evaluation {
        plan: evaluation,
        test,
    } = evaluation::read_evaluation(evaluation, (file, folder), &weights);
    let needs_times = matches!(evaluation.split, SplitRule::Time(_));
    let events =
        events.and_then(|section| events::read(section, folder, &weights, (test, needs_times)));
    let model = settings::read_model(root.value("model").and_then(|value| value.section()));
    let content = root.value("content").and_then(|value| value.section());
    let model = ModelSettings {
        content: settings::read_content(content),
        ..model
    };
    root.finish();
    let stem = || {
        file.file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    Some(Mapping {
        file: file.to_owned(),
        shop: shop.unwrap_or_else(stem),
        events: events?,
        catalogue: match catalogue {
            None => None,
            Some(read) => Some(read?),
        },
        weights,
        evaluation,
        model,
    })
}

fn read_weights(section: Option<Section<'_>>) -> BTreeMap<String, f32> {
    let mut weights: BTreeMap<String, f32> = WEIGHTS
        .iter()
        .map(|(kind, weight)| ((*kind).to_owned(), *weight))
        .collect();
    let Some(mut section) = section else {
        return weights;
    };
    for (kind, value) in section.rest() {
        let Some(number) = value.number() else {
            continue;
        };
        if number > 0.0 && number <= WEIGHT_MAX {
            weights.insert(kind, number as f32);
        } else {
            value.complain(format!(
                "must be above 0 and at most {WEIGHT_MAX}, not {number}"
            ));
        }
    }
    weights
}
