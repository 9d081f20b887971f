//! Laws of style: size, names, unfinished work. Each takes a file and returns its breaches.

use super::source::{SourceFile, views};

/// A place where a law is broken.
#[derive(Debug, PartialEq)]
pub(crate) struct Breach {
    path: String,
    line: usize,
    what: String,
}

impl Breach {
    pub(crate) fn new(file: &SourceFile, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: file.path.clone(),
            line,
            what: what.into(),
        }
    }
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Longest file of code, in lines.
pub(crate) const LINES_MAX: usize = 500;

pub(crate) fn size(file: &SourceFile) -> Vec<Breach> {
    let lines = file.text.lines().count();
    let too_long = file.has_extension(&["rs", "py", "proto"]) && lines > LINES_MAX;
    let what = || format!("{lines} lines; a file of code has at most {LINES_MAX}");
    too_long
        .then(|| Breach::new(file, LINES_MAX + 1, what()))
        .into_iter()
        .collect()
}

/// File and folder names that do not say what is inside.
pub(crate) fn file_names(file: &SourceFile) -> Vec<Breach> {
    if !file.has_extension(&["rs", "py", "proto"]) {
        return Vec::new();
    }
    let folders = file.path.split('/').rev().skip(1);
    let bad = folders
        .chain([file.stem()])
        .filter(|name| says_nothing(name));
    bad.map(|name| Breach::new(file, 1, format!("{name:?} does not say what it holds")))
        .collect()
}

/// Names that a trait of another crate requires.
const GIVEN_NAMES: [&str; 1] = ["list_objects_v2"];

/// The same for declarations. Functions may begin with `new_`, since "new user" is a term here.
pub(crate) fn declared_names(file: &SourceFile) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (number, line) in rust_code(file).lines().enumerate() {
        let words: Vec<&str> = line
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .collect();
        for pair in words.windows(2) {
            let bad = match pair[0] {
                "mod" => says_nothing(pair[1]),
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" => {
                    let name = pair[1].to_lowercase();
                    let is_given = GIVEN_NAMES.contains(&pair[1]);
                    name.ends_with("_v2") && !is_given
                        || pair[1].ends_with("V2") && pair[0] != "const"
                }
                _ => false,
            };
            if bad {
                let what = format!("{:?} does not say what it is", pair[1]);
                breaches.push(Breach::new(file, number + 1, what));
            }
        }
    }
    breaches
}

fn says_nothing(name: &str) -> bool {
    let vague = ["util", "utils", "common", "helper", "helpers", "misc"];
    vague.contains(&name) || name.starts_with("new_") || name.ends_with("_v2")
}

/// Ignored tests and stubs.
pub(crate) fn unfinished_code(file: &SourceFile) -> Vec<Breach> {
    let words = ["#[ignore", "todo!(", "unimplemented!("];
    lines_with(file, &rust_code(file), &words, "is not finished")
}

/// Remaining work names its issue: `(#12)`.
pub(crate) fn undone_work(file: &SourceFile) -> Vec<Breach> {
    let text = if file.has_extension(&["rs"]) {
        views(&file.text).comments
    } else if file.has_extension(&["py", "proto"]) {
        file.text.clone()
    } else {
        return Vec::new();
    };
    let mut breaches = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut words = line.split(|c: char| !c.is_alphanumeric());
        let marked = words.any(|word| ["TODO", "FIXME", "XXX"].contains(&word));
        let numbered = line
            .split('#')
            .skip(1)
            .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if marked && !numbered {
            breaches.push(Breach::new(
                file,
                number + 1,
                "remaining work without an issue, as in (#12)",
            ));
        }
    }
    breaches
}

pub(crate) fn rust_code(file: &SourceFile) -> String {
    if file.has_extension(&["rs"]) {
        views(&file.text).code
    } else {
        String::new()
    }
}

pub(crate) fn lines_with(file: &SourceFile, code: &str, words: &[&str], what: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (number, line) in code.lines().enumerate() {
        for word in words.iter().filter(|word| line.contains(**word)) {
            breaches.push(Breach::new(file, number + 1, format!("{word}: {what}")));
        }
    }
    breaches
}
