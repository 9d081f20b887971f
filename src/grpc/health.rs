//! `grpc.health.v1`, per service.
//!
//! RecommendationService, EventService and the server as a whole (the empty name) are NOT_SERVING until every
//! model is live, and again from the first moment of shutdown. ModelService is always SERVING: it makes models live.

use super::proto::event_service_server::SERVICE_NAME as EVENTS;
use super::proto::model_service_server::SERVICE_NAME as MODELS;
use super::proto::recommendation_service_server::SERVICE_NAME as RECOMMENDATIONS;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, HealthService};

/// The health of this server; clones share it.
#[derive(Clone)]
pub struct Health {
    reporter: HealthReporter,
}

impl Health {
    /// Everything but ModelService is NOT_SERVING.
    pub async fn new() -> Self {
        let health = Self {
            reporter: HealthReporter::new(),
        };
        health
            .reporter
            .set_service_status(MODELS, ServingStatus::Serving)
            .await;
        health.set_ready(false).await;
        health
    }

    /// Whether every model is live.
    pub async fn set_ready(&self, is_ready: bool) {
        let status = if is_ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for name in ["", RECOMMENDATIONS, EVENTS] {
            self.reporter.set_service_status(name, status).await;
        }
    }

    /// Shuts down: NOT_SERVING, and the stream of every watcher ends, so that none delays the drain.
    pub async fn end(&self) {
        let mut reporter = self.reporter.clone();
        for name in ["", RECOMMENDATIONS, EVENTS, MODELS] {
            reporter.clear_service_status(name).await;
        }
    }

    pub(super) fn service(&self) -> HealthService {
        HealthService::from_health_reporter(self.reporter.clone())
    }
}
