//! Composes the sidecar from its modules.
