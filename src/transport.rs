//! Connections and listeners of every kind: TCP and unix sockets.
//!
//! The kind is an enum, not a trait object, so that a TCP connection costs no indirect call.

mod address;
mod listener;
mod stream;

pub use address::{Address, Peer};
pub(crate) use address::{InvalidAddress, is_same_socket, unix_path};
pub(crate) use listener::Listener;
pub(crate) use stream::Stream;
