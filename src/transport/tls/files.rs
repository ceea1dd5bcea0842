//! Certificates and keys in files.

use super::{
    ClientTls, ServerTls,
    client::{Identity, name_of},
};
use crate::spanned_yaml::settings;
use jiff::Timestamp;
use rustls::{
    CertificateError, Error, RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use xxhash_rust::xxh3::xxh3_64;

settings! {
    /// The files of a listener.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ServerFiles: Default {
        /// The certificate in PEM, followed by those that lead to its authority.
        #[setting]
        pub cert: Option<PathBuf>,
        /// Its private key in PEM, without a password.
        #[setting]
        pub key: Option<PathBuf>,
        /// The authorities in PEM that issue the certificates of callers; with them, a caller without one is refused.
        #[setting]
        pub client_ca: Option<PathBuf>,
    }
}

settings! {
    /// The files for connections to a server, and the name that it has.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ClientFiles: Default {
        /// The authorities in PEM that are trusted; without it those of the system, and compiled-in ones where it has none.
        #[setting]
        pub ca: Option<PathBuf>,
        /// A client certificate in PEM, followed by those that lead to its authority.
        #[setting]
        pub cert: Option<PathBuf>,
        /// Its private key in PEM, without a password.
        #[setting]
        pub key: Option<PathBuf>,
        /// The name that is asked for (SNI) and that the certificate has to have; without it the host in the url.
        #[setting]
        pub server_name: Option<String>,
    }
}

/// Reads files, and collects what is wrong with them.
#[derive(Debug, Default)]
pub(crate) struct TlsFiles {
    /// Every file, readable or not, with a hash of its content.
    pub(crate) seen: Vec<(PathBuf, u64)>,
    pub(crate) faults: Vec<FileFault>,
    /// Certificates that have expired or will soon.
    pub(crate) warnings: Vec<FileFault>,
}

/// What is wrong with the file that a field names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileFault {
    pub(crate) field: &'static str,
    pub(crate) message: String,
}

/// A certificate that expires within this time deserves a warning.
const SOON: Duration = Duration::from_secs(7 * 24 * 3_600);

// === impl ServerFiles ===

impl ServerFiles {
    /// Callers may choose among `protocols`. `None` if the files name nothing.
    pub(crate) fn load(&self, files: &mut TlsFiles, protocols: &[&[u8]]) -> Option<ServerTls> {
        if *self == Self::default() {
            return None;
        }
        let identity = files.identity(self.cert.as_deref(), self.key.as_deref());
        if self.cert.is_none() && self.key.is_none() {
            files.fault("cert", "is missing, as `client_ca` needs it".to_owned());
        }
        let callers = self.client_ca.as_deref();
        let callers = callers.and_then(|path| files.roots("client_ca", path));
        if !files.faults.is_empty() {
            return None;
        }
        let (chain, key) = identity?;
        let tls = ServerTls::new(chain, key, callers, protocols);
        tls.map_err(|error| files.unfit(&error)).ok()
    }
}

// === impl ClientFiles ===

impl ClientFiles {
    /// Trusts the authorities in `ca` alone; without it those of the system, and compiled-in ones where it has none.
    pub(crate) fn load(&self, files: &mut TlsFiles) -> Option<ClientTls> {
        let roots = match self.ca.as_deref() {
            Some(path) => files.roots("ca", path),
            None => Some(system_roots()),
        };
        let identity = files.identity(self.cert.as_deref(), self.key.as_deref());
        let server_name = self.server_name.as_deref();
        let server_name = server_name.and_then(|name| files.name(name));
        if !files.faults.is_empty() {
            return None;
        }
        let tls = ClientTls::new(roots?, identity, server_name);
        tls.map_err(|error| files.unfit(&error)).ok()
    }

    /// As [`load`](Self::load), where nothing watches the files.
    ///
    /// # Errors
    /// The first fault.
    pub(crate) fn load_once(&self) -> Result<ClientTls, FileFault> {
        let mut files = TlsFiles::default();
        self.load(&mut files).ok_or_else(|| {
            let fault = files.faults.into_iter().next();
            fault.expect("without a fault there must be TLS")
        })
    }
}

