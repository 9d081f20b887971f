//! Coalesces the small writes of an HTTP/2 connection into one system call.
//!
//! h2 writes and flushes once or twice for every answer. Here a write only fills a buffer. A flush sends the buffer
//! if every request that was read has its answer. Otherwise it only wakes the connection's task again, which runs
//! after every other ready task, including the calls whose answers are missing. That run begins with a read, and
//! the read sends the buffer with all answers at once. (Few calls start where they are read, and HTTP/2 reads
//! between them, so their answers leave one by one.)
//!
//! ```text
//! poll 1: read ─ first calls run ─ write ─ flush: the others' answers are missing
//!                                                  the others run, wake the connection
//! poll 2: read = send the buffer ─ write ─ flush: none is missing, send
//! ```
//!
//! Reads are large, and after a rejection the next one is delayed a little (`super::read_backoff`). So rejections
//! leave together as well, and its own window stops a peer that sends more than can be answered.

use super::abuse_guard::AbuseGuard;
use super::read_backoff::ReadBackoff;
use bytes::{Buf, BytesMut};
use pin_project_lite::pin_project;
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Above this many bytes a flush sends at once (chosen: one TLS record, some hundred answers).
const SEND_AT_BYTES: usize = 16 * 1024;
/// Above this many bytes a write waits for the socket (chosen: four times that).
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one read (chosen: more calls than a connection sends in a millisecond).
const READ_BYTES: usize = 32 * 1024;

thread_local! {
    /// The read buffer of all connections of a core: none leaves anything in it.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

pin_project! {
    /// A stream with coalesced writes, bytes that were read ahead of it, a guard that sees both ways, and
    /// the backoff of its reads.
    pub(super) struct CoalescingIo<T> {
        #[pin]
        inner: T,
        read_ahead: BytesMut,
        buffered: BytesMut,
        // The socket took less than it was given.
        is_full: bool,
        guard: AbuseGuard,
        backoff: ReadBackoff,
    }
}

impl<T: AsyncRead + AsyncWrite> CoalescingIo<T> {
    /// Wraps `inner`, from which `read_ahead` was read already; the guard does not see that.
    pub(super) fn new(
        inner: T,
        read_ahead: &[u8],
        guard: AbuseGuard,
        backoff: ReadBackoff,
    ) -> Self {
        Self {
            inner,
            read_ahead: BytesMut::from(read_ahead),
            buffered: BytesMut::new(),
            is_full: false,
            guard,
            backoff,
        }
    }

    /// Sends the buffer.
    fn poll_send(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.project();
        *this.is_full = false;
        while !this.buffered.is_empty() {
            let Poll::Ready(sent) = this.inner.as_mut().poll_write(cx, this.buffered)? else {
                *this.is_full = true;
                this.guard.sent(0, this.buffered.len());
                return Poll::Pending;
            };
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            this.buffered.advance(sent);
            this.guard.sent(sent, this.buffered.len());
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once from the socket: into `buf`, and ahead where that is too small.
    fn poll_fill(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let this = self.project();
            let mut read = ReadBuf::new(scratch);
            ready!(this.inner.poll_read(cx, &mut read))?;
            let read = read.filled();
            this.guard.read(read).map_err(io::Error::other)?;
            let (now, later) = read.split_at(read.len().min(buf.remaining()));
            buf.put_slice(now);
            this.read_ahead.extend_from_slice(later);
            Poll::Ready(Ok(()))
        })
    }

    /// Makes room for one more write.
    fn poll_room(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.buffered.len() < BUFFER_BYTES_MAX {
            Poll::Ready(Ok(()))
        } else {
            self.poll_send(cx)
        }
    }
}

impl<T: AsyncRead + AsyncWrite> AsyncRead for CoalescingIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(Err(error)) = self.as_mut().poll_send(cx) {
            return Poll::Ready(Err(error));
        }
        let this = self.as_mut().project();
        if !this.read_ahead.is_empty() {
            let len = this.read_ahead.len().min(buf.remaining());
            buf.put_slice(&this.read_ahead[..len]);
            this.read_ahead.advance(len);
            return Poll::Ready(Ok(()));
        }
        ready!(this.backoff.poll(cx));
        self.poll_fill(cx, buf)
    }
}

