//! Client of a running twinread's admin API, for the commands that query or change it.
//!
//! It blocks, because a command has nothing else to do while it waits.

mod address;
mod stream;

pub use address::Address;

use super::{chain, exit, print::complain};
use crate::http_client::Connector;
use http::{HeaderMap, Request, StatusCode, header, request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned},
};
use serde_json::Value;
use std::{fmt::Display, io, ops::Deref, process::ExitCode, time::Duration};
use tokio::{runtime, time};

// The argument that chooses among epochs, shared by the commands that show mismatches.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct EpochArgs {
    /// Show the mismatches of this epoch: an id, or `all`; without it, those of the present one
    #[arg(long, value_name = "ID", default_value = "present", hide_default_value = true, value_parser = epoch)]
    pub(super) epoch: String,
}

/// A connection to the admin API, reopened if it was closed.
#[derive(Debug)]
pub struct Client {
    /// What the urls of requests begin with.
    base: String,
    /// The same for people: where the admin API is.
    shown: String,
    authorization: Option<header::HeaderValue>,
    /// Time limit of each answer.
    pub(super) within: Duration,
    runtime: runtime::Runtime,
    http: legacy::Client<Connector, Full<Bytes>>,
}

/// A successful answer of the admin API.
#[derive(Clone, Debug)]
pub struct Reply {
    pub headers: HeaderMap,
    pub body: Value,
    url: String,
}

/// Why there is no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is not a url such as http://127.0.0.1:9900, nor unix:/path; {ADDRESS}")]
    NotAUrl(String),
    /// A file with certificates or a key cannot be used.
    #[error("--{field}: {message}")]
    Tls {
        field: &'static str,
        message: String,
    },
    #[error("the token cannot stand in a header; {TOKEN}")]
    NotAToken,
    #[error("cannot begin")]
    Runtime(#[source] io::Error),
    #[error("{base} cannot be reached: {cause}; {ADDRESS}")]
    Unreachable { base: String, cause: String },
    #[error("{url} did not answer within {within:.1?}; {ADDRESS}")]
    TimedOut { url: String, within: Duration },
    #[error("{base} refuses the token; {TOKEN}")]
    WrongToken { base: String },
    #[error("{base} asks for a token; {TOKEN}")]
    NoToken { base: String },
    /// The API refused the call for another reason.
    #[error("{status}: {detail}")]
    Refused {
        status: StatusCode,
        detail: String,
        /// The whole problem.
        problem: Value,
    },
    #[error("what answers at {url} is not a twinread; {ADDRESS}")]
    NotTwinread { url: String },
    /// A twinread, whose document lacks what this one needs.
    #[error(
        "{url} is of twinread {theirs}, and this is {OWN_VERSION}, which cannot read it: {cause}"
    )]
    OtherVersion {
        url: String,
        theirs: String,
        cause: serde_json::Error,
    },
    #[error("what came cannot be written")]
    Written(#[source] io::Error),
    #[error("the terminal cannot be used")]
    Terminal(#[source] io::Error),
}

/// A document of the admin API with the JSON that was received, which scripts get whole: another version of twinread may
/// have sent more than this one knows.
#[derive(Clone, Debug)]
pub(crate) struct Received<T> {
    pub json: Value,
    document: T,
}

/// Default timeout of one answer.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const MAX_ANSWER: usize = 64 << 20;

const ADDRESS: &str = "--admin or TWINREAD_ADMIN gives the address of a running twinread";
const TOKEN: &str = "--token or TWINREAD_ADMIN_TOKEN gives its admin_token";
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Accepts only ids that can be part of a query.
fn epoch(text: &str) -> Result<String, &'static str> {
    let is_of_id = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    if !text.is_empty() && text.chars().all(is_of_id) {
        Ok(text.to_owned())
    } else {
        Err("expected the id of an epoch, such as 20261129T185910266-0001-4c72a8f0, or `all`")
    }
}

/// A document as text for scripts.
pub(super) fn pretty(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document).expect("a document must be JSON")
}

/// Prints a document of the admin API, as JSON if that is asked for.
pub(super) fn print(is_json: bool, document: &impl Serialize, text: impl Display) -> ExitCode {
    if is_json {
        anstream::println!("{}", pretty(document));
    } else {
        anstream::println!("{text}");
    }
    ExitCode::SUCCESS
}

