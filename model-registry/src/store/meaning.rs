//! What a store's failure means: whether trying again can help, and which [`Error`] it becomes.

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
    /// There is a bucket, and this is not in it.
    pub(super) fn is_not_found(&self) -> bool {
        match self {
            Self::Store(StoreError::NotFound { source, .. }) => !is_of_the_bucket(source.as_ref()),
            _ => false,
        }
    }

    /// Something is there already; servers say it in two ways.
    pub(super) fn is_conflict(&self) -> bool {
        match self {
            Self::Store(error) => is_conflict(error),
            Self::TimedOut(_) => false,
        }
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
/// type for failed requests, so that only the text tells.
fn is_undecided(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<StoreError>().is_none() && cause.to_string().contains(": 409 Conflict")
}

/// A bucket that is not there says nothing of what is in it. The client takes its 404 for that of an
/// object, so that here, too, only the text tells.
fn is_of_the_bucket(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.to_string().contains("<Code>NoSuchBucket</Code>")
}

/// The same call would get the same answer.
pub(super) fn is_final(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::NotFound { .. }
            | StoreError::NotModified { .. }
            | StoreError::InvalidPath { .. }
    ) || is_conflict(error)
        || is_refusal(error)
}

/// The store does not allow it, or cannot do it at all.
fn is_refusal(error: &StoreError) -> bool {
    match error {
        StoreError::NotSupported { .. }
        | StoreError::NotImplemented { .. }
        | StoreError::PermissionDenied { .. }
        | StoreError::Unauthenticated { .. } => true,
        _ => is_refused_by_the_system(error),
    }
}

/// Local disk tells refusals as a general failure; the system's own code stands below it.
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
