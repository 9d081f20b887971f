//! A small shop in two seasons, fitted and published in a temporary folder.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hotshelf_model::{
    AlsParams, CardExtra, ContentParams, FitParams, IndexChoice, InteractionsBuilder, Model,
    ModelCard, ProductInfo, Query, Scratch, fit,
};
use hotshelf_registry::{
    Arm, CacheDir, Lineage, Manifest, ModelName, NewPart, NewVersion, Proposed, Ramp, RampStep,
    Registry, RolloutDraft, RolloutRecord, S3Authorities, S3Options, Version, candidate_and_base,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::artifact::Parts;
use super::catalogue::catalogue;
use crate::tools::s3_server;

/// The model that every server of these tests serves.
pub(crate) const MODEL: &str = "toy";

const USERS: usize = 240;
pub(super) const PRODUCTS: usize = 240;
/// Tastes; a user likes the products of one of them.
pub(super) const TASTES: usize = 4;

/// What the shop's people like changes with it, so that two versions are told apart at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Season {
    Spring,
    Autumn,
}

/// The bucket of shops that have one.
const BUCKET: &str = "shelf";

/// A registry in a folder of its own, or in a bucket of a server whose data lies in that folder.
pub(crate) struct Shop {
    folder: Arc<TempDir>,
    /// Of the S3 server, if there is one.
    endpoint: Option<String>,
    registry: Registry,
    model: ModelName,
}

