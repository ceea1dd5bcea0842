//! Sockets that the process is started with, as systemd passes them. They outlive it: who connects between two processes
//! waits for the next one.

use super::Address;
use listenfd::ListenFd;
use socket2::SockRef;
use std::{env, io, net, os::unix};

/// A bound socket that listens.
#[derive(Debug)]
pub enum Inherited {
    Tcp(net::TcpListener),
    Unix(unix::net::UnixListener),
}

/// The inherited sockets, by the setting that each replaces.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    pub(crate) listen: Option<Inherited>,
    pub(crate) admin: Option<Inherited>,
}

// === impl Sockets ===

impl Sockets {
    /// Takes the sockets of LISTEN_FDS by their names in LISTEN_FDNAMES, `listen` and `admin`. Call it once, before the
    /// process has further threads: it changes the environment.
    ///
    /// # Errors
    /// A socket has another name, or the name of another one, or does not listen.
    pub(crate) fn take() -> io::Result<Self> {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut passed = ListenFd::from_env();
        let mut sockets = Self::default();
        for index in 0..passed.len() {
            let name = names.next().unwrap_or_default();
            let place = match name {
                "listen" => &mut sockets.listen,
                "admin" => &mut sockets.admin,
                _ => return Err(unusable(name, "its name is neither `listen` nor `admin`")),
            };
            let socket = Inherited::take(&mut passed, index)?;
            if !socket.listens() {
                return Err(unusable(name, "it does not listen"));
            }
            if place.replace(socket).is_some() {
                return Err(unusable(name, "there are two of this name"));
            }
        }
        Ok(sockets)
    }
}

fn unusable(name: &str, why: &str) -> io::Error {
    io::Error::other(format!(
        "LISTEN_FDS: the socket `{name}` cannot be used: {why}"
    ))
}

// === impl Inherited ===

impl Inherited {
    fn take(passed: &mut ListenFd, index: usize) -> io::Result<Self> {
        if let Ok(Some(listener)) = passed.take_tcp_listener(index) {
            listener.set_nonblocking(true)?;
            return Ok(Self::Tcp(listener));
        }
        let missing = || io::Error::other("LISTEN_FDS: a socket is missing");
        let listener = passed.take_unix_listener(index)?.ok_or_else(missing)?;
        listener.set_nonblocking(true)?;
        Ok(Self::Unix(listener))
    }

    fn listens(&self) -> bool {
        let socket = match self {
            Self::Tcp(listener) => SockRef::from(listener),
            Self::Unix(listener) => SockRef::from(listener),
        };
        socket.is_listener().unwrap_or(false)
    }

    pub(super) fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => Ok(listener.local_addr()?.into()),
            Self::Unix(listener) => {
                let address = listener.local_addr()?;
                let path = address.as_pathname().map(ToOwned::to_owned);
                let nameless = || io::Error::other("LISTEN_FDS: a unix socket has no path");
                path.map(Address::Unix).ok_or_else(nameless)
            }
        }
    }
}
