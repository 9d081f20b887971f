//! Buckets over https: who is trusted to be the store, and what is said where nobody is.

use crate::authority::Authority;
use crate::backends::s3_options;
use crate::installed::{self, Tool};
use crate::s3_server::S3Server;
use crate::shop::{assert_parts_of, load, model, new_version, options};
use hotshelf_registry::{CacheDir, Error, Registry, S3Authorities, S3Options};
use std::path::Path;
use tempfile::TempDir;

const BUCKET: &str = "shelf";

/// A real server that shows a certificate of a private authority.
struct Https {
    server: S3Server,
    authority: Authority,
    folder: TempDir,
}

impl Https {
    /// Its certificate is for this name; it is reached at 127.0.0.1.
    async fn of(name: &str) -> Option<Self> {
        let program = installed::find(Tool::Versitygw)?;
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("data").join(BUCKET)).unwrap();
        let authority = Authority::new();
        let shown = authority.certify(name);
        let server = S3Server::https(program, folder.path(), &shown).await;
        Some(Self {
            server,
            authority,
            folder,
        })
    }

    /// With its own authority trusted, or what else is said.
    fn registry(&self, authorities: Option<S3Authorities>) -> Registry {
        let given = S3Options {
            authorities,
            ..s3_options(&self.server.endpoint())
        };
        let registry = Registry::open(&format!("s3://{BUCKET}/root"), &given).unwrap();
        registry.with_options(options(2))
    }

    fn trusted(&self) -> S3Authorities {
        S3Authorities::read(&self.authority.file(self.folder.path())).unwrap()
    }
}

/// The message with those of its causes.
pub(crate) fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Nothing is read or written, it is nobody's permission that is missing, and it may be refetched.
async fn assert_refused(registry: &Registry, said: &str) {
    let read = registry.newest(&model()).await.unwrap_err();
    let written = registry.publish(&model(), new_version("ann")).await;
    for error in [read, written.unwrap_err()] {
        assert_eq!(error.kind(), "unavailable", "{error}");
        assert!(error.is_retryable(), "a certificate can be renewed");
        let told = with_causes(&error);
        assert!(told.contains(said), "{told}");
    }
}

#[tokio::test]
async fn version_is_published_and_fetched_over_https_by_a_private_authority() {
    let Some(https) = Https::of("127.0.0.1").await else {
        return;
    };
    let registry = https.registry(Some(https.trusted()));
    let published = registry.publish(&model(), new_version("ann")).await;
    let cache = tempfile::tempdir().unwrap();
    let cache = CacheDir::open(cache.path()).unwrap();
    // Over connections of its own, as a load does.
    let registry = registry.detached().unwrap();
    let parts = load(&registry, &published.unwrap(), &cache).await;
    assert_parts_of("ann", &parts.unwrap());
}

#[tokio::test]
async fn store_with_an_untrusted_certificate_is_refused_and_named() {
    let Some(https) = Https::of("127.0.0.1").await else {
        return;
    };
    let another = Authority::new().file(https.folder.path());
    let another = S3Authorities::read(&another).unwrap();
    for authorities in [None, Some(another)] {
        let registry = https.registry(authorities);
        assert_refused(&registry, "invalid peer certificate: ").await;
    }
}

#[tokio::test]
async fn certificate_for_another_name_is_refused_with_both_names() {
    let Some(https) = Https::of("store.elsewhere.example").await else {
        return;
    };
    let registry = https.registry(Some(https.trusted()));
    assert_refused(&registry, "certificate not valid for name \"127.0.0.1\"").await;
    assert_refused(&registry, "store.elsewhere.example").await;
}

#[test]
fn invalid_ca_file_is_refused_with_path_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let good = std::fs::read_to_string(authority.file(folder.path())).unwrap();
    let shown = authority.certify("127.0.0.1");
    let refused = |path: &Path| S3Authorities::read(path).unwrap_err().to_string();
    let missing = folder.path().join("missing.pem");
    let said = refused(&missing);
    assert!(
        said.contains("missing.pem\"") && said.contains("No such file"),
        "{said}"
    );
    let wrong = folder.path().join("wrong.pem");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, why) in [
        (String::new(), "it has no certificates"),
        ("no certificate at all".to_owned(), "it has no certificates"),
        (shown.key, "it has no certificates"),
        (broken.to_owned(), "certificate 1 is none: "),
        (format!("{good}{broken}"), "certificate 2 is none: "),
        (
            good.replace("-----END", "-----FIN"),
            "a PEM file of certificate authorities: ",
        ),
        (" ".repeat((1 << 20) + 1), "it is longer than 1048576 bytes"),
    ] {
        std::fs::write(&wrong, text).unwrap();
        let said = refused(&wrong);
        assert!(
            said.contains("wrong.pem\"") && said.contains(why),
            "{why}: {said}"
        );
    }
    std::fs::write(&wrong, good.repeat(3)).unwrap();
    let read = S3Authorities::read(&wrong).unwrap();
    assert!(format!("{read:?}").contains("certificates: 3"), "{read:?}");
}
