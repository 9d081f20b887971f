//! What a setting is. Flags, environment variables and the TOML file are all read through the table of
//! them, so that they cannot drift apart.

mod table;

pub use table::SETTINGS;

/// What a setting's text must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// An IP address and a port.
    Address,
    /// A whole number within these bounds, both inclusive.
    Number(u64, u64),
    /// Names of models, separated by commas, each once.
    Models,
    /// The URL of a registry, or a folder.
    Registry,
    /// The URL of a store like a registry's, or a folder, or nothing.
    EventsRoot,
    /// A folder, or nothing.
    FolderOrNone,
    /// A shop's own types of events, separated by commas, or nothing.
    EventTypes,
    /// The name of a replica, or nothing.
    Replica,
    /// A host and a port, or nothing.
    HostPort,
    /// How an S3 service is reached, or nothing.
    S3,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// The headings of `serve --help`, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Where versions come from.
    Registry,
    /// Which versions are served, and how they are loaded.
    Models,
    /// Where the server listens.
    Listeners,
    /// How many calls it takes, and how large they may be.
    Calls,
    /// Responses that are computed once.
    Cache,
    /// What people did.
    Events,
    /// What a peer may do with a connection.
    Connections,
    /// How servers of one registry see each other.
    Replicas,
    /// When a candidate is aborted.
    Guardrails,
    /// How the server ends.
    Shutdown,
    /// What it logs.
    Logging,
}

impl Group {
    /// As `--help` prints it.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Registry => "Registry",
            Self::Models => "Models",
            Self::Listeners => "Listeners",
            Self::Calls => "Calls",
            Self::Cache => "Response cache",
            Self::Events => "Events",
            Self::Connections => "Connections",
            Self::Replicas => "Replicas",
            Self::Guardrails => "Guardrails",
            Self::Shutdown => "Shutdown",
            Self::Logging => "Logging",
        }
    }
}

/// One setting.
pub struct Setting {
    /// Its heading in `--help`.
    pub group: Group,
    /// Key in the TOML file; `--key-with-dashes` and `HOTSHELF_KEY` are derived from it.
    pub key: &'static str,
    /// `None`: it is required.
    pub default: Option<&'static str>,
    /// What its text must be.
    pub kind: Kind,
    /// A verb phrase of at most ten words.
    pub help: &'static str,
}

impl Setting {
    /// The environment variable.
    pub fn variable(&self) -> String {
        format!("HOTSHELF_{}", self.key.to_uppercase())
    }

    /// The flag without its leading dashes.
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// What goes in, as `--help` shows it between angle brackets.
    pub fn value_name(&self) -> String {
        let name = match (self.kind, self.key) {
            (Kind::Word(words), _) => return words.join("|"),
            (Kind::S3, "s3_path_style") => return hotshelf_registry::PathStyle::WORDS.join("|"),
            (Kind::S3, "s3_region") => "REGION",
            (Kind::S3, "s3_ca_file") => "FILE",
            (Kind::S3 | Kind::Registry | Kind::EventsRoot, _) => "URL",
            (Kind::Folder | Kind::FolderOrNone, _) => "DIR",
            (Kind::EventTypes, _) => "TYPE,...",
            (Kind::Address, _) => "ADDR",
            (Kind::HostPort, _) => "HOST:PORT",
            (Kind::Models, _) => "NAME,...",
            (Kind::Replica, _) => "NAME",
            (Kind::Number(..), key) if key.ends_with("_ms") => "MILLISECONDS",
            (Kind::Number(..), key) if key.ends_with("_bp") => "BASIS_POINTS",
            (Kind::Number(..), key) if key.contains("bytes") => "BYTES",
            (Kind::Number(..), _) => "COUNT",
        };
        name.to_owned()
    }
}
