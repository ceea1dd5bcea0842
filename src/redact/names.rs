//! What is told of names: places, paths, queries, forms.

use super::{Redactor, Telling};
use crate::compare::{Place, Step};
use std::borrow::Cow;

/// A name of more characters than this is taken for a value: a token, a text, a document used as a key.
const MAX_NAME: usize = 64;

/// A name with as many digits as this is taken for somebody's: a telephone, card or account number, a UUID.
const MAX_DIGITS: usize = 6;

// === impl Redactor ===

impl Redactor {
    /// The place with names masked that look like somebody's; unchanged where values are shown.
    pub fn place<'p>(&self, place: &'p Place) -> Cow<'p, Place> {
        let told = match place {
            Place::Node(steps) => Place::Node(steps.iter().map(|step| self.step(step)).collect()),
            Place::Form(name) => Place::Form(self.name(name).into_owned()),
            _ => return Cow::Borrowed(place),
        };
        Cow::Owned(told)
    }

    /// The path of a request. A segment is masked if it holds an `@`, is very long, or follows a segment that `fields`
    /// name (`/reset-token/8c1f`); ids stay, for without them a mismatch could not be found again.
    pub fn path(&self, path: &str) -> String {
        let mut told = String::with_capacity(path.len());
        let mut is_secret = false;
        for (index, segment) in path.split('/').enumerate() {
            if index > 0 {
                told.push('/');
            }
            let name = decoded(segment);
            let telling = match is_secret || is_address(&name) || name.chars().count() > MAX_NAME {
                true if is_secret => Telling::Masked,
                true => self.config.values.telling(),
                false => Telling::Shown,
            };
            match telling {
                _ if segment.is_empty() => {}
                Telling::Shown => told.push_str(segment),
                _ => told.push_str(&self.text(&name, telling)),
            }
            is_secret = self.names_secret(&name);
        }
        told
    }

    /// The query of a request, without `?`.
    pub fn query(&self, query: &str) -> String {
        self.pairs(query)
    }

    /// `name=value` pairs joined by `&`: names are told, values by their name. What has no `=` is taken for a value.
    pub(super) fn pairs(&self, pairs: &str) -> String {
        let told = pairs.split('&').map(|pair| match pair.split_once('=') {
            Some((name, value)) => {
                let name = decoded(name);
                let told = match self.telling(&name) {
                    Telling::Shown => value.to_owned(),
                    telling => self.text(&decoded(value), telling),
                };
                format!("{}={told}", self.name(&name))
            }
            None if pair.is_empty() => String::new(),
            None => match self.telling(pair) {
                Telling::Shown => pair.to_owned(),
                telling => self.text(&decoded(pair), telling),
            },
        });
        told.collect::<Vec<_>>().join("&")
    }

    /// The name of a member or parameter, masked where it looks like somebody's.
    pub(super) fn name<'n>(&self, name: &'n str) -> Cow<'n, str> {
        match self.config.values.telling() {
            Telling::Shown => Cow::Borrowed(name),
            telling if is_personal(name) => Cow::Owned(self.text(name, telling)),
            _ => Cow::Borrowed(name),
        }
    }

    /// How the value at the end of these steps is told: masked if any name on the way is one of `fields`.
    pub(super) fn step_telling(&self, steps: &[Step]) -> Telling {
        let is_secret = steps.iter().any(|step| match step {
            Step::Name(name) => self.names_secret(name),
            Step::Index(_) => false,
        });
        match is_secret {
            true => Telling::Masked,
            false => self.config.values.telling(),
        }
    }

    fn step(&self, step: &Step) -> Step {
        match step {
            Step::Name(name) => Step::Name(self.name(name).into_owned()),
            Step::Index(index) => Step::Index(*index),
        }
    }
}

fn is_personal(name: &str) -> bool {
    let digits = name.chars().filter(char::is_ascii_digit).count();
    is_address(name) || digits > MAX_DIGITS || name.chars().count() > MAX_NAME
}

/// An `@` that does not begin the name: `@id` is how XML and JSON-LD mark attributes.
fn is_address(name: &str) -> bool {
    name.chars().skip(1).any(|letter| letter == '@')
}

/// Undoes percent-encoding and `+`, as far as they are well formed; what is not UTF-8 afterwards is replaced.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = match byte {
            b'%' => bytes.get(at + 1..at + 3).and_then(hex_byte),
            _ => None,
        };
        at += if escaped.is_some() { 3 } else { 1 };
        decoded.push(match escaped {
            Some(byte) => byte,
            None if byte == b'+' => b' ',
            None => byte,
        });
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    match digits {
        [high, low] => Some((digit(*high)? * 16 + digit(*low)?) as u8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::{Config, HashKey, Values};

    fn redactor(values: Values) -> Redactor {
        let config = Config {
            values,
            ..Config::default()
        };
        Redactor::new(config, HashKey([7; 16]))
    }

    #[test]
    fn a_path_keeps_ids_and_loses_addresses_and_what_follows_a_secret_name() {
        let redactor = redactor(Values::Masked);
        for (path, told) in [
            ("/users/42", "/users/42"),
            ("/", "/"),
            ("/users/anna@example.com/orders", "/users/string(16)/orders"),
            ("/users/anna%40example.com", "/users/string(16)"),
            (
                "/reset-token/8c1f/confirm",
                "/reset-token/string(4)/confirm",
            ),
            ("/a//b/", "/a//b/"),
        ] {
            assert_eq!(redactor.path(path), told, "{path}");
        }
        let long = format!("/v/{}", "x".repeat(65));
        assert_eq!(redactor.path(&long), "/v/string(65)");
    }

    #[test]
    fn query_values_are_told_by_their_names() {
        let query = "page=2&e%6Dail=anna%40example.com&q=a+b&flag&&x=";
        let masked = redactor(Values::Masked).query(query);
        assert_eq!(
            masked,
            "page=string(1)&email=string(16)&q=string(3)&string(4)&&x=string(0)"
        );
        let shown = redactor(Values::Shown).query(query);
        assert_eq!(shown, "page=2&email=string(16)&q=a+b&flag&&x=");
    }

    #[test]
    fn a_member_named_by_an_address_is_told_without_it() {
        let place = Place::Node(vec![
            Step::Name("@type".to_owned()),
            Step::Name("anna@example.com".to_owned()),
            Step::Index(3),
        ]);
        let expected = Place::Node(vec![
            Step::Name("@type".to_owned()),
            Step::Name("string(16)".to_owned()),
            Step::Index(3),
        ]);
        assert_eq!(*redactor(Values::Masked).place(&place), expected);
        assert_eq!(*redactor(Values::Shown).place(&place), place);
    }
}
