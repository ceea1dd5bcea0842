//! Calls of gRPC, from the declared method to the reported field.

use crate::support::{Caller, Reply, Sidecar, Stack, eventually};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

const PROTO: &str = "syntax = \"proto3\";\npackage shop.v1;\n\
                     message Get { string sku = 1; }\n\
                     message Item { string sku = 1; int32 size = 2; repeated Item parts = 3; }\n\
                     service Catalogue { rpc Get(Get) returns (Item); rpc Put(Get) returns (Item); }\n";
const READS: &str = "reads: [{grpc: 'shop.v1.*/{Get,List}*'}]\n";

/// Answers each call with a message, whose bytes are text, and a status.
fn answering(message: &'static str, status: u8) -> Stack {
    answering_each(move || message.to_owned(), status)
}

fn answering_each(message: impl Fn() -> String + Send + Sync + 'static, status: u8) -> Stack {
    Stack::start(move |_| {
        let framed = framed(&message());
        let length = framed.len();
        Reply::Write(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: {status}\r\n\
             content-length: {length}\r\n\r\n{framed}"
        ))
    })
}

fn framed(message: &str) -> String {
    format!("\0\0\0\0{}{message}", char::from(message.len() as u8))
}

fn call(caller: &mut Caller, method: &str) {
    let body = framed("\n\u{1}a");
    let length = body.len();
    let answer = caller.send(&format!(
        "POST /shop.v1.Catalogue/{method} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/grpc\r\n\
         content-length: {length}\r\n\r\n{body}"
    ));
    assert_eq!(answer.status, 200);
}

fn comparing(old: &Stack, new: &Stack) -> Sidecar {
    let folder = tempfile::tempdir().unwrap();
    let proto = folder.path().join("shop.proto");
    std::fs::write(&proto, PROTO).unwrap();
    let grpc = format!("grpc: {{descriptors: ['{}']}}\n", proto.display());
    Sidecar::start(old.addr, new.addr, &format!("{READS}{grpc}"))
}

fn mismatch(sidecar: &Sidecar) -> Value {
    eventually("a mismatch", || {
        let page = sidecar.ask("/v1/mismatches?limit=1");
        page["mismatches"].get(0).cloned()
    })
}

#[test]
fn call_is_compared_by_field_and_named_by_its_method() {
    let (old, new) = (
        answering("\n\u{1}a\u{10}\u{2}", 0),
        answering("\u{10}\u{2}\n\u{1}b", 0),
    );
    let sidecar = comparing(&old, &new);
    let mut caller = sidecar.caller();
    call(&mut caller, "Get");
    call(&mut caller, "Put");
    assert_eq!(sidecar.quiet(1), 1, "what is not declared is not sampled");
    let mismatch = mismatch(&sidecar);
    assert_eq!(mismatch["route"], "shop.v1.Catalogue/Get");
    let differences = mismatch["differences"].as_array().unwrap();
    let [difference] = &differences[..] else {
        panic!("{mismatch}")
    };
    assert_eq!(
        [&difference["place"], &difference["kind"]],
        ["$.sku", "value"]
    );
    assert_eq!(mismatch["request"]["body"], r#"{"sku":"string(1)"}"#);
    assert_eq!(
        mismatch["old"]["body"],
        r#"{"sku":"string(1)","size":"number(1)","parts":[]}"#
    );
    assert_eq!(mismatch["request"]["masked"], json!(["body"]));
    assert_eq!(
        sidecar.metric("twinread_bound_reached_total", "descriptors"),
        0.0
    );
    assert_eq!(new.requests().len(), 1);
}

#[test]
fn other_order_of_fields_is_a_match_and_another_status_is_none() {
    let old = answering("\n\u{1}a\u{10}\u{2}", 0);
    let sidecar = comparing(&old, &answering("\u{10}\u{2}\n\u{1}a", 0));
    call(&mut sidecar.caller(), "Get");
    sidecar.quiet(1);
    assert_eq!(sidecar.metric("twinread_checks_total", "match"), 1.0);

    let sidecar = comparing(&old, &answering("\n\u{1}a\u{10}\u{2}", 16));
    call(&mut sidecar.caller(), "Get");
    sidecar.quiet(1);
    let mismatch = mismatch(&sidecar);
    assert_eq!(mismatch["differences"][0]["place"], "trailer.grpc-status");
    assert_eq!(mismatch["detail"], "auth", "{mismatch}");
}

#[test]
fn method_without_a_descriptor_is_compared_as_bytes_and_counted() {
    let sidecar = comparing(&answering("\n\u{1}a", 0), &answering("\n\u{1}b", 0));
    call(&mut sidecar.caller(), "List");
    sidecar.quiet(1);
    let difference = &mismatch(&sidecar)["differences"][0];
    assert_eq!(
        [&difference["place"], &difference["kind"]],
        ["byte 7", "bytes"]
    );
    assert_eq!(difference["old"], "messages without a descriptor(8 bytes)");
    assert_eq!(
        sidecar.metric("twinread_bound_reached_total", "descriptors"),
        1.0
    );
}

/// An item with four parts, each a sku of one digit and a size.
fn parts(skus: [u8; 4], sizes: [u8; 4]) -> String {
    let parts = skus
        .into_iter()
        .zip(sizes)
        .map(|(sku, size)| format!("\u{1a}\u{5}\n\u{1}{sku}\u{10}{}", char::from(size)));
    parts.collect()
}

#[test]
fn rules_for_fields_are_suggested_and_previewed() {
    let old = answering_each(|| parts([1, 2, 3, 4], [1, 2, 3, 4]), 0);
    let calls = AtomicUsize::new(0);
    // Moved, and one of them changed.
    let moved = move || {
        let mut sizes = [3, 1, 4, 2];
        sizes[calls.fetch_add(1, Ordering::Relaxed) % 4] = 77;
        parts([3, 1, 4, 2], sizes)
    };
    let sidecar = comparing(&old, &answering_each(moved, 0));
    let mut caller = sidecar.caller();
    (0..4).for_each(|_| call(&mut caller, "Get"));
    sidecar.quiet(4);
    let found = eventually("every mismatch is stored", || {
        let found = sidecar.ask("/v1/rules/suggestions");
        (found["mismatches"] == 4).then_some(found)
    });
    let rule = json!({"at": "$.parts", "do": {"unordered": {"key": "sku"}}});
    let lists = ["suggestions", "questions"].map(|list| found[list].as_array());
    let mut rules = lists
        .into_iter()
        .flatten()
        .flatten()
        .map(|one| &one["rule"]);
    let is_it = |one: &Value| one["at"] == rule["at"] && one["do"] == rule["do"];
    assert!(rules.any(is_it), "{found}");

    let file = "rules: [{id: parts, why: w, at: $.parts, do: ignore}]";
    let length = file.len();
    let answer = Caller::connect(sidecar.admin).send(&format!(
        "POST /v1/rules/preview HTTP/1.1\r\nhost: {}\r\ncontent-type: application/yaml\r\n\
         content-length: {length}\r\n\r\n{file}",
        sidecar.admin
    ));
    let preview: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(preview["hidden"]["count"], 4, "{preview}");
}
