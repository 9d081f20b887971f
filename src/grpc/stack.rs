//! Assembles services and layers, once per core.

use super::dispatch::{Dispatch, Route};
use super::event_service::{BATCH_BYTES_MAX, EventEdge};
use super::health::Health;
use super::layers::{
    AdmissionLayer, AdmissionService, CallLayer, CallMetrics, CallService, DeadlineLayer,
    DeadlineService, DetailsLayer, DetailsService, PanicLayer, PanicService, Rejection,
};
use super::model_service::Operations;
use super::proto::DESCRIPTORS;
use super::proto::event_service_server::{self, EventServiceServer};
use super::proto::model_service_server::{self, ModelServiceServer};
use super::recommendation_service::RecommendationServer;
use crate::admission::{Admission, ConcurrencyLimit, Flow};
use crate::events::Events;
use crate::metrics::Metrics;
use crate::net::{Purpose, Services};
use crate::serving::DataPath;
use http::{Request, Response};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic_health::pb::health_server::{self, HealthServer};
use tonic_reflection::pb::v1::server_reflection_server as reflection_v1;
use tonic_reflection::pb::v1alpha::server_reflection_server as reflection_v1alpha;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceBuilder};

/// Limits of calls: their size, time and number.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one request message.
    pub message_bytes_max: usize,
    /// Deadline of a call whose caller set none.
    pub call_timeout: Duration,
    /// Calls in flight on one listener; health and reflection do not count.
    pub calls_max: usize,
}

/// A listener's own services, beside health and reflection.
#[derive(Clone)]
pub enum Plane {
    /// RecommendationService and EventService.
    Data {
        /// Answers requests.
        path: Arc<DataPath>,
        /// Takes events, where this server does.
        events: Option<Arc<Events>>,
    },
    /// ModelService.
    Admin(Operations),
}

impl Plane {
    /// Label and name of the listener.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Data { .. } => "data",
            Self::Admin(_) => "admin",
        }
    }
}

/// What the services of one listener are built from; [`Stack::build`] is called once per core.
pub struct Stack {
    plane: Plane,
    health: Health,
    limits: Limits,
    metrics: Arc<Metrics>,
    calls: Arc<CallMetrics>,
    limit: Arc<ConcurrencyLimit>,
    rejection: Arc<Rejection>,
}

impl Stack {
    /// The parts of one listener.
    pub fn new(plane: Plane, health: Health, limits: Limits, metrics: Arc<Metrics>) -> Self {
        let calls = CallMetrics::new(&metrics, plane.name());
        let limit = ConcurrencyLimit::new(limits.calls_max);
        let rejection = Rejection::new(Arc::clone(&metrics));
        Self {
            plane,
            health,
            limits,
            metrics,
            calls,
            limit,
            rejection,
        }
    }

    /// Services and layers for one core.
    pub fn build(&self) -> impl Services + use<> {
        let bytes_max = self.limits.message_bytes_max;
        let mut routes = self.own_routes(bytes_max);
        let own: Vec<_> = routes.iter().map(|(name, _)| *name).collect();
        let health = HealthServer::new(self.health.service()).max_decoding_message_size(bytes_max);
        routes.push((health_server::SERVICE_NAME, route(health)));
        let decodes = "the descriptors are compiled in, and a test decodes them";
        let v1 = reflection(&own, reflection_v1::SERVICE_NAME).build_v1();
        routes.push(named(v1.expect(decodes)));
        let v1alpha = reflection(&own, reflection_v1alpha::SERVICE_NAME).build_v1alpha();
        routes.push(named(v1alpha.expect(decodes)));
        CoreServices {
            services: Dispatch::new(routes),
            deadlines: DeadlineLayer {
                default: self.limits.call_timeout,
            },
            panics: PanicLayer::new(Arc::clone(&self.metrics)),
            calls: Arc::clone(&self.calls),
            limit: Arc::clone(&self.limit),
            rejection: Arc::clone(&self.rejection),
        }
    }
}

impl Stack {
    /// The listener's own services, the busiest one first.
    fn own_routes(&self, bytes_max: usize) -> Vec<(&'static str, Route)> {
        match &self.plane {
            Plane::Data { path, events } => {
                let recommend = RecommendationServer::new(Arc::clone(path), bytes_max);
                let record = EventServiceServer::new(EventEdge(events.clone()))
                    .max_decoding_message_size(bytes_max.max(BATCH_BYTES_MAX));
                let record = (event_service_server::SERVICE_NAME, route(record));
                vec![named(recommend), record]
            }
            Plane::Admin(operations) => {
                let service = ModelServiceServer::new(operations.clone())
                    .max_decoding_message_size(bytes_max);
                vec![(model_service_server::SERVICE_NAME, route(service))]
            }
        }
    }
}

/// What one core serves its connections with.
struct CoreServices {
    services: Dispatch,
    deadlines: DeadlineLayer,
    panics: PanicLayer,
    calls: Arc<CallMetrics>,
    limit: Arc<ConcurrencyLimit>,
    rejection: Arc<Rejection>,
}

/// The layers of `super::layers`, from the outside in.
type Layered<S> = CallService<AdmissionService<DetailsService<PanicService<DeadlineService<S>>>>>;

impl Services for CoreServices {
    type Service = Layered<Dispatch>;

    fn connect(&self, flow: Flow, purpose: Purpose) -> Self::Service {
        let limit = match purpose {
            Purpose::Calls => Arc::clone(&self.limit),
            // Health and reflection are exempt.
            Purpose::Probe => ConcurrencyLimit::new(0),
        };
        let admission = Admission::new(limit, flow);
        ServiceBuilder::new()
            .layer(CallLayer::new(Arc::clone(&self.calls)))
            .layer(AdmissionLayer::new(admission, Arc::clone(&self.rejection)))
            .layer(DetailsLayer)
            .layer(self.panics.clone())
            .layer(self.deadlines)
            .service(self.services.clone())
    }
}

fn route<S>(service: S) -> Route
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(service)
}

fn named<S>(service: S) -> (&'static str, Route)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    (S::NAME, route(service))
}

/// Reflection that lists this listener's services and itself, and describes the details of errors.
fn reflection<'a>(own: &[&'a str], itself: &'a str) -> tonic_reflection::server::Builder<'a> {
    let builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .with_service_name(health_server::SERVICE_NAME);
    let services = own.iter().copied().chain([itself]);
    services.fold(builder, |builder, service| {
        builder.with_service_name(service)
    })
}

#[cfg(test)]
mod tests;
