//! Where a setting's text comes from: a flag, else a variable, else the TOML file, else the default.

use super::settings::{Kind, SETTINGS, Setting};
use crate::error::with_causes;
use crate::events::EventTypes;
use hotshelf_registry::{
    ADDRESS_BYTES_MAX, Error, ModelName, Registry, ReplicaId, S3Options, without_userinfo,
};
use hotshelf_terminal::registry_args::registry_url;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

/// Longest configuration file (chosen: a thousand times what all settings take).
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The source of a text, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `--flag`.
    Flag(String),
    /// An environment variable.
    Variable(String),
    /// A key of the file.
    File(String),
    /// The table of settings.
    Default(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Variable(name) => f.write_str(name),
            Self::File(place) => f.write_str(place),
            Self::Default(key) => write!(f, "default of {key}"),
        }
    }
}

/// Everything wrong with a configuration, a line each.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid configuration, {} problem(s):", self.0.len())?;
        for problem in &self.0 {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Texts by key, not parsed yet.
#[derive(Debug, Default)]
pub struct Layers {
    /// As typed.
    pub flags: BTreeMap<String, String>,
    /// Variables that begin with `HOTSHELF_`, and those of [`hotshelf_registry::S3Options`].
    pub variables: BTreeMap<String, String>,
    /// Path and text of the file.
    pub file: Option<(String, String)>,
}

impl Layers {
    /// Adds the file at this path.
    ///
    /// # Errors
    /// It cannot be read, or is longer than 1 MiB.
    pub fn read_file(&mut self, path: &Path) -> Result<(), Problems> {
        let name = path.display().to_string();
        let text = hotshelf_terminal::file::read_text(path, FILE_BYTES_MAX);
        let text = text.map_err(|error| Problems(vec![format!("{name}: {error}")]))?;
        self.file = Some((name, text));
        Ok(())
    }

    /// The winning text of every setting; all problems at once.
    ///
    /// # Errors
    /// Unknown keys and variables, values of another form, settings that are missing.
    pub fn resolve(&self) -> Result<Resolved, Problems> {
        let mut problems = Problems::default();
        let file = self.file_values(&mut problems);
        for name in self.variables.keys() {
            let is_known = SETTINGS.iter().any(|setting| setting.variable() == *name);
            if name.starts_with("HOTSHELF_") && !is_known {
                problems.0.push(format!("{name}: unknown setting"));
            }
        }
        let mut resolved = Resolved(BTreeMap::new());
        for setting in SETTINGS {
            match self.find(setting, &file) {
                Some((text, origin)) => match check(setting, &text) {
                    Ok(()) => drop(resolved.0.insert(setting.key, text)),
                    Err(why) => {
                        let shown = shown(setting.kind, &text);
                        problems.0.push(format!("{origin}: {shown:?} {why}"));
                    }
                },
                None => problems.0.push(format!(
                    "{}: required, as --{}, {} or in the file",
                    setting.key,
                    setting.flag(),
                    setting.variable()
                )),
            }
        }
        if problems.0.is_empty() {
            Ok(resolved)
        } else {
            Err(problems)
        }
    }

    /// The winning texts of these keys and their sources, unchecked. A file that is not TOML has none.
    pub(super) fn of_keys<'a>(
        &'a self,
        keys: &'a [&'a str],
    ) -> impl Iterator<Item = (&'static str, String, Origin)> + 'a {
        let file = self.file_values(&mut Problems::default());
        let settings = SETTINGS
            .iter()
            .filter(|setting| keys.contains(&setting.key));
        settings.filter_map(move |setting| {
            let (text, origin) = self.find(setting, &file)?;
            Some((setting.key, text, origin))
        })
    }

    /// Blanks and line breaks at both ends are cut off: a value that comes from a file ends with one.
    fn find(
        &self,
        setting: &Setting,
        file: &BTreeMap<String, (String, Origin)>,
    ) -> Option<(String, Origin)> {
        let (text, origin) = self.find_verbatim(setting, file)?;
        Some((text.trim().to_owned(), origin))
    }

    fn find_verbatim(
        &self,
        setting: &Setting,
        file: &BTreeMap<String, (String, Origin)>,
    ) -> Option<(String, Origin)> {
        let (flag, variable) = (setting.flag(), setting.variable());
        if let Some(text) = self.flags.get(setting.key) {
            return Some((text.clone(), Origin::Flag(flag)));
        }
        if let Some(text) = self.variables.get(&variable) {
            return Some((text.clone(), Origin::Variable(variable)));
        }
        let from_file = file.get(setting.key).cloned();
        from_file.or_else(|| Some((setting.default?.to_owned(), Origin::Default(setting.key))))
    }

    fn file_values(&self, problems: &mut Problems) -> BTreeMap<String, (String, Origin)> {
        let Some((name, text)) = &self.file else {
            return BTreeMap::new();
        };
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                problems
                    .0
                    .push(format!("{name}: {}", error.to_string().trim_end()));
                return BTreeMap::new();
            }
        };
        let mut values = BTreeMap::new();
        for (key, value) in table {
            let origin = Origin::File(format!("{name}: {key}"));
            if !SETTINGS.iter().any(|setting| setting.key == key) {
                problems.0.push(format!("{origin}: unknown setting"));
                continue;
            }
            match value {
                toml::Value::String(text) => drop(values.insert(key, (text, origin))),
                toml::Value::Integer(number) => {
                    drop(values.insert(key, (number.to_string(), origin)));
                }
                other => problems.0.push(format!(
                    "{origin}: expected a string or a whole number, found {}",
                    other.type_str()
                )),
            }
        }
        values
    }
}

