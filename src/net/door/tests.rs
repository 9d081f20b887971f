use super::headers::{PathTable, Walked};
use super::*;
use crate::net::frames::{Head, kind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const KNOWN: &[KnownPath] = &[
    KnownPath {
        plain: "/a/b",
        // Six bits for each slash, five for each letter, and two ones: 011000 00011 011000 100011.
        coded: &[0x60, 0x6c, 0x47],
    },
    KnownPath {
        plain: "/c",
        coded: &[0xff],
    },
];

fn walked(changes_table: bool, path: Option<usize>) -> Option<Walked> {
    Some(Walked {
        changes_table,
        path,
    })
}

/// `:path` by its static name and a plain value, in the table or not.
fn path(is_added: bool, path: &str) -> Vec<u8> {
    let mut block = vec![
        if is_added { 0x44 } else { 0x04 },
        u8::try_from(path.len()).unwrap(),
    ];
    block.extend(path.as_bytes());
    block
}

#[test]
fn a_known_path_is_known_however_it_is_written() {
    let mut table = PathTable::default();
    assert_eq!(
        table.walk(&path(false, "/a/b"), KNOWN),
        walked(false, Some(0))
    );
    let coded = [0x83, 0x04, 0x83, 0x60, 0x6c, 0x47];
    assert_eq!(table.walk(&coded, KNOWN), walked(false, Some(0)));
    let never_added = [0x14, 2, b'/', b'c'];
    assert_eq!(table.walk(&never_added, KNOWN), walked(false, Some(1)));
    assert_eq!(table.walk(&path(false, "/a/c"), KNOWN), walked(false, None));
    // `/` and `/index.html` of the static table.
    assert_eq!(table.walk(&[0x84, 0x85], KNOWN), walked(false, None));
    assert_eq!(table.walk(&path(true, "/c"), KNOWN), walked(true, Some(1)));
    assert_eq!(table.walk(&[0xbe], KNOWN), walked(false, Some(1)));
    // Another header comes before it in the table, within a block that names both.
    let other = [0xbe, 0x40, 1, b'x', 1, b'y', 0xbf];
    assert_eq!(table.walk(&other, KNOWN), walked(true, Some(1)));
    assert_eq!(table.walk(&[0xbe], KNOWN), walked(false, None));
    assert_eq!(table.walk(&[0xbf], KNOWN), walked(false, Some(1)));
    // Its name by the place of another path, as 15 and 48 in a prefix of four bits.
    let by_name = [0x0f, 0x30, 4, b'/', b'a', b'/', b'b'];
    assert_eq!(table.walk(&by_name, KNOWN), walked(false, Some(0)));
    assert_eq!(table.walk(&[0x20], KNOWN), walked(true, None), "a size");
}

#[test]
fn a_table_without_room_remembers_nothing() {
    let mut table = PathTable::default();
    assert_eq!(table.walk(&path(true, "/c"), KNOWN), walked(true, Some(1)));
    let closes = [vec![0x20], path(true, "/a/b")].concat();
    assert_eq!(table.walk(&closes, KNOWN), walked(true, Some(0)));
    assert_eq!(table.walk(&[0xbe], KNOWN), walked(false, None));
    assert_eq!(table.walk(&path(true, "/c"), KNOWN), walked(false, Some(1)));
    // Shut and opened again, with 64 bytes: 31 in the first five bits, and 33.
    let opens = [vec![0x20, 0x3f, 33], path(true, "/a/b")].concat();
    assert_eq!(table.walk(&opens, KNOWN), walked(true, Some(0)));
    assert_eq!(table.walk(&[0xbe], KNOWN), walked(false, Some(0)));
}

#[test]
fn what_is_no_header_block_is_found_out() {
    let whole = [0x40, 1, b'x', 1, b'y'];
    for len in 1..whole.len() {
        assert_eq!(PathTable::default().walk(&whole[..len], KNOWN), None);
    }
    let endless = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(PathTable::default().walk(&endless, KNOWN), None);
}

/// Has room for so many calls, and counts those that it turned away.
#[derive(Default)]
struct Room {
    calls: AtomicUsize,
    turned_away: Mutex<Vec<(usize, u64)>>,
}

impl Door for Room {
    fn has_room(&self, ahead: usize) -> bool {
        ahead < self.calls.load(Relaxed)
    }

    fn turned_away(&self, path: usize, count: u64) {
        self.turned_away.lock().unwrap().push((path, count));
    }
}

fn sieve() -> (Arc<Room>, Sieve) {
    let room = Arc::new(Room::default());
    let mut headers = HeaderMap::new();
    headers.insert("grpc-status", "14".parse().unwrap());
    let door: Arc<dyn Door> = Arc::<Room>::clone(&room);
    (room, Sieve::new((door, Refusals::new(KNOWN, &headers))))
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// HEADERS and the DATA that ends them.
fn call(stream: u32, block: &[u8]) -> Vec<u8> {
    let headers = frame(kind::HEADERS, Head::END_HEADERS, stream, block);
    let data = frame(kind::DATA, Head::END_STREAM, stream, &[7; 300]);
    [headers, data].concat()
}

/// The refusal of a stream, byte by byte.
fn refusal(stream: u32) -> Vec<u8> {
    let block = [&[0x88, 0, 11][..], b"grpc-status", &[2], b"14"].concat();
    let flags = Head::END_HEADERS | Head::END_STREAM;
    frame(kind::HEADERS, flags, stream, &block)
}

/// What goes on of these bytes, given in pieces of this size, and the answers.
fn sifted(sieve: &mut Sieve, bytes: &[u8], step: usize) -> (Vec<u8>, BytesMut) {
    let (mut passed, mut answers) = (Vec::new(), BytesMut::new());
    for piece in bytes.chunks(step) {
        sieve.sift(piece, Some(&mut answers), |bytes| passed.extend(bytes));
    }
    (passed, answers)
}

#[test]
fn calls_without_room_are_taken_out_and_all_else_goes_on() {
    let known = path(false, "/a/b");
    let ping = frame(6, 0, 0, &[1; 8]);
    let unknown = call(5, &path(false, "/grpc.health"));
    let adding = call(7, &path(true, "/a/b"));
    let with_more = frame(kind::HEADERS, Head::END_HEADERS, 11, &known);
    let bytes = [
        ping.clone(),
        call(1, &known),
        call(3, &path(false, "/c")),
        ping.clone(),
        unknown.clone(),
        adding.clone(),
        call(9, &[0xbe]),
        with_more,
        frame(kind::DATA, 0, 11, &[1; 700]),
        frame(kind::RST_STREAM, 0, 11, &[0, 0, 0, 8]),
        ping.clone(),
    ]
    .concat();
    let expected = [ping.clone(), ping.clone(), unknown, adding, ping].concat();
    let answered = [1, 3, 9, 11].map(refusal).concat();
    for step in [1, 2, 8, 9, 10, 100, 100_000] {
        let (room, mut sieve) = sieve();
        let (passed, answers) = sifted(&mut sieve, &bytes, step);
        assert!(passed == expected, "in pieces of {step}");
        assert_eq!(answers, answered, "in pieces of {step}");
        let counts = room.turned_away.lock().unwrap();
        let of = |path| counts.iter().filter(move |count| count.0 == path);
        let sum = |path| of(path).map(|count| count.1).sum::<u64>();
        assert_eq!([sum(0), sum(1)], [3, 1]);
    }
}

/// SETTINGS that acknowledge, and those that leave a table no room.
fn settings() -> [Vec<u8>; 2] {
    let no_table = [0, 1, 0, 0, 0, 0];
    [(Head::ACK, &[][..]), (0, &no_table)]
        .map(|(flags, payload)| frame(kind::SETTINGS, flags, 0, payload))
}

#[test]
fn a_peer_whose_headers_change_the_table_is_asked_once_to_send_others() {
    let (plain, adding) = (path(false, "/a/b"), path(true, "/a/b"));
    let [acknowledged, no_table] = settings();
    let (room, mut sieve) = sieve();
    let mut sift = |bytes: &[u8]| {
        let (passed, answers) = sifted(&mut sieve, bytes, 11);
        (passed, answers.to_vec())
    };
    // HTTP/2's own settings are not acknowledged yet, and then they are.
    let early = [call(1, &adding), acknowledged.clone()].concat();
    assert_eq!(sift(&early), (early.clone(), Vec::new()));
    let two = [call(3, &adding), call(5, &adding)].concat();
    assert_eq!(sift(&two), (two.clone(), no_table));
    // The peer answers that, which HTTP/2 does not hear of, and shuts its table, which it has to.
    let shutting = call(7, &[vec![0x20], adding.clone()].concat());
    let heard = [acknowledged.clone(), shutting.clone()].concat();
    assert_eq!(sift(&heard), (shutting, Vec::new()));
    let refused = [9, 11].map(refusal).concat();
    let both = [call(9, &adding), call(11, &plain)].concat();
    assert_eq!(sift(&both), (Vec::new(), refused));
    // Any other acknowledgement is a mistake, of which HTTP/2 is to judge.
    assert_eq!(sift(&acknowledged), (acknowledged.clone(), Vec::new()));
    let opened = call(13, &[vec![0x3f, 33], adding].concat());
    assert_eq!(sift(&opened), (opened.clone(), Vec::new()));
    assert_eq!(*room.turned_away.lock().unwrap(), [(0, 1), (0, 1)]);
}

#[test]
fn a_peer_with_room_is_asked_for_nothing() {
    let (room, mut sieve) = sieve();
    room.calls.store(1, Relaxed);
    let [acknowledged, _] = settings();
    let bytes = [acknowledged, call(1, &path(true, "/a/b"))].concat();
    let (passed, answers) = sifted(&mut sieve, &bytes, bytes.len());
    assert!(passed == bytes && answers.is_empty());
}

#[test]
fn what_has_room_or_may_not_be_answered_goes_on() {
    let known = path(false, "/a/b");
    let bytes: Vec<u8> = (0..5).flat_map(|turn| call(2 * turn + 1, &known)).collect();
    let (room, mut sieve) = sieve();
    room.calls.store(2, Relaxed);
    let mut passed: Vec<u8> = Vec::new();
    let refused = sieve.sift(&bytes, None, |bytes| passed.extend(bytes));
    assert!(refused == 0 && passed == bytes);
    let (room, mut sieve) = self::sieve();
    room.calls.store(2, Relaxed);
    let (passed, answers) = sifted(&mut sieve, &bytes, bytes.len());
    assert!(passed == [call(1, &known), call(3, &known)].concat());
    assert_eq!(answers, [5, 7, 9].map(refusal).concat());
}

#[test]
fn frames_of_refused_streams_are_no_concern_of_http2_until_it_knows_a_newer_one() {
    let known = path(false, "/a/b");
    let (room, mut sieve) = sieve();
    let update = |stream| frame(kind::WINDOW_UPDATE, 0, stream, &[0, 0, 0, 1]);
    let reset = |stream| frame(kind::RST_STREAM, 0, stream, &[0, 0, 0, 8]);
    let late = [call(1, &known), update(1), reset(1), update(0)].concat();
    assert!(sifted(&mut sieve, &late, 7).0 == update(0));
    room.calls.store(1, Relaxed);
    let newer = [call(3, &known), update(1)].concat();
    assert!(sifted(&mut sieve, &newer, newer.len()).0 == newer);
}

#[test]
fn the_window_of_what_was_refused_is_given_back() {
    let known = path(false, "/a/b");
    let (_, mut sieve) = sieve();
    let open = frame(kind::HEADERS, Head::END_HEADERS, 1, &known);
    let body: Vec<u8> = (0..3)
        .flat_map(|_| frame(kind::DATA, 0, 1, &[1; 7_000]))
        .collect();
    let bytes = [open, body].concat();
    let (passed, answers) = sifted(&mut sieve, &bytes, bytes.len());
    assert!(passed.is_empty());
    let widened = frame(kind::WINDOW_UPDATE, 0, 0, &21_000_u32.to_be_bytes());
    assert_eq!(answers, [refusal(1), widened].concat());
}

#[test]
fn after_headers_in_pieces_nothing_is_refused_any_more() {
    let known = path(false, "/a/b");
    let (_, mut sieve) = sieve();
    let refused = frame(kind::HEADERS, Head::END_HEADERS, 1, &known);
    assert!(sifted(&mut sieve, &refused, 100).0.is_empty());
    let rest = [
        frame(kind::HEADERS, 0, 3, &known[..2]),
        frame(kind::CONTINUATION, Head::END_HEADERS, 3, &known[2..]),
        call(5, &known),
    ]
    .concat();
    let body = frame(kind::DATA, Head::END_STREAM, 1, &[1; 10]);
    let (passed, answers) = sifted(&mut sieve, &[rest.clone(), body].concat(), 50);
    assert!(passed == rest && answers.is_empty());
}

#[test]
fn an_end_in_the_middle_of_a_frame_hands_on_what_there_is() {
    let (_, mut sieve) = sieve();
    let bytes = call(1, &path(false, "/a/b"));
    assert!(sifted(&mut sieve, &bytes[..12], 5).0.is_empty());
    assert_eq!(sieve.end(), bytes[..12]);
}
