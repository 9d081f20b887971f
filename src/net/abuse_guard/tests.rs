use super::super::connection_watch::ConnectionWatch;
use super::super::frames::Head;
use super::super::limits::ConnectionLimits;
use super::*;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn frame(kind: u8, flags: u8, stream: u32, len: usize) -> Vec<u8> {
    let mut bytes = u32::try_from(len).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.resize(9 + len, 0);
    bytes
}

fn resets() -> Arc<StreamResets> {
    let metrics = crate::metrics::Metrics::new().unwrap();
    Arc::new(StreamResets::new(&metrics, "data"))
}

fn guarded() -> (AbuseGuard, ConnectionWatch, Instant) {
    let (stats, now) = (ConnectionStats::default(), Instant::now());
    let limits = ConnectionLimits {
        frame_timeout: SECOND,
        unread_timeout: SECOND,
        idle_timeout: 10 * SECOND,
        ..ConnectionLimits::patient()
    };
    let watch = ConnectionWatch::new(stats.clone(), &limits, now);
    (AbuseGuard::new(stats, resets()), watch, now)
}

/// Reads `rounds` rounds, and returns the first one after which the budget was spent.
fn survived(rounds: u32, mut round: impl FnMut(u32) -> Vec<u8>) -> Option<u32> {
    let (mut guard, _, _) = guarded();
    (0..rounds).find(|turn| guard.read(&round(*turn)).is_err())
}

#[test]
fn frames_without_requests_spend_the_budget() {
    for (kind, name) in [
        (2, "PRIORITY"),
        (4, "SETTINGS"),
        (6, "PING"),
        (8, "WINDOW_UPDATE"),
        (9, "CONTINUATION"),
        (0x77, "unknown"),
        (0, "empty DATA"),
    ] {
        let end = survived(100_000, |_| frame(kind, 0x4 * u8::from(kind == 9), 1, 0));
        assert!(end.is_some_and(|end| end < 50_000), "{name}: {end:?}");
    }
}

#[test]
fn cancelled_requests_spend_the_budget_and_others_never_do() {
    let request = |turn: u32| frame(1, 0x5, 2 * turn + 1, 20);
    let cancelled = |turn: u32| [request(turn), frame(3, 0, 2 * turn + 1, 4)].concat();
    assert!(survived(400_000, cancelled).is_some());
    let half_cancelled = |turn: u32| match turn % 2 {
        0 => cancelled(turn),
        _ => request(turn),
    };
    assert_eq!(survived(100_000, half_cancelled), None);
    let busy = |turn: u32| {
        let ping = frame(6, 0, 0, 8);
        let update = frame(8, 0, 0, 4);
        [request(turn), ping, update.clone(), update].concat()
    };
    assert_eq!(survived(100_000, busy), None);
    let large = |_| frame(0, 0, 1, 16_384);
    assert_eq!(survived(10_000, large), None);
}

#[test]
fn budget_comes_back_with_time() {
    let (mut guard, _, _) = guarded();
    let ping = frame(6, 0, 0, 8);
    let spent = (0..200_000).find(|_| guard.read(&ping).is_err());
    assert!(spent.is_some());
    assert_eq!(guard.stats.end(), Some(End::FrameFlood));
    guard.budget.refilled -= 2 * SECOND;
    assert!((0..500).all(|_| guard.read(&ping).is_ok()));
}

#[test]
fn frame_that_drips_ends_the_connection_and_one_that_flows_does_not() {
    let (mut guard, mut watch, now) = guarded();
    guard.read(&frame(1, 0x4, 1, 40)[..20]).unwrap();
    assert_eq!(watch.judge(now + SECOND / 2, 0), None);
    guard.read(&[0]).unwrap();
    assert_eq!(
        watch.judge(Instant::now() + SECOND, 0),
        Some(End::FrameTimeout)
    );

    let (mut guard, mut watch, now) = guarded();
    guard.read(&frame(1, 0, 1, 1)).unwrap();
    for _ in 0..10 {
        guard.read(&frame(9, 0, 1, 1)).unwrap();
    }
    let judged = watch.judge(now + SECOND * 2, 0);
    assert_eq!(judged, Some(End::FrameTimeout), "a header block that drips");
    guard.read(&frame(9, 0x4, 1, 1)).unwrap();
    assert_eq!(watch.judge(now + SECOND * 2, 0), None);
}

#[test]
fn unread_answers_end_the_connection() {
    let (mut guard, mut watch, now) = guarded();
    guard.stats.answered(1000);
    assert_eq!(watch.judge(now, 1), None);
    guard.write(&frame(0, 0, 1, 400));
    assert_eq!(watch.judge(now + SECOND, 1), Some(End::UnreadAnswers));

    let (mut guard, mut watch, now) = guarded();
    guard.stats.answered(1000);
    assert_eq!(watch.judge(now, 1), None);
    guard.write(&frame(0, 0, 1, 1000));
    guard.sent(0, 1009);
    assert_eq!(watch.judge(now + SECOND, 1), None, "on its way");
    assert_eq!(
        watch.judge(now + SECOND * 2, 1),
        Some(End::UnreadAnswers),
        "the socket takes nothing"
    );
    guard.sent(1009, 0);
    assert_eq!(watch.judge(now + SECOND * 3, 1), None);
}

