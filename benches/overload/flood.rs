//! Peers that flood, as fast as they can, on a new connection whenever the old one is closed.

use crate::load::frames::{self, END_HEADERS, END_STREAM, PREFACE, header_block, kind};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

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
            Self::EmptyData => frame(kind::HEADERS, END_HEADERS, 1, &header_block()),
            Self::Continuation => frame(kind::HEADERS, 0, 1, &header_block()),
            // No answer may be sent beyond its headers.
            Self::UnreadAnswers => frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]),
            _ => Vec::new(),
        }
    }

    fn round(self, turn: u32) -> Vec<u8> {
        // Streams of a connection must not run out of numbers.
        let stream = 2 * (turn % 1_000_000) + 1;
        match self {
            Self::Ping => frame(kind::PING, 0, 0, &[7; 8]),
            Self::Settings => frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]),
            Self::WindowUpdate => frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
            Self::Unknown => frame(0x77, 0, 0, &[1; 20]),
            Self::EmptyData => frame(kind::DATA, 0, 1, &[]),
            Self::Continuation => frame(kind::CONTINUATION, 0, 1, &[]),
            Self::RapidReset => {
                let reset = frame(kind::RST_STREAM, 0, stream, &[0, 0, 0, 8]);
                [
                    frame(
                        kind::HEADERS,
                        END_HEADERS | END_STREAM,
                        stream,
                        &header_block(),
                    ),
                    reset,
                ]
                .concat()
            }
            Self::UnreadAnswers => {
                let message = [0, 0, 0, 0, 8, 0x0a, 6, b'u', b'0', b'0', b'0', b'0', b'1'];
                [
                    frame(kind::HEADERS, END_HEADERS, stream, &header_block()),
                    frame(kind::DATA, END_STREAM, stream, &message),
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
        let first = [PREFACE, &frame(kind::SETTINGS, 0, 0, &[]), &flood.opening()].concat();
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
    let mut bytes = Vec::new();
    frames::put(&mut bytes, kind, flags, stream, payload);
    bytes
}
