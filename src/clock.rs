//! Times as events have them.

use std::time::SystemTime;

/// Microseconds since 1970.
pub(crate) fn micros(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    let micros = since.map(|since| since.as_micros()).unwrap_or_default();
    i64::try_from(micros).unwrap_or(i64::MAX)
}
