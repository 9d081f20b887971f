use crate::repository::circles;
use crate::repository::source::SourceFile;

/// The circles of a package with these files.
fn circles_among(files: &[(&str, &str)]) -> Vec<String> {
    let file = |(path, text): &(&str, &str)| SourceFile::new(path, text);
    let files: Vec<SourceFile> = files.iter().map(file).collect();
    let found = circles::circles(&files);
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn files_that_need_each_other_are_found() {
    let pair = "2 files that need each other:\n    src/a.rs -> src/b.rs\n    src/b.rs -> src/a.rs";
    for (a, b) in [
        ("use crate::b::B;", "use crate::a::A;"),
        ("use super::b;", "fn f() { crate::a::f(); }"),
        ("use crate::{b::B as C, d};", "use crate::{d, a};"),
        // Through a name that the root re-exports.
        ("use crate::B;", "use super::a::A;"),
    ] {
        let root = "mod a; mod b; pub use b::B;";
        let files = [("src/lib.rs", root), ("src/a.rs", a), ("src/b.rs", b)];
        assert_eq!(circles_among(&files), [pair], "{a} {b}");
    }
    let three = [
        ("model/src/a.rs", "use crate::b;"),
        ("model/src/b.rs", "use crate::c;"),
        ("model/src/c.rs", "use crate::a;"),
    ];
    assert_eq!(circles_among(&three).len(), 1);
}

#[test]
fn files_that_need_each_other_one_way_pass() {
    // A child may use its parent, a parent may hand on what its child declares, tests use all.
    let files = [
        ("src/a.rs", "mod c; pub use c::C; use crate::b;"),
        ("src/a/c.rs", "use super::A;"),
        (
            "src/b.rs",
            "use crate::d;\n#[cfg(test)]\nmod tests { use crate::a; }",
        ),
        (
            "src/d.rs",
            "// crate::b\nuse other::b; const A: &str = \"crate::b\";",
        ),
    ];
    assert_eq!(circles_among(&files), [""; 0]);
    // A circle stays within one package.
    let packages = [
        ("src/a.rs", "use crate::b;"),
        ("model/src/b.rs", "use crate::a;"),
    ];
    assert_eq!(circles_among(&packages), [""; 0]);
}
