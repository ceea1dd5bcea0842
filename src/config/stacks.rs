//! The sections `old` and `new`: addresses of the stacks, and how to talk to them.

use super::{
    not_yet,
    values::{self, DAY, HOUR, MINUTE, MS},
};
use crate::{
    http_client::{HostPolicy, Target},
    sample::Frequency,
    shadow::Limits,
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Fields},
};
use http::{HeaderName, HeaderValue, Uri, uri::Authority};
use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

/// Limits that protect the new stack while it is the shadow.
#[derive(Clone, Debug, PartialEq)]
pub struct Protection {
    /// For the whole answer, body included.
    pub timeout: Duration,
    pub max_in_flight: NonZeroUsize,
    pub max_per_second: Frequency,
    pub breaker: Limits,
}

/// Headers to set on requests to a stack, and headers to remove.
type Headers = (Vec<(HeaderName, HeaderValue)>, Vec<HeaderName>);

/// Reads the fields that both stacks have.
fn target(fields: &mut Fields<'_>) -> Option<Target> {
    let url = fields.required("url", url);
    let connect_timeout = fields.optional("connect_timeout", |at| {
        values::duration(at, MS, 10 * MINUTE)
    });
    let idle_timeout = fields.optional("idle_timeout", |at| values::duration(at, MS, DAY));
    let host = fields.optional("host", host);
    let headers = fields.optional("headers", headers);
    fields.optional("tls", not_yet::skip);
    let (authority, base_path) = url?;
    let (set, remove) = headers?;
    Some(Target {
        authority,
        base_path,
        host: host?,
        set,
        remove,
        instance: None,
        max_headers: Target::MIN_HEADERS,
        connect_timeout: connect_timeout?,
        idle_timeout: idle_timeout?,
    })
}

/// Reads `old`.
pub(super) fn old(at: &Cursor<'_>) -> Result<Target, ConfigErrors> {
    let mut fields = not_yet::open(at.clone());
    let stack = target(&mut fields);
    values::complete(fields, stack)
}

/// Reads `new`.
pub(super) fn new(at: &Cursor<'_>) -> Result<(Target, Protection), ConfigErrors> {
    let mut fields = not_yet::open(at.clone());
    let stack = target(&mut fields);
    let protection = protection(&mut fields);
    values::complete(fields, stack.zip(protection))
}

fn protection(fields: &mut Fields<'_>) -> Option<Protection> {
    let timeout = fields.optional("timeout", |at| values::duration(at, MS, HOUR));
    let max_in_flight = fields.optional("max_in_flight", |at| values::count(at, 100_000));
    let max_per_second = fields.optional("max_per_second", values::per_second);
    let breaker = fields.optional("breaker", breaker);
    Some(Protection {
        timeout: timeout?,
        max_in_flight: max_in_flight?,
        max_per_second: max_per_second?,
        breaker: breaker?,
    })
}

fn breaker(at: &Cursor<'_>) -> Result<Limits, ConfigErrors> {
    let mut fields = not_yet::open(at.clone());
    let failures = fields.optional("failures", |at| values::count(at, 1_000_000));
    let cool_down = fields.optional("cool_down", |at| values::duration(at, MS, DAY));
    let read = failures.zip(cool_down);
    let limits = read.map(|(failures, cool_down)| Limits {
        failures: NonZeroU32::try_from(failures).expect("the range was checked"),
        cool_down,
    });
    values::complete(fields, limits)
}

/// An absolute url without query and user: credentials belong in `headers.set`.
pub(super) fn url(at: &Cursor<'_>) -> Result<(Authority, String), ConfigError> {
    let what = "an absolute url such as http://127.0.0.1:9001";
    let uri: Uri = at.parse(what)?;
    let authority = uri.authority().ok_or_else(|| at.expected(what))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(at.fault("https is not available yet, only http is")),
        _ => return Err(at.expected(what)),
    }
    if authority.as_str().contains('@') {
        return Err(at.fault("a user in a url is refused; set a header instead"));
    }
    if !is_reachable(authority) {
        return Err(at.expected(what));
    }
    if uri.query().is_some() || at.text()?.contains('#') {
        return Err(at.expected("a url without a query"));
    }
    let base_path = uri.path().trim_end_matches('/').to_owned();
    Ok((authority.clone(), base_path))
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

/// Whether it is a host, with a valid port or none.
pub(super) fn is_reachable(authority: &Authority) -> bool {
    let rest = authority.as_str().strip_prefix(authority.host());
    let is_port = |rest: &str| match rest.strip_prefix(':') {
        Some(port) => port.parse::<u16>().is_ok_and(|port| port > 0),
        None => rest.is_empty(),
    };
    !authority.host().is_empty() && rest.is_some_and(is_port)
}

/// `{set: {name: value}, remove: [name]}`
fn headers(at: &Cursor<'_>) -> Result<Headers, ConfigErrors> {
    let mut fields = not_yet::open(at.clone());
    let set = fields.optional("set", |at| pairs(at, refuse_hop_by_hop));
    let remove = fields.optional("remove", |at| at.each(|at| Ok(end_to_end(at)?)));
    values::complete(fields, set.zip(remove))
}

/// Headers by name, if `admit` accepts them. A value never appears in a fault, because it may be a secret.
pub(super) fn pairs(
    at: &Cursor<'_>,
    admit: impl Fn(&Cursor<'_>, HeaderName) -> Result<HeaderName, ConfigError>,
) -> Result<Vec<(HeaderName, HeaderValue)>, ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let mut pairs: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (key, at) in at.entries()? {
        let header = header_name(&key.name)
            .ok_or_else(|| at.fault(format!("`{}` is not the name of a header", key.name)))
            .and_then(|name| admit(&at, name))
            .and_then(|name| Ok((name, header_value(&at)?)));
        let Some((name, value)) = faults.collect(header.map_err(ConfigErrors::from)) else {
            continue;
        };
        if pairs.iter().any(|(other, _)| *other == name) {
            faults.push(at.fault("given twice, headers do not tell upper from lower case"));
        }
        pairs.push((name, value));
    }
    faults.into_result(pairs)
}

fn header_value(at: &Cursor<'_>) -> Result<HeaderValue, ConfigError> {
    let text = at.text()?;
    HeaderValue::from_str(text).map_err(|_| at.fault("expected the value of a header"))
}

fn header_name(text: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(text.as_bytes()).ok()
}

pub(super) fn header(at: &Cursor<'_>) -> Result<HeaderName, ConfigError> {
    let text = at.text()?;
    header_name(text).ok_or_else(|| at.expected("the name of a header"))
}

fn end_to_end(at: &Cursor<'_>) -> Result<HeaderName, ConfigError> {
    refuse_hop_by_hop(at, header(at)?)
}

/// Rejects headers of framing and connections, which cannot be configured, and `host`, which has its own field.
fn refuse_hop_by_hop(at: &Cursor<'_>, name: HeaderName) -> Result<HeaderName, ConfigError> {
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
        _ => Ok(name),
    }
}
