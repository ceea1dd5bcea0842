//! What later readings of both stacks say about the places that differed at first.
//!
//! A place where the old stack's own readings differ is noise. A place outside noise that no longer differs was lag.
//! What still differs may be compared by no exact place, for indices and line numbers move between readings: there a
//! place stands for all of its class, and for what is above and below it.

use super::{Compared, Difference, Kind, Place, Step};

/// The places of one check that differed at first, and what has become of each.
#[derive(Clone, Debug)]
pub struct Suspects {
    /// Differ still, as far as is known.
    open: Vec<Place>,
    /// Differed, and differ no more.
    lagged: Vec<Place>,
    /// By the numbering of the first reading.
    noise: Noise,
    /// Differences at first that were counted, but not kept.
    unseen: usize,
}

/// What the readings so far come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Some place differs still.
    Open,
    /// None does, and some place outside noise has come to be equal.
    Lag,
    /// All of them are noise.
    Noise,
}

/// Where readings of one stack differ from each other.
#[derive(Clone, Debug, Default)]
struct Noise(Vec<Place>);

/// A later reading beside the first, all as [`Compared`] under the rules.
#[derive(Clone, Copy, Debug)]
pub struct Later<'c> {
    /// The old stack's first answer against its later one, and the other way round.
    pub own: [&'c Compared; 2],
    /// The later answers of both stacks.
    pub both: &'c Compared,
}

// === impl Suspects ===

impl Suspects {
    /// The places at which the first answers differ.
    pub fn new(first: &Compared) -> Self {
        let differences = first.differences();
        Self {
            open: places(differences),
            lagged: Vec::new(),
            noise: Noise::default(),
            unseen: first.count().saturating_sub(differences.len()),
        }
    }

    /// Takes in one more reading.
    pub fn hear(&mut self, later: Later<'_>) {
        let [from_first, from_later] = later.own;
        self.noise.add(from_first);
        let mut own = Noise::default();
        own.add(from_later);
        let noise = &self.noise;
        self.open.retain(|place| !noise.covers(place));
        self.lagged.retain(|place| !noise.covers(place));

        let mut again = places(later.both.differences());
        if later.both.count() > again.len() {
            // Any place may be among those that were not kept.
            return;
        }
        again.retain(|place| !noise.covers(place) && !own.covers(place));
        let differs = |place: &Place| again.iter().any(|other| meet(place, other));
        let (open, equal) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(differs);
        self.open = open;
        self.lagged.extend::<Vec<_>>(equal);
        if again.is_empty() && self.unseen > 0 {
            self.unseen = 0;
            // Whatever they were, they are gone.
            self.lagged.push(Place::Body);
        }
    }

    pub fn standing(&self) -> Standing {
        match (self.open.is_empty() && self.unseen == 0, &*self.lagged) {
            (false, _) => Standing::Open,
            (true, []) => Standing::Noise,
            (true, _) => Standing::Lag,
        }
    }

    /// What a report tells of the first differences: those that differ still, else those that were lag, else, where all
    /// are noise, all of them.
    pub fn tell(&self, first: &mut Vec<Difference>, count: &mut usize) {
        let told = match self.standing() {
            Standing::Noise => return,
            Standing::Open => &self.open,
            Standing::Lag => &self.lagged,
        };
        let kept = first.len();
        let unseen = *count - kept;
        first.retain(|difference| told.contains(&difference.place));
        let beyond = told.len().saturating_sub(first.len());
        *count = first.len() + beyond.min(unseen).max(self.unseen);
    }

    /// Where the old stack's own readings differ.
    pub fn noise(&self) -> &[Place] {
        &self.noise.0
    }

