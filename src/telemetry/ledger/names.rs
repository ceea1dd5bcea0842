//! What routes are called: which names have a place, and how those of undeclared paths change by what is learned.

use super::{Ledger, OTHER, locked, read, write};
use crate::telemetry::{Bound, Route};
use std::{collections::HashSet, sync::Arc};

/// Who has a place among the routes.
#[derive(Debug)]
pub(super) struct Places {
    max: usize,
    /// Names that have a place before they are seen.
    declared: HashSet<Arc<str>>,
    /// Routes seen that are not declared.
    others: usize,
}

// === impl Ledger ===

impl Ledger {
    /// From now on these names, and no others, have a place of their own among the routes.
    pub fn declare<'r>(&self, names: impl Iterator<Item = &'r str>) {
        let routes = read(&self.0.routes);
        let mut places = locked(&self.0.places);
        places.declared = names.map(Arc::from).collect();
        let is_other = |name: &&Arc<str>| !places.declared.contains(*name);
        let others = routes.keys().filter(is_other).count();
        places.others = others;
    }

    /// The route of that name; past `max_routes` a new name that is not declared is [`OTHER`].
    pub fn route(&self, name: &str) -> Route {
        let routes = read(&self.0.routes);
        if let Some(route) = routes.get(name) {
            return route.clone();
        }
        drop(routes);
        self.add(name)
    }

    /// The route of an undeclared path of that name, by what was learned of such paths.
    pub fn undeclared(&self, name: &str) -> Route {
        // Held until the route is there, so that no name is added that was collapsed meanwhile.
        let positions = read(&self.0.positions);
        self.route(&positions.collapse(name))
    }

    /// Learns that there is something under an undeclared path: what it is called may change by it.
    pub fn learn(&self, route: &Route) {
        if route.teaches() {
            write(&self.0.positions).learn(route.name());
        }
    }

    fn add(&self, name: &str) -> Route {
        let mut routes = write(&self.0.routes);
        if let Some(route) = routes.get(name) {
            return route.clone();
        }
        if name == OTHER || !locked(&self.0.places).take(name) {
            self.0.gauges.bound_reached(Bound::Routes);
            return self.0.other.clone();
        }
        let route = Route::new(name, &self.present(), self.0.house.clone());
        routes.insert(route.name().clone(), route.clone());
        route
    }
}

// === impl Places ===

impl Places {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            declared: HashSet::new(),
            others: 0,
        }
    }

    /// Takes the place of a new route, if there is one left.
    pub(super) fn take(&mut self, name: &str) -> bool {
        if self.declared.contains(name) {
            return true;
        }
        let has_place = self.others + self.declared.len() < self.max;
        self.others += usize::from(has_place);
        has_place
    }
}
