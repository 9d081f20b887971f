//! The interface of an encoding. The edge implements [`Encoding`] and passes it to the data path. It is a trait so
//! that this folder need not know the edge.

use super::arm::ServingArm;
use super::recommend::RecommendCall;
use super::similar::SimilarCall;
use bytes::Bytes;
use hotshelf_model::{Answer, SimilarAnswer};
use std::time::SystemTime;

/// Writes answers as the bytes that a caller understands.
pub trait Encoding {
    /// Part of every cache key: encodings never share a cached response.
    const ID: u8;

    /// Encodes an answer to Recommend.
    fn recommendation(answer: &Recommendation<'_>) -> Encoded;

    /// Encodes an answer to SimilarProducts.
    fn similar_products(answer: &SimilarProducts<'_>) -> Encoded;
}

/// One answer in both forms that may be sent. The two may share memory.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// As it is sent when it was computed for this request.
    pub fresh: Bytes,
    /// As it is sent from the response cache; differs in saying so.
    pub cached: Bytes,
}

/// A computed answer to Recommend.
#[derive(Debug)]
pub struct Recommendation<'a> {
    /// The request, with the version's defaults filled in.
    pub call: &'a RecommendCall,
    /// What answered.
    pub arm: &'a ServingArm,
    /// The ranked products.
    pub answer: &'a Answer<'a>,
    /// When it was computed.
    pub computed_at: SystemTime,
}

/// A computed answer to SimilarProducts.
#[derive(Debug)]
pub struct SimilarProducts<'a> {
    /// The request, with the version's defaults filled in.
    pub call: &'a SimilarCall,
    /// What answered.
    pub arm: &'a ServingArm,
    /// The similar products.
    pub answer: &'a SimilarAnswer,
    /// When it was computed.
    pub computed_at: SystemTime,
}
