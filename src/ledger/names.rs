//! The names of routes: which names get a route of their own, and how the names of undeclared paths change as they are
//! learned.

use super::{Ledger, OTHER, locked, read, write};
use crate::{
    ledger::{Bound, Route, epoch::Epoch},
    route::{ENOUGH, Positions},
    verdict::{Figures, Tallies},
};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

/// Limits how many names have a route of their own.
#[derive(Debug)]
pub(super) struct RouteSlots {
    max: usize,
    /// Names that have a route before they appear.
    declared: HashSet<Arc<str>>,
    /// The number of routes seen that are not declared.
    others: usize,
}

// === impl Ledger ===

impl Ledger {
    /// Declares the names that always have a route of their own, replacing those before.
    pub fn declare<'r>(&self, names: impl Iterator<Item = &'r str>) {
        let routes = read(&self.0.routes);
        let mut places = locked(&self.0.places);
        places.declared = names.map(Arc::from).collect();
        let is_other = |name: &&Arc<str>| !places.declared.contains(*name);
        let others = routes.keys().filter(is_other).count();
        places.others = others;
    }

    /// Restores what another process had learned, as far as the continued epoch shows it: names that were collapsed
    /// then.
    pub fn relearn(&self) {
        let known = self.present().tallies(self.now()).routes;
        let names: HashSet<&str> = known.iter().map(|figures| &*figures.route).collect();
        let mut positions = write(&self.0.positions);
        for figures in &known {
            let is_declared = locked(&self.0.places).declared.contains(&figures.route);
            if is_declared || !has_collapsed(&figures.route, &names) {
                continue;
            }
            for _ in 0..figures.live.min(ENOUGH.into()) {
                positions.learn(&figures.route);
            }
        }
    }

    /// The route of that name. Beyond `max_routes`, a new undeclared name is [`OTHER`].
    pub fn route(&self, name: &str) -> Route {
        let routes = read(&self.0.routes);
        if let Some(route) = routes.get(name) {
            return route.clone();
        }
        drop(routes);
        self.add(name)
    }

    /// Every route seen so far, sorted by name.
    pub fn routes(&self) -> Vec<Route> {
        let routes = read(&self.0.routes);
        let mut routes: Vec<_> = routes.values().cloned().collect();
        let other = &self.0.other;
        // A read sampled before its answer is not counted as live yet.
        if other.live_total() > 0 || other.sampled() > 0 {
            routes.push(other.clone());
        }
        routes.sort_by(|one, other| one.name().cmp(other.name()));
        routes
    }

    /// Whether the route of that name has been joined with others, under a name that shows less.
    pub(crate) fn is_joined(&self, name: &str) -> bool {
        !read(&self.0.routes).contains_key(name)
            && matches!(read(&self.0.positions).collapse(name), Cow::Owned(_))
    }

    /// The route of an undeclared path, under the name that was learned for such paths.
    pub fn undeclared(&self, name: &str) -> Route {
        // An existing name is not collapsed, so that this single look-up nearly always suffices.
        if let Some(route) = read(&self.0.routes).get(name) {
            return route.clone();
        }
        // Held until the route exists, so that no name is added that was collapsed meanwhile.
        let positions = read(&self.0.positions);
        self.route(&positions.collapse(name))
    }

    /// Learns that an undeclared path exists, which may collapse its name.
    pub fn learn(&self, route: &Route) {
        if route.teaches() {
            let mut positions = write(&self.0.positions);
            if positions.learn(route.name()) {
                self.join_routes(&positions);
            }
        }
    }

    /// Joins the routes that now share one name. Their samples in progress still count, once.
    fn join_routes(&self, positions: &Positions) {
        let mut routes = write(&self.0.routes);
        let mut places = locked(&self.0.places);
        let names = routes
            .keys()
            .filter(|name| !places.declared.contains(*name));
        let joined = names.filter_map(|name| match positions.collapse(name) {
            Cow::Owned(into) => Some((name.clone(), into)),
            Cow::Borrowed(_) => None,
        });
        for (name, into) in joined.collect::<Vec<_>>() {
            let Some(part) = routes.remove(&name) else {
                continue;
            };
            places.others -= 1;
            let whole = routes.get(&*into).cloned().unwrap_or_else(|| {
                places.others += usize::from(!places.declared.contains(&*into));
                let whole = Route::new(&into, &self.present(), self.0.shared.clone());
                routes.insert(whole.name().clone(), whole.clone());
                whole
            });
            whole.join(part);
        }
    }

    /// The figures of routes under their current names.
    pub(super) fn joined(&self, tallies: Tallies) -> Tallies {
        let positions = read(&self.0.positions);
        let mut routes: Vec<Figures> = Vec::with_capacity(tallies.routes.len());
        let mut places: HashMap<Arc<str>, usize> = HashMap::new();
        for mut figures in tallies.routes {
            figures.route = self.called(&positions, &figures.route);
            match places.entry(figures.route.clone()) {
                Entry::Occupied(place) => routes[*place.get()].join(&figures),
                Entry::Vacant(place) => {
                    place.insert(routes.len());
                    routes.push(figures);
                }
            }
        }
        Tallies { routes, ..tallies }
    }

    /// Updates which routes the verdict depends on in these epochs, under their current names.
    pub(super) fn assess(&self, epochs: &[Arc<Epoch>]) {
        let judged_by = self.0.shared.judged_by();
        let positions = read(&self.0.positions);
        for epoch in epochs {
            epoch.assess(&judged_by, |route| self.called(&positions, route));
        }
    }

    /// The current name of a route.
    fn called(&self, positions: &Positions, route: &Arc<str>) -> Arc<str> {
        let is_declared = locked(&self.0.places).declared.contains(route);
        match positions.collapse(route) {
            Cow::Owned(into) if !is_declared => into.into(),
            _ => route.clone(),
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
        let route = Route::new(name, &self.present(), self.0.shared.clone());
        routes.insert(route.name().clone(), route.clone());
        route
    }
}

