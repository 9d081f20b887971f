//! The client of both servers: a closed loop of so many calls on so many connections.

use hotshelf::grpc::client::{Client, RecommendAsk};
use hotshelf::grpc::proto::RecommendRequest;
use hotshelf::grpc::proto::recommendation_service_client::RecommendationServiceClient;
use prost::Message;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How a server is asked.
pub(crate) struct Shape {
    pub(crate) connections: usize,
    /// Calls under way on each connection.
    pub(crate) in_flight: usize,
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// One answer as bytes, for the baseline to repeat.
pub(crate) fn one_answer(address: SocketAddr, user: &str) -> anyhow::Result<Vec<u8>> {
    runtime()?.block_on(async {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}"))?;
        let mut client = RecommendationServiceClient::new(endpoint.connect().await?);
        let request = RecommendRequest {
            user_id: user.to_owned(),
            ..RecommendRequest::default()
        };
        Ok(client
            .recommend(request)
            .await?
            .into_inner()
            .encode_to_vec())
    })
}

/// Sends `requests` requests, one user after the other.
pub(crate) fn run(
    address: SocketAddr,
    shape: &Shape,
    users: &Arc<Vec<String>>,
    requests: usize,
) -> anyhow::Result<()> {
    let sent = Arc::new(AtomicUsize::new(0));
    runtime()?.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..shape.connections {
            let client = Client::connect(&address.to_string()).await?;
            for _ in 0..shape.in_flight {
                let (client, users, sent) = (client.clone(), Arc::clone(users), Arc::clone(&sent));
                tasks.spawn(async move {
                    loop {
                        let turn = sent.fetch_add(1, Ordering::Relaxed);
                        if turn >= requests {
                            return Ok(());
                        }
                        let user_id = users[turn % users.len()].clone();
                        client
                            .recommend(RecommendAsk {
                                user_id,
                                ..RecommendAsk::default()
                            })
                            .await?;
                    }
                });
            }
        }
        while let Some(task) = tasks.join_next().await {
            let outcome: Result<(), hotshelf::grpc::client::ClientError> = task?;
            outcome?;
        }
        Ok(())
    })
}
