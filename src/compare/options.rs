//! The section `compare` of the configuration: which parts of answers are compared, and how.

use crate::{
    rules::Query,
    spanned_yaml::{
        ConfigError, ConfigErrors, Cursor, Data, Fields, Form, SIZE, Setting, reference, settings,
    },
    value::{Numbers, json::Document},
};
use http::HeaderName;
use serde_json::json;
use std::time::Duration;

settings! {
    /// The section `compare`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Options: Default {
        /// Which headers and trailers are compared.
        #[setting(default: "all")]
        pub headers: HeaderScope,
        /// JSONPaths: nothing else of a body is compared.
        #[setting]
        pub only: Option<Only>,
        /// numeric: 1, 1.0 and 1e0 are equal, exactly; lexical: only the same spelling is.
        #[setting(default: "numeric")]
        pub numbers: Numbers,
        /// Kept for each check; the count goes on.
        #[setting(default: "100", range: "1..100000")]
        pub max_differences: usize,
        /// Of documents.
        #[setting(default: "128", range: "1..1024")]
        pub max_depth: usize,
        /// For aligning arrays and text; past it a coarser difference is reported, never equality.
        #[setting(default: "50ms", range: "1ms..1m")]
        pub deadline: Duration,
        /// Of a body, after decompression.
        #[setting(default: "16MiB", form: SIZE)]
        pub max_decoded: usize,
        ..
        /// Whether differences that rules mask are kept.
        pub explain: Explain = Explain::Counts,
    }
}

/// What happens to the differences that rules masked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Explain {
    /// They are only counted.
    #[default]
    Counts,
    /// They are kept as well, at most `max_differences` of them.
    Places,
}

/// Which headers and trailers are compared. A name that ends in `*` matches every name with that prefix.
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderScope {
    /// Every header.
    All,
    /// These only.
    Listed(Vec<HeaderName>),
    /// Every header but these.
    Except(Vec<HeaderName>),
    /// No header.
    None,
}

/// The places to which the comparison of bodies is confined: at least one, each given once. Only bodies with such places
/// (JSON, records, XML) are confined. [`CompareConfig::new`](super::CompareConfig::new) applies it.
#[derive(Clone, Debug, PartialEq)]
pub struct Only(Vec<Query>);

// === impl Only ===

impl Only {
    /// The places, in the order in which they were given.
    pub fn places(&self) -> &[Query] {
        &self.0
    }

    /// Whether one of the places is in one of the documents.
    pub(super) fn selects_any(&self, documents: &[&Document<'_>]) -> bool {
        let mut places = self.0.iter();
        places.any(|place| {
            documents
                .iter()
                .any(|document| !place.select(document).is_empty())
        })
    }

    fn read(at: &Cursor<'_>) -> Result<Self, ConfigErrors> {
        let mut faults = ConfigErrors::default();
        let mut places: Vec<Query> = Vec::new();
        for item in at.items()? {
            match Self::read_place(&item) {
                Ok(place) if places.contains(&place) => {
                    faults.push(item.fault(format!("`{place}` is given twice")));
                }
                Ok(place) => places.push(place),
                Err(fault) => faults.push(fault),
            }
        }
        if places.is_empty() && faults.is_empty() {
            faults.push(at.expected("at least one JSONPath, such as $.items[*].id"));
        }
        faults.into_result(Self(places))
    }

    fn read_place(at: &Cursor<'_>) -> Result<Query, ConfigError> {
        let text = at.text()?;
        if !text.starts_with('$') {
            return Err(at.expected("a JSONPath that starts with `$`"));
        }
        Query::parse(text).map_err(|invalid| match invalid.column {
            Some(column) => at.fault_within(column, invalid),
            None => at.fault(invalid),
        })
    }
}

impl From<Vec<Query>> for Only {
    fn from(places: Vec<Query>) -> Self {
        Self(places)
    }
}

impl Setting for Only {
    const FORM: Form<Self> = Form {
        read: |at, _| Self::read(at),
        schema: |_| {
            json!({
                "type": "array",
                "minItems": 1,
                "uniqueItems": true,
                "items": {"description": "A JSONPath (RFC 9535).", "type": "string", "pattern": r"^\$"},
                "examples": [["$.id", "$.items[*].total"]],
            })
        },
    };
}

// === impl HeaderScope ===

impl Setting for HeaderScope {
    const FORM: Form<Self> = Form {
        read: |at, _| Self::read(at),
        schema: |_| {
            let listing = |name: &str| {
                json!({
                    "type": "object",
                    "required": [name],
                    "additionalProperties": false,
                    "properties": {name: {"type": "array", "items": reference("header_or_start")}},
                })
            };
            json!({"anyOf": [{"enum": ["all", "none"]}, listing("listed"), listing("except")]})
        },
    };
}

impl HeaderScope {
    fn read(at: &Cursor<'_>) -> Result<Self, ConfigErrors> {
        let expected = || at.expected("all, none, {listed: [names]} or {except: [names]}");
        if let Data::Map(_) = at.node.data {
            let mut fields = Fields::of(at.clone());
            let listed = fields.take("listed").map(|at| at.each(header_or_start));
            let except = fields.take("except").map(|at| at.each(header_or_start));
            fields.finish().into_result(())?;
            return match (listed, except) {
                (Some(listed), None) => listed.map(Self::Listed),
                (None, Some(except)) => except.map(Self::Except),
                _ => Err(expected().into()),
            };
        }
        match at.text() {
            Ok("all") => Ok(Self::All),
            Ok("none") => Ok(Self::None),
            _ => Err(expected().into()),
        }
    }
}

/// The name of a header, or a prefix of names: `x-internal-*`.
fn header_or_start(at: &Cursor<'_>) -> Result<HeaderName, ConfigErrors> {
    let name = HeaderName::of_node(at)?;
    let start = name.as_str().strip_suffix('*').unwrap_or(name.as_str());
    if start.contains('*') {
        Err(at.expected("`*` at the end of a name only").into())
    } else {
        Ok(name)
    }
}
