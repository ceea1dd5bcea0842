//! A bound socket that accepts connections.

use super::{Address, Inherited, Peer, Stream};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

/// Accepts connections. The file of a unix socket is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Bound,
    address: Address,
}

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// `None` if another process owns it.
        _file: Option<SocketFile>,
    },
}

/// The file of a unix socket that we bound.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode: another process may have replaced the file.
    id: Option<(u64, u64)>,
}

/// Connections that the system completes before we accept them.
const BACKLOG: u32 = 1024;

// === impl Listener ===

impl Listener {
    /// Listens on an inherited socket, or else on the address. The rest is that of [`bind`](Self::bind).
    pub(crate) fn open(address: &Address, inherited: Option<Inherited>) -> io::Result<Self> {
        let Some(inherited) = inherited else {
            return Self::bind(address);
        };
        let address = inherited.address()?;
        let socket = match inherited {
            Inherited::Tcp(listener) => Bound::Tcp(TcpListener::from_std(listener)?),
            Inherited::Unix(listener) => Bound::Unix {
                listener: UnixListener::from_std(listener)?,
                _file: None,
            },
        };
        Ok(Self { socket, address })
    }

    /// Binds an address. The file that a dead process left of a unix socket is replaced. Must be called on the runtime
    /// whose threads accept.
    ///
    /// # Errors
    /// Those of the system if the address is unavailable. A unix socket that somebody listens on is in use; a file that
    /// is no socket is left alone.
    pub(crate) fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(addr) => Self::bind_tcp(*addr),
            Address::Unix(path) => Self::bind_unix(path),
        }
    }

    fn bind_tcp(addr: SocketAddr) -> io::Result<Self> {
        let socket = match addr {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => {
                let socket = TcpSocket::new_v6()?;
                // `[::]` accepts IPv4, too, whatever the system's default is.
                SockRef::from(&socket).set_only_v6(false)?;
                socket
            }
        };
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        let listener = socket.listen(BACKLOG)?;
        Ok(Self {
            address: listener.local_addr()?.into(),
            socket: Bound::Tcp(listener),
        })
    }

    fn bind_unix(path: &Path) -> io::Result<Self> {
        make_way(path)?;
        let socket = unix_socket()?;
        socket.bind(&SockAddr::unix(path)?)?;
        let file = SocketFile::new(path);
        socket.listen(BACKLOG as i32)?;
        let listener = UnixListener::from_std(socket.into())?;
        Ok(Self {
            socket: Bound::Unix {
                listener,
                _file: Some(file),
            },
            address: Address::Unix(path.to_owned()),
        })
    }

    /// With the port that the system chose, if that was left to it.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Cancel safe.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match &self.socket {
            Bound::Tcp(listener) => {
                let (stream, mut peer) = listener.accept().await?;
                // An IPv4 caller of an IPv6 socket.
                peer.set_ip(peer.ip().to_canonical());
                Ok((Stream::Tcp(stream), Peer::Tcp(peer)))
            }
            Bound::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), Peer::Unix))
            }
        }
    }
}

/// Removes the file of a socket that nobody listens on.
fn make_way(path: &Path) -> io::Result<()> {
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !file.file_type().is_socket() {
        let message = "there is a file that is no socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    match unix_socket()?.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::info!(path = %path.display(), "the socket of a dead process is replaced");
            fs::remove_file(path)
        }
        // Without room in its backlog, a listener answers `WouldBlock`.
        Ok(()) => Err(in_use()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(in_use()),
        Err(error) => Err(error),
    }
}

fn in_use() -> io::Error {
    io::Error::new(
        io::ErrorKind::AddrInUse,
        "a running process listens on this socket",
    )
}

fn unix_socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

// === impl SocketFile ===

impl SocketFile {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            id: id(path),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.id.is_some() && id(&self.path) == self.id {
            // If it stays, the next process replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn id(path: &Path) -> Option<(u64, u64)> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener as StdListener;

    #[tokio::test]
    async fn a_socket_in_use_is_refused_and_a_dead_one_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let address = Address::Unix(path.clone());

        let living = StdListener::bind(&path).unwrap();
        let error = Listener::bind(&address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(living);

        let listener = Listener::bind(&address).unwrap();
        assert_eq!(listener.address(), &address);
        drop(listener);
        assert!(!path.exists(), "removed at the end");
    }

    #[tokio::test]
    async fn only_a_socket_of_our_own_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let address = Address::Unix(path.clone());

        fs::write(&path, "precious").unwrap();
        let error = Listener::bind(&address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        fs::remove_file(&path).unwrap();

        let listener = Listener::bind(&address).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "of another").unwrap();
        drop(listener);
        assert!(path.exists());
    }
}
