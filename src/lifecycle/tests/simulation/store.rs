//! One replica's way to the store that all share: its calls take a random number of turns, and fail, stall,
//! lose their answers or lie as its weather says.

use async_trait::async_trait;
use futures::future::poll_fn;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use rand_chacha::ChaCha8Rng;
use rand_core::Rng;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::task::Poll;

/// How a replica's calls fare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weather {
    Fine,
    /// Every call fails before it does anything.
    Down,
    /// Every third call fails, and of the others' answers every third is lost.
    Rough,
    /// No call ends before the weather changes.
    Stalled,
    /// Reads find nothing; writes succeed.
    Empty,
    /// Nothing may be written.
    ReadOnly,
}

impl Weather {
    /// All of them, fine weather more often.
    pub(super) const DRAWN: [Self; 9] = [
        Self::Fine,
        Self::Fine,
        Self::Fine,
        Self::Fine,
        Self::Down,
        Self::Rough,
        Self::Stalled,
        Self::Empty,
        Self::ReadOnly,
    ];
}

/// The weather of one replica, and its luck.
#[derive(Clone)]
pub(super) struct Sky(Arc<Mutex<(Weather, ChaCha8Rng)>>);

impl Sky {
    pub(super) fn new(dice: ChaCha8Rng) -> Self {
        Self(Arc::new(Mutex::new((Weather::Fine, dice))))
    }

    pub(super) fn set(&self, weather: Weather) {
        self.0.lock().unwrap().0 = weather;
    }

    fn weather(&self) -> Weather {
        self.0.lock().unwrap().0
    }

    fn roll(&self, sides: u32) -> u32 {
        self.0.lock().unwrap().1.next_u32() % sides
    }
}

#[derive(Clone)]
pub(super) struct SkyStore {
    pub(super) objects: Arc<InMemory>,
    pub(super) sky: Sky,
}

fn broken() -> Error {
    Error::Generic {
        store: "simulated",
        source: "the weather".into(),
    }
}

fn not_found(path: &Path) -> Error {
    Error::NotFound {
        path: path.to_string(),
        source: "the weather".into(),
    }
}

impl SkyStore {
    /// Some turns, in which others act, and then perhaps a failure.
    async fn before(&self) -> Result<()> {
        let mut turns = self.sky.roll(3);
        poll_fn(|_| {
            if self.sky.weather() == Weather::Stalled || turns > 0 {
                turns = turns.saturating_sub(1);
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        match self.sky.weather() {
            Weather::Down => Err(broken()),
            Weather::Rough if self.sky.roll(3) == 0 => Err(broken()),
            _ => Ok(()),
        }
    }

    /// What becomes of the answer.
    fn after<T>(&self, outcome: Result<T>) -> Result<T> {
        match self.sky.weather() {
            Weather::Rough if self.sky.roll(3) == 0 => Err(broken()),
            _ => outcome,
        }
    }

    fn is_empty(&self) -> bool {
        self.sky.weather() == Weather::Empty
    }
}

#[async_trait]
impl ObjectStore for SkyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.before().await?;
        if self.sky.weather() == Weather::ReadOnly {
            return Err(Error::PermissionDenied {
                path: location.to_string(),
                source: "the weather".into(),
            });
        }
        self.after(self.objects.put_opts(location, payload, opts).await)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.before().await?;
        self.objects.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.before().await?;
        if self.is_empty() {
            return Err(not_found(location));
        }
        self.after(self.objects.get_opts(location, options).await)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let own = self.clone();
        let prefix = prefix.cloned();
        stream::once(async move {
            own.before().await?;
            if own.is_empty() {
                return Ok(stream::empty().boxed());
            }
            own.after(Ok(own.objects.list(prefix.as_ref())))
        })
        .flat_map(|listed| match listed {
            Ok(listed) => listed,
            Err(error) => stream::iter([Err(error)]).boxed(),
        })
        .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.before().await?;
        if self.is_empty() {
            return Ok(ListResult {
                common_prefixes: Vec::new(),
                objects: Vec::new(),
            });
        }
        self.after(self.objects.list_with_delimiter(prefix).await)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

impl fmt::Display for SkyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SkyStore")
    }
}

impl fmt::Debug for SkyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SkyStore")
    }
}
