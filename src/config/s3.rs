//! What an `s3://` registry is reached with: the settings of this table over the usual variables of
//! S3 clients.

use super::layers::{Layers, Problems};
use crate::error::with_causes;
use hotshelf_registry::{Registry, S3Authorities, S3Options};

/// The settings that say it. Empty ones leave it to the variables.
pub const S3_SETTINGS: [&str; 4] = ["s3_endpoint", "s3_region", "s3_path_style", "s3_ca_file"];

/// The form of one of them.
pub(super) fn check(key: &str, text: &str) -> Result<(), String> {
    match set(&mut S3Options::default(), key, text) {
        Ok(()) => Ok(()),
        Err(hotshelf_registry::Error::Invalid { limit, .. }) => Err(format!("is not {limit}")),
        Err(error) => Err(error.to_string()),
    }
}

fn set(options: &mut S3Options, key: &str, text: &str) -> Result<(), hotshelf_registry::Error> {
    match key {
        _ if text.is_empty() => {}
        "s3_endpoint" => options.endpoint = Some(text.parse()?),
        "s3_region" => options.region = Some(text.parse()?),
        "s3_ca_file" => options.authorities = Some(S3Authorities::read(text.as_ref())?),
        _ => options.path_style = text.parse()?,
    }
    Ok(())
}

impl Layers {
    /// Everything that the registry at `url` is opened with, found good by opening it, which asks
    /// no server. Other registries than buckets are not told about by any variable.
    ///
    /// # Errors
    /// All problems of settings and variables at once, credentials that are missing among them.
    pub fn s3(&self, url: &str) -> Result<S3Options, Problems> {
        if !url.starts_with("s3://") {
            return Ok(S3Options::default());
        }
        let said = |error: &hotshelf_registry::Error| with_causes(error);
        let problems = |errors: &[hotshelf_registry::Error]| errors.iter().map(said).collect();
        let from_variables = S3Options::from_variables(&self.variables);
        let mut options = from_variables.map_err(|errors| Problems(problems(&errors)))?;
        let mut wrong = Problems::default();
        for (key, text, origin) in self.of_keys(&S3_SETTINGS) {
            if let Err(error) = set(&mut options, key, &text) {
                wrong.0.push(format!("{origin}: {}", said(&error)));
            }
        }
        if let (true, Err(error)) = (wrong.0.is_empty(), Registry::open(url, &options)) {
            wrong.0.push(format!("registry: {}", said(&error)));
        }
        if wrong.0.is_empty() {
            Ok(options)
        } else {
            Err(wrong)
        }
    }
}
