//! The keys of a sweep, by number: those of a range, or those of a file, one a line.
//!
//! A file stays on the disk. In memory is the place of every so-manieth line, of at most 2^18 lines.

mod file;

use csv::ReaderBuilder;
use file::Lines;
use serde_json::Value;
use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Both ends included.
    Range(u64, u64),
    File(PathBuf),
    /// Standard input, which is copied to a file first.
    Input,
}

/// Keys that are read by their numbers.
#[derive(Debug)]
pub(crate) struct Keys(Kind);

/// More keys are refused: no sweep ends with them, and a count of them is no exact `f64`.
const MAX_RANGE: u64 = 1 << 53;

#[derive(Debug)]
enum Kind {
    Range { first: u64, count: u64 },
    Csv { lines: Lines, columns: Vec<usize> },
    Ndjson { lines: Lines, names: Vec<String> },
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    #[error("{}:1: expected a header with {expected}, found {found:?}", .path.display())]
    Header {
        path: PathBuf,
        expected: String,
        found: String,
    },
    #[error("{} has no keys", .0.display())]
    Empty(PathBuf),
    #[error("a range has one value, and the route has {0}")]
    Range(String),
}

// === impl Source ===

impl Source {
    /// `1..5000000`, `-`, or a file.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "-" {
            return Ok(Self::Input);
        }
        let range = text.split_once("..").map(|(first, last)| {
            let last = last.strip_prefix('=').unwrap_or(last);
            Some((first.parse().ok()?, last.parse().ok()?))
        });
        match range.flatten() {
            Some((first, last)) if first > last => Err(format!("the range {text} is empty")),
            Some((first, last)) if last - first >= MAX_RANGE => {
                Err(format!("the range {text} has more than 2^53 keys"))
            }
            Some((first, last)) => Ok(Self::Range(first, last)),
            None => Ok(Self::File(text.into())),
        }
    }
}

// === impl Keys ===

impl Keys {
    /// The keys of a range.
    ///
    /// # Errors
    /// The route has not one value.
    pub(crate) fn range(first: u64, last: u64, names: &[String]) -> Result<Self, KeysError> {
        if names.len() != 1 {
            return Err(KeysError::Range(shown(names)));
        }
        let count = last - first + 1;
        Ok(Self(Kind::Range { first, count }))
    }

    /// The keys of a file: CSV with a header, NDJSON, or values alone if the route has one.
    ///
    /// # Errors
    /// The file cannot be read, or has not what the route needs.
    pub(crate) fn file(path: &Path, names: &[String]) -> Result<Self, KeysError> {
        let failed = |error| KeysError::Read(path.to_owned(), error);
        let mut lines = Lines::open(path).map_err(failed)?;
        let Some(first) = lines.get(0).map_err(failed)? else {
            return Err(KeysError::Empty(path.to_owned()));
        };
        if first.starts_with(['{', '[', '"']) && serde_json::from_str::<Value>(&first).is_ok() {
            let names = names.to_vec();
            return Ok(Self(Kind::Ndjson { lines, names }));
        }
        let header = fields(&first).unwrap_or_default();
        let place = |name: &String| header.iter().position(|column| column.trim() == name);
        let columns: Option<Vec<_>> = names.iter().map(place).collect();
        let columns = match columns {
            Some(columns) => {
                lines.skip_first();
                columns
            }
            None if names.len() == 1 && header.len() == 1 => vec![0],
            None => {
                return Err(KeysError::Header {
                    path: path.to_owned(),
                    expected: shown(names),
                    found: first,
                });
            }
        };
        if lines.count() == 0 {
            return Err(KeysError::Empty(path.to_owned()));
        }
        Ok(Self(Kind::Csv { lines, columns }))
    }

