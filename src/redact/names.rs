//! Redacts names: places, paths, queries, forms.

use super::{
    Redactor, Values, Walk,
    personal::{is_address, is_somebodys},
};
use crate::value::{Place, Step};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// A longer name, in characters, is treated as a value: a token, a text, a document used as a key.
const MAX_NAME: usize = 64;

/// A name with this many digits is treated as personal: a telephone, card or account number, a UUID.
const MAX_DIGITS: usize = 6;

// === impl Redactor ===

impl Redactor {
    /// The place with personal names masked; unchanged where values are shown.
    pub fn place<'p>(&self, place: &'p Place) -> Cow<'p, Place> {
        let redacted = match place {
            Place::Node(steps) => Place::Node(steps.iter().map(|step| self.step(step)).collect()),
            Place::Form(name) => Place::Form(self.name(name).into_owned()),
            _ => return Cow::Borrowed(place),
        };
        Cow::Owned(redacted)
    }

    /// The path of a request. A segment is masked if it looks personal (an address, a card, account or telephone
    /// number) or is very long. So is a segment after one that `fields` matches (`/reset-token/8c1f`). Within a
    /// segment, what follows such a name is masked too (`/token:8c1f`). Ids stay, because a mismatch could not be found
    /// again without them. Matrix parameters are redacted like those of a query.
    pub fn path(&self, path: &str) -> String {
        let mut walk = Walk::new(&self.config.fields);
        let redacted = path
            .split('/')
            .map(|segment| self.segment_of(segment, &mut walk));
        redacted.collect::<Vec<_>>().join("/")
    }

    fn segment_of(&self, segment: &str, walk: &mut Walk<'_>) -> String {
        let name = percent_decode_str(segment).decode_utf8_lossy();
        let hidden = walk.hidden(&name);
        if hidden == Some(0) {
            return self.text(&name, Values::Masked);
        }
        let semicolons = |text: &str| text.matches(';').count();
        let text = if semicolons(&name) > semicolons(segment) {
            &*name
        } else {
            segment
        };
        let (base, parameters) = match text.split_once(';') {
            Some((base, parameters)) => (base, Some(parameters)),
            None => (text, None),
        };
        let name = name.split(';').next().unwrap_or_default();
        let mut redacted = match hidden.and_then(|at| name.split_at_checked(at)) {
            Some((shown, secret)) => self.segment(shown) + &self.text(secret, Values::Masked),
            None => self.segment(base),
        };
        if let Some(parameters) = parameters {
            redacted.push(';');
            redacted.push_str(&self.joined(parameters, ';'));
        }
        redacted
    }

    /// A segment of a path, without matrix parameters.
    fn segment(&self, segment: &str) -> String {
        let name = percent_decode_str(segment).decode_utf8_lossy();
        let is_masked = is_somebodys(&name) || name.chars().count() > MAX_NAME;
        match self.config.values {
            mode if is_masked => self.text(&name, mode),
            _ => segment.to_owned(),
        }
    }

    /// The query of a request, without `?`.
    pub fn query(&self, query: &str) -> String {
        self.pairs(query)
    }

    /// `name=value` pairs joined by `&`: the name decides how the value is reported. A pair without `=` is a value.
    pub(super) fn pairs(&self, pairs: &str) -> String {
        self.joined(pairs, '&')
    }

    fn joined(&self, pairs: &str, separator: char) -> String {
        let redacted = pairs.split(separator).map(|pair| self.pair(pair));
        redacted
            .collect::<Vec<_>>()
            .join(separator.encode_utf8(&mut [0; 4]))
    }

    fn pair(&self, pair: &str) -> String {
        match pair.split_once('=') {
            Some((name, value)) => {
                let name = decoded(name);
                let redacted = match self.mode_of(&name) {
                    Values::Shown => value.to_owned(),
                    mode => self.text(&decoded(value), mode),
                };
                format!("{}={redacted}", self.name(&name))
            }
            None if pair.is_empty() => String::new(),
            None => match self.mode_of(pair) {
                Values::Shown => pair.to_owned(),
                mode => self.text(&decoded(pair), mode),
            },
        }
    }

    /// The name of a member or parameter, masked if it looks personal.
    pub(super) fn name<'n>(&self, name: &'n str) -> Cow<'n, str> {
        match self.config.values {
            Values::Shown => Cow::Borrowed(name),
            mode if is_personal(name) => Cow::Owned(self.text(name, mode)),
            _ => Cow::Borrowed(name),
        }
    }

    /// How the value at the end of these steps is reported: masked if `fields` matches any name on the way.
    pub(super) fn mode_of_steps(&self, steps: &[Step]) -> Values {
        let is_secret = steps.iter().any(|step| match step {
            Step::Name(name) => self.names_secret(name),
            Step::Index(_) => false,
        });
        if is_secret {
            Values::Masked
        } else {
            self.config.values
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

/// Undoes well-formed percent-encoding and `+`; replaces what is not UTF-8 afterwards.
fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
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
    fn path_keeps_ids_and_loses_addresses_and_secrets() {
        let redactor = redactor(Values::Masked);
        for (path, redacted) in [
            ("/users/42", "/users/42"),
            ("/", "/"),
            ("/users/anna@example.com/orders", "/users/string(16)/orders"),
            ("/users/anna%40example.com", "/users/string(16)"),
            (
                "/reset-token/8c1f/confirm",
                "/reset-token/string(4)/confirm",
            ),
            ("/a//b/", "/a//b/"),
            (
                "/cars;colour=red;token=abc/7",
                "/cars;colour=string(3);token=string(3)/7",
            ),
            ("/cars%3Btoken%3Dabc/7", "/cars;token=string(3)/7"),
            ("/token;a=1/abc;b=2", "/token;a=string(1)/string(7)"),
            ("/password//hunter", "/password//string(6)"),
            ("/password/./hunter", "/password/./string(6)"),
            ("/token=hunter/x", "/token=string(6)/string(1)"),
            ("/token%3Ahunter", "/token:string(6)"),
            ("/key.token.hunter;a=1", "/key.token.string(6);a=string(1)"),
            ("/a%3Btoken%3Dx;b=1", "/a;token=string(1);b=string(1)"),
            ("/pay/4111111111111111", "/pay/string(16)"),
            ("/pay/DE89370400440532013000/x", "/pay/string(22)/x"),
            ("/call/+4915123456789", "/call/string(14)"),
            ("/call/%2B49%20151%2023456789", "/call/string(16)"),
            ("/orders/1732271234567", "/orders/1732271234567"),
        ] {
            assert_eq!(redactor.path(path), redacted, "{path}");
        }
        let shown = self::redactor(Values::Shown);
        let path = "/call/+4915123456789;a=1;pin-token=2/secret/x/secret=x";
        let redacted =
            "/call/+4915123456789;a=1;pin-token=string(1)/secret/string(1)/secret=string(1)";
        assert_eq!(shown.path(path), redacted);
        let long = format!("/v/{}", "x".repeat(65));
        assert_eq!(redactor.path(&long), "/v/string(65)");
    }

    #[test]
    fn query_values_are_reported_by_their_names() {
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
    fn a_member_named_by_an_address_is_reported_without_it() {
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
