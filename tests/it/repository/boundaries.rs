//! Laws of dependencies: between packages, and inside them.

use super::laws::{Breach, lines_with, rust_code};
use super::source::{NamedPath, SourceFile, paths};

/// The packages that each package must not depend on, by its manifest.
const ARROWS: [(&str, &[&str]); 6] = [
    ("Cargo.toml", &["hotshelf-offline"]),
    ("offline/Cargo.toml", &["hotshelf"]),
    (
        "model/Cargo.toml",
        &[
            "hotshelf",
            "hotshelf-offline",
            "hotshelf-registry",
            "hotshelf-terminal",
            "object_store",
            "tokio",
        ],
    ),
    (
        "model-registry/Cargo.toml",
        &[
            "hotshelf",
            "hotshelf-offline",
            "hotshelf-model",
            "hotshelf-terminal",
        ],
    ),
    (
        "event-log/Cargo.toml",
        &[
            "hotshelf",
            "hotshelf-offline",
            "hotshelf-model",
            "hotshelf-registry",
            "hotshelf-terminal",
            "tonic",
        ],
    ),
    (
        "terminal/Cargo.toml",
        &[
            "hotshelf",
            "hotshelf-offline",
            "hotshelf-model",
            "hotshelf-registry",
            "object_store",
            "prost",
            "tokio",
            "tonic",
        ],
    ),
];

pub(crate) fn arrows(file: &SourceFile) -> Vec<Breach> {
    let Some((_, refused)) = ARROWS.iter().find(|(path, _)| *path == file.path) else {
        return Vec::new();
    };
    let mut breaches = Vec::new();
    let mut in_dependencies = false;
    for (number, line) in file.text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            // The workspace's own table only says versions.
            in_dependencies =
                table.contains("dependencies") && !table.starts_with("workspace.dependencies");
            let named = table.rsplit('.').next().unwrap_or_default();
            if in_dependencies && refused.contains(&named) {
                breaches.push(Breach::new(file, number + 1, format!("depends on {named}")));
            }
            continue;
        }
        let key = line
            .split(['=', '.'])
            .next()
            .unwrap_or_default()
            .trim()
            .trim_matches('"');
        let renamed = refused
            .iter()
            .find(|name| line.contains("package") && line.contains(&format!("\"{name}\"")));
        let named = refused.iter().find(|name| **name == key).or(renamed);
        if let (true, Some(named)) = (in_dependencies, named) {
            breaches.push(Breach::new(file, number + 1, format!("depends on {named}")));
        }
    }
    breaches
}

/// Wire types stop at the edge.
pub(crate) fn wire_types(file: &SourceFile) -> Vec<Breach> {
    let edge = file.path.starts_with("src/grpc/")
        || ["src/grpc.rs", "src/error.rs"].contains(&&*file.path);
    if !file.path.starts_with("src/") || edge {
        return Vec::new();
    }
    paths_where(
        file,
        "only src/grpc/ and src/error.rs know the wire",
        |path| {
            let wire = |word: &str| {
                ["tonic", "prost"].contains(&word)
                    || word.starts_with("tonic_")
                    || word.starts_with("prost_")
            };
            wire(&path.segments[0])
                || path.segments.len() > 1 && path.segments.iter().any(|s| s == "proto")
        },
    )
}

/// `model/` computes: no files, no network, no clock, no async, no registry.
pub(crate) fn model_is_pure(file: &SourceFile) -> Vec<Breach> {
    if !file.path.starts_with("model/src/") {
        return Vec::new();
    }
    let outside = ["fs", "net", "env", "process", "io"];
    let foreign = [
        "tokio",
        "object_store",
        "hotshelf_registry",
        "hotshelf",
        "hotshelf_offline",
    ];
    paths_where(
        file,
        "the mathematics does no I/O and reads no clock",
        |path| {
            let std = |module: &&str| path.starts_with(&["std", module]);
            outside
                .iter()
                .any(|module| std(module) && !is_io_error(path))
                || foreign.contains(&&*path.segments[0])
                || path
                    .segments
                    .iter()
                    .any(|s| ["Instant", "SystemTime", "async"].contains(&s.as_str()))
                || path.has_pair("thread", "sleep")
        },
    )
}

