//! Writes log lines to standard error on a thread of its own.
//!
//! ```text
//! any thread ─▶ line ─▶ queue (lines and bytes bounded) ─▶ hotshelf-log ─▶ standard error
//!                 └─▶ no room: dropped and counted             └─▶ failed: dropped and counted
//! ```
//!
//! A log may stall, fail or be gone: a full disk, a closed pipe, a reader that stopped. Nobody who logs
//! waits for it, and no failure of it ends the process. Written by hand: tracing-appender's worker holds
//! the lock of standard error while it writes, bounds lines but no bytes, and makes the exit wait a second.

use prometheus::IntCounter;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait for the thread (chosen: a second of a busy server's debug log).
const LINES_MAX: usize = 8_192;
/// Bytes of lines that wait (chosen: what a server can spare without a thought).
const BYTES_MAX: usize = 4 << 20;
/// Pause before the next try of a descriptor that takes no bytes now (chosen: fast for people).
const RETRY_AFTER: Duration = Duration::from_millis(10);

/// Sends lines to the thread; clones share it.
#[derive(Clone)]
pub(super) struct LogWriter {
    lines: SyncSender<Vec<u8>>,
    queue: Arc<Queue>,
    dropped: IntCounter,
}

/// What waits in the channel, the line that is being written included.
#[derive(Default)]
struct Queue {
    bytes: AtomicUsize,
    lines: Mutex<usize>,
    is_shorter: Condvar,
}

impl LogWriter {
    /// Starts the thread over a copy of standard error's descriptor, which takes no lock with it.
    ///
    /// # Errors
    /// The system has no descriptor or no thread left.
    pub(super) fn start(dropped: IntCounter) -> io::Result<Self> {
        let stderr = io::stderr().as_fd().try_clone_to_owned()?;
        Self::over(File::from(stderr), dropped)
    }

    fn over(output: impl Write + Send + 'static, dropped: IntCounter) -> io::Result<Self> {
        let (lines, received) = sync_channel(LINES_MAX);
        let queue = Arc::new(Queue::default());
        let writer = Self {
            lines,
            queue: Arc::clone(&queue),
            dropped: dropped.clone(),
        };
        // Not joined: a reader may block its write forever.
        std::thread::Builder::new()
            .name("hotshelf-log".to_owned())
            .spawn(move || write_all(&received, output, (&queue, &dropped)))?;
        Ok(writer)
    }

    /// Queues a line, or drops and counts it. Never waits.
    pub(super) fn send(&self, line: Vec<u8>) {
        let bytes = line.len();
        self.queue.add(bytes);
        let has_room = self.queue.bytes.load(Ordering::Relaxed) <= BYTES_MAX;
        if !has_room || self.lines.try_send(line).is_err() {
            self.queue.remove(bytes);
            self.dropped.inc();
        }
    }

    /// Returns once every line was written, but after `limit` at the latest.
    pub(super) fn flush(&self, limit: Duration) {
        let lines = self.queue.lines();
        let waited = self
            .queue
            .is_shorter
            .wait_timeout_while(lines, limit, |lines| *lines > 0);
        // A thread that panicked writes nothing more.
        drop(waited);
    }
}

impl Queue {
    fn lines(&self) -> std::sync::MutexGuard<'_, usize> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        *self.lines() += 1;
    }

    fn remove(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        *self.lines() -= 1;
        self.is_shorter.notify_all();
    }
}

/// The thread.
fn write_all(
    lines: &Receiver<Vec<u8>>,
    mut output: impl Write,
    (queue, dropped): (&Queue, &IntCounter),
) {
    let mut reported = dropped.get();
    for line in lines {
        // A panic costs the line, and not all that follow.
        let written = catch_unwind(AssertUnwindSafe(|| write_line(&mut output, &line)));
        queue.remove(line.len());
        if !matches!(written, Ok(Ok(()))) {
            dropped.inc();
            continue;
        }
        let missing = dropped.get() - reported;
        if missing > 0 {
            reported += missing;
            tracing::warn!(lines = missing, "log lines dropped");
        }
    }
}

