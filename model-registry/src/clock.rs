//! Time as the registry writes it into records: injected, so that tests and golden files choose it.

use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A source of the present time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    /// A given function.
    #[must_use]
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// RFC 3339 in UTC, to the millisecond.
    pub(crate) fn now_text(&self) -> String {
        format!("{:.3}", self.now())
    }
}

/// How long ago; zero for what lies ahead.
pub(crate) fn since(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_times_are_rfc_3339_in_utc() {
        let clock = Clock::from_fn(|| Timestamp::from_millisecond(1_764_000_000_123).unwrap());
        let text = clock.now_text();
        assert_eq!(text, "2025-11-24T16:00:00.123Z");
        assert_eq!(
            text.parse::<Timestamp>().unwrap().as_millisecond(),
            1_764_000_000_123
        );
    }
}
