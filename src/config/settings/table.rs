//! The table of settings: every key, its default and its bounds. docs/settings.md explains each.

use super::{Group, Kind, Setting};

const fn setting(
    group: Group,
    key: &'static str,
    default: Option<&'static str>,
    kind: Kind,
    help: &'static str,
) -> Setting {
    Setting {
        group,
        key,
        default,
        kind,
        help,
    }
}

const DAY_MS: u64 = 86_400_000;
const MIB: u64 = 1 << 20;

/// What a guardrail does.
const fn guardrail(key: &'static str, default: &'static str, help: &'static str) -> Setting {
    let kind = Kind::Word(&["off", "warn", "abort"]);
    setting(Group::Guardrails, key, Some(default), kind, help)
}

/// A guardrail's tolerance in basis points.
const fn tolerance(key: &'static str, default: &'static str, help: &'static str) -> Setting {
    let kind = Kind::Number(0, 9_999);
    setting(Group::Guardrails, key, Some(default), kind, help)
}

/// Every setting of `hotshelf serve`, in the order of its `--help`.
pub const SETTINGS: &[Setting] = &[
    setting(
        Group::Registry,
        "registry",
        None,
        Kind::Registry,
        "Read versions and rollouts from this registry",
    ),
    setting(
        Group::Registry,
        "s3_endpoint",
        Some(""),
        Kind::S3,
        "Connect to this S3 service",
    ),
    setting(
        Group::Registry,
        "s3_region",
        Some(""),
        Kind::S3,
        "Sign requests for this region",
    ),
    setting(
        Group::Registry,
        "s3_path_style",
        Some("auto"),
        Kind::S3,
        "Address the bucket by path or by host name",
    ),
    setting(
        Group::Registry,
        "s3_ca_file",
        Some(""),
        Kind::S3,
        "Trust the certificate authorities in this PEM file",
    ),
    setting(
        Group::Registry,
        "cache_dir",
        Some("hotshelf-cache"),
        Kind::Folder,
        "Keep downloaded parts in this folder",
    ),
    setting(
        Group::Registry,
        "watch_interval_ms",
        Some("2000"),
        Kind::Number(10, DAY_MS),
        "Poll the registry for new rollouts at this interval",
    ),
    setting(
        Group::Registry,
        "download_spread_ms",
        // As long as it takes all of them to see it.
        Some("2000"),
        Kind::Number(0, DAY_MS),
        "Spread downloads of a new rollout over this time",
    ),
    setting(
        Group::Models,
        "models",
        Some("default"),
        Kind::Models,
        "Serve these models; the first is the default",
    ),
    setting(
        Group::Models,
        "memory_bytes_max",
        // Up to 16 TiB.
        Some("0"),
        Kind::Number(0, 16 * 1024 * 1024 * MIB),
        "Limit the memory of loaded versions; 0 is automatic",
    ),
    setting(
        Group::Models,
        "gate_at_start",
        Some("serve"),
        Kind::Word(&["serve", "refuse"]),
        "Serve or refuse a first version that fails golden queries",
    ),
    setting(
        Group::Models,
        "other_scoring_revision",
        // Golden queries of another revision prove nothing here.
        Some("refuse"),
        Kind::Word(&["refuse", "serve"]),
        "Refuse or serve versions of another scoring revision",
    ),
    setting(
        Group::Models,
        "previous_version",
        // A rollback takes no download then; the next load takes its place.
        Some("keep"),
        Kind::Word(&["keep", "free"]),
        "Keep the previous version in memory, or free it",
    ),
    setting(
        Group::Models,
        "reload_timeout_ms",
        Some("600000"),
        Kind::Number(1, DAY_MS),
        "Time out ReloadModel calls that set no deadline",
    ),
    setting(
        Group::Models,
        "retry_first_ms",
        Some("1000"),
        Kind::Number(1, DAY_MS),
        "Wait before the second load attempt; doubles from there",
    ),
    setting(
        Group::Models,
        "retry_max_ms",
        Some("60000"),
        Kind::Number(1, DAY_MS),
        "Limit the wait between load attempts",
    ),
    setting(
        Group::Listeners,
        "data_addr",
        Some("127.0.0.1:50051"),
        Kind::Address,
        "Listen here for recommendation calls (gRPC)",
    ),
    setting(
        Group::Listeners,
        "admin_addr",
        Some("127.0.0.1:50052"),
        Kind::Address,
        "Listen here for operator calls (gRPC)",
    ),
    setting(
        Group::Listeners,
        "http_addr",
        Some("127.0.0.1:9464"),
        Kind::Address,
        "Listen here for /livez, /readyz and /metrics (HTTP)",
    ),
    setting(
        Group::Listeners,
        "data_threads",
        Some("0"),
        Kind::Number(0, 1024),
        "Serve recommendations on these threads; 0 is one per core",
    ),
    setting(
        Group::Listeners,
        "connections_max",
        Some("10000"),
        Kind::Number(1, 1_000_000),
        "Limit open connections on each gRPC listener",
    ),
    setting(
        Group::Listeners,
        "accepts_per_s_max",
        // A tenth of a core, with what follows an accept.
        Some("1000"),
        Kind::Number(1, 1_000_000),
        "Limit new connections per second on each gRPC listener",
    ),
    setting(
        Group::Calls,
        "streams_max",
        Some("256"),
        Kind::Number(1, 65_535),
        "Limit concurrent calls on one connection",
    ),
    setting(
        Group::Calls,
        "calls_max",
        Some("1024"),
        Kind::Number(1, 1_000_000),
        "Limit concurrent calls on one listener; reject more",
    ),
    setting(
        Group::Calls,
        "wait_max_ms",
        Some("50"),
        Kind::Number(1, DAY_MS),
        "Shed calls above this sustained queueing delay",
    ),
    setting(
        Group::Calls,
        "call_timeout_ms",
        Some("10000"),
        Kind::Number(10, DAY_MS),
        "Time out recommendations that set no deadline",
    ),
    setting(
        Group::Calls,
        "message_bytes_max",
        Some("1048576"),
        Kind::Number(1024, 64 * MIB),
        "Limit the size of a request message",
    ),
    setting(
        Group::Calls,
        "header_bytes_max",
        Some("16384"),
        Kind::Number(1024, MIB),
        "Limit the size of request headers",
    ),
    setting(
        Group::Calls,
        "version_pin",
        // Only live versions can be pinned, and debugging a canary needs it.
        Some("allow"),
        Kind::Word(&["allow", "refuse"]),
        "Allow callers to pin a version by x-hotshelf-version",
    ),
    setting(
        Group::Cache,
        "cache_bytes_max",
        // Some 60,000 responses of ten products.
        Some("67108864"),
        Kind::Number(0, 64 * 1024 * MIB),
        "Limit memory for cached responses; 0 disables the cache",
    ),
    setting(
        Group::Cache,
        "cache_ttl_ms",
        Some("300000"),
        Kind::Number(1, DAY_MS),
        "Expire cached responses after this time",
    ),
    setting(
        Group::Events,
        "events_url",
        Some(""),
        Kind::EventsRoot,
        "Take events, and upload them below this root",
    ),
    setting(
        Group::Events,
        "events_dir",
        Some(""),
        Kind::FolderOrNone,
        "Keep events in this folder until they are uploaded",
    ),
    setting(
        Group::Events,
        "event_types",
        Some(""),
        Kind::EventTypes,
        "Accept these event types beside the usual four",
    ),
    setting(
        Group::Events,
        "events_segment_age_ms",
        Some("60000"),
        Kind::Number(10, DAY_MS),
        "Upload events this long after they came",
    ),
    setting(
        Group::Events,
        "events_disk_bytes_max",
        // An hour of 1,000 events a second while the store is away.
        Some("1073741824"),
        Kind::Number(64 * 1024, 16 * 1024 * 1024 * MIB),
        "Limit events on disk; beyond it they are refused",
    ),
    setting(
        Group::Events,
        "recents",
        Some("memory"),
        Kind::Word(&["off", "memory"]),
        "Let events steer the next answers, from this memory",
    ),
    setting(
        Group::Events,
        "recents_bytes_max",
        // Some 100,000 people with five products each.
        Some("67108864"),
        Kind::Number(64 * 1024, 64 * 1024 * MIB),
        "Limit memory for recent products of people",
    ),
    setting(
        Group::Events,
        "recents_ttl_ms",
        // 30 days.
        Some("2592000000"),
        Kind::Number(1, 365 * DAY_MS),
        "Forget a person this long after their last event",
    ),
    setting(
        Group::Connections,
        "preface_timeout_ms",
        Some("5000"),
        Kind::Number(10, DAY_MS),
        "Close a connection that sends no HTTP/2 preface",
    ),
    setting(
        Group::Connections,
        "frame_timeout_ms",
        Some("10000"),
        Kind::Number(10, DAY_MS),
        "Close a connection whose frame stays incomplete",
    ),
    setting(
        Group::Connections,
        "unread_timeout_ms",
        Some("20000"),
        Kind::Number(10, DAY_MS),
        "Close a connection whose peer stops reading",
    ),
    setting(
        Group::Connections,
        "idle_timeout_ms",
        // Above the pauses of callers that ask once a minute.
        Some("120000"),
        Kind::Number(10, DAY_MS),
        "Close a connection without requests",
    ),
    setting(
        Group::Connections,
        "keepalive_ms",
        Some("30000"),
        Kind::Number(100, DAY_MS),
        "Send keepalive pings at this interval, with this timeout",
    ),
    setting(
        Group::Connections,
        "connection_age_ms",
        Some("300000"),
        Kind::Number(100, DAY_MS),
        "Ask a peer to reconnect after about this time",
    ),
    setting(
        Group::Replicas,
        "replica",
        Some(""),
        Kind::Replica,
        "Name this server among the replicas of its registry",
    ),
    setting(
        Group::Replicas,
        "advertise_addr",
        Some(""),
        Kind::HostPort,
        "Advertise this address of the data listener",
    ),
    setting(
        Group::Replicas,
        "replica_interval_ms",
        Some("60000"),
        Kind::Number(100, DAY_MS / 4),
        "Write heartbeats to the registry at this interval",
    ),
    setting(
        Group::Replicas,
        "replica_lost_ms",
        Some("180000"),
        Kind::Number(1000, DAY_MS),
        "Count a replica as lost without heartbeat for this time",
    ),
    setting(
        Group::Replicas,
        "replicas_max",
        Some("20"),
        Kind::Number(1, 100_000),
        "Expect at most this many replicas during a ramp",
    ),
    // The candidate must not fail people whom the base could serve.
    guardrail(
        "guardrail_errors",
        "abort",
        "Act when the candidate fails more often",
    ),
    tolerance(
        "guardrail_errors_tolerance_bp",
        "10",
        "Tolerated excess rate of failures",
    ),
    guardrail(
        "guardrail_empty",
        "abort",
        "Act when the candidate returns empty lists more often",
    ),
    tolerance(
        "guardrail_empty_tolerance_bp",
        "20",
        "Tolerated excess rate of empty lists",
    ),
    // A version that knows fewer people, or has no content, may be intended.
    guardrail(
        "guardrail_fallbacks",
        "warn",
        "Act when the candidate falls back more often",
    ),
    tolerance(
        "guardrail_fallbacks_tolerance_bp",
        "100",
        "Tolerated excess rate of fallbacks",
    ),
    guardrail(
        "guardrail_slow",
        "abort",
        "Act when the candidate is slow more often",
    ),
    tolerance(
        "guardrail_slow_tolerance_bp",
        "20",
        "Tolerated excess rate of slow responses",
    ),
    setting(
        Group::Guardrails,
        "guardrail_slow_ms",
        // A hundred times what a large model takes: chance alone explains no such wait.
        Some("50"),
        Kind::Number(1, DAY_MS),
        "Count a computed response as slow above this time",
    ),
    setting(
        Group::Guardrails,
        "guardrail_people",
        // Shops whose visitors are anonymous would have no evidence otherwise.
        Some("all"),
        Kind::Word(&["all", "known"]),
        "Count all people, or users that every arm knows",
    ),
    setting(
        Group::Guardrails,
        "guardrail_people_min",
        Some("100"),
        Kind::Number(1, 1_000_000_000),
        "Require this many people per arm before acting",
    ),
    setting(
        Group::Guardrails,
        "guardrail_interval_ms",
        Some("5000"),
        Kind::Number(10, DAY_MS),
        "Check guardrails at this interval",
    ),
    setting(
        Group::Shutdown,
        "drain_delay_ms",
        Some("1000"),
        Kind::Number(0, DAY_MS),
        "Wait between NOT_SERVING and GOAWAY",
    ),
    setting(
        Group::Shutdown,
        "drain_timeout_ms",
        Some("20000"),
        Kind::Number(0, DAY_MS),
        "Close calls that outlive this drain time",
    ),
    setting(
        Group::Logging,
        "log_format",
        Some("auto"),
        Kind::Word(&["auto", "json", "text"]),
        "Log JSON lines or text; auto follows the terminal",
    ),
    setting(
        Group::Logging,
        "log_level",
        Some("info"),
        Kind::Word(&["error", "warn", "info", "debug", "trace"]),
        "Log events of this level and above",
    ),
];