/// A version, and the model that computes its answers alone.
pub(crate) struct Published {
    pub(crate) version: u64,
    pub(crate) model: Model,
    pub(crate) parts: Parts,
    pub(crate) card: Value,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let root = folder.path().join("registry");
        std::fs::create_dir(&root).unwrap();
        let url = format!("file://{}", root.display());
        Self {
            folder,
            endpoint: None,
            registry: Registry::open(&url, &S3Options::default()).unwrap(),
            model: MODEL.parse().unwrap(),
        }
    }

    /// A new one with versions 1 and 2, which are told apart at a glance.
    pub(crate) async fn with_two_versions() -> Self {
        let shop = Self::new();
        shop.publish_two().await;
        shop
    }

    /// A folder for a server whose data lie in it, with an empty bucket.
    pub(crate) fn bucket_folder() -> Arc<TempDir> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("data").join(BUCKET)).unwrap();
        Arc::new(folder)
    }

    /// In the bucket of the S3 server at this endpoint, or behind it.
    pub(crate) fn in_bucket(folder: &Arc<TempDir>, endpoint: &str) -> Self {
        Self::in_bucket_trusting(folder, endpoint, None)
    }

    /// The same over https, where this test's process trusts these authorities too. Servers are not told.
    pub(crate) fn in_bucket_trusting(
        folder: &Arc<TempDir>,
        endpoint: &str,
        authorities: Option<S3Authorities>,
    ) -> Self {
        let variables = s3_variables(endpoint).map(|(name, value)| (name.to_owned(), value));
        let usual = S3Options::from_variables(&BTreeMap::from(variables)).unwrap();
        let options = S3Options {
            authorities,
            ..usual
        };
        Self {
            folder: Arc::clone(folder),
            endpoint: Some(endpoint.to_owned()),
            registry: Registry::open(&format!("s3://{BUCKET}/registry"), &options).unwrap(),
            model: MODEL.parse().unwrap(),
        }
    }

    /// What a process needs in its environment to open it.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let endpoint = self.endpoint.as_deref();
        endpoint.map_or_else(Vec::new, |endpoint| s3_variables(endpoint).to_vec())
    }

    /// Another model in the same registry.
    pub(crate) fn beside(&self, model: &str) -> Self {
        Self {
            folder: Arc::clone(&self.folder),
            endpoint: self.endpoint.clone(),
            registry: self.registry.clone(),
            model: model.parse().unwrap(),
        }
    }

    pub(crate) fn url(&self) -> String {
        match &self.endpoint {
            None => format!("file://{}", self.root().display()),
            Some(_) => format!("s3://{BUCKET}/registry"),
        }
    }

    /// The registry's folder; the server of a bucket keeps objects as files.
    pub(crate) fn root(&self) -> PathBuf {
        match &self.endpoint {
            None => self.folder.path().join("registry"),
            Some(_) => self
                .folder
                .path()
                .join("data")
                .join(BUCKET)
                .join("registry"),
        }
    }

    /// Numbers of the versions in the registry, in order.
    pub(crate) async fn versions(&self) -> Vec<u64> {
        let numbers = self.registry.version_numbers(&self.model).await.unwrap();
        numbers.into_iter().map(Version::get).collect()
    }

    /// The folder around it.
    pub(crate) fn place(&self) -> &Path {
        self.folder.path()
    }

    /// Ids of all users, the same in both seasons.
    pub(crate) fn users() -> Vec<String> {
        (0..USERS).map(user_id).collect()
    }

    /// Publishes both seasons, spring first.
    pub(crate) async fn publish_two(&self) {
        for season in [Season::Spring, Season::Autumn] {
            self.publish(season).await;
        }
    }

    /// Fits a season and publishes it.
    pub(crate) async fn publish(&self, season: Season) -> Published {
        self.publish_fitted(season, parameters(8)).await
    }

    /// The same with this many factors.
    pub(crate) async fn publish_sized(&self, season: Season, factors: usize) -> Published {
        self.publish_fitted(season, parameters(factors)).await
    }

    /// The same with this choice for every index.
    pub(crate) async fn publish_indexed(&self, season: Season, index: IndexChoice) -> Published {
        let parameters = FitParams {
            index,
            ..parameters(8)
        };
        self.publish_fitted(season, parameters).await
    }

    /// The same without content parts, as versions were before there were any.
    pub(crate) async fn publish_without_content(&self, season: Season) -> Published {
        let content = ContentParams {
            terms_max: 0,
            ..ContentParams::default()
        };
        let parameters = FitParams {
            content,
            ..parameters(8)
        };
        self.publish_fitted(season, parameters).await
    }

    /// The same with every product of one category in another one.
    pub(crate) async fn publish_renamed(&self, season: Season, [from, to]: [&str; 2]) -> Published {
        let mut products = catalogue();
        for product in &mut products {
            if product.category.as_deref() == Some(from) {
                product.category = Some(to.to_owned());
            }
        }
        let model = fitted_on(season, &parameters(8), &products);
        // A model is large, and every future that waits here would hold it twice.
        Box::pin(self.publish_model(model)).await
    }

    /// The same with one product more, which nobody has had.
    pub(crate) async fn publish_with_product(&self, season: Season, id: &str) -> Published {
        let mut products = catalogue();
        products.push(ProductInfo {
            id: id.to_owned(),
            ..products[0].clone()
        });
        let model = fitted_on(season, &parameters(8), &products);
        Box::pin(self.publish_model(model)).await
    }

    async fn publish_fitted(&self, season: Season, parameters: FitParams) -> Published {
        Box::pin(self.publish_model(fitted(season, &parameters))).await
    }

    pub(super) async fn publish_model(&self, model: Model) -> Published {
        let extra = CardExtra {
            evaluation: None,
            golden_queries: 16,
        };
        let packed = model.pack(extra).unwrap();
        let card = serde_json::to_value(&packed.card).unwrap();
        let parts = Parts::of(packed.parts);
        let version = self.publish_parts(&parts, &card).await;
        Published {
            version,
            model,
            parts,
            card,
        }
    }

    /// Publishes these bytes with right checksums, whatever they mean.
    pub(crate) async fn publish_parts(&self, parts: &Parts, card: &Value) -> u64 {
        self.try_publish_parts(parts, card).await.unwrap()
    }

    /// The same where the store may be gone.
    pub(crate) async fn try_publish_parts(
        &self,
        parts: &Parts,
        card: &Value,
    ) -> Result<u64, hotshelf_registry::Error> {
        let part = |(name, bytes): (&String, &Vec<u8>)| {
            NewPart::required(name.parse().unwrap(), Bytes::from(bytes.clone()))
        };
        let parts = parts.0.iter().map(part).collect();
        self.publish_new(parts, card.clone()).await
    }

    /// Publishes these very parts.
    pub(super) async fn publish_new(
        &self,
        parts: Vec<NewPart>,
        card: Value,
    ) -> Result<u64, hotshelf_registry::Error> {
        let new = NewVersion {
            parts,
            card,
            lineage: Lineage {
                seed: 42,
                ..Lineage::default()
            },
            author: "tests".to_owned(),
        };
        let published = self.registry.publish(&self.model, new).await?;
        Ok(published.version.get())
    }

    pub(crate) async fn manifest(&self, version: u64) -> Manifest {
        self.registry
            .manifest(&self.model, Version::new(version).unwrap())
            .await
            .unwrap()
    }

    /// A version, read back and decoded.
    pub(crate) async fn load(&self, version: u64) -> Model {
        let manifest = self.manifest(version).await;
        let folder = tempfile::tempdir().unwrap();
        let cache = CacheDir::open(folder.path()).unwrap();
        let mut local = self.registry.fetch(&manifest, &cache).await.unwrap();
        let parts = local.seal(&mut |_| {}).unwrap();
        let card: ModelCard = serde_json::from_value(manifest.card).unwrap();
        Model::unpack(&card, &parts, &mut |_| {}).unwrap()
    }

    /// Where a part of a version is stored.
    pub(crate) async fn part_file(&self, version: u64, part: &str) -> PathBuf {
        let upload = self.manifest(version).await.upload.to_string();
        self.root()
            .join(self.model.as_str())
            .join("parts")
            .join(upload)
            .join(part)
    }

    /// Writes the rollout that makes this version live.
    pub(crate) async fn propose(&self, version: u64) {
        let version = Version::new(version).unwrap();
        let draft = RolloutDraft::all_to(version, "tests", "a test");
        self.write(draft).await;
    }

    /// Splits the traffic by a rollout of two arms, base and candidate.
    pub(crate) async fn split(&self, [base, candidate]: [(u64, u16); 2], salt: &str) {
        let arm = |name: &str, (version, share_bp)| Arm {
            name: name.to_owned(),
            version: Version::new(version).unwrap(),
            share_bp,
            manifest_sha256: None,
        };
        let draft = RolloutDraft {
            ramp: None,
            arms: vec![arm("base", base), arm("candidate", candidate)],
            salt: Some(salt.to_owned()),
            author: "tests".to_owned(),
            reason: "canary".to_owned(),
        };
        self.write(draft).await;
    }

    /// Lets `candidate` in beside `base`, growing by these shares in basis points, each held for so long.
    pub(crate) async fn ramp(&self, [candidate, base]: [u64; 2], steps: &[(u16, u64)]) {
        let version = |number| Version::new(number).unwrap();
        let step = |(share_bp, hold_s): &(u16, u64)| RampStep {
            share_bp: *share_bp,
            hold_s: *hold_s,
        };
        let draft = RolloutDraft {
            arms: candidate_and_base(version(candidate), version(base), steps[0].0),
            ramp: Some(Ramp::new(steps.iter().map(step).collect())),
            salt: Some("salt".to_owned()),
            author: "tests".to_owned(),
            reason: "canary".to_owned(),
        };
        self.write(draft).await;
    }

    /// The next record, which nobody else may have written meanwhile.
    async fn write(&self, draft: RolloutDraft) {
        let log = self.registry.rollouts(&self.model).await.unwrap();
        let proposed = self.registry.propose(&log, draft).await.unwrap();
        assert!(matches!(proposed, Proposed::Created(_)), "{proposed:?}");
    }

    /// A stored rollout record.
    pub(crate) fn rollout(&self, number: u64) -> RolloutRecord {
        let folder = self.root().join(self.model.as_str()).join("rollouts");
        let bytes = std::fs::read(folder.join(format!("{number:06}.json"))).unwrap();
        RolloutRecord::parse(&bytes).unwrap()
    }

    /// Of 10,000, by the format's own words: the first 8 bytes, big-endian, of
    /// sha256(salt ‖ 0x00 ‖ key), modulo 10,000.
    pub(crate) fn bucket(salt: &str, key: &str) -> u64 {
        let digest = Sha256::digest([salt.as_bytes(), &[0], key.as_bytes()].concat());
        u64::from_be_bytes(digest[..8].try_into().unwrap()) % 10_000
    }

    /// Names of the rollout records, in order.
    pub(crate) fn rollouts(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.root().join(self.model.as_str()).join("rollouts"))
        else {
            return Vec::new();
        };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

