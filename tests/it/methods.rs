//! Every method of the proto files is served, counted and listed, on the listener of its service.

use std::collections::BTreeSet;

use hotshelf::grpc::proto::DESCRIPTORS;
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::transport::Endpoint;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::harness::{RawConnection, Server, Shop};

/// Services with their methods, by the descriptor.
fn services() -> Vec<(String, Vec<String>)> {
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let mut services = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            let methods = service.method.iter();
            services.push((name, methods.map(|one| one.name().to_owned()).collect()));
        }
    }
    assert_eq!(
        services.len(),
        3,
        "two of the data listener, one of the other"
    );
    services
}

async fn listed(to: std::net::SocketAddr) -> BTreeSet<String> {
    let endpoint = Endpoint::from_shared(format!("http://{to}")).unwrap();
    let mut client = ServerReflectionClient::new(endpoint.connect().await.unwrap());
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let requests = futures::stream::iter([request]);
    let mut answers = client
        .server_reflection_info(requests)
        .await
        .unwrap()
        .into_inner();
    let answer: ServerReflectionResponse = answers.message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(listed)) = answer.message_response else {
        panic!("{answer:?}");
    };
    listed.service.into_iter().map(|one| one.name).collect()
}

#[tokio::test]
async fn every_method_of_the_descriptor_is_routed_counted_by_its_name_and_listed() {
    let server = Server::start(&Shop::new(), &[]).await;
    for (service, methods) in services() {
        let (listener, to) = if !service.ends_with("ModelService") {
            ("data", server.data)
        } else {
            ("admin", server.admin)
        };
        assert!(listed(to).await.contains(&service), "{service}");
        let mut connection = RawConnection::open(to).await;
        for method in methods {
            let path = format!("/{service}/{method}");
            // Nothing is live, and no field is set: every method has something to say to that.
            let call = connection.begin(&path, None).await;
            let answer = call.finish::<()>(&()).await;
            let status = answer.map_or_else(
                |headers| headers["grpc-status"].clone(),
                |()| http::HeaderValue::from_static("0"),
            );
            assert_ne!(status, "12", "{path} is UNIMPLEMENTED");
            let labels = [("listener", listener), ("method", path.as_str())];
            let scrape = server.scrape().await;
            assert_eq!(
                scrape.sum("hotshelf_grpc_calls_total", &labels),
                1.0,
                "{path}"
            );
        }
        let other = [("listener", listener), ("method", "other")];
        let scrape = server.scrape().await;
        assert_eq!(scrape.sum("hotshelf_grpc_calls_total", &other), 0.0);
    }
    server.stop().await;
}
