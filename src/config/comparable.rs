//! What makes checks comparable. A change of it begins an epoch.

use super::Config;
use crate::{
    compare::{HeaderScope, Only, Options},
    http_client::{Target, Via},
    value::Numbers,
    verdict::Cause,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use xxhash_rust::xxh64::xxh64;

/// Fingerprints of parts of a configuration, equal in every process and build of this program. They are stored with an
/// epoch and decide after a restart whether it can continue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Comparable {
    rules: String,
    compare: String,
    stacks: String,
    version_header: Option<String>,
    /// Not serialized if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    descriptors: Option<String>,
}

/// Stored fingerprint of what the checks of an epoch are measured by.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EpochFingerprint {
    #[serde(flatten)]
    comparable: Comparable,
    /// As configured; the API may have given the epoch another one.
    label: Option<String>,
}

// === impl Comparable ===

impl Comparable {
    pub(crate) fn of(config: &Config) -> Self {
        let stacks = [&config.old, &config.new].map(|target| url(target));
        let version_header = config.settings.epoch.version_header.as_ref();
        Self {
            rules: config.comparing.rules.fingerprint(),
            compare: compare(&config.comparing.options),
            stacks: hashed(&stacks.join("\n")),
            version_header: version_header.map(|name| name.as_str().to_owned()),
            descriptors: config
                .comparing
                .descriptors
                .fingerprint()
                .map(str::to_owned),
        }
    }

    /// A hash of what answers are compared by, wherever the stacks are.
    pub(crate) fn rules_hash(&self) -> String {
        let parts = [
            Some(self.rules.as_str()),
            Some(&self.compare),
            self.descriptors.as_deref(),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        hashed(&parts.join("\n"))
    }

    /// Why checks under `self` are not comparable with those under `before`, if so: the first that holds of rules,
    /// comparison settings, stacks, version header.
    pub(crate) fn cause(&self, before: &Self) -> Option<Cause> {
        let changes = [
            (self.rules != before.rules, Cause::Rules),
            (self.compare != before.compare, Cause::Compare),
            (self.descriptors != before.descriptors, Cause::Compare),
            (self.stacks != before.stacks, Cause::Stacks),
            (self.version_header != before.version_header, Cause::Version),
        ];
        let mut changes = changes.into_iter();
        changes.find_map(|(is_changed, cause)| is_changed.then_some(cause))
    }
}

// === impl EpochFingerprint ===

impl EpochFingerprint {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            comparable: Comparable::of(config),
            label: config.settings.epoch.label.clone(),
        }
    }

    /// The stored form.
    pub(crate) fn text(&self) -> Arc<str> {
        let text = serde_json::to_string(self);
        text.expect("fingerprints must be JSON").into()
    }

    /// Why the epoch with the stored fingerprint cannot continue; `None` if it can.
    pub(crate) fn cause(&self, stored: &str) -> Option<Cause> {
        let Ok(before) = serde_json::from_str::<Self>(stored) else {
            return Some(Cause::Start);
        };
        let has_new_label = self.label != before.label;
        let changed = self.comparable.cause(&before.comparable);
        changed.or(has_new_label.then_some(Cause::Asked))
    }
}

/// Written field by field, because the hashed text must not change with the program's `Debug` output.
fn compare(options: &Options) -> String {
    let Options {
        headers,
        only,
        numbers,
        max_differences,
        max_depth,
        deadline: _,
        max_decoded,
        explain: _,
    } = options;
    let joined = |names: &[http::HeaderName]| {
        let names: Vec<_> = names.iter().map(http::HeaderName::as_str).collect();
        names.join(" ")
    };
    let headers = match headers {
        HeaderScope::All => "all".to_owned(),
        HeaderScope::None => "none".to_owned(),
        HeaderScope::Listed(names) => format!("listed {}", joined(names)),
        HeaderScope::Except(names) => format!("except {}", joined(names)),
    };
    let numbers = match numbers {
        Numbers::Numeric => "numeric",
        Numbers::Lexical => "lexical",
    };
    let places = only.iter().flat_map(Only::places);
    let only: String = places.map(|place| format!("\nonly {place}")).collect();
    hashed(&format!(
        "headers {headers}\nnumbers {numbers}\nmax_differences {max_differences}\n\
         max_depth {max_depth}\nmax_decoded {max_decoded}{only}"
    ))
}

fn url(target: &Target) -> String {
    match target.via {
        Via::Tcp => format!("{}{}", target.authority, target.base_path),
        Via::Tls(_) | Via::Unix(_) => target.url(),
    }
}

fn hashed(text: &str) -> String {
    format!("{:016x}", xxh64(text.as_bytes(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Origin, load};

    fn comparable(more: &'static str) -> Comparable {
        let origin = Origin::written("f.yaml", more);
        let origin = origin.with_environment(|_| None);
        Comparable::of(&load(&origin).unwrap().config)
    }

    const BASE: &str = "{old: {url: 'http://a:1'}, new: {url: 'http://b:2'}}";

    #[test]
    fn what_changes_is_named_and_what_does_not_matter_is_not() {
        let base = comparable(BASE);
        let cause = |text| comparable(text).cause(&base);
        assert_eq!(cause(BASE), None);
        let limits = "{old: {url: 'http://a:1', connect_timeout: 1s}, new: {url: 'http://b:2'}, sample: {rate: 0.5}, \
                      verdict: {soak: 1h}, compare: {deadline: 5ms}, epoch: {label: x}}";
        assert_eq!(cause(limits), None);
        let stacks = "{old: {url: 'http://a:1'}, new: {url: 'http://b:2/v2'}}";
        assert_eq!(cause(stacks), Some(Cause::Stacks));
        let version =
            "{old: {url: 'http://a:1'}, new: {url: 'http://b:2'}, epoch: {version_header: x-v}}";
        assert_eq!(cause(version), Some(Cause::Version));
        let proto = tempfile::Builder::new()
            .suffix(".proto")
            .tempfile()
            .unwrap();
        std::fs::write(&proto, "message M {}").unwrap();
        let described = format!(
            "{{old: {{url: 'http://a:1'}}, new: {{url: 'http://b:2'}}, grpc: {{descriptors: ['{}']}}}}",
            proto.path().display()
        );
        assert_eq!(cause(described.leak()), Some(Cause::Compare));
        let both =
            "{old: {url: 'http://a:1'}, new: {url: 'http://c:2'}, compare: {numbers: lexical}}";
        assert_eq!(cause(both), Some(Cause::Compare));
        let only = "{old: {url: 'http://a:1'}, new: {url: 'http://b:2'}, compare: {only: [$.id]}}";
        assert_eq!(cause(only), Some(Cause::Compare));
        let all = "{old: {url: 'http://a:1'}, new: {url: 'http://c:2'}, compare: {headers: none}, rules: []}";
        assert_eq!(cause(all), Some(Cause::Rules));
    }

    #[test]
    fn fingerprints_are_those_of_every_build() {
        let none = "{old: {url: 'http://a:1'}, new: {url: 'http://b:2'}, rules: []}";
        let written = concat!(
            r#"{"rules":"ef46db3751d8e999","compare":"e5c8208289063d50","#,
            r#""stacks":"ce8e9a70012d9ef2","version_header":null}"#
        );
        assert_eq!(serde_json::to_string(&comparable(none)).unwrap(), written);
        let stored: Comparable = serde_json::from_str(written).unwrap();
        assert_eq!(stored.cause(&comparable(none)), None);
    }
}
