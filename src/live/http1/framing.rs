//! Follows the framing of a connection's requests, and detects what two parsers could read differently.
//!
//! hyper accepts some ingredients of request smuggling: a bare LF as a line end, Content-Length together with
//! Transfer-Encoding, transfer codings before `chunked`. Here, a request with any of these is at fault, and so is one
//! whose `Host` is missing, repeated or not a host. Heads are read line by line; of bodies, only the framing is
//! checked. Faults that hyper itself refuses (control characters, spaces before a colon) are left to it.

mod head;
mod target;

use head::Facts;
use memchr::memchr;

/// A longer line is at fault. Larger than any configurable head.
const MAX_LINE: usize = 512 << 10;

/// The state of a connection's stream of requests.
#[derive(Debug, Default)]
pub(crate) struct Framing {
    state: State,
    facts: Facts,
    /// The beginning of an incomplete line.
    partial: Vec<u8>,
    /// Whether the target of the current request line needs no more encoding.
    is_target_encoded: bool,
    /// Whether the body of the last request with `Expect` has begun; `None` if there is none.
    pub(super) expected_body: Option<bool>,
    /// The number of complete heads.
    heads: u64,
}

/// What the stream is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stage {
    Head,
    Body,
    /// The last request is complete and no other has begun.
    Between,
    /// No longer a request, or possibly none.
    Other,
}

/// The result of [`Framing::read`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Found {
    Sound,
    /// The byte at this offset ends the first faulty line.
    Fault(usize),
    /// A request for an upgrade ends at this offset; what follows may not be HTTP any more.
    Upgrade(usize),
    /// From this offset on, the request target may need encoding. Feed the rest again as returned by
    /// [`Framing::encode_target`].
    Target(usize),
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum State {
    /// Before a request line.
    #[default]
    Start,
    Head,
    /// In a body of known length, with this many bytes left.
    Length(u64),
    ChunkSize,
    /// In a chunk, with this many bytes left.
    Chunk(u64),
    ChunkEnd,
    Trailers,
    Upgrade,
    Tunnel,
    Broken,
}

/// A line that two parsers could read differently.
#[derive(Debug)]
struct AtFault;

// === impl Framing ===

