//! The private cache folder: it saves a download, and nothing that happens to it can hurt.

use crate::harness::{MODEL, Season, Server, Shop, until};

#[tokio::test]
async fn damaged_cache_is_fetched_again_and_fails_no_request() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let cache = shop.place().join("cache").display().to_string();
    let settings = [("cache-dir", cache.as_str()), ("retry-first-ms", "50")];
    let server = Server::serving(&shop, spring.version, &settings).await;
    let upload = shop.manifest(spring.version).await.upload.to_string();
    let folder = std::path::Path::new(&cache).join(MODEL).join(upload);

    // What is live does not look at it any more.
    for entry in std::fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().path();
        let len = std::fs::metadata(&file).unwrap().len() as usize;
        std::fs::write(&file, vec![0; len]).unwrap();
    }
    assert_eq!(
        server.recommend("u0042").await.unwrap().items[0].product_id,
        spring.top("u0042")[0].0
    );
    server.stop().await;

    // A restart finds every part damaged, refetches each, and serves.
    let server = Server::start(&shop, &settings).await;
    server.until_ready().await;
    assert_eq!(
        server.recommend("u0042").await.unwrap().items[0].product_id,
        spring.top("u0042")[0].0
    );
    until("no complaint", async || {
        server.status().await.degraded.is_empty().then_some(())
    })
    .await;
    server.stop().await;
}
