//! Who this replica is: its name in the registry, and its address.

use hotshelf_registry::{Nonce, ReplicaId};
use hotshelf_terminal::file::read_text;
use jiff::Timestamp;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// The name's file in the cache folder; no model's folder starts with a dot.
const FILE: &str = ".replica";
/// Longest file that is read, in bytes (chosen: a name takes 64 at most).
const NAME_BYTES_MAX: u64 = 256;
/// Longest piece of the host name in a replica's, in bytes (chosen: a number follows it).
const MACHINE_BYTES_MAX: usize = 48;

/// Why a replica has no name.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw a random replica name from the system")]
pub struct IdentityError(#[from] getrandom::Error);

/// One replica.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Distinct among all that follow the registry.
    pub replica: ReplicaId,
    /// This process: distinct from others that have the same name by mistake.
    pub instance: Nonce,
    /// Where others reach the data listener, `host:port`.
    pub address: String,
    /// The program.
    pub build: &'static str,
    /// By this machine's clock.
    pub started_at: Timestamp,
}

impl Identity {
    /// `named` and `advertised` as configured; empty derives them from this machine. A name that is not
    /// configured is the host's plus a number, drawn once and stored in the cache folder, which belongs to
    /// one process: so a restart is the same replica, and two servers on one machine are two.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn find(
        (named, advertised): (Option<ReplicaId>, &str),
        cache: &Path,
        data: SocketAddr,
    ) -> Result<Self, IdentityError> {
        let machine = machine_name();
        let replica = match named {
            Some(named) => named,
            None => stored_or_drawn(&cache.join(FILE), &machine)?,
        };
        let address = match (advertised, data.ip().is_unspecified()) {
            ("", true) => format!("{machine}:{}", data.port()),
            ("", false) => data.to_string(),
            (advertised, _) => advertised.to_owned(),
        };
        let mut instance = [0; 16];
        getrandom::fill(&mut instance)?;
        Ok(Self {
            replica,
            instance: Nonce::from_bytes(instance),
            address,
            build: env!("CARGO_PKG_VERSION"),
            started_at: Timestamp::now(),
        })
    }
}

/// The name stored here, or a new one.
fn stored_or_drawn(file: &Path, machine: &str) -> Result<ReplicaId, IdentityError> {
    // To open a FIFO would block.
    let is_file = std::fs::metadata(file).is_ok_and(|found| found.is_file());
    let known = match is_file {
        true => read_text(file, NAME_BYTES_MAX),
        false => Err(io::ErrorKind::NotFound.into()),
    };
    if let Some(known) = known.ok().and_then(|text| text.trim().parse().ok()) {
        return Ok(known);
    }
    let drawn = draw(machine)?;
    if let Err(error) = store(file, &drawn) {
        tracing::warn!(%error, replica = %drawn,
            "cannot persist the replica name; it changes on restart");
    }
    Ok(drawn)
}

fn store(file: &Path, replica: &ReplicaId) -> io::Result<()> {
    if file.exists() && !file.is_file() {
        return Err(io::Error::other(format!(
            "{} is not a file",
            file.display()
        )));
    }
    std::fs::write(file, format!("{replica}\n"))
}

fn draw(machine: &str) -> Result<ReplicaId, IdentityError> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes)?;
    let number = u32::from_be_bytes(bytes);
    let name = format!("{}-{number:08x}", as_name(machine));
    Ok(name
        .parse()
        .expect("as_name gives what a name may begin with, and digits follow"))
}

/// The start of a replica's name: the host name with other characters replaced.
fn as_name(machine: &str) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() => c,
        _ => '-',
    };
    let name: String = machine.chars().map(plain).take(MACHINE_BYTES_MAX).collect();
    match name.trim_matches('-') {
        "" => "replica".to_owned(),
        name => name.to_owned(),
    }
}

fn machine_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(named: &str, advertised: &str, cache: &Path, data: &str) -> Identity {
        let named = named.parse().ok();
        Identity::find((named, advertised), cache, data.parse().unwrap()).unwrap()
    }

    #[test]
    fn replica_identity_survives_a_restart_and_differs_by_cache() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let name = |cache: &Path| found("", "", cache, "127.0.0.1:1").replica;
        let first = name(one.path());
        assert_eq!(name(one.path()), first);
        assert_ne!(name(other.path()), first);
        // A stored text that is not a valid name is replaced by a new name.
        std::fs::write(one.path().join(FILE), "../..").unwrap();
        let second = name(one.path());
        assert_ne!(second, first);
        assert_eq!(name(one.path()), second);
    }

    #[test]
    fn configured_replica_name_overrides_the_host_name() {
        let cache = tempfile::tempdir().unwrap();
        let identity = found("pod-7", "pod-7.shop:1", cache.path(), "0.0.0.0:50051");
        assert_eq!(identity.replica.as_str(), "pod-7");
        assert_eq!(identity.address, "pod-7.shop:1");
        assert!(!cache.path().join(FILE).exists());
        let identity = found("pod-7", "", cache.path(), "10.0.0.7:50051");
        assert_eq!(identity.address, "10.0.0.7:50051");
        let identity = found("pod-7", "", cache.path(), "0.0.0.0:50051");
        assert_eq!(identity.address, format!("{}:50051", machine_name()));
    }

    #[test]
    fn every_host_name_yields_a_valid_replica_name() {
        let long = "x".repeat(300);
        for (machine, name) in [
            ("Web_7.example.org", "web-7-example-org"),
            ("-ÄÖ-", "replica"),
            ("", "replica"),
            (&long, &long[..48]),
        ] {
            assert_eq!(as_name(machine), name);
            assert!(draw(machine).unwrap().as_str().starts_with(name));
        }
    }
}
