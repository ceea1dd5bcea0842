//! Secrets that callers have to present.

use std::{fmt, hint::black_box, sync::Arc};

/// A token. Debug output does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

// === impl Secret ===

impl Secret {
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// Compares in constant time: only the length is revealed.
    pub fn is(&self, given: &[u8]) -> bool {
        let secret = self.0.as_bytes();
        let pairs = given.iter().zip(secret);
        let differing = pairs.fold(0, |seen, (one, other)| black_box(seen | (one ^ other)));
        given.len() == secret.len() && differing == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_is_right() {
        let secret = Secret::new("secret");
        assert!(secret.is(b"secret"));
        for wrong in ["", "secre", "secrets", "sEcret"] {
            assert!(!secret.is(wrong.as_bytes()), "{wrong}");
        }
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
