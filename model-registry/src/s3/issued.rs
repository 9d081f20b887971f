//! Credentials that a service issues: STS for a web identity, or a container's agent.
//!
//! ```text
//! token file ─▶ request ─▶ answer (64 KiB at most) ─▶ checked ─▶ reused until five minutes before it expires
//! ```
//!
//! The object store's own client asks both services, too. It is not used for them: it reads token files and
//! answers without a limit, and panics where a token or an answer cannot be a header, such as a token file
//! that ends with a line break.

use super::outside::{check_header, trimmed};
use crate::Cause;
use crate::json::printable;
use async_trait::async_trait;
use futures::StreamExt;
use http::{HeaderValue, Method, header};
use jiff::Timestamp;
use object_store::aws::AwsCredential;
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use object_store::{CredentialProvider, Error as StoreError};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use url::Url;

/// Longest token file (chosen: eight times the longest token of a service account).
const TOKEN_BYTES_MAX: u64 = 16 << 10;
/// Longest answer (chosen: thirty times that of STS).
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Excerpt of a refusal in a message.
const REFUSAL_BYTES_MAX: usize = 256;
/// Credentials are renewed this long before they expire (inherited from Amazon's own clients).
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// A service that issues credentials for less than that is asked again after this pause.
const ASK_PAUSE: Duration = Duration::from_millis(100);

/// Who issues credentials.
#[derive(Debug)]
pub(super) enum Issuer {
    /// STS, for the token of a web identity.
    Sts {
        endpoint: String,
        role_arn: String,
        session_name: String,
        token_file: PathBuf,
    },
    /// The container's agent; on EKS it wants the token of a file.
    Agent {
        url: String,
        token_file: Option<PathBuf>,
    },
}

/// Asks an issuer, and reuses its answer for as long as it lasts.
#[derive(Debug)]
pub(super) struct Issued {
    issuer: Issuer,
    http: HttpClient,
    known: Mutex<Option<Known>>,
    /// Held by the one who asks; the others wait and share the answer.
    asking: Semaphore,
}

#[derive(Debug)]
struct Known {
    credential: Arc<AwsCredential>,
    asked: Instant,
    lasts: Duration,
}

/// Why there are no credentials. No message holds a token or a key.
#[derive(Debug, thiserror::Error)]
enum IssueError {
    #[error("token file {}", path.display())]
    TokenFile {
        path: PathBuf,
        #[source]
        source: Cause,
    },
    #[error("{url} cannot be asked for credentials")]
    Request {
        url: String,
        #[source]
        source: Cause,
    },
    #[error("{url} issued no credentials: {status}: {said}")]
    Refused {
        url: String,
        status: http::StatusCode,
        said: String,
    },
    #[error("{url} answered with something else than credentials: {why}")]
    Answer { url: String, why: String },
}

/// As both services spell it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    access_key_id: String,
    secret_access_key: String,
    #[serde(alias = "SessionToken")]
    token: String,
    expiration: String,
}

/// The answer of STS.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeRoleResponse {
    assume_role_with_web_identity_result: AssumeRoleResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeRoleResult {
    credentials: Keys,
}

impl Issued {
    pub(super) fn new(issuer: Issuer, http: HttpClient) -> Self {
        Self {
            issuer,
            http,
            known: Mutex::default(),
            asking: Semaphore::new(1),
        }
    }

    /// The lock guards a value that is replaced as a whole, so that a poisoned one is as good.
    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reusable(&self) -> Option<Arc<AwsCredential>> {
        let known = self.known();
        let known = known.as_ref()?;
        let age = known.asked.elapsed();
        let is_fresh = known.lasts.saturating_sub(age) > RENEW_BEFORE;
        let was_just_asked = age < ASK_PAUSE && known.lasts > age;
        (is_fresh || was_just_asked).then(|| Arc::clone(&known.credential))
    }

    async fn issue(&self) -> Result<Arc<AwsCredential>, IssueError> {
        let asked = Instant::now();
        let keys = match &self.issuer {
            Issuer::Sts { token_file, .. } => {
                let token = read_token(token_file).await?;
                let url = self.issuer.url(&token);
                let answer = self.ask(Method::POST, (&url, None), &token);
                let answer: Result<AssumeRoleResponse, _> = quick_xml::de::from_str(&answer.await?);
                answer
                    .map(|answer| answer.assume_role_with_web_identity_result.credentials)
                    .map_err(|_| self.not_keys("it is no AssumeRoleWithWebIdentityResponse"))?
            }
            Issuer::Agent { token_file, .. } => {
                let token = match token_file {
                    Some(file) => Some(read_token(file).await?),
                    None => None,
                };
                let shown = token.as_deref().unwrap_or_default();
                let url = self.issuer.url("");
                let answer = self.ask(Method::GET, (&url, token.as_deref()), shown);
                // The parser's message may repeat a value.
                serde_json::from_str(&answer.await?)
                    .map_err(|_| self.not_keys("it is no JSON object with keys"))?
            }
        };
        let (credential, expires) = self.checked(&keys)?;
        let lasts = Duration::try_from(expires.duration_since(Timestamp::now()));
        let credential = Arc::new(credential);
        *self.known() = Some(Known {
            credential: Arc::clone(&credential),
            asked,
            lasts: lasts.unwrap_or_default(),
        });
        Ok(credential)
    }

