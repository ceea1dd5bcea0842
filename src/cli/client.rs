//! Client of a running twinread's admin API, for the commands that query or change it.
//!
//! It blocks, because a command has nothing else to do while it waits.

use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::{client::legacy, rt::TokioExecutor};
use serde_json::Value;
use std::{io, time::Duration};
use tokio::{runtime, time};

// The arguments that locate the admin API, shared by its commands. Not a doc comment, because clap would use it as the
// help of each command.
#[derive(Clone, Debug, clap::Args)]
pub struct Address {
    /// The admin API of the running twinread
    #[arg(
        long,
        value_name = "URL",
        env = "TWINREAD_ADMIN",
        default_value = "http://127.0.0.1:9900"
    )]
    pub admin: String,
    /// Its token (`admin_token`), if one is set
    #[arg(long, env = "TWINREAD_ADMIN_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

/// A connection to the admin API, reopened if it was closed.
#[derive(Debug)]
pub struct Client {
    base: String,
    authorization: Option<header::HeaderValue>,
    within: Duration,
    runtime: runtime::Runtime,
    http: legacy::Client<legacy::connect::HttpConnector, Full<Bytes>>,
}

/// A successful answer of the admin API.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

/// Why there is no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is not a url such as http://127.0.0.1:9900")]
    NotAUrl(String),
    #[error("the token cannot stand in a header")]
    NotAToken,
    #[error("cannot begin")]
    Runtime(#[source] io::Error),
    #[error("{url} cannot be reached")]
    Unreachable {
        url: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{url} did not answer within {within:.1?}")]
    TimedOut { url: String, within: Duration },
    /// The API refused the call.
    #[error("{status}: {detail}")]
    Refused { status: StatusCode, detail: String },
    #[error("what answers at {url} is not a twinread")]
    NotTwinread { url: String },
    #[error("the terminal cannot be used")]
    Terminal(#[source] io::Error),
}

/// Default timeout of one answer.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const MAX_ANSWER: usize = 64 << 20;

// === impl Address ===

impl Address {
    /// # Errors
    /// A url or a token that cannot be used. Nothing is connected yet.
    pub fn client(&self) -> Result<Client, Error> {
        let base = self.admin.trim_end_matches('/').to_owned();
        let is_url = base.parse::<Uri>().is_ok_and(|uri| {
            uri.scheme_str() == Some("http") && uri.authority().is_some() && uri.query().is_none()
        });
        if !is_url {
            return Err(Error::NotAUrl(self.admin.clone()));
        }
        let authorization = self
            .token
            .as_ref()
            .map(|token| format!("Bearer {token}").parse())
            .transpose()
            .map_err(|_| Error::NotAToken)?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::Runtime)?;
        Ok(Client {
            base,
            authorization,
            within: ANSWER_WITHIN,
            runtime,
            http: legacy::Client::builder(TokioExecutor::new()).build_http(),
        })
    }
}

// === impl Client ===

impl Client {
    /// Sets the timeout of each answer.
    pub fn answering_within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    /// Sends a GET for `path_and_query`, which begins with a slash.
    ///
    /// # Errors
    /// No answer, or an error.
    pub fn get(&self, path_and_query: &str) -> Result<Reply, Error> {
        self.send(Method::GET, path_and_query, HeaderMap::new(), String::new())
    }

    /// Sends a JSON merge patch; `if_match` is the value of an ETag.
    ///
    /// # Errors
    /// No answer, or an error. In the latter case nothing has changed.
    pub fn patch(&self, path: &str, patch: &Value, if_match: Option<&str>) -> Result<Reply, Error> {
        let mut headers = HeaderMap::new();
        let kind = header::HeaderValue::from_static("application/merge-patch+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(tag) = if_match.and_then(|tag| tag.parse().ok()) {
            headers.insert(header::IF_MATCH, tag);
        }
        self.send(Method::PATCH, path, headers, patch.to_string())
    }

    /// Sends a JSON document.
    ///
    /// # Errors
    /// No answer, or an error.
    pub fn post(&self, path: &str, document: &Value) -> Result<Reply, Error> {
        let mut headers = HeaderMap::new();
        let kind = header::HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, kind);
        self.send(Method::POST, path, headers, document.to_string())
    }

    /// Sends YAML text.
    ///
    /// # Errors
    /// No answer, or an error.
    pub fn post_text(&self, path: &str, text: String) -> Result<Reply, Error> {
        let mut headers = HeaderMap::new();
        let kind = header::HeaderValue::from_static("application/yaml");
        headers.insert(header::CONTENT_TYPE, kind);
        self.send(Method::POST, path, headers, text)
    }

    /// Sleeps between two polls.
    pub fn wait(&self, pause: Duration) {
        self.runtime.block_on(async { time::sleep(pause).await });
    }

    fn send(
        &self,
        method: Method,
        path_and_query: &str,
        headers: HeaderMap,
        body: String,
    ) -> Result<Reply, Error> {
        let url = format!("{}{path_and_query}", self.base);
        let mut request = Request::builder()
            .method(method)
            .uri(&url)
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| Error::NotAUrl(url.clone()))?;
        *request.headers_mut() = headers;
        if let Some(authorization) = &self.authorization {
            let authorization = authorization.clone();
            request
                .headers_mut()
                .insert(header::AUTHORIZATION, authorization);
        }
        let exchange = self.exchange(request, &url);
        let timed = self
            .runtime
            .block_on(async { time::timeout(self.within, exchange).await });
        timed.unwrap_or_else(|_| {
            Err(Error::TimedOut {
                url: url.clone(),
                within: self.within,
            })
        })
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, url: &str) -> Result<Reply, Error> {
        let unreachable = |source| Error::Unreachable {
            url: url.to_owned(),
            source,
        };
        let answer = self.http.request(request).await;
        let (head, body) = answer
            .map_err(|error| unreachable(error.into()))?
            .into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(unreachable)?.to_bytes();
        let body: Value = serde_json::from_slice(&body).map_err(|_| Error::NotTwinread {
            url: url.to_owned(),
        })?;
        if is_problem(&head.headers) {
            return Err(Error::Refused {
                status: head.status,
                detail: told_problem(&body),
            });
        }
        Ok(Reply {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

// === impl Error ===

impl Error {
    /// The error and its causes, on one line.
    pub fn told(&self) -> String {
        let mut told = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            told = format!("{told}: {error}");
            cause = error.source();
        }
        told
    }

    /// 64 for a mistake of the caller, 69 if no twinread answers.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotAUrl(_) | Self::NotAToken => 64,
            Self::Refused { status, .. } if status.is_client_error() => 64,
            _ => 69,
        }
    }
}

