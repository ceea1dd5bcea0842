//! Names requests, so that every figure is per route.
