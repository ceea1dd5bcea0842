//! Why a handshake failed, in the few words that matter to operators.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};
use std::{error::Error as StdError, fmt, io};

/// Why a TLS handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum TlsFailure {
    /// The certificate of the other side is not valid at this time.
    Expired,
    /// No trusted authority issued it.
    UnknownIssuer,
    /// It is for another name.
    WrongName,
    /// No version of TLS, cipher or protocol that both sides know.
    NoCommonVersion,
    /// The server asks for a client certificate that it trusts, and got none.
    ClientCertificate,
    /// The other side does not trust our certificate.
    NotTrusted,
    /// The other side does not speak TLS.
    NoTls,
    /// The connection ended within the handshake.
    Closed,
    /// The handshake was not complete in time.
    Timeout,
    Other,
}

// === impl TlsFailure ===

impl TlsFailure {
    /// Of an error of a handshake.
    pub(crate) fn of(error: &io::Error) -> Self {
        match in_chain(error) {
            Some(error) => Self::of_tls(error),
            None if error.kind() == io::ErrorKind::TimedOut => Self::Timeout,
            None => Self::Closed,
        }
    }

    /// Of an error of a connection, if TLS is at fault. A server's judgement on a client's certificate comes after the
    /// client's side of a handshake of TLS 1.3.
    pub(crate) fn found_in(error: &(dyn StdError + 'static)) -> Option<Self> {
        in_chain(error).map(Self::of_tls)
    }

    fn of_tls(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(error) => Self::of_certificate(error),
            Error::PeerIncompatible(PeerIncompatible::ExtendedMasterSecretExtensionRequired) => {
                Self::Other
            }
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Self::NoCommonVersion,
            Error::NoCertificatesPresented => Self::ClientCertificate,
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) => Self::NoTls,
            Error::AlertReceived(alert) => Self::of_alert(*alert),
            _ => Self::Other,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::Expired,
            // Another authority of the same name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongName
            }
            _ => Self::Other,
        }
    }

    /// What the other side says (RFC 8446 6.2).
    fn of_alert(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::ProtocolVersion
            | AlertDescription::InsufficientSecurity
            | AlertDescription::NoApplicationProtocol => Self::NoCommonVersion,
            AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
                Self::ClientCertificate
            }
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied => Self::NotTrusted,
            _ => Self::Other,
        }
    }
}

/// The first error of rustls among the causes.
fn in_chain<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error is no cause of itself to `source`.
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        let inner = inner.map(|inner| inner as &(dyn StdError + 'static));
        if let Some(found) = inner.unwrap_or(error).downcast_ref::<Error>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "the certificate is expired or not yet valid",
            Self::UnknownIssuer => "unknown issuer of the certificate",
            Self::WrongName => "the certificate is for another name",
            Self::NoCommonVersion => "no common version or protocol",
            Self::ClientCertificate => "a client certificate is required",
            Self::NotTrusted => "the other side does not trust our certificate",
            Self::NoTls => "the other side does not speak TLS",
            Self::Closed => "the connection ended within the handshake",
            Self::Timeout => "not complete in time",
            Self::Other => "the handshake failed",
        })
    }
}