/// The exit code of a command that asks the admin API. Prints why there is no usable answer.
pub(super) fn exit_code(ended: Result<ExitCode, Error>) -> ExitCode {
    ended.unwrap_or_else(|error| {
        complain(chain(&error));
        ExitCode::from(error.exit_code())
    })
}

// === impl Client ===

impl Client {
    /// The document at `path_and_query`, which begins with a slash.
    ///
    /// # Errors
    /// No answer, or an error.
    pub fn get<T: DeserializeOwned>(&self, path_and_query: &str) -> Result<T, Error> {
        let request = Request::get(self.url(path_and_query));
        self.read(self.send(request, String::new())?)
    }

    /// The document of an answer.
    ///
    /// # Errors
    /// Not a document of this type.
    pub fn read<T: DeserializeOwned>(&self, reply: Reply) -> Result<T, Error> {
        serde_json::from_value(reply.body).map_err(|cause| self.misread(reply.url, cause))
    }

    /// Asks what answers there: another version of twinread may lack a field.
    fn misread(&self, url: String, cause: serde_json::Error) -> Error {
        let request = Request::get(self.url("/v1/openapi.json"));
        let described = self.send(request, String::new());
        let info = described.map(|reply| reply.body["info"].clone());
        match info {
            Ok(info) if info["title"] == env!("CARGO_PKG_NAME") => Error::OtherVersion {
                url,
                theirs: info["version"].as_str().unwrap_or("unknown").to_owned(),
                cause,
            },
            _ => Error::NotTwinread { url },
        }
    }

    /// Sends a JSON merge patch; `if_match` is the value of an ETag.
    ///
    /// # Errors
    /// No answer, or an error. In the latter case nothing has changed.
    pub fn patch(&self, path: &str, patch: &Value, if_match: Option<&str>) -> Result<Reply, Error> {
        let mut request = Request::patch(self.url(path))
            .header(header::CONTENT_TYPE, "application/merge-patch+json");
        if let Some(tag) = if_match {
            request = request.header(header::IF_MATCH, tag);
        }
        self.send(request, patch.to_string())
    }

    /// Sends a text of a media type.
    ///
    /// # Errors
    /// No answer, or an error.
    pub fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        media_type: &str,
        text: String,
    ) -> Result<T, Error> {
        let request = Request::post(self.url(path)).header(header::CONTENT_TYPE, media_type);
        self.read(self.send(request, text)?)
    }

    /// Puts a document, and returns what is kept of it.
    ///
    /// # Errors
    /// No answer, or an error.
    pub fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        document: &impl Serialize,
    ) -> Result<T, Error> {
        let request = Request::put(self.url(path));
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let text = serde_json::to_string(document).expect("a document must be JSON");
        self.read(self.send(request, text)?)
    }

    /// Sleeps between two polls.
    pub fn wait(&self, pause: Duration) {
        self.runtime.block_on(async { time::sleep(pause).await });
    }

    pub(super) fn url(&self, path_and_query: &str) -> String {
        format!("{}{path_and_query}", self.base)
    }

    fn send(&self, request: request::Builder, body: String) -> Result<Reply, Error> {
        let request = self.authorized(request, body)?;
        let url = request.uri().to_string();
        let url = url.replacen(&self.base, &self.shown, 1);
        let exchange = self.exchange(request, &url);
        let timed = self
            .runtime
            .block_on(async { time::timeout(self.within, exchange).await });
        let within = self.within;
        timed.unwrap_or_else(|_| Err(Error::TimedOut { url, within }))
    }

    fn authorized(
        &self,
        request: request::Builder,
        body: String,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let request = request.body(Full::from(body));
        let mut request = request.map_err(|_| Error::NotAUrl(self.base.clone()))?;
        if let Some(authorization) = self.authorization.clone() {
            let headers = request.headers_mut();
            headers.insert(header::AUTHORIZATION, authorization);
        }
        Ok(request)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, url: &str) -> Result<Reply, Error> {
        let url = url.to_owned();
        let answer = self.http.request(request).await;
        let answer = answer.map_err(|error| self.unreachable(&error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(|error| self.unreachable(&*error))?.to_bytes();
        let Ok(body) = serde_json::from_slice(&body) else {
            return Err(Error::NotTwinread { url });
        };
        if is_problem(&head.headers) {
            return Err(self.refused(head.status, body));
        }
        Ok(Reply {
            headers: head.headers,
            body,
            url,
        })
    }

    fn unreachable(&self, error: &(dyn std::error::Error + 'static)) -> Error {
        // The innermost cause is enough: the others only say that a connection failed.
        let causes = std::iter::successors(Some(error), |error| error.source());
        Error::Unreachable {
            base: self.shown.clone(),
            cause: causes.last().unwrap_or(error).to_string(),
        }
    }

    fn refused(&self, status: StatusCode, problem: Value) -> Error {
        let base = self.shown.clone();
        match (status, &self.authorization) {
            (StatusCode::UNAUTHORIZED, Some(_)) => Error::WrongToken { base },
            (StatusCode::UNAUTHORIZED, None) => Error::NoToken { base },
            _ => Error::Refused {
                status,
                detail: detail(&problem),
                problem,
            },
        }
    }
}

// === impl Received ===

impl<'de, T: DeserializeOwned> Deserialize<'de> for Received<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(from)?;
        let document = T::deserialize(&json).map_err(de::Error::custom)?;
        Ok(Self { json, document })
    }
}

