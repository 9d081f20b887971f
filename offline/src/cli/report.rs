//! What a training or an evaluation says, as text for people and as one JSON object.

use std::fmt::Write as _;
use std::path::PathBuf;

use hotshelf_model::FitParams;
use serde::Serialize;

use super::publish::Published;
use crate::evaluate::EvaluationReport;
use crate::ingest::SourceReport;
use crate::instant::date;
use crate::sample::{Sample, SampleProduct};
use crate::shop::Shop;
use crate::text_table::{Align, TextTable, grouped};

/// Everything that one run has to say.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) shop: ShopSummary,
    pub(super) parameters: FitParams,
    pub(super) evaluation: EvaluationReport,
    /// Whether the model was fitted again on all events; absent where none was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refit: Option<bool>,
    pub(super) samples: Vec<Sample>,
    /// Folder of the packed model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) packed: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) published: Option<Published>,
}

/// The numbers of a shop.
#[derive(Serialize)]
pub(super) struct ShopSummary {
    name: String,
    events: SourceReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    catalogue: Option<SourceReport>,
    users: usize,
    products: usize,
    /// Products of events and catalogue together.
    catalogue_products: usize,
    pairs: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<u64>,
    first_day: String,
    last_day: String,
}

impl ShopSummary {
    pub(super) fn of(shop: &Shop) -> Self {
        let (first_s, last_s) = shop.period_s().unwrap_or_default();
        Self {
            name: shop.name.clone(),
            events: shop.events_report.clone(),
            catalogue: shop.catalogue_report.clone(),
            users: shop.users_len(),
            products: shop.products_len(),
            catalogue_products: shop.catalogue.len(),
            pairs: shop.pairs_len(),
            sessions: shop.sessions,
            first_day: date(first_s),
            last_day: date(last_s),
        }
    }

    fn write(&self, text: &mut String) {
        line(text, &format!("Shop {}", self.name));
        write_source(text, "events", &self.events);
        if let Some(catalogue) = &self.catalogue {
            write_source(text, "catalogue", catalogue);
        }
        let count = |count: usize| grouped(count as u64);
        let sessions = self.sessions.map(|n| format!(", {} sessions", grouped(n)));
        line(
            text,
            &format!(
                "  {} users, {} products with events ({} in the catalogue), {} pairs{}, {} to {}",
                count(self.users),
                count(self.products),
                count(self.catalogue_products),
                count(self.pairs),
                sessions.unwrap_or_default(),
                self.first_day,
                self.last_day
            ),
        );
    }
}

impl Report {
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.shop.write(&mut text);
        text.push('\n');
        self.write_evaluation(&mut text);
        for sample in &self.samples {
            text.push('\n');
            write_sample(&mut text, sample);
        }
        self.write_outcome(&mut text);
        text
    }

    fn write_evaluation(&self, text: &mut String) {
        let found = &self.evaluation;
        let als = &self.parameters.als;
        line(
            text,
            &format!(
                "Evaluation: fitted on {} events before {}, judged on {} from then on",
                grouped(found.past_events as u64),
                found.cut_off,
                grouped(found.future_events as u64)
            ),
        );
        line(
            text,
            &format!(
                "  factors {}, regularization {}, iterations {}, confidence {}, seed {}",
                als.factors, als.regularization, als.iterations, als.confidence, als.seed
            ),
        );
        line(
            text,
            &format!(
                "  {} users measured, {} without a past, {} without anything relevant",
                grouped(found.users as u64),
                grouped(found.users_without_past as u64),
                grouped(found.users_without_relevant as u64)
            ),
        );
        line(
            text,
            &format!(
                "  {} products ranked in full, products already had {}, {:.1} % of what was \
                 relevant first seen after the cut",
                grouped(found.catalogue as u64),
                found.seen,
                found.unknown_relevant_share * 100.0
            ),
        );
        text.push_str(&scores(found));
        line(text, &format!("  {}", found.verdict()));
        match self.refit {
            Some(true) => line(
                text,
                "  The model below was fitted again on all events and was itself not evaluated.",
            ),
            Some(false) => line(text, "  The model below is the one evaluated here."),
            None => {}
        }
    }

    fn write_outcome(&self, text: &mut String) {
        if self.packed.is_some() || self.published.is_some() {
            text.push('\n');
        }
        let size = grouped(self.size_bytes.unwrap_or_default());
        if let (Some(folder), Some(_)) = (&self.packed, self.size_bytes) {
            line(
                text,
                &format!("Packed into {}: {size} bytes", folder.display()),
            );
        }
        if let Some(published) = &self.published {
            line(text, &published.text());
        }
    }
}

