//! A report as one HTML page that needs nothing else: no scripts, no fonts, no network.
//!
//! The macro escapes every text of the shop (names, categories, ids), and `bdi` isolates its
//! writing direction. Each figure has a description in words.

mod comparison;
mod long_tail;
mod numbers;
mod samples;
#[cfg(test)]
mod tests;
mod trials;

use std::path::Path;

use hotshelf_model::FitParams;
use hotshelf_terminal::quantity::grouped;
use hotshelf_terminal::text::is_unsafe;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::RunReport;
use crate::error::Error;
use crate::evaluate::ranker_title;

const STYLE: &str = include_str!("page.css");

/// Marks the pages of this program.
const GENERATOR: &str = "hotshelf-offline";

/// Whether a file with this beginning is a page of an earlier run.
pub(in crate::cli) fn is_page(head: &[u8]) -> bool {
    let mark = format!("<meta name=\"generator\" content=\"{GENERATOR}\">");
    head.windows(mark.len())
        .any(|bytes| bytes == mark.as_bytes())
}

/// Writes the page; an existing file was checked before.
///
/// # Errors
/// [`Error::Write`].
pub(in crate::cli) fn write(report: &RunReport, file: &Path) -> Result<(), Error> {
    let written = std::fs::write(file, page(report).into_string());
    written.map_err(|source| Error::Write {
        path: file.to_owned(),
        source,
    })
}

fn page(report: &RunReport) -> Markup {
    let shop = &report.shop.name;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(GENERATOR);
                title { "Recommendations for " (plain(shop)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Recommendations for " (isolated(shop)) }
                }
                main {
                    (samples::users(&report.samples))
                    (verdict(report))
                    (comparison::section(&report.evaluation))
                    (trials::section(report.tuning.as_ref()))
                    (before(report))
                    (setup(report))
                    (numbers::section(&report.evaluation))
                    (long_tail::section(&report.evaluation))
                    (samples::products(&report.product_samples))
                }
            }
        }
    }
}

fn verdict(report: &RunReport) -> Markup {
    let found = &report.evaluation;
    html! {
        section {
            h2 { "Verdict" }
            div.verdict {
                @for sentence in found.verdicts() {
                    p { (sentence) }
                }
                @for note in &found.notes {
                    p { (note) }
                }
                // The verdicts cover the default strategy.
                @for missing in found.unavailable.iter().filter(|u| u.ranker != found.default_strategy) {
                    p.missing {
                        strong { (ranker_title(missing.ranker)) " is not available" }
                        ": " (missing.why) "."
                    }
                }
            }
        }
    }
}

