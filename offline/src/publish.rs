//! Publishes a packed model to a registry.

use hotshelf_registry::{Manifest, ModelName, NewPart, NewVersion, PartName, Registry};

use crate::error::Error;
use crate::gate::Passed;
use crate::packed::PackedModel;

/// Registry, name and author for publishing.
pub struct Target<'a> {
    /// The registry's URL, for messages.
    pub url: &'a str,
    /// The registry behind it.
    pub registry: &'a Registry,
    /// Name of the model.
    pub model: &'a ModelName,
    /// Who publishes, at most 256 bytes.
    pub author: &'a str,
}

/// Publishes a version that passed the gate and returns its manifest, whose card says how it passed. Blocks on a runtime of its own, so it must not be
/// called inside another.
///
/// # Errors
/// [`Error::Registry`].
pub fn publish(
    packed: PackedModel,
    passed: &Passed,
    target: &Target<'_>,
) -> Result<Manifest, Error> {
    let failed = |source| Error::Registry {
        url: target.url.to_owned(),
        source,
    };
    let version = version(packed, passed, target.author).map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let published = runtime.block_on(target.registry.publish(target.model, version));
    published.map_err(failed)
}

fn version(
    packed: PackedModel,
    passed: &Passed,
    author: &str,
) -> Result<NewVersion, hotshelf_registry::Error> {
    let mut card = serde_json::to_value(&packed.card).expect("a card has text keys only");
    card["gate"] = serde_json::to_value(passed).expect("it has text keys only");
    let parts = packed.parts.into_iter().map(|(name, bytes)| {
        let name: PartName = name.parse()?;
        Ok(NewPart::required(name, bytes))
    });
    Ok(NewVersion {
        parts: parts.collect::<Result<_, hotshelf_registry::Error>>()?,
        card,
        lineage: packed.lineage,
        author: author.to_owned(),
    })
}
