//! What the server is compared with: tonic as its documentation shows it, and one constant answer.

use hotshelf::grpc::proto::recommendation_service_server::{
    RecommendationService, RecommendationServiceServer,
};
use hotshelf::grpc::proto::{
    RecommendRequest, RecommendResponse, SimilarProductsRequest, SimilarProductsResponse,
};
use prost::Message;
use std::io::Write;
use tonic::{Request, Response, Status};

struct Constant(RecommendResponse);

#[tonic::async_trait]
impl RecommendationService for Constant {
    async fn recommend(
        &self,
        _request: Request<RecommendRequest>,
    ) -> Result<Response<RecommendResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn similar_products(
        &self,
        _request: Request<SimilarProductsRequest>,
    ) -> Result<Response<SimilarProductsResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}

/// Serves the answer in the file `answer` and prints its address.
pub(crate) fn serve(answer: &str) -> anyhow::Result<()> {
    let answer = RecommendResponse::decode(std::fs::read(answer)?.as_slice())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let incoming = tonic::transport::server::TcpIncoming::bind(([127, 0, 0, 1], 0).into())?;
        let incoming = incoming.with_nodelay(Some(true));
        writeln!(std::io::stdout(), "{}", incoming.local_addr()?)?;
        let service = RecommendationServiceServer::new(Constant(answer));
        let server = tonic::transport::Server::builder().add_service(service);
        Ok(server.serve_with_incoming(incoming).await?)
    })
}
