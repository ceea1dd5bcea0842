//! Variation on both stacks makes no verdict `unsafe`, and leads to the rule that it needs.

use crate::support::{Sidecar, Stack, eventually, json};
use std::sync::Mutex;

/// Lists the same two items in random order.
fn batches(seed: u64) -> Stack {
    let state = Mutex::new(seed);
    Stack::start(move |_| {
        let mut state = state.lock().unwrap();
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mut items = [r#"{"id": {"S": "a"}}"#, r#"{"id": {"S": "b"}}"#];
        if *state >> 63 == 1 {
            items.reverse();
        }
        json(&format!(
            r#"{{"Responses": {{"Music": [{}]}}}}"#,
            items.join(", ")
        ))
    })
}

#[test]
fn old_against_itself_in_either_order_is_not_unsafe() {
    let (old, new) = (batches(4), batches(5));
    let recheck = "after: [1ms, 2ms, 3ms], max_per_second: 100000";
    let sidecar = Sidecar::rechecking(old.addr, new.addr, (recheck, ""));
    let mut caller = sidecar.caller();
    let outcomes = || {
        let outcomes = ["match", "noise", "transient", "mismatch"];
        outcomes.map(|name| {
            sidecar.metric("twinread_checks_total", &format!("outcome=\"{name}\"")) as u64
        })
    };
    let mut learnt = None;
    for number in 1..=600 {
        caller.get("/batch");
        sidecar.quiet(number);
        if number == 60 {
            learnt = Some(outcomes());
        }
    }
    let ([.., transient, mismatch], after) = (learnt.unwrap(), outcomes());
    assert_eq!(
        after[2..],
        [transient, mismatch],
        "{after:?} after {learnt:?}"
    );
    assert!(after[1] > 200, "{after:?}");
    sidecar.judged(600);
    let verdict = sidecar.ask("/v1/verdict");
    assert_eq!(verdict["verdict"], "undecided", "{verdict:#}");

    let suggested = eventually("noise is stored", || {
        let page = sidecar.ask("/v1/rules/suggestions");
        page["suggestions"][0]["rule"].is_object().then_some(page)
    });
    let rule = &suggested["suggestions"][0]["rule"];
    assert_eq!(
        (&rule["at"], &rule["do"]),
        (&"$.Responses.Music".into(), &"unordered".into()),
        "{suggested:#}"
    );
}
