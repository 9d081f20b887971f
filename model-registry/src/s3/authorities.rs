//! Certificate authorities trusted beside the system's, such as that of a store inside a cluster.

use crate::Error;
use object_store::Certificate;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::fmt;
use std::path::{Path, PathBuf};

/// Longest file of authorities, in bytes (chosen: four times what a whole system trusts).
const BYTES_MAX: u64 = 1 << 20;

/// Certificates, each checked to be one of an authority.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Authorities {
    path: PathBuf,
    certificates: Vec<CertificateDer<'static>>,
}

impl S3Authorities {
    /// Reads a PEM file of one certificate or more. BLOCKS for one small file. A replaced file takes effect
    /// with a restart.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the path: it cannot be read, is longer than 1 MiB, has no certificate, or
    /// has something in it that is none.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let refused = |why: String| Error::Invalid {
            field: "S3 authorities",
            value: path.display().to_string(),
            limit: format!("a PEM file of certificate authorities: {why}"),
        };
        let bytes = crate::small_file::read(path, BYTES_MAX);
        let bytes = bytes.map_err(|error| refused(error.to_string()))?;
        let mut certificates = Vec::new();
        for (at, found) in CertificateDer::pem_slice_iter(&bytes).enumerate() {
            let found = found.map_err(|error| refused(error.to_string()))?;
            if let Err(error) = webpki::anchor_from_trusted_cert(&found) {
                return Err(refused(format!("certificate {} is none: {error}", at + 1)));
            }
            certificates.push(found);
        }
        if certificates.is_empty() {
            return Err(refused("it has no certificates".to_owned()));
        }
        let path = path.to_owned();
        Ok(Self { path, certificates })
    }

    /// For the client.
    pub(super) fn certificates(&self) -> Result<Vec<Certificate>, object_store::Error> {
        let own = self.certificates.iter();
        own.map(|certificate| Certificate::from_der(certificate))
            .collect()
    }
}

/// Path and count: the bytes are of no use to a reader.
impl fmt::Debug for S3Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Authorities")
            .field("path", &self.path)
            .field("certificates", &self.certificates.len())
            .finish()
    }
}
