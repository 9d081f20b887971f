//! An object store that misbehaves on command.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result,
};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is asked of the store.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    Put,
    Upload,
    /// With the first byte of the range, if there is one.
    Get(Option<u64>),
    Head,
    Delete,
    List,
}

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// Nothing wrong.
    None,
    /// Fails before it does anything.
    Fail,
    /// Does it, and the answer is lost.
    LoseAnswer,
    /// Never answers.
    Stall,
    /// The body ends after half of it.
    Truncate,
    /// One bit of the body is flipped.
    Flip,
    /// The listing has nothing in it.
    ListNothing,
    /// The listing ends after its first entry.
    ListFirst,
    /// A create overwrites.
    IgnoreCreate,
    /// Creates check first and write then: several of one race win.
    CheckThenWrite,
    /// Refused for want of permission.
    Deny,
    /// The process ends by SIGKILL before or after the call.
    KillBefore,
    KillAfter,
}

type Plan = dyn Fn(usize, &Op, &Path) -> Fault + Send + Sync;

/// A store and its plan; calls are counted from 0.
pub(crate) struct FaultStore {
    inner: Arc<dyn ObjectStore>,
    plan: Arc<Plan>,
    calls: AtomicUsize,
}

impl FaultStore {
    pub(crate) fn new(
        inner: Arc<dyn ObjectStore>,
        plan: impl Fn(usize, &Op, &Path) -> Fault + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            inner,
            plan: Arc::new(plan),
            calls: AtomicUsize::new(0),
        })
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn next(&self, op: &Op, path: &Path) -> Fault {
        (self.plan)(self.calls.fetch_add(1, Ordering::SeqCst), op, path)
    }
}

fn broken() -> Error {
    Error::Generic {
        store: "faulty",
        source: "told to fail".into(),
    }
}

fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    unreachable!("SIGKILL is not survived")
}

/// What happens before the call itself.
async fn before(fault: Fault, path: &Path) -> Result<()> {
    match fault {
        Fault::Fail => Err(broken()),
        Fault::Stall => std::future::pending().await,
        Fault::KillBefore => die(),
        Fault::Deny => Err(Error::PermissionDenied {
            path: path.to_string(),
            source: "told to refuse".into(),
        }),
        _ => Ok(()),
    }
}

/// What becomes of its outcome.
fn after<T>(fault: Fault, outcome: Result<T>) -> Result<T> {
    match fault {
        Fault::LoseAnswer => Err(broken()),
        Fault::KillAfter => die(),
        _ => outcome,
    }
}

#[async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut opts: PutOptions,
    ) -> Result<PutResult> {
        let fault = self.next(&Op::Put, location);
        before(fault, location).await?;
        if fault == Fault::CheckThenWrite && opts.mode == PutMode::Create {
            let options = GetOptions {
                head: true,
                ..GetOptions::default()
            };
            let is_there = self.inner.get_opts(location, options).await.is_ok();
            tokio::task::yield_now().await;
            if !is_there {
                opts.mode = PutMode::Overwrite;
            }
        }
        if fault == Fault::IgnoreCreate {
            opts.mode = PutMode::Overwrite;
        }
        after(fault, self.inner.put_opts(location, payload, opts).await)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let fault = self.next(&Op::Upload, location);
        before(fault, location).await?;
        after(fault, self.inner.put_multipart_opts(location, opts).await)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let start = match &options.range {
            Some(object_store::GetRange::Bounded(range)) => Some(range.start),
            _ => None,
        };
        let op = if options.head {
            Op::Head
        } else {
            Op::Get(start)
        };
        let fault = self.next(&op, location);
        before(fault, location).await?;
        let found = after(fault, self.inner.get_opts(location, options).await)?;
        if !matches!(fault, Fault::Truncate | Fault::Flip) {
            return Ok(found);
        }
        let (meta, range, attributes) = (
            found.meta.clone(),
            found.range.clone(),
            found.attributes.clone(),
        );
        let mut body = found.bytes().await?.to_vec();
        match body.first_mut() {
            Some(first) if fault == Fault::Flip => *first ^= 1,
            _ => body.truncate(body.len() / 2),
        }
        let body = stream::once(async { Ok(Bytes::from(body)) }).boxed();
        Ok(GetResult {
            payload: GetResultPayload::Stream(body),
            meta,
            range,
            attributes,
        })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let fault = self.next(&Op::Delete, &Path::default());
        let deleted = self.inner.delete_stream(locations);
        stream::once(async move { before(fault, &Path::default()).await })
            .flat_map_unordered(1, |outcome| stream::iter(outcome.err().map(Err)))
            .chain(deleted.map(move |path| after(fault, path)))
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let path = prefix.cloned().unwrap_or_default();
        let fault = self.next(&Op::List, &path);
        let listed = match fault {
            Fault::ListNothing => stream::empty().boxed(),
            Fault::ListFirst => self.inner.list(prefix).take(1).boxed(),
            _ => self.inner.list(prefix),
        };
        stream::once(async move { before(fault, &path).await })
            .flat_map_unordered(1, |outcome| stream::iter(outcome.err().map(Err)))
            .chain(listed.map(move |meta| after(fault, meta)))
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let path = prefix.cloned().unwrap_or_default();
        let fault = self.next(&Op::List, &path);
        before(fault, &path).await?;
        after(fault, self.inner.list_with_delimiter(prefix).await)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultStore({})", self.inner)
    }
}

impl fmt::Debug for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
