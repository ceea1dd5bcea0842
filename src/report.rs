//! Exports checks as traces and figures as metrics.
