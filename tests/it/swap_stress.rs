//! Many swaps under load: the short form of `bench/swap`. It fails on any failed request, and on
//! memory, descriptors or threads that do not come back.

use crate::harness::{Held, Season, Server, Shop, Traffic, until};

/// Odd, as is [`FIRST_COUNTED`], so that the same version is live after both.
const SWAPS: u64 = 101;
const FIRST_COUNTED: u64 = 5;
/// Factors of the larger version; the smaller one has 8.
const FACTORS: usize = 200;
/// What an allocator may hold at one moment and not at another (measured: up to 8 MiB between swaps
/// that leak nothing). Fifty larger versions left behind are some 40 MiB.
const SLACK_BYTES: u64 = 10 << 20;
/// Threads that the runtime's pool for blocking calls may have more of at one moment than at another
/// (measured: 6). A thread left behind by every swap would be 96.
const THREADS_SLACK: usize = 16;
/// Requests per second.
const RATE: u32 = 300;

#[tokio::test]
async fn many_swaps_fail_no_request_and_leave_nothing_behind() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    shop.publish_sized(Season::Autumn, FACTORS).await;
    // Cached responses would accumulate during the first swaps.
    let server = Server::serving(&shop, 1, &[("cache-bytes-max", "0")]).await;
    let traffic = Traffic::start(server.data, Shop::users(), RATE);
    let mut counted = None;
    for swap in 1..=SWAPS {
        let done = server.reload(1 + swap % 2).await.unwrap();
        assert!(done.changed, "{done:?}");
        until("the old version's end", async || {
            has_one_version(&server).await
        })
        .await;
        if swap == FIRST_COUNTED {
            counted = Some(server.held());
        }
    }
    comes_back_to(&server, counted.unwrap()).await;
    let seen = traffic.finish();
    seen.assert_all_answered();
    assert!(seen.requests() as u64 > 10 * SWAPS, "{}", seen.requests());
    server.stop().await;
}

/// Whether only what is live is in memory.
async fn has_one_version(server: &Server) -> Option<()> {
    let scrape = server.scrape().await;
    (scrape.value("hotshelf_resident_versions", &[]) == Some(1.0)).then_some(())
}

/// Waits until the process holds no more than it did then, but for the slack above. A leak never
/// comes back; what a closing connection still holds does.
async fn comes_back_to(server: &Server, then: Held) {
    let mut now = then;
    until(&format!("no more than {then:?}"), async || {
        now = server.held();
        let is_back = now.anonymous <= then.anonymous + SLACK_BYTES
            && now.descriptors <= then.descriptors
            && now.threads <= then.threads + THREADS_SLACK;
        is_back.then_some(())
    })
    .await;
}
