//! A role taken by a token that lies in a file, as service accounts have it on EKS: a small service in this
//! process gives it, over TLS, which is the only way that a token is shown.

use crate::authority::{Authority, Certified};
use crate::faulty_s3::FaultyS3;
use crate::s3_server::{KEY, SECRET};
use crate::s3_tls::with_causes;
use crate::shop::{assert_parts_of, load, model, new_version, options};
use hotshelf_registry::{CacheDir, Registry, S3Authorities, S3Options};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, ServerConfig};

const ROLE: &str = "arn:aws:iam::123456789012:role/shelf";
/// Long after this test, and long before it.
const LASTS: &str = "2999-01-01T00:00:00Z";
const IS_OVER: &str = "2001-01-01T00:00:00Z";

/// What it is to do, and the query of every request so far.
struct Sts {
    token: &'static str,
    session_token: &'static str,
    expiration: &'static str,
    asked: Vec<String>,
}

/// A bucket, and the service that gives its keys.
struct Cluster {
    sts: Arc<Mutex<Sts>>,
    server: FaultyS3,
    variables: BTreeMap<String, String>,
    authorities: S3Authorities,
    token_file: PathBuf,
    cache: CacheDir,
    _folder: TempDir,
}

impl Cluster {
    /// The service knows one token, and the keys that it gives run out at this time.
    async fn new(token: &'static str, expiration: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let sts = Sts {
            token,
            session_token: "of-the-session",
            expiration,
            asked: Vec::new(),
        };
        let sts = Arc::new(Mutex::new(sts));
        let endpoint = serve(&authority.certify("127.0.0.1"), Arc::clone(&sts)).await;
        let server = FaultyS3::start().await;
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, token).unwrap();
        let variables = [
            ("AWS_ROLE_ARN", ROLE.to_owned()),
            (
                "AWS_WEB_IDENTITY_TOKEN_FILE",
                token_file.display().to_string(),
            ),
            ("AWS_ROLE_SESSION_NAME", "replica-7".to_owned()),
            ("AWS_ENDPOINT_URL_STS", endpoint),
            ("AWS_ENDPOINT_URL_S3", server.endpoint()),
        ];
        Self {
            sts,
            server,
            variables: variables
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            authorities: S3Authorities::read(&authority.file(folder.path())).unwrap(),
            token_file,
            cache: CacheDir::open(folder.path().join("cache")).unwrap(),
            _folder: folder,
        }
    }

    fn registry(&self) -> Registry {
        let given = S3Options {
            authorities: Some(self.authorities.clone()),
            ..S3Options::from_variables(&self.variables).unwrap()
        };
        let registry = Registry::open("s3://shelf/root", &given).unwrap();
        registry.with_options(options(2))
    }

    fn asked(&self) -> Vec<String> {
        self.sts.lock().unwrap().asked.clone()
    }

    /// The kubelet writes another token, and the service knows that one alone.
    fn exchange(&self, token: &'static str) {
        std::fs::write(&self.token_file, token).unwrap();
        self.sts.lock().unwrap().token = token;
    }
}

/// Listens until the test's runtime ends.
async fn serve(shown: &Certified, sts: Arc<Mutex<Sts>>) -> String {
    let certificate = CertificateDer::from_pem_slice(shown.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let mut client = acceptor.accept(client).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && client.read_buf(&mut head).await.unwrap() > 0 {}
            let answer = answer(&String::from_utf8(head).unwrap(), &mut sts.lock().unwrap());
            client.write_all(answer.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
        }
    });
    endpoint
}

fn answer(head: &str, sts: &mut Sts) -> String {
    let query = head.split(['?', ' ']).nth(2).unwrap().to_owned();
    let shown = format!("WebIdentityToken={}", sts.token);
    let (status, body) = if query.split('&').any(|pair| pair == shown) {
        let (session_token, expiration) = (sts.session_token, sts.expiration);
        let body = format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
             <AccessKeyId>{KEY}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>\
             <SessionToken>{session_token}</SessionToken><Expiration>{expiration}</Expiration>\
             </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        );
        ("200 OK", body)
    } else {
        let body =
            "<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>";
        ("400 Bad Request", body.to_owned())
    };
    sts.asked.push(query);
    let len = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}")
}