impl<T> Serialize for Received<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(to)
    }
}

impl<T> Deref for Received<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.document
    }
}

// === impl Error ===

impl Error {
    /// 64 for a mistake of the caller, 69 if no twinread answers.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Tls { .. }
            | Self::NotAUrl(_)
            | Self::NotAToken
            | Self::WrongToken { .. }
            | Self::NoToken { .. } => exit::USAGE,
            Self::Refused { status, .. } if status.is_client_error() => exit::USAGE,
            _ => exit::UNAVAILABLE,
        }
    }
}

fn is_problem(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"))
}

/// Every fault of a problem if it lists them, else its detail.
fn detail(problem: &Value) -> String {
    let faults = problem["faults"].as_array().into_iter().flatten();
    let faults: Vec<_> = faults.filter_map(Value::as_str).collect();
    if !faults.is_empty() {
        return faults.join("\n");
    }
    let text = problem["detail"].as_str().or(problem["title"].as_str());
    text.map_or_else(|| problem.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(admin: &str) -> Address {
        Address {
            admin: admin.to_owned(),
            token: None,
            ca: None,
            cert: None,
            key: None,
        }
    }

    #[test]
    fn only_http_urls_and_sockets_are_taken() {
        assert!(address("http://127.0.0.1:9900/").client().is_ok());
        assert!(address("unix:/run/twinread.sock").client().is_ok());
        for wrong in ["127.0.0.1:9900", "http://", "", "/v1", "unix:a"] {
            let error = address(wrong).client().unwrap_err();
            assert_eq!(error.exit_code(), 64, "{wrong}");
        }
    }

    #[test]
    fn where_nobody_listens_the_error_says_so_with_its_cause() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let error = address(&admin)
            .client()
            .unwrap()
            .get::<Value>("/v1/verdict")
            .unwrap_err();
        assert_eq!(error.exit_code(), 69);
        let text = chain(&error);
        let shown = format!("{admin} cannot be reached: Connection refused");
        assert!(text.starts_with(&shown), "{text}");
        assert!(text.contains("--admin or TWINREAD_ADMIN "), "{text}");
    }

    #[test]
    fn a_problem_is_shown_with_all_its_faults() {
        let problem = serde_json::json!({"title": "t", "detail": "d", "faults": ["one", "two"]});
        assert_eq!(detail(&problem), "one\ntwo");
        assert_eq!(detail(&serde_json::json!({"title": "t"})), "t");
    }

    #[test]
    fn scripts_get_all_that_another_version_sent() {
        let sent = serde_json::json!({
            "status": "ready", "missing": [], "impaired": [], "stacks": [], "of_a_later_version": 1,
        });
        let received: Received<crate::admin::documents::Ready> =
            serde_json::from_value(sent.clone()).unwrap();
        assert_eq!(received.status, "ready");
        assert_eq!(serde_json::to_value(&received).unwrap(), sent);
    }
}
