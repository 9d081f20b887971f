//! Callers that pin the version, and the metadata that names version, rollout and arm.

use crate::harness::{MODEL, Server, Shop, error_reason, hotshelf, until, violations};
use hotshelf::grpc::proto::{RecommendRequest, SimilarProductsRequest};
use http::HeaderMap;
use tonic::{Code, Request, Status};

const PIN: &str = "x-hotshelf-version";

/// A server whose traffic is split in half between versions 1 and 2.
async fn split(shop: &Shop, settings: &[(&str, &str)]) -> Server {
    shop.publish_two().await;
    let server = Server::serving(shop, 1, settings).await;
    shop.split([(1, 5_000), (2, 5_000)], "salt").await;
    until("both arms", async || {
        (server.live().await.arms.len() == 2).then_some(())
    })
    .await;
    server
}

/// Calls Recommend for a user with this pin; returns the version, rollout and arm of the message, and
/// the metadata.
async fn asked(
    server: &Server,
    user_id: &str,
    pin: Option<&str>,
) -> Result<((u64, u64, String), HeaderMap), Status> {
    let mut request = Request::new(RecommendRequest {
        user_id: user_id.to_owned(),
        ..RecommendRequest::default()
    });
    if let Some(pin) = pin {
        request.metadata_mut().insert(PIN, pin.parse().unwrap());
    }
    let response = server.recommender().await.recommend(request).await?;
    let (metadata, answer, _) = response.into_parts();
    let metadata = metadata.into_headers();
    Ok(((answer.version, answer.rollout, answer.arm), metadata))
}

#[tokio::test]
async fn metadata_names_version_rollout_and_arm_of_cached_and_computed_responses() {
    let shop = Shop::new();
    let server = split(&shop, &[]).await;
    for user in ["u0001", "u0002", "u0003", "u0001", "u0002", "u0003"] {
        let ((version, rollout, arm), metadata) = asked(&server, user, None).await.unwrap();
        let is_base = Shop::bucket("salt", user) < 5_000;
        assert_eq!((version, rollout), (if is_base { 1 } else { 2 }, 2));
        assert_eq!(metadata[PIN], version.to_string().as_str());
        assert_eq!(metadata["x-hotshelf-rollout"], "2");
        assert_eq!(metadata["x-hotshelf-arm"], arm.as_str());
    }
    let similar = SimilarProductsRequest {
        product_id: "p0001".to_owned(),
        user_id: "u0001".to_owned(),
        ..SimilarProductsRequest::default()
    };
    let mut client = server.recommender().await;
    let (metadata, answer, _) = client.similar_products(similar).await.unwrap().into_parts();
    let metadata = metadata.into_headers();
    assert_eq!(metadata[PIN], answer.version.to_string().as_str());
    server.stop().await;
}

#[tokio::test]
async fn pinned_version_answers_any_caller_while_it_is_live() {
    let shop = Shop::new();
    let server = split(&shop, &[]).await;
    for user in ["u0001", "u0002", "u0003"] {
        for (pin, arm) in [("1", "base"), ("2", "candidate")] {
            let (named, metadata) = asked(&server, user, Some(pin)).await.unwrap();
            assert_eq!(named, (pin.parse().unwrap(), 2, arm.to_owned()));
            assert_eq!(metadata[PIN], pin);
        }
    }
    let refused = asked(&server, "u0001", Some("9")).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(error_reason(&refused), "VERSION_NOT_LIVE");
    assert!(
        refused
            .message()
            .contains("version 9 is not live here; live versions: 1, 2")
    );
    for bad in ["", "0", "-1", "two", "1.0", &"9".repeat(1000)] {
        let refused = asked(&server, "u0001", Some(bad)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{bad:?}");
        assert_eq!(violations(&refused), ["metadata x-hotshelf-version"]);
    }
    let address = server.data.to_string();
    let by_command = |pin: &str| {
        hotshelf(&[
            "recommend",
            "u0001",
            "--addr",
            &address,
            "--json",
            "--pin",
            pin,
        ])
        .json()
    };
    for pin in ["1", "2"] {
        let list = by_command(pin);
        assert_eq!(
            (list["version"].to_string(), &list["model"]),
            (pin.to_owned(), &MODEL.into())
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn pin_is_refused_if_version_pin_is_disabled() {
    let shop = Shop::new();
    let server = split(&shop, &[("version-pin", "refuse")]).await;
    let refused = asked(&server, "u0001", Some("1")).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(error_reason(&refused), "VERSION_PIN_REFUSED");
    assert!(refused.message().contains("version_pin"));
    assert!(asked(&server, "u0001", None).await.is_ok());
    server.stop().await;
}