#[tokio::test]
async fn role_is_assumed_once_with_the_token_file_until_it_expires() {
    let cluster = Cluster::new("first", LASTS).await;
    let registry = cluster.registry();
    let published = registry.publish(&model(), new_version("ann")).await;
    let parts = load(&registry, &published.unwrap(), &cluster.cache).await;
    assert_parts_of("ann", &parts.unwrap());
    let asked = cluster.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    for pair in [
        "Action=AssumeRoleWithWebIdentity",
        "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fshelf",
        "RoleSessionName=replica-7",
        "WebIdentityToken=first",
    ] {
        assert!(asked[0].split('&').any(|found| found == pair), "{asked:?}");
    }
}

#[tokio::test]
async fn rotated_token_is_used_for_the_next_request() {
    let cluster = Cluster::new("first", IS_OVER).await;
    let registry = cluster.registry();
    let published = registry.publish(&model(), new_version("ann")).await;
    let before = cluster.asked();
    assert!(before.iter().all(|query| query.contains("=first")));
    cluster.exchange("second");
    let parts = load(&registry, &published.unwrap(), &cluster.cache).await;
    assert_parts_of("ann", &parts.unwrap());
    let after = cluster.asked().split_off(before.len());
    assert!(!after.is_empty(), "keys that ran out are not used again");
    assert!(
        after.iter().all(|query| query.contains("=second")),
        "{after:?}"
    );
}

#[tokio::test]
async fn refused_or_missing_token_is_unavailable_and_never_printed() {
    let cluster = Cluster::new("known", LASTS).await;
    std::fs::write(&cluster.token_file, "unknown-and-secret").unwrap();
    let refused = cluster.registry().newest(&model()).await.unwrap_err();
    assert_eq!(refused.kind(), "unavailable");
    assert!(refused.is_retryable(), "another token will come");
    let told = with_causes(&refused);
    assert!(told.contains("InvalidIdentityToken"), "{told}");
    assert!(!told.contains("unknown-and-secret"), "{told}");
    assert_eq!(cluster.server.calls(), [], "nobody is asked without keys");

    std::fs::remove_file(&cluster.token_file).unwrap();
    let missing = cluster.registry().newest(&model()).await.unwrap_err();
    assert_eq!(missing.kind(), "unavailable");
    let told = with_causes(&missing);
    let path = cluster.token_file.display().to_string();
    assert!(
        told.contains(&path) && told.contains("No such file"),
        "{told}"
    );
}

#[tokio::test]
async fn line_breaks_around_the_token_and_what_it_gives_are_cut_off_and_others_refused_by_name() {
    let cluster = Cluster::new("known", LASTS).await;
    std::fs::write(&cluster.token_file, "\n known\r\n").unwrap();
    cluster.sts.lock().unwrap().session_token = "\n  of-the-session\n";
    assert_eq!(cluster.registry().newest(&model()).await.unwrap(), None);
    cluster.sts.lock().unwrap().session_token = "hush\nhush";
    let registry = cluster.registry();
    let refused = registry.newest(&model()).await.unwrap_err();
    let told = with_causes(&refused);
    assert!(
        told.contains("SessionToken: only printable ASCII"),
        "{told}"
    );
    assert!(refused.is_retryable() && !told.contains("hush"), "{told}");
    cluster.sts.lock().unwrap().session_token = "of-the-session";
    assert_eq!(registry.newest(&model()).await.unwrap(), None, "healed");
    std::fs::write(&cluster.token_file, "kno\nwn").unwrap();
    let refused = cluster.registry().newest(&model()).await.unwrap_err();
    let told = with_causes(&refused);
    assert!(
        told.contains("token file") && told.contains("character 4"),
        "{told}"
    );
}
