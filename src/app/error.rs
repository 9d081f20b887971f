//! Why a server cannot start, or ends.

use crate::events::EventsError;
use crate::fleet::IdentityError;
use std::io;
use std::net::SocketAddr;

/// Why a server cannot start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// An address is taken or not ours.
    #[error("{setting}: cannot listen on {address}")]
    Bind {
        /// The setting that names the address.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The registry's address is not one.
    #[error("registry")]
    Registry(#[source] hotshelf_registry::Error),
    /// The cache folder cannot be used.
    #[error("cache_dir")]
    Cache(#[source] hotshelf_registry::Error),
    /// Events cannot be taken.
    #[error("events")]
    Events(#[source] EventsError),
    /// No model is configured.
    #[error("models: no model is configured")]
    NoModel,
    /// The system has no randomness to give.
    #[error("cannot read randomness from the system")]
    Randomness(#[source] getrandom::Error),
    /// The replica's name cannot be found.
    #[error("replica")]
    Identity(#[source] IdentityError),
    /// The system refuses threads.
    #[error("cannot start the serving threads")]
    Threads(#[source] io::Error),
    /// A serving thread panicked while the server ran; its connections are lost.
    #[error("a serving thread of the {0} listener ended; the log says why. Start the server again")]
    ThreadEnded(&'static str),
}
