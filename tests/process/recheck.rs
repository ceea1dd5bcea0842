//! `twinread recheck`: which stored mismatches of a class remain after the new stack was fixed.

use crate::support::{Reply, Sidecar, Stack, eventually, json, twinread};
use serde_json::Value;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// A pair that differs in the price of every item, until the new one is fixed up to some id.
struct Pair {
    sidecar: Sidecar,
    repaired: Arc<AtomicUsize>,
    /// Requests that the new stack received.
    heads: Arc<Mutex<Vec<String>>>,
}

fn id(request: &str) -> usize {
    let path = request.split(' ').nth(1).unwrap();
    let path = path.split('?').next().unwrap();
    path.rsplit('/').next().unwrap().parse().unwrap()
}

// === impl Pair ===

impl Pair {
    fn start(more: &str) -> Self {
        let old =
            Stack::start(|request| json(&format!(r#"{{"id": {}, "price": 9}}"#, id(request))));
        let (repaired, heads) = (
            Arc::<AtomicUsize>::default(),
            Arc::<Mutex<Vec<_>>>::default(),
        );
        let (up_to, seen) = (repaired.clone(), heads.clone());
        let new = Stack::start(move |request| {
            seen.lock().unwrap().push(request.to_owned());
            let id = id(request);
            let price = if id <= up_to.load(Ordering::SeqCst) {
                9
            } else {
                8
            };
            json(&format!(r#"{{"id": {id}, "price": {price}}}"#))
        });
        let sidecar = Sidecar::start(old.addr, new.addr, more);
        Self {
            sidecar,
            repaired,
            heads,
        }
    }

    /// Reads each path with `headers` after the request line, and returns the resulting class.
    fn read(&self, paths: &[&str], headers: &str) -> String {
        let mut caller = self.sidecar.caller();
        for path in paths {
            caller.send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n{headers}\r\n"));
        }
        self.sidecar.quiet(paths.len() as u64);
        eventually("the class is kept", || {
            let classes = self.sidecar.ask("/v1/classes");
            let class = &classes["classes"][0];
            (class["count"] == paths.len()).then(|| class["id"].as_str().unwrap().to_owned())
        })
    }

    fn recheck(&self, class: &str, more: &[&str]) -> (Option<i32>, Value) {
        let admin = format!("http://{}", self.sidecar.admin);
        let output = twinread()
            .args(["recheck", "--json", "--class", class, "--admin", &admin])
            .args(more)
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        let document = serde_json::from_str(&printed).unwrap_or(Value::String(errors));
        (output.status.code(), document)
    }
}

fn counts(document: &Value) -> [u64; 3] {
    ["still_there", "vanished", "not_judged"].map(|name| {
        let count = document[name].as_u64();
        count.unwrap_or_else(|| panic!("{name} in {document}"))
    })
}

#[test]
fn recheck_after_a_fix_reports_the_rest_and_counts_nowhere() {
    let pair = Pair::start("");
    let class = pair.read(&["/items/1", "/items/2", "/items/3"], "user-agent: me\r\n");
    let (code, document) = pair.recheck(&class, &[]);
    assert_eq!(
        (code, counts(&document)),
        (Some(1), [3, 0, 0]),
        "{document}"
    );

    pair.repaired.store(2, Ordering::SeqCst);
    let (code, document) = pair.recheck(&class, &[]);
    assert_eq!(
        (code, counts(&document)),
        (Some(1), [1, 2, 0]),
        "{document}"
    );
    let mut examples = document["examples"].as_array().unwrap().iter();
    let left = examples.find(|example| example["found"] == "still_there");
    assert_eq!(left.unwrap()["path"], "/items/3");
    let (_, newest) = pair.recheck(&class, &["--limit", "1"]);
    assert_eq!(counts(&newest).iter().sum::<u64>(), 1);

    pair.repaired.store(3, Ordering::SeqCst);
    let (code, document) = pair.recheck(&class, &[]);
    assert_eq!(
        (code, counts(&document)),
        (Some(0), [0, 3, 0]),
        "{document}"
    );

    assert_eq!(pair.sidecar.metric("twinread_sampled_total", ""), 3.0);
    assert_eq!(pair.sidecar.metric("twinread_checks_total", ""), 3.0);
    let heads = pair.heads.lock().unwrap();
    let again: Vec<_> = heads[3..].iter().collect();
    assert_eq!(again.len(), 10);
    for head in again {
        assert!(head.contains("x-twinread: recheck\r\n"), "{head}");
        // Masked in the store, and so left out.
        assert!(!head.contains("user-agent"), "{head}");
    }
}

#[test]
fn an_error_of_the_new_stack_is_no_fix() {
    let old = Stack::json(r#"{"id": 1}"#);
    let fails = Arc::<AtomicUsize>::default();
    let is_failing = fails.clone();
    let new = Stack::start(move |_| match is_failing.load(Ordering::SeqCst) {
        0 => json(r#"{"id": 1, "leak": "x"}"#),
        _ => Reply::Write(
            "HTTP/1.1 500 Oops\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
                .to_owned(),
        ),
    });
    let pair = Pair {
        sidecar: Sidecar::start(old.addr, new.addr, ""),
        repaired: Arc::default(),
        heads: Arc::default(),
    };
    let class = pair.read(&["/items/1"], "");
    fails.store(1, Ordering::SeqCst);
    let (code, document) = pair.recheck(&class, &[]);
    assert_eq!(
        (code, counts(&document)),
        (Some(2), [0, 0, 1]),
        "{document}"
    );
    assert_eq!(
        document["examples"][0]["detail"],
        "the new stack answers 500 now, and the old one 200"
    );
}

#[test]
fn masked_values_are_never_sent_in_a_recheck() {
    for (path, headers, part) in [
        ("/items/7?q=x", "", "query"),
        (
            "/items/7",
            "authorization: Bearer x\r\n",
            "header.authorization",
        ),
        ("/items/7", "x-tenant: a\r\n", "header.x-tenant"),
    ] {
        let pair = Pair::start("");
        let class = pair.read(&[path], headers);
        pair.repaired.store(7, Ordering::SeqCst);
        let (code, document) = pair.recheck(&class, &[]);
        assert_eq!(
            (code, counts(&document)),
            (Some(2), [0, 0, 1]),
            "{document}"
        );
        let detail = document["examples"][0]["detail"].as_str().unwrap();
        assert_eq!(detail, format!("not stored as it was: {part}"));
        assert_eq!(pair.heads.lock().unwrap().len(), 1, "{part}");
    }
    // A shown value is sent unchanged.
    let pair = Pair::start("redact: {values: shown}\n");
    let class = pair.read(&["/items/7?q=x"], "x-tenant: a\r\n");
    pair.repaired.store(7, Ordering::SeqCst);
    let (code, document) = pair.recheck(&class, &[]);
    assert_eq!(
        (code, counts(&document)),
        (Some(0), [0, 1, 0]),
        "{document}"
    );
    let again = pair.heads.lock().unwrap()[1].clone();
    assert!(again.starts_with("GET /items/7?q=x HTTP"), "{again}");
    assert!(again.contains("x-tenant: a\r\n"), "{again}");
}

#[test]
fn headers_that_twinread_adds_do_not_prevent_a_recheck() {
    for forwarded in ["append", "replace"] {
        let pair = Pair::start(&format!("forwarded: {forwarded}\n"));
        let class = pair.read(&["/items/1"], "");
        let (code, document) = pair.recheck(&class, &[]);
        assert_eq!(
            (code, counts(&document)),
            (Some(1), [1, 0, 0]),
            "{document}"
        );
        let heads = pair.heads.lock().unwrap();
        for added in ["x-forwarded-proto: http\r\n", "x-forwarded-host: a\r\n"] {
            assert!(heads.iter().all(|head| head.contains(added)), "{heads:?}");
        }
        assert!(!heads[1].contains("x-forwarded-for"), "masked: {heads:?}");
    }
}

#[test]
fn no_more_is_read_than_the_budget_of_rechecks_allows() {
    let pair = Pair::start("");
    let class = pair.read(&["/items/1", "/items/2"], "");
    let patched = pair
        .sidecar
        .patch(r#"{"recheck": {"max_per_second": 0.001}}"#);
    assert_eq!(patched.status, 200);
    let (code, document) = pair.recheck(&class, &[]);
    assert_eq!(
        (code, counts(&document)),
        (Some(1), [1, 0, 1]),
        "{document}"
    );
    let detail = &document["examples"][1]["detail"];
    assert_eq!(detail, "past recheck.max_per_second");
}

#[test]
fn a_recheck_waits_for_its_turn_at_each_stack() {
    let pair = Pair::start("");
    let paths: Vec<String> = (1..=10).map(|id| format!("/items/{id}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let class = pair.read(&paths, "");
    let patched = pair.sidecar.patch(r#"{"new": {"max_per_second": 5}}"#);
    assert_eq!(patched.status, 200);
    let (code, document) = pair.recheck(&class, &[]);
    assert_eq!(
        (code, counts(&document)),
        (Some(1), [10, 0, 0]),
        "{document}"
    );
}

#[test]
fn an_unknown_class_is_a_wrong_argument() {
    let pair = Pair::start("");
    let (code, error) = pair.recheck("c0ffee", &[]);
    assert_eq!(code, Some(64));
    assert!(
        error
            .as_str()
            .unwrap()
            .contains("there is no mismatch class `c0ffee`"),
        "{error}"
    );
    assert_eq!(pair.recheck("../epoch", &[]).0, Some(64));
}
