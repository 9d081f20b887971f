//! The client of one bucket. It neither retries nor times out, since `store.rs` does both, with jitter, and
//! two layers of retries would multiply.

use super::issued::{Issued, Issuer};
use super::outside::{check_header, is_target};
use super::{PathStyle, S3Credentials, S3Endpoint, S3Options, without_userinfo};
use crate::Error;
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::client::{HttpConnector, ReqwestConnector};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// Time to establish a connection, TLS included (chosen: ten round trips around the world).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// An idle connection is closed after this time (chosen: below the 20 s and more after which
/// servers do, so that a call seldom meets one that is being closed).
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// Idle connections retained (chosen: twice the ranges that one download has in flight).
const IDLE_MAX: usize = 16;
/// Signatures name a region even where the service has none.
const REGION_DEFAULT: &str = "us-east-1";
/// Of roles without a session name, in audit logs (inherited from Amazon's own clients).
const SESSION_DEFAULT: &str = "WebIdentitySession";
/// The agent of ECS, which a path alone names.
pub(super) const ECS_AGENT: &str = "http://169.254.170.2";
/// Stands for a secret in messages.
pub(super) const HIDDEN: &str = "(not shown)";

/// Bucket and path of what follows `s3://`.
pub(crate) fn bucket_of_url(rest: &str) -> Result<(&str, &str), Error> {
    let at = rest.find('/').unwrap_or(rest.len());
    let (bucket, path) = rest.split_at(at);
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
    let is_outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_name = (3..=63).contains(&bucket.len())
        && bucket.chars().all(is_plain)
        && bucket.starts_with(is_outer)
        && bucket.ends_with(is_outer)
        && !bucket.contains("..");
    if is_name {
        Ok((bucket, path))
    } else {
        let limit = "3 to 63 of a-z, 0-9, - and ., as in s3://bucket/prefix";
        Err(Error::invalid("bucket", without_userinfo(bucket), limit))
    }
}

/// Connects to nothing yet.
pub(crate) fn client(bucket: &str, options: &S3Options) -> Result<AmazonS3, Error> {
    let Some(credentials) = &options.credentials else {
        let limit = "an s3:// registry needs credentials: AWS_ACCESS_KEY_ID and \
                     AWS_SECRET_ACCESS_KEY, AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, or \
                     AWS_CONTAINER_CREDENTIALS_FULL_URI and AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE; \
                     a machine's metadata service is not used";
        return Err(Error::invalid("AWS_ACCESS_KEY_ID", "", limit));
    };
    check(credentials)?;
    let region = options.region.as_ref();
    let region = region.map_or(REGION_DEFAULT, |region| &region.0);
    let builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(RetryConfig {
            max_retries: 0,
            retry_timeout: Duration::ZERO,
            backoff: BackoffConfig::default(),
        });
    let builder = addressed(builder, bucket, options)?;
    let made = connections(options).and_then(|http| {
        let builder = identified(builder, (credentials, region), &http)?;
        builder.with_client_options(http).build()
    });
    made.map_err(|error| Error::Unavailable {
        what: format!("making a client of bucket {bucket}"),
        source: Box::new(error),
    })
}

/// What is sent as a header of every request. [`S3Options::from_variables`] refuses it earlier and by the
/// variable's name.
fn check(credentials: &S3Credentials) -> Result<(), Error> {
    let S3Credentials::Keys {
        access_key_id,
        session_token,
        ..
    } = credentials
    else {
        return Ok(());
    };
    let refused = |field| move |why: String| Error::invalid(field, HIDDEN, why);
    check_header(access_key_id).map_err(refused("access key id"))?;
    check_header(session_token.as_deref().unwrap_or_default()).map_err(refused("session token"))
}

/// Connections to the bucket and to credential services.
fn connections(options: &S3Options) -> Result<ClientOptions, object_store::Error> {
    let is_http = options.endpoint.as_ref().is_some_and(S3Endpoint::is_http);
    let mut http = ClientOptions::new()
        .with_allow_http(is_http)
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_pool_idle_timeout(IDLE_TIMEOUT)
        .with_pool_max_idle_per_host(IDLE_MAX);
    if let Some(authorities) = &options.authorities {
        for certificate in authorities.certificates()? {
            http = http.with_root_certificate(certificate);
        }
    }
    Ok(http)
}

fn addressed(
    builder: AmazonS3Builder,
    bucket: &str,
    options: &S3Options,
) -> Result<AmazonS3Builder, Error> {
    let is_path_style = match options.path_style {
        PathStyle::Auto => options.endpoint.is_some(),
        PathStyle::Always => true,
        PathStyle::Never => false,
    };
    let builder = builder.with_virtual_hosted_style_request(!is_path_style);
    let Some(endpoint) = &options.endpoint else {
        return Ok(builder);
    };
    // The client takes an endpoint of the other style as the bucket's own.
    let url = match is_path_style {
        true => endpoint.to_string(),
        false => endpoint.of_bucket(bucket),
    };
    match is_target(&url) {
        true => Ok(builder.with_endpoint(url)),
        false => Err(Error::invalid(
            "S3 endpoint",
            &url,
            "a host that can be called; an IP address has no hosts below it, so that its path style is always",
        )),
    }
}

fn identified(
    builder: AmazonS3Builder,
    (credentials, region): (&S3Credentials, &str),
    http: &ClientOptions,
) -> object_store::Result<AmazonS3Builder> {
    let (issuer, is_http_allowed) = match credentials {
        S3Credentials::Keys {
            access_key_id,
            secret_access_key,
            session_token,
        } => {
            let builder = builder
                .with_access_key_id(access_key_id)
                .with_secret_access_key(secret_access_key);
            return Ok(match session_token {
                Some(token) => builder.with_token(token),
                None => builder,
            });
        }
        S3Credentials::WebIdentity {
            role_arn,
            token_file,
            session_name,
            sts_endpoint,
        } => {
            let amazons = || format!("https://sts.{region}.amazonaws.com");
            let session_name = session_name.as_deref().unwrap_or(SESSION_DEFAULT);
            let issuer = Issuer::Sts {
                endpoint: sts_endpoint
                    .as_ref()
                    .map_or_else(amazons, S3Endpoint::to_string),
                role_arn: role_arn.clone(),
                session_name: session_name.to_owned(),
                token_file: token_file.clone(),
            };
            (issuer, false)
        }
        S3Credentials::ContainerRelative { uri } => {
            let issuer = Issuer::Agent {
                url: format!("{ECS_AGENT}{uri}"),
                token_file: None,
            };
            (issuer, true)
        }
        S3Credentials::ContainerFull { uri, token_file } => {
            let issuer = Issuer::Agent {
                url: uri.clone(),
                token_file: Some(token_file.clone()),
            };
            (issuer, true)
        }
    };
    let http = http.clone().with_allow_http(is_http_allowed);
    let http = ReqwestConnector::default().connect(&http)?;
    Ok(builder.with_credentials(Arc::new(Issued::new(issuer, http))))
}
