//! The usual variables of S3 clients, from a map that the caller filled.

use super::client::{ECS_AGENT, HIDDEN};
use super::outside::{check_header, is_target, trimmed};
use super::{S3Credentials, S3Endpoint, S3Options, S3Region, without_userinfo};
use crate::Error;
use std::collections::BTreeMap;
use std::path::PathBuf;

const KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN: &str = "AWS_SESSION_TOKEN";
const ROLE: &str = "AWS_ROLE_ARN";
const ROLE_TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const ROLE_SESSION: &str = "AWS_ROLE_SESSION_NAME";
const ROLE_ENDPOINT: &str = "AWS_ENDPOINT_URL_STS";
const CONTAINER_RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const CONTAINER_FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const CONTAINER_TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
/// The first that is set takes effect, here and below.
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

impl S3Options {
    /// Every variable that [`S3Options::from_variables`] reads.
    pub const VARIABLES: &'static [&'static str] = &[
        KEY,
        SECRET,
        TOKEN,
        REGIONS[0],
        REGIONS[1],
        ENDPOINTS[0],
        ENDPOINTS[1],
        ROLE,
        ROLE_TOKEN_FILE,
        ROLE_SESSION,
        ROLE_ENDPOINT,
        CONTAINER_RELATIVE,
        CONTAINER_FULL,
        CONTAINER_TOKEN_FILE,
    ];

    /// Options from the usual variables. Blanks and line breaks at both ends of a value are cut off; an empty
    /// one counts as unset. Of credentials, keys take precedence over a web identity, and that over a
    /// container's.
    ///
    /// # Errors
    /// Everything that is wrong with them, each an [`Error::Invalid`] that names the variable. No
    /// secret's value is in any.
    pub fn from_variables(variables: &BTreeMap<String, String>) -> Result<Self, Vec<Error>> {
        let found = Found(variables);
        let mut problems = Vec::new();
        let endpoint = found.first(&ENDPOINTS, S3Endpoint::parse, &mut problems);
        let region = found.first(&REGIONS, S3Region::parse, &mut problems);
        let credentials = found.credentials(&mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            endpoint,
            region,
            credentials,
            ..Self::default()
        })
    }
}

struct Found<'a>(&'a BTreeMap<String, String>);

impl Found<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let text = self.0.get(name).map(|text| trimmed(text));
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn first<T>(
        &self,
        names: &[&'static str],
        parse: fn(&'static str, &str) -> Result<T, Error>,
        problems: &mut Vec<Error>,
    ) -> Option<T> {
        let (name, text) = names
            .iter()
            .find_map(|name| Some((*name, self.text(name)?)))?;
        parse(name, &text)
            .map_err(|error| problems.push(error))
            .ok()
    }

    /// Both, or neither; one alone is a mistake that would otherwise surface as missing permission.
    fn pair(
        &self,
        names: [&'static str; 2],
        problems: &mut Vec<Error>,
    ) -> Option<(String, String)> {
        match names.map(|name| self.text(name)) {
            [Some(one), Some(other)] => Some((one, other)),
            [None, None] => None,
            [one, _] => {
                let (there, missing) = if one.is_some() {
                    (names[0], names[1])
                } else {
                    (names[1], names[0])
                };
                problems.push(Error::invalid(
                    missing,
                    "",
                    format!("it has to be set where {there} is"),
                ));
                None
            }
        }
    }

    /// Each value is part of a header, or of a query beside a header.
    fn check_headers(&self, names: &[&'static str], problems: &mut Vec<Error>) {
        for name in names {
            if let Err(why) = check_header(&self.text(name).unwrap_or_default()) {
                problems.push(Error::invalid(name, HIDDEN, why));
            }
        }
    }

    fn credentials(&self, problems: &mut Vec<Error>) -> Option<S3Credentials> {
        if let Some((access_key_id, secret_access_key)) = self.pair([KEY, SECRET], problems) {
            self.check_headers(&[KEY, SECRET, TOKEN], problems);
            let session_token = self.text(TOKEN);
            return Some(S3Credentials::Keys {
                access_key_id,
                secret_access_key,
                session_token,
            });
        }
        if let Some((role_arn, token_file)) = self.pair([ROLE, ROLE_TOKEN_FILE], problems) {
            self.check_headers(&[ROLE, ROLE_SESSION], problems);
            return Some(S3Credentials::WebIdentity {
                role_arn,
                token_file: PathBuf::from(token_file),
                session_name: self.text(ROLE_SESSION),
                sts_endpoint: self.first(&[ROLE_ENDPOINT], S3Endpoint::parse_https, problems),
            });
        }
        if let Some(uri) = self.text(CONTAINER_RELATIVE) {
            if uri.starts_with('/') && is_target(&format!("{ECS_AGENT}{uri}")) {
                return Some(S3Credentials::ContainerRelative { uri });
            }
            let limit = "a path that begins with / and has no blanks";
            problems.push(Error::invalid(CONTAINER_RELATIVE, &uri, limit));
        }
        let (uri, token_file) = self.pair([CONTAINER_FULL, CONTAINER_TOKEN_FILE], problems)?;
        if !is_target(&uri) {
            let limit = "http://host/path or https://host/path";
            let shown = without_userinfo(&uri);
            problems.push(Error::invalid(CONTAINER_FULL, shown, limit));
        }
        Some(S3Credentials::ContainerFull {
            uri,
            token_file: PathBuf::from(token_file),
        })
    }
}