/// Whether one of `names` is `name` with one segment collapsed. Paths invented by a scanner have no such sibling.
fn has_collapsed(name: &str, names: &HashSet<&str>) -> bool {
    let segments: Vec<&str> = name.split('/').collect();
    (1..segments.len()).any(|index| {
        let mut collapsed = segments.clone();
        collapsed[index] = "{}";
        segments[index] != "{}" && names.contains(&*collapsed.join("/"))
    })
}

// === impl RouteSlots ===

impl RouteSlots {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            declared: HashSet::new(),
            others: 0,
        }
    }

    /// Reserves a place for a new route, if one is left.
    pub(super) fn take(&mut self, name: &str) -> bool {
        if self.declared.contains(name) {
            return true;
        }
        let has_place = self.others + self.declared.len() < self.max;
        self.others += usize::from(has_place);
        has_place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::{AnsweredBy, Clock, Gauges, LedgerSnapshot},
        outcome::{Outcome, Via},
    };
    use http::{Method, StatusCode};

    const MATCH: Outcome = Outcome::Match(Via::Exact);

    fn name(number: usize) -> String {
        let letter = |digit| char::from(b'a' + (number / digit % 26) as u8);
        format!("GET /users/u{}{}/orders", letter(26), letter(1))
    }

    /// One request under that name, which is then learned.
    fn ask(ledger: &Ledger, name: &str) -> Route {
        let route = ledger.undeclared(name);
        route.count_live(&Method::GET, Some(StatusCode::OK), AnsweredBy::Old);
        route.count_live_read();
        ledger.learn(&route);
        route
    }

    fn names(ledger: &Ledger) -> Vec<String> {
        let routes = ledger.routes();
        routes
            .iter()
            .map(|route| route.name().to_string())
            .collect()
    }

    #[test]
    fn a_joined_route_has_every_count_while_tickets_are_open() {
        let ledger = Ledger::new(500, Gauges::default());
        let tickets: Vec<_> = (0..30)
            .map(|number| {
                let ticket = ledger.undeclared(&name(number)).sample();
                ask(&ledger, &name(number));
                ticket
            })
            .collect();
        assert_eq!(names(&ledger), ["GET /users/{}/orders"]);
        let [route] = &ledger.routes()[..] else {
            panic!("one route");
        };
        assert_eq!(
            (route.live_total(), route.reads(), route.sampled()),
            (30, 30, 30)
        );
        for ticket in tickets {
            ticket.finish(MATCH);
        }
        assert_eq!(route.outcomes(MATCH), 30);
        let [figures] = &ledger.tallies().routes[..] else {
            panic!("one route");
        };
        assert_eq!(&*figures.route, "GET /users/{}/orders");
        assert_eq!((figures.live, figures.reads, figures.sampled), (30, 30, 30));
        assert_eq!(figures.outcomes.get(MATCH), 30);
    }

    #[test]
    fn nothing_is_lost_or_counted_twice_while_routes_are_joined() {
        let ledger = Ledger::new(500, Gauges::default());
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let ledger = &ledger;
                scope.spawn(move || {
                    for number in 0..2_000 {
                        let ticket = ask(ledger, &name(number * 7 + thread)).sample();
                        ticket.finish(MATCH);
                    }
                });
            }
        });
        let routes = ledger.routes();
        let sum = |count: fn(&Route) -> u64| routes.iter().map(count).sum::<u64>();
        assert_eq!(sum(Route::live_total), 8_000);
        assert_eq!(
            (sum(Route::sampled), sum(|route| route.outcomes(MATCH))),
            (8_000, 8_000)
        );
        assert_eq!(names(&ledger), ["GET /users/{}/orders"]);
    }

    #[test]
    fn joined_routes_give_their_places_back() {
        let ledger = Ledger::new(40, Gauges::default());
        ledger.declare(["cart"].into_iter());
        (0..30).for_each(|number| drop(ask(&ledger, &name(number))));
        for number in 0..38 {
            assert_ne!(&**ledger.route(&format!("route {number}")).name(), OTHER);
        }
        assert_eq!(&**ledger.route("one too many").name(), OTHER);
        assert_eq!(&**ledger.route("cart").name(), "cart");
    }

    #[test]
    fn what_was_learned_outlives_the_process() {
        let first = Ledger::new(500, Gauges::default());
        (0..30).for_each(|number| drop(ask(&first, &name(number))));
        (0..30).for_each(|number| {
            (0..5).for_each(|_| {
                drop(ask(
                    &first,
                    &format!("GET /often/u{}", name(number).len() * 100 + number),
                ))
            });
        });
        let states = first.states(|_, _, _| false);
        let opening = LedgerSnapshot::GoesOn(states);
        let second = Ledger::open(500, Gauges::default(), Clock::system(), opening);
        second.relearn();
        assert_eq!(
            &**second.undeclared(&name(99)).name(),
            "GET /users/{}/orders"
        );
        let routes = second.tallies().routes;
        assert_eq!(routes[0].live, 30);
        assert_eq!(routes.len(), 31);
    }
}
