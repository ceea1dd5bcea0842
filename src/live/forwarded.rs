//! The headers that name the caller to a stack: `x-forwarded-for`, `x-forwarded-proto`, `x-forwarded-host`.

use crate::spanned_yaml::Choice;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header::HOST};
use std::net::IpAddr;

/// What becomes of these headers. The replay of a read carries the same ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forwarded {
    /// They pass as they came.
    #[default]
    Keep,
    /// The caller's address follows those that came; protocol and host are added where they are absent.
    Append,
    /// They name the caller alone, whatever came.
    Replace,
}

/// What the caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const NAMED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

const HTTP: HeaderValue = HeaderValue::from_static("http");
const HTTPS: HeaderValue = HeaderValue::from_static("https");

// === impl Forwarded ===

/// The values of the setting `forwarded`.
impl Choice for Forwarded {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("keep", Self::Keep),
        ("append", Self::Append),
        ("replace", Self::Replace),
    ];
}

impl Forwarded {
    /// `caller` is `None` on a socket without addresses.
    pub(super) fn apply<B>(
        self,
        request: &mut Request<B>,
        (caller, scheme): (Option<IpAddr>, Scheme),
    ) {
        if self == Self::Keep {
            return;
        }
        let host = host(request.uri(), request.headers());
        let headers = request.headers_mut();
        let caller = caller.map(|caller| caller.to_canonical().to_string());
        let addresses = match self {
            Self::Replace => caller.map(String::into_bytes),
            _ => joined(headers, caller.as_deref()),
        };
        let addresses = addresses.and_then(|list| HeaderValue::from_bytes(&list).ok());
        if self == Self::Replace {
            // WSGI and CGI read `X_Forwarded_For` as the same name.
            let own = [FOR, PROTO, NAMED_HOST];
            let is_own = |name: &&HeaderName| {
                let name = name.as_str().replace('_', "-");
                own.iter().any(|own| own.as_str() == name)
            };
            let spelled = headers.keys().filter(is_own);
            let spelled: Vec<_> = spelled.cloned().collect();
            spelled.iter().for_each(|name| drop(headers.remove(name)));
        }
        let proto = match scheme {
            Scheme::Http => HTTP,
            Scheme::Https => HTTPS,
        };
        for (name, value) in [(FOR, addresses), (PROTO, Some(proto)), (NAMED_HOST, host)] {
            let is_kept = self == Self::Append && name != FOR && headers.contains_key(&name);
            match value {
                _ if is_kept => {}
                Some(value) => drop(headers.insert(name, value)),
                None => drop(headers.remove(name)),
            }
        }
    }
}

/// The host that the caller asked for. An authority in the target takes precedence (RFC 9112 3.2.2).
fn host(uri: &Uri, headers: &HeaderMap) -> Option<HeaderValue> {
    let named = uri.authority().map(|authority| authority.as_str());
    let named = named.map(|text| text.rsplit_once('@').map_or(text, |(_, host)| host));
    match named {
        Some(host) => HeaderValue::from_str(host).ok(),
        None => headers.get(HOST).cloned(),
    }
}

/// The addresses that came, in one list, and the caller's. `None` if there is none.
fn joined(headers: &HeaderMap, caller: Option<&str>) -> Option<Vec<u8>> {
    let came = headers.get_all(FOR).iter().map(HeaderValue::as_bytes);
    let came = came.filter(|list| !list.is_empty());
    let all: Vec<_> = came.chain(caller.map(str::as_bytes)).collect();
    (!all.is_empty()).then(|| all.join(&b", "[..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(
        forwarded: Forwarded,
        came: &[(HeaderName, &'static str)],
        caller: Option<&str>,
    ) -> String {
        let mut request = Request::get("/").body(()).unwrap();
        for (name, value) in came {
            let value = HeaderValue::from_static(value);
            request.headers_mut().append(name, value);
        }
        let caller = caller.map(|caller| caller.parse().unwrap());
        forwarded.apply(&mut request, (caller, Scheme::Http));
        let shown = |name| {
            let values = request.headers().get_all(name).iter();
            let values: Vec<_> = values.map(|value| value.to_str().unwrap()).collect();
            values.join(" | ")
        };
        [FOR, PROTO, NAMED_HOST].map(shown).join("; ")
    }

    #[test]
    fn each_mode_has_its_own_headers() {
        use Forwarded::{Append, Keep, Replace};
        let none = [(HOST, "shop")];
        let some = [
            (HOST, "shop"),
            (FOR, "10.0.0.1"),
            (FOR, "10.0.0.2, 10.0.0.3"),
            (PROTO, "https"),
            (NAMED_HOST, "shop.example"),
        ];
        let caller = Some("::ffff:192.0.2.7");
        for (mode, came, caller, expected) in [
            (Keep, &none[..], caller, "; ; "),
            (
                Keep,
                &some,
                caller,
                "10.0.0.1 | 10.0.0.2, 10.0.0.3; https; shop.example",
            ),
            (Append, &none, caller, "192.0.2.7; http; shop"),
            (
                Append,
                &some,
                caller,
                "10.0.0.1, 10.0.0.2, 10.0.0.3, 192.0.2.7; https; shop.example",
            ),
            (
                Append,
                &some,
                None,
                "10.0.0.1, 10.0.0.2, 10.0.0.3; https; shop.example",
            ),
            (Append, &none, None, "; http; shop"),
            (Replace, &some, caller, "192.0.2.7; http; shop"),
            (Replace, &some, None, "; http; shop"),
            (Replace, &[], Some("2001:db8::1"), "2001:db8::1; http; "),
        ] {
            assert_eq!(applied(mode, came, caller), expected, "{mode:?} {came:?}");
        }
    }

    #[test]
    fn replace_leaves_no_other_spelling() {
        let mut request = Request::get("/").body(()).unwrap();
        let spelled = HeaderName::from_static("x_forwarded_for");
        let headers = request.headers_mut();
        headers.insert(spelled.clone(), HeaderValue::from_static("10.0.0.1"));
        Forwarded::Replace.apply(&mut request, (None, Scheme::Https));
        assert_eq!(request.headers()[PROTO], "https");
        assert!(!request.headers().contains_key(spelled));
    }
}
