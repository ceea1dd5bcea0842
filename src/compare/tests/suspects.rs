//! What later readings say about places that differed at first.

use super::*;
use proptest::prelude::*;

/// What comes of readings, each as the old stack's and the new one's; and what is told then.
fn heard(kind: &'static str, readings: &[[&str; 2]]) -> (Standing, Vec<String>) {
    heard_under(&[], kind, readings)
}

fn heard_under(
    rules: &[(&str, &str)],
    kind: &'static str,
    readings: &[[&str; 2]],
) -> (Standing, Vec<String>) {
    let compared = |old, new| compared(old, new, rules).result;
    let answers: Vec<_> = readings
        .iter()
        .map(|pair| pair.map(|body| answer(kind, body.to_owned())))
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
fn places_that_are_wrong_by_turns_differ_still() {
    let right = r#"{"a": 1, "b": 1}"#;
    let [both, a, b] = [
        r#"{"a": 0, "b": 0}"#,
        r#"{"a": 0, "b": 1}"#,
        r#"{"a": 1, "b": 0}"#,
    ];
    let found = heard(JSON, &[[right, both], [right, b], [right, a], [right, b]]);
    assert_eq!(found, (Standing::Open, vec!["$.b".to_owned()]));
    let found = heard(
        JSON,
        &[[right, both], [right, b], [right, a], [right, right]],
    );
    let places = ["$.a", "$.b"].map(str::to_owned).to_vec();
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
fn a_line_that_is_always_wrong_differs_still_where_lines_before_it_come_and_go() {
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
        let found = heard(text, &readings);
        assert_eq!(found, (Standing::Open, vec![line.to_owned()]));
    }
}

#[test]
fn lines_that_come_and_go_at_one_place_are_noise() {
    let readings = [["head\na", "head\nx1\na"], ["head\nx2\nx2\na", "head\na"]];
    assert_eq!(heard("text/plain", &readings).0, Standing::Noise);
}

#[test]
fn bytes_are_noise_from_the_first_on_in_which_olds_own_readings_differ() {
    let bytes = "application/pdf";
    let defect = [["%PDF 1", "junk 2"], ["%PDF 3", "junk 4"]];
    let found = heard(bytes, &defect);
    assert_eq!(found, (Standing::Open, vec!["byte 0".to_owned()]));
    let noise = [["%PDF 1", "%PDF 2"], ["%PDF 3", "%PDF 4"]];
    assert_eq!(heard(bytes, &noise).0, Standing::Noise);
    let later = [["%PDF 1x", "%PDF 1y"], ["%PDF 3x", "%PDF 4z"]];
    assert_eq!(heard(bytes, &later).0, Standing::Noise);
    let lag = [["%PDF 1", "junk 2"], ["%PDF 3", "%PDF 4"]];
    assert_eq!(heard(bytes, &lag).0, Standing::Lag);
}

#[test]
fn a_member_that_is_always_wrong_differs_still_where_a_rule_lets_its_array_be_in_any_order() {
    let rules = [("$.items", "{unordered: {key: id}}")];
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
    let found = heard_under(&rules, JSON, &readings);
    let place = vec!["$.items[1].ts".to_owned()];
    assert_eq!(found, (Standing::Open, place));
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
