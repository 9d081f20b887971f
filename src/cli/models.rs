//! `hotshelf models list | show | verify`, and `gc`: looks at a registry without a server.

use super::place::Place;
use super::{block_on, gc, write_json};
use crate::lifecycle::{LoadError, LoadErrorKind, card, check_golden_queries, unpack};
use anyhow::Context;
use bytes::Bytes;
use clap::{Args, Subcommand};
use hotshelf_model::{Evaluation, IndexCard, ModelCard, Scratch};
use hotshelf_registry::{CacheDir, Manifest, Registry, Version};
use hotshelf_terminal::quantity;
use hotshelf_terminal::table::{Column, TextTable};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

/// Subcommands of `hotshelf models`.
#[derive(Subcommand)]
pub(super) enum ModelsCommand {
    /// List versions, newest first
    List(Place),
    /// Show one version's manifest
    Show(OneVersion),
    /// Fetch a version and put it through every check that a server makes
    Verify(OneVersion),
    /// Show what nobody needs any more, and remove it with --apply
    Gc(gc::GcArgs),
}

/// Which version.
#[derive(Args)]
pub(super) struct OneVersion {
    /// Number [default: the newest]
    version: Option<u64>,
    #[command(flatten)]
    place: Place,
}

/// Runs one of them.
pub(super) fn run(command: &ModelsCommand, out: &mut dyn Write) -> anyhow::Result<()> {
    match command {
        ModelsCommand::List(place) => list(place, out),
        ModelsCommand::Show(one) => show(one, out),
        ModelsCommand::Verify(one) => verify(one, out),
        ModelsCommand::Gc(args) => gc::run(args, out),
    }
}

/// One line of the list.
#[derive(Serialize)]
struct Listed {
    version: u64,
    created_at: String,
    author: String,
    size_bytes: u64,
    users: usize,
    products: usize,
    interactions: usize,
    problem: String,
}

impl Listed {
    fn of(version: Version, manifest: Result<Manifest, hotshelf_registry::Error>) -> Self {
        let empty = Self {
            version: version.get(),
            created_at: String::new(),
            author: String::new(),
            size_bytes: 0,
            users: 0,
            products: 0,
            interactions: 0,
            problem: String::new(),
        };
        let manifest = match manifest {
            Ok(manifest) => manifest,
            Err(error) => {
                return Self {
                    problem: crate::error::with_causes(&error),
                    ..empty
                };
            }
        };
        let described = Self {
            created_at: manifest.created_at.clone(),
            author: manifest.author.clone(),
            size_bytes: manifest.parts.iter().map(|part| part.size_bytes).sum(),
            ..empty
        };
        match card(&manifest) {
            Ok(card) => Self {
                users: card.sizes.users,
                products: card.sizes.products,
                interactions: card.sizes.interactions,
                ..described
            },
            Err(error) => Self {
                problem: error.message,
                ..described
            },
        }
    }
}

fn list(place: &Place, out: &mut dyn Write) -> anyhow::Result<()> {
    let registry = place.open()?;
    let listed = block_on(async {
        let mut listed = Vec::new();
        for version in registry
            .version_numbers(&place.model)
            .await?
            .into_iter()
            .rev()
        {
            let manifest = registry.manifest(&place.model, version).await;
            listed.push(Listed::of(version, manifest));
        }
        Ok(listed)
    })?;
    if place.output.json {
        return write_json(out, &listed);
    }
    let mut table = TextTable::new([
        Column::Right("version"),
        Column::Left("created"),
        Column::Left("author"),
        Column::Right("size"),
        Column::Right("users"),
        Column::Right("products"),
        Column::Right("interactions"),
        Column::Text(""),
    ]);
    for one in &listed {
        table.row([
            one.version.to_string(),
            one.created_at.clone(),
            one.author.clone(),
            quantity::bytes(one.size_bytes),
            one.users.to_string(),
            one.products.to_string(),
            one.interactions.to_string(),
            one.problem.clone(),
        ]);
    }
    write!(out, "{}", table.render(0))?;
    Ok(())
}

async fn manifest(one: &OneVersion, registry: &Registry) -> anyhow::Result<Manifest> {
    let model = &one.place.model;
    let version = match one.version {
        Some(number) => Version::new(number).context("versions begin at 1")?,
        None => registry
            .newest(model)
            .await?
            .with_context(|| format!("{model} has no version"))?,
    };
    Ok(registry.manifest(model, version).await?)
}

fn show(one: &OneVersion, out: &mut dyn Write) -> anyhow::Result<()> {
    let registry = one.place.open()?;
    let manifest = block_on(manifest(one, &registry))?;
    if one.place.output.json {
        return write_json(out, &manifest);
    }
    let card = readable_card(&manifest)?;
    writeln!(
        out,
        "{} version {}, {} by {}",
        manifest.model, manifest.version, manifest.created_at, manifest.author
    )?;
    writeln!(
        out,
        "{} users, {} products, {} interactions, {} factors, scoring revision {}, {} probes",
        card.sizes.users,
        card.sizes.products,
        card.sizes.interactions,
        card.dimensions.factors,
        card.scoring_revision,
        card.golden_queries.len()
    )?;
    writeln!(out, "\nparts of upload {}", manifest.upload)?;
    let mut table = TextTable::new([Column::Left(""), Column::Right(""), Column::Text("")]);
    for part in &manifest.parts {
        let size = quantity::bytes(part.size_bytes);
        table.row([part.name.to_string(), size, part.sha256.to_string()]);
    }
    write!(out, "{}", table.render(2))?;
    show_training(&card, &manifest, out)?;
    match &card.evaluation {
        Some(evaluation) => show_evaluation(evaluation, out),
        None => Ok(()),
    }
}

