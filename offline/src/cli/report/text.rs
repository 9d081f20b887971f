//! A report as text for a terminal.

mod evaluation;
mod trials;

use std::fmt::Write as _;

use hotshelf_terminal::quantity::grouped;
use hotshelf_terminal::table::{Column, TextTable};
use hotshelf_terminal::text::one_line;

use super::{
    RunReport, ShopSummary, basis_text, index_text, interactions_text, product_cells, shares_text,
};
use crate::ingest::{EmbeddingsReport, JoinReport, SourceReport};
use crate::sample::{ProductSample, Sample};

impl RunReport {
    /// The whole report.
    pub(in crate::cli) fn text(&self) -> String {
        let mut text = String::new();
        write_shop(&mut text, &self.shop);
        text.push('\n');
        if let Some(tuning) = &self.tuning {
            trials::write(&mut text, tuning);
            text.push('\n');
        }
        self.write_evaluation(&mut text);
        for sample in &self.samples {
            text.push('\n');
            write_sample(&mut text, sample);
        }
        for sample in &self.product_samples {
            text.push('\n');
            write_product(&mut text, sample);
        }
        self.write_outcome(&mut text);
        text
    }

    fn write_outcome(&self, text: &mut String) {
        if self.packed.is_some() || self.published.is_some() {
            text.push('\n');
        }
        for (name, index) in &self.index {
            line(text, &format!("Index {name}: {}", index_text(index)));
        }
        let size = grouped(self.size_bytes.unwrap_or_default());
        if let (Some(folder), Some(_)) = (&self.packed, self.size_bytes) {
            line(
                text,
                &format!("Packed into {}: {size} bytes", folder.display()),
            );
        }
        if let Some(published) = &self.published {
            text.push_str(&published.text());
        }
    }
}

fn write_shop(text: &mut String, shop: &ShopSummary) {
    line(text, &format!("Shop {}", shop.name));
    write_source(text, "events", &shop.events);
    if let Some(catalogue) = &shop.catalogue {
        write_source(text, "catalogue", catalogue);
    }
    if let Some(join) = &shop.catalogue_join {
        write_join(text, join);
    }
    if let Some(embeddings) = &shop.embeddings {
        write_embeddings(text, embeddings);
    }
    let count = |count: usize| grouped(count as u64);
    let sessions = shop.sessions.map(|n| format!(", {} sessions", grouped(n)));
    line(
        text,
        &format!(
            "  {} users, {} products with events ({} in the catalogue), {} pairs{}, {}",
            count(shop.users),
            count(shop.products),
            count(shop.catalogue_products),
            count(shop.pairs),
            sessions.unwrap_or_default(),
            shop.period_text()
        ),
    );
}

fn write_source(text: &mut String, what: &str, source: &SourceReport) {
    let names: Vec<&str> = source.files.iter().map(|file| file.name.as_str()).collect();
    line(text, &format!("  {what} from {}", names.join(", ")));
    let mut table = TextTable::new([Column::Left(""), Column::Right("")]);
    let mut row = |what: &str, rows: u64| table.row([what.to_owned(), grouped(rows)]);
    row("rows", source.rows);
    for dropped in &source.dropped {
        row(&format!("dropped: {}", dropped.reason), dropped.rows);
    }
    row("bad", source.bad_rows);
    row("kept", source.kept);
    text.push_str(&table.render(4));
    if let Some(path) = source.quarantine.as_ref().filter(|_| source.bad_rows > 0) {
        line(
            text,
            &format!("    bad rows are quarantined in {}", path.display()),
        );
    }
}

/// How many products events and catalogue share; a join of few ids is said loudly.
fn write_join(text: &mut String, join: &JoinReport) {
    let count = |count: usize| grouped(count as u64);
    line(
        text,
        &format!(
            "    {} products in both events and catalogue, {} only in events, {} only in the \
             catalogue",
            count(join.matched),
            count(join.events_only),
            count(join.other_only)
        ),
    );
    if join.matched < join.events_only.min(join.other_only) {
        let warning = "    WARNING: most products do not match; are the ids of both written alike?";
        line(text, warning);
    }
}

fn write_embeddings(text: &mut String, report: &EmbeddingsReport) {
    let (matrix, ids) = (&report.matrix, &report.ids.name);
    line(
        text,
        &format!(
            "  embeddings from {}, ids from {ids}: {} dimensions",
            matrix.name, report.dimension
        ),
    );
    let mut table = TextTable::new([Column::Left(""), Column::Right("")]);
    let mut row = |what: &str, rows: u64| table.row([what.to_owned(), grouped(rows)]);
    row("rows", matrix.rows);
    row("unknown ids", report.unknown_ids as u64);
    row("products with embedding", report.products_with as u64);
    row("products without", report.products_without as u64);
    text.push_str(&table.render(4));
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
        &format!("User {user_id} ({segment}, {products} products), most recent"),
    );
    let mut table = TextTable::new([Column::Left(""); 6]);
    for event in &sample.history {
        let product = product_cells(&event.product);
        let first = [event.date.clone(), interactions_text(&event.interactions)];
        table.row(first.into_iter().chain(product));
    }
    text.push_str(&table.render(2));
    let fallbacks = sample.fallbacks.iter().map(|f| f.replace('_', " "));
    let fallbacks: Vec<String> = fallbacks.collect();
    let fallbacks = if fallbacks.is_empty() {
        String::new()
    } else {
        format!(" ({})", fallbacks.join(", "))
    };
    line(
        text,
        &format!("  Recommendations, by {}{fallbacks}", sample.strategy),
    );
    let mut table = TextTable::new([
        Column::Right(""),
        Column::Left("product"),
        Column::Left("name"),
        Column::Left("category"),
        Column::Right("price"),
        Column::Right("score"),
        Column::Text("shares"),
        Column::Left("reason"),
    ]);
    for item in &sample.recommended {
        let ends = [
            format!("{:.4}", item.score),
            shares_text(&item.shares),
            item.reason.to_owned(),
        ];
        let cells = std::iter::once(item.rank.to_string());
        table.row(cells.chain(product_cells(&item.product)).chain(ends));
    }
    text.push_str(&table.render(2));
}

fn write_product(text: &mut String, sample: &ProductSample) {
    let [id, name, category, price] = product_cells(&sample.product);
    let known: Vec<String> = [sample.band.to_owned(), category, price]
        .into_iter()
        .filter(|cell| !cell.is_empty())
        .collect();
    line(text, &format!("Product {id} {name} ({})", known.join(", ")));
    if !sample.notes.is_empty() {
        line(text, &format!("  {}", sample.notes.join(", ")));
    }
    if sample.neighbours.is_empty() {
        return;
    }
    let basis = sample
        .basis
        .map(|basis| format!(", by {}", basis_text(basis)));
    line(
        text,
        &format!("  Most similar{}", basis.unwrap_or_default()),
    );
    let mut table = TextTable::new([
        Column::Right(""),
        Column::Left("product"),
        Column::Left("name"),
        Column::Left("category"),
        Column::Right("price"),
        Column::Right("cosine"),
    ]);
    for neighbour in &sample.neighbours {
        let cells = std::iter::once(neighbour.rank.to_string());
        let cosine = format!("{:.4}", neighbour.similarity);
        table.row(
            cells
                .chain(product_cells(&neighbour.product))
                .chain([cosine]),
        );
    }
    text.push_str(&table.render(2));
}

fn line(text: &mut String, content: &str) {
    // Names and paths are other people's texts. Writing to a String cannot fail.
    let _ = writeln!(text, "{}", one_line(content));
}
