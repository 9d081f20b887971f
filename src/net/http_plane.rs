//! The plain HTTP plane for probes and scrapers: `/livez`, `/readyz`, `/metrics`.

use super::probe_slots::{ProbeSlot, ProbeSlots};
use crate::metrics::Metrics;
use crate::supervisor::Supervised;
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
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Open connections (chosen: a kubelet, a scraper, and people looking).
const CONNECTIONS_MAX: usize = 64;
/// From the first to the last byte of a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// For gRPC clients, which print the first bytes of an invalid HTTP/2 frame.
const WRONG_LISTENER: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
    connection: close\r\n\r\nthis is the HTTP listener (/livez, /readyz, /metrics); gRPC calls go to \
    data_addr and admin_addr\n";
/// Read of a connection that was refused (chosen: what a client sends before it reads).
const REFUSED_BYTES_MAX: u64 = 64 << 10;
/// A whole connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// Whether the server is ready; if not, what it waits for, a line each.
pub type ReadyCheck = Arc<dyn Fn() -> Result<(), Vec<String>> + Send + Sync>;

/// Whether the process may go on. Either way a line for each task that fails.
pub type LiveCheck = Arc<dyn Fn() -> Result<Vec<String>, Vec<String>> + Send + Sync>;

/// What the pages show.
#[derive(Clone)]
pub struct Pages {
    /// `/livez`.
    pub live: LiveCheck,
    /// `/metrics`.
    pub metrics: Arc<Metrics>,
    /// `/readyz`.
    pub ready: ReadyCheck,
}

/// The listener and what it shows.
pub struct HttpPlane {
    /// Bound already.
    pub listener: TcpListener,
    /// Its pages.
    pub pages: Pages,
}

impl Supervised for HttpPlane {
    /// At `CONNECTIONS_MAX` a new connection closes an old one, so that peers that hold connections cannot
    /// keep a probe out.
    async fn run(&mut self, stop: &CancellationToken) {
        let mut open = ProbeSlots::new(CONNECTIONS_MAX);
        let tracker = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let slot = open.add(stop.child_token());
            let pages = self.pages.clone();
            tracker.spawn(async move {
                let connection = connection(stream, pages, &slot);
                let limited = tokio::time::timeout(CONNECTION_TIMEOUT, connection);
                slot.close.run_until_cancelled(limited).await;
            });
        }
        tracker.close();
        tracker.wait().await;
    }
}

async fn connection(stream: TcpStream, pages: Pages, slot: &ProbeSlot) {
    let begun = tokio::time::timeout(HEAD_TIMEOUT, is_http2(&stream)).await;
    match begun {
        Ok(false) => {}
        Ok(true) => {
            let _ = tokio::time::timeout(HEAD_TIMEOUT, refuse_http2(stream)).await;
            return;
        }
        Err(_) => return,
    }
    let service = service_fn(move |request| {
        slot.set_has_request();
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

/// Says which listener this is, and reads what is on its way, as a close would reset the connection and
/// take the text with it. A peer that has gone already needs no text.
async fn refuse_http2(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(WRONG_LISTENER).await?;
    stream.shutdown().await?;
    let mut rest = stream.take(REFUSED_BYTES_MAX);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
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
            "/livez" => match (self.live)() {
                Ok(failing) => page(StatusCode::OK, lines("alive", &failing)),
                Err(failing) => {
                    let text = lines("not alive", &failing);
                    page(StatusCode::SERVICE_UNAVAILABLE, text)
                }
            },
            "/readyz" => match (self.ready)() {
                Ok(()) => page(StatusCode::OK, "ready\n".to_owned()),
                Err(waiting) => {
                    let text = lines("not ready", &waiting);
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

fn lines(first: &str, more: &[String]) -> String {
    let more = more.iter().map(|line| format!("{line}\n"));
    format!("{first}\n{}", more.collect::<String>())
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
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::task::JoinHandle;

    async fn get(at: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // A connection that was reset has said as little as one that was closed.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    fn serve(
        metrics: Arc<Metrics>,
        live: LiveCheck,
    ) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
        let listener = super::super::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let (at, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let ready: ReadyCheck = Arc::new(|| Ok(()));
        let pages = Pages {
            live,
            metrics,
            ready,
        };
        let mut plane = HttpPlane { listener, pages };
        let stopped = stop.clone();
        let served = tokio::spawn(async move { plane.run(&stopped).await });
        (at, stop, served)
    }

    #[tokio::test]
    async fn livez_names_failing_tasks_and_fails_once_they_fail_for_too_long() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let is_too_long = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&is_too_long);
        let failing = || vec!["task watch failed once: it ended".to_owned()];
        let live: LiveCheck = Arc::new(move || match asked.load(Ordering::Relaxed) {
            false => Ok(failing()),
            true => Err(failing()),
        });
        let (at, stop, served) = serve(metrics, live);
        let answer = get(at, "/livez").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let body = "alive\ntask watch failed once: it ended\n";
        assert!(answer.ends_with(body), "{answer}");
        is_too_long.store(true, Ordering::Relaxed);
        let answer = get(at, "/livez").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.ends_with(&format!("not {body}")), "{answer}");
        stop.cancel();
        served.await.unwrap();
    }

    #[tokio::test]
    async fn silent_connections_cannot_keep_a_probe_out() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let (at, stop, served) = serve(metrics, Arc::new(|| Ok(Vec::new())));
        let mut silent = Vec::new();
        for beginning in ["", "G", "GET /livez HTTP/1.1\r\nhost: x\r\n", "PRI"] {
            for _ in 0..CONNECTIONS_MAX {
                let mut stream = TcpStream::connect(at).await.unwrap();
                stream.write_all(beginning.as_bytes()).await.unwrap();
                silent.push(stream);
            }
            for _ in 0..20 {
                assert!(get(at, "/livez").await.contains("alive"), "{beginning:?}");
            }
        }
        stop.cancel();
        served.await.unwrap();
    }

    #[tokio::test]
    async fn grpc_client_is_told_that_this_is_the_http_listener() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let (at, stop, served) = serve(metrics, Arc::new(|| Ok(Vec::new())));
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        assert!(answer.contains("this is the HTTP listener"), "{answer}");
        stop.cancel();
        served.await.unwrap();
    }

    #[tokio::test]
    async fn page_that_panics_ends_its_connection_and_frees_its_slot() {
        let metrics = Arc::new(Metrics::new().unwrap());
        metrics
            .show_cache_bytes(|| panic!("a gauge's mistake"))
            .unwrap();
        let (at, stop, served) = serve(metrics, Arc::new(|| Ok(Vec::new())));
        for _ in 0..2 * CONNECTIONS_MAX {
            assert_eq!(get(at, "/metrics").await, "");
        }
        assert!(get(at, "/livez").await.contains("alive"));
        stop.cancel();
        served.await.unwrap();
    }
}
