//! Decides whether a read is checked: by rate, floor and cap, by chance or by key, or at the caller's request.

use super::{By, Frequency};
use crate::spanned_yaml::{SHARE, settings};
use http::{HeaderMap, HeaderName};
use xxhash_rust::xxh64::xxh64;

settings! {
    /// The section `sample`. The floor does not apply to reads with a key, on which all sidecars decide alike.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Sampling: Default {
        /// Share of the reads; 0 samples nothing, floor included.
        #[setting(default: "0.05", form: SHARE)]
        pub rate: f64,
        /// Rare routes are sampled up to this much whatever the rate: a number per s, m or h, such as 1/s.
        #[setting(default: "1/s")]
        pub per_route_floor: Frequency,
        /// All routes together.
        #[setting(default: "100", range: "0.001..1000000", form: Frequency::PER_SECOND)]
        pub max_per_second: Frequency,
        /// Samples by key instead of by chance, alike on every sidecar: trace, header:NAME or cookie:NAME.
        #[setting(default: "null")]
        pub by: By,
        /// A request that carries it and the live_token is always sampled, and never counted in the verdict; null: none
        /// is.
        #[setting(default: "x-twinread-sample")]
        pub force_header: Option<HeaderName>,
    }
}

/// Input of a decision.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub headers: &'a HeaderMap,
    /// Drawn for each read, all bits random.
    pub chance: u64,
    /// The route's own rate, which overrides the general one.
    pub route_rate: Option<f64>,
    pub wish: Wish,
}

/// What an authorized caller requests for its read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    #[default]
    None,
    /// To be sampled.
    Forced,
}

/// Whether a read is sampled, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Sampled,
    /// Requested by the caller: not a random draw, and so no evidence for the verdict.
    Forced,
    /// Not sampled by its rate, and the floor was reached.
    Passed,
    /// Would have been sampled, but for `max_per_second`. Callers count this.
    Capped,
}

// === impl Sampling ===

impl Sampling {
    /// Decides on one read. `floor` and `cap` take a token from the bucket of the route and of the process, and return
    /// whether there was one.
    pub fn decide(
        &self,
        ask: &Ask<'_>,
        floor: impl FnOnce() -> bool,
        cap: impl FnOnce() -> bool,
    ) -> Decision {
        if ask.wish == Wish::Forced {
            return Decision::Forced;
        }
        let rate = ask.route_rate.unwrap_or(self.rate);
        if rate <= 0.0 {
            return Decision::Passed;
        }
        let wanted = match self.by.key(ask.headers) {
            Some(key) => key_share(key) < rate,
            None => {
                let by_chance = share(ask.chance) < rate;
                // Reads sampled by chance count toward the floor too, so that the floor only adds to routes below it.
                floor() || by_chance
            }
        };
        match wanted {
            false => Decision::Passed,
            true if cap() => Decision::Sampled,
            true => Decision::Capped,
        }
    }

    /// A hash of the key by which a read is sampled; a read without a key is its own key. `None` if sampled by chance.
    pub fn key_hash(&self, headers: &HeaderMap, chance: u64) -> Option<u64> {
        if self.by == By::Chance {
            return None;
        }
        let key = self.by.key(headers);
        Some(key.map_or(chance, |key| xxh64(key, 0)))
    }
}

