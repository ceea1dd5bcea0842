//! The admin API: verdict, settings, routes, mismatches, metrics.
