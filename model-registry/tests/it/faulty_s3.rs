//! An S3 server inside this process, over HTTP on loopback, that can be told what to do wrong with
//! each request.

use crate::s3_map::{Careless, S3Map};
use crate::s3_server::{KEY, SECRET};
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::dto::StreamingBlob;
use s3s::service::{S3Service, S3ServiceBuilder};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What is asked of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Put,
    Create,
    Get,
    Head,
    Delete,
    List,
    UploadBegin,
    UploadPiece,
    UploadComplete,
    UploadAbort,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) op: Op,
    /// The last segment of its path.
    pub(crate) name: String,
    /// As its header says it, empty without one.
    pub(crate) range: String,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    None,
    /// This status, before anything is done.
    Status(u16),
    /// Done, and the connection ends without an answer.
    LoseAnswer,
    /// Never answered.
    Stall,
    /// Half of the body, and nothing more.
    StallHalfway,
    /// The body in slices, with pauses between them.
    Slow,
    /// Half of the body, and the connection ends.
    Truncate,
    /// One bit of the body is flipped.
    Flip,
    /// The listing has nothing in it.
    ListNothing,
    /// The condition of a create is not kept.
    Careless(Careless),
}

/// Of a slow body (chosen: many, and seen by no time limit).
const SLOW_SLICES: usize = 8;
const SLOW_PAUSE: Duration = Duration::from_millis(5);

/// The earlier calls, this one, and what to do with it.
type Plan = dyn Fn(&[Call], &Call) -> Fault + Send + Sync;

/// Listens until dropped.
pub(crate) struct FaultyS3 {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

struct Shared {
    map: S3Map,
    service: S3Service,
    calls: Mutex<Vec<Call>>,
    plan: Mutex<Arc<Plan>>,
}

impl FaultyS3 {
    pub(crate) async fn start() -> Self {
        let map = S3Map::default();
        let mut builder = S3ServiceBuilder::new(map.clone());
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let shared = Arc::new(Shared {
            map,
            service: builder.build(),
            calls: Mutex::default(),
            plan: Mutex::new(Arc::new(|_, _| Fault::None)),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            shared,
            address,
            accepting,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Forgets the calls so far and follows this plan from now on.
    pub(crate) fn plan(&self, plan: impl Fn(&[Call], &Call) -> Fault + Send + Sync + 'static) {
        *self.shared.plan.lock().unwrap() = Arc::new(plan);
        self.shared.calls.lock().unwrap().clear();
    }

    /// Nothing is wrong from now on.
    pub(crate) fn heal(&self) {
        self.plan(|_, _| Fault::None);
    }

    /// How many calls of this kind came since the plan was made.
    pub(crate) fn count(&self, op: Op) -> usize {
        self.calls().iter().filter(|call| call.op == op).count()
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// Puts an object under a key that no client could write.
    pub(crate) fn insert(&self, key: &str) {
        self.shared.map.put(key.to_owned(), Bytes::new());
    }

    pub(crate) fn open_uploads(&self) -> usize {
        self.shared.map.open_uploads()
    }
}

impl Drop for FaultyS3 {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Connections end with their clients, or with the test's runtime.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            return;
        };
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| serve(Arc::clone(&shared), request));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(socket), service);
        tokio::spawn(connection);
    }
}

async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let call = Call::of(&request);
    let fault = {
        let mut calls = shared.calls.lock().unwrap();
        let plan = Arc::clone(&shared.plan.lock().unwrap());
        let fault = plan(&calls, &call);
        calls.push(call);
        fault
    };
    let mut request = request.map(Body::from);
    match fault {
        Fault::Status(status) => {
            let body =
                format!("<Error><Code>Told</Code><Message>told to say {status}</Message></Error>");
            let answer = Response::builder().status(status).body(Body::from(body));
            return answer.map_err(io::Error::other);
        }
        Fault::Stall => std::future::pending().await,
        Fault::ListNothing => {
            let body = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
            return Ok(Response::new(Body::from(body.to_owned())));
        }
        Fault::Careless(how) => drop(request.extensions_mut().insert(how)),
        _ => {}
    }
    let answer = shared
        .service
        .call(request)
        .await
        .map_err(io::Error::other)?;
    match fault {
        Fault::LoseAnswer => Err(io::Error::other("told to lose the answer")),
        Fault::StallHalfway | Fault::Slow | Fault::Truncate | Fault::Flip => {
            damaged(answer, fault).await
        }
        _ => Ok(answer),
    }
}

/// The answer with its headers as they are and another body.
async fn damaged(answer: Response<Body>, fault: Fault) -> io::Result<Response<Body>> {
    let (head, body) = answer.into_parts();
    let chunks: Vec<Bytes> = body.try_collect().await.map_err(io::Error::other)?;
    let whole = chunks.concat();
    let half = Bytes::copy_from_slice(&whole[..whole.len() / 2]);
    let half = stream::once(async move { Ok(half) });
    let body = match fault {
        Fault::Truncate => {
            let cut = stream::once(async {
                // The half leaves first: an error at once would end the connection before it.
                tokio::task::yield_now().await;
                Err(io::Error::other("told to cut"))
            });
            StreamingBlob::wrap(half.chain(cut))
        }
        Fault::StallHalfway => StreamingBlob::wrap(half.chain(stream::pending())),
        Fault::Flip => {
            let mut wrong = whole;
            if let Some(first) = wrong.first_mut() {
                *first ^= 1;
            }
            StreamingBlob::wrap(stream::once(async move {
                Ok::<_, io::Error>(Bytes::from(wrong))
            }))
        }
        _ => {
            let len = whole.len().div_ceil(SLOW_SLICES).max(1);
            let slices: Vec<Bytes> = whole.chunks(len).map(Bytes::copy_from_slice).collect();
            StreamingBlob::wrap(stream::iter(slices).then(|slice| async move {
                tokio::time::sleep(SLOW_PAUSE).await;
                Ok::<_, io::Error>(slice)
            }))
        }
    };
    Ok(Response::from_parts(head, Body::from(body)))
}

impl Call {
    fn of(request: &Request<Incoming>) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let header = |name: &str| {
            request
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let is_upload = query.contains("uploadId=");
        let op = match *request.method() {
            Method::PUT if is_upload => Op::UploadPiece,
            Method::PUT if header("if-none-match").is_some() => Op::Create,
            Method::PUT => Op::Put,
            Method::POST if is_upload => Op::UploadComplete,
            Method::POST if query.contains("uploads") => Op::UploadBegin,
            Method::POST => Op::Delete,
            Method::DELETE => Op::UploadAbort,
            Method::HEAD => Op::Head,
            _ if query.contains("list-type=2") => Op::List,
            _ => Op::Get,
        };
        let path = request.uri().path();
        Self {
            op,
            name: path.rsplit('/').next().unwrap_or_default().to_owned(),
            range: header("range").unwrap_or_default().to_owned(),
        }
    }
}
