//! The mapping file: how one shop's columns become events and products, as data.
//!
//! A shop with other column names, formats or filters needs another TOML file and no code. This
//! module holds the file as built: every value checked, every path resolved against the file's own
//! folder. It opens no data file and does not know whether the columns it names exist; `ingest`
//! does. The keys are described in `docs/mapping.md`.

mod catalogue;
mod drop_rule;
mod embeddings;
mod evaluation;
mod events;
mod section;
mod settings;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(crate) use catalogue::{
    CatalogueMapping, PriceColumn, ProductColumns, ProductFiles, TextColumns,
};
pub(crate) use drop_rule::{Condition, DropRule, number};
pub(crate) use embeddings::{EmbeddingFiles, MatrixFormat};
pub use evaluation::{Cut, EvaluationPlan, Seen};
pub(crate) use events::{EventColumns, KindColumn};
pub use settings::{ContentSettings, ModelSettings};

use crate::error::Error;
use section::{Document, Section};

/// A checked mapping file.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// The file it was read from.
    pub file: PathBuf,
    /// What the shop is called in reports; the file's stem unless it says otherwise.
    pub shop: String,
    pub(crate) events: EventsMapping,
    pub(crate) catalogue: Option<CatalogueMapping>,
    /// What one event of each type is worth.
    pub(crate) values: BTreeMap<String, f32>,
    /// How models trained on this shop are evaluated.
    pub evaluation: EvaluationPlan,
    /// What the shop sets of the model's parameters.
    pub model: ModelSettings,
}

#[derive(Debug, Clone)]
pub(crate) struct EventsMapping {
    pub(crate) source: SourceMapping,
    pub(crate) columns: EventColumns,
}

/// Files of one header, and which of their rows are left out.
#[derive(Debug, Clone)]
pub(crate) struct SourceMapping {
    /// As the mapping names them, and where they are.
    pub(crate) files: Vec<(String, PathBuf)>,
    pub(crate) delimiter: u8,
    /// Texts that mean "nothing" beside the empty field.
    pub(crate) nulls: Vec<String>,
    pub(crate) bad_rows: BadRowsAllowed,
    pub(crate) drop: Vec<DropRule>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct BadRowsAllowed {
    /// Share of all rows, 0 to 1.
    pub(crate) share: f64,
    /// Where they are set aside; always there when the share is above 0.
    pub(crate) file: Option<PathBuf>,
}

/// What one event is worth where the mapping does not say otherwise (chosen with the project's
/// owners: a purchase says as much as two carts, five clicks or ten views).
const VALUES: [(&str, f32); 4] = [
    ("view", 1.0),
    ("click", 2.0),
    ("add_to_cart", 5.0),
    ("purchase", 10.0),
];

/// A value above this is a mistake in the file rather than a strong preference.
const VALUE_MAX: f64 = 1e6;

impl Mapping {
    /// Reads and checks a mapping file.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if the file cannot be read, [`Error::Mapping`] with every mistake.
    pub fn load(file: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(file).map_err(|source| Error::Unreadable {
            path: file.to_owned(),
            source,
        })?;
        Self::parse(file, &text)
    }

    /// [`Mapping::load`] of a text already read; `file` gives the folder that paths start from.
    ///
    /// # Errors
    /// [`Error::Mapping`] with every mistake.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Error> {
        let document = Document::new(text);
        let mapping = document.root().and_then(|root| read(file, root));
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
    let values = read_values(root.value("values").and_then(|value| value.section()));
    let events = root.needed("events").and_then(|value| value.section());
    let events = events.and_then(|section| events::read(section, folder, &values));
    let catalogue = root.value("catalogue").and_then(|value| value.section());
    let catalogue = catalogue.map(|section| catalogue::read(section, folder));
    let evaluation = root.value("evaluation").and_then(|value| value.section());
    let evaluation = evaluation::read_evaluation(evaluation, &values);
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
        values,
        evaluation,
        model,
    })
}

fn read_values(section: Option<Section<'_>>) -> BTreeMap<String, f32> {
    let mut values: BTreeMap<String, f32> = VALUES
        .iter()
        .map(|(kind, value)| ((*kind).to_owned(), *value))
        .collect();
    let Some(mut section) = section else {
        return values;
    };
    for (kind, value) in section.rest() {
        let Some(number) = value.number() else {
            continue;
        };
        if number > 0.0 && number <= VALUE_MAX {
            values.insert(kind, number as f32);
        } else {
            value.complain(format!(
                "must be above 0 and at most {VALUE_MAX}, not {number}"
            ));
        }
    }
    values
}

/// The keys that events and catalogue files have in common. None where a problem was reported.
fn read_source(section: &mut Section<'_>, folder: &Path) -> Option<SourceMapping> {
    let files = section.needed("files").and_then(|value| value.texts());
    let delimiter =
        section
            .value("delimiter")
            .map_or(Some(b','), |value| match value.text()?.as_bytes() {
                [byte] => Some(*byte),
                _ => {
                    value.complain("must be one ASCII character");
                    None
                }
            });
    let nulls = section
        .value("nulls")
        .map_or(Some(Vec::new()), |value| value.texts());
    let bad_rows = section.value("bad_rows").and_then(|value| value.section());
    let bad_rows = bad_rows.map_or(Some(BadRowsAllowed::default()), |s| {
        read_bad_rows(s, folder)
    });
    let drop = section
        .value("drop")
        .map(|value| value.sections())
        .unwrap_or_default();
    let drop: Vec<Option<DropRule>> = drop.into_iter().map(drop_rule::read).collect();
    let files = files?.into_iter().map(|name| {
        let path = folder.join(&name);
        (name, path)
    });
    Some(SourceMapping {
        files: files.collect(),
        delimiter: delimiter?,
        nulls: nulls?,
        bad_rows: bad_rows?,
        drop: drop.into_iter().collect::<Option<_>>()?,
    })
}

fn read_bad_rows(mut section: Section<'_>, folder: &Path) -> Option<BadRowsAllowed> {
    let share = section
        .needed("at_most")
        .and_then(|value| value.number_in(0.0..=1.0));
    let file = section.value("file").and_then(|value| value.text());
    if share.is_some_and(|share| share > 0.0) && file.is_none() {
        section.complain("allows bad rows and must name the file that they are set aside in");
    }
    section.finish();
    Some(BadRowsAllowed {
        share: share?,
        file: file.map(|name| folder.join(name)),
    })
}
