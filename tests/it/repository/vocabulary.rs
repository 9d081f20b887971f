//! The law of words: phrases and identifiers that docs/vocabulary.md retires stay away.
//!
//! Decision pages argue in the words of their time, and so do released sections of the changelog.

use super::laws::{Breach, rust_code};
use super::source::SourceFile;

/// This list, and the texts that break the law.
const EXEMPT: [&str; 2] = [
    "tests/it/repository/vocabulary.rs",
    "tests/it/repository/tests/words.rs",
];
const DECISIONS: &str = "docs/decisions/";
const CHANGELOG: &str = "CHANGELOG.md";

/// Phrases in lower case, each with what we say instead. They are refused in prose, messages and
/// identifiers alike (`_` is read as a blank); `*` stands for any ending of a word.
const PHRASES: [(&str, &str); 37] = [
    ("turned away", "rejected, shed"),
    ("turns away", "rejects, sheds"),
    ("turn away", "reject, shed"),
    ("turning away", "rejecting, shedding"),
    ("kept answer*", "cached response"),
    ("sieve*", "no such mechanism any more"),
    ("is had", "say who has it"),
    ("had anew", "refilled, fetched again"),
    ("in good order", "gracefully; a well-behaved client"),
    ("the time was over", "timed out"),
    ("deadline is over", "deadline exceeded"),
    ("put before people", "receives traffic"),
    ("puts before people", "sends traffic to"),
    ("any version of", "model X has no versions"),
    ("keeps create-only", "conditional writes verified"),
    ("create-only writes", "conditional writes"),
    ("how many more may", "tolerated excess rate"),
    ("did without", "fallback"),
    ("does without", "fallback"),
    ("degraded no more", "no longer degraded"),
    ("to go over it", "to replace it"),
    ("old version serves on", "keeps serving"),
    ("previous version serves on", "keeps serving"),
    ("knows after", "rejection latency"),
    ("has heard", "observed"),
    ("heard of it", "observed, reported"),
    ("nominat*", "retrieve candidates"),
    ("teller*", "heartbeat"),
    ("whoever", "say who: the caller, the client, the peer"),
    ("such that nobody", "so that no caller"),
    ("as long a time", "the same length of time"),
    ("what is wanted", "desired"),
    ("what of it", "say what"),
    ("come to be live", "become live"),
    ("comes to be live", "becomes live"),
    ("a call that waits", "a queued call"),
    ("calls that wait", "queued calls"),
];

/// Identifiers of code, whole words as they are written, each with what the thing is called now.
const IDENTIFIERS: [(&str, &str); 11] = [
    ("Desk", "the scratch memory of a thread"),
    ("Door", "no such mechanism any more"),
    ("Notes", "connection stats"),
    ("Place", "what the place is"),
    ("Places", "concurrency limit"),
    ("Proof", "write probe"),
    ("Recall", "restore"),
    ("Taker", "row sink"),
    ("Teller", "heartbeat"),
    ("Told", "reported state"),
    ("Turns", "fair queue"),
];

/// Retired phrases, in every text.
pub(crate) fn phrases(file: &SourceFile) -> Vec<Breach> {
    let text = current_part(file);
    let prose = Prose::of(text);
    let mut breaches = Vec::new();
    for (phrase, instead) in PHRASES {
        for line in prose.lines_with(phrase) {
            let what = format!("{phrase:?} is retired: {instead}");
            breaches.push(Breach::new(file, line, what));
        }
    }
    breaches
}

/// Retired identifiers, in code and in its tests.
pub(crate) fn identifiers(file: &SourceFile) -> Vec<Breach> {
    let mut breaches = Vec::new();
    if EXEMPT.contains(&&*file.path) {
        return breaches;
    }
    for (number, line) in rust_code(file).lines().enumerate() {
        let words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        for word in words {
            let retired = IDENTIFIERS.iter().find(|(retired, _)| *retired == word);
            if let Some((retired, instead)) = retired {
                let what = format!("{retired} is retired: {instead}");
                breaches.push(Breach::new(file, number + 1, what));
            }
        }
    }
    breaches
}

/// The part of a file that people read as true today.
fn current_part(file: &SourceFile) -> &str {
    if EXEMPT.contains(&&*file.path) || file.path.starts_with(DECISIONS) {
        return "";
    }
    // The first section is what is not released yet.
    let sections = file.text.match_indices("\n## ").map(|(at, _)| at);
    match sections.take(2).nth(1) {
        Some(released) if file.path == CHANGELOG => &file.text[..released],
        _ => &file.text,
    }
}

/// A text as one line of lower-case words, so that no line break, comment marker or `_` splits a phrase.
struct Prose {
    text: String,
    /// The line, from 1, that each byte comes from.
    lines: Vec<usize>,
}

impl Prose {
    fn of(text: &str) -> Self {
        let mut prose = Self {
            text: String::new(),
            lines: Vec::new(),
        };
        for (number, line) in text.lines().enumerate() {
            let line = line
                .trim_start()
                .trim_start_matches(['/', '!', '#', '>', '*']);
            // A string may go on in the next line.
            let line = line.trim_end().trim_end_matches('\\');
            for word in line.split(|c: char| c.is_whitespace() || c == '_') {
                let word = word.to_lowercase();
                if !word.is_empty() {
                    prose.text.extend([&word, " "]);
                    prose.lines.resize(prose.text.len(), number + 1);
                }
            }
        }
        prose
    }

    /// The lines on which this phrase begins.
    fn lines_with(&self, phrase: &str) -> Vec<usize> {
        let (stem, is_open) = match phrase.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (phrase, false),
        };
        let is_bounded = |at: &usize| {
            let (before, after) = (&self.text[..*at], &self.text[at + stem.len()..]);
            !before.ends_with(char::is_alphanumeric)
                && (is_open || !after.starts_with(char::is_alphanumeric))
        };
        let found = self.text.match_indices(stem).map(|(at, _)| at);
        found.filter(is_bounded).map(|at| self.lines[at]).collect()
    }
}
