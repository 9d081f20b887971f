//! From a registry's URL to a store and a root. Touches no file, folder or server: the first write creates
//! the root folder of `file://`, and the first call contacts a bucket.
//!
//! Parsed by hand: the `url` crate repairs what has to be refused here (dot segments, empty segments,
//! schemes in upper case), and two spellings would then name one registry.

use crate::s3::{S3Options, bucket_of_url, without_userinfo};
use crate::store::Backend;
use crate::{Error, layout};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use std::sync::Arc;

const SUPPORTED: &str = "file:///absolute/path, s3://bucket/prefix or memory:///";

/// A well-formed registry URL.
enum Location<'a> {
    Disk(Path),
    Memory(Path),
    Bucket(&'a str, Path),
}

/// The store behind `url`, and the root within it.
pub(crate) fn open(url: &str, s3: &S3Options) -> Result<(Backend, Path), Error> {
    Ok(match location(url)? {
        // Rooted at `/` and not at the folder, which need not exist yet.
        Location::Disk(root) => (Backend::disk(LocalFileSystem::new()), root),
        Location::Memory(root) => (Backend::other(Arc::new(InMemory::new())), root),
        Location::Bucket(bucket, root) => (Backend::bucket(bucket, s3)?, root),
    })
}

/// The object store behind a URL like a registry's, and the root within it, for objects that are not a
/// registry's. Touches nothing yet. Calls have no deadline and no retries: a caller sets its own.
///
/// # Errors
/// As [`crate::Registry::open`].
pub fn open_store(url: &str, s3: &S3Options) -> Result<(Arc<dyn ObjectStore>, Path), Error> {
    let (backend, root) = open(url, s3)?;
    Ok((backend.objects(), root))
}

/// Whether `url` is well-formed.
pub(crate) fn check(url: &str) -> Result<(), Error> {
    location(url).map(drop)
}

fn location(url: &str) -> Result<Location<'_>, Error> {
    let refused = |limit: String| Error::invalid("registry URL", without_userinfo(url), limit);
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(refused(format!("supported are {SUPPORTED}")));
    };
    match scheme {
        "file" => match layout::root_of_url(rest).filter(|root| !root.is_root()) {
            Some(root) => Ok(Location::Disk(root)),
            None => Err(refused(
                "an absolute path without dot segments: file:///a/folder".into(),
            )),
        },
        "memory" => match layout::root_of_url(rest) {
            Some(root) => Ok(Location::Memory(root)),
            None => Err(refused("memory:///, a path may follow".into())),
        },
        "s3" => {
            let (bucket, path) = bucket_of_url(rest)?;
            let path = if path.is_empty() { "/" } else { path };
            match layout::root_of_url(path) {
                Some(root) => Ok(Location::Bucket(bucket, root)),
                None => Err(refused(
                    "a prefix without dot segments: s3://bucket/prefix".into(),
                )),
            }
        }
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
            let error = check(url).unwrap_err();
            assert!(error.to_string().contains(SUPPORTED), "{error}");
        }
    }

    #[test]
    fn buckets_have_names_and_prefixes_no_dot_segments() {
        for url in [
            "s3://",
            "s3:///prefix",
            "s3://ab",
            "s3://Bucket/prefix",
            "s3://bucket..name",
            "s3://-bucket",
            "s3://bucket?x=1",
            "s3://bucket/a/../b",
            "s3://bucket/a//b",
        ] {
            assert!(check(url).is_err(), "{url}");
        }
        for (url, root) in [
            ("s3://bucket", ""),
            ("s3://my.bucket-1/", ""),
            ("s3://bucket/a/b/", "a/b"),
        ] {
            let Location::Bucket(_, found) = location(url).unwrap() else {
                panic!("{url}")
            };
            assert_eq!(found.as_ref(), root, "{url}");
        }
        let said = check("s3://key:secret@bucket/x").unwrap_err().to_string();
        assert!(!said.contains("secret"), "{said}");
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
            assert!(check(url).is_err(), "{url}");
        }
        let (_, root) = open("file:///var/my%20shop/", &S3Options::default()).unwrap();
        assert_eq!(root.as_ref(), "var/my shop");
    }
}
