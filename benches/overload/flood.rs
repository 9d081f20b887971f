//! Peers that flood, as fast as they can, on a new connection whenever the old one is closed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PATH: &str = "/hotshelf.v1.RecommendationService/Recommend";
/// Bytes of one write: as much as a peer sends in one go.
const WRITE_BYTES: usize = 16 * 1024;
/// Longest wait of a write or read.
const WAIT: Duration = Duration::from_millis(200);

/// What is sent over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flood {
    Ping,
    Settings,
    WindowUpdate,
    Unknown,
    EmptyData,
    Continuation,
    RapidReset,
    UnreadAnswers,
    Connections,
}

impl Flood {
    pub(crate) const ALL: [(Self, &'static str); 9] = [
        (Self::Ping, "PING"),
        (Self::Settings, "SETTINGS"),
        (Self::WindowUpdate, "WINDOW_UPDATE"),
        (Self::Unknown, "unknown frames"),
        (Self::EmptyData, "empty DATA"),
        (Self::Continuation, "CONTINUATION"),
        (Self::RapidReset, "rapid reset"),
        (Self::UnreadAnswers, "unread answers"),
        (Self::Connections, "connections"),
    ];

    /// What opens a connection for it, after the preface.
    fn opening(self) -> Vec<u8> {
        match self {
            Self::EmptyData => frame(1, 4, 1, &headers()),
            Self::Continuation => frame(1, 0, 1, &headers()),
            // No answer may be sent beyond its headers.
            Self::UnreadAnswers => frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]),
            _ => Vec::new(),
        }
    }

    fn round(self, turn: u32) -> Vec<u8> {
        // Streams of a connection must not run out of numbers.
        let stream = 2 * (turn % 1_000_000) + 1;
        match self {
            Self::Ping => frame(6, 0, 0, &[7; 8]),
            Self::Settings => frame(4, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]),
            Self::WindowUpdate => frame(8, 0, 0, &[0, 0, 0, 1]),
            Self::Unknown => frame(0x77, 0, 0, &[1; 20]),
            Self::EmptyData => frame(0, 0, 1, &[]),
            Self::Continuation => frame(9, 0, 1, &[]),
            Self::RapidReset => {
                let reset = frame(3, 0, stream, &[0, 0, 0, 8]);
                [frame(1, 5, stream, &headers()), reset].concat()
            }
            Self::UnreadAnswers => {
                let message = [0, 0, 0, 0, 8, 0x0a, 6, b'u', b'0', b'0', b'0', b'0', b'1'];
                [
                    frame(1, 4, stream, &headers()),
                    frame(0, 1, stream, &message),
                ]
                .concat()
            }
            Self::Connections => Vec::new(),
        }
    }
}

/// Floods until it is over; returns how many connections were used up.
pub(crate) fn run(
    flood: Flood,
    to: SocketAddr,
    is_over: impl Fn() -> bool,
) -> anyhow::Result<usize> {
    let mut connections = 0;
    while !is_over() {
        connections += 1;
        let mut stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(WAIT))?;
        stream.set_write_timeout(Some(WAIT))?;
        let first = [PREFACE, &frame(4, 0, 0, &[]), &flood.opening()].concat();
        // A connection that the server has closed is the end of this one, and of nothing else.
        if stream.write_all(&first).is_err() || flood == Flood::Connections {
            continue;
        }
        over(flood, &mut stream, &is_over);
    }
    Ok(connections)
}

fn over(flood: Flood, stream: &mut TcpStream, is_over: &impl Fn() -> bool) {
    let mut reader = stream.try_clone().ok();
    let (mut turn, mut scratch) = (0, vec![0; 1 << 16]);
    let calls_max = 256;
    while !is_over() {
        let mut bytes = Vec::with_capacity(WRITE_BYTES + 256);
        while bytes.len() < WRITE_BYTES && !(flood == Flood::UnreadAnswers && turn >= calls_max) {
            bytes.extend(flood.round(turn));
            turn += 1;
        }
        let began = Instant::now();
        if stream.write_all(&bytes).is_err() && began.elapsed() < WAIT {
            return;
        }
        if let Some(reader) = &mut reader
            && (flood == Flood::UnreadAnswers || reader.set_nonblocking(true).is_ok())
        {
            // What comes back is of no interest, but for its end.
            let read = reader.read(&mut scratch);
            if read.is_ok_and(|len| len == 0) {
                return;
            }
            let _ = reader.set_nonblocking(false);
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Of a call: literals that no table remembers (RFC 7541, section 6.2.2).
fn headers() -> Vec<u8> {
    let mut block = vec![0x83, 0x86, 0x04, PATH.len() as u8];
    block.extend(PATH.as_bytes());
    block.extend(b"\x01\x09localhost\x0f\x10\x10application/grpc\x00\x02te\x08trailers");
    block
}
