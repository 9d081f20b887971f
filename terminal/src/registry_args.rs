//! Which registry, and how an S3 service is reached: one set of arguments for every program.

use clap::Args;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use url::Url;

/// A registry that is opened without a server's configuration.
#[derive(Debug, Clone, Args)]
pub struct RegistryArgs {
    /// Registry: folder, file:///folder or s3://bucket/prefix
    #[arg(
        long,
        value_name = "URL",
        env = "HOTSHELF_REGISTRY",
        hide_env_values = true,
        value_parser = registry_url
    )]
    pub registry: String,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the group says it")]
    pub s3: S3Args,
}

/// How an S3 service is reached, as typed. The variables of the same settings come second; what
/// neither says is left to the usual variables of S3 clients.
#[derive(Debug, Clone, Default, Args)]
pub struct S3Args {
    // A heading of the group would also cover the arguments that a command lists after it.
    /// Set the S3 endpoint [env: HOTSHELF_S3_ENDPOINT, AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL", help_heading = "S3")]
    s3_endpoint: Option<String>,
    /// Set the bucket's region [env: HOTSHELF_S3_REGION, AWS_REGION]
    #[arg(long, value_name = "REGION", help_heading = "S3")]
    s3_region: Option<String>,
    /// Address buckets by path: auto, always or never [env: HOTSHELF_S3_PATH_STYLE]
    #[arg(long, value_name = "STYLE", help_heading = "S3")]
    s3_path_style: Option<String>,
    /// Trust the certificate authorities in this file [env: HOTSHELF_S3_CA_FILE]
    #[arg(long, value_name = "FILE", help_heading = "S3")]
    s3_ca_file: Option<String>,
}

/// One S3 setting and where its text came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Setting {
    /// The setting's key: `s3_endpoint`, `s3_region`, `s3_path_style` or `s3_ca_file`.
    pub key: &'static str,
    /// Its text, never empty.
    pub text: String,
    /// The flag or the variable, for messages.
    pub origin: String,
}

impl S3Args {
    /// The keys of all settings.
    pub const KEYS: [&'static str; 4] = ["s3_endpoint", "s3_region", "s3_path_style", "s3_ca_file"];

    /// The variable of a setting.
    pub fn variable(key: &str) -> String {
        format!("HOTSHELF_{}", key.to_uppercase())
    }

    /// What was typed, by key.
    pub fn typed(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let texts = [
            &self.s3_endpoint,
            &self.s3_region,
            &self.s3_path_style,
            &self.s3_ca_file,
        ];
        let typed = Self::KEYS.into_iter().zip(texts);
        typed.filter_map(|(key, text)| Some((key, text.as_deref()?)))
    }

    /// What was typed, over the variables. Blanks and line breaks at both ends are cut off, and an empty text
    /// says nothing.
    pub fn settings(&self, variables: &BTreeMap<String, String>) -> Vec<S3Setting> {
        let typed: BTreeMap<&str, &str> = self.typed().collect();
        let setting = |key: &'static str| {
            let variable = Self::variable(key);
            let (text, origin) = match typed.get(key) {
                Some(text) => ((*text).to_owned(), format!("--{}", key.replace('_', "-"))),
                None => (variables.get(&variable)?.clone(), variable),
            };
            let text = text.trim().to_owned();
            (!text.is_empty()).then_some(S3Setting { key, text, origin })
        };
        Self::KEYS.into_iter().filter_map(setting).collect()
    }
}

/// A registry's URL; a plain path is a folder, `target/registry` for `file:///…/target/registry`. Blanks and
/// line breaks at both ends are cut off.
///
/// # Errors
/// The text is empty, begins like a URL and is none, or the current folder is not known.
pub fn registry_url(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.contains("://") {
        return Ok(text.to_owned());
    }
    let first = text.split('/').next().unwrap_or_default();
    if text.is_empty() || first.ends_with(':') {
        let wanted = "a folder, file:///folder or s3://bucket/prefix";
        return Err(format!("{text:?} is not a registry: give {wanted}"));
    }
    let absolute = std::path::absolute(text).map_err(|error| error.to_string())?;
    let url = Url::from_file_path(without_dots(&absolute));
    url.map(String::from)
        .map_err(|()| format!("{text:?} is not a path"))
}

/// An absolute path without `..`: those of a folder that exists go where the system says, links
/// included.
fn without_dots(path: &Path) -> PathBuf {
    let has_dots = path.components().any(|part| part == Component::ParentDir);
    if !has_dots {
        return path.to_owned();
    }
    path.canonicalize().unwrap_or_else(|_| {
        let mut plain = PathBuf::new();
        for part in path.components() {
            match part {
                Component::ParentDir => drop(plain.pop()),
                other => plain.push(other),
            }
        }
        plain
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_arguments_override_variables_and_empty_ones_are_unset() {
        let args = S3Args {
            s3_endpoint: Some("http://typed:1".to_owned()),
            s3_ca_file: Some(String::new()),
            ..S3Args::default()
        };
        let variables = [
            ("HOTSHELF_S3_ENDPOINT", "http://own:1"),
            ("HOTSHELF_S3_REGION", " own-1\n"),
            ("HOTSHELF_S3_PATH_STYLE", "\n"),
        ];
        let own = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
        let found = args.settings(&variables.map(own).into());
        let said: Vec<String> = found
            .iter()
            .map(|one| format!("{} {} {}", one.key, one.text, one.origin))
            .collect();
        assert_eq!(
            said,
            [
                "s3_endpoint http://typed:1 --s3-endpoint",
                "s3_region own-1 HOTSHELF_S3_REGION"
            ]
        );
    }

    #[test]
    fn plain_path_is_a_folder() {
        let here = std::path::absolute(".").unwrap();
        let here = here.display();
        assert_eq!(registry_url("/a/b"), Ok("file:///a/b".to_owned()));
        assert_eq!(
            registry_url("/a b/50%"),
            Ok("file:///a%20b/50%25".to_owned())
        );
        assert_eq!(registry_url("x/y"), Ok(format!("file://{here}/x/y")));
        assert_eq!(registry_url("./x"), Ok(format!("file://{here}/x")));
        assert_eq!(registry_url(" /a/b\n"), Ok("file:///a/b".to_owned()));
        assert_eq!(registry_url("s3://b/x\r\n"), Ok("s3://b/x".to_owned()));
        assert_eq!(
            registry_url("/no-such/a/../b"),
            Ok("file:///no-such/b".to_owned())
        );
        for url in ["s3://bucket/x", "file:///x", "memory:///", "gs://x"] {
            assert_eq!(registry_url(url), Ok(url.to_owned()));
        }
    }

    #[test]
    fn text_that_only_begins_like_a_url_is_no_folder() {
        for text in ["", " ", "s3:/bucket/x", "file:/x", "s3:"] {
            assert!(registry_url(text).is_err(), "{text}");
        }
    }
}
