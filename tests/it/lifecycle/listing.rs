//! `ListModelVersions`.

use hotshelf::grpc::proto::{ListModelVersionsRequest, ReloadModelRequest};
use serde_json::json;
use tonic::Code;

use crate::harness::{MODEL, Published, Season, Server, Shop, error_kind};

/// Two versions, one record that does not parse, one removed version.
async fn shop() -> (Shop, Published) {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    shop.publish(Season::Autumn).await;
    let versions = shop.root().join(MODEL).join("versions");
    std::fs::write(versions.join("000003.json"), "{ junk").unwrap();
    let removed = json!({
        "format": 1, "model": MODEL, "version": 4,
        "removed": { "at": "2026-01-01T00:00:00Z", "by": "ann", "why": "wrong prices" },
    });
    std::fs::write(versions.join("000004.json"), removed.to_string()).unwrap();
    (shop, spring)
}

#[tokio::test]
async fn versions_are_listed_newest_first_in_pages_with_what_is_wrong_with_them() {
    let (shop, spring) = shop().await;
    let server = Server::start(&shop, &[]).await;
    let mut operator = server.operator().await;
    let page = |page_size, before_version| ListModelVersionsRequest {
        page_size: Some(page_size),
        before_version,
        ..ListModelVersionsRequest::default()
    };
    let first = operator
        .list_model_versions(page(3, None))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(first.model, MODEL);
    let numbers: Vec<_> = first
        .versions
        .iter()
        .map(|version| version.version)
        .collect();
    assert_eq!(
        (numbers, first.next_before_version),
        (vec![4, 3, 2], Some(2))
    );
    assert_eq!(first.versions[0].problem, "removed by ann: wrong prices");
    assert!(
        first.versions[1].problem.contains("corrupt"),
        "{:?}",
        first.versions[1]
    );
    assert_eq!(first.versions[2].problem, "");

    let last = operator
        .list_model_versions(page(2, Some(2)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((last.versions.len(), last.next_before_version), (1, None));
    let listed = &last.versions[0];
    let bytes: usize = spring.parts.0.values().map(Vec::len).sum();
    assert_eq!((listed.version, listed.size_bytes), (1, bytes as u64));
    assert_eq!((listed.users, listed.products), (240, 240));
    assert_eq!(
        listed.interactions,
        spring.model.history().interactions() as u64
    );
    assert_eq!(
        (listed.author.as_str(), listed.created_at.is_some()),
        ("tests", true)
    );
    server.stop().await;
}

/// Nobody gets something older than what they asked for without being told.
#[tokio::test]
async fn newest_skips_removed_versions_and_no_unreadable_ones() {
    let (shop, _spring) = shop().await;
    let server = Server::start(&shop, &[]).await;
    let asked = |version| ReloadModelRequest {
        version,
        ..ReloadModelRequest::default()
    };
    for (version, kind) in [
        (None, "corrupt"),
        (Some(3), "corrupt"),
        (Some(4), "removed"),
    ] {
        let refused = server.reload_as(asked(version)).await.unwrap_err();
        assert_eq!(
            (refused.code(), error_kind(&refused).as_str()),
            (Code::FailedPrecondition, kind)
        );
    }
    assert_eq!(server.live_version().await, None);
    assert!(server.reload_as(asked(Some(2))).await.unwrap().changed);
    server.stop().await;
}
