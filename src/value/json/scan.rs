//! Tokens of JSON: strings, numbers, literals, white space.

use super::{Class, parse::Parser};

// === impl Parser ===

impl Parser<'_> {
    /// Reads a string from its opening quote, and returns whether it has escapes.
    pub(super) fn string(&mut self) -> Result<bool, &'static str> {
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at = plain_until(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err("a control character must be escaped"),
                None => return Err("a string does not end"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 1..self.at + 5);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err("expected four hexadecimal digits");
                }
                self.at += 5;
            }
            _ => return Err("no such escape"),
        }
        Ok(())
    }

    pub(super) fn number(&mut self) -> Result<(), &'static str> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err("expected a digit"),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), &'static str> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start {
            return Err("expected a digit");
        }
        Ok(())
    }

    pub(super) fn word(&mut self, word: &str, class: Class) -> Result<Class, &'static str> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err("expected a value");
        }
        self.at += word.len();
        Ok(class)
    }

    pub(super) fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
}

/// The next quote, backslash or control character from `at` on, eight bytes at a time.
fn plain_until(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    // The lowest marked byte is exact; those above it may be false positives.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5C)) | control;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b'"' | b'\\' | ..0x20) {
            break;
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_of_plain_bytes_ends_where_it_should() {
        for length in 0..20 {
            for stop in [b'"', b'\\', 0x00, 0x1f] {
                let mut bytes = vec![0xe9u8; length];
                bytes.push(stop);
                bytes.extend_from_slice(b"\"\"\"\"\"\"\"\"\"\"");
                assert_eq!(plain_until(&bytes, 0), length);
            }
            assert_eq!(plain_until(&vec![b' '; length], 0), length);
        }
    }
}
