//! How an `s3://` registry is reached: the settings, else the usual variables of S3 clients.

use super::layers::{Layers, Problems};
use crate::error::with_causes;
use hotshelf_registry::{Registry, S3Options};
use hotshelf_terminal::registry_args::S3Args;

impl Layers {
    /// The options of the store at `url`, which `setting` names, checked by opening it, which makes no
    /// request. Only buckets have options.
    ///
    /// # Errors
    /// All problems of settings and variables at once, missing credentials included.
    pub fn s3(&self, setting: &str, url: &str) -> Result<S3Options, Problems> {
        if !url.starts_with("s3://") {
            return Ok(S3Options::default());
        }
        let said = |error: &hotshelf_registry::Error| with_causes(error);
        let problems = |errors: &[hotshelf_registry::Error]| errors.iter().map(said).collect();
        let from_variables = S3Options::from_variables(&self.variables);
        let mut options = from_variables.map_err(|errors| Problems(problems(&errors)))?;
        let mut wrong = Problems::default();
        for (key, text, origin) in self.of_keys(&S3Args::KEYS) {
            if let Err(error) = options.set(key, &text) {
                wrong.0.push(format!("{origin}: {}", said(&error)));
            }
        }
        if let (true, Err(error)) = (wrong.0.is_empty(), Registry::open(url, &options)) {
            wrong.0.push(format!("{setting}: {}", said(&error)));
        }
        if wrong.0.is_empty() {
            Ok(options)
        } else {
            Err(wrong)
        }
    }
}
