//! The closed table from errors of a call to gRPC status.
//!
//! Every error that this server returns is a [`CallError`]. Its status carries exactly one ErrorInfo
//! with a stable reason, and a BadRequest where fields are invalid.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// ErrorInfo's domain.
const DOMAIN: &str = "hotshelf.dev";

/// One bad field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadField {
    /// Its path in the proto file, such as `filter.exclude_product_ids[3]`.
    pub field: String,
    /// The value, and the limit that it exceeds.
    pub why: String,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq)]
pub enum CallError {
    /// All invalid fields of the request.
    BadFields(Vec<BadField>),
    /// The request's message cannot be decoded.
    BadMessage(String),
    /// An RPC or service that this release does not serve.
    NotServed(&'static str),
    /// The server is not configured to serve this model.
    UnknownModel(String),
    /// The registry has no such version.
    UnknownVersion(String),
    /// The version that answers does not know the product.
    UnknownProduct {
        /// As asked.
        product_id: String,
        /// The version that does not know it.
        version: u64,
    },
    /// No version of the model is live yet.
    NotLive(String),
    /// Pinning a version is disabled on this server.
    PinRefused,
    /// The caller pinned a version that is not live here.
    VersionNotLive {
        /// As pinned.
        version: u64,
        /// The live versions.
        live: Vec<u64>,
    },
    /// The request needs content, and this version has no content parts.
    NeedsContent(u64),
    /// The request needs what people take next, and this version has no transitions.
    NeedsTransitions(u64),
    /// The version was refused; the previous one keeps serving.
    VersionRefused {
        /// Stable label.
        kind: &'static str,
        /// Names the part, row and value.
        message: String,
    },
    /// The newest rollout is not the one that the caller expected.
    RolloutNotExpected(String),
    /// The change does not apply to the newest rollout.
    RolloutImpossible(String),
    /// Another writer's rollout came first.
    RolloutLost(String),
    /// The store refuses writes.
    StoreReadOnly(String),
    /// The store is unreachable.
    StoreUnavailable(String),
    /// This server takes no events.
    EventsOff,
    /// Events cannot be made durable now; none of the batch was recorded.
    EventsRefused(String),
    /// The event log has ended.
    EventLogClosed,
    /// The server sheds load.
    Overloaded {
        /// When to retry.
        pushback_ms: u32,
    },
    /// The caller's deadline passed.
    DeadlineExceeded,
    /// The server is shutting down.
    ShuttingDown,
    /// A bug of this server.
    Internal(&'static str),
}

/// The names of all canonical error codes, as metrics label them.
pub const CODE_NAMES: [&str; 16] = [
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The canonical name of a code on the wire; `UNKNOWN` beyond 16, as gRPC asks.
pub fn code_name(code: usize) -> &'static str {
    match code {
        0 => "OK",
        code => CODE_NAMES.get(code - 1).copied().unwrap_or("UNKNOWN"),
    }
}

impl CallError {
    /// The canonical code.
    pub fn code(&self) -> Code {
        match self {
            Self::BadFields(_) | Self::BadMessage(_) => Code::InvalidArgument,
            Self::NotServed(_) => Code::Unimplemented,
            Self::UnknownModel(_) | Self::UnknownVersion(_) | Self::UnknownProduct { .. } => {
                Code::NotFound
            }
            Self::NeedsContent(_)
            | Self::NeedsTransitions(_)
            | Self::PinRefused
            | Self::VersionNotLive { .. }
            | Self::VersionRefused { .. }
            | Self::RolloutNotExpected(_)
            | Self::RolloutImpossible(_)
            | Self::StoreReadOnly(_)
            | Self::EventsOff => Code::FailedPrecondition,
            Self::EventsRefused(_) => Code::ResourceExhausted,
            Self::RolloutLost(_) => Code::Aborted,
            Self::NotLive(_)
            | Self::StoreUnavailable(_)
            | Self::Overloaded { .. }
            | Self::EventLogClosed
            | Self::ShuttingDown => Code::Unavailable,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::Internal(_) => Code::Internal,
        }
    }

    /// The canonical code's name, as metrics label it.
    pub fn code_name(&self) -> &'static str {
        code_name(self.code() as usize)
    }

    /// ErrorInfo's reason: stable, for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadFields(_) => "BAD_FIELDS",
            Self::BadMessage(_) => "BAD_MESSAGE",
            Self::NotServed(_) => "NOT_SERVED_YET",
            Self::UnknownModel(_) => "UNKNOWN_MODEL",
            Self::UnknownVersion(_) => "UNKNOWN_VERSION",
            Self::UnknownProduct { .. } => "UNKNOWN_PRODUCT",
            Self::NotLive(_) => "MODEL_NOT_LIVE",
            Self::NeedsContent(_) => "NO_CONTENT_PARTS",
            Self::NeedsTransitions(_) => "NO_TRANSITIONS",
            Self::PinRefused => "VERSION_PIN_REFUSED",
            Self::VersionNotLive { .. } => "VERSION_NOT_LIVE",
            Self::VersionRefused { .. } => "VERSION_REFUSED",
            Self::RolloutNotExpected(_) => "ROLLOUT_NOT_EXPECTED",
            Self::RolloutImpossible(_) => "ROLLOUT_IMPOSSIBLE",
            Self::RolloutLost(_) => "ROLLOUT_LOST",
            Self::StoreReadOnly(_) => "STORE_READ_ONLY",
            Self::StoreUnavailable(_) => "STORE_UNAVAILABLE",
            Self::EventsOff => "EVENTS_OFF",
            Self::EventsRefused(_) => "EVENTS_REFUSED",
            Self::EventLogClosed => "EVENT_LOG_CLOSED",
            Self::Overloaded { .. } => "OVERLOADED",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::Internal(_) => "INTERNAL",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::BadFields(fields) => {
                let texts: Vec<String> = fields
                    .iter()
                    .map(|bad| format!("{}: {}", bad.field, bad.why))
                    .collect();
                texts.join("; ")
            }
            Self::BadMessage(why) => format!("the request message cannot be decoded: {why}"),
            Self::NotServed(what) => format!("{what} is not served by this release"),
            Self::UnknownModel(model) => format!("model {model:?} is not served here"),
            Self::NotLive(model) => format!("model {model:?} has no live version yet"),
            Self::NeedsContent(version) => {
                format!("the request needs content, and version {version} has no content parts")
            }
            Self::NeedsTransitions(version) => {
                format!("the request needs sequence, and version {version} has no transitions")
            }
            Self::PinRefused => {
                "metadata x-hotshelf-version: pinning a version is disabled on this server (setting version_pin)".to_owned()
            }
            Self::VersionNotLive { version, live } => format!(
                "metadata x-hotshelf-version: version {version} is not live here; live versions: {}",
                live.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
            ),
            Self::UnknownProduct {
                product_id,
                version,
            } => format!("version {version} does not know product {product_id:?}"),
            Self::VersionRefused { message, .. }
            | Self::UnknownVersion(message)
            | Self::RolloutNotExpected(message)
            | Self::RolloutImpossible(message)
            | Self::RolloutLost(message)
            | Self::StoreReadOnly(message)
            | Self::StoreUnavailable(message)
            | Self::EventsRefused(message) => message.clone(),
            Self::EventsOff => "this server takes no events; set events_url (--events-url, HOTSHELF_EVENTS_URL) to where they go".to_owned(),
            Self::EventLogClosed => {
                "the event log of this server has ended; send the events to another server".to_owned()
            }
            Self::Overloaded { pushback_ms } => {
                format!("the server is overloaded; retry in {pushback_ms} ms")
            }
            Self::DeadlineExceeded => "deadline exceeded".to_owned(),
            Self::ShuttingDown => "the server is shutting down".to_owned(),
            Self::Internal(what) => (*what).to_owned(),
        }
    }
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        let mut metadata = HashMap::new();
        if let CallError::VersionRefused { kind, .. } = &error {
            metadata.insert("kind".to_owned(), (*kind).to_owned());
        }
        let mut details = ErrorDetails::with_error_info(error.reason(), DOMAIN, metadata);
        if let CallError::BadFields(fields) = &error {
            for bad in fields {
                details.add_bad_request_violation(&bad.field, &bad.why);
            }
        }
        if let CallError::UnknownModel(model) = &error {
            details.set_resource_info("model", model, "", "not configured on this server");
        }
        if let CallError::UnknownProduct { product_id, .. } = &error {
            details.set_resource_info("product", product_id, "", error.message());
        }
        let mut status = Self::with_error_details(error.code(), error.message(), details);
        if let CallError::Overloaded { pushback_ms } = error {
            status
                .metadata_mut()
                .insert("grpc-retry-pushback-ms", pushback_ms.into());
        }
        status
    }
}

