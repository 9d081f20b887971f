//! Checks the paths of a run before anything is opened.
//!
//! No output may be an input or another output, under whatever name. Paths are resolved and
//! compared, and so are the file system's ids (device and inode): `./`, relative paths, symlinks,
//! hard links and mounts make no difference. A file that exists is replaced only if an earlier run
//! wrote it, or with `--force`, which never lifts the first rule.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::error::Error;

/// Links followed in one path, as the system does.
const LINKS_MAX: usize = 40;
/// Bytes of an existing file that tell whether an earlier run wrote it.
const HEAD_BYTES: u64 = 1024;

/// A file or folder that a run reads or writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunPath {
    /// The flag or key that names it.
    pub(crate) origin: String,
    pub(crate) path: PathBuf,
    pub(crate) role: Role,
}

/// What a path is to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    File,
    /// A folder that is read or written as a whole.
    Folder,
    /// A folder in which new files are created beside others.
    Registry,
}

impl RunPath {
    pub(crate) fn file(origin: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self::new(origin, path, Role::File)
    }

    pub(crate) fn new(origin: impl Into<String>, path: impl Into<PathBuf>, role: Role) -> Self {
        Self {
            origin: origin.into(),
            path: path.into(),
            role,
        }
    }

    fn described(&self) -> String {
        format!("{} ({})", self.origin, self.path.display())
    }
}

/// Errs if an output is, or lies in, an input or another output, or would replace an input.
///
/// # Errors
/// [`Error::Argument`] that names both, [`Error::Unreadable`] where a path cannot be resolved.
pub(crate) fn check(inputs: &[RunPath], outputs: &[RunPath]) -> Result<(), Error> {
    let inputs = identify(inputs)?;
    let outputs = identify(outputs)?;
    for (at, output) in outputs.iter().enumerate() {
        for input in &inputs {
            output.check_against_input(input)?;
        }
        for other in &outputs[..at] {
            output.check_against_output(other)?;
        }
    }
    Ok(())
}

/// Errs if a file exists that no earlier run wrote, unless `force`, and if the file cannot be
/// created at all.
///
/// # Errors
/// [`Error::Argument`] with the reason, [`Error::Unreadable`].
pub(crate) fn check_replaceable(
    output: &RunPath,
    is_ours: fn(&[u8]) -> bool,
    force: bool,
) -> Result<(), Error> {
    let refuse = |why: &str| Err(Error::Argument(format!("{} {why}", output.described())));
    let unreadable = |source| Error::Unreadable {
        path: output.path.clone(),
        source,
    };
    let metadata = match fs::metadata(&output.path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let resolved = resolve(&output.path).map_err(unreadable)?;
            return match resolved.parent() {
                Some(parent) if parent.is_dir() => Ok(()),
                _ => refuse("cannot be written: there is no such folder"),
            };
        }
        Err(error) => return Err(unreadable(error)),
    };
    if metadata.is_dir() {
        return refuse("is a folder; name a file");
    }
    if !metadata.is_file() {
        return refuse("is not a regular file");
    }
    if force {
        return Ok(());
    }
    let mut head = Vec::new();
    let file = File::open(&output.path).map_err(unreadable)?;
    file.take(HEAD_BYTES)
        .read_to_end(&mut head)
        .map_err(unreadable)?;
    if is_ours(&head) {
        return Ok(());
    }
    refuse("exists and no earlier run wrote it; name another file, or replace it with --force")
}

/// The local folder of a registry's URL, if it has one.
pub(crate) fn registry_folder(url: &str) -> Option<PathBuf> {
    let url = url::Url::parse(url).ok()?;
    (url.scheme() == "file").then(|| url.to_file_path().ok())?
}

/// A path with what identifies it.
struct Identified<'p> {
    named: &'p RunPath,
    resolved: PathBuf,
    /// Of everything on the way from the file system's root that exists, the path itself first.
    ids: Vec<Option<FileId>>,
}

/// Device and inode.
type FileId = (u64, u64);

fn identify(paths: &[RunPath]) -> Result<Vec<Identified<'_>>, Error> {
    let identified = paths.iter().map(|named| {
        let resolved = resolve(&named.path).map_err(|source| Error::Unreadable {
            path: named.path.clone(),
            source,
        })?;
        let ids = resolved.ancestors().map(file_id).collect();
        Ok(Identified {
            named,
            resolved,
            ids,
        })
    });
    identified.collect()
}

fn file_id(path: &Path) -> Option<FileId> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

impl Identified<'_> {
    fn check_against_input(&self, input: &Self) -> Result<(), Error> {
        let (output, named) = (self.named.described(), input.named.described());
        if self.is_same(input) {
            return Err(Error::Argument(format!(
                "{output} is the same as the input {named}; an output never replaces an input"
            )));
        }
        if self.is_inside(input) {
            return Err(Error::Argument(format!(
                "{output} lies inside the input {named}"
            )));
        }
        // A registry creates new files only, so inputs may lie beside them.
        if self.named.role == Role::Folder && input.is_inside(self) {
            return Err(Error::Argument(format!(
                "{output} is a folder with the input {named} in it"
            )));
        }
        Ok(())
    }

    fn check_against_output(&self, other: &Self) -> Result<(), Error> {
        let (output, named) = (self.named.described(), other.named.described());
        if self.is_same(other) {
            return Err(Error::Argument(format!(
                "{output} is the same as the output {named}"
            )));
        }
        if self.is_inside(other) || other.is_inside(self) {
            return Err(Error::Argument(format!(
                "{output} and the output {named} lie one inside the other"
            )));
        }
        Ok(())
    }

    fn is_same(&self, other: &Self) -> bool {
        let id = |of: &Self| of.ids.first().copied().flatten();
        self.resolved == other.resolved || (id(self).is_some() && id(self) == id(other))
    }

    /// Whether this lies in the folder `other`.
    fn is_inside(&self, other: &Self) -> bool {
        if other.named.role == Role::File {
            return false;
        }
        let folder = other.ids.first().copied().flatten();
        let mut ids = self.ids.iter().skip(1);
        let by_id = folder.is_some() && ids.any(|id| *id == folder);
        by_id
            || self
                .resolved
                .ancestors()
                .skip(1)
                .any(|parent| parent == other.resolved)
    }
}

