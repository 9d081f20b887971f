//! Every law reports what it forbids and passes what it allows.

use super::laws::{self, Breach};
use super::source::{self, SourceFile, paths, views};
use super::{boundaries, documents, promises, root};

mod circles;
mod tasks;
mod words;

type Law = fn(&SourceFile) -> Vec<Breach>;

/// The lines on which `law` finds `text` broken.
fn broken_lines(law: Law, path: &str, text: &str) -> Vec<String> {
    let file = SourceFile::new(path, text);
    let place = |breach: &Breach| breach.to_string().split(':').nth(1).unwrap().to_owned();
    law(&file).iter().map(place).collect()
}

#[track_caller]
fn breaks(law: Law, path: &str, text: &str, line: &str) {
    assert_eq!(broken_lines(law, path, text), [line], "{path}\n{text}");
}

#[track_caller]
fn passes(law: Law, path: &str, text: &str) {
    assert_eq!(broken_lines(law, path, text), [""; 0], "{path}\n{text}");
}

#[test]
fn size_is_counted_in_lines() {
    breaks(laws::size, "src/a.rs", &"\n".repeat(501), "501");
    passes(laws::size, "src/a.rs", &"\n".repeat(500));
    passes(laws::size, "data.csv", &"\n".repeat(501));
}

#[test]
fn vague_names_are_found() {
    for path in [
        "src/utils.rs",
        "src/common/arm.rs",
        "src/new_server.rs",
        "proto/helpers.proto",
    ] {
        breaks(laws::file_names, path, "", "1");
    }
    passes(laws::file_names, "src/renewal.rs", "");
    breaks(laws::declared_names, "a.rs", "\nmod helpers;", "2");
    breaks(laws::declared_names, "a.rs", "fn score_v2() {}", "1");
    breaks(laws::declared_names, "a.rs", "struct PlanV2;", "1");
    passes(
        laws::declared_names,
        "a.rs",
        "fn new_users_get_popularity() {} // mod utils",
    );
}

#[test]
fn arrows_are_read_from_manifests() {
    let depends = |on: &str| format!("[package]\nname = \"x\"\n[dependencies]\n{on}\n");
    let cases = [
        ("model/Cargo.toml", "hotshelf-registry.workspace = true"),
        ("model/Cargo.toml", "tokio = \"1\""),
        (
            "model-registry/Cargo.toml",
            "m = { package = \"hotshelf-model\", path = \"../model\" }",
        ),
        ("offline/Cargo.toml", "hotshelf = { path = \"..\" }"),
        ("Cargo.toml", "hotshelf-offline.workspace = true"),
    ];
    for (path, line) in cases {
        breaks(boundaries::arrows, path, &depends(line), "4");
    }
    breaks(
        boundaries::arrows,
        "Cargo.toml",
        "[dev-dependencies.hotshelf-offline]\npath = \"x\"",
        "1",
    );
    passes(
        boundaries::arrows,
        "Cargo.toml",
        "[workspace.dependencies]\nhotshelf-offline = \"1\"",
    );
    passes(
        boundaries::arrows,
        "offline/Cargo.toml",
        &depends("hotshelf-model.workspace = true"),
    );
    passes(
        boundaries::arrows,
        "model/Cargo.toml",
        "[package]\nname = \"hotshelf\" # [dependencies]",
    );
}

#[test]
fn wire_types_are_found_outside_the_edge() {
    breaks(
        boundaries::wire_types,
        "src/cli/a.rs",
        "use tonic::Status;",
        "1",
    );
    breaks(
        boundaries::wire_types,
        "src/lib.rs",
        "\nuse {std::fmt, tonic_health::server};",
        "2",
    );
    breaks(
        boundaries::wire_types,
        "src/serving/a.rs",
        "use crate::grpc::proto::Item;",
        "1",
    );
    passes(
        boundaries::wire_types,
        "src/grpc/a.rs",
        "use tonic::Status;",
    );
    passes(boundaries::wire_types, "src/error.rs", "use tonic::Status;");
    passes(
        boundaries::wire_types,
        "src/cli/a.rs",
        "/// Like tonic::Status.\nconst A: &str = \"tonic\";",
    );
}

