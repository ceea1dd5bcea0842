//! Reads nodes as the types that a section expects.

use super::{ConfigError, ConfigErrors, Data, Key, Node};
use http::Method;
use std::{borrow::Cow, fmt, ops::RangeInclusive, str::FromStr, sync::Arc, time::Duration};

#[derive(Clone, Debug)]
pub struct Cursor<'n> {
    pub file: &'n Arc<str>,
    pub path: String,
    pub node: &'n Node,
    /// The text of the file, if the nodes were read from it unchanged.
    pub source: Option<&'n str>,
}

/// Shorter values are not secrets, and many messages contain them by chance.
const MIN_SECRET: usize = 8;

// === impl Cursor ===

impl<'n> Cursor<'n> {
    pub fn root(file: &'n Arc<str>, node: &'n Node) -> Self {
        Self {
            file,
            path: String::new(),
            node,
            source: None,
        }
    }

    /// As [`root`](Self::root), with the text from which the node was read.
    pub fn of_text(file: &'n Arc<str>, node: &'n Node, text: &'n str) -> Self {
        Self {
            source: Some(text),
            ..Self::root(file, node)
        }
    }

    /// `<path>: expected <what>, found <node>`.
    pub fn expected(&self, what: impl fmt::Display) -> ConfigError {
        self.fault(format!("expected {what}, found {}", found(self.node)))
    }

    /// `<path>: <message>`. Shows the replacement of a secret value, never the value.
    pub fn fault(&self, message: impl fmt::Display) -> ConfigError {
        let mut message = message.to_string();
        if let Some((text, shown)) = self.node.text().zip(self.node.shown.as_deref())
            && text.len() >= MIN_SECRET
        {
            message = message.replace(text, shown);
        }
        let message = match self.path.as_str() {
            "" => message,
            path => format!("{path}: {message}"),
        };
        ConfigError::at(self.file, self.node.mark, message)
    }

    /// A text; a plain scalar counts as a text, null does not.
    pub fn text(&self) -> Result<&'n str, ConfigError> {
        let text = self.node.text().filter(|_| !self.node.is_null());
        text.ok_or_else(|| self.expected("a text"))
    }

    /// A text parsed as `T`; `what` describes it.
    pub fn parse<T: FromStr>(&self, what: &str) -> Result<T, ConfigError> {
        self.parse_by(|text| text.parse().ok(), what)
    }

    /// A text that `parse` accepts; `what` describes it.
    pub(super) fn parse_by<T>(
        &self,
        parse: impl Fn(&str) -> Option<T>,
        what: &str,
    ) -> Result<T, ConfigError> {
        let value = self.text().ok().and_then(parse);
        value.ok_or_else(|| self.expected(what))
    }

    /// A number from `min` to `max`.
    pub fn number_within(&self, min: f64, max: f64) -> Result<f64, ConfigError> {
        self.within(min..=max, &format!("a number from {min} to {max}"))
    }

    /// A whole number from `min` to `max`.
    pub fn integer_within(&self, min: u64, max: u64) -> Result<u64, ConfigError> {
        let what = match max {
            u64::MAX => format!("a whole number of at least {min}"),
            max => format!("a whole number from {min} to {max}"),
        };
        self.within(min..=max, &what)
    }

    fn within<T: FromStr + PartialOrd>(
        &self,
        range: RangeInclusive<T>,
        what: &str,
    ) -> Result<T, ConfigError> {
        let number = |text: &str| text.parse().ok().filter(|number| range.contains(number));
        self.parse_by(number, what)
    }

    /// A method by its name, which is case-sensitive in HTTP.
    pub fn method(&self) -> Result<Method, ConfigError> {
        let text = self
            .text()
            .map_err(|_| self.expected("a method such as GET"))?;
        let upper = text.to_ascii_uppercase();
        match text.parse() {
            Ok(method) if text == upper => Ok(method),
            Ok(_) => Err(self.fault(format!(
                "methods are written in capitals, found {}, did you mean `{upper}`?",
                found(self.node)
            ))),
            Err(_) => Err(self.expected("a method such as GET")),
        }
    }

    pub fn items(&self) -> Result<Vec<Cursor<'n>>, ConfigError> {
        let Data::List(items) = &self.node.data else {
            return Err(self.expected("a list"));
        };
        let items = items.iter().enumerate();
        Ok(items
            .map(|(index, node)| self.below(format!("{}[{index}]", self.path), node))
            .collect())
    }

    /// The members of a map with arbitrary names.
    pub fn entries(&self) -> Result<Vec<(&'n Key, Cursor<'n>)>, ConfigError> {
        let Data::Map(entries) = &self.node.data else {
            return Err(self.expected("a map"));
        };
        Ok(entries
            .iter()
            .map(|(key, node)| (key, self.member(&key.name, node)))
            .collect())
    }

    /// Reads every item, and collects the faults of all.
    pub fn each<T>(
        &self,
        read: impl Fn(&Cursor<'n>) -> Result<T, ConfigErrors>,
    ) -> Result<Vec<T>, ConfigErrors> {
        let mut faults = ConfigErrors::default();
        let items = self.items()?;
        let read = items.iter().filter_map(|item| faults.collect(read(item)));
        let read = read.collect();
        faults.into_result(read)
    }

    pub fn member(&self, name: &str, node: &'n Node) -> Cursor<'n> {
        let path = match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        self.below(path, node)
    }

    fn below(&self, path: String, node: &'n Node) -> Cursor<'n> {
        Cursor {
            path,
            node,
            ..*self
        }
    }
}

fn found(node: &Node) -> String {
    match (&node.data, &node.shown) {
        (Data::List(_), _) => "a list".to_owned(),
        (Data::Map(_), _) => "a map".to_owned(),
        (_, Some(shown)) => format!("`{shown}`"),
        _ if node.is_null() => "null".to_owned(),
        (Data::Plain(text), None) => format!("`{}`", without_user(text)),
        (Data::Quoted(text), None) => format!("{:?}", without_user(text)),
    }
}

/// A URL without its user, password and query, which may contain credentials.
pub(crate) fn without_user(text: &str) -> Cow<'_, str> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, text),
    };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, _)) if scheme.is_some() => (rest, "?…"),
        _ => (rest, ""),
    };
    let host = rest.rsplit_once('@').map(|(_, host)| host);
    if host.is_none() && query.is_empty() {
        return Cow::Borrowed(text);
    }
    let scheme = scheme.map_or(String::new(), |scheme| format!("{scheme}://"));
    let user = if host.is_some() { "…@" } else { "" };
    Cow::Owned(format!("{scheme}{user}{}{query}", host.unwrap_or(rest)))
}

