//! The law of docs/reliability.md: every row names tests that exist.

use std::collections::BTreeSet;

use super::laws::{Breach, rust_code};
use super::source::SourceFile;

pub(crate) const PAGE: &str = "docs/reliability.md";
/// Failure, promise, test, measured.
const COLUMNS: usize = 4;
/// The column of the tests.
const TESTS: usize = 2;

/// Every row has all columns and names a known test or bench, or says "the same" as the row above.
pub(crate) fn every_failure_has_a_test(known: &Known, file: &SourceFile) -> Vec<Breach> {
    let mut breaches = Vec::new();
    if file.path != PAGE {
        return breaches;
    }
    for (number, line) in file.text.lines().enumerate() {
        let is_row = line.starts_with("| ") && !line.starts_with("| Failure |");
        let Some(row) = line.strip_prefix("| ").filter(|_| is_row) else {
            continue;
        };
        let mut broken = |what: String| breaches.push(Breach::new(file, number + 1, what));
        let cells: Vec<&str> = row.trim_end_matches('|').split(" | ").collect();
        if cells.len() != COLUMNS {
            broken(format!("{} columns instead of {COLUMNS}", cells.len()));
            continue;
        }
        // Every second piece between backticks is a name.
        let names: Vec<&str> = cells[TESTS].split('`').skip(1).step_by(2).collect();
        for name in names.iter().filter(|name| !known.has(name)) {
            broken(format!("{name} is neither a test nor a bench"));
        }
        if names.is_empty() && cells[TESTS].trim() != "the same" {
            broken("a failure without a test".to_owned());
        }
    }
    breaches
}

/// The names that a row may use.
pub(crate) struct Known {
    tests: BTreeSet<String>,
    benches: BTreeSet<String>,
}

impl Known {
    /// Every test of these files by its name in cargo, and every bench.
    pub(crate) fn of(files: &[SourceFile]) -> Self {
        let paths = files.iter().map(|file| file.path.clone());
        Self {
            tests: files.iter().flat_map(tests).collect(),
            benches: paths.filter(|path| path.starts_with("bench/")).collect(),
        }
    }

    fn has(&self, name: &str) -> bool {
        match name.strip_suffix('*') {
            Some(module) => self.tests.iter().any(|test| test.starts_with(module)),
            None => self.tests.contains(name) || self.benches.contains(name),
        }
    }
}

/// The tests of a formatted Rust file.
pub(crate) fn tests(file: &SourceFile) -> Vec<String> {
    let mut path = modules(&file.path);
    let (mut found, mut open, mut is_test) = (Vec::new(), Vec::new(), false);
    for line in rust_code(file).lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(name) = text.strip_prefix("mod ").and_then(|t| t.strip_suffix(" {")) {
            open.push(indent);
            path.push(name.to_owned());
        } else if text == "}" && open.last() == Some(&indent) {
            open.pop();
            path.pop();
        }
        is_test |= text.starts_with("#[test]") || text.starts_with("#[tokio::test");
        if let Some((_, rest)) = text.split_once("fn ").filter(|_| is_test) {
            let name = rest.split('(').next().unwrap_or_default();
            found.push([path.join("::"), name.to_owned()].join("::"));
            is_test = false;
        }
    }
    found
}

/// A file's module path within its crate.
fn modules(path: &str) -> Vec<String> {
    let roots = ["tests/it/", "src/"];
    let inside = roots.iter().find_map(|root| path.split_once(root));
    let inside = inside.map_or(path, |(_, inside)| inside);
    let names = inside.trim_end_matches(".rs").split('/');
    let names = names.filter(|name| !["mod", "lib", "main"].contains(name));
    names.map(str::to_owned).collect()
}