fn is_problem(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"))
}

/// Every fault if the problem lists them, else its detail.
fn told_problem(problem: &Value) -> String {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let faults: Vec<String> = problem["faults"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(text)
        .collect();
    if !faults.is_empty() {
        return faults.join("\n");
    }
    text(&problem["detail"])
        .or_else(|| text(&problem["title"]))
        .unwrap_or_else(|| problem.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(admin: &str) -> Address {
        Address {
            admin: admin.to_owned(),
            token: None,
        }
    }

    #[test]
    fn only_http_urls_are_taken() {
        assert!(address("http://127.0.0.1:9900/").client().is_ok());
        for wrong in ["127.0.0.1:9900", "https://localhost", "http://", "", "/v1"] {
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
            .get("/v1/verdict")
            .unwrap_err();
        assert_eq!(error.exit_code(), 69);
        assert!(
            error.told().contains("cannot be reached: "),
            "{}",
            error.told()
        );
    }

    #[test]
    fn a_problem_is_told_with_all_its_faults() {
        let problem = serde_json::json!({"title": "t", "detail": "d", "faults": ["one", "two"]});
        assert_eq!(told_problem(&problem), "one\ntwo");
        assert_eq!(told_problem(&serde_json::json!({"title": "t"})), "t");
    }
}
