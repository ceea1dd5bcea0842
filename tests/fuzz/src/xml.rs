//! The XML reader: any two texts, and any text compared with itself plus a comment at its end.
#![no_main]

use http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use libfuzzer_sys::fuzz_target;
use twinread::compare::{Answer, CompareConfig, Compared, Comparison, Context, compare};

fuzz_target!(|input: &[u8]| {
    let at = input.iter().position(|byte| *byte == 0);
    let (old, new) = input.split_at(at.unwrap_or(input.len() / 2));
    assert_eq!(count(&compared(old, new)), count(&compared(new, old)));
    let comparison = compared(input, &[input, b"<!-- -->"].concat());
    // Text that is not XML is compared as text, and has one more line.
    if let Compared::Different { differences, .. } = &comparison.result {
        for difference in differences {
            assert!(
                !difference.place.to_string().starts_with('$'),
                "{difference:?}"
            );
        }
    }
});

fn count(comparison: &Comparison) -> Option<usize> {
    match &comparison.result {
        Compared::Equal(_) => Some(0),
        Compared::Different { count, .. } => Some(*count),
        Compared::NotCompared(_) => None,
    }
}

fn compared(old: &[u8], new: &[u8]) -> Comparison {
    let context = Context {
        route: "fuzz",
        method: &Method::GET,
        today: jiff::civil::date(2026, 11, 22),
        deadline: None,
        message_type: None,
    };
    compare(&answer(old), &answer(new), &context, &CompareConfig::default())
}

fn answer(body: &[u8]) -> Answer {
    let xml = HeaderValue::from_static("application/xml");
    Answer {
        status: StatusCode::OK,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, xml)]),
        body: body.to_vec().into(),
        trailers: HeaderMap::new(),
    }
}
