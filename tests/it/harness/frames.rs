//! HTTP/2 frames written by hand, for peers that violate or abuse the protocol.

use std::net::SocketAddr;
use std::time::Duration;

use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};

use super::wait::PATIENCE;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header that enters no table (RFC 7541, section 6.2.2), written without Huffman's code.
pub(crate) fn header(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        length(&mut bytes, text.len());
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// A length in seven bits and, where they do not suffice, more bytes (RFC 7541, section 5.1).
fn length(bytes: &mut Vec<u8>, len: usize) {
    let Some(mut rest) = len.checked_sub(127) else {
        bytes.push(u8::try_from(len).unwrap());
        return;
    };
    bytes.push(127);
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 0x80);
        rest /= 128;
    }
    bytes.push(rest as u8);
}

/// The header block of a call.
pub(crate) fn call_headers(path: &str) -> Vec<u8> {
    call_headers_at(path, "localhost")
}

/// The same to a host of this name.
pub(crate) fn call_headers_at(path: &str, authority: &str) -> Vec<u8> {
    [
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":path", path),
        header(":authority", authority),
        header("content-type", "application/grpc"),
        header("te", "trailers"),
    ]
    .concat()
}

/// A message as a call's body has it.
pub(crate) fn message(message: &impl Message) -> Vec<u8> {
    let encoded = message.encode_to_vec();
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(encoded.len()).unwrap().to_be_bytes());
    bytes.extend(encoded);
    bytes
}

/// A whole call.
pub(crate) fn call(stream: u32, path: &str, request: &impl Message) -> Vec<u8> {
    [
        frame(HEADERS, END_HEADERS, stream, &call_headers(path)),
        frame(DATA, END_STREAM, stream, &message(request)),
    ]
    .concat()
}

/// One frame that was read.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A connection whose frames are all written here.
pub(crate) struct FramePeer {
    write: OwnedWriteHalf,
    pub(crate) read: FrameReader,
}

/// Its other direction.
pub(crate) struct FrameReader(OwnedReadHalf);

impl FramePeer {
    /// Connects, and sends the client preface with these settings.
    pub(crate) async fn open(to: SocketAddr, settings: &[(u16, u32)]) -> Self {
        Self::over(TcpStream::connect(to).await.unwrap(), settings).await
    }

    /// The same, with as little room for what it does not read as the system gives.
    pub(crate) async fn with_small_buffer(to: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(1).unwrap();
        Self::over(socket.connect(to).await.unwrap(), settings).await
    }

    async fn over(stream: TcpStream, settings: &[(u16, u32)]) -> Self {
        stream.set_nodelay(true).unwrap();
        let (read, write) = stream.into_split();
        let mut peer = Self {
            write,
            read: FrameReader(read),
        };
        let mut payload = Vec::new();
        for (id, value) in settings {
            payload.extend(id.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        let first = [PREFACE, &frame(SETTINGS, 0, 0, &payload)].concat();
        peer.send(&first).await.unwrap();
        peer
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.write.write_all(bytes).await
    }

    /// Sends these bytes `times` times or until the server has closed, and reads meanwhile. Returns whether the
    /// server closed.
    pub(crate) async fn flood(mut self, mut bytes: impl FnMut(u32) -> Vec<u8>, times: u32) -> bool {
        let Self { mut read, .. } = self;
        let reader = tokio::spawn(async move { read.until_closed().await });
        for turn in 0..times {
            if self.write.write_all(&bytes(turn)).await.is_err() {
                break;
            }
        }
        // A peer that has sent everything and waits is no flood any more.
        tokio::time::timeout(PATIENCE, reader).await.is_ok()
    }

    /// Sends the bytes one by one, so far apart, until the server closes.
    pub(crate) async fn drip(mut self, bytes: &[u8], apart: Duration) -> bool {
        let Self { mut read, .. } = self;
        let mut reader = tokio::spawn(async move { read.until_closed().await });
        let mut pace = tokio::time::interval(apart);
        for byte in bytes {
            tokio::select! {
                _closed = &mut reader => return true,
                _now = pace.tick() => {}
            }
            if self.write.write_all(&[*byte]).await.is_err() {
                return true;
            }
        }
        tokio::time::timeout(PATIENCE, reader).await.is_ok()
    }
}

impl FrameReader {
    /// The next frame; None at the end.
    pub(crate) async fn next(&mut self) -> Option<Received> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; len as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Received {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }

    /// The next frame that satisfies this.
    pub(crate) async fn find(&mut self, is_wanted: impl Fn(&Received) -> bool) -> Received {
        let find = async {
            loop {
                let next = self.next().await.expect("the server closed");
                if is_wanted(&next) {
                    return next;
                }
            }
        };
        tokio::time::timeout(PATIENCE, find).await.unwrap()
    }

    /// Reads until the end.
    pub(crate) async fn until_closed(&mut self) {
        let mut buffer = vec![0; 65_536];
        while matches!(self.0.read(&mut buffer).await, Ok(1..)) {}
    }
}
