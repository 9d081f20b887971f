//! The client of one bucket. It neither retries nor times out, since `store.rs` does both, with jitter, and
//! two layers of retries would multiply.

use super::{PathStyle, S3Credentials, S3Endpoint, S3Options, without_userinfo};
use crate::Error;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
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
    let region = options.region.as_ref();
    let builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region.map_or(REGION_DEFAULT, |region| &region.0))
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(RetryConfig {
            max_retries: 0,
            retry_timeout: Duration::ZERO,
            backoff: BackoffConfig::default(),
        });
    let builder = identified(builder, credentials);
    let builder = addressed(builder, bucket, options);
    let made = connections(options).and_then(|http| builder.with_client_options(http).build());
    made.map_err(|error| Error::Unavailable {
        what: format!("making a client of bucket {bucket}"),
        source: Box::new(error),
    })
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

fn addressed(builder: AmazonS3Builder, bucket: &str, options: &S3Options) -> AmazonS3Builder {
    let is_path_style = match options.path_style {
        PathStyle::Auto => options.endpoint.is_some(),
        PathStyle::Always => true,
        PathStyle::Never => false,
    };
    let builder = builder.with_virtual_hosted_style_request(!is_path_style);
    match &options.endpoint {
        None => builder,
        Some(endpoint) if is_path_style => builder.with_endpoint(endpoint.to_string()),
        // The client takes an endpoint of this style as the bucket's own.
        Some(endpoint) => builder.with_endpoint(endpoint.of_bucket(bucket)),
    }
}

fn identified(builder: AmazonS3Builder, credentials: &S3Credentials) -> AmazonS3Builder {
    use AmazonS3ConfigKey as Key;
    match credentials {
        S3Credentials::Keys {
            access_key_id,
            secret_access_key,
            session_token,
        } => {
            let builder = builder
                .with_access_key_id(access_key_id)
                .with_secret_access_key(secret_access_key);
            match session_token {
                Some(token) => builder.with_token(token),
                None => builder,
            }
        }
        S3Credentials::WebIdentity {
            role_arn,
            token_file,
            session_name,
            sts_endpoint,
        } => {
            let mut builder = builder
                .with_config(Key::RoleArn, role_arn)
                .with_config(Key::WebIdentityTokenFile, token_file.to_string_lossy());
            if let Some(name) = session_name {
                builder = builder.with_config(Key::RoleSessionName, name);
            }
            if let Some(endpoint) = sts_endpoint {
                builder = builder.with_config(Key::StsEndpoint, endpoint.to_string());
            }
            builder
        }
        S3Credentials::ContainerRelative { uri } => {
            builder.with_config(Key::ContainerCredentialsRelativeUri, uri)
        }
        S3Credentials::ContainerFull { uri, token_file } => builder
            .with_config(Key::ContainerCredentialsFullUri, uri)
            .with_config(
                Key::ContainerAuthorizationTokenFile,
                token_file.to_string_lossy(),
            ),
    }
}