/// A setting's text without passwords, for messages.
fn shown(kind: Kind, text: &str) -> &str {
    match kind {
        Kind::Registry | Kind::EventsRoot | Kind::S3 => without_userinfo(text),
        _ => text,
    }
}

fn check(setting: &Setting, text: &str) -> Result<(), String> {
    match setting.kind {
        Kind::Folder if text.is_empty() => Err("must not be empty".to_owned()),
        Kind::Folder => Ok(()),
        Kind::Address => match text.parse::<SocketAddr>() {
            Ok(_) => Ok(()),
            Err(_) => Err("is not an IP address and port, such as 127.0.0.1:50051".to_owned()),
        },
        Kind::Number(min, max) => match text.parse::<u64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(()),
            _ => Err(format!("is not a whole number within {min} to {max}")),
        },
        Kind::Replica if text.is_empty() => Ok(()),
        Kind::Replica => match text.parse::<ReplicaId>() {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("is not a replica name: {error}")),
        },
        Kind::HostPort if text.is_empty() || is_host_port(text) => Ok(()),
        Kind::HostPort => Err("is not a host and a port, such as 10.0.0.7:50051".to_owned()),
        Kind::Models => model_names(text).map(drop),
        Kind::S3 => s3_form(setting.key, text),
        Kind::Registry => registry_form(text),
        Kind::EventsRoot if text.is_empty() => Ok(()),
        Kind::EventsRoot => registry_form(text).map_err(|why| why.replace("a registry", "a store")),
        Kind::FolderOrNone => Ok(()),
        Kind::EventTypes => EventTypes::parse(text).map(drop),
        Kind::Word(words) if words.contains(&text) => Ok(()),
        Kind::Word(words) => Err(format!("is not one of {}", words.join(", "))),
    }
}

fn registry_form(text: &str) -> Result<(), String> {
    let url = registry_url(text)?;
    Registry::check_url(&url).map_err(|error| format!("is not a registry: {}", with_causes(&error)))
}

fn s3_form(key: &str, text: &str) -> Result<(), String> {
    match S3Options::default().set(key, text) {
        Ok(()) => Ok(()),
        Err(Error::Invalid { limit, .. }) => Err(format!("is not {limit}")),
        Err(error) => Err(error.to_string()),
    }
}

/// A host of printable ASCII, short enough for a replica file, and a port.
fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic());
    is_host && text.len() <= ADDRESS_BYTES_MAX && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn model_names(text: &str) -> Result<Vec<ModelName>, String> {
    let (mut names, mut problems) = (Vec::new(), Vec::new());
    for part in text.split(',').map(str::trim) {
        match part.parse::<ModelName>() {
            Ok(name) if names.contains(&name) => problems.push(format!("{part:?} is listed twice")),
            Ok(name) => names.push(name),
            Err(error) => problems.push(error.to_string()),
        }
    }
    if problems.is_empty() {
        Ok(names)
    } else {
        Err(format!("is not a list of models: {}", problems.join("; ")))
    }
}

/// Texts that were checked against their kinds.
#[derive(Debug)]
pub struct Resolved(BTreeMap<&'static str, String>);

impl Resolved {
    /// The text of a key of the table.
    pub fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// A setting of kind Number.
    pub fn number(&self, key: &str) -> u64 {
        self.text(key)
            .parse()
            .expect("resolve() checked the form of every number")
    }

    /// A setting of kind Registry or EventsRoot, a plain folder as its URL; empty where it is.
    pub fn url(&self, key: &str) -> String {
        match self.text(key) {
            "" => String::new(),
            text => registry_url(text).expect("resolve() checked the form of every store"),
        }
    }

    /// A setting of kind Address.
    pub fn address(&self, key: &str) -> SocketAddr {
        self.text(key)
            .parse()
            .expect("resolve() checked the form of every address")
    }

    /// A setting of kind Replica.
    pub fn replica(&self, key: &str) -> Option<ReplicaId> {
        self.text(key).parse().ok()
    }

    /// The setting of kind Models, in the order given.
    pub fn models(&self) -> Vec<ModelName> {
        model_names(self.text("models")).expect("resolve() checked the names")
    }
}
