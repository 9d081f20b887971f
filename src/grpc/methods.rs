//! The methods that this server serves, read from the compiled descriptors once: their paths, which are also
//! their metric labels, and their services.

use super::proto::DESCRIPTORS;
use prost::Message;
use prost_types::FileDescriptorSet;
use std::sync::LazyLock;

/// The label of every call to a method that no descriptor has.
const OTHER: &str = "other";

/// Every descriptor set that a listener serves, the busiest one first.
const SETS: [&[u8]; 4] = [
    DESCRIPTORS,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

static PATHS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let decodes = "the descriptors are compiled in, and a test decodes them";
    let sets = SETS.map(|set| FileDescriptorSet::decode(set).expect(decodes));
    sets.iter().flat_map(paths).collect()
});

/// The paths of all methods in a set, as `/package.Service/Method`.
fn paths(set: &FileDescriptorSet) -> impl Iterator<Item = String> {
    set.file.iter().flat_map(|file| {
        file.service.iter().flat_map(|service| {
            let prefix = format!("/{}.{}", file.package(), service.name());
            let methods = service.method.iter();
            methods.map(move |method| format!("{prefix}/{}", method.name()))
        })
    })
}

/// One method, or the one that stands for all unknown ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MethodId(usize);

impl MethodId {
    /// The method of a call.
    pub(super) fn of(path: &str) -> Self {
        let known = PATHS.iter().position(|known| known == path);
        Self(known.unwrap_or(PATHS.len()))
    }

    /// All methods in the order of [`MethodId::index`], the unknown one last.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..=PATHS.len()).map(Self)
    }

    /// From 0.
    pub(super) fn index(self) -> usize {
        self.0
    }

    /// Its path, or `other`.
    pub(super) fn label(self) -> &'static str {
        PATHS.get(self.0).map_or(OTHER, String::as_str)
    }

    /// Whether no descriptor has it.
    pub(super) fn is_unknown(self) -> bool {
        self.0 == PATHS.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_method_has_a_label_of_its_own() {
        let labels: Vec<_> = MethodId::all().map(MethodId::label).collect();
        let distinct: BTreeSet<_> = labels.iter().collect();
        assert_eq!(distinct.len(), labels.len(), "{labels:?}");
        for path in [
            "/hotshelf.v1.RecommendationService/Recommend",
            "/hotshelf.v1.ModelService/GetRolloutStatus",
            "/grpc.health.v1.Health/Watch",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        ] {
            assert_eq!(MethodId::of(path).label(), path);
        }
        let unknown = MethodId::of("/hotshelf.v1.RecommendationService/Nothing");
        assert!(unknown.is_unknown());
        assert_eq!(unknown.label(), OTHER);
    }
}