impl Framing {
    /// Reads the next bytes of the stream. After a fault it reports nothing more, because what follows must not be
    /// used.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Found {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            if self.state.is_in_body() {
                self.expected_body = self.expected_body.map(|_| true);
            }
            if let Some(odd) = self.find_odd(rest) {
                self.partial.extend_from_slice(&rest[..odd]);
                self.is_target_encoded = true;
                return Found::Target(at + odd);
            }
            match &mut self.state {
                State::Length(left) | State::Chunk(left) => {
                    let skipped = (*left).min(rest.len() as u64);
                    *left -= skipped;
                    at += skipped as usize;
                    self.leave_data();
                }
                State::Tunnel | State::Broken => break,
                State::Upgrade => return Found::Upgrade(at),
                _ => match memchr(b'\n', rest) {
                    Some(end) => {
                        if self.end_line(&rest[..=end]).is_err() {
                            self.state = State::Broken;
                            return Found::Fault(at + end);
                        }
                        at += end + 1;
                    }
                    None if self.partial.len() + rest.len() > MAX_LINE => {
                        self.state = State::Broken;
                        return Found::Fault(bytes.len() - 1);
                    }
                    None => {
                        self.partial.extend_from_slice(rest);
                        break;
                    }
                },
            }
        }
        Found::Sound
    }

    /// Encodes what follows a [`Found::Target`]. `rest` must reach the end of the line.
    pub(crate) fn encode_target(&self, rest: &[u8]) -> Vec<u8> {
        target::encode(&self.partial, rest)
    }

    fn find_odd(&self, rest: &[u8]) -> Option<usize> {
        if self.state != State::Start || self.is_target_encoded {
            return None;
        }
        let line = &rest[..memchr(b'\n', rest).unwrap_or(rest.len())];
        target::find_odd(&self.partial, line)
    }

    pub(crate) fn stage(&self) -> Stage {
        match self.state {
            State::Start if self.partial.is_empty() => Stage::Between,
            State::Start | State::Head => Stage::Head,
            State::Upgrade | State::Tunnel | State::Broken => Stage::Other,
            _ => Stage::Body,
        }
    }

    /// The number of the incomplete head.
    pub(crate) fn head(&self) -> Option<u64> {
        (self.stage() == Stage::Head).then_some(self.heads)
    }

    /// Whether the last request is complete and no other has begun.
    pub(crate) fn is_between_requests(&self) -> bool {
        self.stage() == Stage::Between
    }

    pub(crate) fn is_tunnel(&self) -> bool {
        self.state == State::Tunnel
    }

    pub(crate) fn awaits_upgrade(&self) -> bool {
        self.state == State::Upgrade
    }

    /// The upgrade was refused: requests continue.
    pub(crate) fn resume(&mut self) {
        self.state = State::Start;
    }

    /// The upgrade was granted: what follows is not checked.
    pub(crate) fn tunnel(&mut self) {
        self.state = State::Tunnel;
    }

    fn leave_data(&mut self) {
        self.state = match self.state {
            State::Length(0) => State::Start,
            State::Chunk(0) => State::ChunkEnd,
            state => state,
        };
    }

    fn end_line(&mut self, end: &[u8]) -> Result<(), AtFault> {
        if self.partial.is_empty() {
            return self.line(end);
        }
        let mut line = std::mem::take(&mut self.partial);
        line.extend_from_slice(end);
        let checked = self.line(&line);
        line.clear();
        self.partial = line;
        checked
    }

    fn line(&mut self, line: &[u8]) -> Result<(), AtFault> {
        let line = line.strip_suffix(b"\r\n").ok_or(AtFault)?;
        self.state = match self.state {
            // RFC 9112 2.2: an empty line before a request is ignored.
            State::Start if line.is_empty() => State::Start,
            State::Start => {
                self.facts = Facts::of_request_line(line)?;
                self.is_target_encoded = false;
                self.expected_body = None;
                State::Head
            }
            State::Head if line.is_empty() => {
                self.heads += 1;
                let state = self.facts.body()?;
                self.expected_body = (self.facts.expects && state.is_in_body()).then_some(false);
                state
            }
            State::Head => {
                self.facts.header(line)?;
                State::Head
            }
            State::ChunkSize => match chunk_size(line)? {
                0 => State::Trailers,
                size => State::Chunk(size),
            },
            State::ChunkEnd if line.is_empty() => State::ChunkSize,
            State::ChunkEnd => return Err(AtFault),
            State::Trailers if line.is_empty() => State::Start,
            State::Trailers if is_folded(line) => return Err(AtFault),
            state => state,
        };
        Ok(())
    }
}

// === impl State ===

impl State {
    fn is_in_body(self) -> bool {
        matches!(
            self,
            Self::Length(_) | Self::ChunkSize | Self::Chunk(_) | Self::ChunkEnd
        )
    }
}

/// The size in a chunk's first line. Extensions after it are ignored.
fn chunk_size(line: &[u8]) -> Result<u64, AtFault> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let (size, rest) = line.split_at(digits.count());
    let is_over = matches!(rest.trim_ascii_start(), [] | [b';', ..]);
    let size = std::str::from_utf8(size).map_err(|_| AtFault)?;
    let size = u64::from_str_radix(size, 16).map_err(|_| AtFault)?;
    is_over.then_some(size).ok_or(AtFault)
}

