//! What a registry is opened with: the flags, over the variables that the server reads too.
//!
//! The one place of this package that reads the environment.

use std::collections::BTreeMap;

use clap::Args;
use hotshelf_registry::{Registry, S3Authorities, S3Options};

use crate::error::Error;

/// Variables of the server's own settings, which go over the usual ones of S3 clients.
const ENDPOINT: &str = "HOTSHELF_S3_ENDPOINT";
const REGION: &str = "HOTSHELF_S3_REGION";
const PATH_STYLE: &str = "HOTSHELF_S3_PATH_STYLE";
const CA_FILE: &str = "HOTSHELF_S3_CA_FILE";

#[derive(Debug, Args)]
pub(super) struct RegistryArgs {
    /// S3 service, such as http://127.0.0.1:9000 [default: HOTSHELF_S3_ENDPOINT,
    /// AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else Amazon's]
    #[arg(long, value_name = "URL")]
    s3_endpoint: Option<String>,
    /// Region of the bucket [default: HOTSHELF_S3_REGION, AWS_REGION, AWS_DEFAULT_REGION, else
    /// us-east-1]
    #[arg(long, value_name = "REGION")]
    s3_region: Option<String>,
    /// Whether the bucket's name stands in the path: always, never, or auto, which is where there
    /// is an endpoint [default: HOTSHELF_S3_PATH_STYLE, else auto]
    #[arg(long, value_name = "WORD")]
    s3_path_style: Option<String>,
    /// PEM file of authorities that certificates of an https endpoint may be of, beside the
    /// system's [default: HOTSHELF_S3_CA_FILE, else none]
    #[arg(long, value_name = "FILE")]
    s3_ca_file: Option<String>,
}

impl RegistryArgs {
    /// Asks no server.
    ///
    /// # Errors
    /// [`Error::Argument`] with everything that is wrong with URL, flags and variables.
    pub(super) fn open(&self, url: &str) -> Result<Registry, Error> {
        let s3 = if url.starts_with("s3://") {
            self.s3(&variables())?
        } else {
            S3Options::default()
        };
        Registry::open(url, &s3).map_err(|error| Error::Argument(error.to_string()))
    }

    fn s3(&self, variables: &BTreeMap<String, String>) -> Result<S3Options, Error> {
        let mut options = S3Options::from_variables(variables).map_err(|errors| {
            let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Error::Argument(said.join("; "))
        })?;
        let text = |typed: &Option<String>, name: &str| {
            let text = typed.as_ref().or_else(|| variables.get(name));
            text.filter(|text| !text.is_empty()).cloned()
        };
        let refuse = |error: hotshelf_registry::Error| Error::Argument(error.to_string());
        if let Some(endpoint) = text(&self.s3_endpoint, ENDPOINT) {
            options.endpoint = Some(endpoint.parse().map_err(refuse)?);
        }
        if let Some(region) = text(&self.s3_region, REGION) {
            options.region = Some(region.parse().map_err(refuse)?);
        }
        if let Some(style) = text(&self.s3_path_style, PATH_STYLE) {
            options.path_style = style.parse().map_err(refuse)?;
        }
        if let Some(file) = text(&self.s3_ca_file, CA_FILE) {
            options.authorities = Some(S3Authorities::read(file.as_ref()).map_err(refuse)?);
        }
        Ok(options)
    }
}

/// One that is not UTF-8 is none of these.
#[allow(
    clippy::disallowed_methods,
    reason = "this package's one look at the environment"
)]
fn variables() -> BTreeMap<String, String> {
    let is_read = |name: &str| {
        [ENDPOINT, REGION, PATH_STYLE, CA_FILE].contains(&name)
            || S3Options::VARIABLES.contains(&name)
    };
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let all = std::env::vars_os().filter_map(text);
    all.filter(|(name, _)| is_read(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn flags_go_over_own_variables_and_these_over_the_usual_ones() {
        let flags = RegistryArgs {
            s3_endpoint: Some("http://typed:1".to_owned()),
            s3_region: None,
            s3_path_style: None,
            s3_ca_file: None,
        };
        let said = variables(&[
            ("AWS_ENDPOINT_URL", "http://usual:1"),
            (ENDPOINT, "http://own:1"),
            ("AWS_REGION", "usual-1"),
            (REGION, "own-1"),
        ]);
        let options = flags.s3(&said).unwrap();
        assert_eq!(options.endpoint.unwrap().to_string(), "http://typed:1");
        assert_eq!(options.region.unwrap().to_string(), "own-1");
        let bad = flags.s3(&variables(&[(PATH_STYLE, "sometimes")]));
        let bad = bad.unwrap_err().to_string();
        assert!(bad.contains("\"sometimes\""), "{bad}");
        let bad = flags.s3(&variables(&[(CA_FILE, "nowhere.pem")]));
        let bad = bad.unwrap_err().to_string();
        assert!(bad.contains("\"nowhere.pem\""), "{bad}");
    }
}
