//! The client of both servers: a closed loop.

use hotshelf::grpc::client::{Client, RecommendAsk};
use hotshelf::grpc::proto::recommendation_service_client::RecommendationServiceClient;
use hotshelf::grpc::proto::{RecommendRequest, Strategy as WireStrategy};
use hotshelf_model::Strategy;
use prost::Message;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The shape of the load.
pub(crate) struct Shape {
    pub(crate) connections: usize,
    /// Calls in flight on each connection.
    pub(crate) in_flight: usize,
}

/// The users asked for, one after the other, and what of each.
pub(crate) struct Asked {
    pub(crate) users: Vec<String>,
    pub(crate) strategy: Strategy,
    /// Lets products come back that the user had: all sides of a blend are asked.
    pub(crate) include_seen: bool,
}

/// An answer, for the baseline to repeat.
pub(crate) struct Sample {
    pub(crate) message: Vec<u8>,
    /// The strategy that answered.
    pub(crate) strategy: String,
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// The first user's answer.
pub(crate) fn one_answer(address: SocketAddr, asked: &Asked) -> anyhow::Result<Sample> {
    runtime()?.block_on(async {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}"))?;
        let mut client = RecommendationServiceClient::new(endpoint.connect().await?);
        let request = RecommendRequest {
            user_id: asked.users[0].clone(),
            strategy: match asked.strategy {
                Strategy::Hybrid => WireStrategy::Hybrid,
                Strategy::Collaborative => WireStrategy::Collaborative,
                Strategy::Content => WireStrategy::Content,
                Strategy::Blended => WireStrategy::Blended,
            }
            .into(),
            include_seen: Some(asked.include_seen),
            ..RecommendRequest::default()
        };
        let answer = client.recommend(request).await?.into_inner();
        let strategy = answer.strategy().as_str_name().to_lowercase();
        Ok(Sample {
            message: answer.encode_to_vec(),
            strategy: strategy.trim_start_matches("strategy_").to_owned(),
        })
    })
}

/// Sends `requests` requests, one user after the other.
pub(crate) fn run(
    address: SocketAddr,
    shape: &Shape,
    asked: &Arc<Asked>,
    requests: usize,
) -> anyhow::Result<()> {
    let sent = Arc::new(AtomicUsize::new(0));
    runtime()?.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..shape.connections {
            let client = Client::connect(&address.to_string()).await?;
            for _ in 0..shape.in_flight {
                let (client, asked, sent) = (client.clone(), Arc::clone(asked), Arc::clone(&sent));
                tasks.spawn(async move {
                    loop {
                        let turn = sent.fetch_add(1, Ordering::Relaxed);
                        if turn >= requests {
                            return Ok(());
                        }
                        let user_id = asked.users[turn % asked.users.len()].clone();
                        client
                            .recommend(RecommendAsk {
                                user_id,
                                strategy: Some(asked.strategy),
                                include_seen: Some(asked.include_seen),
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