fn show_training(card: &ModelCard, manifest: &Manifest, out: &mut dyn Write) -> anyhow::Result<()> {
    for (name, index) in &card.index {
        show_index(name, index, out)?;
    }
    writeln!(out, "\nmade of (seed {})", manifest.lineage.seed)?;
    for input in &manifest.lineage.inputs {
        writeln!(out, "  {} ({} rows)", input.name, input.rows)?;
    }
    Ok(())
}

/// The plan of one index, what was measured of every plan considered, and its graph.
fn show_index(name: &str, index: &IndexCard, out: &mut dyn Write) -> anyhow::Result<()> {
    let recall = index
        .recall_at_10
        .map_or(String::new(), |r| format!(", recall@10 {r:.4}"));
    writeln!(out, "\nindex {name}: {}{recall}", index.plan)?;
    if !index.candidates.is_empty() {
        let mut table = TextTable::new([
            Column::Left("plan"),
            Column::Left("metric"),
            Column::Right("ef"),
            Column::Right("recall@10"),
            Column::Right("rows scored"),
            Column::Right("cost"),
            Column::Right("queries/s"),
            Column::Text("note"),
        ]);
        for plan in &index.candidates {
            let number = |x: Option<f64>| x.map_or_else(|| "-".to_owned(), |x| format!("{x:.0}"));
            let ef = plan.ef.map(|ef| ef as f64);
            table.row([
                plan.plan.clone(),
                plan.metric.clone().unwrap_or_else(|| "-".to_owned()),
                number(ef),
                plan.recall_at_10
                    .map_or_else(|| "-".to_owned(), |r| format!("{r:.4}")),
                number(plan.rows_scored),
                number(plan.cost),
                number(plan.queries_per_s),
                plan.note.clone(),
            ]);
        }
        write!(out, "{}", table.render(2))?;
    }
    if let Some(graph) = &index.graph {
        writeln!(
            out,
            "  graph of {} nodes, m {}, built with ef {}, {} edges added, {:.4} find themselves",
            graph.nodes, graph.m, graph.ef_construction, graph.added_edges, graph.self_found
        )?;
    }
    Ok(())
}

fn show_evaluation(evaluation: &Evaluation, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(
        out,
        "\nevaluation: {}, cut at {}, {} users, {} products; seen products {}",
        evaluation.protocol,
        evaluation.cut_off,
        evaluation.users,
        evaluation.catalogue,
        evaluation.seen
    )?;
    writeln!(out, "{}", evaluation.note)?;
    let k = evaluation.k;
    let heads = ["precision", "recall", "nDCG"].map(|metric| format!("{metric}@{k}"));
    let columns = heads.iter().map(|head| Column::Right(head));
    let columns = std::iter::once(Column::Left("ranker")).chain(columns);
    let mut table = TextTable::new(columns.chain([Column::Right("hit rate")]));
    for r in &evaluation.rankers {
        let scores = [r.precision, r.recall, r.ndcg, r.hit_rate].map(|s| format!("{s:.4}"));
        table.row(std::iter::once(r.ranker.clone()).chain(scores));
    }
    write!(out, "{}", table.render(2))?;
    Ok(())
}

fn readable_card(manifest: &Manifest) -> anyhow::Result<ModelCard> {
    card(manifest).map_err(|error| anyhow::anyhow!(error.message))
}

/// What verification found.
#[derive(Serialize)]
struct Verdict {
    model: String,
    version: u64,
    is_good: bool,
    kind: &'static str,
    message: String,
}

fn verify(one: &OneVersion, out: &mut dyn Write) -> anyhow::Result<()> {
    let registry = one.place.open()?;
    let folder = tempfile::tempdir()?;
    let cache = CacheDir::open(folder.path())?;
    let manifest = block_on(manifest(one, &registry))?;
    let mut local = block_on(async { Ok(registry.fetch(&manifest, &cache).await?) })?;
    let mut sealed = local.seal(&mut |_| {});
    while sealed.is_err() && local.damaged().is_some() {
        block_on(async { Ok(registry.refetch(&manifest, &cache, &mut local).await?) })?;
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
    if one.place.output.json {
        write_json(out, &verdict)?;
    } else if verdict.is_good {
        writeln!(
            out,
            "{} version {version} is good: checksums, bounds, probes",
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
    match check_golden_queries(&card, &model, &mut Scratch::default(), &mut |_| {}) {
        Some(message) => Err(LoadError {
            kind: LoadErrorKind::GoldenQueries,
            message,
            is_retryable: false,
        }),
        None => Ok(()),
    }
}
