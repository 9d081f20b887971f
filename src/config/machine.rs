//! The memory available to this process: what `memory_bytes_max = 0` means.
//!
//! It is the smallest limit of the process's control group and its parents, version 2 or 1, and the
//! machine's memory. Limits that cannot be read are ignored.

use std::fs;
use std::path::{Path, PathBuf};

/// Share of the limit that versions may use, in percent (chosen: at the 4 GiB of the Deployment 800 MiB
/// remain for a response cache of 64 MiB, connections and file pages).
const SHARE_PERCENT: u64 = 80;

/// The configured budget; if 0, a share of the available memory, or unlimited if that is unknown.
pub fn memory_budget_bytes(configured: u64) -> u64 {
    if configured > 0 {
        return configured;
    }
    let Some(limit) = limit_bytes(Path::new("/")) else {
        tracing::warn!("available memory unknown; the memory of versions is not limited");
        return u64::MAX;
    };
    limit / 100 * SHARE_PERCENT
}

/// The smallest limit below this root of the file system.
fn limit_bytes(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let groups = groups.lines().flat_map(|line| group_limits(root, line));
    groups.chain(machine_bytes(root)).min()
}

/// Limits of one line of `/proc/self/cgroup`, `hierarchy:controllers:path`, and of its parent groups.
fn group_limits(root: &Path, line: &str) -> Vec<u64> {
    let mut fields = line.splitn(3, ':');
    let (Some(hierarchy), Some(controllers), Some(path)) =
        (fields.next(), fields.next(), fields.next())
    else {
        return Vec::new();
    };
    let (folder, file) = if hierarchy == "0" {
        ("sys/fs/cgroup", "memory.max")
    } else if controllers.split(',').any(|name| name == "memory") {
        ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
    } else {
        return Vec::new();
    };
    let mounted: PathBuf = root.join(folder);
    // In a container the mount may show the group's own folder as its root.
    let group = Path::new(path.trim_start_matches('/'));
    let groups = group.ancestors().map(|part| mounted.join(part).join(file));
    groups.filter_map(|file| number(&file)).collect()
}

/// The number in a file; `None` for `max`, which means no limit in version 2.
fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn machine_bytes(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Files<'a> = &'a [(&'a str, &'a str)];

    /// A root with these files.
    fn root(files: Files<'_>) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn smallest_limit_of_group_parents_and_machine_counts() {
        let machine = ("proc/meminfo", "MemTotal:       8000 kB\nMemFree: 1 kB\n");
        let v2 = ("proc/self/cgroup", "0::/pod/app\n");
        let v1 = (
            "proc/self/cgroup",
            "5:cpu,memory:/pod/app\n1:name=systemd:/x\n",
        );
        let cases: [(Files<'_>, Option<u64>); 7] = [
            (&[], None),
            (&[machine], Some(8_192_000)),
            (
                &[machine, v2, ("sys/fs/cgroup/pod/app/memory.max", "max\n")],
                Some(8_192_000),
            ),
            (
                &[machine, v2, ("sys/fs/cgroup/pod/app/memory.max", "5000\n")],
                Some(5_000),
            ),
            (
                &[
                    machine,
                    v2,
                    ("sys/fs/cgroup/pod/app/memory.max", "5000\n"),
                    ("sys/fs/cgroup/pod/memory.max", "4000\n"),
                ],
                Some(4_000),
            ),
            // A container that sees its own group as the root.
            (
                &[
                    machine,
                    ("proc/self/cgroup", "0::/\n"),
                    ("sys/fs/cgroup/memory.max", "3000\n"),
                ],
                Some(3_000),
            ),
            (
                &[
                    machine,
                    v1,
                    (
                        "sys/fs/cgroup/memory/pod/app/memory.limit_in_bytes",
                        "2000\n",
                    ),
                ],
                Some(2_000),
            ),
        ];
        for (files, expected) in cases {
            assert_eq!(limit_bytes(root(files).path()), expected, "{files:?}");
        }
    }

    #[test]
    fn configured_budget_is_used_and_this_machine_has_one() {
        assert_eq!(memory_budget_bytes(7), 7);
        let automatic = memory_budget_bytes(0);
        assert!(automatic > 0 && automatic < u64::MAX);
    }
}
