//! `RecommendationService` as a service that sends bytes: a kept answer goes out as it was encoded
//! when it was computed, which the generated server, made for messages, cannot do.

use crate::error::{BadField, CallError};
use crate::grpc::calls::{RecommendCall, SimilarCall};
use crate::grpc::proto::recommendation_service_server::SERVICE_NAME;
use crate::grpc::recommender::{Call, Origin, Recommender};
use bytes::{BufMut, Bytes};
use http::{Request, Response};
use hyper::body::Incoming;
use prost::Message;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Status, codegen::BoxFuture};
use tonic_prost::ProstDecoder;
use tower::Service;

/// First size of both buffers of a call: most requests and answers of ten products fit, and larger
/// ones grow it. tonic's own 8 KiB are made for streams.
const BUFFER_BYTES: usize = 1024;
/// What a buffer holds before it is handed on; an answer is always one piece.
const YIELD_BYTES: usize = 32 * 1024;

/// In a request's metadata: who shall answer. In an answer's: who did.
pub(crate) const VERSION: &str = "x-hotshelf-version";
/// Of a pin that is none, in the refusal (chosen: more than any number has).
const PIN_SHOWN_CHARS: usize = 32;

/// The service of the data listener.
#[derive(Clone)]
pub(crate) struct RecommendationServer {
    recommender: Arc<Recommender>,
    message_bytes_max: usize,
}

impl RecommendationServer {
    /// Refuses request messages of more than `message_bytes_max`.
    pub(crate) fn new(recommender: Recommender, message_bytes_max: usize) -> Self {
        Self {
            recommender: Arc::new(recommender),
            message_bytes_max,
        }
    }

    fn unary<C: Call + 'static>(
        &self,
        request: Request<Incoming>,
    ) -> BoxFuture<Response<Body>, Infallible> {
        let method = Method::<C>(Arc::clone(&self.recommender), PhantomData);
        let codec = EncodedCodec::<C::Request>(PhantomData);
        let mut grpc = Grpc::new(codec).max_decoding_message_size(self.message_bytes_max);
        Box::pin(async move { Ok(grpc.unary(method, request).await) })
    }
}

impl NamedService for RecommendationServer {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<Request<Incoming>> for RecommendationServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        match request.uri().path() {
            "/hotshelf.v1.RecommendationService/Recommend" => self.unary::<RecommendCall>(request),
            "/hotshelf.v1.RecommendationService/SimilarProducts" => {
                self.unary::<SimilarCall>(request)
            }
            _ => {
                let unknown = Status::from(CallError::NotServed("this call"));
                Box::pin(ready(Ok(unknown.into_http())))
            }
        }
    }
}

/// One method of the service.
struct Method<C>(Arc<Recommender>, PhantomData<fn() -> C>);

impl<C: Call> UnaryService<C::Request> for Method<C> {
    type Response = Bytes;
    type Future = Ready<Result<tonic::Response<Bytes>, Status>>;

    fn call(&mut self, request: tonic::Request<C::Request>) -> Self::Future {
        // Called while the response's future is polled, so that a panic is caught there.
        let answer = pinned(request.metadata())
            .and_then(|pinned| self.0.answer::<C>(request.into_inner(), pinned));
        ready(answer.map(described).map_err(Status::from))
    }
}

/// The version that the caller wants to be answered by, whatever its arm.
fn pinned(metadata: &MetadataMap) -> Result<Option<u64>, CallError> {
    let Some(value) = metadata.get(VERSION) else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    if number.is_some_and(|number| number > 0) {
        return Ok(number);
    }
    let said = String::from_utf8_lossy(value.as_bytes());
    let said: String = said.chars().take(PIN_SHOWN_CHARS).collect();
    Err(CallError::BadFields(vec![BadField {
        field: format!("metadata {VERSION}"),
        why: format!("{said:?} is not a version, a whole number from 1"),
    }]))
}

/// An answer with its origin in its metadata, for callers that do not look into messages.
fn described((message, origin): (Bytes, Origin)) -> tonic::Response<Bytes> {
    let mut answer = tonic::Response::new(message);
    let metadata = answer.metadata_mut();
    metadata.insert(VERSION, origin.version.into());
    metadata.insert("x-hotshelf-rollout", origin.rollout.into());
    metadata.insert("x-hotshelf-arm", origin.arm);
    answer
}

/// Messages in, bytes out.
struct EncodedCodec<T>(PhantomData<fn() -> T>);

impl<T: Message + Default + Send + 'static> Codec for EncodedCodec<T> {
    type Encode = Bytes;
    type Decode = T;
    type Encoder = Copying;
    type Decoder = ProstDecoder<T>;

    fn encoder(&mut self) -> Copying {
        Copying
    }

    fn decoder(&mut self) -> ProstDecoder<T> {
        ProstDecoder::new(BufferSettings::new(BUFFER_BYTES, YIELD_BYTES))
    }
}

/// Copies a message that is encoded already.
struct Copying;

impl Encoder for Copying {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(message.len());
        buffer.put_slice(&message);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}
