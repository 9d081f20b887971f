//! Opens a registry with the S3 arguments that all programs share.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hotshelf_registry::{Registry, S3Options};
use hotshelf_terminal::environment;
use hotshelf_terminal::registry_args::{S3Args, S3Setting};

use crate::error::Error;

/// Opens a registry; asks no server.
///
/// # Errors
/// [`Error::Argument`] with everything that is wrong with URL, flags and variables.
pub(super) fn open(url: &str, args: &S3Args) -> Result<Registry, Error> {
    let options = if url.starts_with("s3://") {
        s3(args, &variables()?)?
    } else {
        S3Options::default()
    };
    Registry::open(url, &options).map_err(|error| Error::Argument(error.to_string()))
}

/// The file of certificate authorities, if flags or variables name one.
pub(super) fn ca_file(args: &S3Args) -> Option<PathBuf> {
    let settings = args.settings(&environment::variables(is_read).texts);
    let ca_file = settings.into_iter().find(|one| one.key == "s3_ca_file");
    ca_file.map(|setting| setting.text.into())
}

/// The variables that matter for a bucket, which have to be text.
fn variables() -> Result<BTreeMap<String, String>, Error> {
    let found = environment::variables(is_read);
    match found.not_text.first() {
        Some(name) => Err(Error::Argument(format!("{name} is not UTF-8"))),
        None => Ok(found.texts),
    }
}

fn is_read(name: &str) -> bool {
    let own = S3Args::KEYS.map(S3Args::variable);
    own.iter().any(|variable| variable == name) || S3Options::VARIABLES.contains(&name)
}

/// The flags, over our own variables, over the usual ones of S3 clients.
fn s3(args: &S3Args, variables: &BTreeMap<String, String>) -> Result<S3Options, Error> {
    let mut options = S3Options::from_variables(variables).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Error::Argument(texts.join("; "))
    })?;
    for setting in args.settings(variables) {
        let S3Setting { key, text, origin } = setting;
        let set = options.set(key, &text);
        set.map_err(|error| Error::Argument(format!("{origin}: {error}")))?;
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn own_variables_override_the_usual_ones() {
        let variables = of(&[
            ("AWS_ENDPOINT_URL", "http://usual:1"),
            ("HOTSHELF_S3_ENDPOINT", "http://own:1"),
            ("AWS_REGION", "usual-1"),
        ]);
        let options = s3(&S3Args::default(), &variables).unwrap();
        assert_eq!(options.endpoint.unwrap().to_string(), "http://own:1");
        assert_eq!(options.region.unwrap().to_string(), "usual-1");
    }

    #[test]
    fn invalid_setting_is_refused_with_its_origin() {
        for (name, text) in [
            ("HOTSHELF_S3_PATH_STYLE", "sometimes"),
            ("HOTSHELF_S3_CA_FILE", "nowhere.pem"),
        ] {
            let refusal = s3(&S3Args::default(), &of(&[(name, text)])).unwrap_err();
            let refusal = refusal.to_string();
            assert!(refusal.starts_with(name), "{refusal}");
            assert!(refusal.contains(&format!("{text:?}")), "{refusal}");
        }
    }
}
