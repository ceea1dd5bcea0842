//! Answers that come piece by piece.

use super::{Client, Error, MAX_ANSWER};
use http::{Request, header};
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;
use std::{io, time::Duration};
use tokio::time;

// === impl Client ===

impl Client {
    /// Posts a document, and hands on the answer piece by piece, for at most so long.
    ///
    /// # Errors
    /// No answer, an error, or that of `take`.
    pub(in crate::cli) fn stream(
        &self,
        path: &str,
        document: &Value,
        within: Duration,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Error> {
        let request = Request::post(self.url(path));
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let request = self.authorized(request, document.to_string())?;
        self.runtime.block_on(async {
            let answer = time::timeout(self.within, self.http.request(request)).await;
            let url = format!("{}{path}", self.shown);
            let late = |within| Error::TimedOut {
                url: url.clone(),
                within,
            };
            let answer = answer.map_err(|_| late(self.within))?;
            let (head, mut body) = answer
                .map_err(|error| self.unreachable(&error))?
                .into_parts();
            if head.status.is_success() {
                let pieces = async {
                    while let Some(frame) = body.frame().await {
                        let frame = frame.map_err(|error| self.unreachable(&error))?;
                        if let Some(data) = frame.data_ref() {
                            take(data).map_err(Error::Written)?;
                        }
                    }
                    Ok(())
                };
                let taken = time::timeout(within, pieces).await;
                return taken.unwrap_or_else(|_| Err(late(within)));
            }
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body.map_err(|error| self.unreachable(&*error))?.to_bytes();
            match serde_json::from_slice(&body) {
                Ok(problem) => Err(self.refused(head.status, problem)),
                Err(_) => Err(Error::NotTwinread { url }),
            }
        })
    }
}