/// The absolute path without links and dots; the end of it need not exist.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    if let Ok(resolved) = fs::canonicalize(path) {
        return Ok(resolved);
    }
    let mut path = std::path::absolute(path)?;
    // A link to nothing: what is written through it appears where it points.
    for _ in 0..LINKS_MAX {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(&path).join(target),
            Err(_) => break,
        }
    }
    for ancestor in path.ancestors() {
        if let (Ok(base), Ok(rest)) = (fs::canonicalize(ancestor), path.strip_prefix(ancestor)) {
            return Ok(joined(base, rest));
        }
    }
    Ok(path)
}

fn joined(mut base: PathBuf, rest: &Path) -> PathBuf {
    for component in rest.components() {
        match component {
            Component::ParentDir => {
                base.pop();
            }
            Component::CurDir => {}
            other => base.push(other),
        }
    }
    base
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        fs::write(folder.path().join("data/events.csv"), "rows").unwrap();
        folder
    }

    fn refusal(input: &RunPath, output: &RunPath) -> Option<String> {
        let checked = check(std::slice::from_ref(input), std::slice::from_ref(output));
        checked.err().map(|error| error.to_string())
    }

    #[test]
    fn output_that_is_an_input_is_refused_under_any_name() {
        let folder = folder();
        let path = |name: &str| folder.path().join(name);
        fs::hard_link(path("data/events.csv"), path("hard.csv")).unwrap();
        symlink(path("data/events.csv"), path("soft.csv")).unwrap();
        symlink(path("soft.csv"), path("soft-of-soft.csv")).unwrap();
        symlink(path("data"), path("other-data")).unwrap();
        let input = RunPath::file("events.files", path("data/events.csv"));
        for name in [
            "data/events.csv",
            "./data/./events.csv",
            "data/../data/events.csv",
            "missing/../data/events.csv",
            "hard.csv",
            "soft.csv",
            "soft-of-soft.csv",
            "other-data/events.csv",
        ] {
            let refused = refusal(&input, &RunPath::file("--html", path(name)));
            assert!(
                refused.unwrap().contains("is the same as the input"),
                "{name}"
            );
        }
        assert_eq!(
            refusal(&input, &RunPath::file("--html", path("new.csv"))),
            None
        );
    }

    #[test]
    fn outputs_that_do_not_exist_yet_are_compared_too() {
        let folder = folder();
        let path = |name: &str| folder.path().join(name);
        symlink(path("page.html"), path("link.html")).unwrap();
        let same = |one: &str, two: &str| {
            check(
                &[],
                &[RunPath::file("a", path(one)), RunPath::file("b", path(two))],
            )
            .is_err()
        };
        assert!(same("page.html", "./page.html"));
        assert!(same("page.html", "link.html"));
        assert!(same("page.html", "new/../page.html"));
        assert!(!same("page.html", "page2.html"));
    }

    #[test]
    fn folders_hold_neither_inputs_nor_other_outputs() {
        let folder = folder();
        let path = |name: &str| folder.path().join(name);
        let input = RunPath::file("events.files", path("data/events.csv"));
        let out = |role| RunPath::new("--out", path("data"), role);
        assert!(refusal(&input, &out(Role::Folder)).is_some());
        assert_eq!(refusal(&input, &out(Role::Registry)), None);
        let html = RunPath::file("--html", path("data/new/page.html"));
        for role in [Role::Folder, Role::Registry] {
            assert!(check(&[], &[out(role), html.clone()]).is_err());
            assert!(check(&[], &[html.clone(), out(role)]).is_err());
        }
        let packed = RunPath::new("--packed", path("data"), Role::Folder);
        assert!(refusal(&packed, &html).is_some());
    }

    #[test]
    fn existing_file_is_replaced_only_if_an_earlier_run_wrote_it_or_by_force() {
        let folder = folder();
        let file = folder.path().join("data/events.csv");
        let output = RunPath::file("--html", &file);
        let ours: fn(&[u8]) -> bool = |head| head.starts_with(b"ours");
        assert!(check_replaceable(&output, ours, false).is_err());
        assert!(check_replaceable(&output, ours, true).is_ok());
        fs::write(&file, "ours").unwrap();
        assert!(check_replaceable(&output, ours, false).is_ok());
        for (name, force) in [("data", true), ("none/page.html", true)] {
            let output = RunPath::file("--html", folder.path().join(name));
            assert!(check_replaceable(&output, ours, force).is_err(), "{name}");
        }
        let device = RunPath::file("--html", "/dev/null");
        assert!(check_replaceable(&device, ours, true).is_err());
    }

    #[test]
    fn folder_of_a_registry_is_found_whatever_the_case_of_its_url() {
        for url in [
            "file:///srv/my%20shop",
            "FILE:///srv/my%20shop",
            "file://localhost/srv/my%20shop",
        ] {
            assert_eq!(registry_folder(url), Some("/srv/my shop".into()), "{url}");
        }
        assert_eq!(registry_folder("s3://bucket/prefix"), None);
    }
}
