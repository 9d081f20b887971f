//! The layers as a listener has them, around a service that panics, over a socket.

use super::*;
use crate::admission::QueueLimits;
use crate::net::{ConnectionLimits, Plane as NetPlane, PlaneConfig, listen};
use crate::supervisor::Supervisor;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_types::StatusExt;

/// Answers health checks of a service by its name, one of which is a mistake.
#[derive(Clone, Copy)]
struct Fragile;

#[tonic::async_trait]
impl health_server::Health for Fragile {
    async fn check(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, Status> {
        assert_ne!(request.get_ref().service, "panic", "the handler's mistake");
        if request.get_ref().service == "panic later" {
            tokio::task::yield_now().await;
            panic!("after it has waited");
        }
        Ok(tonic::Response::new(HealthCheckResponse { status: 1 }))
    }

    type WatchStream = futures::stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        _request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<Self::WatchStream>, Status> {
        Ok(tonic::Response::new(futures::stream::empty()))
    }
}

fn services(metrics: &Arc<Metrics>) -> CoreServices {
    let health = (
        health_server::SERVICE_NAME,
        route(HealthServer::new(Fragile)),
    );
    CoreServices {
        services: Dispatch::new(vec![health]),
        deadlines: DeadlineLayer {
            default: Duration::from_secs(60),
        },
        panics: PanicLayer::new(Arc::clone(metrics)),
        calls: CallMetrics::new(metrics, "data"),
        limit: ConcurrencyLimit::new(100),
        rejection: Rejection::new(Arc::clone(metrics)),
    }
}

fn config() -> PlaneConfig {
    PlaneConfig {
        name: "data",
        listener: listen("127.0.0.1:0".parse().unwrap()).unwrap(),
        cores: 1,
        connections_max: 10,
        accepts_per_s_max: 1_000,
        limits: ConnectionLimits::patient(),
        queue: QueueLimits {
            delay_max: Duration::from_secs(3600),
        },
        jitter: ChaCha8Rng::seed_from_u64(1),
    }
}

async fn ask(client: &mut HealthClient<Channel>, service: &str) -> Result<i32, Status> {
    let service = service.to_owned();
    let answer = client.check(HealthCheckRequest { service }).await?;
    Ok(answer.into_inner().status)
}

#[tokio::test]
async fn handler_that_panics_is_internal_and_counted_and_its_connection_serves_on() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let made = Arc::clone(&metrics);
    let supervisor = Supervisor::new(metrics.lifecycle.task_restarts.clone());
    let shared = (&metrics, &supervisor);
    let plane = NetPlane::start(config(), shared, move || services(&made)).unwrap();
    let endpoint = Endpoint::from_shared(format!("http://{}", plane.address)).unwrap();
    let mut client = HealthClient::new(endpoint.connect().await.unwrap());
    for (count, service) in [(1, "panic"), (2, "panic later"), (3, "panic")] {
        let failed = ask(&mut client, service).await.unwrap_err();
        assert_eq!(failed.code(), Code::Internal);
        assert_eq!(failed.get_details_error_info().unwrap().reason, "INTERNAL");
        assert!(!failed.message().contains("mistake"), "{failed:?}");
        assert_eq!(metrics.traffic.panics.get(), count);
        assert_eq!(ask(&mut client, "").await.unwrap(), 1);
    }
    let internal = ["data", "/grpc.health.v1.Health/Check", "INTERNAL"];
    assert_eq!(metrics.traffic.calls.with_label_values(&internal).get(), 3);
    let open = metrics.traffic.connections.with_label_values(&["data"]);
    assert_eq!(open.get(), 1, "the same connection all the time");
    drop(client);
    plane.stages.drain.cancel();
    plane.ended().await;
}
