//! The object paths of a registry. The only file that builds them; it takes parsed names only, so that
//! no path leaves the root.

use crate::numbers::object_name;
use crate::{ModelName, PartName, ReplicaId, RolloutNumber, Sha256Digest, UploadId, Version};
use object_store::path::Path;

/// Paths below one root.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: Path,
}

impl Layout {
    pub(crate) fn new(root: Path) -> Self {
        Self { root }
    }

    /// It holds the models' folders.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    fn folder(&self, model: &ModelName, kind: &'static str) -> Path {
        self.root.clone().join(model.as_str()).join(kind)
    }

    /// `<root>/<model>/parts/<upload>/<part>`
    pub(crate) fn part(&self, model: &ModelName, upload: UploadId, part: &PartName) -> Path {
        self.upload(model, upload).join(part.as_str())
    }

    /// `<root>/<model>/parts/<upload>`
    pub(crate) fn upload(&self, model: &ModelName, upload: UploadId) -> Path {
        self.parts(model).join(upload.to_string())
    }

    /// `<root>/<model>/parts`
    pub(crate) fn parts(&self, model: &ModelName) -> Path {
        self.folder(model, "parts")
    }

    /// `<root>/<model>/versions`
    pub(crate) fn versions(&self, model: &ModelName) -> Path {
        self.folder(model, "versions")
    }

    /// `<root>/<model>/versions/000012.json`
    pub(crate) fn version(&self, model: &ModelName, version: Version) -> Path {
        self.versions(model).join(object_name(version.get()))
    }

    /// `<root>/<model>/manifests`
    pub(crate) fn manifest_copies(&self, model: &ModelName) -> Path {
        self.folder(model, "manifests")
    }

    /// `<root>/<model>/manifests/<sha256>.json`
    pub(crate) fn manifest_copy(&self, model: &ModelName, sha256: Sha256Digest) -> Path {
        self.manifest_copies(model).join(format!("{sha256}.json"))
    }

    /// `<root>/<model>/rollouts`
    pub(crate) fn rollouts(&self, model: &ModelName) -> Path {
        self.folder(model, "rollouts")
    }

    /// `<root>/<model>/rollouts/000031.json`
    pub(crate) fn rollout(&self, model: &ModelName, number: RolloutNumber) -> Path {
        self.rollouts(model).join(object_name(number.get()))
    }

    /// `<root>/<model>/replicas`
    pub(crate) fn replicas(&self, model: &ModelName) -> Path {
        self.folder(model, "replicas")
    }

    /// `<root>/<model>/replicas/<replica>.json`
    pub(crate) fn replica(&self, model: &ModelName, replica: &ReplicaId) -> Path {
        self.replicas(model).join(format!("{replica}.json"))
    }

    /// `<root>/.create-only/<nonce>`: objects of the test of conditional writes. No model's name begins with a dot.
    pub(crate) fn write_probe(&self, nonce: crate::Nonce) -> Path {
        self.root
            .clone()
            .join(".create-only")
            .join(nonce.to_string())
    }
}

/// What lies below a folder by these names, as a listing found them.
pub(crate) fn below<'a>(folder: &Path, names: impl IntoIterator<Item = &'a str>) -> Path {
    let joined = |path: Path, name| path.join(name);
    names.into_iter().fold(folder.clone(), joined)
}

/// The root that a URL's path names: percent-decoded, absolute, without dot or empty segments.
pub(crate) fn root_of_url(path: &str) -> Option<Path> {
    Path::from_url_path(path.strip_prefix('/')?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_format_page() {
        let layout = Layout::new(Path::from("some/root"));
        let model: ModelName = "shop".parse().unwrap();
        let upload = UploadId::from_bytes([0xab; 16]);
        let part = layout.part(&model, upload, &"als.safetensors".parse().unwrap());
        assert_eq!(
            part.as_ref(),
            "some/root/shop/parts/abababababababababababababababab/als.safetensors"
        );
        let version = layout.version(&model, Version::new(12).unwrap());
        assert_eq!(version.as_ref(), "some/root/shop/versions/000012.json");
        let rollout = layout.rollout(&model, RolloutNumber::new(1_000_031).unwrap());
        assert_eq!(rollout.as_ref(), "some/root/shop/rollouts/1000031.json");
        let replica = layout.replica(&model, &"pod-7".parse().unwrap());
        assert_eq!(replica.as_ref(), "some/root/shop/replicas/pod-7.json");
    }
}
