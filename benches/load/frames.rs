//! The few HTTP/2 frames that a gRPC call needs (RFC 9113), written and parsed.

/// The method that is called.
const RECOMMEND: &str = "/hotshelf.v1.RecommendationService/Recommend";

/// Bytes of a frame's head.
pub(super) const HEAD: usize = 9;
/// What a client sends before its first frame.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What this client sends first: the preface, and settings without pushes and with the widest windows, so that
/// the client delays no answer.
pub(super) fn greeting() -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    let mut settings = Vec::new();
    for (id, value) in [(2_u16, 0_u32), (4, WINDOW_MAX)] {
        settings.extend(id.to_be_bytes());
        settings.extend(value.to_be_bytes());
    }
    put(&mut bytes, kind::SETTINGS, 0, 0, &settings);
    window(&mut bytes, WINDOW_MAX - WINDOW_AT_FIRST);
    bytes
}

/// The widest flow-control window.
pub(super) const WINDOW_MAX: u32 = (1 << 31) - 1;
/// The window of a new connection.
pub(super) const WINDOW_AT_FIRST: u32 = 65_535;

/// Types of frames, by their number on the wire.
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// Flag of DATA and HEADERS.
pub(crate) const END_STREAM: u8 = 0x1;
/// Flag of SETTINGS and PING.
pub(super) const ACK: u8 = 0x1;
/// Flag of HEADERS.
pub(crate) const END_HEADERS: u8 = 0x4;

/// A frame's head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) len: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    pub(super) fn parse(bytes: [u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, s1, s2, s3, s4] = bytes;
        Self {
            len: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes([s1 & 0x7f, s2, s3, s4]),
        }
    }
}

/// Appends a frame.
pub(crate) fn put(to: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    to.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    to.extend_from_slice(&[kind, flags]);
    to.extend_from_slice(&stream.to_be_bytes());
    to.extend_from_slice(payload);
}

/// Widens the connection's window.
pub(super) fn window(to: &mut Vec<u8>, by: u32) {
    put(to, kind::WINDOW_UPDATE, 0, 0, &by.to_be_bytes());
}

/// The header block of a Recommend, the same for every call: literals that no table remembers
/// (RFC 7541, section 6.2.2).
pub(crate) fn header_block() -> Vec<u8> {
    // :method POST and :scheme http stand in the static table.
    let mut block = vec![0x83, 0x86];
    let mut literal = |index: &[u8], name: Option<&str>, value: &str| {
        block.extend_from_slice(index);
        for text in name.into_iter().chain([value]) {
            block.push(u8::try_from(text.len()).expect("header texts here are short"));
            block.extend_from_slice(text.as_bytes());
        }
    };
    literal(&[0x04], None, RECOMMEND);
    literal(&[0x01], None, "localhost");
    // content-type is entry 31: beyond the four bits of the first byte.
    literal(&[0x0f, 31 - 15], None, "application/grpc");
    literal(&[0x00], Some("te"), "trailers");
    block
}

/// Appends a call: its headers and its one message.
pub(super) fn call(to: &mut Vec<u8>, stream: u32, block: &[u8], message: &[u8]) {
    put(to, kind::HEADERS, END_HEADERS, stream, block);
    let mut body = vec![0];
    body.extend_from_slice(&(message.len() as u32).to_be_bytes());
    body.extend_from_slice(message);
    put(to, kind::DATA, END_STREAM, stream, &body);
}

/// The same with one more header, which enters the HPACK table with each call (section 6.2.1), as deadlines and
/// traces do.
pub(super) fn adding_header_block() -> Vec<u8> {
    let mut block = header_block();
    block.extend_from_slice(&[0x40, 6]);
    block.extend_from_slice(b"x-turn");
    block.extend_from_slice(&[3]);
    block.extend_from_slice(b"new");
    block
}
