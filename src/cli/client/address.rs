//! Where the admin API is, as the commands take it.

use super::{ANSWER_WITHIN, Client, Error};
use crate::{
    http_client::{Connector, Target, Via},
    transport::{ClientFiles, ClientTls, unix_path},
};
use http::{Uri, uri::Authority};
use hyper_util::{client::legacy, rt::TokioExecutor};
use std::path::PathBuf;
use tokio::runtime;

// The arguments that locate the admin API, shared by its commands. Not a doc comment, because clap would use it as the
// help of each command.
#[derive(Clone, Debug, clap::Args)]
pub struct Address {
    /// The admin API of the running twinread: a url, or unix:/path
    #[arg(
        long,
        value_name = "URL",
        env = "TWINREAD_ADMIN",
        default_value = "http://127.0.0.1:9900"
    )]
    pub admin: String,
    /// Its token (`admin_token`), if one is set
    #[arg(long, env = "TWINREAD_ADMIN_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// For an https url: the authorities that are trusted, in PEM, instead of those of the system
    #[arg(long, value_name = "FILE", env = "TWINREAD_ADMIN_CA")]
    pub ca: Option<PathBuf>,
    /// A client certificate in PEM, if `admin_tls.client_ca` asks for one
    #[arg(long, value_name = "FILE", env = "TWINREAD_ADMIN_CERT")]
    pub cert: Option<PathBuf>,
    /// Its private key in PEM
    #[arg(long, value_name = "FILE", env = "TWINREAD_ADMIN_KEY")]
    pub key: Option<PathBuf>,
}

// === impl Address ===

impl Address {
    /// # Errors
    /// A url or a token that cannot be used. Nothing is connected yet.
    pub fn client(&self) -> Result<Client, Error> {
        let mut target = self.target()?;
        target.connect_timeout = ANSWER_WITHIN;
        let token = self.token.as_ref();
        let authorization = token.map(|token| format!("Bearer {token}").parse());
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        Ok(Client {
            base: target.url_by_name(),
            shown: target.url(),
            authorization: authorization.transpose().map_err(|_| Error::NotAToken)?,
            within: ANSWER_WITHIN,
            runtime: runtime.map_err(Error::Runtime)?,
            http: legacy::Client::builder(TokioExecutor::new()).build(Connector::new(target)),
        })
    }

    fn target(&self) -> Result<Target, Error> {
        let invalid = || Error::NotAUrl(self.admin.clone());
        if let Some(path) = unix_path(&self.admin) {
            let via = Via::Unix(path.map_err(|_| invalid())?);
            let authority = Authority::from_static("localhost");
            return Ok(Target {
                via,
                ..Target::new(authority)
            });
        }
        let uri: Uri = self.admin.parse().map_err(|_| invalid())?;
        let authority = uri.authority().filter(|_| uri.query().is_none());
        let authority = authority.ok_or_else(invalid)?.clone();
        let via = match uri.scheme_str() {
            Some("http") => Via::Tcp,
            Some("https") => Via::Tls(self.tls()?),
            _ => return Err(invalid()),
        };
        Ok(Target {
            via,
            base_path: uri.path().trim_end_matches('/').to_owned(),
            ..Target::new(authority)
        })
    }

    fn tls(&self) -> Result<ClientTls, Error> {
        let named = ClientFiles {
            ca: self.ca.clone(),
            cert: self.cert.clone(),
            key: self.key.clone(),
            server_name: None,
        };
        named.load_once().map_err(|fault| Error::Tls {
            field: fault.field,
            message: fault.message,
        })
    }
}
