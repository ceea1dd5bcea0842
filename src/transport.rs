//! Connections and listeners of every kind: TCP and unix sockets, with TLS or without.
//!
//! The kind is an enum, not a trait object, so that a TCP connection costs no indirect call.

mod address;
mod batched_writes;
mod inherited;
mod listener;
mod proxy_protocol;
mod stream;
mod tls;

pub use address::{Address, Peer};
pub(crate) use address::{InvalidAddress, is_same_socket, unix_path};
pub(crate) use batched_writes::BatchedWrites;
pub(crate) use inherited::{Inherited, Sockets};
pub(crate) use listener::Listener;
pub use proxy_protocol::{TrustedProxies, read_header};
pub(crate) use stream::Stream;
pub use tls::{ClientFiles, ClientTls, ServerFiles, ServerTls, TlsFailure};
pub(crate) use tls::{HTTP1, HTTP2, HTTP2_OR_1, TlsFiles};
