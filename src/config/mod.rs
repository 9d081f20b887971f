//! The configuration of `hotshelf serve`, and the variables that every command reads.

mod events;
mod guardrails;
mod layers;
mod machine;
mod s3;
mod settings;

pub use layers::{Layers, Problems};
pub use machine::memory_budget_bytes;
pub use settings::{Group, Kind, SETTINGS, Setting};

use crate::events::{EventsConfig, FINAL_UPLOAD_MAX};
use crate::guardrails::Guardrails;
use crate::lifecycle::{Gate, STOP_TIMEOUT};
use hotshelf_registry::{ModelName, ReplicaId, S3Options};
use hotshelf_terminal::environment::{self, Variables};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Every setting, parsed. Field names are the keys of the table.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "SETTINGS documents every one of them")]
pub struct Config {
    pub registry: String,
    pub s3: S3Options,
    pub cache_dir: PathBuf,
    pub models: Vec<ModelName>,
    pub data_addr: SocketAddr,
    pub admin_addr: SocketAddr,
    pub http_addr: SocketAddr,
    pub data_threads: usize,
    pub connections_max: usize,
    pub accepts_per_s_max: u32,
    pub streams_max: u32,
    pub calls_max: usize,
    pub wait_max: Duration,
    pub call_timeout: Duration,
    pub message_bytes_max: usize,
    pub cache_bytes_max: u64,
    pub cache_ttl: Duration,
    pub header_bytes_max: u32,
    pub preface_timeout: Duration,
    pub frame_timeout: Duration,
    pub unread_timeout: Duration,
    pub idle_timeout: Duration,
    pub keepalive: Duration,
    pub connection_age: Duration,
    pub drain_delay: Duration,
    pub drain_timeout: Duration,
    pub watch_interval: Duration,
    pub download_spread: Duration,
    pub reload_timeout: Duration,
    pub retry_first: Duration,
    pub retry_max: Duration,
    pub replica: Option<ReplicaId>,
    pub advertise_addr: String,
    pub replica_interval: Duration,
    pub replica_lost: Duration,
    pub memory_bytes_max: u64,
    pub gate_at_start: Gate,
    pub other_revision: Gate,
    pub keeps_previous: bool,
    pub guardrails: Guardrails,
    pub may_pin: bool,
    pub events: EventsConfig,
    pub log_format: String,
    pub log_level: String,
}

impl Config {
    /// Resolves the layers and parses every value.
    ///
    /// # Errors
    /// All problems at once.
    pub fn build(layers: &Layers) -> Result<Self, Problems> {
        let resolved = layers.resolve()?;
        let millis = |key| Duration::from_millis(resolved.number(key));
        let small = |key| u32::try_from(resolved.number(key)).unwrap_or(u32::MAX);
        let size = |key| usize::try_from(resolved.number(key)).unwrap_or(usize::MAX);
        let registry = resolved.url("registry");
        Ok(Self {
            s3: layers.s3("registry", &registry)?,
            events: events::events(layers, &resolved)?,
            registry,
            cache_dir: PathBuf::from(resolved.text("cache_dir")),
            models: resolved.models(),
            data_addr: resolved.address("data_addr"),
            admin_addr: resolved.address("admin_addr"),
            http_addr: resolved.address("http_addr"),
            data_threads: threads(size("data_threads")),
            connections_max: size("connections_max"),
            accepts_per_s_max: small("accepts_per_s_max"),
            streams_max: small("streams_max"),
            calls_max: size("calls_max"),
            wait_max: millis("wait_max_ms"),
            call_timeout: millis("call_timeout_ms"),
            message_bytes_max: size("message_bytes_max"),
            cache_bytes_max: resolved.number("cache_bytes_max"),
            cache_ttl: millis("cache_ttl_ms"),
            header_bytes_max: small("header_bytes_max"),
            preface_timeout: millis("preface_timeout_ms"),
            frame_timeout: millis("frame_timeout_ms"),
            unread_timeout: millis("unread_timeout_ms"),
            idle_timeout: millis("idle_timeout_ms"),
            keepalive: millis("keepalive_ms"),
            connection_age: millis("connection_age_ms"),
            drain_delay: millis("drain_delay_ms"),
            drain_timeout: millis("drain_timeout_ms"),
            watch_interval: millis("watch_interval_ms"),
            download_spread: millis("download_spread_ms"),
            reload_timeout: millis("reload_timeout_ms"),
            retry_first: millis("retry_first_ms"),
            retry_max: millis("retry_max_ms"),
            replica: resolved.replica("replica"),
            advertise_addr: resolved.text("advertise_addr").to_owned(),
            replica_interval: millis("replica_interval_ms"),
            replica_lost: lost_after(millis("replica_interval_ms"), millis("replica_lost_ms"))?,
            memory_bytes_max: resolved.number("memory_bytes_max"),
            gate_at_start: match resolved.text("gate_at_start") {
                "refuse" => Gate::Refuse,
                _ => Gate::Serve,
            },
            other_revision: match resolved.text("other_scoring_revision") {
                "serve" => Gate::Serve,
                _ => Gate::Refuse,
            },
            keeps_previous: resolved.text("previous_version") == "keep",
            guardrails: guardrails::guardrails(&resolved),
            may_pin: resolved.text("version_pin") == "allow",
            log_format: resolved.text("log_format").to_owned(),
            log_level: resolved.text("log_level").to_owned(),
        })
    }
}

impl Config {
    /// The identity of the registry: its URL, and the S3 endpoint unless it is Amazon's.
    pub fn origin(&self) -> String {
        match &self.s3.endpoint {
            Some(endpoint) if self.registry.starts_with("s3://") => {
                format!("{} at {endpoint}", self.registry)
            }
            _ => self.registry.clone(),
        }
    }

    /// Longest time from the first signal to the exit of the process. A supervisor must wait longer before
    /// it kills.
    pub fn shutdown_max(&self) -> Duration {
        let upload = match self.events.is_on() {
            true => FINAL_UPLOAD_MAX,
            false => Duration::ZERO,
        };
        self.drain_delay + STOP_TIMEOUT + self.drain_timeout + upload
    }
}

/// A server that reports on time must not count as lost between two reports, which are at most one and a
/// half intervals apart.
fn lost_after(interval: Duration, lost: Duration) -> Result<Duration, Problems> {
    if lost >= interval * 2 {
        return Ok(lost);
    }
    let (lost, interval) = (lost.as_millis(), interval.as_millis());
    Err(Problems(vec![format!(
        "replica_lost_ms: {lost} is less than twice replica_interval_ms, which is {interval}"
    )]))
}

fn threads(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
        asked => asked,
    }
}

/// The process's variables that begin with `HOTSHELF_`, and the usual ones of S3 clients.
///
/// # Errors
/// The names of those that are not UTF-8.
pub fn variables() -> Result<BTreeMap<String, String>, Problems> {
    let Variables { texts, not_text } = environment::variables(|name| {
        name.starts_with("HOTSHELF_") || S3Options::VARIABLES.contains(&name)
    });
    let problems = not_text.iter().map(|name| format!("{name}: is not UTF-8"));
    match not_text.is_empty() {
        true => Ok(texts),
        false => Err(Problems(problems.collect())),
    }
}

#[cfg(test)]
mod tests;
