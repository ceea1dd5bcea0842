//! The sections `old`, `new` and `control`: addresses of the stacks, and how to talk to them.

use crate::{
    http_client::{HostPolicy, Resolver, Target, Via},
    shadow,
    spanned_yaml::{
        Change, ConfigError, Cursor, Form, Setting, header_values, http_url, is_reachable,
        reference, settings,
    },
    transport::{ClientFiles, ClientTls, HTTP2, HTTP2_OR_1, unix_path},
};
use http::{HeaderName, HeaderValue, uri::Authority};
use std::{path::PathBuf, time::Duration};

settings! {
    /// Where a stack is, and how to talk to it.
    #[derive(Clone, Debug)]
    pub struct Endpoint {
        /// Where it is: an http or https url, in which a base path is allowed and a query is not, or unix:/path.
        #[setting]
        pub url: StackUrl,
        /// How long connecting may take.
        #[setting(default: "2s", range: "1ms..10m")]
        pub connect_timeout: Duration,
        /// How long a pooled connection may wait for its next request.
        #[setting(default: "60s", range: "1ms..1d")]
        pub idle_timeout: Duration,
        /// Whether it is spoken to over HTTP/2 alone, which it then has to know. Without it, a stack with an https url chooses between HTTP/2 and HTTP/1.1 (ALPN).
        #[setting(default: "false")]
        pub http2: bool,
        /// preserve (as the caller sent it), stack (from the url), or a literal host.
        #[setting(default: "preserve")]
        pub host: HostPolicy,
        /// What is changed in the headers of requests to it.
        #[setting(secret: true)]
        pub headers: Headers,
        /// Whom to trust and what to show where the url is https. Changed files take effect for new connections.
        #[setting(change: Change::File)]
        pub tls: ClientFiles,
    }
}

settings! {
    /// The sections `old` and `new`.
    #[derive(Clone, Debug)]
    pub struct StackSection {
        #[flatten]
        pub endpoint: Endpoint,
        #[flatten]
        pub protection: shadow::Protection,
    }
}

settings! {
    /// The section `control`.
    #[derive(Clone, Debug)]
    pub struct Control: Default {
        /// Where it is; not the new stack.
        #[setting]
        pub url: Option<StackUrl>,
    }
}

settings! {
    /// Headers to set on requests to a stack, and headers to remove.
    #[derive(Clone, Debug)]
    pub struct Headers: Default {
        /// Headers that are set, by name.
        #[setting(default: "{}", secret: true, form: SET)]
        pub set: Vec<(HeaderName, HeaderValue)>,
        /// Headers that are removed.
        #[setting(default: "[]", form: REMOVED)]
        pub remove: Vec<HeaderName>,
    }
}

/// An absolute url without query and user (credentials belong in `headers.set`), or a unix socket.
#[derive(Clone, Debug, PartialEq)]
pub struct StackUrl {
    pub authority: Authority,
    pub scheme: Scheme,
    pub base_path: String,
}

/// How a stack is reached, by its url.
#[derive(Clone, Debug, PartialEq)]
pub enum Scheme {
    Http,
    Https,
    Unix(PathBuf),
}

const SET: Form<Vec<(HeaderName, HeaderValue)>> = Form {
    read: |at, _| header_values(at, admit_end_to_end),
    schema: Vec::<(HeaderName, HeaderValue)>::FORM.schema,
};

const REMOVED: Form<Vec<HeaderName>> = Form {
    read: |at, _| {
        at.each(|at| {
            let name = HeaderName::of_node(at)?;
            admit_end_to_end(at, &name)?;
            Ok(name)
        })
    },
    schema: Vec::<HeaderName>::FORM.schema,
};

// === impl Endpoint ===

impl Endpoint {
    /// The stack, with answers of at most `max_headers` header lines. `None` without the TLS that its url asks for.
    pub(super) fn target(&self, max_headers: usize, tls: Option<&ClientTls>) -> Option<Target> {
        Some(Target {
            authority: self.url.authority.clone(),
            via: self.url.via(tls, self.http2)?,
            base_path: self.url.base_path.clone(),
            host: self.host.clone(),
            set: self.headers.set.clone(),
            remove: self.headers.remove.clone(),
            instance: None,
            max_headers,
            resolver: Resolver::default(),
            connect_timeout: self.connect_timeout,
            idle_timeout: self.idle_timeout,
            http2: self.http2,
        })
    }
}

// === impl StackUrl ===

impl Setting for StackUrl {
    const FORM: Form<Self> = Form {
        read: |at, _| Ok(Self::read(at)?),
        schema: |_| reference("stack_url"),
    };
}

impl StackUrl {
    /// `None` without the TLS that the url asks for. TLS offers HTTP/2, and without `http2` HTTP/1.1 as well.
    pub(super) fn via(&self, tls: Option<&ClientTls>, http2: bool) -> Option<Via> {
        match &self.scheme {
            Scheme::Http => Some(Via::Tcp),
            Scheme::Https => {
                let protocols = if http2 { HTTP2 } else { HTTP2_OR_1 };
                Some(Via::Tls(tls?.speaking(protocols)))
            }
            Scheme::Unix(path) => Some(Via::Unix(path.clone())),
        }
    }

    fn read(at: &Cursor<'_>) -> Result<Self, ConfigError> {
        if let Some(path) = at.text().ok().and_then(unix_path) {
            return Ok(Self {
                authority: Authority::from_static("localhost"),
                scheme: Scheme::Unix(path.map_err(|fault| at.expected(fault))?),
                base_path: String::new(),
            });
        }
        let what = "an absolute url such as http://127.0.0.1:9001, or unix:/path";
        let (uri, authority) = http_url(at, what)?;
        if authority.as_str().contains('@') {
            return Err(at.fault("a user in a url is refused; set a header instead"));
        }
        if !is_reachable(&authority) {
            return Err(at.expected(what));
        }
        if uri.query().is_some() || at.text()?.contains('#') {
            return Err(at.expected("a url without a query"));
        }
        let base_path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self {
            authority,
            scheme: match uri.scheme_str() {
                Some("https") => Scheme::Https,
                _ => Scheme::Http,
            },
            base_path,
        })
    }
}

// === impl HostPolicy ===

impl Setting for HostPolicy {
    const FORM: Form<Self> = Form {
        read: |at, _| Ok(host(at)?),
        schema: |_| reference("text"),
    };
}

fn host(at: &Cursor<'_>) -> Result<HostPolicy, ConfigError> {
    match at.text()? {
        "preserve" => Ok(HostPolicy::Preserve),
        "stack" => Ok(HostPolicy::Stack),
        literal => {
            let what = "preserve, stack, or a host such as shop.example:8080";
            let authority: Option<Authority> = literal.parse().ok().filter(is_reachable);
            let value = authority.and_then(|host| HeaderValue::from_str(host.as_str()).ok());
            value
                .map(HostPolicy::Literal)
                .ok_or_else(|| at.expected(what))
        }
    }
}

/// Rejects headers of framing and connections, which cannot be configured, and `host`, which has its own field.
fn admit_end_to_end(at: &Cursor<'_>, name: &HeaderName) -> Result<(), ConfigError> {
    const OURS: [&str; 8] = [
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    match name.as_str() {
        "host" => Err(at.fault("`host` has a field of its own beside `headers`")),
        ours if OURS.contains(&ours) => Err(at.fault(format!("`{ours}` cannot be set or removed"))),
        _ => Ok(()),
    }
}
