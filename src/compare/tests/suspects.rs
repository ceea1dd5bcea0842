//! How later readings classify places that differed at first.

use super::*;
use proptest::prelude::*;

/// The classification of readings, each of the old stack and the new one, and the reported differences.
fn observed(kind: &'static str, readings: &[[&str; 2]]) -> (Classification, Vec<String>) {
    observed_under(&CompareConfig::default(), kind, readings)
}

fn observed_under(
    comparing: &CompareConfig,
    kind: &'static str,
    readings: &[[&str; 2]],
) -> (Classification, Vec<String>) {
    let compared = |old, new| compare(old, new, &context(), comparing).result;
    let answers: Vec<_> = readings
        .iter()
        .map(|pair| pair.map(|body| answer(kind, body.to_owned())))
        .collect();
    let [old, new] = &answers[0];
    let first = compared(old, new);
    let mut suspects = RecheckState::new(&first);
    for [later, both] in &answers[1..] {
        suspects.observe(Later {
            own: [&compared(old, later), &compared(later, old)],
            both: &compared(later, both),
            earlier: None,
        });
        if matches!(
            suspects.classification(),
            Classification::Lag | Classification::Noise
        ) {
            break;
        }
    }
    let reported = suspects.report(&first, usize::MAX);
    assert!(reported.is_whole());
    let reported = reported.differences().iter();
    let reported = reported.map(|reported| reported.place.to_string());
    (suspects.classification(), reported.collect())
}

const JSON: &str = "application/json";