#[test]
fn io_and_clocks_are_found_in_the_mathematics() {
    let snippets = [
        "use std::fs;",
        "use std::{fmt, fs::File};",
        "let now = std::time::Instant::now();",
        "use std::time::{Duration, SystemTime};",
        "use tokio::sync::Mutex;",
        "async fn fit() {}",
        "use hotshelf_registry::Registry;",
        "std::thread::sleep(pause);",
    ];
    for text in snippets {
        breaks(boundaries::model_is_pure, "model/src/a.rs", text, "1");
    }
    passes(boundaries::model_is_pure, "src/a.rs", "use std::fs;");
    passes(
        boundaries::model_is_pure,
        "model/src/a.rs",
        "use std::io::Write; use std::time::Duration;",
    );
}

#[test]
fn object_paths_are_found_outside_layout() {
    let path = "model-registry/src/fetch.rs";
    breaks(
        boundaries::object_paths,
        path,
        "let p = Path::from(\"a\");",
        "1",
    );
    breaks(
        boundaries::object_paths,
        path,
        "let p = object_store::path::Path::parse(x)?;",
        "1",
    );
    breaks(
        boundaries::object_paths,
        path,
        "use object_store::path::Path;\nroot.child(\"a\")",
        "2",
    );
    passes(
        boundaries::object_paths,
        "model-registry/src/layout.rs",
        "Path::from(\"a\")",
    );
    passes(
        boundaries::object_paths,
        path,
        "let p = PathBuf::from(\"a\"); let q = Path::new(\"b\");",
    );
    passes(
        boundaries::object_paths,
        path,
        "fn a() {}\n#[cfg(test)]\nmod tests { Path::from(\"a\"); }",
    );
}

#[test]
fn environment_is_read_in_one_place() {
    breaks(
        boundaries::environment,
        "src/cli/a.rs",
        "let a = std::env::var(\"A\");",
        "1",
    );
    breaks(
        boundaries::environment,
        "offline/src/a.rs",
        "use std::env::{self, var_os};",
        "1",
    );
    breaks(
        boundaries::environment,
        "src/config/env.rs",
        "std::env::var(\"A\")",
        "1",
    );
    breaks(
        boundaries::environment,
        "src/app.rs",
        "hotshelf_terminal::environment::variables(|_| true)",
        "1",
    );
    passes(
        boundaries::environment,
        "src/config/mod.rs",
        "hotshelf_terminal::environment::variables(|_| true)",
    );
    passes(
        boundaries::environment,
        "terminal/src/environment.rs",
        "std::env::vars_os()",
    );
    passes(boundaries::environment, "src/cli/a.rs", "std::env::args()");
}

#[test]
fn unsafe_stubs_and_loose_ends_are_found() {
    breaks(
        boundaries::unsafe_code,
        "src/net/a.rs",
        "\n#![allow(unsafe_code)]",
        "2",
    );
    passes(
        boundaries::unsafe_code,
        "model/src/lanes.rs",
        "#![allow(unsafe_code)]",
    );
    breaks(laws::unfinished_code, "a.rs", "#[ignore = \"slow\"]", "1");
    breaks(
        laws::unfinished_code,
        "a.rs",
        "fn a() {\n    todo!()\n}",
        "2",
    );
    passes(
        laws::unfinished_code,
        "a.rs",
        "// todo!() is refused\nlet a = \"unimplemented!()\";",
    );
    breaks(
        laws::undone_work,
        "a.rs",
        &["// TO", "DO: more"].concat(),
        "1",
    );
    breaks(laws::undone_work, "a.py", &["# FIX", "ME"].concat(), "1");
    passes(
        laws::undone_work,
        "a.rs",
        &["// TO", "DO(#12): more"].concat(),
    );
}

#[test]
fn dead_links_and_machine_paths_are_found() {
    let links: Law = |file| documents::links(root(), file);
    breaks(links, "docs/a.md", "See [the page](missing.md).", "1");
    breaks(links, "README.md", "\n[page]: missing.md", "2");
    passes(
        links,
        "docs/a.md",
        "[cargo](../Cargo.toml#a), [web](https://example.com/x), [up](#top)",
    );
    passes(links, "README.md", "`[x](y)`\n```\n[x](y)\n```");
    for folder in ["root", "home", "work", "tmp"] {
        let text = format!("cd /{folder}/shop");
        breaks(documents::machine_paths, "README.md", &text, "1");
    }
    let examples = [
        "--registry file:///tmp/shelf",
        "cd /tmp/hotshelf",
        "ls ./work/a $HOME/work/b",
    ];
    for text in examples {
        passes(documents::machine_paths, "README.md", text);
    }
    breaks(
        documents::shell_scripts_are_strict,
        ".ci/run",
        "#!/bin/bash\ncargo test",
        "1",
    );
    passes(
        documents::shell_scripts_are_strict,
        "a.py",
        "#!/usr/bin/env python3",
    );
}

