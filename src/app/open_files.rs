//! Divides the limit of open files into connection limits. Callers get most, because their answers must not depend on
//! what else is open.

use crate::settings::ListenerLimits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{fs, num::NonZeroUsize};

/// Connection limits that together stay within the limit of open files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    /// Open files of the process.
    limit: usize,
    /// For each listener that takes requests.
    callers: NonZeroUsize,
    /// For each client of the shadow.
    pub(super) client: NonZeroUsize,
    pub(super) admin: NonZeroUsize,
}

/// A caller's own connection, and one to the primary.
const PER_CALLER: usize = 2;

/// The shadow's clients: for the old stack, for the new one, and for the control instance.
const CLIENTS: usize = 3;

/// The shadow and the admin API each get one `PART`th of the free files; callers get the rest.
const PART: usize = 8;

/// Reserved for listeners, exporters, the store, name resolution and other occasional files.
const SPARE: usize = 12;

/// Assumed number of open files if it cannot be determined.
const IN_USE: usize = 32;

// === impl Shares ===

impl Shares {
    /// Raises the soft limit to the hard one, and divides what is free. So many listeners take requests.
    pub(super) fn take(listeners: usize) -> Self {
        let limit = raise(getrlimit(Resource::Nofile)).current;
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        // Each open file has an entry, and so has the listing itself.
        let in_use = fs::read_dir("/proc/self/fd").map_or(IN_USE, Iterator::count);
        Self::of(limit.unwrap_or(usize::MAX), in_use, listeners)
    }

    fn of(limit: usize, in_use: usize, listeners: usize) -> Self {
        let free = limit.saturating_sub(in_use + SPARE);
        let part = free / PART;
        let callers = (free - 2 * part) / listeners.max(1);
        let at_least_one = |count: usize| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
        Self {
            limit,
            callers: at_least_one(callers / PER_CALLER),
            client: at_least_one(part / CLIENTS),
            admin: at_least_one(part),
        }
    }

    /// The limits of the listener, lowered to the number of callers that there are files for.
    pub(super) fn of_callers(&self, limits: ListenerLimits) -> ListenerLimits {
        if limits.connections <= self.callers {
            return limits;
        }
        tracing::warn!(
            configured = limits.connections,
            connections = self.callers,
            open_files = self.limit,
            "limits.connections is lowered: the limit of open files is too low for it"
        );
        ListenerLimits {
            connections: self.callers,
            ..limits
        }
    }
}

/// Raises the soft limit of open files to the hard one. Returns the limits in force.
fn raise(limits: Rlimit) -> Rlimit {
    let raised = Rlimit {
        current: limits.maximum,
        ..limits
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised,
        Err(error) => {
            tracing::debug!(%error, "the limit of open files stays as it is");
            limits
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_get_most_of_what_is_free_and_everyone_something() {
        let shares = |limit, in_use| {
            let shares = Shares::of(limit, in_use, 1);
            [shares.callers, shares.client, shares.admin].map(NonZeroUsize::get)
        };
        assert_eq!(shares(1_024, 36), [366, 40, 122]);
        assert_eq!(shares(64, 20), [12, 1, 4]);
        assert_eq!(shares(16, 20), [1, 1, 1]);
    }

    #[test]
    fn all_parts_together_stay_within_the_limit() {
        for limit in 60..2_000 {
            let Shares {
                callers,
                client,
                admin,
                ..
            } = Shares::of(limit, 24, 1);
            let all = callers.get() * PER_CALLER + client.get() * CLIENTS + admin.get();
            assert!(all + 24 + SPARE <= limit + CLIENTS, "{limit}: {all}");
        }
    }

    #[test]
    fn more_connections_than_files_are_lowered() {
        let limits = ListenerLimits::default();
        assert_eq!(Shares::of(1_000_000, 20, 1).of_callers(limits), limits);
        let lowered = |listeners| Shares::of(64, 20, listeners).of_callers(limits);
        assert_eq!(lowered(1).connections.get(), 12);
        assert_eq!(lowered(2).connections.get(), 6);
    }
}
