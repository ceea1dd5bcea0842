//! The side that connects to a stack, a collector or an admin API.

use super::{super::Stream, HTTP1, alpn, provider};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName},
};
use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::io::BufReader;
use tokio_rustls::{TlsConnector, TlsStream};

/// Whom to trust, and what to show. Clones share it, so that files read again take effect everywhere.
#[derive(Clone, Debug)]
pub struct ClientTls(Arc<Mutex<Arc<Settings>>>);

#[derive(Debug)]
struct Settings {
    /// Keeps the sessions that can be resumed.
    config: Arc<ClientConfig>,
    /// Expected in the certificate instead of the host's name.
    server_name: Option<ServerName<'static>>,
}

/// Bytes that one read from a server takes: a record of 16 KiB, and a small one.
const READ_AHEAD: usize = 20 << 10;

/// A certificate with its chain, and its key.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

// === impl ClientTls ===

impl ClientTls {
    /// Offers HTTP/1.1.
    ///
    /// # Errors
    /// The key does not fit the certificate, or cannot be used.
    pub(super) fn new(
        roots: RootCertStore,
        identity: Option<Identity>,
        server_name: Option<ServerName<'static>>,
    ) -> Result<Self, rustls::Error> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn(HTTP1);
        let settings = Settings {
            config: Arc::new(config),
            server_name,
        };
        Ok(Self(Arc::new(Mutex::new(Arc::new(settings)))))
    }

    /// Takes the settings of `next` for new connections.
    pub(crate) fn adopt(&self, next: &Self) {
        let next = next.settings();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// The same settings for a server that speaks one of these protocols.
    pub(crate) fn speaking(&self, protocols: &[&[u8]]) -> Self {
        let settings = self.settings();
        let mut config = ClientConfig::clone(&settings.config);
        config.alpn_protocols = alpn(protocols);
        let settings = Settings {
            config: Arc::new(config),
            server_name: settings.server_name.clone(),
        };
        Self(Arc::new(Mutex::new(Arc::new(settings))))
    }

    /// The name in `server_name`, if that is set.
    pub(crate) fn server_name(&self) -> Option<String> {
        let settings = self.settings();
        let name = settings.server_name.as_ref()?.to_str();
        Some(name.into_owned())
    }

    /// Begins TLS on a connection to `host`.
    ///
    /// # Errors
    /// [`TlsFailure::of`](super::TlsFailure::of) names the cause.
    pub(crate) async fn connect(&self, host: &str, stream: Stream) -> io::Result<Stream> {
        let settings = self.settings();
        let name = match &settings.server_name {
            Some(name) => name.clone(),
            None => name_of(host).map_err(io::Error::other)?,
        };
        let connector = TlsConnector::from(settings.config.clone());
        let stream = BufReader::with_capacity(READ_AHEAD, stream);
        let connected = connector.connect(name, stream).await?;
        Ok(Stream::Tls(Box::new(TlsStream::Client(connected))))
    }

    fn settings(&self) -> Arc<Settings> {
        let settings = self.0.lock();
        settings.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A host name, or an address without brackets.
pub(super) fn name_of(host: &str) -> Result<ServerName<'static>, InvalidDnsNameError> {
    ServerName::try_from(host.to_owned())
}

/// Equal while they share their settings.
impl PartialEq for ClientTls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.settings(), &other.settings())
    }
}
