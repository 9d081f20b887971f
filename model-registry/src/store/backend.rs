//! A store, and what only some stores support.

use super::disk::Disk;
use crate::Error;
use crate::s3::{self, S3Options};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::multipart::MultipartStore;
use std::sync::Arc;

/// Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Writes are synced.
    Disk(Disk),
    /// Large objects are uploaded in pieces.
    Bucket(Arc<Bucket>),
    Other,
}

/// A bucket, and the options of its client.
#[derive(Debug)]
pub(super) struct Bucket {
    name: String,
    options: S3Options,
    pub(super) client: Arc<object_store::aws::AmazonS3>,
}

impl Backend {
    pub(crate) fn disk(disk: LocalFileSystem) -> Self {
        Self {
            objects: Arc::new(disk.clone()),
            kind: Kind::Disk(Disk::new(disk)),
        }
    }

    pub(crate) fn bucket(name: &str, options: &S3Options) -> Result<Self, Error> {
        let client = Arc::new(s3::client(name, options)?);
        let bucket = Bucket {
            name: name.to_owned(),
            options: options.clone(),
            client: Arc::clone(&client),
        };
        Ok(Self {
            objects: client,
            kind: Kind::Bucket(Arc::new(bucket)),
        })
    }

    pub(crate) fn other(objects: Arc<dyn ObjectStore>) -> Self {
        Self {
            objects,
            kind: Kind::Other,
        }
    }

    /// The store itself, without deadlines and retries.
    pub(crate) fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.objects)
    }

    /// The same store over connections of its own, where it has any.
    pub(crate) fn reopened(&self) -> Result<Self, Error> {
        match &self.kind {
            Kind::Bucket(bucket) => Self::bucket(&bucket.name, &bucket.options),
            Kind::Disk(_) | Kind::Other => Ok(self.clone()),
        }
    }

    /// Multipart uploads, where the store has them.
    pub(super) fn pieces(&self) -> Option<&dyn MultipartStore> {
        match &self.kind {
            Kind::Bucket(bucket) => Some(bucket.client.as_ref()),
            Kind::Disk(_) | Kind::Other => None,
        }
    }
}