#[test]
fn long_readme_is_found() {
    let law = documents::front_page;
    breaks(law, "README.md", &"\n".repeat(150), "150");
    passes(law, "README.md", &"\n".repeat(149));
    passes(law, "docs/a.md", &"\n".repeat(150));
}

#[test]
fn files_that_the_architecture_invents_are_found() {
    let law: Law = |file| documents::named_files(root(), file);
    breaks(law, "ARCHITECTURE.md", "\n│ src/net/nowhere.rs  waits", "2");
    breaks(law, "ARCHITECTURE.md", "`src/nowhere/` holds nothing", "1");
    passes(law, "ARCHITECTURE.md", "src/app.rs, `src/net/`, decode.rs");
    passes(law, "docs/a.md", "src/net/nowhere.rs");
}

#[test]
fn code_and_comments_are_separated() {
    let text = "a(\"//b\\\"\"); // c\n/* d /* e */ f */ 'x' 'a: r#\"g\"#h; '\\'' i";
    let views = views(text);
    let words = |text: &str| {
        let words = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(words(&views.code), "a a h i");
    assert_eq!(words(&views.comments), "c d e f");
    assert_eq!(views.code.lines().count(), text.lines().count());
}

#[test]
fn grouped_imports_are_unfolded() {
    let found = paths("use a::{b, c::{d, e}, self};\nfn f() { g::h(i) }");
    let texts: Vec<String> = found.iter().map(source::NamedPath::text).collect();
    assert_eq!(
        texts,
        [
            "use", "a::b", "a::c::d", "a::c::e", "a::self", "fn", "f", "g::h", "i"
        ]
    );
    assert_eq!(found.last().map(|path| path.line), Some(2));
}

#[test]
fn without_git_the_disk_is_walked() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("a.rs", &b"fn a() {}"[..]),
        ("target/b.rs", b""),
        ("c/d.md", b"x"),
        ("e.bin", b"\0"),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let found: Vec<String> = source::files(folder.path())
        .into_iter()
        .map(|f| f.path)
        .collect();
    assert_eq!(found, ["a.rs", "c/d.md"]);
}

#[test]
fn tests_have_the_names_that_cargo_gives_them() {
    let text = "
mod outside;
fn helper() {}
#[test]
fn plain() {}
#[tokio::test(flavor = \"multi_thread\")]
#[allow(unused)]
async fn slow() {}
mod inside {
    #[test]
    fn deep() {}
}
// #[test]
fn no_test() {}
";
    for (path, module) in [
        ("tests/it/shop/rows.rs", "shop::rows"),
        ("model/src/shop/mod.rs", "shop"),
        ("src/shop.rs", "shop"),
    ] {
        let tests = promises::tests(&SourceFile::new(path, text));
        let names = ["plain", "slow", "inside::deep"].map(|name| format!("{module}::{name}"));
        assert_eq!(tests, names);
    }
}

#[test]
fn rows_without_a_test_that_is_there_are_found() {
    let known = promises::Known::of(&[
        SourceFile::new("tests/it/a.rs", "#[test]\nfn b() {}"),
        SourceFile::new("bench/c", ""),
    ]);
    let broken = |row: &str| {
        let page = format!("| Failure | Promise | Test | Measured |\n|---|---|---|---|\n{row}");
        let page = SourceFile::new(promises::PAGE, &page);
        promises::every_failure_has_a_test(&known, &page).len()
    };
    for good in ["`a::b`", "`a::*`", "`a::b`, `bench/c`", "the same"] {
        assert_eq!(broken(&format!("| x | y | {good} | z |")), 0, "{good}");
    }
    for bad in ["`b`", "`a::bb`", "`c::*`", "`bench/d`", "", "none yet"] {
        assert_eq!(broken(&format!("| x | y | {bad} | z |")), 1, "{bad}");
    }
    assert_eq!(broken("| x | y | `a::b` z |"), 1, "a column is missing");
}