/// Maps 64 random bits to [0, 1) by their top 53 bits, which a double represents exactly.
pub(crate) fn share(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// Maps a key to a share: the [`share`] of the XXH64, seed 0, of its bytes
/// (<https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>). Part of the contract: every sidecar of every
/// version maps a key to the same share.
fn key_share(key: &[u8]) -> f64 {
    share(xxh64(key, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;
    use std::cell::Cell;

    const LUCKY: u64 = 0;
    const UNLUCKY: u64 = u64::MAX;

    fn rate(rate: f64) -> Sampling {
        Sampling {
            rate,
            ..Sampling::default()
        }
    }

    fn ask(headers: &HeaderMap, chance: u64) -> Ask<'_> {
        Ask {
            headers,
            chance,
            route_rate: None,
            wish: Wish::None,
        }
    }

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let value = HeaderValue::from_str(value).unwrap();
        [(HeaderName::from_static(name), value)]
            .into_iter()
            .collect()
    }

    #[test]
    fn the_rate_decides_and_the_routes_own_rate_wins() {
        let none = HeaderMap::new();
        let decide = |sampling: &Sampling, chance, route_rate| {
            let ask = Ask {
                route_rate,
                ..ask(&none, chance)
            };
            sampling.decide(&ask, || false, || true)
        };
        assert_eq!(decide(&rate(0.5), 1 << 62, None), Decision::Sampled);
        assert_eq!(decide(&rate(0.5), 1 << 63, None), Decision::Passed);
        assert_eq!(decide(&rate(0.5), 1 << 63, Some(0.6)), Decision::Sampled);
        assert_eq!(decide(&rate(0.0), UNLUCKY, Some(1.0)), Decision::Sampled);
        assert_eq!(decide(&rate(1.0), LUCKY, Some(0.0)), Decision::Passed);
    }

    #[test]
    fn floor_samples_what_chance_skips_but_never_at_rate_zero() {
        let none = HeaderMap::new();
        let unlucky = ask(&none, UNLUCKY);
        let decide = |sampling: &Sampling| sampling.decide(&unlucky, || true, || true);
        assert_eq!(decide(&rate(0.01)), Decision::Sampled);
        assert_eq!(decide(&rate(0.0)), Decision::Passed);
    }

    #[test]
    fn what_chance_samples_fills_the_floor() {
        let took = Cell::new(0);
        let floor = || {
            took.set(took.get() + 1);
            false
        };
        let none = HeaderMap::new();
        let decision = rate(0.5).decide(&ask(&none, LUCKY), floor, || true);
        assert_eq!((decision, took.get()), (Decision::Sampled, 1));
    }

    #[test]
    fn past_the_cap_a_read_is_not_sampled_unless_it_is_forced() {
        let none = HeaderMap::new();
        let decision = rate(1.0).decide(&ask(&none, LUCKY), || true, || false);
        assert_eq!(decision, Decision::Capped);
        let forced = Ask {
            wish: Wish::Forced,
            ..ask(&none, UNLUCKY)
        };
        let decision = rate(0.0).decide(&forced, || false, || false);
        assert_eq!(decision, Decision::Forced);
    }

    #[test]
    fn a_key_decides_alone_and_without_one_chance_does() {
        let sampling = Sampling {
            by: By::Header(HeaderName::from_static("x-user")),
            ..rate(0.5)
        };
        let jo = with("x-user", "jo");
        let none = HeaderMap::new();
        let decide = |headers, chance| sampling.decide(&ask(headers, chance), || true, || true);
        let of_jo = decide(&jo, LUCKY);
        assert_eq!(of_jo, decide(&jo, UNLUCKY));
        assert_eq!(of_jo == Decision::Sampled, key_share(b"jo") < 0.5);
        assert_eq!(decide(&none, LUCKY), Decision::Sampled);
    }

    /// The hash values come from the reference implementation (`xxhsum -H1`).
    #[test]
    fn the_place_of_a_key_never_changes() {
        for (key, hash) in [
            ("", 0xef46_db37_51d8_e999),
            ("a", 0xd24e_c4f1_a98c_6e5b),
            ("abc", 0x44bc_2cf5_ad77_0999),
        ] {
            assert_eq!(xxh64(key.as_bytes(), 0), hash, "{key}");
            assert_eq!(key_share(key.as_bytes()), share(hash));
        }
        assert_eq!(key_share(b"abc"), 0.2684963321493933);
    }

    proptest! {
        #[test]
        fn a_share_is_at_least_zero_and_below_one(bits: u64) {
            prop_assert!((0.0..1.0).contains(&share(bits)));
        }

        #[test]
        fn a_key_sampled_at_one_rate_is_sampled_at_every_higher_one(
            key in "[a-z0-9]{1,40}", low in 0.0f64..1.0, more in 0.0f64..1.0,
        ) {
            let headers = with("x-user", &key);
            let by = By::Header(HeaderName::from_static("x-user"));
            let decide = |rate| {
                let sampling = Sampling { rate, by: by.clone(), ..Sampling::default() };
                sampling.decide(&ask(&headers, LUCKY), || true, || true) == Decision::Sampled
            };
            prop_assert!(!decide(low) || decide((low + more).min(1.0)));
            prop_assert!(decide(1.0));
        }

        #[test]
        fn keys_are_sampled_in_the_share_asked_for(rate in 0.05f64..0.95, salt: u32) {
            let keys = 2_000;
            let sampled = (0..keys)
                .filter(|index| key_share(format!("user-{salt}-{index}").as_bytes()) < rate)
                .count() as f64;
            // Six standard deviations.
            let spread = 6.0 * (f64::from(keys) * rate * (1.0 - rate)).sqrt();
            prop_assert!((sampled - f64::from(keys) * rate).abs() < spread);
        }
    }
}
