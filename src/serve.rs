//! Which stack answers a request: the switch of a migration.
//!
//! A read is answered by the new stack if its key is in the percent. Everything else goes to one stack whatever the
//! percent. No clock, randomness or lock: random bits are an argument.

use crate::{
    sample::By,
    spanned_yaml::{Choice as _, ConfigErrors, Cursor, Form, Setting, settings},
    stack::Stack,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};
use xxhash_rust::xxh3::Xxh3Default;

settings! {
    /// The section `serve`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Serve: Default {
        /// Percent of the reads that the new stack answers, from 0 to 100 with at most two decimals.
        #[setting(default: "0")]
        pub new: Percent,
        /// What decides whether a read is in the percent: header:NAME, cookie:NAME, trace or chance. Required for a percent
        /// between 0 and 100. The old stack answers reads without the key.
        #[setting]
        pub by: Option<ServeBy>,
        /// Part of the hash of a key. Another salt puts other keys first.
        #[setting(default: "''")]
        pub salt: String,
        /// The percent of a route, by its name.
        #[setting(default: "{}")]
        pub routes: Percents,
        /// The stack that answers everything but reads, upgrades included.
        #[setting(default: "old")]
        pub writes: Stack,
        /// The old stack answers a read that the new one does not.
        #[setting]
        pub rescue: Rescue,
        /// A read with this header (old or new) and the live_token is answered by that stack; null: no header does that.
        #[setting(default: "x-twinread-serve")]
        pub header: Option<HeaderName>,
    }
}

settings! {
    /// The section `serve.rescue`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Rescue: Default {
        /// Whether the old stack answers a read without a body that the new one fails. It fails if it cannot be reached,
        /// sends no head in time, or answers 502, 503 or 504.
        #[setting(default: "false")]
        pub enabled: bool,
        /// Time from sending a read to the head of the new stack's answer. After it, the old stack is asked.
        #[setting(default: "1s", range: "1ms..1m")]
        pub timeout: Duration,
    }
}

/// A percent in hundredths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u16);

/// Percents by the names of routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Percents(pub BTreeMap<String, Percent>);

/// What decides whether a read is in the percent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeBy(By);

/// Who answers a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    By(Stack),
    /// The old stack, because the read has no key.
    Keyless,
}

pub(crate) const KEY: &str = "chance, header:NAME, cookie:NAME or trace";

/// Buckets of keys: one for each hundredth of a percent.
const BUCKETS: u64 = 10_000;

// === impl Serve ===

impl Serve {
    /// Who answers a read of `route`. `chance` gives random bits.
    pub(crate) fn of_read(
        &self,
        headers: &HeaderMap,
        route: Option<&str>,
        chance: impl FnOnce() -> u64,
    ) -> Served {
        let own = route.and_then(|route| self.routes.0.get(route));
        let percent = *own.unwrap_or(&self.new);
        match percent {
            Percent::NONE => return Served::By(Stack::Old),
            Percent::ALL => return Served::By(Stack::New),
            _ => {}
        }
        let bucket = match &self.by {
            Some(ServeBy(By::Chance)) => Some(chance() % BUCKETS),
            Some(ServeBy(by)) => by.key(headers).map(|key| self.bucket(key)),
            None => None,
        };
        match bucket {
            Some(bucket) if bucket < u64::from(percent.0) => Served::By(Stack::New),
            Some(_) => Served::By(Stack::Old),
            None => Served::Keyless,
        }
    }

    /// The bucket of a key: XXH3, 64 bits and seed 0, of `serve`, NUL, the salt, NUL and the key, modulo 10 000
    /// (<https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>). Part of the contract: every sidecar of every
    /// version gives a key the same one.
    fn bucket(&self, key: &[u8]) -> u64 {
        let mut hash = Xxh3Default::new();
        for part in [b"serve\0", self.salt.as_bytes(), b"\0", key] {
            hash.update(part);
        }
        hash.digest() % BUCKETS
    }

    /// The stack that a caller asks for by [`Serve::header`].
    pub(crate) fn asked(&self, headers: &HeaderMap) -> Option<Stack> {
        let value: &HeaderValue = headers.get(self.header.as_ref()?)?;
        Stack::from_word(value.to_str().ok()?)
    }

    /// The new stack if it answers all reads without a percent of their own, else the old one. The process is ready once
    /// it was reached.
    pub fn primary(&self) -> Stack {
        if self.new == Percent::ALL {
            Stack::New
        } else {
            Stack::Old
        }
    }

    /// Whether the stack answers any caller.
    pub fn serves(&self, stack: Stack) -> bool {
        self.writes == stack || self.reads_from(stack)
    }

    /// Whether the stack answers any read.
    pub(crate) fn reads_from(&self, stack: Stack) -> bool {
        let none_of_it = match stack {
            Stack::Old => Percent::ALL,
            Stack::New => Percent::NONE,
        };
        self.percents().any(|percent| percent != none_of_it)
    }

    pub(crate) fn has_partial_percent(&self) -> bool {
        self.percents()
            .any(|percent| percent != Percent::NONE && percent != Percent::ALL)
    }

    fn percents(&self) -> impl Iterator<Item = Percent> {
        self.routes.0.values().copied().chain([self.new])
    }
}

// === impl Percent ===

impl Percent {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(10_000);

    /// `None` outside 0 to 100, or with more than two decimals.
    pub fn of(percent: f64) -> Option<Self> {
        let hundredths = percent * 100.0;
        let is_whole = (hundredths - hundredths.round()).abs() < 1e-6;
        (is_whole && (0.0..=10_000.0).contains(&hundredths))
            .then_some(Self(hundredths.round() as u16))
    }
}

