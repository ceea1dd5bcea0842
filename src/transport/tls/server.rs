//! The listener's side.

use super::{super::Stream, alpn, provider};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring::Ticketer,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use std::{io, sync::Arc, time::Duration};
use tokio::{io::BufReader, time::timeout};
use tokio_rustls::{TlsAcceptor, TlsStream};

/// What a listener shows to callers, and what it wants of them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<ServerConfig>);

// === impl ServerTls ===

impl ServerTls {
    /// Callers may choose among `protocols`. `callers`: who issues the certificates that callers have to show; `None` asks for none.
    ///
    /// # Errors
    /// The key does not fit the certificate, or cannot be used.
    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        callers: Option<RootCertStore>,
        protocols: &[&[u8]],
    ) -> Result<Self, rustls::Error> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?;
        let builder = match callers {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                let verifier = verifier.build();
                builder.with_client_cert_verifier(verifier.expect("the roots must not be empty"))
            }
        };
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = alpn(protocols);
        config.ticketer = Ticketer::new()?;
        Ok(Self(Arc::new(config)))
    }

    /// Answers the handshake of a caller, which may take until `limit`.
    ///
    /// # Errors
    /// [`TlsFailure::of`](super::TlsFailure::of) names the cause.
    pub(crate) async fn accept(&self, stream: Stream, limit: Duration) -> io::Result<Stream> {
        // What callers send is short, so nothing is read ahead: larger reads pass by a buffer of one byte.
        let stream = BufReader::with_capacity(1, stream);
        let accepting = TlsAcceptor::from(self.0.clone()).accept(stream);
        let accepted = timeout(limit, accepting).await??;
        Ok(Stream::Tls(Box::new(TlsStream::Server(accepted))))
    }
}