/// RFC 9112 5.2: a continuation of the previous line.
fn is_folded(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SOUND: &[&str] = &[
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost:\r\n\r\n\r\nGET / HTTP/1.1\r\nhost: [::1]:80\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\ncontent-length:3\r\n\r\na\nbGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5;x=y\r\na\n\r\nb\r\n00A \r\n0123456789\r\n0\r\nT: x\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Lengthy: x\r\nHosts: /\r\nHost: a\r\n\r\n",
    ];

    const FAULTY: &[&str] = &[
        "GET / HTTP/1.1\n",
        "\n",
        "GET /#a HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: a\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n",
        "GET / HTTP/1.1\r\nHost: a, b\r\n",
        "GET / HTTP/1.1\r\nHost: [::1\r\n",
        "GET / HTTP/1.1\r\nHost: a%41\r\n",
        "GET / HTTP/1.1\r\nHost: a:b:c\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ];

    const FAULTY_CHUNKS: &[&str] = &[
        "x\r\n",
        "\r\n",
        "+5\r\n",
        "0x5\r\n",
        "5 5\r\n",
        "5\n",
        "10000000000000000\r\n",
        "5\r\nabcdef\r\n",
        "1\r\na\n",
        "0\r\nT: x\n",
        "0\r\nT: x\r\n folded\r\n",
    ];

    fn found(text: &str) -> Found {
        Framing::default().read(text.as_bytes())
    }

    #[test]
    fn sound_requests_end_between_requests() {
        for text in SOUND {
            let mut framing = Framing::default();
            assert_eq!(framing.read(text.as_bytes()), Found::Sound, "{text:?}");
            assert!(framing.is_between_requests(), "{text:?}");
        }
    }

    #[test]
    fn a_fault_is_found_at_the_end_of_its_line() {
        for text in FAULTY {
            let expected = Found::Fault(text.len() - 1);
            assert_eq!(found(&format!("{text}GET")), expected, "{text:?}");
        }
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        for chunks in FAULTY_CHUNKS {
            let text = format!("{head}{chunks}");
            assert_eq!(found(&text), Found::Fault(text.len() - 1), "{chunks:?}");
        }
    }

    #[test]
    fn an_upgrade_holds_back_what_follows() {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";
        let mut framing = Framing::default();
        assert_eq!(framing.read(head.as_bytes()), Found::Sound);
        assert!(framing.awaits_upgrade());
        assert_eq!(framing.read(b"\x81\n"), Found::Upgrade(0));
        assert_eq!(found(&format!("{head}\n")), Found::Upgrade(head.len()));
        framing.tunnel();
        assert_eq!(framing.read(b"\x81\n"), Found::Sound);
    }

    #[test]
    fn an_expected_body_is_noticed_when_its_first_byte_comes() {
        for framing in ["Content-Length: 2", "Transfer-Encoding: chunked"] {
            let mut framed = Framing::default();
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n{framing}\r\n\r\n");
            framed.read(head.as_bytes());
            assert_eq!(framed.expected_body, Some(false));
            framed.read(b"2");
            assert_eq!(framed.expected_body, Some(true));
        }
        let mut framing = Framing::default();
        framing.read(b"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n");
        assert_eq!(framing.expected_body, None);
    }

    #[test]
    fn a_target_that_needs_encoding_comes_again_encoded() {
        let mut framing = Framing::default();
        assert_eq!(framing.read(b"GET /a<"), Found::Target(6));
        let rest = framing.encode_target(b"<b HTTP/1.1\r\n");
        assert_eq!(rest, b"%3Cb HTTP/1.1\r\n");
        assert_eq!(framing.read(&rest), Found::Sound);
        assert_eq!(framing.read(b"Host: a\r\n\r\n"), Found::Sound);
        assert!(framing.is_between_requests());
        assert_eq!(framing.read(b"GET /?\xff"), Found::Target(6));
    }

    #[test]
    fn a_line_without_an_end_is_at_fault() {
        let mut framing = Framing::default();
        let part = [b'a'; 240 << 10];
        assert_eq!(framing.read(&part), Found::Sound);
        assert_eq!(framing.read(&part), Found::Sound);
        assert_eq!(framing.read(&part), Found::Fault(part.len() - 1));
    }

    proptest! {
        #[test]
        fn how_the_bytes_come_in_changes_nothing(
            text in prop::sample::select([SOUND, FAULTY].concat()),
            cuts in prop::collection::vec(0usize..200, 0..6),
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut framing = Framing::default();
            let mut whole = Found::Sound;
            for pair in cuts.windows(2) {
                if let Found::Fault(at) = framing.read(&text.as_bytes()[pair[0]..pair[1]]) {
                    whole = Found::Fault(pair[0] + at);
                }
            }
            prop_assert_eq!(whole, found(text));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, more: Vec<u8>) {
            let mut framing = Framing::default();
            framing.read(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
            framing.read(&bytes);
            framing.read(&more);
            let mut framing = Framing::default();
            framing.read(&bytes);
            framing.read(&more);
        }
    }
}
