//! What tests ask a running server.

use std::net::SocketAddr;

use hotshelf::grpc::proto::model_service_client::ModelServiceClient;
use hotshelf::grpc::proto::recommendation_service_client::RecommendationServiceClient;
use hotshelf::grpc::proto::{
    GetModelStatusRequest, GetModelStatusResponse, GetRolloutStatusRequest,
    GetRolloutStatusResponse, RecommendRequest, RecommendResponse, ReloadModelRequest,
    ReloadModelResponse, SimilarProductsRequest, SimilarProductsResponse,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::scrape::{Scrape, http_get};
use super::server::Server;
use super::wait::until;

impl Server {
    pub(crate) async fn recommender(&self) -> RecommendationServiceClient<Channel> {
        RecommendationServiceClient::new(channel(self.data).await)
    }

    pub(crate) async fn operator(&self) -> ModelServiceClient<Channel> {
        ModelServiceClient::new(channel(self.admin).await)
    }

    /// Ten products for this user.
    pub(crate) async fn recommend(&self, user_id: &str) -> Result<RecommendResponse, Status> {
        let user_id = user_id.to_owned();
        self.ask(RecommendRequest {
            user_id,
            ..RecommendRequest::default()
        })
        .await
    }

    pub(crate) async fn ask(&self, request: RecommendRequest) -> Result<RecommendResponse, Status> {
        Ok(self
            .recommender()
            .await
            .recommend(request)
            .await?
            .into_inner())
    }

    pub(crate) async fn similar(
        &self,
        request: SimilarProductsRequest,
    ) -> Result<SimilarProductsResponse, Status> {
        let mut client = self.recommender().await;
        Ok(client.similar_products(request).await?.into_inner())
    }

    /// Makes one version live.
    pub(crate) async fn reload(&self, version: u64) -> Result<ReloadModelResponse, Status> {
        let version = Some(version);
        let author = "tests".to_owned();
        self.reload_as(ReloadModelRequest {
            version,
            author,
            ..ReloadModelRequest::default()
        })
        .await
    }

    pub(crate) async fn reload_as(
        &self,
        request: ReloadModelRequest,
    ) -> Result<ReloadModelResponse, Status> {
        Ok(self
            .operator()
            .await
            .reload_model(request)
            .await?
            .into_inner())
    }

    pub(crate) async fn status(&self) -> GetModelStatusResponse {
        let request = GetModelStatusRequest::default();
        self.operator()
            .await
            .get_model_status(request)
            .await
            .unwrap()
            .into_inner()
    }

    /// The fleet as this server sees it.
    pub(crate) async fn fleet(&self) -> GetRolloutStatusResponse {
        let request = GetRolloutStatusRequest::default();
        let mut operator = self.operator().await;
        operator
            .get_rollout_status(request)
            .await
            .unwrap()
            .into_inner()
    }

    /// The version that is live at 100 %, if one is.
    pub(crate) async fn live_version(&self) -> Option<u64> {
        self.status().await.live.map(|live| live.arms[0].version)
    }

    pub(crate) async fn until_live(&self, version: u64) {
        until(&format!("version {version} live"), async || {
            (self.live_version().await == Some(version)).then_some(())
        })
        .await;
    }

    /// Whether this listener reports the service as SERVING.
    pub(crate) async fn is_serving(at: SocketAddr, service: &str) -> Result<bool, Status> {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = HealthClient::new(channel(at).await).check(request).await?;
        Ok(answer.into_inner().status == 1)
    }

    /// The stream of this server's overall health.
    pub(crate) async fn watch_health(&self) -> Streaming<HealthCheckResponse> {
        Self::watch_health_at(self.data).await
    }

    /// The same on this listener.
    pub(crate) async fn watch_health_at(at: SocketAddr) -> Streaming<HealthCheckResponse> {
        let mut client = HealthClient::new(channel(at).await);
        let watch = client.watch(HealthCheckRequest::default()).await;
        watch.unwrap().into_inner()
    }

    pub(crate) async fn until_ready(&self) {
        until("readiness", async || {
            (http_get(self.http, "/readyz").await.0 == 200).then_some(())
        })
        .await;
    }

    pub(crate) async fn scrape(&self) -> Scrape {
        let (code, text) = http_get(self.http, "/metrics").await;
        assert_eq!(code, 200, "{text}");
        Scrape::parse(&text)
    }
}

/// A connection to this listener.
pub(crate) async fn channel(to: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{to}"))
        .unwrap()
        .connect()
        .await
        .unwrap()
}
