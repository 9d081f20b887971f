//! Large parts go up in pieces, and come through what goes wrong with any of them.

use crate::backends::Fresh;
use crate::faulty_s3::{Call, Fault, Op};
use crate::shop::{load, model, new_version, options};
use bytes::Bytes;
use hotshelf_registry::{CacheDir, Manifest, NewVersion, Registry};
use object_store::ObjectStoreExt;
use object_store::path::Path;

/// Over the 16 MiB of a single write: two whole pieces of 8 MiB and a short one.
const LARGE_BYTES: u32 = (16 << 20) + 5;

fn large_version() -> NewVersion {
    let mut new = new_version("ann");
    new.parts[0].bytes = (0..LARGE_BYTES).map(|at| (at / 7) as u8).collect();
    new
}

async fn assert_whole(registry: &Registry, manifest: &Manifest) {
    let folder = tempfile::tempdir().unwrap();
    let cache = CacheDir::open(folder.path()).unwrap();
    let mut wide = options(4);
    wide.limits.fetch.range_bytes = 4 << 20;
    let registry = registry.clone().with_options(wide);
    let parts = load(&registry, manifest, &cache).await.unwrap();
    let expected: Bytes = large_version().parts[0].bytes.clone();
    assert!(parts["als.safetensors"] == expected);
}

#[tokio::test]
async fn large_part_goes_up_in_pieces_and_comes_down_whole_from_real_servers() {
    for fresh in [Fresh::versitygw().await, Fresh::moto().await] {
        let Some(fresh) = fresh else { continue };
        let manifest = fresh
            .registry
            .publish(&model(), large_version())
            .await
            .unwrap();
        assert_eq!(pieces_of(&fresh, &manifest).await, Some(3));
        assert_whole(&fresh.registry, &manifest).await;
    }
}

/// How many pieces the server made the large part of: S3 says so behind a dash in the tag of an object
/// that came in pieces.
async fn pieces_of(fresh: &Fresh, manifest: &Manifest) -> Option<usize> {
    let part = format!("shop/parts/{}/als.safetensors", manifest.upload);
    let path = Path::parse(format!("{}/{part}", fresh.root)).unwrap();
    let tag = fresh.store.head(&path).await.unwrap().e_tag.unwrap();
    tag.trim_matches('"').rsplit_once('-')?.1.parse().ok()
}

/// Publishes while the first call of one kind goes wrong; returns how often each was made.
async fn publish_through(fault: Fault, op: Op) -> [usize; 4] {
    let fresh = Fresh::s3s().await.unwrap();
    let server = fresh.server();
    server.plan(move |calls, call| {
        let is_first = !calls.iter().any(|earlier| earlier.op == op);
        if call.op == op && is_first {
            fault
        } else {
            Fault::None
        }
    });
    let manifest = fresh
        .registry
        .publish(&model(), large_version())
        .await
        .unwrap();
    let ops = [
        Op::UploadBegin,
        Op::UploadPiece,
        Op::UploadComplete,
        Op::UploadAbort,
    ];
    let counts = ops.map(|op| server.count(op));
    assert_whole(&fresh.registry, &manifest).await;
    counts
}

#[tokio::test]
async fn failed_upload_part_is_retried_alone() {
    assert_eq!(
        publish_through(Fault::None, Op::UploadPiece).await,
        [1, 3, 1, 0]
    );
    for fault in [Fault::LoseAnswer, Fault::Status(500)] {
        let counts = publish_through(fault, Op::UploadPiece).await;
        assert_eq!(counts, [1, 4, 1, 0], "{fault:?}");
    }
}

#[tokio::test]
async fn completed_upload_is_found_although_its_response_was_lost() {
    let counts = publish_through(Fault::LoseAnswer, Op::UploadComplete).await;
    assert_eq!(counts, [1, 3, 2, 0], "nothing is sent twice");
}

#[tokio::test]
async fn upload_that_cannot_be_finished_is_aborted_and_publishes_nothing() {
    for op in [Op::UploadPiece, Op::UploadComplete] {
        let fresh = Fresh::s3s().await.unwrap();
        let server = fresh.server();
        server.plan(move |_: &[Call], call| {
            if call.op == op {
                Fault::Status(500)
            } else {
                Fault::None
            }
        });
        let error = fresh
            .registry
            .publish(&model(), large_version())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), "unavailable", "{error}");
        assert_eq!(server.count(Op::UploadAbort), 1);
        assert_eq!(server.open_uploads(), 0);
        assert_eq!(fresh.registry.versions(&model()).await.unwrap(), []);
        server.heal();
        let manifest = fresh
            .registry
            .publish(&model(), large_version())
            .await
            .unwrap();
        assert_eq!(manifest.version.get(), 1);
    }
}
