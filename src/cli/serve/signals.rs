//! What signals do to a server.
//!
//! | Signal | First | Again |
//! |---|---|---|
//! | SIGTERM, SIGINT | drains | ends at once |
//! | SIGHUP | drains | nothing: terminals and shells send it more than once |
//! | SIGHUP, ignored at the start (`nohup`) | nothing | nothing |
//! | SIGXFSZ | nothing: the write fails and is handled there | nothing |

use std::future::pending;
use std::io;
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
}

/// The signals of a process that has taken them over.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// `None`: the process was started with it ignored.
    hangup: Option<Signal>,
    /// Never asked: it is there to be caught.
    _file_too_large: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        let hangup = match is_hangup_ignored() {
            true => None,
            false => Some(signal(SignalKind::hangup())?),
        };
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup,
            _file_too_large: signal(FILE_TOO_LARGE)?,
        })
    }

    async fn next(&mut self) -> Request {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => pending().await,
            }
        };
        let (name, request) = tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", Request::End),
            _ = self.interrupt.recv() => ("SIGINT", Request::End),
            _ = hangup => ("SIGHUP", Request::Drain),
        };
        tracing::info!(signal = name, "received a signal");
        request
    }

    /// Drops `first` at the first signal, and resolves at the second one that asks for the end.
    pub(super) async fn second(&mut self, first: oneshot::Sender<()>) {
        let mut first = Some(first);
        let mut asked: Option<Instant> = None;
        loop {
            let request = self.next().await;
            drop(first.take());
            match (request, asked) {
                (Request::Drain, _) => {}
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
