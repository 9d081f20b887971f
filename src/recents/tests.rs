use super::*;
use crate::metrics::Metrics;

fn recents(bytes_max: u64) -> Recents {
    let limits = RecentsLimits {
        bytes_max,
        ttl: Duration::from_micros(1_000),
    };
    Recents::new(limits, Metrics::new().unwrap().recents)
}

fn view<'a>(user_id: &'a str, product_id: &'a str, occurred_at: i64) -> RecentEvent<'a> {
    RecentEvent {
        user_id,
        session_id: "",
        product_id,
        occurred_at,
        is_bought: false,
    }
}

/// Ids, newest first; those that are had in brackets.
fn shown(recents: &Recents, user_id: &str, now: i64) -> Vec<String> {
    let person = recents.of(user_id, "", now);
    let products = person.map_or_else(Vec::new, |person| person.products.clone());
    let shown = products.iter().map(|one| match one.is_bought {
        true => format!("[{}]", one.id),
        false => one.id.to_string(),
    });
    shown.collect()
}

#[test]
fn newest_product_is_first_in_whatever_order_events_come() {
    let recents = recents(1 << 20);
    for (product, at) in [("b", 2), ("d", 4), ("a", 1), ("c", 3), ("b", 2)] {
        recents.record(&view("ann", product, at), 10);
    }
    assert_eq!(shown(&recents, "ann", 10), ["d", "c", "b", "a"]);
    recents.record(&view("ann", "a", 9), 10);
    assert_eq!(shown(&recents, "ann", 10), ["a", "d", "c", "b"]);
}

#[test]
fn only_purchases_count_as_had_and_a_later_view_takes_nothing_away() {
    let recents = recents(1 << 20);
    let bought = RecentEvent {
        is_bought: true,
        ..view("ann", "a", 1)
    };
    recents.record(&bought, 1);
    recents.record(&view("ann", "b", 2), 2);
    recents.record(&view("ann", "a", 3), 3);
    assert_eq!(shown(&recents, "ann", 3), ["[a]", "b"]);
}

#[test]
fn twenty_products_are_kept() {
    let recents = recents(1 << 20);
    let ids: Vec<_> = (0..30).map(|n| format!("p{n}")).collect();
    for (at, id) in ids.iter().enumerate() {
        recents.record(&view("ann", id, at as i64), 30);
    }
    let kept = shown(&recents, "ann", 30);
    assert_eq!(kept.len(), 20);
    assert_eq!((&*kept[0], &*kept[19]), ("p29", "p10"));
}

#[test]
fn person_expires_after_the_last_event_and_begins_anew() {
    let recents = recents(1 << 20);
    recents.record(&view("ann", "a", 0), 0);
    assert_eq!(shown(&recents, "ann", 1_000), ["a"]);
    assert!(shown(&recents, "ann", 1_001).is_empty());
    recents.record(&view("ann", "b", 1_001), 1_001);
    assert_eq!(shown(&recents, "ann", 1_001), ["b"]);
}

#[test]
fn users_and_sessions_of_one_name_are_two_people() {
    let recents = recents(1 << 20);
    let in_session = RecentEvent {
        session_id: "ann",
        ..view("", "s", 0)
    };
    recents.record(&in_session, 0);
    recents.record(&view("ann", "u", 0), 0);
    assert_eq!(shown(&recents, "ann", 0), ["u"]);
    let session = recents.of("", "ann", 0).unwrap();
    assert_eq!(&*session.products[0].id, "s");
    assert!(recents.of("", "", 0).is_none());
    assert!(recents.forget("ann") && !recents.forget("ann"));
    assert!(shown(&recents, "ann", 0).is_empty());
    assert!(recents.of("", "ann", 0).is_some());
}

#[test]
fn memory_is_bounded_and_evictions_are_counted() {
    let metrics = Metrics::new().unwrap().recents;
    let limits = RecentsLimits {
        bytes_max: 64 << 10,
        ttl: Duration::from_secs(1),
    };
    let recents = Recents::new(limits, Arc::clone(&metrics));
    // The same person again is no eviction.
    for _ in 0..100 {
        recents.record(&view("ann", "a", 0), 0);
    }
    assert_eq!((metrics.evicted.get(), recents.len()), (0, 1));
    for user in 0..5_000 {
        recents.record(&view(&format!("u{user}"), "a", 0), 0);
        assert!(recents.bytes() <= 64 << 10);
    }
    let (evicted, kept) = (metrics.evicted.get(), recents.len() as u64);
    assert!(kept > 50, "{kept} are kept");
    assert_eq!(evicted + kept, 5_001);
}

#[test]
fn concurrent_events_of_one_person_are_all_kept() {
    let recents = recents(1 << 20);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let recents = &recents;
            scope.spawn(move || {
                for n in 0..5 {
                    recents.record(&view("ann", &format!("p{thread}-{n}"), 0), 0);
                }
            });
        }
    });
    assert_eq!(shown(&recents, "ann", 0).len(), 20);
}