/// The usual variables of S3 clients.
fn s3_variables(endpoint: &str) -> [(&'static str, String); 3] {
    [
        ("AWS_ENDPOINT_URL_S3", endpoint.to_owned()),
        ("AWS_ACCESS_KEY_ID", s3_server::KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", s3_server::SECRET.to_owned()),
    ]
}

impl Published {
    /// The ten best products for a user with their scores, computed by the model alone.
    pub(crate) fn top(&self, user_id: &str) -> Vec<(String, f32)> {
        top(&self.model, user_id)
    }
}

/// The same of any model.
pub(crate) fn top(model: &Model, user_id: &str) -> Vec<(String, f32)> {
    let query = Query {
        user_id,
        ..Query::default()
    };
    ranked(model, &query)
}

/// What a model alone answers: ids and scores, best first.
pub(crate) fn ranked(model: &Model, query: &Query<'_>) -> Vec<(String, f32)> {
    let answer = model.recommend(query, &mut Scratch::default()).unwrap();
    let items = answer.items.iter();
    items
        .map(|item| (model.products().id(item.product).to_owned(), item.score))
        .collect()
}

/// A season fitted with this many factors.
pub(crate) fn factors_of(season: Season, factors: usize) -> Model {
    fitted(season, &parameters(factors))
}

pub(super) fn fitted(season: Season, parameters: &FitParams) -> Model {
    fitted_on(season, parameters, &catalogue())
}

fn fitted_on(season: Season, parameters: &FitParams, products: &[ProductInfo]) -> Model {
    let mut builder = InteractionsBuilder::new();
    for product in 0..PRODUCTS {
        builder.add_product(&product_id(product));
    }
    let turn = season as usize;
    for user in 0..USERS {
        for step in 0..3 + user % 17 {
            let shelf = (user * 7 + step * (step + 3 + turn) + turn * 13) % (PRODUCTS / TASTES);
            // Now and then something of another taste, so that factors do not split by taste alone.
            let taste = (user + turn + usize::from(step % 5 == 4)) % TASTES;
            let product = product_id(shelf * TASTES + taste);
            builder.add(
                &user_id(user),
                &product,
                1.0 + (step % 3) as f32,
                1_700_000_000 + step as i64,
            );
        }
    }
    let events = builder.build();
    let threads = NonZeroUsize::MIN;
    fit(&events, products, parameters, threads, &mut |_| {}).unwrap()
}

pub(super) fn parameters(factors: usize) -> FitParams {
    let als = AlsParams {
        factors,
        iterations: 5,
        ..AlsParams::default()
    };
    FitParams {
        als,
        ..FitParams::default()
    }
}

fn user_id(user: usize) -> String {
    format!("u{user:04}")
}

pub(super) fn product_id(product: usize) -> String {
    format!("p{product:04}")
}

/// Sets a folder's or file's mode.
pub(crate) fn open_to_all(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