impl<T: AsyncRead + AsyncWrite> AsyncWrite for CoalescingIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.as_mut().poll_room(cx))?;
        let this = self.project();
        this.guard.write(data);
        this.buffered.extend_from_slice(data);
        Poll::Ready(Ok(data.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.as_mut().poll_room(cx))?;
        let this = self.project();
        for slice in slices {
            this.guard.write(slice);
            this.buffered.extend_from_slice(slice);
        }
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A full socket wakes the task itself, once it takes more.
        let has_to = self.is_full || self.buffered.len() >= SEND_AT_BYTES;
        if has_to || self.guard.is_all_answered() {
            return self.poll_send(cx);
        }
        if !self.buffered.is_empty() {
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_send(cx))?;
        self.project().inner.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::super::connection_stats::ConnectionStats;
    use super::super::frames::{HEAD_LEN, Head, kind};
    use super::super::stream_resets::StreamResets;
    use super::*;
    use crate::admission::Flow;
    use futures::FutureExt;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    fn coalescing<T: AsyncRead + AsyncWrite>(inner: T, read_ahead: &[u8]) -> CoalescingIo<T> {
        let metrics = crate::metrics::Metrics::new().unwrap();
        let resets = Arc::new(StreamResets::new(&metrics, "data"));
        let guard = AbuseGuard::new(ConnectionStats::default(), resets);
        CoalescingIo::new(inner, read_ahead, guard, ReadBackoff::new(Flow::alone()))
    }

    /// HEADERS without any, which end the stream: a request, or an answer to it.
    fn headers(stream: u8) -> [u8; HEAD_LEN] {
        let flags = Head::END_STREAM | Head::END_HEADERS;
        [0, 0, 0, kind::HEADERS, flags, 0, 0, 0, stream]
    }

    #[tokio::test]
    async fn answers_leave_together_with_the_last_one_or_the_next_read() {
        let (near, mut far) = duplex(1 << 20);
        let mut io = coalescing(near, b"");
        for stream in [1, 3, 5] {
            far.write_all(&headers(stream)).await.unwrap();
            io.read_exact(&mut [0; HEAD_LEN]).await.unwrap();
        }
        for stream in [3, 1] {
            io.write_all(&headers(stream)).await.unwrap();
            io.flush().await.unwrap();
        }
        assert_eq!(io.buffered.len(), 2 * HEAD_LEN, "one is missing");
        far.write_all(b"?").await.unwrap();
        io.read_exact(&mut [0]).await.unwrap();
        let mut got = [0; 2 * HEAD_LEN];
        far.read_exact(&mut got).await.unwrap();
        assert_eq!(got[..], [headers(3), headers(1)].concat());
        io.write_all(&headers(5)).await.unwrap();
        assert_eq!(io.buffered.len(), HEAD_LEN);
        io.flush().await.unwrap();
        let mut got = [0; HEAD_LEN];
        far.read_exact(&mut got).await.unwrap();
        assert_eq!(got[..], headers(5));
    }

    #[tokio::test]
    async fn full_socket_does_not_wake_its_connection_over_and_over() {
        let (near, mut far) = duplex(64);
        let mut io = coalescing(near, b"");
        far.write_all(&headers(1)).await.unwrap();
        io.read_exact(&mut [0; HEAD_LEN]).await.unwrap();
        io.write_all(&[0; 90]).await.unwrap();
        assert!(io.flush().now_or_never().is_some(), "an answer is missing");
        assert!(io.read_u8().now_or_never().is_none());
        assert_eq!(io.buffered.len(), 90 - 64);
        assert!(io.flush().now_or_never().is_none(), "the socket is full");
        far.read_exact(&mut [0; 64]).await.unwrap();
        io.flush().await.unwrap();
        far.read_exact(&mut [0; 90 - 64]).await.unwrap();
    }

    #[tokio::test]
    async fn bytes_read_ahead_come_first() {
        let (near, mut far) = duplex(64);
        far.write_all(b"tail").await.unwrap();
        let mut io = coalescing(near, b"head ");
        let mut got = [0; 9];
        io.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"head tail");
    }

    #[tokio::test]
    async fn shutdown_sends_the_buffer() {
        let (near, mut far) = duplex(64);
        let mut io = coalescing(near, b"");
        io.write_all(b"bye").await.unwrap();
        io.shutdown().await.unwrap();
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"bye");
    }

    #[tokio::test]
    async fn stalled_reader_stops_the_writer_and_loses_nothing() {
        let (near, mut far) = duplex(1024);
        let mut io = coalescing(near, b"");
        let sent: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
        let copy = sent.clone();
        let writer = tokio::spawn(async move {
            for chunk in copy.chunks(1000) {
                io.write_all(chunk).await.unwrap();
                io.flush().await.unwrap();
                assert!(io.buffered.len() <= BUFFER_BYTES_MAX + 1000);
            }
            io.shutdown().await.unwrap();
        });
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.unwrap();
        writer.await.unwrap();
        assert!(got == sent);
    }
}
