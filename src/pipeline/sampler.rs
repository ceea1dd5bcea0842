//! Decides which reads are checked, for all that offer samples.

use super::Named;
use crate::{
    budget::Bucket,
    ledger::{Bound, Draw, Gauges, SampleCause},
    sample::{Ask, Decision, Sampling, Wish},
};
use http::HeaderMap;
use std::{sync::Arc, time::Instant};

/// Clones share the bucket of `sample.max_per_second`.
#[derive(Clone, Debug)]
pub struct ReadSampler {
    cap: Arc<Bucket>,
    gauges: Gauges,
}

// === impl ReadSampler ===

impl ReadSampler {
    pub fn new(gauges: Gauges) -> Self {
        Self {
            cap: Arc::default(),
            gauges,
        }
    }

    /// Decides on one read while old is primary; `None` if it is not checked.
    pub(crate) fn draw(
        &self,
        sampling: &Sampling,
        named: &Named,
        headers: &HeaderMap,
        wish: Wish,
    ) -> Option<Draw> {
        let chance = rand::random();
        let ask = Ask {
            headers,
            chance,
            route_rate: named.rate,
            wish,
        };
        let now = Instant::now();
        let floor = || named.route.floor().take(now, sampling.per_route_floor);
        let cap = || self.cap.take(now, sampling.max_per_second);
        let cause = match sampling.decide(&ask, floor, cap) {
            Decision::Sampled => SampleCause::Drawn,
            Decision::Forced => SampleCause::Forced,
            Decision::Passed => return None,
            Decision::Capped => {
                self.gauges.bound_reached(Bound::SamplesPerSecond);
                return None;
            }
        };
        Some(Draw {
            key: sampling.key_hash(headers, chance),
            cause,
            ..Draw::default()
        })
    }
}
