//! Fresh, empty registries on every backend that the contract is held against.
//!
//! Each outside server is started once, by the first test that asks; each registry lies below a prefix
//! of its own in one bucket.

use crate::fault_store::{Fault, FaultStore};
use crate::faulty_s3::{Fault as S3Fault, FaultyS3, Op};
use crate::installed::{self, Tool};
use crate::s3_server::{KEY, Kind, S3Server, SECRET};
use crate::shop::{options, over};
use hotshelf_registry::{Registry, S3Credentials, S3Options};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// The one bucket of a shared server.
const BUCKET: &str = "contract";

/// A server that tests share, or why it did not start: that is found out once, not by every test.
type Shared = OnceCell<Result<S3Server, String>>;

static VERSITYGW: Shared = OnceCell::const_new();
static MOTO: Shared = OnceCell::const_new();

/// A fresh registry, and the store below it for tests that write what the registry would not.
pub(crate) struct Fresh {
    pub(crate) registry: Registry,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) root: Path,
    pub(crate) folder: Option<TempDir>,
    server: Option<FaultyS3>,
    endpoint: String,
}

impl Fresh {
    pub(crate) async fn memory() -> Option<Self> {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        Some(Self {
            registry: over(store.clone(), 1),
            store,
            root: Path::from("root"),
            folder: None,
            server: None,
            endpoint: String::new(),
        })
    }

    pub(crate) async fn disk() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/registry");
        let url = format!("file://{}", path.display());
        let registry = Registry::open(&url, &S3Options::default()).unwrap();
        let root = Path::from_absolute_path(&path).unwrap();
        Some(Self {
            registry: registry.with_options(options(1)),
            store: Arc::new(object_store::local::LocalFileSystem::new()),
            root,
            folder: Some(folder),
            server: None,
            endpoint: String::new(),
        })
    }

    pub(crate) async fn rough() -> Option<Self> {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let rough = FaultStore::new(store.clone(), |call, _, _| match call % 6 {
            1 => Fault::Fail,
            4 => Fault::LoseAnswer,
            _ => Fault::None,
        });
        Some(Self {
            registry: over(rough, 30),
            store,
            root: Path::from("root"),
            folder: None,
            server: None,
            endpoint: String::new(),
        })
    }

    /// Over HTTP to a server in this process.
    pub(crate) async fn s3s() -> Option<Self> {
        let server = FaultyS3::start().await;
        let fresh = Self::in_bucket(&server.endpoint(), BUCKET);
        Some(Self {
            server: Some(server),
            ..fresh
        })
    }

    /// The same; every third call fails, half of them after they were applied.
    pub(crate) async fn rough_s3s() -> Option<Self> {
        let fresh = Self::s3s().await?;
        let server = fresh.server.as_ref()?;
        server.plan(|calls, call| match (call.op, calls.len() % 6) {
            // What the tests write past the registry is not tried again.
            (Op::Put, _) if call.name.ends_with(".json") => S3Fault::None,
            (_, 1) => S3Fault::Status(503),
            (_, 4) => S3Fault::LoseAnswer,
            _ => S3Fault::None,
        });
        let registry = fresh.registry.clone().with_options(options(30));
        Some(Self { registry, ..fresh })
    }

    pub(crate) async fn versitygw() -> Option<Self> {
        Self::on_server(&VERSITYGW, Kind::Versitygw, Tool::Versitygw).await
    }

    pub(crate) async fn moto() -> Option<Self> {
        Self::on_server(&MOTO, Kind::Moto, Tool::MotoPython).await
    }

    async fn on_server(shared: &'static Shared, kind: Kind, tool: Tool) -> Option<Self> {
        // Every skipped test says so, and not only the first.
        let program = installed::find(tool)?;
        let start = || async {
            let server = S3Server::shared(kind, program).await?;
            create_bucket(&server, BUCKET).await;
            Ok(server)
        };
        match shared.get_or_init(start).await {
            Ok(server) => Some(Self::in_bucket(&server.endpoint(), BUCKET)),
            Err(reason) => panic!("{reason}"),
        }
    }

    /// Below a prefix that no other registry of this process has.
    pub(crate) fn in_bucket(endpoint: &str, bucket: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let root = format!("registry-{}/root", NEXT.fetch_add(1, Ordering::Relaxed));
        let url = format!("s3://{bucket}/{root}");
        let registry = Registry::open(&url, &s3_options(endpoint)).unwrap();
        Self {
            registry: registry.with_options(options(4)),
            store: Arc::new(bucket_client(endpoint, bucket)),
            root: Path::from(root),
            folder: None,
            server: None,
            endpoint: endpoint.to_owned(),
        }
    }

    /// The server of [`Fresh::s3s`] and [`Fresh::rough_s3s`].
    pub(crate) fn server(&self) -> &FaultyS3 {
        self.server.as_ref().unwrap()
    }

    /// Of whichever server it is on.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Writes below the model's folder past the registry.
    pub(crate) async fn put(&self, path: &str, text: &str) {
        let path = Path::parse(format!("{}/shop/{path}", self.root)).unwrap();
        self.store.put(&path, text.to_owned().into()).await.unwrap();
    }
}

/// What the registry is told of a test's server.
pub(crate) fn s3_options(endpoint: &str) -> S3Options {
    S3Options {
        endpoint: Some(endpoint.parse().unwrap()),
        credentials: Some(S3Credentials::Keys {
            access_key_id: KEY.to_owned(),
            secret_access_key: SECRET.to_owned(),
            session_token: None,
        }),
        ..S3Options::default()
    }
}

/// A client beside the registry's own, with its library's defaults.
pub(crate) fn bucket_client(endpoint: &str, bucket: &str) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_bucket_name(bucket)
        .with_access_key_id(KEY)
        .with_secret_access_key(SECRET)
        .build()
        .unwrap()
}

async fn create_bucket(server: &S3Server, bucket: &str) {
    let client = bucket_client(&server.endpoint(), bucket);
    let root = Path::default();
    let signed = client.signed_url("PUT".parse().unwrap(), &root, Duration::from_secs(60));
    let signed = signed.await.unwrap();
    let query = signed.query().unwrap();
    let status = server.ask(&format!("PUT {}?{query} HTTP/1.1\r\n", signed.path()));
    let status = status.unwrap();
    assert!(status.contains(" 200 "), "creating the bucket: {status}");
}
