//! One connection, of any kind.

use super::HTTP2;
use hyper_util::client::legacy::connect::{Connected, Connection};
use rustls::ConnectionCommon;
use socket2::SockRef;
use std::{
    io::{self, IoSlice, Write},
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsStream;

/// A connection to a caller or a stack.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Over one of the others, which is read ahead: the library itself reads 4 KiB at a time.
    Tls(Box<TlsStream<BufReader<Self>>>),
}

/// Writes what a socket takes now.
struct Now<'s>(&'s mut Stream);

// === impl Stream ===

impl Stream {
    /// Small writes are sent at once.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    /// # Errors
    /// Those of the system.
    pub(crate) async fn connect_unix(path: &Path) -> io::Result<Self> {
        Ok(Self::Unix(UnixStream::connect(path).await?))
    }

    /// Whether HTTP/2 was chosen in the handshake (ALPN).
    pub(crate) fn is_http2(&self) -> bool {
        match self {
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(HTTP2[0]),
            Self::Tcp(_) | Self::Unix(_) => false,
        }
    }

    /// Sends small writes at once.
    pub(crate) fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nodelay(true),
            Self::Unix(_) => Ok(()),
            Self::Tls(stream) => stream.get_ref().0.get_ref().set_nodelay(),
        }
    }

    /// Ends in a reset when it is dropped, where the kind of socket has one.
    pub(crate) fn reset_at_end(&self) {
        // If it cannot be set, the connection ends cleanly.
        let _ = SockRef::from(self).set_linger(Some(Duration::ZERO));
    }

    /// Writes what the socket takes now, although it was not reported writable. Over TLS, encrypted bytes that wait go
    /// first, so that 0 may mean that only they did.
    ///
    /// # Errors
    /// `WouldBlock` if it takes nothing.
    pub(crate) fn write_now(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let Self::Tls(stream) = self else {
            return SockRef::from(&*self).send_vectored(bufs);
        };
        match &mut **stream {
            TlsStream::Client(stream) => {
                let (io, session) = stream.get_mut();
                encrypt_now(io.get_mut(), session, bufs)
            }
            TlsStream::Server(stream) => {
                let (io, session) = stream.get_mut();
                encrypt_now(io.get_mut(), session, bufs)
            }
        }
    }
}

fn encrypt_now<D>(
    io: &mut Stream,
    session: &mut ConnectionCommon<D>,
    bufs: &[IoSlice<'_>],
) -> io::Result<usize> {
    session.write_tls(&mut Now(io))?;
    session.writer().write_vectored(bufs)
}

impl Write for Now<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_now(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
            Self::Tls(stream) => stream.get_ref().0.get_ref().as_fd(),
        }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}
