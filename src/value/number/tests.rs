//! Numbers are compared exactly, at any size and in any spelling.

use super::*;
use proptest::prelude::*;

fn decimal(text: &str) -> Decimal<'_> {
    Decimal::parse(text).unwrap_or_else(|| panic!("{text}"))
}

fn tolerance(abs: &str, rel: &str) -> Tolerance {
    Tolerance {
        abs: abs.parse().ok(),
        rel: rel.parse().ok(),
    }
}

#[test]
fn equal_numbers_are_equal_however_they_are_spelled() {
    for (one, other) in [
        ("1", "1.0"),
        ("1", "1e0"),
        ("10", "1e1"),
        ("100", "0.001E+5"),
        ("-0", "0"),
        ("0.0", "-0e99999999999999999999"),
        ("0.00120", "12e-4"),
        ("1e400", "10e399"),
        ("1e999999999", "0.1e1000000000"),
    ] {
        assert_eq!(decimal(one), decimal(other), "{one} {other}");
        assert_eq!(decimal(one).cmp(&decimal(other)), Ordering::Equal);
    }
    let long = format!("{}.{}", "7".repeat(10_000), "0".repeat(10_000));
    assert_eq!(decimal(&long), decimal(&"7".repeat(10_000)));
}

#[test]
fn unlike_numbers_are_ordered() {
    for (low, high) in [
        ("9007199254740992", "9007199254740993"),
        ("-1", "1"),
        ("0", "1e-400"),
        ("-1e-400", "0"),
        ("1e399", "1e400"),
        ("-1e400", "-1e399"),
        ("0.1", "0.10000000000000000000000000001"),
        ("12", "123"),
    ] {
        assert_ne!(decimal(low), decimal(high), "{low} {high}");
        assert!(decimal(low) < decimal(high), "{low} {high}");
    }
}

#[test]
fn tolerances_are_exact_at_their_edge() {
    for (abs, rel, old, new, covered) in [
        ("0.01", "", "1.00", "1.01", true),
        ("0.01", "", "1.00", "1.0100000000000000000000000001", false),
        ("0.1", "", "0.3", "0.2", true),
        ("0", "", "1", "1.0", true),
        ("0.5", "", "-0.25", "0.25", true),
        ("0.5", "", "-0.25", "0.26", false),
        ("", "0.1", "100", "90", true),
        ("", "0.1", "100", "89.9", false),
        ("", "0.1", "0", "1e-9", false),
        ("1", "1e-9", "1e999999999", "1e999999999", true),
        ("1", "", "1e999999999", "2e999999999", false),
        ("1", "", "1e-999999999", "0", true),
        ("1", "", "1e-999999999", "1", true),
        ("1", "", "-1e-999999999", "1", false),
        ("1e-999999999", "", "1", "1.0", true),
        ("1e-999999999", "", "1", "1.1", false),
        ("", "1", "1e999999999", "1e-999999999", true),
    ] {
        let (old, new) = (decimal(old), decimal(new));
        assert_eq!(
            tolerance(abs, rel).covers(&old, &new),
            covered,
            "{old:?} {new:?}"
        );
        assert_eq!(
            tolerance(abs, rel).covers(&new, &old),
            covered,
            "{new:?} {old:?}"
        );
    }
}

#[test]
fn halves_are_rounded_away_from_zero() {
    for (number, places, rounded) in [
        ("2.345", 2, "2.35"),
        ("2.344999999999999999999", 2, "2.34"),
        ("-2.345", 2, "-2.35"),
        ("-0.4", 0, "0"),
        ("0.5", 0, "1"),
        ("0.05", 0, "0"),
        ("9.995", 2, "10"),
        ("99.95", 1, "100"),
        ("1250", -2, "1300"),
        ("49", -2, "0"),
        ("50", -2, "100"),
        ("5", -2, "0"),
        ("1e400", 2, "1e400"),
        ("1e-400", 2, "0"),
        ("1.50", 5, "1.5"),
        ("0", 2, "0"),
    ] {
        let (number, expected) = (decimal(number), decimal(rounded));
        assert_eq!(number.rounded(places), expected.rounded(1000), "{number:?}");
    }
}

#[test]
fn whole_numbers_are_scaled_exactly() {
    for (number, places, scaled) in [
        ("1.5", 1, Some(15)),
        ("1.5", 0, None),
        ("-12e3", 2, Some(-1_200_000)),
        ("0", 9, Some(0)),
        ("1e40", 0, None),
        ("1e-5", 9, Some(10_000)),
    ] {
        assert_eq!(decimal(number).scaled(places), scaled, "{number}");
    }
}

proptest! {
    #[test]
    fn small_numbers_compare_like_integers(
        one in -2000i64..2000, other in -2000i64..2000, reach in 0i64..500, shift in 0u32..6,
    ) {
        let spell = |number: i64| format!("{}e-{shift}", number * 10i64.pow(shift));
        let (x, y, reach_text) = (spell(one), other.to_string(), spell(reach));
        prop_assert_eq!(decimal(&x).cmp(&decimal(&y)), one.cmp(&other));
        let near = tolerance(&reach_text, "").covers(&decimal(&x), &decimal(&y));
        prop_assert_eq!(near, (one - other).abs() <= reach);
    }
}
