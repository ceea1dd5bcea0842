//! Keeps mismatches and their classes, bounded.
