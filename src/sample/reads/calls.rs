//! Methods of gRPC, by a pattern such as `shop.v1.Catalogue/{Get,List}*`.

use crate::{
    route::Selector,
    spanned_yaml::{ConfigError, Cursor},
    value::grpc::{Call, Descriptors},
};
use regex::Regex;

/// The methods that a declaration names.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    /// Matches the path of a call.
    pattern: Regex,
}

const EXPECTED: &str = "service/method, such as shop.v1.Catalogue/{Get,List}*";

// === impl Calls ===

impl Calls {
    /// Reads a pattern of service and method: `*` stands for any text without `/`, `{a,b}` for one of these.
    pub(super) fn read(at: &Cursor<'_>) -> Result<Self, ConfigError> {
        let pattern = at.text().ok().and_then(path_pattern);
        let pattern = pattern.ok_or_else(|| at.expected(EXPECTED))?;
        let pattern = Regex::new(&pattern).map_err(|_| at.expected(EXPECTED))?;
        Ok(Self { pattern })
    }

    /// The requests that call these methods.
    pub(super) fn selector(&self) -> Selector {
        Selector::of_calls(self.pattern.clone())
    }

    /// The described methods among them, by path.
    pub(crate) fn described<'d>(
        &self,
        descriptors: &'d Descriptors,
    ) -> impl Iterator<Item = (&'d str, &'d Call)> {
        let calls = descriptors.calls();
        calls.filter(|(path, _)| self.pattern.is_match(path))
    }
}

/// A regular expression for the paths of these methods; `None` if the text is no such pattern.
fn path_pattern(text: &str) -> Option<String> {
    let (service, method) = text.split_once('/')?;
    if service.is_empty() || method.is_empty() || method.contains('/') {
        return None;
    }
    let mut pattern = String::from("^/");
    let mut is_within = false;
    for c in text.chars() {
        match c {
            '{' if !is_within => pattern.push_str("(?:"),
            '}' if is_within => pattern.push(')'),
            ',' if is_within => pattern.push('|'),
            '*' => pattern.push_str("[^/]*"),
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => pattern.push(c),
            '.' => pattern.push_str(r"\."),
            '/' if !is_within => pattern.push('/'),
            _ => return None,
        }
        is_within = match c {
            '{' => true,
            '}' => false,
            _ => is_within,
        };
    }
    pattern.push('$');
    (!is_within).then_some(pattern)
}
