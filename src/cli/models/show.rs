//! `hotshelf models show`: one version's manifest, what it was made of and how it was evaluated.

use super::evaluation::show_evaluation;
use super::{OneVersion, block_on, manifest, write_json};
use crate::lifecycle::card;
use hotshelf_model::{IndexCard, ModelCard, Strategy, Weights};
use hotshelf_registry::Manifest;
use hotshelf_terminal::quantity;
use hotshelf_terminal::table::{Column, TextTable};
use hotshelf_terminal::text::one_line;
use std::io::Write;

/// Runs `hotshelf models show`.
pub(super) fn run(one: &OneVersion, out: &mut dyn Write) -> anyhow::Result<()> {
    let registry = one.of.open()?;
    let manifest = block_on(manifest(one, &registry))?;
    if one.of.output.json {
        return write_json(out, &manifest);
    }
    let card = readable_card(&manifest)?;
    writeln!(
        out,
        "{} version {}, {} by {}",
        manifest.model,
        manifest.version,
        manifest.created_at,
        one_line(&manifest.author)
    )?;
    writeln!(
        out,
        "{} users, {} products, {} interactions, {} factors, scoring revision {}, {} golden queries",
        card.sizes.users,
        card.sizes.products,
        card.sizes.interactions,
        card.dimensions.factors,
        card.scoring_revision,
        card.golden_queries.len()
    )?;
    show_defaults(&card, out)?;
    writeln!(out, "\nparts of upload {}", manifest.upload)?;
    let mut table = TextTable::new([Column::Left(""), Column::Right(""), Column::Text("")]);
    for part in &manifest.parts {
        let size = quantity::bytes(part.size_bytes);
        table.row([part.name.to_string(), size, part.sha256.to_string()]);
    }
    write!(out, "{}", table.render(2))?;
    show_training(&card, &manifest, out)?;
    if let Some(evaluation) = &card.evaluation {
        show_evaluation(evaluation, out)?;
    }
    show_forced(&manifest, out)
}

/// What a request gets that leaves strategy or seen products open, and how a blend is weighed.
fn show_defaults(card: &ModelCard, out: &mut dyn Write) -> anyhow::Result<()> {
    let defaults = card.defaults.unwrap_or_default();
    let seen = match defaults.include_seen {
        true => "included",
        false => "excluded",
    };
    let scoring = &card.parameters.scoring;
    let weights = match (defaults.strategy, &scoring.weights) {
        (Strategy::Blended, Some(weights)) => format!(" ({})", weights_text(weights)),
        (Strategy::Hybrid, _) => format!(" (alpha {})", scoring.alpha),
        _ => String::new(),
    };
    let strategy = defaults.strategy.as_str();
    writeln!(
        out,
        "answers by default: {strategy}{weights}, seen products {seen}"
    )?;
    Ok(())
}

fn weights_text(weights: &Weights) -> String {
    let weighed = weights.iter().filter(|(_, weight)| **weight > 0.0);
    let weighed = weighed.map(|(side, weight)| format!("{} {weight}", side.as_str()));
    weighed.collect::<Vec<_>>().join(", ")
}

/// Why its publisher overruled the gate, if so.
fn show_forced(manifest: &Manifest, out: &mut dyn Write) -> anyhow::Result<()> {
    if let Some(reason) = manifest.card["gate"]["forced"].as_str() {
        writeln!(out, "\npublished against its verdict: {}", one_line(reason))?;
    }
    Ok(())
}

fn show_training(card: &ModelCard, manifest: &Manifest, out: &mut dyn Write) -> anyhow::Result<()> {
    for (name, index) in &card.index {
        show_index(name, index, out)?;
    }
    writeln!(out, "\ntrained from (seed {})", manifest.lineage.seed)?;
    for input in &manifest.lineage.inputs {
        writeln!(out, "  {} ({} rows)", one_line(&input.name), input.rows)?;
    }
    Ok(())
}

/// The plan of one index, the measurements of every candidate plan, and its graph.
fn show_index(name: &str, index: &IndexCard, out: &mut dyn Write) -> anyhow::Result<()> {
    let recall = index
        .recall_at_10
        .map_or(String::new(), |r| format!(", recall@10 {r:.4}"));
    writeln!(
        out,
        "\nindex {}: {}{recall}",
        one_line(name),
        one_line(&index.plan)
    )?;
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
            "  graph of {} nodes, m {}, efConstruction {}, {} edges added by repair, {:.4} find themselves",
            graph.nodes, graph.m, graph.ef_construction, graph.added_edges, graph.self_found
        )?;
    }
    Ok(())
}

fn readable_card(manifest: &Manifest) -> anyhow::Result<ModelCard> {
    card(manifest).map_err(|error| anyhow::anyhow!(error.message))
}