impl Percent {
    pub fn hundredths(self) -> u64 {
        self.0.into()
    }
}

impl Setting for Percent {
    const FORM: Form<Self> = Form {
        read: |at, _| {
            let expected = || at.expected("a percent from 0 to 100 with at most two decimals");
            let percent = at.number_within(0.0, 100.0).map_err(|_| expected())?;
            Ok(Self::of(percent).ok_or_else(expected)?)
        },
        schema: |_| json!({"type": "number", "minimum": 0, "maximum": 100, "multipleOf": 0.01}),
    };
}

// === impl Percents ===

impl Setting for Percents {
    const FORM: Form<Self> = Form {
        read: |at, _| {
            let mut faults = ConfigErrors::default();
            let mut percents = BTreeMap::new();
            for (key, at) in at.entries()? {
                let percent = faults.collect(Percent::of_node(&at));
                percents.extend(percent.map(|percent| (key.name.clone(), percent)));
            }
            faults.into_result(Self(percents))
        },
        schema: |range| json!({"type": "object", "additionalProperties": (Percent::FORM.schema)(range)}),
    };
}

// === impl ServeBy ===

impl ServeBy {
    pub fn header(name: HeaderName) -> Self {
        Self(By::Header(name))
    }
}

impl Setting for ServeBy {
    const FORM: Form<Self> = Form {
        read: |at: &Cursor<'_>, _| match at.text() {
            Ok("chance") => Ok(Self(By::Chance)),
            _ => Ok(Self(at.parse(KEY)?)),
        },
        schema: |_| json!({"type": "string", "pattern": r"^(chance|trace|(header|cookie):\S+)$"}),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn serve(text: &str) -> Serve {
        crate::spanned_yaml::built_in(text, <Serve as crate::spanned_yaml::Section>::read)
    }

    fn of(serve: &Serve, user: &str, route: Option<&str>) -> Served {
        let mut headers = HeaderMap::new();
        if !user.is_empty() {
            headers.insert("x-user", HeaderValue::from_str(user).unwrap());
        }
        serve.of_read(&headers, route, || panic!("a key decides"))
    }

    /// Computed with the reference implementation (PyPI `xxhash`).
    #[test]
    fn the_bucket_of_a_key_never_changes() {
        for (salt, key, bucket) in BUCKETS_OF_KEYS {
            let serve = Serve {
                salt: (*salt).to_owned(),
                ..Serve::default()
            };
            assert_eq!(serve.bucket(key.as_bytes()), *bucket, "{salt} {key}");
        }
    }

    const BUCKETS_OF_KEYS: &[(&str, &str, u64)] = &[
        ("", "", 9_367),
        ("", "a", 6_165),
        ("", "user-42", 7_688),
        ("2026", "user-42", 3_216),
    ];

    #[test]
    fn at_none_and_at_all_nobody_needs_a_key() {
        assert_eq!(of(&serve("{}"), "", None), Served::By(Stack::Old));
        assert_eq!(of(&serve("{new: 100}"), "", None), Served::By(Stack::New));
        let some = serve("{new: 50, by: 'header:x-user'}");
        assert_eq!(of(&some, "", None), Served::Keyless);
        assert!(matches!(of(&some, "jo", None), Served::By(_)));
    }

    #[test]
    fn a_route_has_its_own_percent() {
        let serve = serve("{new: 0, by: 'header:x-user', routes: {get-user: 100}}");
        assert_eq!(of(&serve, "jo", Some("get-user")), Served::By(Stack::New));
        assert_eq!(of(&serve, "jo", Some("get-item")), Served::By(Stack::Old));
        assert_eq!(of(&serve, "jo", None), Served::By(Stack::Old));
        assert!(
            serve.serves(Stack::New) && serve.serves(Stack::Old) && !serve.has_partial_percent()
        );
    }

    #[test]
    fn chance_decides_for_each_read() {
        let serve = serve("{new: 25, by: chance}");
        let of = |bits| serve.of_read(&HeaderMap::new(), None, || bits);
        assert_eq!(of(2_499), Served::By(Stack::New));
        assert_eq!(of(2_500), Served::By(Stack::Old));
    }

    #[test]
    fn a_percent_has_two_decimals() {
        for (percent, hundredths) in [
            (0.0, Some(0)),
            (0.07, Some(7)),
            (33.33, Some(3_333)),
            (100.0, Some(10_000)),
        ] {
            assert_eq!(Percent::of(percent), hundredths.map(Percent), "{percent}");
        }
        for percent in [-0.01, 100.01, 0.001, f64::NAN] {
            assert_eq!(Percent::of(percent), None, "{percent}");
        }
    }

    #[test]
    fn shares_of_keys_are_those_of_the_percent() {
        let serve = serve("{new: 20, by: 'header:x-user'}");
        let keys = 20_000;
        let is_in = |key: &u32| of(&serve, &key.to_string(), None) == Served::By(Stack::New);
        let share = (0..keys).filter(is_in).count() as f64 / f64::from(keys);
        // Five standard errors.
        assert!(
            (share - 0.2).abs() < 5.0 * (0.16 / f64::from(keys)).sqrt(),
            "{share}"
        );
    }

    proptest! {
        #[test]
        fn who_is_in_stays_in_while_the_percent_rises(key in "[a-z0-9]{1,9}", low in 1_u16..10_000, more in 0_u16..10_000) {
            let at = |hundredths: u16| Serve {
                new: Percent(hundredths.min(10_000)),
                ..serve("{by: 'header:x-user'}")
            };
            let is_in = |hundredths| of(&at(hundredths), &key, None) == Served::By(Stack::New);
            prop_assert!(!is_in(low) || is_in(low.saturating_add(more)));
        }
    }
}
