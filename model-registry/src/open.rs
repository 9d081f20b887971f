//! From a registry's URL to a store and a root. No file or folder is touched here: the root folder
//! of `file://` appears with the first write.

use crate::store::Backend;
use crate::{Error, layout};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use std::sync::Arc;

const SUPPORTED: &str = "file:///absolute/path or memory:///";

/// The store behind `url`, and the root within it.
pub(crate) fn open(url: &str) -> Result<(Backend, Path), Error> {
    let refused = |limit: String| Error::invalid("registry URL", url, limit);
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(refused(format!("supported are {SUPPORTED}")));
    };
    let root = || layout::root_of_url(rest);
    match scheme {
        "file" => match root().filter(|root| !root.is_root()) {
            // Rooted at `/` and not at the folder, which need not exist yet.
            Some(root) => Ok((Backend::disk(LocalFileSystem::new()), root)),
            None => Err(refused(
                "an absolute path without dot segments: file:///a/folder".into(),
            )),
        },
        "memory" => match root() {
            Some(root) => Ok((Backend::other(Arc::new(InMemory::new())), root)),
            None => Err(refused("memory:///, a path may follow".into())),
        },
        "s3" => Err(refused(format!(
            "s3:// is not built into this release; supported are {SUPPORTED}"
        ))),
        _ => Err(refused(format!("supported are {SUPPORTED}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_schemes_are_refused_naming_what_is_supported() {
        for url in [
            "gs://bucket",
            "http://host/x",
            "",
            "/plain/path",
            "file",
            "FILE:///x",
        ] {
            let error = open(url).map(|_| ()).unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains("file:///absolute/path or memory:///"),
                "{error}"
            );
        }
        let error = open("s3://bucket/root")
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("s3:// is not built into this release"),
            "{error}"
        );
    }

    #[test]
    fn file_paths_are_absolute_and_have_no_dot_segments() {
        for url in [
            "file://relative",
            "file:///",
            "file:///a/../b",
            "file:///a/%2e%2e/b",
            "file:///a//b",
        ] {
            assert!(open(url).is_err(), "{url}");
        }
        let (_, root) = open("file:///var/my%20shop/").unwrap();
        assert_eq!(root.as_ref(), "var/my shop");
    }
}
