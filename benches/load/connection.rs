//! One HTTP/2 connection of the generator: its calls in flight and its two buffers.

use super::frames::{self, ACK, END_STREAM, HEAD, Head, kind};
use super::{Outcome, Sample};
use anyhow::{Context, bail};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Calls in flight that every server allows: what is due beyond that waits here.
const STREAMS_MAX: usize = 100;
/// Received bytes after which the connection's window is widened again.
const WIDEN_AT: u32 = 1 << 30;
const READ_BYTES: usize = 256 << 10;

/// A call in flight.
#[derive(Clone, Copy)]
struct Call {
    due: Duration,
    sent: Duration,
    has_message: bool,
    is_over: bool,
}

pub(super) struct Connection {
    socket: TcpStream,
    block: Vec<u8>,
    /// Calls by stream, the first of them on `first_stream`.
    calls: VecDeque<Call>,
    first_stream: u32,
    in_flight: usize,
    /// Calls queued for a stream or for window.
    queue: VecDeque<(Vec<u8>, Duration)>,
    window: i64,
    unsent: Vec<u8>,
    sent: usize,
    unread: Vec<u8>,
    scratch: Vec<u8>,
    received: u32,
}

impl Connection {
    /// `adds`: every call adds a header to the connection's table.
    pub(super) fn open(to: SocketAddr, adds: bool) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(to).with_context(|| format!("connecting to {to}"))?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            block: if adds {
                frames::adding_header_block()
            } else {
                frames::header_block()
            },
            calls: VecDeque::new(),
            first_stream: 1,
            in_flight: 0,
            queue: VecDeque::new(),
            window: i64::from(frames::WINDOW_AT_FIRST),
            unsent: frames::greeting(),
            sent: 0,
            unread: Vec::new(),
            scratch: vec![0; READ_BYTES],
            received: 0,
        })
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Calls that were asked for and are not answered.
    pub(super) fn waiting(&self) -> usize {
        self.in_flight + self.queue.len()
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.sent < self.unsent.len()
    }

    /// Sends a call, or lets it wait for room.
    pub(super) fn ask(&mut self, message: &[u8], (due, now): (Duration, Duration)) {
        if !self.queue.is_empty() || !self.has_room(message.len()) {
            self.queue.push_back((message.to_vec(), due));
            return;
        }
        self.begin(message, (due, now));
    }

    fn has_room(&self, message: usize) -> bool {
        self.in_flight < STREAMS_MAX && self.window >= (message + 5) as i64
    }

    fn begin(&mut self, message: &[u8], (due, sent): (Duration, Duration)) {
        let stream = self.first_stream + 2 * self.calls.len() as u32;
        frames::call(&mut self.unsent, stream, &self.block, message);
        self.window -= (message.len() + 5) as i64;
        self.in_flight += 1;
        self.calls.push_back(Call {
            due,
            sent,
            has_message: false,
            is_over: false,
        });
    }

    pub(super) fn write(&mut self) -> anyhow::Result<()> {
        while self.has_unsent() {
            match self.socket.write(&self.unsent[self.sent..]) {
                Ok(0) => bail!("the server took no more"),
                Ok(len) => self.sent += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("writing"),
            }
        }
        self.unsent.clear();
        self.sent = 0;
        Ok(())
    }

    /// Takes in whatever has come.
    pub(super) fn read(&mut self, began: Instant, samples: &mut Vec<Sample>) -> anyhow::Result<()> {
        loop {
            let len = match self.socket.read(&mut self.scratch) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("reading"),
            };
            self.unread.extend_from_slice(&self.scratch[..len]);
            self.take_frames(began.elapsed(), samples)?;
            if len < READ_BYTES {
                break;
            }
        }
        while let Some((message, _)) = self.queue.front() {
            if !self.has_room(message.len()) {
                break;
            }
            if let Some((message, due)) = self.queue.pop_front() {
                self.begin(&message, (due, began.elapsed()));
            }
        }
        self.write()
    }

    fn take_frames(&mut self, now: Duration, samples: &mut Vec<Sample>) -> anyhow::Result<()> {
        let mut at = 0;
        while let Some(head) = self.unread[at..].first_chunk::<HEAD>() {
            let head = Head::parse(*head);
            let end = at + HEAD + head.len;
            if end > self.unread.len() {
                break;
            }
            let payload = at + HEAD..end;
            at = end;
            match head.kind {
                kind::DATA | kind::HEADERS | kind::RST_STREAM => self.take(head, now, samples),
                kind::WINDOW_UPDATE if head.stream == 0 => {
                    let by = self.unread[payload].first_chunk::<4>();
                    self.window += by.map_or(0, |by| i64::from(u32::from_be_bytes(*by)));
                }
                kind::SETTINGS if head.flags & ACK == 0 => {
                    frames::put(&mut self.unsent, kind::SETTINGS, ACK, 0, &[]);
                }
                kind::PING if head.flags & ACK == 0 => {
                    let payload = self.unread[payload].to_vec();
                    frames::put(&mut self.unsent, kind::PING, ACK, 0, &payload);
                }
                kind::GOAWAY => bail!("the server sent GOAWAY"),
                _ => {}
            }
        }
        self.unread.drain(..at);
        if self.received >= WIDEN_AT {
            frames::window(&mut self.unsent, std::mem::take(&mut self.received));
        }
        Ok(())
    }

    fn take(&mut self, head: Head, now: Duration, samples: &mut Vec<Sample>) {
        let place = head.stream.wrapping_sub(self.first_stream) as usize / 2;
        let Some(call) = self.calls.get_mut(place) else {
            return;
        };
        if head.kind == kind::DATA {
            call.has_message = true;
            self.received += head.len as u32;
        }
        let is_reset = head.kind == kind::RST_STREAM;
        if call.is_over || !(is_reset || head.flags & END_STREAM != 0) {
            return;
        }
        call.is_over = true;
        self.in_flight -= 1;
        let outcome = match (is_reset, call.has_message) {
            (true, _) => Outcome::Lost,
            (false, true) => Outcome::Answered,
            (false, false) => Outcome::Refused,
        };
        samples.push(Sample {
            due: call.due,
            took: now.saturating_sub(call.due),
            took_sent: now.saturating_sub(call.sent),
            outcome,
        });
        while self.calls.front().is_some_and(|call| call.is_over) {
            self.calls.pop_front();
            self.first_stream += 2;
        }
    }

    /// Everything without an answer by now is lost.
    pub(super) fn lose_all(&mut self, now: Duration, samples: &mut Vec<Sample>) {
        let in_flight = self.calls.drain(..).filter(|call| !call.is_over);
        let waiting = self.queue.drain(..).map(|(_, due)| (due, now));
        for (due, sent) in in_flight.map(|call| (call.due, call.sent)).chain(waiting) {
            samples.push(Sample {
                due,
                took: now.saturating_sub(due),
                took_sent: now.saturating_sub(sent),
                outcome: Outcome::Lost,
            });
        }
    }
}
