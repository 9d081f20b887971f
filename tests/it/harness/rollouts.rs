//! How a test changes what is live as operators do, and what is live then.

use std::collections::BTreeMap;

use hotshelf::grpc::proto::Rollout;
use serde_json::Value;

use super::program::{Run, hotshelf};
use super::server::Server;
use super::shop::Shop;

impl Server {
    /// Runs `hotshelf rollout …` against this server, signed, for an answer as JSON.
    pub(crate) fn try_rollout(&self, args: &[&str]) -> Run {
        let admin = self.admin.to_string();
        let signed = [
            "--admin", &admin, "--author", "ann", "--reason", "a test", "--json",
        ];
        hotshelf(&[&["rollout"], args, &signed].concat())
    }

    /// The same, which has to succeed.
    pub(crate) fn rollout(&self, args: &[&str]) -> Value {
        self.try_rollout(args).json()
    }

    /// What is live here, which something has to be.
    pub(crate) async fn live(&self) -> Rollout {
        self.status().await.live.unwrap()
    }

    /// Every user's version, as this server answers now.
    pub(crate) async fn versions_by_user(&self) -> BTreeMap<String, u64> {
        let mut found = BTreeMap::new();
        for user in Shop::users() {
            let version = self.recommend(&user).await.unwrap().version;
            found.insert(user, version);
        }
        found
    }
}
