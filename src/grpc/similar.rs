//! `SimilarProducts`: a query in the model's words, and its answer in the wire's.

use super::calls::{Address, SimilarCall, filter_of, wire_basis};
use super::explain;
use super::proto::{SimilarProduct, SimilarProductsRequest, SimilarProductsResponse};
use super::recommender::{Call, Place, refusal};
use crate::error::CallError;
use crate::metrics::{CallKind, Seen};
use crate::serving::cache::Encoded;
use hotshelf_model::{Basis, Model, Scratch, SimilarAnswer, SimilarQuery, Trace};
use std::time::SystemTime;

impl Call for SimilarCall {
    type Request = SimilarProductsRequest;
    const KIND: CallKind = CallKind::Similar;

    fn checked(request: SimilarProductsRequest) -> Result<Self, CallError> {
        Self::parse(request)
    }

    fn address(&self) -> &Address {
        &self.address
    }

    fn sticky_key(&self) -> &str {
        self.address.sticky_key(&self.user_id)
    }

    fn completed(&mut self, model: &Model) -> &SimilarProductsRequest {
        self.complete(model);
        &self.request
    }

    fn answer(self, place: &Place<'_>, scratch: &mut Scratch) -> Result<Encoded, CallError> {
        let request = &self.request;
        let (filter, exclude_product_ids) = filter_of(request.filter.as_ref());
        let query = SimilarQuery {
            product_id: &request.product_id,
            n: self.n,
            basis: self.basis,
            filter,
            exclude_product_ids,
        };
        let loaded = &place.arm.loaded;
        let answer = loaded.model.similar(&query, scratch);
        let answer = answer.map_err(|error| refusal(error, loaded, &request.product_id))?;
        let seen = Seen::Similar {
            basis: answer.basis,
            fallbacks: answer.fallbacks,
            is_empty: answer.items.is_empty(),
        };
        let cached = SimilarProductsResponse {
            cache_hit: true,
            ..SimilarProductsResponse::default()
        };
        Ok(Encoded::new(&respond(self, &answer, place), &cached, seen))
    }
}

fn respond(
    call: SimilarCall,
    answer: &SimilarAnswer,
    place: &Place<'_>,
) -> SimilarProductsResponse {
    let products = place.arm.loaded.model.products();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let items = answer.items.iter().zip(1..);
    let items = items.map(|(item, rank)| SimilarProduct {
        product_id: products.id(item.product).to_owned(),
        product_name: text(products.name(item.product)),
        similarity_score: f64::from(item.similarity),
        rank,
        category: text(products.category(item.product)),
        price: products.price(item.product),
    });
    let trace = match answer.basis {
        Basis::Content => Trace {
            content: answer.retrieval,
            ..Trace::default()
        },
        Basis::Collaborative => Trace {
            collaborative: answer.retrieval,
            ..Trace::default()
        },
    };
    SimilarProductsResponse {
        product_id: call.request.product_id,
        items: items.collect(),
        model: place.model.to_owned(),
        version: place.arm.loaded.version.get(),
        generated_at: Some(SystemTime::now().into()),
        basis: wire_basis(answer.basis).into(),
        rollout: place.live.record.number.get(),
        arm: place.arm.name.clone(),
        cache_hit: false,
        fallbacks: explain::fallbacks(answer.fallbacks),
        debug: call
            .address
            .is_debug
            .then(|| explain::debug_info(trace, None)),
    }
}
