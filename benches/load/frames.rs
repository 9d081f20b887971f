//! The few HTTP/2 frames that a gRPC call needs (RFC 9113), written and told apart.

/// Bytes of a frame's head.
pub(super) const HEAD: usize = 9;
/// What a client says first: the preface, settings without pushes and with the widest
/// windows, so that nothing of the client's holds an answer up.
pub(super) fn greeting() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let mut settings = Vec::new();
    for (id, value) in [(2_u16, 0_u32), (4, WINDOW_MAX)] {
        settings.extend(id.to_be_bytes());
        settings.extend(value.to_be_bytes());
    }
    put(&mut bytes, Kind::Settings, 0, 0, &settings);
    window(&mut bytes, WINDOW_MAX - WINDOW_AT_FIRST);
    bytes
}

/// The widest flow-control window.
pub(super) const WINDOW_MAX: u32 = (1 << 31) - 1;
/// The window of a new connection.
pub(super) const WINDOW_AT_FIRST: u32 = 65_535;

/// Kinds of frames that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Reset,
    Settings,
    Ping,
    Goaway,
    Window,
    Other,
}

/// Flag of DATA and HEADERS.
pub(super) const END_STREAM: u8 = 0x1;
/// Flag of SETTINGS and PING.
pub(super) const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// A frame's head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) len: usize,
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    pub(super) fn parse(bytes: [u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, s1, s2, s3, s4] = bytes;
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::Headers,
            3 => Kind::Reset,
            4 => Kind::Settings,
            6 => Kind::Ping,
            7 => Kind::Goaway,
            8 => Kind::Window,
            _ => Kind::Other,
        };
        Self {
            len: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes([s1 & 0x7f, s2, s3, s4]),
        }
    }
}

/// Appends a frame.
pub(super) fn put(to: &mut Vec<u8>, kind: Kind, flags: u8, stream: u32, payload: &[u8]) {
    let code = match kind {
        Kind::Data => 0,
        Kind::Headers => 1,
        Kind::Reset => 3,
        Kind::Settings => 4,
        Kind::Ping => 6,
        Kind::Goaway => 7,
        Kind::Window => 8,
        Kind::Other => 0xff,
    };
    to.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    to.extend_from_slice(&[code, flags]);
    to.extend_from_slice(&stream.to_be_bytes());
    to.extend_from_slice(payload);
}

/// Widens the connection's window.
pub(super) fn window(to: &mut Vec<u8>, by: u32) {
    put(to, Kind::Window, 0, 0, &by.to_be_bytes());
}

/// The header block of a gRPC call, the same for every call: literals that no table remembers
/// (RFC 7541, section 6.2.2).
pub(super) fn header_block(path: &str) -> Vec<u8> {
    // :method POST and :scheme http stand in the static table.
    let mut block = vec![0x83, 0x86];
    let mut literal = |index: &[u8], name: Option<&str>, value: &str| {
        block.extend_from_slice(index);
        for text in name.into_iter().chain([value]) {
            block.push(u8::try_from(text.len()).expect("header texts here are short"));
            block.extend_from_slice(text.as_bytes());
        }
    };
    literal(&[0x04], None, path);
    literal(&[0x01], None, "localhost");
    // content-type is entry 31: beyond the four bits of the first byte.
    literal(&[0x0f, 31 - 15], None, "application/grpc");
    literal(&[0x00], Some("te"), "trailers");
    block
}

/// Appends a call: its headers and its one message.
pub(super) fn call(to: &mut Vec<u8>, stream: u32, block: &[u8], message: &[u8]) {
    put(to, Kind::Headers, END_HEADERS, stream, block);
    let mut body = vec![0];
    body.extend_from_slice(&(message.len() as u32).to_be_bytes());
    body.extend_from_slice(message);
    put(to, Kind::Data, END_STREAM, stream, &body);
}
