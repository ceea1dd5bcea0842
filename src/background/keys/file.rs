//! The lines of a file by number, without the file in memory.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Seek as _, SeekFrom},
    path::Path,
};
use xxhash_rust::xxh3::Xxh3Default;

/// Lines that are not empty.
#[derive(Debug)]
pub(super) struct Lines {
    file: BufReader<File>,
    /// Where every `stride`th line begins.
    places: Vec<u64>,
    stride: u64,
    count: u64,
    hash: u64,
    /// Lines that are no keys.
    skipped: u64,
}

/// Past so many places, every other one is forgotten.
const MAX_PLACES: usize = 1 << 18;

// === impl Lines ===

impl Lines {
    /// Reads the file once.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut lines = Self {
            file: BufReader::new(File::open(path)?),
            places: Vec::new(),
            stride: 1,
            count: 0,
            hash: 0,
            skipped: 0,
        };
        let (mut hash, mut place, mut line) = (Xxh3Default::new(), 0, Vec::new());
        loop {
            line.clear();
            let length = lines.file.read_until(b'\n', &mut line)?;
            if length == 0 {
                break;
            }
            hash.update(&line);
            if !line.trim_ascii().is_empty() {
                lines.note(place);
            }
            place += length as u64;
        }
        lines.hash = hash.digest();
        Ok(lines)
    }

    fn note(&mut self, place: u64) {
        if self.count.is_multiple_of(self.stride) {
            if self.places.len() == MAX_PLACES {
                let mut index = 0;
                self.places.retain(|_| {
                    index += 1;
                    index % 2 == 1
                });
                self.stride *= 2;
            }
            if self.count.is_multiple_of(self.stride) {
                self.places.push(place);
            }
        }
        self.count += 1;
    }

    /// The first line is no key.
    pub(super) fn skip_first(&mut self) {
        self.skipped = 1;
    }

    pub(super) fn count(&self) -> u64 {
        self.count - self.skipped
    }

    /// Of all bytes.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// A line without its end; empty if it is no UTF-8, and so no key.
    pub(super) fn get(&mut self, number: u64) -> io::Result<Option<String>> {
        let number = number + self.skipped;
        let Some(place) = self.places.get((number / self.stride) as usize) else {
            return Ok(None);
        };
        self.file.seek(SeekFrom::Start(*place))?;
        let mut left = number % self.stride;
        let mut line = Vec::new();
        loop {
            line.clear();
            if self.file.read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            if left == 0 {
                let line = line.trim_ascii_end();
                let text = str::from_utf8(line).unwrap_or_default();
                return Ok(Some(text.to_owned()));
            }
            left -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    #[test]
    fn places_are_thinned_and_every_line_is_found() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("lines");
        let count = 3 * MAX_PLACES as u64 + 5;
        let text: String = (0..count).map(|line| format!("{line}\n")).collect();
        fs::write(&path, text).unwrap();
        let mut lines = Lines::open(&path).unwrap();
        assert_eq!((lines.count(), lines.stride), (count, 4));
        assert!(lines.places.len() <= MAX_PLACES);
        for line in [0, 1, 3, 4, 77_777, count - 1] {
            assert_eq!(lines.get(line).unwrap(), Some(line.to_string()));
        }
        assert_eq!(lines.get(count).unwrap(), None);
    }
}