/// `250ms`, `10s`, `5m`, `1h`, `7d`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

pub(super) fn parse_size(text: &str) -> Option<usize> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: usize = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spanned_yaml::{Fields, Setting as _};

    fn read(text: &str) -> Result<(Option<u64>, Option<Duration>), ConfigErrors> {
        let file = Arc::from("f.yaml");
        let node = Node::parse(&file, text)?;
        let mut fields = Fields::of(Cursor::root(&file, &node));
        let number = fields.required("number", |at| at.integer_within(1, 9));
        let wait = fields.optional("wait", Duration::of_node);
        fields.finish().into_result((number, wait))
    }

    #[test]
    fn every_fault_is_reported_with_its_line() {
        let faults = read("number: 12\nwaits: 3s\nwait: soon\nwait: 1s\n").unwrap_err();
        assert_eq!(
            faults.to_string(),
            "f.yaml:4:1: `wait` is given twice",
            "what cannot be distinguished is reported first"
        );

        let faults = read("number: 12\nwaits: 3s\nwait: soon\n").unwrap_err();
        assert_eq!(
            faults.to_string(),
            "f.yaml:1:9: number: expected a whole number from 1 to 9, found `12`\n\
             f.yaml:3:7: wait: expected a duration such as 250ms, 10s, 5m, 1h or 7d, found `soon`\n\
             f.yaml:2:1: unknown field `waits`, did you mean `wait`?"
        );
    }

    #[test]
    fn a_good_section_is_read() {
        let (number, wait) = read("{number: 3, wait: 250ms}").unwrap();
        assert_eq!(number, Some(3));
        assert_eq!(wait, Some(Duration::from_millis(250)));
    }

    #[test]
    fn users_and_queries_of_urls_are_left_out() {
        for (text, shown) in [
            ("http://me:pa@ss@host:1/x?token=y", "http://…@host:1/x?…"),
            ("me:secret@host", "…@host"),
            ("ftp://host/x", "ftp://host/x"),
            ("(?i)e?mail", "(?i)e?mail"),
        ] {
            assert_eq!(without_user(text), shown);
        }
    }

    #[test]
    fn sizes_and_durations_have_units() {
        assert_eq!(parse_size("64KiB"), Some(65_536));
        assert_eq!(parse_size("12"), Some(12));
        assert_eq!(parse_size("1.5MiB"), None);
        assert_eq!(parse_duration("7d"), Some(Duration::from_secs(604_800)));
        assert_eq!(parse_duration("1.5s"), Some(Duration::from_millis(1_500)));
        assert_eq!(parse_duration("5"), None);
    }
}