fn scores(found: &EvaluationReport) -> String {
    let k = found.k;
    let mut table = TextTable::new(&[
        ("ranker", Align::Left),
        (&format!("Precision@{k}"), Align::Right),
        (&format!("Recall@{k}"), Align::Right),
        (&format!("nDCG@{k}"), Align::Right),
        ("hit rate", Align::Right),
    ]);
    for ranker in &found.rankers {
        let numbers = [
            ranker.precision,
            ranker.recall,
            ranker.ndcg,
            ranker.hit_rate,
        ];
        let cells = numbers.map(|number| format!("{number:.4}"));
        table.row(std::iter::once(ranker.ranker.replace('_', " ")).chain(cells));
    }
    table.render(2)
}

fn write_source(text: &mut String, what: &str, source: &SourceReport) {
    let names: Vec<&str> = source.files.iter().map(|file| file.name.as_str()).collect();
    line(text, &format!("  {what} from {}", names.join(", ")));
    let mut table = TextTable::new(&[("", Align::Left), ("", Align::Right)]);
    let mut row = |what: &str, rows: u64| table.row([what.to_owned(), grouped(rows)]);
    row("rows", source.rows);
    for dropped in &source.dropped {
        row(&format!("dropped: {}", dropped.reason), dropped.rows);
    }
    row("bad", source.bad_rows);
    row("kept", source.kept);
    text.push_str(&table.render(4));
    if let Some(path) = source.set_aside.as_ref().filter(|_| source.bad_rows > 0) {
        line(
            text,
            &format!("    bad rows are set aside in {}", path.display()),
        );
    }
}

fn write_sample(text: &mut String, sample: &Sample) {
    let Sample {
        user_id,
        segment,
        products,
        ..
    } = sample;
    line(
        text,
        &format!("User {user_id} ({segment}, {products} products) lately"),
    );
    let mut table = TextTable::new(&[("", Align::Left); 5].map(|(name, align)| (name, align)));
    for event in &sample.history {
        let did = event.interactions.iter().map(|(kind, count)| match count {
            1 => kind.clone(),
            count => format!("{kind} ×{count}"),
        });
        let did: Vec<String> = did.collect();
        let [id, name, price] = product_cells(&event.product);
        table.row([event.date.clone(), did.join(", "), id, name, price]);
    }
    text.push_str(&table.render(2));
    line(text, "  is recommended");
    let mut table = TextTable::new(&[
        ("", Align::Right),
        ("product", Align::Left),
        ("name", Align::Left),
        ("price", Align::Right),
        ("score", Align::Right),
        ("reason", Align::Left),
    ]);
    for item in &sample.recommended {
        let [id, name, price] = product_cells(&item.product);
        let score = format!("{:.4}", item.score);
        table.row([
            item.rank.to_string(),
            id,
            name,
            price,
            score,
            item.reason.to_owned(),
        ]);
    }
    text.push_str(&table.render(2));
}

fn product_cells(product: &SampleProduct) -> [String; 3] {
    let name = product
        .product_name
        .clone()
        .unwrap_or_else(|| "(no name)".to_owned());
    let price = product
        .price
        .map(|price| format!("{price:.2}"))
        .unwrap_or_default();
    [product.product_id.clone(), name, price]
}

fn line(text: &mut String, content: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{content}");
}