/// A status of tonic's own, with an ErrorInfo as ours have; its reason is the code's name.
pub(crate) fn explained(status: &Status) -> Status {
    let reason = code_name(status.code() as usize);
    let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    Status::with_error_details(status.code(), status.message(), details)
}

/// An error and all its causes in one line.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            // Writing to a String cannot fail.
            let _ = write!(text, ": {inner_text}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_error() -> Vec<(CallError, Code)> {
        let bad = BadField {
            field: "n".into(),
            why: "0 is below 1".into(),
        };
        vec![
            (CallError::BadFields(vec![bad]), Code::InvalidArgument),
            (CallError::BadMessage("m".into()), Code::InvalidArgument),
            (CallError::NotServed("this call"), Code::Unimplemented),
            (CallError::UnknownModel("x".into()), Code::NotFound),
            (
                CallError::UnknownVersion("version 9".into()),
                Code::NotFound,
            ),
            (unknown_product(), Code::NotFound),
            (CallError::NotLive("x".into()), Code::Unavailable),
            (CallError::NeedsContent(3), Code::FailedPrecondition),
            (CallError::NeedsTransitions(3), Code::FailedPrecondition),
            (CallError::PinRefused, Code::FailedPrecondition),
            (
                CallError::VersionNotLive {
                    version: 9,
                    live: vec![3],
                },
                Code::FailedPrecondition,
            ),
            (
                CallError::VersionRefused {
                    kind: "corrupt",
                    message: "m".into(),
                },
                Code::FailedPrecondition,
            ),
            (
                CallError::RolloutNotExpected("m".into()),
                Code::FailedPrecondition,
            ),
            (
                CallError::RolloutImpossible("m".into()),
                Code::FailedPrecondition,
            ),
            (CallError::RolloutLost("m".into()), Code::Aborted),
            (
                CallError::StoreReadOnly("m".into()),
                Code::FailedPrecondition,
            ),
            (CallError::StoreUnavailable("m".into()), Code::Unavailable),
            (CallError::EventsOff, Code::FailedPrecondition),
            (
                CallError::EventsRefused("m".into()),
                Code::ResourceExhausted,
            ),
            (CallError::EventLogClosed, Code::Unavailable),
            (CallError::Overloaded { pushback_ms: 50 }, Code::Unavailable),
            (CallError::DeadlineExceeded, Code::DeadlineExceeded),
            (CallError::ShuttingDown, Code::Unavailable),
            (CallError::Internal("m"), Code::Internal),
        ]
    }

    fn unknown_product() -> CallError {
        CallError::UnknownProduct {
            product_id: "p9".into(),
            version: 3,
        }
    }

    #[test]
    fn not_found_errors_carry_a_resource_info() {
        let unknown_model = CallError::UnknownModel("toy".into());
        for (error, expected) in [
            (unknown_product(), ("product", "p9")),
            (unknown_model, ("model", "toy")),
        ] {
            let details = Status::from(error).get_error_details();
            let resource = details.resource_info().expect("a ResourceInfo");
            let named = (&*resource.resource_type, &*resource.resource_name);
            assert_eq!(named, expected);
        }
    }

    #[test]
    fn every_error_has_its_code_and_exactly_one_error_info() {
        for (error, code) in every_error() {
            let reason = error.reason();
            let status = Status::from(error.clone());
            assert_eq!(status.code(), code, "{error:?}");
            let details = status.get_error_details_vec();
            let infos = details
                .iter()
                .filter(|d| matches!(d, tonic_types::ErrorDetail::ErrorInfo(_)));
            assert_eq!(infos.count(), 1, "{error:?}");
            let info = status.get_error_details();
            assert_eq!(info.error_info().map(|i| i.reason.as_str()), Some(reason));
        }
    }

    #[test]
    fn reasons_are_distinct() {
        let reasons: std::collections::BTreeSet<_> = every_error()
            .iter()
            .map(|(error, _)| error.reason())
            .collect();
        assert_eq!(reasons.len(), every_error().len());
    }

    #[test]
    fn every_bad_field_is_a_violation() {
        let bad = |field: &str| BadField {
            field: field.into(),
            why: "why".into(),
        };
        let status = Status::from(CallError::BadFields(vec![bad("n"), bad("alpha")]));
        let details = status.get_error_details();
        let fields = &details
            .bad_request()
            .expect("a BadRequest")
            .field_violations;
        assert_eq!(
            fields.iter().map(|f| f.field.as_str()).collect::<Vec<_>>(),
            ["n", "alpha"]
        );
    }

    #[test]
    fn code_names_match_the_numbers_of_grpc_codes() {
        for code in 0..17 {
            let name = format!("{:?}", Code::from(i32::try_from(code).expect("small")));
            let snake = code_name(code).replace('_', "").to_lowercase();
            assert_eq!(snake, name.to_lowercase());
        }
    }

    #[test]
    fn each_cause_is_listed_once() {
        let io = std::io::Error::other("disk on fire");
        let outer = outer(io);
        assert_eq!(with_causes(&outer), "cannot read: disk on fire");
    }

    fn outer(source: std::io::Error) -> impl Error {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read")]
        struct Outer(#[source] std::io::Error);
        Outer(source)
    }
}
