//! File descriptors: each connection takes one, and callers must not take the last, without which neither a
//! probe is answered nor a version loaded.

use crate::net::PROBES_MAX;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Beside the connections of the gRPC listeners: the HTTP listener's, the registry's, files, runtimes (chosen:
/// twice what a server takes while it loads).
const OTHERS: usize = 256;
/// Listeners with a limit of connections each.
const LISTENERS: usize = 2;

/// How many connections each gRPC listener may have of the number wanted. Raises the process's own limit of
/// descriptors where it may.
pub(super) fn connections_max(wanted: usize) -> usize {
    let limit = raised_limit(needed(wanted));
    let possible = fitting(wanted, limit);
    if possible < wanted {
        tracing::info!(
            descriptors = limit,
            connections_max = possible,
            configured = wanted,
            "the limit of file descriptors lowers connections_max; raise it (ulimit -n, LimitNOFILE)"
        );
    }
    possible
}

fn needed(connections: usize) -> u64 {
    let each = connections.saturating_add(PROBES_MAX);
    LISTENERS.saturating_mul(each).saturating_add(OTHERS) as u64
}

/// At least one connection, whatever the limit.
fn fitting(wanted: usize, limit: u64) -> usize {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let each = limit.saturating_sub(OTHERS) / LISTENERS;
    wanted.min(each.saturating_sub(PROBES_MAX)).max(1)
}

/// The soft limit, raised towards `needed` as far as the hard one allows.
fn raised_limit(needed: u64) -> u64 {
    let found = getrlimit(Resource::Nofile);
    let current = found.current.unwrap_or(u64::MAX);
    let wanted = needed.min(found.maximum.unwrap_or(u64::MAX));
    if wanted <= current {
        return current;
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: found.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => wanted,
        Err(_) => current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_probes_and_files() {
        for wanted in [1, 10_000, 1_000_000] {
            assert_eq!(fitting(wanted, needed(wanted)), wanted);
        }
        assert_eq!(fitting(10_000, 1_024), (1_024 - OTHERS) / 2 - PROBES_MAX);
        assert!(needed(fitting(10_000, 1_024)) <= 1_024);
        assert_eq!(fitting(10_000, 20), 1);
        assert_eq!(fitting(10_000, u64::MAX), 10_000);
    }
}
