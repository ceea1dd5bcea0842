//! Nothing personal leaves the process: a report holds no secret that was planted into its check.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use proptest::prelude::*;
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};
use twinread::testing::{
    budget::Budget,
    ledger::{Gauges, Ledger},
    pipeline::{
        CheckInput, FinishedCheck, ReadMeta, ReadRequest, Rechecked, Report, Span, TimedAnswer,
    },
    redact::{Config, HashKey, Redactor, Values},
    trace_context::TraceContext,
};
use twinread::{
    compare::{Answer, Compared},
    outcome::{Mark, Outcome},
    value::{Difference, Kind, Place, Step, Value},
};

/// Content types of bodies that secrets are planted in.
const CONTENT_TYPES: [&str; 9] = [
    "application/json",
    "application/problem+json; charset=utf-8",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "application/xml",
    "text/plain",
    "application/octet-stream",
    "multipart/form-data; boundary=x",
    "no content type",
];

/// A secret that resembles nothing else in a report.
fn secrets() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Z]{3}zq[a-zA-Z0-9]{4,40}",
        "[1-9][0-9]{11,15}",
        "zq[äöüß漢字]{2,4}qz",
    ]
}

/// A document that holds the secret in a leaf, some levels deep, among others.
fn documents(secret: String) -> impl Strategy<Value = serde_json::Value> {
    let number = secret.parse::<u64>().ok();
    let leaf = prop_oneof![
        Just(json!(secret)),
        Just(json!(format!("before {secret} after"))),
        Just(number.map_or(json!(secret), |number| json!(number))),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[a-z]{1,8}|password|user email", inner, 1..4).prop_map(
                |members| members
                    .into_iter()
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            ),
        ]
    })
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn body(content_type: &str, secret: &str, document: &serde_json::Value) -> Bytes {
    match content_type {
        "application/x-ndjson" => format!("{document}\n{document}\n").into(),
        "application/x-www-form-urlencoded" => {
            let encoded = percent(secret);
            format!("a={encoded}&password={encoded}&b&{encoded}").into()
        }
        "application/octet-stream" => [b"\xff\xfe", secret.as_bytes(), b"\x80"].concat().into(),
        _ if content_type.contains("json") => document.to_string().into(),
        _ => format!("<a>{secret}</a>").into(),
    }
}

fn headers(content_type: &str, secret: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(content_type) = HeaderValue::from_str(content_type) {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    let value = HeaderValue::from_bytes(secret.as_bytes()).unwrap();
    for name in [
        "authorization",
        "cookie",
        "set-cookie",
        "x-user",
        "etag",
        "location",
        "user-agent",
    ] {
        headers.append(HeaderName::from_static(name), value.clone());
    }
    let latin = [secret.as_bytes(), b"\xff"].concat();
    headers.append("x-latin", HeaderValue::from_bytes(&latin).unwrap());
    headers
}

fn differences(secret: &str, document: &serde_json::Value) -> Vec<Difference> {
    let address = Step::Name(format!("{secret}@example.com"));
    let places = [
        Place::Body,
        Place::Header("etag".to_owned()),
        Place::Trailer("x-checksum".to_owned()),
        Place::Form("password".to_owned()),
        Place::Lines { first: 1, last: 2 },
        Place::Node(vec![
            Step::Name("users".to_owned()),
            Step::Index(3),
            address,
        ]),
    ];
    let sides = [
        Value::Json(document.clone()),
        Value::Text(secret.to_owned()),
    ];
    let found = places.iter().flat_map(|place| {
        sides.iter().map(|value| Difference {
            place: place.clone(),
            kind: Kind::Value,
            old: Some(value.clone()),
            new: Some(value.clone()),
        })
    });
    found.collect()
}

fn report(
    secret: &str,
    document: &serde_json::Value,
    (values, content_type): (Values, &str),
) -> Report {
    let input = input(secret, content_type, &body(content_type, secret, document));
    let answer = TimedAnswer {
        answer: input.primary.as_ref().unwrap().answer.clone(),
        took: input.primary.as_ref().unwrap().took,
    };
    let differences = differences(secret, document);
    let span = Span {
        own: TraceContext {
            trace_id: 1,
            span_id: 2,
            flags: 1,
            state: String::new(),
        },
        live: None,
        started: SystemTime::UNIX_EPOCH,
        sent: Mutex::default(),
    };
    let rechecked = Rechecked {
        count: 1,
        is_conditional: false,
        lag: None,
        noise: differences
            .iter()
            .map(|found| found.place.clone())
            .collect(),
    };
    let checked = FinishedCheck {
        input: &input,
        request: &input.request,
        span: &span,
        shadow: Some(&answer),
        outcome: Outcome::Mismatch(Mark::Plain),
        rechecked: &rechecked,
        room: differences.len(),
        compared: &Compared::Different {
            count: differences.len(),
            differences,
        },
    };
    let config = Config {
        values,
        ..Config::default()
    };
    checked.report(&Redactor::new(config, HashKey([9; 16])))
}

/// A read whose every part holds the secret.
fn input(secret: &str, content_type: &str, body: &Bytes) -> CheckInput {
    let headers = headers(content_type, secret);
    let encoded = percent(secret);
    let uri = format!(
        "/users/{encoded}@example.com/token/{encoded}?q={encoded}&api_token={encoded}&{encoded}"
    );
    let request = ReadRequest {
        method: Method::POST,
        uri: uri.parse::<Uri>().unwrap(),
        headers: headers.clone(),
        body: body.clone(),
    };
    let answer = Answer {
        status: StatusCode::OK,
        headers: headers.clone(),
        body: body.clone().into(),
        trailers: headers,
    };
    CheckInput {
        meta: ReadMeta {
            ticket: Ledger::new(10, Gauges::default()).route("route").sample(),
            routes: Arc::default(),
            comparing: Arc::default(),
            held: Budget::new(0).share(),
            observer: None,
        },
        request,
        primary: Some(TimedAnswer {
            answer,
            took: Duration::from_millis(1),
        }),
        offered: Instant::now(),
    }
}

proptest! {
    #[test]
    fn no_planted_secret_is_ever_reported(
        (secret, document) in secrets().prop_flat_map(|secret| (Just(secret.clone()), documents(secret))),
        values in prop::sample::select(&[Values::Masked, Values::Hashed][..]),
        content_type in prop::sample::select(&CONTENT_TYPES[..]),
    ) {
        let report = report(&secret, &document, (values, content_type));
        let reported = format!("{report:?}");
        prop_assert!(!reported.contains(&secret), "{secret} in {reported}");
        prop_assert!(!reported.contains(&percent(&secret)), "{secret}, encoded, in {reported}");
    }
}

#[test]
fn what_is_asked_for_is_shown_but_for_what_is_named() {
    let document = json!({"name": "Anna", "login": {"password": "hunter2", "tokens": ["abc"]}});
    let report = report("Anna", &document, (Values::Shown, "application/json"));
    let body = report.request.body.unwrap();
    assert_eq!(
        body,
        r#"{"name":"Anna","login":{"password":"string(7)","tokens":"array(1)"}}"#
    );
    assert!(!format!("{:?}", report.differences).contains("hunter2"));
    assert!(
        report
            .request
            .headers
            .contains(&("x-user".to_owned(), "Anna".to_owned()))
    );
    assert!(
        report
            .request
            .headers
            .contains(&("cookie".to_owned(), "string(4)".to_owned()))
    );
    assert!(
        report
            .request
            .query
            .unwrap()
            .contains("api_token=string(4)")
    );
}
