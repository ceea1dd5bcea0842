//! Certificates of every kind, a TLS server in front of a stack, and callers that speak TLS.

use super::within;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

/// An authority.
pub(crate) struct Pki(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) cert: String,
    pub(crate) key: String,
}

/// Speaks TLS in front of a stack that does not.
pub(crate) struct Front {
    pub(crate) addr: SocketAddr,
    seen: Arc<Mutex<Vec<Handshake>>>,
    config: watch::Sender<Arc<ServerConfig>>,
    accepting: JoinHandle<()>,
}

/// A handshake that a [`Front`] has completed.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    /// The name that was asked for.
    pub(crate) name: Option<String>,
    pub(crate) is_resumed: bool,
}

/// A connection over TLS.
pub(crate) struct SecureCaller(pub(crate) TlsStream<TcpStream>);

// === impl Pki ===

impl Pki {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let name = format!("authority {}", rand::random::<u32>());
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// For a name or an address.
    pub(crate) fn issue(&self, name: &str) -> Issued {
        self.issue_until(name, 4096)
    }

    /// Valid until the first day of a year.
    pub(crate) fn issue_until(&self, name: &str, year: i32) -> Issued {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Issued {
            cert: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes the authority's own certificate.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join("ca.pem");
        fs::write(&path, self.0.pem()).unwrap();
        path
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }

    /// A caller that trusts this authority.
    pub(crate) fn caller(&self, own: Option<&Issued>) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots());
        Arc::new(match own {
            Some(own) => builder
                .with_client_auth_cert(own.chain(), own.private_key())
                .unwrap(),
            None => builder.with_no_client_auth(),
        })
    }

    /// A server that wants certificates of this authority.
    pub(crate) fn demanding(&self, own: &Issued) -> ServerConfig {
        let provider = Arc::new(default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(self.roots().into(), provider.clone())
                .build()
                .unwrap();
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(own.chain(), own.private_key())
            .unwrap()
    }
}

// === impl Issued ===

impl Issued {
    /// Writes `NAME.pem` and `NAME.key`.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> [PathBuf; 2] {
        let paths = ["pem", "key"].map(|kind| folder.join(format!("{name}.{kind}")));
        fs::write(&paths[0], &self.cert).unwrap();
        fs::write(&paths[1], &self.key).unwrap();
        paths
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()]
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }

    /// A server that shows it.
    pub(crate) fn server(&self) -> ServerConfig {
        ServerConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain(), self.private_key())
            .unwrap()
    }
}

// === impl Front ===

impl Front {
    pub(crate) async fn start(config: ServerConfig, stack: SocketAddr) -> Self {
        Self::choosing(config, [stack; 2]).await
    }

    /// Passes connections on to the first stack if they chose HTTP/2, else to the second.
    pub(crate) async fn choosing(config: ServerConfig, [http2, http1]: [SocketAddr; 2]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (config, current) = watch::channel(Arc::new(config));
        let seen = Arc::<Mutex<Vec<Handshake>>>::default();
        let noted = seen.clone();
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (mut current, noted) = (current.clone(), noted.clone());
                connections.spawn(async move {
                    let config = current.borrow_and_update().clone();
                    let mut caller = match TlsAcceptor::from(config)
                        .accept(stream)
                        .into_fallible()
                        .await
                    {
                        Ok(caller) => caller,
                        Err((_, mut stream)) => {
                            // A reset could overtake the alert.
                            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                            return;
                        }
                    };
                    let session = caller.get_ref().1;
                    noted.lock().unwrap().push(Handshake {
                        name: session.server_name().map(str::to_owned),
                        is_resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
                    });
                    let is_http2 = session.alpn_protocol() == Some(&b"h2"[..]);
                    let stack = if is_http2 { http2 } else { http1 };
                    let mut stack = TcpStream::connect(stack).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut caller, &mut stack) => {}
                        _ = current.changed() => {}
                    }
                });
            }
        });
        Self {
            addr,
            seen,
            config,
            accepting,
        }
    }

    /// Ends every connection, and shows this from then on.
    pub(crate) fn becomes(&self, config: ServerConfig) {
        self.config.send_replace(Arc::new(config));
    }

    pub(crate) fn handshakes(&self) -> Vec<Handshake> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

// === impl SecureCaller ===

impl SecureCaller {
    /// Connects to 127.0.0.1 by that name.
    pub(crate) async fn connect(
        addr: SocketAddr,
        config: &Arc<ClientConfig>,
    ) -> std::io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connecting = TlsConnector::from(config.clone()).connect(name, stream);
        Ok(Self(within("the handshake", connecting).await?))
    }

    /// The certificate that the server has shown.
    pub(crate) fn shown(&self) -> CertificateDer<'static> {
        let (_, session) = self.0.get_ref();
        session.peer_certificates().unwrap()[0].clone().into_owned()
    }

    /// Sends a request, and reads an answer with a content-length. `None` if the connection ended before.
    pub(crate) async fn get(&mut self, path: &str) -> Option<String> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        within("an answer", async {
            loop {
                let text = String::from_utf8_lossy(&answer).to_string();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let mut lines = head.lines();
                    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
                    if length.is_some_and(|length| Ok(body.len()) == length.parse::<usize>()) {
                        return Some(text);
                    }
                }
                let mut bytes = [0; 4096];
                match self.0.read(&mut bytes).await {
                    Ok(0) | Err(_) => return None,
                    Ok(read) => answer.extend_from_slice(&bytes[..read]),
                }
            }
        })
        .await
    }
}
