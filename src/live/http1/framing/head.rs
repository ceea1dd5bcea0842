//! What a request's head declares about the body, line by line.

use super::{AtFault, State};
use http::uri::Authority;
use memchr::memchr;

/// What the current head has declared so far.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// HTTP/1.0, which need not name a host.
    is_http_1_0: bool,
    content_length: Option<u64>,
    is_chunked: bool,
    has_host: bool,
    asks_upgrade: bool,
    pub(super) expects: bool,
}

// === impl Facts ===

impl Facts {
    pub(crate) fn of_request_line(line: &[u8]) -> Result<Self, AtFault> {
        // No request target has a fragment; `http::Uri` would drop it silently.
        if memchr(b'#', line).is_some() {
            return Err(AtFault);
        }
        Ok(Self {
            is_http_1_0: line.ends_with(b" HTTP/1.0"),
            ..Self::default()
        })
    }

    pub(crate) fn header(&mut self, line: &[u8]) -> Result<(), AtFault> {
        let Some(first) = line.first() else {
            return Ok(());
        };
        match first {
            b' ' | b'\t' => return Err(AtFault),
            b'c' | b'C' => {
                if let Some(value) = value_of(line, b"content-length") {
                    self.content_length(value)?;
                }
            }
            b'e' | b'E' => self.expects |= value_of(line, b"expect").is_some(),
            b'h' | b'H' => {
                if let Some(value) = value_of(line, b"host") {
                    self.host(value)?;
                }
            }
            b't' | b'T' => {
                if let Some(value) = value_of(line, b"transfer-encoding") {
                    self.transfer_encoding(value)?;
                }
            }
            b'u' | b'U' => self.asks_upgrade |= value_of(line, b"upgrade").is_some(),
            _ => {}
        }
        Ok(())
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), AtFault> {
        let length = decimal(value).ok_or(AtFault)?;
        match self.content_length.replace(length) {
            Some(other) if other != length => Err(AtFault),
            _ => Ok(()),
        }
    }

    fn host(&mut self, value: &[u8]) -> Result<(), AtFault> {
        let is_host =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(byte);
        if self.has_host || !value.iter().all(is_host) || !is_authority(value) {
            return Err(AtFault);
        }
        self.has_host = true;
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), AtFault> {
        if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(AtFault);
        }
        self.is_chunked = true;
        Ok(())
    }

    /// What follows the head.
    pub(crate) fn body(&self) -> Result<State, AtFault> {
        if !self.is_http_1_0 && !self.has_host {
            return Err(AtFault);
        }
        match self.content_length {
            Some(_) if self.is_chunked => Err(AtFault),
            None if self.is_chunked => Ok(State::ChunkSize),
            Some(1..) => Ok(State::Length(self.content_length.unwrap_or_default())),
            _ if self.asks_upgrade => Ok(State::Upgrade),
            _ => Ok(State::Start),
        }
    }
}

/// Whether the bytes of a host are in an order that a stack of HTTP/2 can be given. They may be none.
fn is_authority(value: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    let mut others = value.iter().filter(|byte| !is_plain(byte));
    // Nearly every host, without an allocation.
    let is_usual = matches!(
        (others.next(), others.next()),
        (None, _) | (Some(b':'), None)
    );
    is_usual || Authority::try_from(value).is_ok()
}

/// The value of the header line if it has that name, without surrounding white space.
fn value_of<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (begin, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    begin.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok()?;
    is_number.then(|| text.parse().ok())?
}
