//! Callers for the demo: they repeat a tour over every page, at a bounded rate.

use super::catalogue;
use bytes::Bytes;
use http::{Uri, uri};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{
    fmt,
    net::SocketAddr,
    num::NonZeroU32,
    time::{Duration, Instant},
};
use tokio::{
    task::JoinSet,
    time::{self, MissedTickBehavior},
};

/// Requests per tour.
pub(crate) const TOUR_LENGTH: usize = 11 * ROUNDS as usize;

/// Each round requests every route once, for another product.
const ROUNDS: u32 = catalogue::PRODUCTS;

/// Maximum concurrent requests; above this the callers wait, as real ones would.
const MAX_IN_FLIGHT: usize = 16;

/// What to send, and how fast.
#[derive(Debug)]
pub(crate) struct Traffic {
    client: Client<HttpConnector, Empty<Bytes>>,
    addr: SocketAddr,
    period: Duration,
}

/// Result of the traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sent {
    pub answered: u64,
    /// Requests that got no answer, or a 5xx.
    pub failed: u64,
}

/// One tour: every route equally often, with every product on the routes that have one.
pub(crate) fn tour() -> impl Iterator<Item = Uri> + Clone {
    (1..=ROUNDS).flat_map(|round| paths(round).map(|path| path.parse().expect("a plain path")))
}

fn paths(round: u32) -> [String; 11] {
    let id = catalogue::id(round);
    let words = ["cup", "teapot", "blue", "grey"];
    let word = words[round as usize % words.len()];
    let or_discontinued = match round % 4 {
        0 => catalogue::DISCONTINUED,
        _ => &id,
    };
    [
        format!("/products?page={}", round % 3),
        format!("/products/{or_discontinued}"),
        format!("/products/{id}/reviews"),
        format!("/products/{id}/stock"),
        format!("/products/{id}/rating"),
        format!("/search?q={word}"),
        "/categories".to_owned(),
        "/warehouses".to_owned(),
        "/export".to_owned(),
        "/health".to_owned(),
        "/status".to_owned(),
    ]
}

// === impl Traffic ===

impl Traffic {
    /// Traffic to `addr` at `rate` requests per second, over kept-alive connections.
    pub(crate) fn new(addr: SocketAddr, rate: NonZeroU32) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            addr,
            period: Duration::from_secs(1) / rate.get(),
        }
    }

    /// Runs for `duration`, but at least one tour; calls `sent` for every answer.
    pub(crate) async fn run(&self, duration: Duration, mut sent: impl FnMut()) -> Sent {
        let mut ticks = time::interval(self.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let started = Instant::now();
        let mut under_way = JoinSet::new();
        let mut total = Sent::default();
        for (count, uri) in tour().cycle().enumerate() {
            if count >= TOUR_LENGTH && started.elapsed() >= duration {
                break;
            }
            ticks.tick().await;
            while under_way.len() >= MAX_IN_FLIGHT {
                total.add(under_way.join_next().await);
                sent();
            }
            under_way.spawn(ask(self.client.clone(), self.absolute(uri)));
        }
        while let Some(answered) = under_way.join_next().await {
            total.add(Some(answered));
            sent();
        }
        total
    }

    fn absolute(&self, uri: Uri) -> Uri {
        let mut parts = uri.into_parts();
        parts.scheme = Some(uri::Scheme::HTTP);
        parts.authority = self.addr.to_string().parse().ok();
        Uri::from_parts(parts).expect("scheme, authority and path make a whole address")
    }
}

// === impl Sent ===

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} live reads answered, {} failed",
            self.answered, self.failed
        )
    }
}

impl Sent {
    fn add(&mut self, joined: Option<Result<bool, tokio::task::JoinError>>) {
        match joined {
            Some(Ok(true)) => self.answered += 1,
            _ => self.failed += 1,
        }
    }
}

/// Whether a complete answer came that was no server error.
async fn ask(client: Client<HttpConnector, Empty<Bytes>>, uri: Uri) -> bool {
    let Ok(response) = client.get(uri).await else {
        return false;
    };
    let is_answer = !response.status().is_server_error();
    is_answer && response.into_body().collect().await.is_ok()
}