/// The version that is live, fitted on the same events.
fn before(report: &RunReport) -> Markup {
    let found = &report.evaluation;
    let Some(live) = &found.verdict.live else {
        return html! {};
    };
    let percent = |better: usize| better as f64 / found.users.max(1) as f64 * 100.0;
    html! {
        section {
            h2 { "The live version" }
            p {
                "Version " (live.version) " is live; its default strategy is " (ranker_title(&live.strategy)) ". \
                 A model with its parameters was fitted on the same training events and evaluated on the same people."
            }
            dl.facts {
                div { dt { "nDCG@" (found.k) " of this version" } dd { (format!("{:.4}", live.comparison.mean)) } }
                div { dt { "nDCG@" (found.k) " of version " (live.version) } dd { (format!("{:.4}", live.comparison.other_mean)) } }
                @if let Some(scores) = found.ranker("live") {
                    div {
                        dt { "People with a hit" }
                        dd { (format!("{:.1} %", scores.means.hit_rate * 100.0)) " by version " (live.version) }
                    }
                    @if let Some(difference) = &scores.difference {
                        div {
                            dt { "Compared with the best baseline" }
                            dd {
                                "version " (live.version) " serves "
                                (format!("{:.1} %", percent(difference.ndcg.better))) " of the people better, "
                                (format!("{:.1} %", percent(difference.ndcg.worse))) " worse"
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Shop, split, parameters, indexes.
fn setup(report: &RunReport) -> Markup {
    let (shop, found) = (&report.shop, &report.evaluation);
    let count = |count: usize| grouped(count as u64);
    let facts = [
        ("Period", shop.period_text()),
        ("Users", count(shop.users)),
        (
            "Products",
            format!(
                "{} with events, {} in the catalogue",
                count(shop.products),
                count(shop.catalogue_products)
            ),
        ),
        (
            "Split",
            format!(
                "{}: fitted on {} events, evaluated on {}",
                found.split_text(),
                count(found.past_events),
                count(found.future_events)
            ),
        ),
        (
            "Evaluated",
            format!(
                "{} users; {} without training events and {} without a relevant event are not",
                count(found.users),
                count(found.users_without_past),
                count(found.users_without_relevant)
            ),
        ),
        (
            "Lists",
            format!(
                "the best {} of {} products, all ranked; seen products are {}",
                found.k,
                count(found.catalogue),
                found.seen
            ),
        ),
        (
            "In no training event",
            format!(
                "{:.1} % of the relevant products; no ranker can find them",
                found.unknown_relevant_share * 100.0
            ),
        ),
    ];
    html! {
        section {
            h2 { "Evaluation" }
            dl.facts {
                @for (term, fact) in &facts {
                    div { dt { (term) } dd { (fact) } }
                }
                (embeddings(report))
                div { dt { "Samples come from" } dd { (refit(report)) } }
            }
            details {
                summary { "Parameters and indexes" }
                dl.facts {
                    @for (term, value) in parameters(report) {
                        div { dt { (term) } dd { (value) } }
                    }
                }
            }
        }
    }
}

fn embeddings(report: &RunReport) -> Markup {
    html! {
        @if let Some(own) = &report.shop.embeddings {
            div {
                dt { "Embeddings" }
                dd {
                    "the shop's own, " (own.dimension) " dimensions: "
                    (grouped(own.products_with as u64)) " products with embedding, "
                    (grouped(own.products_without as u64)) " without, "
                    (grouped(own.unknown_ids as u64)) " unknown ids ignored"
                }
            }
        }
    }
}

fn refit(report: &RunReport) -> &'static str {
    match report.refit {
        Some(true) => {
            "a model fitted again on all events with the same parameters; it was not evaluated itself"
        }
        Some(false) | None => "the model that was evaluated",
    }
}

fn parameters(report: &RunReport) -> Vec<(String, String)> {
    let params = &report.parameters;
    let (als, content, scoring) = (&params.als, &params.content, &params.scoring);
    let named = [
        ("factors", als.factors.to_string()),
        ("regularization", als.regularization.to_string()),
        ("iterations", als.iterations.to_string()),
        ("confidence", als.confidence.to_string()),
        ("seed", als.seed.to_string()),
        ("alpha", scoring.alpha.to_string()),
        ("recents", scoring.recents.to_string()),
        ("terms_max", content.terms_max.to_string()),
        ("ngram_max", content.ngram_max.to_string()),
        ("sublinear_tf", content.sublinear_tf.to_string()),
        ("min_df", content.min_df.to_string()),
        ("price_scale", content.price_scale.to_string()),
    ];
    let named = named
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    let sides = sides(params);
    let indexes = report
        .index
        .iter()
        .map(|(name, index)| (format!("index {name}"), super::index_text(index)));
    named.chain(sides).chain(indexes).collect()
}

/// Weights of the blend and half-lives of its sides, where the parameters name them.
fn sides(params: &FitParams) -> Vec<(String, String)> {
    let (weights, sides) = (params.scoring.weights, &params.sides);
    let weights = weights.iter().flat_map(|weights| weights.iter());
    let weights =
        weights.map(|(side, weight)| (format!("weight of {}", side.as_str()), weight.to_string()));
    let repeat = sides
        .repeat
        .as_ref()
        .and_then(|repeat| repeat.half_life_days);
    let trend = sides.trend.as_ref().map(|trend| trend.half_life_days);
    let half_lives = [("repeat", repeat), ("trend", trend)]
        .into_iter()
        .filter_map(|(side, days)| {
            Some((format!("half-life of {side}"), format!("{} days", days?)))
        });
    weights.chain(half_lives).collect()
}

/// A text of the shop: escaped by the macro, without control characters, and isolated, so that it
/// cannot change the writing direction around it.
fn isolated(text: &str) -> Markup {
    html! { bdi { (plain(text)) } }
}

fn plain(text: &str) -> String {
    let visible = |c: char| if is_unsafe(c) { ' ' } else { c };
    text.chars().map(visible).collect()
}
