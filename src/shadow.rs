//! The background side: replays samples on the shadow, compares, and ends each check.
