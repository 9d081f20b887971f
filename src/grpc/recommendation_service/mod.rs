//! `RecommendationService`: the edge of the data path.
//!
//! ```text
//! message ─▶ decode (wire to fields) ─▶ serving::DataPath ─▶ encode (answer to bytes) ─▶ metadata
//! ```
//!
//! The service sends bytes: a cached response goes out as it was encoded when it was computed, which
//! the generated server cannot do, as it takes messages.

mod codec;
mod decode;
mod encode;

pub(super) use encode::{wire_basis, wire_strategy};

use super::proto::recommendation_service_server::SERVICE_NAME;
use super::proto::{RecommendRequest, SimilarProductsRequest};
use crate::error::{BadField, CallError};
use crate::serving::{DataPath, RecommendFields, Response, SimilarFields};
use bytes::Bytes;
use codec::EncodedCodec;
use encode::Protobuf;
use http::Request;
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService};
use tower::{Service, service_fn};

/// In a request's metadata: the version to be answered by. In an answer's: the version that answered.
pub(super) const VERSION: &str = "x-hotshelf-version";
/// How much of an invalid pin the refusal quotes (chosen: more than any number has).
const PIN_QUOTED_CHARS: usize = 32;

/// The service of the data listener.
#[derive(Clone)]
pub(super) struct RecommendationServer {
    path: Arc<DataPath>,
    message_bytes_max: usize,
}

impl RecommendationServer {
    /// Refuses request messages of more than `message_bytes_max`.
    pub(super) fn new(path: Arc<DataPath>, message_bytes_max: usize) -> Self {
        Self {
            path,
            message_bytes_max,
        }
    }

    async fn recommend(self, request: Request<Incoming>) -> http::Response<Body> {
        let path = &*self.path;
        let method = service_fn(
            move |request: tonic::Request<RecommendRequest>| async move {
                let pinned_version = pinned_version(request.metadata())?;
                let fields = RecommendFields {
                    pinned_version,
                    ..request.into_inner().into()
                };
                described(path.recommend::<Protobuf>(fields).await)
            },
        );
        self.grpc().unary(method, request).await
    }

    async fn similar_products(self, request: Request<Incoming>) -> http::Response<Body> {
        let path = &*self.path;
        let method = service_fn(
            move |request: tonic::Request<SimilarProductsRequest>| async move {
                let pinned_version = pinned_version(request.metadata())?;
                let fields = SimilarFields {
                    pinned_version,
                    ..request.into_inner().into()
                };
                described(path.similar_products::<Protobuf>(fields).await)
            },
        );
        self.grpc().unary(method, request).await
    }

    fn grpc<T>(&self) -> Grpc<EncodedCodec<T>>
    where
        EncodedCodec<T>: tonic::codec::Codec<Encode = Bytes, Decode = T>,
    {
        Grpc::new(EncodedCodec::default()).max_decoding_message_size(self.message_bytes_max)
    }
}

impl NamedService for RecommendationServer {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<Request<Incoming>> for RecommendationServer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let server = self.clone();
        match request.uri().path() {
            "/hotshelf.v1.RecommendationService/Recommend" => {
                Box::pin(async move { Ok(server.recommend(request).await) })
            }
            "/hotshelf.v1.RecommendationService/SimilarProducts" => {
                Box::pin(async move { Ok(server.similar_products(request).await) })
            }
            _ => {
                let unknown = Status::from(CallError::NotServed("this call"));
                Box::pin(ready(Ok(unknown.into_http())))
            }
        }
    }
}

/// The version that the caller pins, if it does.
fn pinned_version(metadata: &MetadataMap) -> Result<Option<u64>, CallError> {
    let mut values = metadata.get_all(VERSION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    let is_only = values.next().is_none();
    if is_only && number.is_some_and(|number| number > 0) {
        return Ok(number);
    }
    let why = if is_only {
        let quoted = String::from_utf8_lossy(value.as_bytes());
        let quoted: String = quoted.chars().take(PIN_QUOTED_CHARS).collect();
        format!("{quoted:?} is not a version; versions are whole numbers from 1")
    } else {
        "it is given more than once".to_owned()
    };
    Err(CallError::BadFields(vec![BadField {
        field: format!("metadata {VERSION}"),
        why,
    }]))
}

/// The answer with its arm in its metadata, for callers that do not look into messages.
fn described(answer: Result<Response, CallError>) -> Result<tonic::Response<Bytes>, Status> {
    let Response { message, arm } = answer?;
    let mut response = tonic::Response::new(message);
    let metadata = response.metadata_mut();
    metadata.insert(VERSION, arm.version().into());
    metadata.insert("x-hotshelf-rollout", arm.rollout().into());
    let arm = arm.name().parse();
    metadata.insert(
        "x-hotshelf-arm",
        arm.expect("names of arms are a-z, 0-9, '-' and '_'"),
    );
    Ok(response)
}