fn write_line(output: &mut impl Write, mut line: &[u8]) -> io::Result<()> {
    while !line.is_empty() {
        match output.write(line) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => line = &line[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Another process that shares the descriptor made it non-blocking.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => pause(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[allow(
    clippy::disallowed_methods,
    reason = "this thread writes the log and does nothing else"
)]
fn pause() {
    std::thread::sleep(RETRY_AFTER);
}

impl MakeWriter<'_> for LogWriter {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line(self.clone())
    }
}

/// Takes one event, which the subscriber writes in one piece.
pub(super) struct Line(LogWriter);

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.send(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::Sender;

    fn counter() -> IntCounter {
        IntCounter::new("dropped", "lines").unwrap()
    }

    /// Takes a line once it is told to, and passes it on.
    struct Stalled {
        go: Receiver<io::Result<()>>,
        taken: Sender<Vec<u8>>,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.go.recv().unwrap_or(Ok(()))?;
            let _ = self.taken.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "a test's own channel of a few lines"
    )]
    fn stalled() -> (LogWriter, SyncSender<io::Result<()>>, Receiver<Vec<u8>>) {
        let (go, gone) = sync_channel(LINES_MAX * 2);
        let (taken, lines) = std::sync::mpsc::channel();
        let writer = LogWriter::over(Stalled { go: gone, taken }, counter()).unwrap();
        (writer, go, lines)
    }

    #[test]
    fn stalled_reader_costs_lines_beyond_the_bound_and_no_time() {
        let (writer, go, lines) = stalled();
        let sent = 3 * LINES_MAX as u64;
        for _ in 0..sent {
            writer.send(b"line\n".to_vec());
        }
        writer.flush(Duration::from_millis(1));
        // One line may be with the thread, beside those that wait.
        let dropped = writer.dropped.get();
        let held = sent - dropped;
        assert!(
            (LINES_MAX as u64..=LINES_MAX as u64 + 1).contains(&held),
            "{held}"
        );
        drop(go);
        writer.flush(Duration::from_secs(60));
        assert_eq!(lines.try_iter().count() as u64, held);
        assert_eq!(writer.dropped.get(), dropped);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let (writer, _go, _lines) = stalled();
        for _ in 0..100 {
            writer.send(vec![b'x'; BYTES_MAX / 10]);
        }
        assert!(writer.queue.bytes.load(Ordering::Relaxed) <= BYTES_MAX);
        assert!(writer.dropped.get() >= 90);
    }

    /// Panics at its first line.
    struct Fragile(bool, Sender<Vec<u8>>);

    impl Write for Fragile {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            assert!(std::mem::replace(&mut self.0, true), "a log's mistake");
            let _ = self.1.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "a test's own channel of two lines"
    )]
    #[test]
    fn panic_of_a_write_costs_its_line_alone() {
        let (taken, lines) = std::sync::mpsc::channel();
        let writer = LogWriter::over(Fragile(false, taken), counter()).unwrap();
        writer.send(b"lost\n".to_vec());
        writer.send(b"kept\n".to_vec());
        writer.flush(Duration::from_secs(60));
        assert_eq!(writer.dropped.get(), 1);
        assert_eq!(lines.try_iter().collect::<Vec<_>>(), [b"kept\n"]);
    }

    #[test]
    fn failed_write_is_counted_and_the_next_line_is_tried() {
        let (writer, go, lines) = stalled();
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::BrokenPipe] {
            go.send(Err(kind.into())).unwrap();
            writer.send(b"lost\n".to_vec());
        }
        for kind in [io::ErrorKind::Interrupted, io::ErrorKind::WouldBlock] {
            go.send(Err(kind.into())).unwrap();
        }
        drop(go);
        writer.send(b"kept\n".to_vec());
        writer.flush(Duration::from_secs(60));
        assert_eq!(writer.dropped.get(), 2);
        assert_eq!(lines.try_iter().collect::<Vec<_>>(), [b"kept\n"]);
    }
}
