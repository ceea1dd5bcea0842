//! Rebuilds the request of a stored example, to be sent again.
//!
//! It is only sent unchanged; masked parts are not invented. Masked headers that identify the caller or the path of the
//! request are left out, because answers usually do not depend on them. A request with any other masked part is not
//! sent.

use super::{ReadRequest, ReportedRequest};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri,
    header::{
        CONTENT_LENGTH, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
        TRANSFER_ENCODING,
    },
};

/// Why a request cannot be sent again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRebuilt {
    /// The masked parts, such as `query` or `header.cookie`.
    #[error("not stored as it was: {}", .0.join(", "))]
    Masked(Vec<String>),
    #[error("what is stored is not a request")]
    NotARequest,
}

/// Headers that answers usually do not depend on.
const ASIDE: [&str; 12] = [
    "dnt",
    "forwarded",
    "origin",
    "priority",
    "referer",
    "user-agent",
    "via",
    "x-amzn-trace-id",
    "x-correlation-id",
    "x-forwarded-for",
    "x-real-ip",
    "x-request-id",
];

/// Headers that frame the original body or make the answer depend on what the caller had; and the live trace, which is
/// over.
pub(crate) const NOT_REPLAYED: [HeaderName; 9] = [
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

// === impl ReportedRequest ===

impl ReportedRequest {
    /// The request as it arrived, without masked headers that identify the caller or that the configuration `supplied`
    /// for both stacks.
    ///
    /// # Errors
    /// [`NotRebuilt`].
    pub fn rebuild(&self, supplied: &[HeaderName]) -> Result<ReadRequest, NotRebuilt> {
        let is_needed = |part: &&String| match part.strip_prefix("header.") {
            Some(name) => !is_aside(name) && !supplied.iter().any(|own| own == name),
            None => true,
        };
        let needed: Vec<_> = self.masked.iter().filter(is_needed).cloned().collect();
        if !needed.is_empty() {
            return Err(NotRebuilt::Masked(needed));
        }
        self.read().ok_or(NotRebuilt::NotARequest)
    }

    fn read(&self) -> Option<ReadRequest> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            if self.is_masked(name) {
                continue;
            }
            let name: HeaderName = name.parse().ok()?;
            if !NOT_REPLAYED.contains(&name) {
                headers.append(name, HeaderValue::try_from(value).ok()?);
            }
        }
        let target = match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        };
        Some(ReadRequest {
            method: self.method.parse::<Method>().ok()?,
            uri: target.parse::<Uri>().ok()?,
            headers,
            body: self.body.clone().unwrap_or_default().into(),
        })
    }

    /// If one value of a header is masked, all are.
    fn is_masked(&self, name: &str) -> bool {
        let mut masked = self.masked.iter();
        masked.any(|part| part.strip_prefix("header.") == Some(name))
    }
}

fn is_aside(name: &str) -> bool {
    ASIDE.contains(&name)
        || name.starts_with("sec-")
        || NOT_REPLAYED.iter().any(|dropped| dropped == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(masked: &[&str]) -> ReportedRequest {
        let headers = [
            ("host", "shop"),
            ("accept", "application/json"),
            ("user-agent", "string(9)"),
            ("authorization", "string(12)"),
            ("if-none-match", "string(3)"),
            ("content-length", "17"),
        ];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        ReportedRequest {
            method: "GET".to_owned(),
            path: "/users/7".to_owned(),
            query: Some("a=b".to_owned()),
            headers: headers.map(owned).to_vec(),
            body: None,
            masked: masked.iter().map(|part| (*part).to_owned()).collect(),
        }
    }

    #[test]
    fn missing_credentials_and_validators_are_never_made_up() {
        let masked = ["header.user-agent", "header.if-none-match"];
        let mut request = request(&masked);
        request.headers.remove(3);
        let rebuilt = request.rebuild(&[]).unwrap();
        assert_eq!(rebuilt.uri, "/users/7?a=b");
        let names: Vec<_> = rebuilt.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["host", "accept"]);
    }

    #[test]
    fn without_anything_else_it_is_not_sent() {
        for part in ["path", "query", "body", "headers", "header.authorization"] {
            let masked = NotRebuilt::Masked(vec![part.to_owned()]);
            let found = request(&["header.user-agent", part]).rebuild(&[]);
            assert_eq!(found.unwrap_err(), masked);
        }
    }

    #[test]
    fn credential_of_the_configuration_need_not_be_stored() {
        let supplied = [http::header::AUTHORIZATION];
        let rebuilt = request(&["header.authorization"]).rebuild(&supplied);
        assert!(!rebuilt.unwrap().headers.contains_key("authorization"));
    }
}
