//! Laws of what people read: live links, no paths of one machine, a short README.

use std::path::Path;

use super::laws::Breach;
use super::source::SourceFile;

/// Relative links of Markdown pages lead to files that exist.
pub(crate) fn links(root: &Path, file: &SourceFile) -> Vec<Breach> {
    if !file.has_extension(&["md"]) {
        return Vec::new();
    }
    let folder = root.join(&file.path);
    let folder = folder.parent().unwrap_or(root);
    let dead = link_targets(&file.text).into_iter().filter(|(_, target)| {
        let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
        let path = target.split('#').next().unwrap_or_default();
        !is_elsewhere && !path.is_empty() && !folder.join(path).exists()
    });
    dead.map(|(line, target)| {
        Breach::new(file, line, format!("link to {target}, which is not there"))
    })
    .collect()
}

/// Targets of inline links and of reference definitions, with their lines, from 1; code is skipped.
fn link_targets(text: &str) -> Vec<(usize, String)> {
    let mut targets = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Every second piece between backticks is code.
        let prose: String = line.split('`').step_by(2).collect();
        for (at, _) in prose.match_indices("](") {
            let target = prose[at + 2..].split([')', ' ']).next().unwrap_or_default();
            targets.push((number + 1, target.to_owned()));
        }
        if let Some((_, target)) = prose.split_once("]: ").filter(|_| prose.starts_with('[')) {
            targets.push((number + 1, target.trim().to_owned()));
        }
    }
    targets
}

const ARCHITECTURE: &str = "ARCHITECTURE.md";
/// Where the paths of its walks begin.
const TREES: [&str; 6] = [
    "src/",
    "model/",
    "model-registry/",
    "offline/",
    "terminal/",
    "tests/",
];

/// Files and folders that the walks of ARCHITECTURE.md name from the root exist.
pub(crate) fn named_files(root: &Path, file: &SourceFile) -> Vec<Breach> {
    let mut breaches = Vec::new();
    if file.path != ARCHITECTURE {
        return breaches;
    }
    for (number, line) in file.text.lines().enumerate() {
        let is_path = |c: char| c.is_alphanumeric() || "/._-".contains(c);
        for word in line.split(|c: char| !is_path(c)) {
            let word = word.trim_end_matches('.');
            let is_named = TREES.iter().any(|tree| word.starts_with(tree));
            if is_named && !root.join(word).exists() {
                breaches.push(Breach::new(
                    file,
                    number + 1,
                    format!("{word} is not there"),
                ));
            }
        }
    }
    breaches
}

/// No text names a folder that only one machine has. Temporary folders are written as
/// `file:///tmp/…` or `/tmp/hotshelf…`, which reads as the example it is.
pub(crate) fn machine_paths(file: &SourceFile) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let folders = ["root", "home", "work", "tmp"].map(|name| format!("/{name}/"));
    for (number, line) in file.text.lines().enumerate() {
        for folder in &folders {
            for (at, _) in line.match_indices(folder.as_str()) {
                let (before, after) = (&line[..at], &line[at..]);
                let example = folder == &folders[3]
                    && (before.ends_with("file://") || after[5..].starts_with("hotshelf"));
                // A letter, a variable or a dot before it makes it the middle of another path.
                let inside =
                    before.ends_with(|c: char| c.is_alphanumeric() || "._-~}$*>".contains(c));
                if !inside && !example {
                    let what = format!("{folder} is a folder of one machine");
                    breaches.push(Breach::new(file, number + 1, what));
                }
            }
        }
    }
    breaches
}

/// Most lines of the README: it shows, and other pages explain.
const FRONT_PAGE_LINES_MAX: usize = 149;

/// The README fits a front page.
pub(crate) fn front_page(file: &SourceFile) -> Vec<Breach> {
    let lines = file.text.lines().count();
    if file.path != "README.md" || lines <= FRONT_PAGE_LINES_MAX {
        return Vec::new();
    }
    let what = format!("{lines} lines; the front page has at most {FRONT_PAGE_LINES_MAX}");
    vec![Breach::new(file, FRONT_PAGE_LINES_MAX + 1, what)]
}

/// A script stops at its first failed step.
pub(crate) fn shell_scripts_are_strict(file: &SourceFile) -> Vec<Breach> {
    let is_shell =
        file.text.starts_with("#!") && file.text.lines().next().is_some_and(|l| l.ends_with("sh"));
    let strict = file.text.lines().any(|line| line == "set -euo pipefail");
    let what = "a shell script begins with set -euo pipefail";
    (is_shell && !strict)
        .then(|| Breach::new(file, 1, what))
        .into_iter()
        .collect()
}