/// Those of the system; if there is none, those that Mozilla trusts, as compiled in.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::debug!(errors = ?found.errors, "the system has no certificate authorities; the compiled-in ones are used");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

// === impl TlsFiles ===

impl TlsFiles {
    fn fault(&mut self, field: &'static str, message: String) {
        self.faults.push(FileFault { field, message });
    }

    fn unfit(&mut self, error: &Error) {
        let message = match error {
            Error::InconsistentKeys(_) => {
                "the key does not fit the certificate in `cert`".to_owned()
            }
            error => format!("the key cannot be used: {error}"),
        };
        self.fault("key", message);
    }

    fn read(&mut self, field: &'static str, path: &Path) -> Option<Vec<u8>> {
        let read = fs::read(path);
        let hash = read.as_ref().map_or(0, |bytes| xxh3_64(bytes));
        self.seen.push((path.to_owned(), hash));
        let path = path.display();
        read.map_err(|error| self.fault(field, format!("cannot read {path}: {error}")))
            .ok()
    }

    fn certificates(
        &mut self,
        field: &'static str,
        path: &Path,
    ) -> Option<Vec<CertificateDer<'static>>> {
        let pem = self.read(field, path)?;
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        match all {
            Ok(all) if !all.is_empty() => Some(all),
            _ => {
                let path = path.display();
                self.fault(field, format!("{path} holds no certificate in PEM"));
                None
            }
        }
    }

    fn key(&mut self, path: &Path) -> Option<PrivateKeyDer<'static>> {
        let pem = self.read("key", path)?;
        let path = path.display();
        PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|_| {
                let message =
                    format!("{path} holds no private key in PEM (one without a password)");
                self.fault("key", message);
            })
            .ok()
    }

    fn identity(&mut self, cert: Option<&Path>, key: Option<&Path>) -> Option<Identity> {
        match (cert, key) {
            (None, None) => None,
            (Some(_), None) => {
                self.fault("key", "is missing, as `cert` needs it".to_owned());
                None
            }
            (None, Some(_)) => {
                self.fault("cert", "is missing, as `key` needs it".to_owned());
                None
            }
            (Some(cert), Some(key)) => {
                let chain = self.certificates("cert", cert);
                let key = self.key(key);
                let chain = chain?;
                self.warn_of_expiry(cert, &chain[0]);
                Some((chain, key?))
            }
        }
    }

    fn roots(&mut self, field: &'static str, path: &Path) -> Option<RootCertStore> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates(field, path)? {
            if let Err(error) = roots.add(certificate) {
                let path = path.display();
                let message = format!("{path} holds a certificate that cannot be used: {error}");
                self.fault(field, message);
                return None;
            }
        }
        Some(roots)
    }

    fn name(&mut self, name: &str) -> Option<ServerName<'static>> {
        let message = format!("expected a host name or an address, found `{name}`");
        name_of(name)
            .map_err(|_| self.fault("server_name", message))
            .ok()
    }

    fn warn_of_expiry(&mut self, path: &Path, certificate: &CertificateDer<'_>) {
        let now = Duration::try_from(Timestamp::now().as_duration()).unwrap_or_default();
        let Some(end) = expires_before(certificate, now + SOON) else {
            return;
        };
        let when = if end < now { "expired" } else { "expires" };
        let at = Timestamp::from_second(end.as_secs().cast_signed()).unwrap_or(Timestamp::MAX);
        let message = format!("the certificate in {} {when} at {at}", path.display());
        self.warnings.push(FileFault {
            field: "cert",
            message,
        });
    }
}

/// When a certificate expires, if that is before `moment`; both since 1970. A verification for that moment checks the
/// time first, so it needs no authority.
fn expires_before(certificate: &CertificateDer<'_>, moment: Duration) -> Option<Duration> {
    let algorithms = default_provider().signature_verification_algorithms;
    let verified = verify_server_cert_signed_by_trust_anchor(
        &ParsedCertificate::try_from(certificate).ok()?,
        &RootCertStore::empty(),
        &[],
        UnixTime::since_unix_epoch(moment),
        algorithms.all,
    );
    match verified {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Some(Duration::from_secs(not_after.as_secs()))
        }
        _ => None,
    }
}
