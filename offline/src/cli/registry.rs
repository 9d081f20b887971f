//! Opens a registry with the S3 arguments that all programs share.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hotshelf_registry::{Registry, S3Authorities, S3Options};
use hotshelf_terminal::environment;
use hotshelf_terminal::registry_args::{S3Args, S3Setting};

use crate::error::Error;

/// Opens a registry; asks no server.
///
/// # Errors
/// [`Error::Argument`] with everything that is wrong with URL, flags and variables.
pub(super) fn open(url: &str, args: &S3Args) -> Result<Registry, Error> {
    let options = if url.starts_with("s3://") {
        s3(args, &environment::variables(is_read))?
    } else {
        S3Options::default()
    };
    Registry::open(url, &options).map_err(|error| Error::Argument(error.to_string()))
}

/// The file of certificate authorities, if flags or variables name one.
pub(super) fn ca_file(args: &S3Args) -> Option<PathBuf> {
    let settings = args.settings(&environment::variables(is_read));
    let ca_file = settings.into_iter().find(|one| one.key == "s3_ca_file");
    ca_file.map(|setting| setting.text.into())
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
        let origin = setting.origin.clone();
        set(&mut options, setting)
            .map_err(|error| Error::Argument(format!("{origin}: {error}")))?;
    }
    Ok(options)
}

fn set(options: &mut S3Options, setting: S3Setting) -> Result<(), hotshelf_registry::Error> {
    let text = setting.text;
    match setting.key {
        "s3_endpoint" => options.endpoint = Some(text.parse()?),
        "s3_region" => options.region = Some(text.parse()?),
        "s3_path_style" => options.path_style = text.parse()?,
        "s3_ca_file" => options.authorities = Some(S3Authorities::read(text.as_ref())?),
        other => unreachable!("S3Args has no setting {other}"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn own_variables_override_the_usual_ones() {
        let variables = variables(&[
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
            let refusal = s3(&S3Args::default(), &variables(&[(name, text)])).unwrap_err();
            let refusal = refusal.to_string();
            assert!(refusal.starts_with(name), "{refusal}");
            assert!(refusal.contains(&format!("{text:?}")), "{refusal}");
        }
    }
}
