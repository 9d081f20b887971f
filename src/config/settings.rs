//! The table of settings: every key, its default, and what it means. Flags, environment variables and
//! the TOML file are all read through it, so that they cannot drift apart.

/// What a setting's text must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything but nothing.
    Text,
    /// An IP address and a port.
    Address,
    /// A whole number within these bounds, both inclusive.
    Number(u64, u64),
    /// Names of models, separated by commas, each once.
    Models,
    /// The URL of a registry.
    Registry,
    /// The name of a replica, or nothing.
    Replica,
    /// A host and a port, or nothing.
    HostPort,
    /// What a bucket is reached with, or nothing.
    S3,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// One setting.
pub struct Setting {
    /// Key in the TOML file; `--key-with-dashes` and `HOTSHELF_KEY` are derived from it.
    pub key: &'static str,
    /// `None`: it has to be given.
    pub default: Option<&'static str>,
    /// What its text must be.
    pub kind: Kind,
    /// One sentence, with the unit.
    pub help: &'static str,
}

const fn setting(
    key: &'static str,
    default: Option<&'static str>,
    kind: Kind,
    help: &'static str,
) -> Setting {
    Setting {
        key,
        default,
        kind,
        help,
    }
}

const DAY_MS: u64 = 86_400_000;
const MIB: u64 = 1 << 20;
const GUARDRAIL: Kind = Kind::Word(&["off", "warn", "abort"]);
const TOLERANCE_BP: Kind = Kind::Number(0, 9_999);

