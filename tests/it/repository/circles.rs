//! The law against circles: files of one package that need each other are one file in pieces.
//!
//! ```text
//! paths that a file names ──▶ files that declare what they lead to ──▶ graph ──▶ circles
//! ```
//!
//! A re-exported name belongs to the file that declares it, so a re-export is no dependency by itself. A
//! file may use its ancestors (`super::`): they are the frame that it stands in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::boundaries::production_code;
use super::source::{NamedPath, SourceFile, paths};

/// A module's path within its crate; that of the root is empty.
type Module = Vec<String>;
/// The files that each file needs.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Longest chain of re-exports that is followed (chosen: far beyond any that is readable).
const REEXPORTS_MAX: usize = 16;

/// Files of which each needs every other, directly or through others.
#[derive(Debug, PartialEq)]
pub(crate) struct Circle {
    /// Who needs whom, within the circle.
    arrows: Vec<(String, String)>,
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: BTreeSet<&String> = self.arrows.iter().map(|(from, _)| from).collect();
        write!(f, "{} files that need each other:", files.len())?;
        for (from, to) in &self.arrows {
            write!(f, "\n    {from} -> {to}")?;
        }
        Ok(())
    }
}

/// The circles of every package.
pub(crate) fn circles(files: &[SourceFile]) -> Vec<Circle> {
    let mut packages: BTreeMap<&str, Vec<&SourceFile>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.has_extension(&["rs"])) {
        if let Some((package, _)) = in_package(&file.path) {
            packages.entry(package).or_default().push(file);
        }
    }
    let packages = packages.into_values();
    packages
        .flat_map(|files| circles_of(&graph(&files)))
        .collect()
}

/// The package that a source file belongs to, and its path among the package's sources.
fn in_package(path: &str) -> Option<(&str, &str)> {
    match path.strip_prefix("src/") {
        Some(inside) => Some(("", inside)),
        None => path.split_once("/src/"),
    }
}

fn module(file: &SourceFile) -> Module {
    let inside = in_package(&file.path).map_or(&*file.path, |(_, inside)| inside);
    let names = inside.trim_end_matches(".rs").split('/');
    let names = names.filter(|name| !["mod", "lib"].contains(name));
    names.map(str::to_owned).collect()
}

fn graph(files: &[&SourceFile]) -> Graph {
    let package = Package {
        modules: files
            .iter()
            .map(|file| (module(file), Names::of(file)))
            .collect(),
    };
    let path_of: BTreeMap<Module, &str> = files
        .iter()
        .map(|file| (module(file), &*file.path))
        .collect();
    let needed_by = |file: &SourceFile| {
        let own = module(file);
        let named = package.modules[&own].used.iter();
        let needed = named.filter_map(|path| package.declaring(&own, path, REEXPORTS_MAX));
        let needed = needed.filter(|other| !own.starts_with(other));
        needed.map(|other| path_of[&other].to_owned()).collect()
    };
    let entries = files
        .iter()
        .map(|file| (file.path.clone(), needed_by(file)));
    entries.collect()
}

/// The modules of one package that are files, with what they name.
struct Package {
    modules: BTreeMap<Module, Names>,
}

impl Package {
    /// The module that declares what a path of `own` leads to; None where it leads out of the package.
    fn declaring(&self, own: &Module, path: &[String], reexports_max: usize) -> Option<Module> {
        let (first, mut rest) = path.split_first()?;
        let mut module = match first.as_str() {
            "crate" => Module::new(),
            "self" => own.clone(),
            "super" => {
                let mut parent = own.clone();
                parent.pop();
                while let Some(("super", more)) = rest.split_first().map(|(s, more)| (&**s, more)) {
                    parent.pop();
                    rest = more;
                }
                parent
            }
            name if self.is_known(own, name) => {
                rest = path;
                own.clone()
            }
            _ => return None,
        };
        while let Some((name, more)) = rest.split_first() {
            let child = [&module[..], std::slice::from_ref(name)].concat();
            if self.modules.contains_key(&child) {
                (module, rest) = (child, more);
                continue;
            }
            let alias = self
                .modules
                .get(&module)
                .and_then(|it| it.aliases.get(name));
            if let (Some(alias), 1..) = (alias, reexports_max) {
                let path = [alias, more].concat();
                return self.declaring(&module, &path, reexports_max - 1);
            }
            break;
        }
        self.modules.contains_key(&module).then_some(module)
    }

