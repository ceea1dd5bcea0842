//! Transforms that change only how a text is spelled. Rule files give their name and one word: `{case: fold}`.

use std::borrow::Cow;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfkc_quick};

/// A transform that changes how a text is spelled.
#[derive(Clone, Copy, Debug)]
pub struct TextForm {
    /// The name of the action in rule files.
    pub name: &'static str,
    /// Its argument.
    pub how: &'static str,
    /// Computes the other spelling.
    pub apply: fn(Cow<'_, str>) -> Cow<'_, str>,
}

/// All of them. Those with one name are choices of one action.
pub(super) static ALL: [TextForm; 4] = [
    // Unicode case folding, independent of language.
    TextForm {
        name: "case",
        how: "fold",
        apply: |text| caseless::default_case_fold_str(&text).into(),
    },
    // Each run of white space becomes one space, and none remains at the ends.
    TextForm {
        name: "space",
        how: "collapse",
        apply: |text| text.split_whitespace().collect::<Vec<_>>().join(" ").into(),
    },
    TextForm {
        name: "unicode",
        how: "nfc",
        apply: |text| match is_nfc_quick(text.chars()) {
            IsNormalized::Yes => text,
            _ => text.nfc().collect::<String>().into(),
        },
    },
    TextForm {
        name: "unicode",
        how: "nfkc",
        apply: |text| match is_nfkc_quick(text.chars()) {
            IsNormalized::Yes => text,
            _ => text.nfkc().collect::<String>().into(),
        },
    },
];

// === impl TextForm ===

impl PartialEq for TextForm {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.how) == (other.name, other.how)
    }
}