#[test]
fn slow_reader_is_served_and_a_cancelled_call_owes_nothing() {
    let (mut guard, mut watch, now) = guarded();
    guard.stats.answered(1_000_000);
    for turn in 0..10 {
        assert_eq!(watch.judge(now + SECOND * turn, 1), None);
        guard.write(&frame(0, 0, 1, 16_000));
        guard.write(&frame(0, 0, 1, 64_000));
    }
    let (mut guard, mut watch, now) = guarded();
    guard.stats.answered(1000);
    assert_eq!(watch.judge(now, 1), None);
    guard.read(&frame(3, 0, 1, 4)).unwrap();
    assert_eq!(watch.judge(now + SECOND * 2, 1), None);
}

#[test]
fn only_a_connection_without_calls_and_requests_is_idle() {
    let (mut guard, mut watch, now) = guarded();
    assert_eq!(watch.judge(now + 9 * SECOND, 0), None);
    guard.read(&frame(1, 0x5, 1, 20)).unwrap();
    assert_eq!(watch.judge(now + 10 * SECOND, 0), None);
    assert_eq!(watch.judge(now + 19 * SECOND, 1), None, "a call in flight");
    assert_eq!(watch.judge(now + 28 * SECOND, 0), None);
    assert_eq!(watch.judge(now + 29 * SECOND, 0), Some(End::Idle));
}

#[test]
fn all_is_answered_once_every_request_has_an_end_of_some_kind() {
    const END: u8 = 0x4 | Head::END_STREAM;
    let (mut guard, _, _) = guarded();
    assert!(guard.is_all_answered());
    for stream in [1, 3, 5, 7, 9] {
        guard.read(&frame(kind::HEADERS, 0x4, stream, 20)).unwrap();
        guard.read(&frame(kind::DATA, 0x1, stream, 7)).unwrap();
        assert!(!guard.is_all_answered());
    }
    // An answer in three frames, one in one, one reset by us, one cancelled, one in one frame again.
    guard.write(&frame(kind::HEADERS, 0x4, 1, 10));
    guard.write(&frame(kind::DATA, 0, 1, 10));
    guard.write(&frame(kind::HEADERS, END, 1, 10));
    guard.write(&frame(kind::HEADERS, END, 3, 10));
    guard.write(&frame(kind::RST_STREAM, 0, 5, 4));
    guard.read(&frame(kind::RST_STREAM, 0, 7, 4)).unwrap();
    assert!(!guard.is_all_answered());
    guard.write(&frame(kind::HEADERS, END, 9, 10));
    assert!(guard.is_all_answered());
    // What ends twice makes no debt.
    guard.read(&frame(kind::RST_STREAM, 0, 1, 4)).unwrap();
    guard.read(&frame(kind::HEADERS, 0x5, 11, 20)).unwrap();
    assert!(!guard.is_all_answered());
}

#[test]
fn streaming_answer_delays_no_other() {
    let (mut guard, _, _) = guarded();
    let ask = |guard: &mut AbuseGuard, stream| {
        guard.read(&frame(kind::HEADERS, 0x5, stream, 20)).unwrap();
        assert!(!guard.is_all_answered());
    };
    ask(&mut guard, 1);
    guard.write(&frame(kind::HEADERS, 0x4, 1, 10));
    assert!(guard.is_all_answered(), "a watch");
    // A whole answer beside it, a message of the watch, and its end: none is owed, none is owing.
    ask(&mut guard, 3);
    guard.write(&frame(kind::HEADERS, 0x4, 3, 10));
    guard.write(&frame(kind::DATA, 0, 1, 10));
    guard.write(&frame(kind::HEADERS, 0x5, 3, 10));
    assert!(guard.is_all_answered());
    ask(&mut guard, 5);
    guard.read(&frame(kind::RST_STREAM, 0, 1, 4)).unwrap();
    assert!(!guard.is_all_answered());
    guard.write(&frame(kind::HEADERS, 0x5, 5, 10));
    assert!(guard.is_all_answered());
}

#[test]
fn streams_that_the_server_resets_are_counted_by_code() {
    let metrics = crate::metrics::Metrics::new().unwrap();
    let resets = Arc::new(StreamResets::new(&metrics, "data"));
    let mut guard = AbuseGuard::new(ConnectionStats::default(), resets);
    let mut reset = frame(kind::RST_STREAM, 0, 1, 4);
    for code in [1, 7, 7, 200] {
        *reset.last_mut().unwrap() = code;
        guard.write(&reset);
    }
    let count = |code| {
        let counter = metrics
            .traffic
            .streams_reset
            .with_label_values(&["data", code]);
        counter.get()
    };
    assert_eq!((count("PROTOCOL_ERROR"), count("REFUSED_STREAM")), (1, 2));
    assert_eq!(count("NO_ERROR"), 0);
}
