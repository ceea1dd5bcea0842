//! The header of the PROXY protocol: what is accepted is a whole header that another reader understands alike, and not
//! a byte more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};
use tokio::io::{AsyncRead, ReadBuf};
use twinread::testing::transport::read_header;

/// Hands over so many bytes a read.
struct Pieces<'b>(&'b [u8], usize);

fuzz_target!(|bytes: &[u8]| {
    let mut left = Pieces(bytes, usize::MAX);
    let read = read(&mut left);
    let taken = bytes.len() - left.0.len();
    if let Ok(source) = &read {
        let header = &bytes[..taken];
        let expected = match header.strip_prefix(b"PROXY ") {
            Some(text) => of_text(text),
            None => of_binary(header),
        };
        assert_eq!(*source, expected, "another reader finds another caller");
    }
    let mut slowly = Pieces(bytes, 1);
    let again = self::read(&mut slowly);
    assert_eq!(again.ok(), read.ok(), "the pieces change what is read");
    assert_eq!(slowly.0.len(), left.0.len());
});

fn read(pieces: &mut Pieces<'_>) -> std::io::Result<Option<SocketAddr>> {
    let read = pin!(read_header(pieces));
    match read.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(read) => read,
        Poll::Pending => panic!("it waits although all is there"),
    }
}

fn of_text(text: &[u8]) -> Option<SocketAddr> {
    assert!(text.len() <= 101, "longer than a header may be");
    // Whatever follows on the line says nothing.
    if text.starts_with(b"UNKNOWN") {
        assert!(text.ends_with(b"\r\n"), "a header is a line");
        return None;
    }
    let text = std::str::from_utf8(text).expect("a header is text");
    let line = text.strip_suffix("\r\n").expect("a header is a line");
    assert!(!line.contains("\r\n"), "more than a header was taken");
    let words: Vec<_> = line.split(' ').collect();
    let [family, source, target, source_port, target_port] = words[..] else {
        panic!("not the words of a header: {line:?}");
    };
    let source: IpAddr = source.parse().expect("an address");
    let target: IpAddr = target.parse().expect("an address");
    target_port.parse::<u16>().expect("a port");
    assert_eq!(source.is_ipv4(), target.is_ipv4());
    assert_eq!(family, if source.is_ipv4() { "TCP4" } else { "TCP6" });
    Some((source, source_port.parse().expect("a port")).into())
}

fn of_binary(header: &[u8]) -> Option<SocketAddr> {
    let rest = header.strip_prefix(b"\r\n\r\n\0\r\nQUIT\n");
    let rest = rest.expect("nothing else is a header");
    let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
    assert_eq!(rest.len(), 4 + length, "as long as it says");
    assert_eq!(rest[0] >> 4, 2, "the version");
    let body = &rest[4..];
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    match (rest[0] & 15, rest[1] >> 4) {
        (1, 1) => {
            let source: [u8; 4] = body[..4].try_into().expect("four bytes");
            Some((Ipv4Addr::from(source), port(8)).into())
        }
        (1, 2) => {
            let source: [u8; 16] = body[..16].try_into().expect("16 bytes");
            Some((Ipv6Addr::from(source), port(32)).into())
        }
        (0 | 1, _) => None,
        (command, _) => panic!("no such command: {command}"),
    }
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let count = self.1.min(buf.remaining()).min(self.0.len());
        let (piece, rest) = self.0.split_at(count);
        buf.put_slice(piece);
        self.0 = rest;
        Poll::Ready(Ok(()))
    }
}
