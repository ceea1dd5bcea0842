//! Recognizes personal texts: card numbers, IBANs, telephone numbers, addresses.

use regex::Regex;
use std::sync::LazyLock;

/// With a country code, with an area code that begins with 0, or in the North American format.
static TELEPHONE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?x)
        ^ (tel:)? ( \+ [1-9] ([\ ().\-/]* \d){6,14} | 00 [1-9] ([\ ().\-/]* \d){8,14} ) $
        | ^ (tel:)? \(? 0 \d{2,4} \)? [\ .\-/]{1,2} \d ([\ .\-/]? \d){4,9} $
        | ^ (tel:)? \(? [2-9] \d{2} \)? [\ .\-]{1,2} \d{3} [\ .\-] \d{4} $";
    Regex::new(pattern).expect("the pattern must be valid")
});

/// Whether the text identifies a person, so that a path must not show it.
pub(super) fn is_somebodys(text: &str) -> bool {
    is_address(text) || is_card(text) || is_iban(text) || TELEPHONE.is_match(text)
}

/// An `@` that does not begin the name: `@id` is how XML and JSON-LD mark attributes.
pub(super) fn is_address(name: &str) -> bool {
    name.chars().skip(1).any(|letter| letter == '@')
}

/// 13 to 19 digits with a valid ISO/IEC 7812 check digit (Luhn), grouped or not.
fn is_card(text: &str) -> bool {
    let Some(digits) = plain(text)
        .map(|c| c.to_digit(10))
        .collect::<Option<Vec<_>>>()
    else {
        return false;
    };
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let weighted = digits.iter().rev().enumerate();
    let sum: u32 = weighted
        .map(|(index, digit)| {
            if index % 2 == 1 {
                doubled(*digit)
            } else {
                *digit
            }
        })
        .sum();
    (13..=19).contains(&digits.len()) && sum.is_multiple_of(10)
}

/// A country, two check digits and an account (ISO 13616), grouped or not.
fn is_iban(text: &str) -> bool {
    let chars: Vec<_> = plain(text).collect();
    let is_shaped = (15..=34).contains(&chars.len())
        && chars.iter().all(char::is_ascii_alphanumeric)
        && chars[..2].iter().all(char::is_ascii_alphabetic)
        && chars[2..4].iter().all(char::is_ascii_digit);
    let remainder = |rest: u32, c: &char| {
        let value = c.to_digit(36).unwrap_or(0);
        let shift = if value > 9 { 100 } else { 10 };
        (rest * shift + value) % 97
    };
    is_shaped && chars[4..].iter().chain(&chars[..4]).fold(0, remainder) == 1
}

/// The text without group separators.
fn plain(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|c| !matches!(c, ' ' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_cards_accounts_and_telephones_are_somebodys() {
        for text in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "3782-822463-10005",
            "DE89370400440532013000",
            "de89 3704 0044 0532 0130 00",
            "NO9386011117947",
            "+4915123456789",
            "+49 (151) 234-5678",
            "0049 151 2345678",
            "tel:+12125550123",
            "212-555-0123",
            "(212) 555-0123",
            "030/1234567",
            "0151-23456789",
            "anna@example.com",
        ] {
            assert!(is_somebodys(text), "{text}");
        }
    }

    #[test]
    fn ids_dates_and_versions_are_nobodys() {
        for text in [
            "",
            "42",
            "4111111111111112",
            "DE88370400440532013000",
            "2026-11-22",
            "01-02-2024",
            "1.2.3",
            "20931",
            "f47ac10b-58cc-4372-a567-0e02b2c3d479",
            "1732271234567",
            "192.168.0.1",
            "@type",
            "+1",
            "order-17",
        ] {
            assert!(!is_somebodys(text), "{text}");
        }
    }
}
