//! A client for the command line and the demo: plain types in and out, which are also what `--json`
//! prints.

mod fleet;
mod models;
mod phases;
mod recommend;
mod rollout_info;
mod rollouts;
mod similar;

pub use fleet::{CountsInfo, FleetInfo, QuorumAsk, QuorumInfo, ReplicaInfo};
pub use models::{EventsInfo, FailureInfo, ReloadAsk, Reloaded, StatusInfo, VersionInfo};
pub use phases::PhaseInfo;
pub use recommend::{
    Explanation, FilterAsk, RecommendAsk, Recommendation, RecommendationList, RetrievalInfo,
};
pub use rollout_info::{ArmInfo, RampInfo, RolloutInfo, StepInfo};
pub use rollouts::{ChangeAsk, RolloutAsk, RolloutDone};
pub use similar::{SimilarAsk, SimilarInfo, SimilarList};

use super::recommendation_service::VERSION;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not one.
    #[error("{address:?} is not an address such as http://127.0.0.1:50051")]
    Address {
        /// As given.
        address: String,
    },
    /// No server answers there.
    #[error("cannot reach {address}")]
    Unreachable {
        /// As given.
        address: String,
        /// The transport's error.
        source: tonic::transport::Error,
    },
    /// The server refused.
    #[error("{code} ({reason}): {message}")]
    Refused {
        /// Canonical code.
        code: &'static str,
        /// ErrorInfo's reason; the code again where the server sent none.
        reason: String,
        /// For people.
        message: String,
    },
}

impl From<tonic::Status> for ClientError {
    fn from(status: tonic::Status) -> Self {
        let code = crate::error::code_name(status.code() as usize);
        let info = status.get_details_error_info();
        Self::Refused {
            code,
            reason: info.map_or_else(|| code.to_owned(), |info| info.reason),
            message: status.message().to_owned(),
        }
    }
}

/// One connection to a server. Clones share it.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
}

impl Client {
    /// Connects to `address`, with or without its scheme.
    ///
    /// # Errors
    /// The address is malformed, or no server answers.
    pub async fn connect(address: &str) -> Result<Self, ClientError> {
        let with_scheme = if address.contains("://") {
            address.to_owned()
        } else {
            format!("http://{address}")
        };
        let endpoint = Endpoint::from_shared(with_scheme);
        let endpoint = endpoint.map_err(|_| ClientError::Address {
            address: address.to_owned(),
        })?;
        let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true);
        match endpoint.connect().await {
            Ok(channel) => Ok(Self { channel }),
            Err(source) => Err(ClientError::Unreachable {
                address: address.to_owned(),
                source,
            }),
        }
    }
}

/// The request, with the pinned version in its metadata.
fn pinned<T>(message: T, version: Option<u64>) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    if let Some(version) = version {
        request.metadata_mut().insert(VERSION, version.into());
    }
    request
}

/// RFC 3339; empty if the server sent none.
fn instant(at: Option<prost_types::Timestamp>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}

/// An enum's name without its prefix: `hybrid` for `STRATEGY_HYBRID`.
fn word(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase()
}
