//! A cache that can take nothing, until it is mended.

use std::path::{Path, PathBuf};

use super::shop::MODEL;
use super::wait::until;

/// Waits until what is live is kept in this cache folder for a start without the registry.
pub(crate) async fn until_kept(cache: &Path) {
    let kept = cache.join(MODEL).join("live-set");
    until("what is live to be kept", async || {
        kept.exists().then_some(())
    })
    .await;
}

/// A cache whose folder of the model is gone, with a file in its place, so that nothing can be brought up.
#[must_use = "it stays broken until it is mended"]
pub(crate) struct BrokenCache {
    folder: PathBuf,
    aside: PathBuf,
}

impl BrokenCache {
    /// Breaks the cache in this folder, in which something has to be.
    pub(crate) fn new(cache: &Path) -> Self {
        let (folder, aside) = (cache.join(MODEL), cache.join("aside"));
        std::fs::rename(&folder, &aside).unwrap();
        std::fs::write(&folder, "no folder").unwrap();
        Self { folder, aside }
    }

    /// Everything is where it was.
    pub(crate) fn mend(self) {
        std::fs::remove_file(&self.folder).unwrap();
        std::fs::rename(&self.aside, &self.folder).unwrap();
    }
}
