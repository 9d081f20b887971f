//! The plain HTTP plane for probes and scrapers: `/livez`, `/readyz`, `/metrics`.

use crate::metrics::Metrics;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at once: a kubelet, a scraper, and people looking.
const CONNECTIONS_MAX: usize = 64;
/// From the first to the last byte of a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// For gRPC clients: they print the beginning of what is no HTTP/2 frame.
const WRONG_LISTENER: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
    connection: close\r\n\r\nthis is the HTTP listener (/livez, /readyz, /metrics); gRPC calls go to \
    data_addr and admin_addr\n";
/// A whole connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// Whether the server is ready; if not, what it waits for, a line each.
pub type ReadyCheck = Arc<dyn Fn() -> Result<(), Vec<String>> + Send + Sync>;

/// What the pages show.
#[derive(Clone)]
pub struct Pages {
    /// `/metrics`.
    pub metrics: Arc<Metrics>,
    /// `/readyz`.
    pub ready: ReadyCheck,
}

/// Serves until `stop`.
pub async fn serve(listener: TcpListener, pages: Pages, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let tracker = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // No room: the connection is closed.
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            continue;
        };
        let (pages, stop) = (pages.clone(), stop.clone());
        tracker.spawn(async move {
            let connection = connection(stream, pages);
            let limited = tokio::time::timeout(CONNECTION_TIMEOUT, connection);
            stop.run_until_cancelled(limited).await;
            drop(permit);
        });
    }
    tracker.close();
    tracker.wait().await;
}

async fn connection(mut stream: TcpStream, pages: Pages) {
    let begun = tokio::time::timeout(HEAD_TIMEOUT, is_http2(&stream)).await;
    match begun {
        Ok(false) => {}
        Ok(true) => {
            // A peer that has gone already needs no answer.
            let _ = stream.write_all(WRONG_LISTENER).await;
            return;
        }
        Err(_) => return,
    }
    let service = service_fn(move |request| {
        let response = pages.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut builder = http1::Builder::new();
    // One request a connection: none is cut in the middle of a scrape for its age.
    builder
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    // The peer's errors are the peer's.
    let _ = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Whether the peer begins with HTTP/2's preface, as gRPC clients do.
async fn is_http2(stream: &TcpStream) -> bool {
    let mut head = [0; 4];
    matches!(stream.peek(&mut head).await, Ok(4) if head == *b"PRI ")
}

impl Pages {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return page(
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET and HEAD\n".to_owned(),
            );
        }
        match request.uri().path() {
            "/livez" => page(StatusCode::OK, "alive\n".to_owned()),
            "/readyz" => match (self.ready)() {
                Ok(()) => page(StatusCode::OK, "ready\n".to_owned()),
                Err(waiting) => {
                    let lines = waiting.iter().map(|line| format!("{line}\n"));
                    let text = format!("not ready\n{}", lines.collect::<String>());
                    page(StatusCode::SERVICE_UNAVAILABLE, text)
                }
            },
            "/metrics" => match self.metrics.render() {
                Ok(text) => page(StatusCode::OK, text),
                Err(error) => page(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            },
            _ => page(
                StatusCode::NOT_FOUND,
                "try /livez, /readyz or /metrics\n".to_owned(),
            ),
        }
    }
}

fn page(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    async fn get(at: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // A connection that was reset has said as little as one that was closed.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn a_page_that_panics_ends_its_connection_and_frees_its_place() {
        let metrics = Arc::new(Metrics::new().unwrap());
        metrics
            .show_cache_bytes(|| panic!("a gauge's mistake"))
            .unwrap();
        let listener = super::super::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let (at, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let pages = Pages {
            metrics,
            ready: Arc::new(|| Ok(())),
        };
        let served = tokio::spawn(serve(listener, pages, stop.clone()));
        for _ in 0..2 * CONNECTIONS_MAX {
            assert_eq!(get(at, "/metrics").await, "");
        }
        assert!(get(at, "/livez").await.contains("alive"));
        stop.cancel();
        served.await.unwrap();
    }
}
