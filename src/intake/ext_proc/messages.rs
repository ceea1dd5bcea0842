//! The messages of `envoy.service.ext_proc.v3` that are read here. Fields that nobody uses are left out.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version};
use prost_reflect::{
    prost::{Message, Oneof},
    prost_types::{Struct, value::Kind},
};
use std::collections::HashMap;

#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "::prost_reflect::prost")]
pub(super) struct ProcessingRequest {
    #[prost(oneof = "Event", tags = "2, 3, 4, 5, 6, 7")]
    pub(super) event: Option<Event>,
    /// What `request_attributes` and `response_attributes` ask Envoy for, by filter.
    #[prost(map = "string, message", tag = "9")]
    attributes: HashMap<String, Struct>,
    /// Whether Envoy goes on without waiting for answers.
    #[prost(bool, tag = "10")]
    pub(super) observability_mode: bool,
}

/// `None` of these is a kind that came later.
#[derive(Clone, PartialEq, Oneof)]
#[prost(prost_path = "::prost_reflect::prost")]
pub(super) enum Event {
    #[prost(message, tag = "2")]
    RequestHeaders(HttpHeaders),
    #[prost(message, tag = "3")]
    ResponseHeaders(HttpHeaders),
    #[prost(message, tag = "4")]
    RequestBody(HttpBody),
    #[prost(message, tag = "5")]
    ResponseBody(HttpBody),
    #[prost(message, tag = "6")]
    RequestTrailers(HttpTrailers),
    #[prost(message, tag = "7")]
    ResponseTrailers(HttpTrailers),
}

#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "::prost_reflect::prost")]
pub(super) struct HttpHeaders {
    #[prost(message, optional, tag = "1")]
    headers: Option<Headers>,
    /// Whether there is no body.
    #[prost(bool, tag = "3")]
    pub(super) end_of_stream: bool,
}

#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "::prost_reflect::prost")]
pub(super) struct HttpBody {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) body: Bytes,
    #[prost(bool, tag = "2")]
    pub(super) end_of_stream: bool,
}

#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "::prost_reflect::prost")]
pub(super) struct HttpTrailers {
    #[prost(message, optional, tag = "1")]
    trailers: Option<Headers>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "::prost_reflect::prost")]
struct Headers {
    #[prost(message, repeated, tag = "1")]
    headers: Vec<Header>,
}

/// Strings are read as bytes, because a value need not be UTF-8.
#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "::prost_reflect::prost")]
struct Header {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    /// Set by older versions of Envoy, instead of `raw_value`.
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    raw_value: Bytes,
}

/// A head that is none of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// In front of the names of pseudo-headers.
const PSEUDO: u8 = b':';

const CODE_DETAILS: &str = "response.code_details";
/// The detail of an answer that a stack gave.
const VIA_UPSTREAM: &str = "via_upstream";

// === impl ProcessingRequest ===

impl ProcessingRequest {
    /// Whether Envoy gave the answer itself, as when the stack cannot be reached. Known if it is asked for
    /// `response.code_details`.
    pub(super) fn is_local_reply(&self) -> bool {
        let mut attributes = self.attributes.values();
        let details = attributes.find_map(|filter| filter.fields.get(CODE_DETAILS)?.kind.as_ref());
        matches!(details, Some(Kind::StringValue(details)) if details != VIA_UPSTREAM)
    }
}

// === impl HttpHeaders ===

impl HttpHeaders {
    /// The head of a request, in the form of HTTP/2.
    ///
    /// # Errors
    /// [`Malformed`].
    pub(super) fn request(&self) -> Result<Request<()>, Malformed> {
        let uri = Uri::builder()
            .scheme(&*self.pseudo("scheme")?)
            .authority(&*self.pseudo("authority")?)
            .path_and_query(&*self.pseudo("path")?);
        let method = Method::from_bytes(&self.pseudo("method")?).map_err(|_| Malformed)?;
        let mut request = Request::new(());
        *request.version_mut() = Version::HTTP_2;
        *request.method_mut() = method;
        *request.uri_mut() = uri.build().map_err(|_| Malformed)?;
        *request.headers_mut() = self.fields()?;
        Ok(request)
    }

    /// The head of an answer.
    ///
    /// # Errors
    /// [`Malformed`].
    pub(super) fn answer(&self) -> Result<(StatusCode, HeaderMap), Malformed> {
        let status = StatusCode::from_bytes(&self.pseudo("status")?).map_err(|_| Malformed)?;
        Ok((status, self.fields()?))
    }

    fn pseudo(&self, name: &str) -> Result<Bytes, Malformed> {
        let mut headers = self.headers.iter().flat_map(|headers| &headers.headers);
        let is_named =
            |header: &&Header| header.key.strip_prefix(&[PSEUDO]) == Some(name.as_bytes());
        headers.find(is_named).map(Header::value).ok_or(Malformed)
    }

    fn fields(&self) -> Result<HeaderMap, Malformed> {
        self.headers.as_ref().map_or(Ok(HeaderMap::new()), fields)
    }
}

// === impl HttpTrailers ===

impl HttpTrailers {
    /// # Errors
    /// [`Malformed`].
    pub(super) fn fields(&self) -> Result<HeaderMap, Malformed> {
        self.trailers.as_ref().map_or(Ok(HeaderMap::new()), fields)
    }
}

// === impl Header ===

impl Header {
    fn value(&self) -> Bytes {
        if self.raw_value.is_empty() {
            self.value.clone()
        } else {
            self.raw_value.clone()
        }
    }
}

fn fields(headers: &Headers) -> Result<HeaderMap, Malformed> {
    let mut map = HeaderMap::with_capacity(headers.headers.len());
    for header in &headers.headers {
        if header.key.first() != Some(&PSEUDO) {
            let name = HeaderName::from_bytes(&header.key).map_err(|_| Malformed)?;
            let value = HeaderValue::from_maybe_shared(header.value()).map_err(|_| Malformed)?;
            map.append(name, value);
        }
    }
    Ok(map)
}
