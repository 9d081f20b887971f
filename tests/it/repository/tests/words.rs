use super::{breaks, passes};
use crate::repository::vocabulary;

#[test]
fn retired_phrases_are_found_across_lines_and_in_names() {
    let law = vocabulary::phrases;
    breaks(law, "README.md", "Calls are\nTurned away early.", "2");
    breaks(law, "docs/a.md", "\nCalls are turned\naway.", "2");
    breaks(law, "src/a.rs", "//! Nobody is turned\n//! away.", "1");
    breaks(
        law,
        "src/a.rs",
        "const A: &str = \"is turned \\\n    away\";",
        "1",
    );
    breaks(law, "src/a.rs", "fn calls_are_turned_away() {}", "1");
    breaks(law, "proto/a.proto", "// how it nominates", "1");
    breaks(law, "k8s/a.yaml", "# Whoever calls", "1");
    passes(
        law,
        "docs/a.md",
        "Overturned, away. A denominator, a storyteller.",
    );
    passes(law, "docs/decisions/0001-a.md", "They are turned away.");
    let changelog = |current: &str, released: &str| {
        format!("# Changelog\n\n## Unreleased\n{current}\n## 0.1.0\n{released}\n")
    };
    breaks(law, "CHANGELOG.md", &changelog("turned away", ""), "4");
    passes(law, "CHANGELOG.md", &changelog("", "turned away"));
}

#[test]
fn retired_identifiers_are_found_as_whole_words() {
    let law = vocabulary::identifiers;
    breaks(law, "src/a.rs", "\nstruct Teller;", "2");
    breaks(law, "tests/it/a.rs", "let a: Vec<Taker> = b;", "1");
    passes(
        law,
        "src/a.rs",
        "struct StoryTeller; // Teller\nconst A: &str = \"Teller\";",
    );
    passes(law, "README.md", "Teller");
}