    fn is_known(&self, own: &Module, name: &str) -> bool {
        let child = [&own[..], &[name.to_owned()]].concat();
        self.modules.contains_key(&child) || self.modules[own].aliases.contains_key(name)
    }
}

/// What one file names.
#[derive(Default)]
struct Names {
    /// Imported and re-exported names with their paths.
    aliases: BTreeMap<String, Vec<String>>,
    /// Every path that it uses itself.
    used: Vec<Vec<String>>,
}

impl Names {
    fn of(file: &SourceFile) -> Self {
        let mut names = Self::default();
        for statement in production_code(file).split_inclusive(';') {
            let mut before = paths(statement);
            let is_use = |path: &NamedPath| path.segments == ["use"];
            let imported = match before.iter().position(is_use) {
                Some(at) => before.split_off(at).split_off(1),
                None => Vec::new(),
            };
            let is_reexport = ends_with_visibility(&before);
            let imported = names.import(imported);
            // A single word is a local name, or the `crate` of a visibility.
            let code = before.into_iter().map(|path| path.segments);
            names.used.extend(code.filter(|path| path.len() > 1));
            if !is_reexport {
                names.used.extend(imported);
            }
        }
        names
    }

    /// Takes the paths of a `use`; returns them as they are without their new names.
    fn import(&mut self, found: Vec<NamedPath>) -> Vec<Vec<String>> {
        let mut imported: Vec<Vec<String>> = Vec::new();
        let mut found = found.into_iter().map(|path| path.segments);
        while let Some(mut path) = found.next() {
            let last = path.last().cloned().unwrap_or_default();
            if last == "as" {
                let alias = found.next().and_then(|path| path.last().cloned());
                let path = imported.last().cloned();
                self.aliases.extend(alias.zip(path));
                continue;
            }
            if last == "self" && path.len() > 1 {
                path.pop();
            }
            let name = path.last().cloned().unwrap_or_default();
            self.aliases.insert(name, path.clone());
            imported.push(path);
        }
        imported
    }
}

/// Whether `pub`, or `pub(crate)` and the like, is the last that these paths say.
fn ends_with_visibility(paths: &[NamedPath]) -> bool {
    let is = |path: &NamedPath, words: &[&str]| {
        path.segments.len() == 1 && words.contains(&&*path.segments[0])
    };
    match paths {
        [.., last] if is(last, &["pub"]) => true,
        [.., pub_, last] => is(pub_, &["pub"]) && is(last, &["crate", "super", "self"]),
        _ => false,
    }
}

fn circles_of(graph: &Graph) -> Vec<Circle> {
    let reached: BTreeMap<&String, BTreeSet<&String>> = graph
        .keys()
        .map(|file| (file, reachable(graph, file)))
        .collect();
    let (mut circles, mut seen) = (Vec::new(), BTreeSet::new());
    for file in graph.keys() {
        let is_mutual = |other: &&&String| reached[**other].contains(file);
        let circle: BTreeSet<&String> = reached[file].iter().filter(is_mutual).copied().collect();
        if circle.is_empty() || !seen.insert(circle.clone()) {
            continue;
        }
        let within = |from: &&String| {
            let to = graph[*from].iter().filter(|to| circle.contains(to));
            to.map(|to| ((*from).clone(), to.clone()))
                .collect::<Vec<_>>()
        };
        let arrows = circle.iter().flat_map(within).collect();
        circles.push(Circle { arrows });
    }
    circles
}

/// Every file that this one needs, directly or through others.
fn reachable<'a>(graph: &'a Graph, file: &String) -> BTreeSet<&'a String> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&String> = graph[file].iter().collect();
    while let Some(file) = next.pop() {
        if found.insert(file) {
            next.extend(&graph[file]);
        }
    }
    found
}
