//! TLS by rustls with ring: versions 1.2 and 1.3.

mod client;
mod failure;
mod files;
mod server;

pub use client::ClientTls;
pub use failure::TlsFailure;
pub(crate) use files::TlsFiles;
pub use files::{ClientFiles, ServerFiles};
pub use server::ServerTls;

use rustls::crypto::CryptoProvider;
use std::sync::Arc;

/// Protocols for ALPN (RFC 7301), the preferred one first.
pub(crate) const HTTP1: &[&[u8]] = &[b"http/1.1"];
pub(crate) const HTTP2: &[&[u8]] = &[b"h2"];
pub(crate) const HTTP2_OR_1: &[&[u8]] = &[b"h2", b"http/1.1"];

fn alpn(protocols: &[&[u8]]) -> Vec<Vec<u8>> {
    protocols.iter().map(|name| name.to_vec()).collect()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
