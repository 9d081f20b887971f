//! What signals do to a server. None of those that a program can catch ends it without a drain.
//!
//! | Signal | First | Again |
//! |---|---|---|
//! | SIGTERM, SIGINT, SIGQUIT | drains | ends at once |
//! | SIGHUP | drains | nothing: terminals and shells send it more than once |
//! | SIGHUP, ignored at the start (`nohup`) | nothing | nothing |
//! | SIGUSR1, SIGUSR2, SIGALRM | nothing but a line in the log | nothing: log rotation and timers send them |
//! | SIGXFSZ | nothing: the write fails and is handled there | nothing |

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Within this time of the first signal another one is the same one again: supervisors signal a process
/// and then its group.
const SIGNAL_ECHO: Duration = Duration::from_millis(200);

/// SIGXFSZ, a file over its size limit: a log or a cache file that cannot grow must not end the process.
const FILE_TOO_LARGE: SignalKind = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// To drain; asked twice, to end.
    End,
    /// To drain.
    Drain,
    Nothing,
}

/// The signals of a process that has taken them over.
pub(super) struct Signals {
    caught: Vec<(&'static str, Request, Signal)>,
    /// Never asked: it is there to be caught.
    _file_too_large: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        let mut wanted = vec![
            ("SIGTERM", Request::End, SignalKind::terminate()),
            ("SIGINT", Request::End, SignalKind::interrupt()),
            ("SIGQUIT", Request::End, SignalKind::quit()),
            ("SIGUSR1", Request::Nothing, SignalKind::user_defined1()),
            ("SIGUSR2", Request::Nothing, SignalKind::user_defined2()),
            ("SIGALRM", Request::Nothing, SignalKind::alarm()),
        ];
        if !is_hangup_ignored() {
            wanted.push(("SIGHUP", Request::Drain, SignalKind::hangup()));
        }
        let caught = wanted.into_iter();
        let caught = caught.map(|(name, request, kind)| Ok((name, request, signal(kind)?)));
        Ok(Self {
            caught: caught.collect::<io::Result<_>>()?,
            _file_too_large: signal(FILE_TOO_LARGE)?,
        })
    }

    async fn next(&mut self) -> Request {
        let (name, request) = poll_fn(|cx| self.poll_next(cx)).await;
        tracing::info!(signal = name, "received a signal");
        request
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(&'static str, Request)> {
        for (name, request, signal) in &mut self.caught {
            if signal.poll_recv(cx).is_ready() {
                return Poll::Ready((*name, *request));
            }
        }
        Poll::Pending
    }

    /// Drops `first` at the first signal that asks for a drain, and resolves at the second one that asks for the end.
    pub(super) async fn second(&mut self, first: oneshot::Sender<()>) {
        let mut first = Some(first);
        let mut asked: Option<Instant> = None;
        loop {
            let request = self.next().await;
            if request == Request::Nothing {
                continue;
            }
            drop(first.take());
            match (request, asked) {
                (Request::Nothing | Request::Drain, _) => {}
                (Request::End, None) => asked = Some(Instant::now()),
                (Request::End, Some(at)) if at.elapsed() < SIGNAL_ECHO => {}
                (Request::End, Some(_)) => return,
            }
        }
    }
}

/// Whether the process was started with SIGHUP ignored, as `nohup` does. Where /proc does not say so, it
/// was not.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_signals(&status) & 1 != 0
}

/// The mask of ignored signals in /proc/self/status; bit 0 is SIGHUP.
fn ignored_signals(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::ignored_signals;

    #[test]
    fn ignored_signals_are_read_from_the_processs_status() {
        let status = "Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000000\n";
        assert_eq!(ignored_signals(status), 0x1001);
        assert_eq!(ignored_signals("SigIgn:\tx"), 0);
        assert_eq!(ignored_signals(""), 0);
    }
}
