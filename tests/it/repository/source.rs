//! The repository's files, and a small lexer for Rust: code without comments and literals, comments alone, and
//! the paths in code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One text file of the repository.
pub(crate) struct SourceFile {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl SourceFile {
    /// For the laws' own tests.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    pub(crate) fn has_extension(&self, any_of: &[&str]) -> bool {
        any_of
            .iter()
            .any(|extension| self.path.ends_with(&format!(".{extension}")))
    }

    /// The name without folders and without what follows its first dot.
    pub(crate) fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.split('.').next().unwrap_or_default()
    }
}

/// Every text file that git tracks or would track under `root`; without git, every one outside
/// build and tool folders.
pub(crate) fn files(root: &Path) -> Vec<SourceFile> {
    let mut paths = listed_by_git(root).unwrap_or_else(|| found_on_disk(root));
    paths.sort();
    let read = |path: PathBuf| {
        // Skips binary files, and files deleted since git listed them.
        let text = fs::read_to_string(root.join(&path)).ok()?;
        let path = path.to_string_lossy().replace('\\', "/");
        (!text.contains('\0')).then_some(SourceFile { path, text })
    };
    paths.into_iter().filter_map(read).collect()
}

fn listed_by_git(root: &Path) -> Option<Vec<PathBuf>> {
    if !root.join(".git").exists() {
        return None;
    }
    let arguments = [
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
    ];
    let output = Command::new("git")
        .args(arguments)
        .current_dir(root)
        .output()
        .ok()?;
    let listed = String::from_utf8(output.stdout).ok()?;
    let paths = listed.split_terminator('\0').map(PathBuf::from);
    output.status.success().then(|| paths.collect())
}

fn found_on_disk(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let kind = entry.file_type().unwrap();
            if kind.is_dir()
                && ![".git", ".tools", "target"]
                    .iter()
                    .any(|skip| name == *skip)
            {
                folders.push(path);
            } else if kind.is_file() {
                found.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    found
}

/// A Rust file as two texts with the same lines: code without literals, and comments.
pub(crate) struct Views {
    pub(crate) code: String,
    pub(crate) comments: String,
}

/// The lexer's state.
#[derive(Clone, Copy, PartialEq)]
enum At {
    Code,
    LineComment,
    BlockComment(usize),
    Text,
    /// A raw string with so many `#`.
    RawText(usize),
}

/// Splits a Rust text. The same rules cover raw identifiers and byte literals.
pub(crate) fn views(text: &str) -> Views {
    let (mut code, mut comments) = (String::new(), String::new());
    let mut at = At::Code;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (next, length) = step(at, rest, first);
        let piece = &rest[..length];
        let is_comment = |at| matches!(at, At::LineComment | At::BlockComment(_));
        let blank: String = piece
            .chars()
            .map(|c| if c == '\n' { c } else { ' ' })
            .collect();
        if at == At::Code && next == At::Code && !piece.starts_with('\'') {
            code.push_str(piece);
            comments.push_str(&blank);
        } else if is_comment(at) || is_comment(next) {
            code.push_str(&blank);
            comments.push_str(piece);
        } else {
            code.push_str(&blank);
            comments.push_str(&blank);
        }
        at = next;
        rest = &rest[length..];
    }
    Views { code, comments }
}

/// The state after the next piece of text, and the length of that piece.
fn step(at: At, rest: &str, first: char) -> (At, usize) {
    let one = first.len_utf8();
    match at {
        At::Code if rest.starts_with("//") => (At::LineComment, 2),
        At::Code if rest.starts_with("/*") => (At::BlockComment(1), 2),
        At::Code if first == '"' => (At::Text, 1),
        At::Code if first == 'r' && raw_hashes(rest).is_some() => {
            let hashes = raw_hashes(rest).unwrap_or_default();
            (At::RawText(hashes), 2 + hashes)
        }
        At::Code if first == '\'' => (At::Code, char_literal(rest).unwrap_or(1)),
        // A whole word at a time, so that the r of `for"` is no raw string.
        At::Code if is_word(first) => (At::Code, rest.find(|c| !is_word(c)).unwrap_or(rest.len())),
        At::LineComment if first == '\n' => (At::Code, 1),
        At::BlockComment(depth) if rest.starts_with("/*") => (At::BlockComment(depth + 1), 2),
        At::BlockComment(1) if rest.starts_with("*/") => (At::Code, 2),
        At::BlockComment(depth) if rest.starts_with("*/") => (At::BlockComment(depth - 1), 2),
        At::Text if first == '\\' => (
            At::Text,
            1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        ),
        At::Text if first == '"' => (At::Code, 1),
        At::RawText(hashes) if rest.starts_with(&format!("\"{}", "#".repeat(hashes))) => {
            (At::Code, 1 + hashes)
        }
        _ => (at, one),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The number of `#` if a raw string begins here.
fn raw_hashes(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// The length of the character literal that begins here; None for a lifetime.
fn char_literal(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        let end = rest[3..].find('\'')?;
        return Some(3 + end + 1);
    }
    let (end, close) = chars.next()?;
    (close == '\'').then_some(end + 1)
}

/// A path in code, such as `std::fs::read`, with its line, from 1.
#[derive(Debug, PartialEq)]
pub(crate) struct NamedPath {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
}

impl NamedPath {
    pub(crate) fn starts_with(&self, segments: &[&str]) -> bool {
        self.segments.len() >= segments.len()
            && self.segments.iter().zip(segments).all(|(a, b)| a == b)
    }

    /// Whether these two follow each other anywhere in the path.
    pub(crate) fn has_pair(&self, first: &str, second: &str) -> bool {
        self.segments
            .windows(2)
            .any(|pair| pair[0] == first && pair[1] == second)
    }

    pub(crate) fn text(&self) -> String {
        self.segments.join("::")
    }
}

/// All paths of a code view, `use a::{b, c::d}` unfolded; single words are paths of one segment.
pub(crate) fn paths(code: &str) -> Vec<NamedPath> {
    let mut found = Vec::new();
    let mut path: Vec<String> = Vec::new();
    // For each open brace the path that it continues; empty for a block.
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut joined = false;
    for (number, line) in code.lines().enumerate() {
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let mut length = first.len_utf8();
            let mut finish = |path: &mut Vec<String>, joined: bool| {
                if !path.is_empty() && !joined {
                    let outer = groups.last().cloned().unwrap_or_default();
                    let segments = outer.into_iter().chain(path.drain(..)).collect();
                    found.push(NamedPath {
                        line: number + 1,
                        segments,
                    });
                }
            };
            if is_word(first) {
                finish(&mut path, joined);
                length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                path.push(rest[..length].to_owned());
                joined = false;
            } else if rest.starts_with("::") {
                length = 2;
                joined = true;
            } else if first == '{' {
                finish(&mut path, joined);
                let outer = if joined {
                    groups.last().cloned().unwrap_or_default()
                } else {
                    Vec::new()
                };
                groups.push(outer.into_iter().chain(path.drain(..)).collect());
                joined = false;
            } else if !first.is_whitespace() {
                finish(&mut path, false);
                joined = false;
                if first == '}' {
                    groups.pop();
                }
            }
            rest = &rest[length..];
        }
    }
    found
}
