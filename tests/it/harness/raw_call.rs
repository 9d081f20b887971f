//! gRPC by hand over HTTP/2, for what a client library hides: a call whose message is still to come, a GOAWAY, a
//! deadline that only the server enforces.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request};
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// One HTTP/2 connection.
pub(crate) struct RawConnection {
    requests: SendRequest<Bytes>,
    driver: JoinHandle<Result<(), h2::Error>>,
}

/// A call whose headers were sent and whose message was not.
pub(crate) struct OpenCall {
    response: ResponseFuture,
    body: SendStream<Bytes>,
}

impl RawConnection {
    /// Opens one, and asks for the server's health on it: it has been accepted when this returns.
    pub(crate) async fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        let driver = tokio::spawn(connection);
        let mut opened = Self { requests, driver };
        let call = opened.begin("/grpc.health.v1.Health/Check", None).await;
        let health = call.finish(&HealthCheckRequest::default()).await;
        let _health: HealthCheckResponse = health.unwrap();
        opened
    }

    /// Sends a call's headers.
    pub(crate) async fn begin(&mut self, path: &str, timeout: Option<&str>) -> OpenCall {
        let timeout = timeout.map(|timeout| ("grpc-timeout", timeout));
        self.begin_with(path, timeout.as_slice()).await
    }

    /// The same with these headers beside those that every call has.
    pub(crate) async fn begin_with(&mut self, path: &str, headers: &[(&str, &str)]) -> OpenCall {
        let request = Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        let mut requests = self.requests.clone().ready().await.unwrap();
        let (response, body) = requests
            .send_request(request.body(()).unwrap(), false)
            .unwrap();
        OpenCall { response, body }
    }

    /// Whether the server has sent GOAWAY.
    pub(crate) async fn is_going_away(&self) -> bool {
        self.requests.clone().ready().await.is_err()
    }

    /// Waits for the end of the connection.
    pub(crate) async fn ended(self) {
        drop(self.requests);
        // How it ended does not matter here.
        let _ = self.driver.await.unwrap();
    }
}

impl OpenCall {
    /// Sends the message, and returns the answer or else the status with its headers.
    pub(crate) async fn finish<A: Message + Default>(
        self,
        message: &impl Message,
    ) -> Result<A, HeaderMap> {
        let encoded = message.encode_to_vec();
        let mut frame = BytesMut::with_capacity(5 + encoded.len());
        frame.put_u8(0);
        frame.put_u32(u32::try_from(encoded.len()).unwrap());
        frame.put_slice(&encoded);
        self.finish_with(frame.freeze()).await
    }

    /// The same with a body of these bytes, whatever they are.
    pub(crate) async fn finish_with<A: Message + Default>(
        mut self,
        body: Bytes,
    ) -> Result<A, HeaderMap> {
        self.body.send_data(body, true).unwrap();
        self.answer().await
    }

    /// The answer to what was sent so far.
    pub(crate) async fn answer<A: Message + Default>(self) -> Result<A, HeaderMap> {
        let (head, mut body) = self.response.await.unwrap().into_parts();
        if head.headers.contains_key("grpc-status") {
            return Err(head.headers);
        }
        let mut data = BytesMut::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk.unwrap();
            body.flow_control().release_capacity(chunk.len()).unwrap();
            data.extend_from_slice(&chunk);
        }
        let trailers = body.trailers().await.unwrap().unwrap();
        if trailers["grpc-status"] != "0" {
            return Err(trailers);
        }
        Ok(A::decode(&data[5..]).unwrap())
    }
}