    /// How many places are looked after.
    pub fn len(&self) -> usize {
        self.open.len() + self.lagged.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

// === impl Noise ===

impl Noise {
    fn add(&mut self, own: &Compared) {
        for difference in own.differences() {
            let place = area(difference);
            if !self.0.contains(&place) {
                self.0.push(place);
            }
        }
    }

    fn covers(&self, place: &Place) -> bool {
        match place {
            Place::Lines { first, last } => {
                let is_noisy = |line: usize| {
                    self.0.iter().any(|noisy| match noisy {
                        Place::Lines { first, last } => (*first..=*last).contains(&line),
                        noisy => *noisy == Place::Body,
                    })
                };
                (*first..=*last).all(is_noisy)
            }
            place => self.0.iter().any(|noisy| contains(noisy, place)),
        }
    }
}

/// The place that is noisy where an answer differs from another of the same stack. An array whose members come and go is
/// noisy as a whole: which of them stand at which index says nothing.
fn area(difference: &Difference) -> Place {
    match (&difference.place, difference.kind) {
        (Place::Node(steps), Kind::Missing | Kind::Extra) => match steps.split_last() {
            Some((Step::Index(_), array)) => Place::Node(array.to_vec()),
            _ => difference.place.clone(),
        },
        (place, _) => place.clone(),
    }
}

fn contains(outer: &Place, inner: &Place) -> bool {
    match (outer, inner) {
        (Place::Node(outer), Place::Node(inner)) => inner.starts_with(outer),
        // Of bytes only the first that differs is known.
        (Place::Byte(_), Place::Byte(_)) => true,
        (Place::Body, inner) => is_of_body(inner),
        (outer, inner) => outer == inner,
    }
}

/// Whether two places of different readings may be the same one.
fn meet(one: &Place, other: &Place) -> bool {
    match (one, other) {
        (Place::Node(one), Place::Node(other)) => one.iter().zip(other).all(|steps| match steps {
            (Step::Index(_), Step::Index(_)) => true,
            (one, other) => one == other,
        }),
        (Place::Form(one), Place::Form(other)) => one == other,
        (one, other) if is_of_body(one) && is_of_body(other) => true,
        (one, other) => one == other,
    }
}

fn is_of_body(place: &Place) -> bool {
    !matches!(place, Place::Status | Place::Header(_) | Place::Trailer(_))
}

fn places(differences: &[Difference]) -> Vec<Place> {
    let places = differences.iter().map(|difference| &difference.place);
    places.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Answer, Comparing, Context, compare};
    use http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
    use proptest::prelude::*;

    fn answer(kind: &'static str, body: &str) -> Answer {
        Answer {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]),
            body: body.to_owned().into(),
            trailers: HeaderMap::new(),
        }
    }

    fn compared(old: &Answer, new: &Answer) -> Compared {
        let context = Context {
            route: "r",
            method: &Method::GET,
            today: jiff::civil::date(2026, 11, 22),
            deadline: None,
        };
        compare(old, new, &context, &Comparing::default()).result
    }

    /// What comes of readings, each as the old stack's and the new one's; and what is told then.
    fn heard(kind: &'static str, readings: &[[&str; 2]]) -> (Standing, Vec<String>) {
        let answers: Vec<_> = readings
            .iter()
            .map(|pair| pair.map(|body| answer(kind, body)))
            .collect();
        let [old, new] = &answers[0];
        let first = compared(old, new);
        let mut suspects = Suspects::new(&first);
        for [later, both] in &answers[1..] {
            suspects.hear(Later {
                own: [&compared(old, later), &compared(later, old)],
                both: &compared(later, both),
            });
            if suspects.standing() != Standing::Open {
                break;
            }
        }
        let mut differences = first.differences().to_vec();
        let mut count = first.count();
        suspects.tell(&mut differences, &mut count);
        assert_eq!(differences.len(), count);
        let told = differences.iter().map(|told| told.place.to_string());
        (suspects.standing(), told.collect())
    }

    const JSON: &str = "application/json";

    #[test]
    fn a_defect_beside_noise_and_lag_is_all_that_is_left() {
        let found = heard(
            JSON,
            &[
                [
                    r#"{"at": 1, "price": 9, "stock": 5}"#,
                    r#"{"at": 2, "price": 8, "stock": 4}"#,
                ],
                [
                    r#"{"at": 3, "price": 9, "stock": 5}"#,
                    r#"{"at": 4, "price": 8, "stock": 5}"#,
                ],
            ],
        );
        assert_eq!(found, (Standing::Open, vec!["$.price".to_owned()]));
    }

    #[test]
    fn what_comes_to_be_equal_is_lag() {
        let found = heard(
            JSON,
            &[
                [r#"{"a": 1, "b": [1]}"#, r#"{"a": 0, "b": []}"#],
                [r#"{"a": 1, "b": [1]}"#, r#"{"a": 1, "b": []}"#],
                [r#"{"a": 1, "b": [1]}"#, r#"{"a": 1, "b": [1]}"#],
            ],
        );
        let places = ["$.a", "$.b[0]"].map(str::to_owned).to_vec();
        assert_eq!(found, (Standing::Lag, places));
    }

    #[test]
    fn lists_that_the_old_stack_itself_changes_are_noise_as_a_whole() {
        let readings = [
            [r#"{"r": [1, 2, 3]}"#, r#"{"r": [4, 5]}"#],
            [r#"{"r": [6]}"#, r#"{"r": [7, 8, 9, 1]}"#],
        ];
        assert_eq!(heard(JSON, &readings).0, Standing::Noise);
        let order = [
            [r#"{"r": [1, 2, 3]}"#, r#"{"r": [3, 2, 1]}"#],
            [r#"{"r": [2, 3, 1]}"#, r#"{"r": [3, 1, 2]}"#],
        ];
        assert_eq!(heard(JSON, &order).0, Standing::Noise);
    }

    #[test]
    fn a_defect_in_another_member_of_a_list_is_no_noise() {
        let found = heard(
            JSON,
            &[
                [r#"{"r": [1, 2, 3]}"#, r#"{"r": [9, 2, 4]}"#],
                [r#"{"r": [5, 2, 3]}"#, r#"{"r": [7, 2, 4]}"#],
            ],
        );
        assert_eq!(found, (Standing::Open, vec!["$.r[2]".to_owned()]));
    }

    #[test]
    fn a_place_that_has_moved_or_is_gone_with_the_whole_body_differs_still() {
        for later in [r#"{"list": [0, {"p": 2}]}"#, r#"{}"#, "nonsense", "[]"] {
            let found = heard(
                JSON,
                &[
                    [r#"{"list": [{"p": 1}]}"#, r#"{"list": [{"p": 2}]}"#],
                    [r#"{"list": [{"p": 1}]}"#, later],
                ],
            );
            let expected = vec!["$.list[0].p".to_owned()];
            assert_eq!(found, (Standing::Open, expected), "{later}");
        }
    }

    #[test]
    fn lines_of_text_are_noise_one_by_one() {
        let text = "text/plain";
        let found = heard(
            text,
            &[["at 1\na\nb", "at 2\na\nc"], ["at 3\na\nb", "at 4\na\nc"]],
        );
        assert_eq!(found, (Standing::Open, vec!["line 3".to_owned()]));
        let found = heard(text, &[["at 1\na", "at 2\na"], ["at 3\na", "at 4\na"]]);
        assert_eq!(found.0, Standing::Noise);
    }

    #[test]
    fn differences_that_were_not_kept_are_never_taken_for_noise() {
        let first = Compared::Different {
            differences: vec![Difference {
                place: Place::Status,
                kind: Kind::Status,
                old: None,
                new: None,
            }],
            count: 2,
        };
        let equal = Compared::Equal(crate::verdict::Via::Exact);
        let mut suspects = Suspects::new(&first);
        let noise = Later {
            own: [&first, &first],
            both: &first,
        };
        suspects.hear(noise);
        assert_eq!(suspects.standing(), Standing::Open);
        suspects.hear(Later {
            own: [&equal, &equal],
            both: &equal,
        });
        assert_eq!(suspects.standing(), Standing::Lag);
    }

    proptest! {
        /// Each field is one of: equal, noise (unlike in every reading), lag (equal later), or a defect.
        #[test]
        fn each_field_ends_as_what_it_is(fields in prop::collection::vec(0..4u32, 1..8)) {
            let body = |reading: u32, stack: u32| {
                let values = fields.iter().enumerate().map(|(name, kind)| {
                    let value = match kind {
                        0 => 0,
                        1 => 1 + 2 * reading + stack,
                        2 => if reading == 0 { stack } else { 0 },
                        _ => stack,
                    };
                    (format!("f{name}"), serde_json::Value::from(value))
                });
                serde_json::Value::Object(values.collect()).to_string()
            };
            let bodies: Vec<_> = (0..3).map(|reading| [body(reading, 0), body(reading, 1)]).collect();
            let readings: Vec<_> = bodies.iter().map(|pair| [pair[0].as_str(), pair[1].as_str()]).collect();
            prop_assume!(fields.iter().any(|kind| *kind > 0));
            let (standing, told) = heard(JSON, &readings);
            let of = |wanted: u32| -> Vec<String> {
                let fields = fields.iter().enumerate().filter(|(_, kind)| **kind == wanted);
                fields.map(|(name, _)| format!("$.f{name}")).collect()
            };
            let expected = match (of(3), of(2)) {
                (defects, _) if !defects.is_empty() => (Standing::Open, defects),
                (_, lags) if !lags.is_empty() => (Standing::Lag, lags),
                _ => (Standing::Noise, of(1)),
            };
            prop_assert_eq!((standing, told), expected);
        }
    }
}