/// Reading and writing memory is no I/O: the traits and their errors are allowed.
fn is_io_error(path: &NamedPath) -> bool {
    let allowed = ["Cursor", "Error", "ErrorKind", "Read", "Result", "Write"];
    path.starts_with(&["std", "io"]) && path.segments.get(2).is_none_or(|s| allowed.contains(&&**s))
}

/// One file builds object paths, so that every name in them is validated.
pub(crate) fn object_paths(file: &SourceFile) -> Vec<Breach> {
    let is_code = file.path.contains("src/") && !file.path.contains("tests");
    let is_layout = file.path.ends_with("/src/layout.rs");
    if !is_code || is_layout || !file.has_extension(&["rs"]) {
        return Vec::new();
    }
    let what = "only src/layout.rs of a package builds object paths";
    let mut breaches = paths_where(file, what, |path| {
        path.segments.windows(2).any(|pair| {
            let builds = [
                "parse",
                "from",
                "from_iter",
                "from_url_path",
                "from_filesystem_path",
                "from_absolute_path",
            ];
            pair[0].ends_with("Path") && builds.contains(&&*pair[1])
        })
    });
    let code = production_code(file);
    // Where std's paths are used too, `join` may be theirs; with a literal it joins texts.
    let own_joins = code.contains("object_store") && !code.contains("std::path");
    let builds = |line: &str| {
        let joins = line
            .split(".join(")
            .skip(1)
            .any(|rest| !rest.trim_start().starts_with(')'));
        code.contains("object_store") && line.contains(".child(") || own_joins && joins
    };
    let lines = code.lines().enumerate().filter(|(_, line)| builds(line));
    breaches.extend(lines.map(|(number, _)| Breach::new(file, number + 1, what)));
    breaches
}

/// The one reader of the environment.
const READER: &str = "terminal/src/environment.rs";

/// The folders whose code may ask the reader.
const ASKERS: [&str; 2] = ["src/config/", "offline/src/cli/"];

/// Only the configuration reads the environment, through one reader.
pub(crate) fn environment(file: &SourceFile) -> Vec<Breach> {
    let package_code = file.path.starts_with("src/") || file.path.contains("/src/");
    if !package_code || file.path == READER {
        return Vec::new();
    }
    let may_ask = ASKERS.iter().any(|folder| file.path.starts_with(folder));
    let law = format!("only {READER} reads the environment");
    paths_where(file, &law, |path| {
        let reads = ["var", "var_os", "vars", "vars_os"]
            .iter()
            .any(|name| path.has_pair("env", name));
        reads || !may_ask && path.has_pair("environment", "variables")
    })
}

/// The files that have the SIMD kernels.
const KERNELS: [&str; 2] = ["model/src/lanes.rs", "model/src/lanes/int8.rs"];

/// `unsafe` is allowed in these files; the lint table denies it everywhere else.
pub(crate) fn unsafe_code(file: &SourceFile) -> Vec<Breach> {
    if KERNELS.contains(&file.path.as_str()) {
        return Vec::new();
    }
    let lifted = ["allow(unsafe_code", "expect(unsafe_code"];
    lines_with(
        file,
        &rust_code(file),
        &lifted,
        "only the kernels are unsafe",
    )
}

/// The code without a `mod tests` at its end.
pub(crate) fn production_code(file: &SourceFile) -> String {
    let code = rust_code(file);
    let tests = code.find("\nmod tests {").unwrap_or(code.len());
    code[..tests].to_owned()
}

fn paths_where(file: &SourceFile, law: &str, broken: impl Fn(&NamedPath) -> bool) -> Vec<Breach> {
    let named = paths(&production_code(file)).into_iter().filter(broken);
    named
        .map(|path| Breach::new(file, path.line, format!("{}: {law}", path.text())))
        .collect()
}