    /// Copies standard input, or whatever else `input` is, to a file.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn spool(input: &mut impl io::Read, path: &Path) -> Result<(), KeysError> {
        let mut copy = || {
            let mut file = private(path)?;
            io::copy(input, &mut file)?;
            file.sync_all()
        };
        copy().map_err(|error| KeysError::Read(path.to_owned(), error))
    }

    /// The number of keys.
    pub(crate) fn count(&self) -> u64 {
        match &self.0 {
            Kind::Range { count, .. } => *count,
            Kind::Csv { lines, .. } | Kind::Ndjson { lines, .. } => lines.count(),
        }
    }

    /// Differs between these keys and others.
    pub(crate) fn fingerprint(&self) -> String {
        match &self.0 {
            Kind::Range { first, count } => format!("range {first} {count}"),
            Kind::Csv { lines, .. } | Kind::Ndjson { lines, .. } => {
                format!("lines {} {:016x}", lines.count(), lines.hash())
            }
        }
    }

    /// The values of a key; `None` if its line has not what the route needs.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn get(&mut self, number: u64) -> io::Result<Option<Vec<String>>> {
        Ok(match &mut self.0 {
            Kind::Range { first, .. } => Some(vec![(*first + number).to_string()]),
            Kind::Csv { lines, columns } => lines.get(number)?.and_then(|line| {
                let fields = fields(&line)?;
                let values = columns.iter().map(|column| fields.get(*column).cloned());
                values
                    .map(|value| value.filter(|value| !value.is_empty()))
                    .collect()
            }),
            Kind::Ndjson { lines, names } => {
                lines.get(number)?.and_then(|line| members(&line, names))
            }
        })
    }
}

/// A new file that only its owner may read: keys may be personal.
pub(super) fn private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)
}

/// The fields of one line of CSV.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .from_reader(line.as_bytes());
    let record = reader.records().next()?.ok()?;
    Some(record.iter().map(str::to_owned).collect())
}

/// The named members of an object, or the one value.
fn members(line: &str, names: &[String]) -> Option<Vec<String>> {
    let json: Value = serde_json::from_str(line).ok()?;
    let value = |value: &Value| match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    match &json {
        Value::Object(members) => names.iter().map(|name| value(members.get(name)?)).collect(),
        single if names.len() == 1 => Some(vec![value(single)?]),
        _ => None,
    }
}

fn shown(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn keys(text: impl AsRef<[u8]>, names: &[&str]) -> Result<Vec<Option<Vec<String>>>, KeysError> {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("keys");
        fs::write(&path, text).unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut keys = Keys::file(&path, &names)?;
        Ok((0..keys.count())
            .map(|number| keys.get(number).unwrap())
            .collect())
    }

    fn key(values: &[&str]) -> Option<Vec<String>> {
        Some(values.iter().map(|value| (*value).to_owned()).collect())
    }

    #[test]
    fn columns_are_found_by_name_and_bad_lines_are_no_keys() {
        let text = "b,a\r\n1,\"x,\"\"y\"\n\n2\n3,z";
        let expected = [key(&["x,\"y", "1"]), None, key(&["z", "3"])];
        assert_eq!(keys(text, &["a", "b"]).unwrap(), expected);
    }

    #[test]
    fn values_alone_serve_a_route_with_one() {
        assert_eq!(keys("7\n8\n", &["id"]).unwrap(), [key(&["7"]), key(&["8"])]);
        assert_eq!(keys("id\n8\n", &["id"]).unwrap(), [key(&["8"])]);
        let latin = keys(b"id\nM\xfcller\n8\n", &["id"]).unwrap();
        assert_eq!(latin, [None, key(&["8"])], "no UTF-8 is no key");
        let wrong = keys("7,8\n", &["id"]).unwrap_err().to_string();
        assert!(
            wrong.contains("expected a header with id, found \"7,8\""),
            "{wrong}"
        );
        assert!(matches!(keys("id\n", &["id"]), Err(KeysError::Empty(_))));
    }

    #[test]
    fn json_gives_members_or_the_value() {
        let text = "{\"id\": 7, \"b\": \"x\"}\n{\"id\": null}\n\"8\"\n";
        let expected = [key(&["7"]), None, key(&["8"])];
        assert_eq!(keys(text, &["id"]).unwrap(), expected);
    }

    #[test]
    fn ranges_include_both_ends() {
        assert_eq!(Source::parse("5..7"), Ok(Source::Range(5, 7)));
        assert_eq!(Source::parse("5..=7"), Ok(Source::Range(5, 7)));
        assert_eq!(Source::parse("a..b"), Ok(Source::File("a..b".into())));
        assert!(Source::parse("7..5").is_err());
        assert!(Source::parse("0..18446744073709551615").is_err());
        assert!(Source::parse("1..9007199254740992").is_ok());
        let mut keys = Keys::range(5, 7, &["id".to_owned()]).unwrap();
        assert_eq!((keys.count(), keys.get(2).unwrap()), (3, key(&["7"])));
        assert!(Keys::range(5, 7, &[]).is_err());
    }
}