/// Every setting of `hotshelf serve`.
pub const SETTINGS: &[Setting] = &[
    setting(
        "registry",
        None,
        Kind::Registry,
        "Where versions are: file:///folder, s3://bucket/prefix or memory:///",
    ),
    setting(
        "s3_endpoint",
        Some(""),
        Kind::S3,
        "S3 service, such as http://127.0.0.1:9000; empty = as AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL say, else Amazon's",
    ),
    setting(
        "s3_region",
        Some(""),
        Kind::S3,
        "Region of the bucket; empty = as AWS_REGION and AWS_DEFAULT_REGION say, else us-east-1",
    ),
    setting(
        "s3_path_style",
        Some("auto"),
        Kind::S3,
        "Whether the bucket's name stands in the path: always, never, or auto = where there is an endpoint",
    ),
    setting(
        "s3_ca_file",
        Some(""),
        Kind::S3,
        "PEM file of authorities that certificates of an https endpoint may be of, beside the system's; read at \
         the start",
    ),
    setting(
        "cache_dir",
        Some("hotshelf-cache"),
        Kind::Text,
        "Folder for fetched parts, this process's own",
    ),
    setting(
        "models",
        Some("default"),
        Kind::Models,
        "Names of the models to serve, separated by commas; the first is the default",
    ),
    setting(
        "data_addr",
        Some("127.0.0.1:50051"),
        Kind::Address,
        "gRPC listener for recommendations; port 0 takes a free one",
    ),
    setting(
        "admin_addr",
        Some("127.0.0.1:50052"),
        Kind::Address,
        "gRPC listener for operators",
    ),
    setting(
        "http_addr",
        Some("127.0.0.1:9464"),
        Kind::Address,
        "HTTP listener for /livez, /readyz and /metrics",
    ),
    setting(
        "data_threads",
        Some("0"),
        Kind::Number(0, 1024),
        "Threads that answer recommendations; 0 = one per core",
    ),
    setting(
        "connections_max",
        Some("10000"),
        Kind::Number(1, 1_000_000),
        "Connections open at once on each gRPC listener",
    ),
    setting(
        "accepts_per_s_max",
        // A tenth of a core, with what follows an accept.
        Some("1000"),
        Kind::Number(1, 1_000_000),
        "Connections accepted in a second on each gRPC listener; more wait in the system's queue",
    ),
    setting(
        "streams_max",
        Some("256"),
        Kind::Number(1, 65_535),
        "Calls under way at once on one connection",
    ),
    setting(
        "calls_max",
        Some("1024"),
        Kind::Number(1, 1_000_000),
        "Calls under way at once on one listener; more are turned away",
    ),
    setting(
        "wait_max_ms",
        Some("50"),
        Kind::Number(1, DAY_MS),
        "Longest line of calls before a core, once it lasts; more are turned away, in ms",
    ),
    setting(
        "call_timeout_ms",
        Some("10000"),
        Kind::Number(10, DAY_MS),
        "Longest wait for a recommendation whose caller set no deadline, in ms",
    ),
    setting(
        "message_bytes_max",
        Some("1048576"),
        Kind::Number(1024, 64 * MIB),
        "Bytes of one request message",
    ),
    setting(
        "cache_bytes_max",
        // Some 60,000 answers of ten products.
        Some("67108864"),
        Kind::Number(0, 64 * 1024 * MIB),
        "Bytes of answers kept in memory to be sent again; 0 = none are kept",
    ),
    setting(
        "cache_ttl_ms",
        Some("300000"),
        Kind::Number(1, DAY_MS),
        "How long a kept answer is sent again, spread by a tenth either way, in ms",
    ),
    setting(
        "header_bytes_max",
        Some("16384"),
        Kind::Number(1024, MIB),
        "Bytes of the headers of one request",
    ),
    setting(
        "preface_timeout_ms",
        Some("5000"),
        Kind::Number(10, DAY_MS),
        "Time for a new connection to begin speaking HTTP/2, in ms",
    ),
    setting(
        "frame_timeout_ms",
        Some("10000"),
        Kind::Number(10, DAY_MS),
        "Time for a frame or the headers of a request to arrive whole, in ms",
    ),
    setting(
        "unread_timeout_ms",
        Some("20000"),
        Kind::Number(10, DAY_MS),
        "Time for a peer to read on in what it was answered, in ms",
    ),
    setting(
        "idle_timeout_ms",
        // Above the pauses of callers that ask once a minute.
        Some("120000"),
        Kind::Number(10, DAY_MS),
        "Time without a request after which a peer is asked to leave, in ms",
    ),
    setting(
        "keepalive_ms",
        Some("30000"),
        Kind::Number(100, DAY_MS),
        "Silence after which a peer is pinged, and time for its answer, in ms",
    ),
    setting(
        "connection_age_ms",
        Some("300000"),
        Kind::Number(100, DAY_MS),
        "Mean age at which a peer is asked to connect anew, in ms",
    ),
    setting(
        "drain_delay_ms",
        Some("1000"),
        Kind::Number(0, DAY_MS),
        "From NOT_SERVING to GOAWAY at shutdown, so that callers can turn away, in ms",
    ),
    setting(
        "drain_timeout_ms",
        Some("20000"),
        Kind::Number(0, DAY_MS),
        "From GOAWAY to closing what is left at shutdown, in ms",
    ),
    setting(
        "watch_interval_ms",
        Some("2000"),
        Kind::Number(10, DAY_MS),
        "Mean time between two looks for a new rollout, in ms",
    ),
    setting(
        "download_spread_ms",
        // As long as it takes all of them to hear of it.
        Some("2000"),
        Kind::Number(0, DAY_MS),
        "Time over which servers that hear of a rollout spread the beginning of its downloads, in ms",
    ),
    setting(
        "reload_timeout_ms",
        Some("600000"),
        Kind::Number(1, DAY_MS),
        "Longest wait of a ReloadModel without deadline, in ms",
    ),
    setting(
        "retry_first_ms",
        Some("1000"),
        Kind::Number(1, DAY_MS),
        "Wait before the second attempt at a load, in ms; doubles from there",
    ),
    setting(
        "retry_max_ms",
        Some("60000"),
        Kind::Number(1, DAY_MS),
        "Longest wait between attempts at a load, in ms",
    ),
    setting(
        "replica",
        Some(""),
        Kind::Replica,
        "Name of this server among all that follow the registry; empty = the machine's, and a number kept in \
         cache_dir",
    ),
    setting(
        "advertise_addr",
        Some(""),
        Kind::HostPort,
        "Host and port at which others reach the data listener; empty = as data_addr says",
    ),
    setting(
        "replica_interval_ms",
        Some("60000"),
        Kind::Number(100, DAY_MS / 4),
        "Mean time between two writes of what this server serves; a change is written within about a second, \
         in ms",
    ),
    setting(
        "replica_lost_ms",
        Some("180000"),
        Kind::Number(1000, DAY_MS),
        "Silence after which a server counts as lost, at least twice the interval of all, in ms",
    ),
    setting(
        "memory_bytes_max",
        Some("0"),
        // Up to 16 TiB.
        Kind::Number(0, 16 * 1024 * 1024 * MIB),
        "Bytes that the versions of all models may hold, old and new ones during a swap; 0 = 80 % of the \
         cgroup's limit or of the machine's memory",
    ),
    setting(
        "gate_at_start",
        Some("serve"),
        Kind::Word(&["serve", "refuse"]),
        "What to do with a version whose probes alone fail while nothing is live",
    ),
    setting(
        "previous_version",
        // Going back takes no download then; what is loaded next takes its place.
        Some("keep"),
        Kind::Word(&["keep", "free"]),
        "Whether the version that everybody had before stays in memory until another one is loaded",
    ),
    setting(
        "guardrail_errors",
        // Whom the base could have answered, the candidate must not fail.
        Some("abort"),
        GUARDRAIL,
        "What to do where an arm's people meet more server errors than the base's: off, warn, abort",
    ),
    setting(
        "guardrail_errors_tolerance_bp",
        Some("10"),
        TOLERANCE_BP,
        "How many more may, in basis points of all people: 10 = one in a thousand",
    ),
    setting(
        "guardrail_empty",
        Some("abort"),
        GUARDRAIL,
        "What to do where more of an arm's people than of the base's are answered without a product",
    ),
    setting(
        "guardrail_empty_tolerance_bp",
        Some("20"),
        TOLERANCE_BP,
        "How many more may be, in basis points",
    ),
    setting(
        "guardrail_fallbacks",
        // A version that knows fewer people, or has no content, may be meant to.
        Some("warn"),
        GUARDRAIL,
        "What to do where more of an arm's answers than of the base's did without something",
    ),
    setting(
        "guardrail_fallbacks_tolerance_bp",
        Some("100"),
        TOLERANCE_BP,
        "How many more may, in basis points",
    ),
    setting(
        "guardrail_slow",
        Some("abort"),
        GUARDRAIL,
        "What to do where more of an arm's computed answers than of the base's are slow",
    ),
    setting(
        "guardrail_slow_tolerance_bp",
        Some("20"),
        TOLERANCE_BP,
        "How many more may be, in basis points",
    ),
    setting(
        "guardrail_slow_ms",
        // A hundred times what a large model takes: nobody waits that long by chance alone.
        Some("50"),
        Kind::Number(1, DAY_MS),
        "A computed answer that takes longer is slow, in ms; kept answers do not count",
    ),
    setting(
        "guardrail_people_min",
        Some("100"),
        Kind::Number(1, 1_000_000_000),
        "People of an arm, and of the base, before a guardrail may act",
    ),
    setting(
        "guardrail_interval_ms",
        Some("5000"),
        Kind::Number(10, DAY_MS),
        "Time between two looks of the guardrails, in ms",
    ),
    setting(
        "replicas_max",
        Some("20"),
        Kind::Number(1, 100_000),
        "Servers of this registry, starts within one ramp included; false alarms of guardrails are shared out among them",
    ),
    setting(
        "version_pin",
        // Only what is live can be named, and those who debug a canary need it.
        Some("allow"),
        Kind::Word(&["allow", "refuse"]),
        "Whether a caller's x-hotshelf-version metadata chooses among the live versions",
    ),
    setting(
        "log_format",
        Some("auto"),
        Kind::Word(&["auto", "json", "text"]),
        "auto = text on a terminal, JSON lines otherwise",
    ),
    setting(
        "log_level",
        Some("info"),
        Kind::Word(&["error", "warn", "info", "debug", "trace"]),
        "How much is logged",
    ),
];

impl Setting {
    /// The environment variable.
    pub fn variable(&self) -> String {
        format!("HOTSHELF_{}", self.key.to_uppercase())
    }

    /// The flag without its leading dashes.
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }
}
