//! The header of the PROXY protocol, by which a proxy says who called it (HAProxy's `proxy-protocol.txt`, versions 1
//! and 2).

use ipnet::IpNet;
use proxy_header::{ParseConfig, ProxyHeader};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Networks whose connections begin with the header. Others must not send one, because it would hide who calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(pub Arc<[IpNet]>);

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The shortest header of version 1, `PROXY UNKNOWN\r\n`. One of version 2 is longer.
const SHORTEST: usize = 15;

/// The longest header of version 1, with its line end.
const LONGEST_TEXT: usize = 107;

/// The fixed part of version 2. Its last two bytes are the length of the rest.
const FIXED: usize = 16;

// === impl TrustedProxies ===

impl TrustedProxies {
    /// Whether a connection from that address begins with the header.
    pub(crate) fn contain(&self, peer: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&peer))
    }
}

/// Reads the header, and not a byte more. `None`: the proxy itself is the caller (`LOCAL`), or does not know it.
///
/// # Errors
/// `InvalidData` if the connection does not begin with a header; those of the system.
pub async fn read_header(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut header = vec![0; SHORTEST];
    stream.read_exact(&mut header).await?;
    if header.starts_with(SIGNATURE) {
        header.push(stream.read_u8().await?);
        let rest = usize::from(u16::from_be_bytes([header[FIXED - 2], header[FIXED - 1]]));
        header.resize(FIXED + rest, 0);
        stream.read_exact(&mut header[FIXED..]).await?;
    } else if header.starts_with(b"PROXY ") {
        while !header.ends_with(b"\r\n") {
            if header.len() == LONGEST_TEXT {
                return Err(invalid());
            }
            header.push(stream.read_u8().await?);
        }
    } else {
        return Err(invalid());
    }
    match ProxyHeader::parse(&header, ParseConfig::default()) {
        Ok((parsed, length)) if length == header.len() => {
            Ok(parsed.proxied_address().map(|address| address.source))
        }
        _ => Err(invalid()),
    }
}

fn invalid() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the connection does not begin with a PROXY protocol header",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proxy_header::ProxiedAddress;
    use tokio::runtime::Builder;

    fn read(bytes: &[u8]) -> (io::Result<Option<SocketAddr>>, Vec<u8>) {
        let runtime = Builder::new_current_thread().build().unwrap();
        let mut left = bytes;
        let read = runtime.block_on(read_header(&mut left));
        (read, left.to_vec())
    }

    #[test]
    fn both_versions_name_the_caller() {
        for source in ["192.0.2.1:5000", "[2001:db8::1]:5000"] {
            let source: SocketAddr = source.parse().unwrap();
            let header = ProxyHeader::with_address(ProxiedAddress::stream(source, source));
            let (mut text, mut binary) = (Vec::new(), Vec::new());
            header.encode_v1(&mut text).unwrap();
            header.encode_v2(&mut binary).unwrap();
            for mut sent in [text, binary] {
                sent.extend(b"GET / HTTP/1.1");
                let (read, left) = read(&sent);
                assert_eq!(read.unwrap(), Some(source));
                assert_eq!(left, b"GET / HTTP/1.1");
            }
        }
    }

    #[test]
    fn a_proxy_may_call_itself() {
        let mut local = Vec::new();
        ProxyHeader::with_local().encode_v2(&mut local).unwrap();
        for sent in [&local[..], b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN a b c\r\n"] {
            assert_eq!(read(sent).0.unwrap(), None);
        }
    }

    #[test]
    fn anything_else_is_invalid() {
        let long = [b"PROXY UNKNOWN ", &[b'a'; 200][..], b"\r\n"].concat();
        for sent in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"PROXY TCP4 192.0.2.1 192.0.2.2 5000\r\n",
            b"PROXY TCP4 192.0.2.300 192.0.2.2 5000 80\r\n",
            b"PROXY TCP6 192.0.2.1 192.0.2.2 5000 80\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 70000 80\r\n",
            b"PROXY  TCP4 192.0.2.1 192.0.2.2 5000 80\r\n",
            b"proxy UNKNOWN\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04\0\0\0\0",
            &long,
        ] {
            let error = read(sent).0.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{sent:?}");
        }
        let error = read(b"PROXY TCP4 192").0.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            start in prop::sample::select(vec![&b""[..], b"PROXY ", b"PROXY TCP4 ", SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11"]),
            rest in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = read(&[start, &rest[..]].concat());
        }
    }
}
