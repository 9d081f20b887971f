//! What a store's failure means: whether a retry can help, and which [`Error`] it becomes.

use super::disk::NotAFile;
use crate::Error;
use object_store::Error as StoreError;
use std::error::Error as _;
use std::io;

/// How the last try of a call ended.
#[derive(Debug)]
pub(super) enum Failure {
    Store(StoreError),
    TimedOut(tokio::time::error::Elapsed),
}

impl Failure {
    /// The bucket exists, and has no such object.
    pub(super) fn is_not_found(&self) -> bool {
        match self {
            Self::Store(StoreError::NotFound { source, .. }) => !is_of_the_bucket(source.as_ref()),
            _ => false,
        }
    }

    /// There is no bucket.
    pub(super) fn is_missing_bucket(&self) -> bool {
        match self {
            Self::Store(StoreError::NotFound { source, .. }) => is_of_the_bucket(source.as_ref()),
            _ => false,
        }
    }

    /// An object exists already; servers have two codes for it.
    pub(super) fn is_conflict(&self) -> bool {
        match self {
            Self::Store(error) => is_conflict(error),
            Self::TimedOut(_) => false,
        }
    }

    /// Something else than a file has the object's path.
    fn not_a_file(&self) -> Option<&NotAFile> {
        match self {
            Self::Store(error) => not_a_file(error),
            Self::TimedOut(_) => None,
        }
    }

    pub(super) fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut(_))
    }

    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Store(error) => is_final(error),
            Self::TimedOut(_) => false,
        }
    }
}

fn is_conflict(error: &StoreError) -> bool {
    match error {
        StoreError::Precondition { .. } => true,
        StoreError::AlreadyExists { source, .. } => !is_undecided(source.as_ref()),
        _ => false,
    }
}

/// S3 answers 409 where another conditional write of the object is under way: neither has won yet,
/// and the other may still fail. The client takes that for an object that exists, and hides its
/// type for failed requests, so that only the text distinguishes it.
fn is_undecided(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<StoreError>().is_none() && cause.to_string().contains(": 409 Conflict")
}

/// A bucket that does not exist says nothing about its objects. The client takes its 404 for that of an
/// object, so that here, too, only the text distinguishes it.
fn is_of_the_bucket(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.to_string().contains("<Code>NoSuchBucket</Code>")
}

/// The same call would get the same response.
pub(super) fn is_final(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::NotFound { .. }
            | StoreError::NotModified { .. }
            | StoreError::InvalidPath { .. }
    ) || is_conflict(error)
        || is_refusal(error)
        || not_a_file(error).is_some()
}

/// The store does not allow it, or does not support it.
fn is_refusal(error: &StoreError) -> bool {
    match error {
        StoreError::NotSupported { .. }
        | StoreError::NotImplemented { .. }
        | StoreError::PermissionDenied { .. }
        | StoreError::Unauthenticated { .. } => true,
        _ => is_refused_by_the_system(error),
    }
}

/// Local disk reports refusals as a general failure; the system's own code is among its causes.
fn is_refused_by_the_system(error: &StoreError) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::ReadOnlyFilesystem
                    | io::ErrorKind::NotADirectory
            );
        }
        cause = error.source();
    }
    false
}

fn not_a_file(error: &StoreError) -> Option<&NotAFile> {
    match error {
        StoreError::Generic { source, .. } => source.downcast_ref(),
        _ => None,
    }
}

/// Of a read of one object, which may itself be at fault.
pub(super) fn object_error((doing, what): (&str, &str), failure: Failure) -> Error {
    match failure.not_a_file() {
        Some(found) => Error::corrupt(what, found.to_string()),
        None => read_error(format!("{doing} {what}"), failure),
    }
}

/// Of a read. Refused credentials can be renewed, so that asking again later can help.
pub(super) fn read_error(what: String, failure: Failure) -> Error {
    match failure {
        Failure::Store(error) => Error::Unavailable {
            what,
            source: Box::new(error),
        },
        Failure::TimedOut(elapsed) => Error::Unavailable {
            what,
            source: Box::new(elapsed),
        },
    }
}

/// Of a write.
pub(super) fn write_error(what: String, failure: Failure) -> Error {
    match failure {
        Failure::Store(error) if is_refusal(&error) => Error::ReadOnly {
            what,
            source: Box::new(error),
        },
        other => read_error(what, other),
    }
}
