//! Options of an `s3://` registry: plain data, parsed from texts that the caller passes. The environment is
//! not read here.

use crate::Error;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use url::Url;

mod authorities;
mod client;
mod issued;
mod outside;
mod variables;

pub use authorities::S3Authorities;
pub(crate) use client::{bucket_of_url, client};

/// Endpoint and credentials. The default is Amazon's own service, in `us-east-1`, without credentials, with
/// which no bucket can be opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct S3Options {
    /// The service, where it is not Amazon's own.
    pub endpoint: Option<S3Endpoint>,
    /// The bucket's region; `us-east-1` if `None`.
    pub region: Option<S3Region>,
    /// Path style or virtual-hosted style.
    pub path_style: PathStyle,
    /// Certificate authorities trusted beside those of the system.
    pub authorities: Option<S3Authorities>,
    /// Credentials.
    pub credentials: Option<S3Credentials>,
}

impl S3Options {
    /// Sets what one setting says: `s3_endpoint`, `s3_region`, `s3_path_style` or `s3_ca_file`. Blanks and
    /// line breaks at both ends are cut off; an empty text leaves it as it is. BLOCKS for one small file,
    /// the authorities.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a text of another form, and for another key.
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), Error> {
        let text = outside::trimmed(text);
        match key {
            _ if text.is_empty() => {}
            "s3_endpoint" => self.endpoint = Some(text.parse()?),
            "s3_region" => self.region = Some(text.parse()?),
            "s3_path_style" => self.path_style = text.parse()?,
            "s3_ca_file" => self.authorities = Some(S3Authorities::read(text.as_ref())?),
            _ => return Err(Error::invalid("S3 setting", key, "one of the four")),
        }
        Ok(())
    }
}

/// `http://host:port` or `https://host:port`, without a path. Traffic to an `http://` one can be
/// read and altered in transit; every other service is called by TLS alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Endpoint {
    url: Url,
}

impl FromStr for S3Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse("S3 endpoint", text)
    }
}

impl S3Endpoint {
    fn parse(field: &'static str, text: &str) -> Result<Self, Error> {
        let refused = || {
            Error::invalid(
                field,
                without_userinfo(text),
                "http://host or https://host, a port may follow",
            )
        };
        // `Url` repairs what it can: blanks are dropped, slashes added. What needs repair is refused.
        let (_, rest) = text.split_once("://").ok_or_else(refused)?;
        let is_plain = !rest.starts_with(['/', '\\']) && !text.contains(char::is_whitespace);
        let url = Url::parse(text).ok().filter(|_| is_plain);
        let url = url.ok_or_else(refused)?;
        let has_more = url.path() != "/"
            || !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some();
        match outside::is_target(text) && !has_more {
            true => Ok(Self { url }),
            false => Err(refused()),
        }
    }

    /// For requests that carry a secret in plain.
    fn parse_https(field: &'static str, text: &str) -> Result<Self, Error> {
        match Self::parse(field, text)? {
            endpoint if endpoint.is_http() => Err(Error::invalid(
                field,
                without_userinfo(text),
                "https://host, a port may follow: a token is sent there",
            )),
            endpoint => Ok(endpoint),
        }
    }

    fn is_http(&self) -> bool {
        self.url.scheme() == "http"
    }

    /// The endpoint of one bucket, where its name stands in the host's.
    fn of_bucket(&self, bucket: &str) -> String {
        let Self { url } = self;
        let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
        format!("{}://{bucket}.{host}", url.scheme())
    }
}

impl fmt::Display for S3Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url[..url::Position::BeforePath])
    }
}

/// `eu-central-1`: lower-case letters, digits and dashes, at most 63.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Region(String);

impl FromStr for S3Region {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse("S3 region", text)
    }
}

impl S3Region {
    fn parse(field: &'static str, text: &str) -> Result<Self, Error> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if (1..=63).contains(&text.len()) && text.chars().all(is_plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::invalid(field, text, "1 to 63 of a-z, 0-9 and -"))
        }
    }
}

impl fmt::Display for S3Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the bucket's name stands in the path (`host/bucket`) or in the host's name
/// (`bucket.host`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathStyle {
    /// In the path where an endpoint is given, in the host's name otherwise.
    #[default]
    Auto,
    /// In the path.
    Always,
    /// In the host's name.
    Never,
}

impl PathStyle {
    /// How the styles are written.
    pub const WORDS: &'static [&'static str] = &["auto", "always", "never"];
}

impl FromStr for PathStyle {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err(Error::invalid(
                "S3 path style",
                text,
                "auto, always or never",
            )),
        }
    }
}

/// Where credentials come from. Keys and tokens are sent as headers, so that they are printable ASCII; blanks
/// and line breaks at both ends of a token file and of what a service issues are cut off. The metadata service of a machine is not used: every process of the machine
/// can reach it, and where there is none, a request hangs.
#[derive(Clone, PartialEq, Eq)]
pub enum S3Credentials {
    /// Static keys.
    Keys {
        /// The access key's id.
        access_key_id: String,
        /// The secret key.
        secret_access_key: String,
        /// Of temporary keys.
        session_token: Option<String>,
    },
    /// A role assumed by a token from a file, which is read again before it expires: EKS service
    /// accounts.
    WebIdentity {
        /// The role.
        role_arn: String,
        /// The token's file.
        token_file: PathBuf,
        /// The session's name in audit logs.
        session_name: Option<String>,
        /// The STS endpoint, called by TLS alone; Amazon's in the region if `None`.
        sts_endpoint: Option<S3Endpoint>,
    },
    /// From the container's agent: a path on ECS.
    ContainerRelative {
        /// The path.
        uri: String,
    },
    /// From the container's agent: EKS pod identities.
    ContainerFull {
        /// The URL.
        uri: String,
        /// The file with the token that is sent.
        token_file: PathBuf,
    },
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys { access_key_id, .. } => f
                .debug_struct("Keys")
                .field("access_key_id", access_key_id)
                .finish_non_exhaustive(),
            Self::WebIdentity {
                role_arn,
                token_file,
                sts_endpoint,
                ..
            } => f
                .debug_struct("WebIdentity")
                .field("role_arn", role_arn)
                .field("token_file", token_file)
                .field("sts_endpoint", sts_endpoint)
                .finish_non_exhaustive(),
            Self::ContainerRelative { uri } => f
                .debug_struct("ContainerRelative")
                .field("uri", uri)
                .finish(),
            Self::ContainerFull { uri, token_file } => f
                .debug_struct("ContainerFull")
                .field("uri", uri)
                .field("token_file", token_file)
                .finish(),
        }
    }
}

/// A URL as a message may show it: what precedes `@` may be a password.
#[must_use]
pub fn without_userinfo(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, rest)| rest)
}

#[cfg(test)]
mod tests;
