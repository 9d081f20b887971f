//! `hotshelf models verify`: every check that a server makes before a version goes live.

use super::{OneVersion, block_on, manifest, write_json};
use crate::lifecycle::{
    LoadError, LoadErrorKind, check_golden_queries, check_revision, needed, revision_refusal,
    unpack,
};
use bytes::Bytes;
use hotshelf_model::Scratch;
use hotshelf_registry::{CacheDir, Manifest};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

/// The outcome, as `--json` prints it.
#[derive(Serialize)]
struct Verdict {
    model: String,
    version: u64,
    is_good: bool,
    kind: &'static str,
    message: String,
}

/// Runs `hotshelf models verify`.
pub(super) fn run(one: &OneVersion, out: &mut dyn Write) -> anyhow::Result<()> {
    let registry = one.of.open()?;
    let folder = tempfile::tempdir()?;
    let cache = CacheDir::open(folder.path())?;
    let manifest = block_on(manifest(one, &registry))?;
    let needed = needed(&manifest);
    let mut local = block_on(async { Ok(registry.fetch(&needed, &cache).await?) })?;
    let mut sealed = local.seal(&mut |_| {});
    while sealed.is_err() && local.damaged().is_some() {
        block_on(async { Ok(registry.refetch(&needed, &cache, &mut local).await?) })?;
        sealed = local.seal(&mut |_| {});
    }
    let checked = check(&manifest, sealed);
    let (kind, message) = match &checked {
        Ok(()) => ("ok", String::new()),
        Err(error) => (error.kind.as_str(), error.message.clone()),
    };
    let (model, version) = (manifest.model.to_string(), manifest.version.get());
    let verdict = Verdict {
        model,
        version,
        is_good: checked.is_ok(),
        kind,
        message,
    };
    if one.of.output.json {
        write_json(out, &verdict)?;
    } else if verdict.is_good {
        writeln!(
            out,
            "{} version {version} passed: checksums, bounds, golden queries",
            verdict.model
        )?;
    }
    anyhow::ensure!(verdict.is_good, "{}: {}", verdict.kind, verdict.message);
    Ok(())
}

fn check(
    manifest: &Manifest,
    sealed: Result<BTreeMap<String, Bytes>, hotshelf_registry::Error>,
) -> Result<(), LoadError> {
    let parts = sealed.map_err(|error| LoadError::from(&error))?;
    let (card, model) = unpack(manifest, &parts, &mut |_| {})?;
    check_revision(card.scoring_revision)
        .map_err(|why| revision_refusal(manifest.version, &why))?;
    match check_golden_queries(&card, &model, &mut Scratch::default(), &mut |_| {}) {
        Some(message) => Err(LoadError {
            kind: LoadErrorKind::GoldenQueries,
            message,
            is_retryable: false,
        }),
        None => Ok(()),
    }
}
