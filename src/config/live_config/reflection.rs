//! Descriptors by server reflection: how they come into force, and what is shown of them.

use super::{State, resolve};
use crate::{
    config::{Loaded, Running},
    stack::Stack,
    value::grpc::Reflected,
};
use std::sync::Arc;

const AS_BYTES: &str = "messages that no descriptor has are compared as bytes";

/// How much of what is not described is named.
const MAX_GAPS: usize = 3;

// === impl Running ===

impl Running {
    /// Takes what `stack` says about its services, or why it says nothing. Returns whether that changes descriptors.
    pub(crate) fn reflect(&self, stack: Stack, found: Result<Reflected, String>) -> bool {
        let mut state = self.lock();
        if state.loaded.config.settings.grpc.reflection != Some(stack) {
            return false;
        }
        let found = found.and_then(|found| state.loaded.reflected(stack, Arc::new(found)));
        let next = match found {
            Ok(next) => next,
            Err(cause) => {
                let failed = Some((stack, cause.clone()));
                if state.unreflected != failed {
                    tracing::warn!(%stack, cause, "server reflection gives no descriptors");
                }
                state.unreflected = failed;
                return false;
            }
        };
        state.unreflected = None;
        let descriptors = |loaded: &Loaded| loaded.config.comparing.descriptors.clone();
        let (now, before) = (descriptors(&next), descriptors(&state.loaded));
        let is_changed = now.fingerprint() != before.fingerprint();
        if is_changed {
            let calls = now.calls().count();
            let gaps = next.gaps();
            tracing::info!(%stack, calls, gaps, "server reflection has given new descriptors");
            let known = state.loaded.warnings();
            let warnings = next.warnings().into_iter();
            for warning in warnings.filter(|warning| !known.contains(warning)) {
                tracing::warn!(%warning, "configuration warning");
            }
            (self.publish)(&next.config);
        }
        state.loaded = next;
        is_changed
    }
}

// === impl State ===

impl State {
    /// What server reflection does not describe, and why.
    pub(super) fn reflection_problem(&self) -> Option<String> {
        let stack = self.loaded.config.settings.grpc.reflection?;
        let failed = self.unreflected.as_ref().filter(|(of, _)| *of == stack);
        let why = failed.map(|(_, why)| why.as_str());
        let (why, instead) = match (why, self.loaded.inputs.described.reflected()) {
            (Some(why), Some(_)) => (why, "what it said before stays in force"),
            (why, None) => (why.unwrap_or("no answer yet"), AS_BYTES),
            (None, Some(_)) => {
                let gaps = self.loaded.gaps()?;
                return Some(format!(
                    "{stack} does not describe all by server reflection: {gaps}; {AS_BYTES}"
                ));
            }
        };
        Some(format!(
            "{stack} describes nothing by server reflection: {why}; {instead}"
        ))
    }
}

// === impl Loaded ===

impl Loaded {
    /// Adds what `stack` says about its services.
    ///
    /// # Errors
    /// Descriptors that do not fit together.
    pub(crate) fn reflected(&self, stack: Stack, found: Arc<Reflected>) -> Result<Self, String> {
        let mut next = self.clone();
        next.inputs.described.reflect(stack, found)?;
        let config = resolve(&next.name, &next.layers, &next.inputs);
        next.config = Arc::new(config.map_err(|faults| faults.to_string())?);
        Ok(next)
    }

    /// What server reflection lists and does not describe; `None` if there is nothing.
    fn gaps(&self) -> Option<String> {
        let gaps = &self.inputs.described.reflected()?.gaps;
        let shown = gaps.iter().take(MAX_GAPS).cloned().collect::<Vec<_>>();
        let more = match gaps.len().saturating_sub(MAX_GAPS) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!gaps.is_empty()).then(|| format!("{}{more}", shown.join(", ")))
    }
}
