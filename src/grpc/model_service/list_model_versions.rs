//! `ListModelVersions`: the versions in the registry, newest first, a page at a time.

use super::{Operations, unreadable};
use crate::error::{CallError, with_causes};
use crate::grpc::proto::{ListModelVersionsRequest, ListModelVersionsResponse, ModelVersion};
use crate::lifecycle::card;
use crate::serving::validate::Violations;
use futures::StreamExt;
use hotshelf_registry::{Error as RegistryError, Manifest, Version};
use prost_types::Timestamp;

/// Versions of one page.
const PAGE_MAX: u32 = 1_000;
/// Versions of one page unless the caller says otherwise.
const PAGE_DEFAULT: u32 = 100;
/// Manifests read at once (chosen: hides a store's latency, holds a few MiB).
const READS_PARALLEL: usize = 8;

impl Operations {
    pub(super) async fn list(
        &self,
        request: &ListModelVersionsRequest,
    ) -> Result<ListModelVersionsResponse, CallError> {
        let mut bad = Violations::default();
        let page = bad.count("page_size", request.page_size, PAGE_DEFAULT, PAGE_MAX) as usize;
        bad.model(&request.model);
        bad.finish()?;
        let handle = self.handle(&request.model)?;
        let model = &handle.slot.name;
        let numbers = self.registry.version_numbers(model).await;
        let numbers = numbers.map_err(|error| unreadable(&error))?;
        let before = request.before_version.unwrap_or(u64::MAX);
        let mut numbers = numbers.into_iter().rev().filter(|v| v.get() < before);
        let read = numbers.by_ref().take(page).map(|version| async move {
            listed(version, self.registry.manifest(model, version).await)
        });
        let read = futures::stream::iter(read).buffered(READS_PARALLEL);
        let versions: Vec<_> = read.collect().await;
        let is_more = numbers.next().is_some();
        let next_before_version = versions.last().filter(|_| is_more).map(|last| last.version);
        Ok(ListModelVersionsResponse {
            model: model.to_string(),
            versions,
            next_before_version,
        })
    }
}

/// One version; `problem` says why it cannot be read.
fn listed(version: Version, manifest: Result<Manifest, RegistryError>) -> ModelVersion {
    let empty = ModelVersion {
        version: version.get(),
        ..ModelVersion::default()
    };
    let manifest = match manifest {
        Ok(manifest) => manifest,
        Err(error) => {
            let problem = match error {
                RegistryError::Removed { by, why, .. } => format!("removed by {by}: {why}"),
                error => with_causes(&error),
            };
            return ModelVersion { problem, ..empty };
        }
    };
    let described = ModelVersion {
        created_at: manifest.created_at.parse::<Timestamp>().ok(),
        author: manifest.author.clone(),
        size_bytes: manifest.parts.iter().map(|part| part.size_bytes).sum(),
        ..empty
    };
    match card(&manifest) {
        Ok(card) => ModelVersion {
            products: card.sizes.products as u64,
            users: card.sizes.users as u64,
            interactions: card.sizes.interactions as u64,
            ..described
        },
        Err(error) => ModelVersion {
            problem: error.message,
            ..described
        },
    }
}