#[test]
fn a_defect_next_to_noise_and_lag_is_all_that_is_left() {
    let found = observed(
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
    assert_eq!(found, (Classification::Open, vec!["$.price".to_owned()]));
}

#[test]
fn what_comes_to_be_equal_is_lag() {
    let found = observed(
        JSON,
        &[
            [r#"{"a": 1, "b": [1]}"#, r#"{"a": 0, "b": []}"#],
            [r#"{"a": 1, "b": [1]}"#, r#"{"a": 1, "b": []}"#],
            [r#"{"a": 1, "b": [1]}"#, r#"{"a": 1, "b": [1]}"#],
        ],
    );
    let places = ["$.a", "$.b[0]"].map(str::to_owned).to_vec();
    assert_eq!(found, (Classification::Lag, places));
}

#[test]
fn places_that_are_wrong_by_turns_differ_still() {
    let right = r#"{"a": 1, "b": 1}"#;
    let [both, a, b] = [
        r#"{"a": 0, "b": 0}"#,
        r#"{"a": 0, "b": 1}"#,
        r#"{"a": 1, "b": 0}"#,
    ];
    let found = observed(JSON, &[[right, both], [right, b], [right, a], [right, b]]);
    assert_eq!(found, (Classification::Open, vec!["$.b".to_owned()]));
    let found = observed(
        JSON,
        &[[right, both], [right, b], [right, a], [right, right]],
    );
    let places = ["$.a", "$.b"].map(str::to_owned).to_vec();
    assert_eq!(found, (Classification::Lag, places));
}

#[test]
fn lists_that_the_old_stack_itself_changes_are_noise_as_a_whole() {
    let readings = [
        [r#"{"r": [1, 2, 3]}"#, r#"{"r": [4, 5]}"#],
        [r#"{"r": [6]}"#, r#"{"r": [7, 8, 9, 1]}"#],
    ];
    assert_eq!(observed(JSON, &readings).0, Classification::Noise);
    let order = [
        [r#"{"r": [1, 2, 3]}"#, r#"{"r": [3, 2, 1]}"#],
        [r#"{"r": [2, 3, 1]}"#, r#"{"r": [3, 1, 2]}"#],
    ];
    assert_eq!(observed(JSON, &order).0, Classification::Noise);
}

#[test]
fn a_defect_in_another_member_of_a_list_is_no_noise() {
    let found = observed(
        JSON,
        &[
            [r#"{"r": [1, 2, 3]}"#, r#"{"r": [9, 2, 4]}"#],
            [r#"{"r": [5, 2, 3]}"#, r#"{"r": [7, 2, 4]}"#],
        ],
    );
    assert_eq!(found, (Classification::Open, vec!["$.r[2]".to_owned()]));
}

#[test]
fn moved_or_removed_place_still_differs() {
    for later in [r#"{"list": [0, {"p": 2}]}"#, r#"{}"#, "nonsense", "[]"] {
        let found = observed(
            JSON,
            &[
                [r#"{"list": [{"p": 1}]}"#, r#"{"list": [{"p": 2}]}"#],
                [r#"{"list": [{"p": 1}]}"#, later],
            ],
        );
        let expected = vec!["$.list[0].p".to_owned()];
        assert_eq!(found, (Classification::Open, expected), "{later}");
    }
}

#[test]
fn lines_of_text_are_noise_one_by_one() {
    let text = "text/plain";
    let found = observed(
        text,
        &[["at 1\na\nb", "at 2\na\nc"], ["at 3\na\nb", "at 4\na\nc"]],
    );
    assert_eq!(found, (Classification::Open, vec!["line 3".to_owned()]));
    let found = observed(text, &[["at 1\na", "at 2\na"], ["at 3\na", "at 4\na"]]);
    assert_eq!(found.0, Classification::Noise);
}

#[test]
fn constantly_wrong_line_differs_if_lines_before_it_vary() {
    let text = "text/plain";
    for (readings, line) in [
        (
            [
                ["note 1\nnote 2\na\nb0", "note 1\nnote 2\na\nb1"],
                ["a\nb0", "a\nb1"],
            ],
            "line 4",
        ),
        (
            [
                ["note 1\nnote 2\nb0\na", "note 1\nnote 2\nb1\na"],
                ["b0\na", "b1\na"],
            ],
            "line 3",
        ),
        (
            [
                ["head\na\nb0\nc", "head\nx1\na\nb1\nc"],
                ["head\nx2\nx2\na\nb0\nc", "head\na\nb1\nc"],
            ],
            "line 3",
        ),
    ] {
        let found = observed(text, &readings);
        assert_eq!(found, (Classification::Open, vec![line.to_owned()]));
    }
}

#[test]
fn lines_that_come_and_go_at_one_place_are_noise() {
    let readings = [["head\na", "head\nx1\na"], ["head\nx2\nx2\na", "head\na"]];
    assert_eq!(observed("text/plain", &readings).0, Classification::Noise);
}

#[test]
fn bytes_are_noise_from_the_first_that_varies_on_old() {
    let bytes = "application/pdf";
    let defect = [["%PDF 1", "junk 2"], ["%PDF 3", "junk 4"]];
    let found = observed(bytes, &defect);
    assert_eq!(found, (Classification::Open, vec!["byte 0".to_owned()]));
    let noise = [["%PDF 1", "%PDF 2"], ["%PDF 3", "%PDF 4"]];
    assert_eq!(observed(bytes, &noise).0, Classification::Noise);
    let later = [["%PDF 1x", "%PDF 1y"], ["%PDF 3x", "%PDF 4z"]];
    assert_eq!(observed(bytes, &later).0, Classification::Noise);
    let lag = [["%PDF 1", "junk 2"], ["%PDF 3", "%PDF 4"]];
    assert_eq!(observed(bytes, &lag).0, Classification::Lag);
}

#[test]
fn constantly_wrong_member_differs_in_an_unordered_array() {
    let rules = ruled(&[("$.items", "{unordered: {key: id}}")]);
    let clock = |at: u32| format!(r#"{{"id": "a", "ts": {at}}}"#);
    let [right, wrong] = [5, 7].map(|ts| format!(r#"{{"id": "b", "ts": {ts}}}"#));
    let list = |one: &str, other: &str| format!(r#"{{"items": [{one}, {other}]}}"#);
    let readings = [
        [list(&clock(1), &right), list(&clock(2), &wrong)],
        [list(&right, &clock(3)), list(&clock(4), &wrong)],
    ];
    let readings = readings
        .each_ref()
        .map(|pair| pair.each_ref().map(|text| &**text));
    let found = observed_under(&rules, JSON, &readings);
    let place = vec!["$.items[1].ts".to_owned()];
    assert_eq!(found, (Classification::Open, place));
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
    let equal = Compared::Equal(Via::Exact);
    let mut suspects = RecheckState::new(&first);
    let noise = Later {
        own: [&first, &first],
        both: &first,
        earlier: None,
    };
    suspects.observe(noise);
    assert_eq!(suspects.classification(), Classification::Unclear);
    suspects.observe(Later {
        own: [&equal, &equal],
        both: &equal,
        earlier: None,
    });
    assert_eq!(suspects.classification(), Classification::Lag);
}

#[test]
fn where_too_much_differs_to_be_kept_only_what_was_kept_decides() {
    let mut comparing = CompareConfig::default();
    comparing.options.max_differences = 2;
    // The kept differences are noise, the others may be.
    let noise = [
        ["[1, 2, 3, 4]", "[5, 6, 7, 8]"],
        ["[9, 8, 7, 6]", "[3, 1, 2, 5]"],
    ];
    let reported = ["$[0]", "$[1]"].map(str::to_owned).to_vec();
    let found = observed_under(&comparing, JSON, &noise);
    assert_eq!(found, (Classification::Unclear, reported.clone()));
    // The last is noise: so nothing that differs later was kept.
    let neighbour = [["[1, 2, 0]", "[5, 6, 0]"], ["[1, 9, 7]", "[1, 3, 8]"]];
    let found = observed_under(&comparing, JSON, &neighbour);
    assert_eq!(found, (Classification::Lag, reported[..1].to_vec()));
    // The last differs again, and may be noise that was not kept.
    let hidden = [["[1, 2, 3]", "[1, 5, 6]"], ["[7, 8, 9]", "[7, 4, 0]"]];
    let found = observed_under(&comparing, JSON, &hidden);
    assert_eq!(found.0, Classification::Unclear);
    let defect = [["[1, 2, 3]", "[5, 2, 4]"], ["[1, 2, 3]", "[5, 7, 8]"]];
    let found = observed_under(&comparing, JSON, &defect);
    assert_eq!(found.0, Classification::Open);
}

#[test]
fn noise_excuses_no_other_kind_than_old_shows_at_the_place() {
    let [at, later] = [r#"{"at": 1}"#, r#"{"at": 2}"#];
    for [first, again] in [
        ["{}", "{}"],
        [r#"{"at": null}"#, r#"{"at": null}"#],
        [r#"{"at": "3"}"#, r#"{"at": "4"}"#],
        [r#"{"at": {"at": 3}}"#, r#"{"at": {"at": 4}}"#],
    ] {
        let found = observed(JSON, &[[at, first], [later, again]]);
        assert_eq!(
            found,
            (Classification::Open, vec!["$.at".to_owned()]),
            "{first}"
        );
    }
    // Old itself drops it, nulls it, or sends another type.
    for later in ["{}", r#"{"at": null}"#, r#"{"at": "4"}"#] {
        assert_eq!(
            observed(JSON, &[[at, later], [later, at]]).0,
            Classification::Noise
        );
        assert_eq!(
            observed(JSON, &[[later, at], [at, later]]).0,
            Classification::Noise
        );
    }
}

#[test]
fn noise_of_a_list_excuses_no_member_without_a_field() {
    let list = |ids: &[u32], note: &str| {
        let items = ids.iter().map(|id| format!(r#"{{"id": {id}{note}}}"#));
        format!("[{}]", items.collect::<Vec<_>>().join(","))
    };
    let with = |ids: &[u32]| list(ids, r#", "n": 1"#);
    let observed_of = |bare: &str| {
        let readings = [
            [with(&[1, 2, 3]), list(&[4, 5], bare)],
            [with(&[6]), list(&[7, 8], bare)],
            [with(&[9, 10]), list(&[11, 12, 13], bare)],
        ];
        let readings = readings
            .each_ref()
            .map(|pair| pair.each_ref().map(String::as_str));
        observed(JSON, &readings)
    };
    assert_eq!(observed_of(r#", "n": 1"#).0, Classification::Noise);
    let places = ["$[0].n", "$[1].n"].map(str::to_owned).to_vec();
    assert_eq!(observed_of(""), (Classification::Open, places));
}

#[test]
fn noise_of_a_line_excuses_no_missing_line() {
    let text = "text/plain";
    let found = observed(
        text,
        &[
            [
                "at 1
a", "a",
            ],
            [
                "at 3
a", "a",
            ],
        ],
    );
    assert_eq!(found, (Classification::Open, vec!["line 1".to_owned()]));
    let found = observed(
        text,
        &[
            [
                "at 1
a", "a",
            ],
            [
                "a", "at 3
a",
            ],
        ],
    );
    assert_eq!(found.0, Classification::Noise);
}

#[test]
fn noise_of_headers_and_trailers_is_by_kind() {
    let compared = |old: &Answer, new: &Answer| {
        compare(old, new, &context(), &CompareConfig::default()).result
    };
    let with = |value: &str| {
        let mut answer = answer(JSON, "{}".to_owned());
        for headers in [&mut answer.headers, &mut answer.trailers] {
            headers.insert("x-id", value.parse().unwrap());
        }
        answer
    };
    let (first, later, without) = (with("1"), with("2"), answer(JSON, "{}".to_owned()));
    for (new, expected) in [
        (&without, Classification::Open),
        (&with("3"), Classification::Noise),
    ] {
        let mut suspects = RecheckState::new(&compared(&first, new));
        suspects.observe(Later {
            own: [&compared(&first, &later), &compared(&later, &first)],
            both: &compared(&later, new),
            earlier: None,
        });
        assert_eq!(suspects.classification(), expected);
    }
}

/// Excuses each variation without limit.
#[derive(Debug)]
struct Known(Vec<Variation>);

impl Excuses for Known {
    fn excuse(&self, variation: &Variation) -> bool {
        self.0.contains(variation)
    }
}

/// The classification of one later reading if earlier checks have seen old vary in the `known` kinds at `$.a`.
fn observed_with(known: &[Kind], readings: [[&str; 2]; 2]) -> Classification {
    let compared = |old: &Answer, new: &Answer| {
        compare(old, new, &context(), &CompareConfig::default()).result
    };
    let [[old, new], [later_old, later_new]] =
        readings.map(|pair| pair.map(|body| answer(JSON, body.to_owned())));
    let place = Place::Node(vec![Step::Name("a".to_owned())]);
    let known = known.iter().map(|kind| Variation::of(&place, *kind));
    let known = Known(known.collect());
    let mut suspects = RecheckState::new(&compared(&old, &new));
    suspects.observe(Later {
        own: [&compared(&old, &later_old), &compared(&later_old, &old)],
        both: &compared(&later_old, &later_new),
        earlier: Some(Earlier {
            known: &known,
            new: &compared(&new, &later_new),
        }),
    });
    suspects.classification()
}

#[test]
fn known_noise_is_noise_if_new_differs_from_itself() {
    let [ab, ba] = [r#"{"a": [1, 2]}"#, r#"{"a": [2, 1]}"#];
    let order = [Kind::Order];
    assert_eq!(
        observed_with(&order, [[ab, ba], [ab, ab]]),
        Classification::Noise
    );
    assert_eq!(
        observed_with(&[], [[ab, ba], [ab, ab]]),
        Classification::Lag
    );
    assert_eq!(
        observed_with(&[Kind::Value], [[ab, ba], [ab, ab]]),
        Classification::Lag
    );
    assert_eq!(
        observed_with(&order, [[ab, ba], [ab, ba]]),
        Classification::Open
    );
    let gone = "{}";
    assert_eq!(
        observed_with(&order, [[ab, gone], [ab, gone]]),
        Classification::Open
    );
    assert_eq!(
        observed_with(&[Kind::Extra], [[ab, gone], [ab, ab]]),
        Classification::Noise
    );
    // Another place differs as well.
    let [one, two] = [r#"{"a": [2, 1], "b": 1}"#, r#"{"a": [1, 2], "b": 1}"#];
    let ab = r#"{"a": [1, 2], "b": 0}"#;
    assert_eq!(
        observed_with(&order, [[ab, one], [ab, two]]),
        Classification::Open
    );
}

proptest! {
    /// Each field is one of: equal, noise (different in every reading), lag (equal later), a defect, or a defect where
    /// old differs in every reading: new drops it, sends null, or another type.
    #[test]
    fn each_field_ends_as_what_it_is(fields in prop::collection::vec(0..7u32, 1..8)) {
        let body = |reading: u32, stack: u32| {
            let values = fields.iter().enumerate().filter_map(|(name, kind)| {
                let clock = 1 + 2 * reading + stack;
                let value = match kind {
                    0 => 0.into(),
                    2 => if reading == 0 { stack } else { 0 }.into(),
                    3 => stack.into(),
                    4 if stack == 1 => return None,
                    5 if stack == 1 => serde_json::Value::Null,
                    6 if stack == 1 => clock.to_string().into(),
                    _ => clock.into(),
                };
                Some((format!("f{name}"), value))
            });
            serde_json::Value::Object(values.collect()).to_string()
        };
        let bodies: Vec<_> = (0..3).map(|reading| [body(reading, 0), body(reading, 1)]).collect();
        let readings: Vec<_> = bodies.iter().map(|pair| [pair[0].as_str(), pair[1].as_str()]).collect();
        prop_assume!(fields.iter().any(|kind| *kind > 0));
        let (classification, reported) = observed(JSON, &readings);
        let of = |wanted: std::ops::Range<u32>| -> Vec<String> {
            let fields = fields.iter().enumerate().filter(|(_, kind)| wanted.contains(*kind));
            fields.map(|(name, _)| format!("$.f{name}")).collect()
        };
        let expected = match (of(3..7), of(2..3)) {
            (defects, _) if !defects.is_empty() => (Classification::Open, defects),
            (_, lags) if !lags.is_empty() => (Classification::Lag, lags),
            _ => (Classification::Noise, of(1..2)),
        };
        prop_assert_eq!((classification, reported), expected);
    }
}
