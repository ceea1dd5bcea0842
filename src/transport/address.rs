//! Where a listener is, and who calls it.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

/// The address of a listener: `127.0.0.1:8080` or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// The other end of an accepted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Tcp(SocketAddr),
    /// Callers of unix sockets have no address.
    Unix,
}

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    #[error("an address and port such as 127.0.0.1:8080, or unix:/path")]
    Form,
    #[error("an absolute path such as unix:/run/twinread.sock")]
    Relative,
    #[error("a path of at most {MAX_PATH} bytes")]
    Long,
}

/// What precedes the path of a unix socket.
const UNIX: &str = "unix:";

/// Of `sockaddr_un`, without its closing zero.
const MAX_PATH: usize = 107;

/// The path of a unix socket; `None` if the text is another kind of address.
///
/// # Errors
/// [`InvalidAddress`] for a path that no socket can have.
pub(crate) fn unix_path(text: &str) -> Option<Result<PathBuf, InvalidAddress>> {
    let path = text.strip_prefix(UNIX)?;
    Some(match path.len() {
        _ if !path.starts_with('/') || path.ends_with('/') => Err(InvalidAddress::Relative),
        length if length > MAX_PATH => Err(InvalidAddress::Long),
        _ => Ok(path.into()),
    })
}

/// Whether two paths name one socket. Follows the links of their folders.
pub(crate) fn is_same_socket(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| {
        let folder = path.parent()?.canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    };
    one == other || real(one).is_some_and(|one| real(other) == Some(one))
}

// === impl Address ===

impl Address {
    /// The address of a TCP listener.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(*addr),
            Self::Unix(_) => None,
        }
    }

    /// Whether only this host can reach it.
    pub fn is_local(&self) -> bool {
        self.tcp().is_none_or(|addr| addr.ip().is_loopback())
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        match unix_path(text) {
            Some(path) => path.map(Self::Unix),
            None => text
                .parse()
                .map(Self::Tcp)
                .map_err(|_| InvalidAddress::Form),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl<T: Into<SocketAddr>> From<T> for Address {
    fn from(addr: T) -> Self {
        Self::Tcp(addr.into())
    }
}

// === impl Peer ===

impl Peer {
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(addr) => Some(addr.ip()),
            Self::Unix => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix => f.write_str("a unix socket"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_shown() {
        for text in ["127.0.0.1:8080", "[::1]:0", "unix:/run/twinread.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        let long = format!("unix:/{}", "a".repeat(MAX_PATH));
        for (text, fault) in [
            ("localhost:80", InvalidAddress::Form),
            ("/run/a.sock", InvalidAddress::Form),
            ("unix:a.sock", InvalidAddress::Relative),
            ("unix:", InvalidAddress::Relative),
            ("unix:/run/", InvalidAddress::Relative),
            (&long, InvalidAddress::Long),
        ] {
            assert_eq!(text.parse::<Address>(), Err(fault), "{text}");
        }
    }

    #[test]
    fn links_lead_to_the_same_socket() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        std::fs::create_dir(folder.join("real")).unwrap();
        std::os::unix::fs::symlink("real", folder.join("link")).unwrap();
        let [real, link] = ["real/a", "link/a"].map(|path| folder.join(path));
        assert!(is_same_socket(&real, &link));
        assert!(!is_same_socket(&real, &folder.join("link/b")));
    }
}