    /// The text of a successful answer. `secret` is in no error.
    async fn ask(
        &self,
        method: Method,
        (url, token): (&str, Option<&str>),
        secret: &str,
    ) -> Result<String, IssueError> {
        let failed = |source: Cause| IssueError::Request {
            url: self.issuer.name().to_owned(),
            source,
        };
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = method;
        *request.uri_mut() = url.parse().map_err(|error| failed(Box::new(error)))?;
        if let Some(token) = token {
            let value = HeaderValue::from_str(token).map_err(|error| failed(Box::new(error)))?;
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        let response = self.http.execute(request).await;
        let response = response.map_err(|error| failed(Box::new(error)))?;
        let status = response.status();
        let mut pieces = response.into_body().bytes_stream();
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| failed(Box::new(error)))?;
            if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
                let why = format!("it is longer than {ANSWER_BYTES_MAX} bytes");
                return Err(self.not_keys(&why));
            }
            bytes.extend_from_slice(&piece);
        }
        let text = String::from_utf8(bytes).map_err(|_| self.not_keys("it is not UTF-8"))?;
        if status.is_success() {
            return Ok(text);
        }
        let said = match secret {
            "" => text,
            secret => text.replace(secret, "…"),
        };
        Err(IssueError::Refused {
            url: self.issuer.name().to_owned(),
            status,
            said: printable(&said, REFUSAL_BYTES_MAX),
        })
    }

    /// Keys that can be signed with and sent, and when they expire.
    fn checked(&self, keys: &Keys) -> Result<(AwsCredential, Timestamp), IssueError> {
        let header = |field: &str, text: &str| {
            let text = trimmed(text);
            let checked = match text.is_empty() {
                true => Err("is empty".to_owned()),
                false => check_header(text),
            };
            match checked {
                Ok(()) => Ok(text.to_owned()),
                Err(why) => Err(self.not_keys(&format!("{field}: {why}"))),
            }
        };
        let credential = AwsCredential {
            key_id: header("AccessKeyId", &keys.access_key_id)?,
            secret_key: header("SecretAccessKey", &keys.secret_access_key)?,
            token: Some(header("SessionToken", &keys.token)?),
        };
        let expires = trimmed(&keys.expiration).parse();
        match expires {
            Ok(expires) => Ok((credential, expires)),
            Err(_) => Err(self.not_keys("Expiration: it is no time")),
        }
    }

    fn not_keys(&self, why: &str) -> IssueError {
        IssueError::Answer {
            url: self.issuer.name().to_owned(),
            why: why.to_owned(),
        }
    }
}

#[async_trait]
impl CredentialProvider for Issued {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        if let Some(known) = self.reusable() {
            return Ok(known);
        }
        // Dropped with the request, and never closed.
        let _permit = self.asking.acquire().await;
        if let Some(known) = self.reusable() {
            return Ok(known);
        }
        self.issue().await.map_err(|error| StoreError::Generic {
            store: "S3",
            source: Box::new(error),
        })
    }
}

impl Issuer {
    /// For messages: without the token of the query.
    fn name(&self) -> &str {
        match self {
            Self::Sts { endpoint, .. } => endpoint,
            Self::Agent { url, .. } => url,
        }
    }

    /// Where the request goes; `token` is of STS, which takes it in the query.
    fn url(&self, token: &str) -> String {
        match self {
            Self::Agent { url, .. } => url.clone(),
            Self::Sts {
                endpoint,
                role_arn,
                session_name,
                ..
            } => {
                let pairs = [
                    ("Action", "AssumeRoleWithWebIdentity"),
                    ("DurationSeconds", "3600"),
                    ("RoleArn", role_arn),
                    ("RoleSessionName", session_name),
                    ("Version", "2011-06-15"),
                    ("WebIdentityToken", token),
                ];
                match Url::parse_with_params(endpoint, pairs) {
                    Ok(url) => url.into(),
                    // Then the request fails, and says why.
                    Err(_) => endpoint.clone(),
                }
            }
        }
    }
}

/// The token of a file, as it can be sent. Read anew for every request: it is replaced while a server runs.
async fn read_token(path: &Path) -> Result<String, IssueError> {
    let failed = |source: Cause| IssueError::TokenFile {
        path: path.to_owned(),
        source,
    };
    let file = path.to_owned();
    #[expect(
        clippy::disallowed_methods,
        reason = "one small file, read off the request path; the call that waits for it has a deadline"
    )]
    let read =
        tokio::task::spawn_blocking(move || crate::small_file::read(&file, TOKEN_BYTES_MAX)).await;
    let bytes = match read {
        Ok(bytes) => bytes.map_err(|error| failed(Box::new(error)))?,
        Err(error) => return Err(failed(Box::new(error))),
    };
    let text = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8".into()))?;
    let token = trimmed(&text);
    if token.is_empty() {
        return Err(failed("it is empty".into()));
    }
    check_header(token).map_err(|why| failed(why.into()))?;
    Ok(token.to_owned())
}
