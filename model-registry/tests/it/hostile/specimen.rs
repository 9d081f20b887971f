//! Sound records to begin with.

use bytes::Bytes;
use serde_json::json;

/// One of each kind of record, as JSON.
pub(crate) struct Specimens {
    pub(crate) manifest: Vec<u8>,
    pub(crate) tombstone: Vec<u8>,
    /// 1, 2 and 3, each the parent of the next.
    pub(crate) rollouts: Vec<Bytes>,
}

impl Specimens {
    pub(crate) fn new() -> Self {
        let part = |name: &str, size: u64| json!({ "name": name, "size_bytes": size, "sha256": "0a".repeat(32) });
        let manifest = json!({
            "format": 1, "model": "shop", "version": 12, "upload": "ab".repeat(16),
            "nonce": "cd".repeat(16), "created_at": "2026-11-24T02:00:00Z", "author": "ann",
            "lineage": { "inputs": [{ "name": "events.csv", "version": "7", "rows": 9,
                "sha256": "0b".repeat(32) }], "code_commit": "abc", "seed": 42 },
            "parts": [part("als.safetensors", 1 << 40), part("users.arrow", 3)],
            "card": { "sizes": { "users": 3 }, "probes": [{ "items": [1.5, null] }] }
        });
        let tombstone = json!({
            "format": 1, "model": "shop", "version": 12,
            "removed": { "at": "2026-11-24T02:00:00Z", "by": "bob", "why": "leaked prices" }
        });
        let mut rollouts: Vec<Bytes> = Vec::new();
        for number in 1..=3u64 {
            let parent = rollouts.last().map(|bytes| {
                let sha256 = hotshelf_registry::Sha256Digest::of(bytes);
                json!({ "number": number - 1, "sha256": sha256 })
            });
            let record = json!({
                "format": 1, "model": "shop", "number": number, "parent": parent,
                "nonce": "cd".repeat(16), "salt": "s", "author": "ann", "reason": "fresher",
                "arms": [{ "name": "main", "version": 7, "share_bp": 9_000 },
                         { "name": "canary", "version": 8, "share_bp": 1_000 }],
                "created_at": "2026-11-24T02:00:00Z"
            });
            rollouts.push(serde_json::to_vec(&record).unwrap().into());
        }
        Self {
            manifest: serde_json::to_vec(&manifest).unwrap(),
            tombstone: serde_json::to_vec(&tombstone).unwrap(),
            rollouts,
        }
    }
}
