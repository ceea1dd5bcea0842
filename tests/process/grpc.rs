//! Calls of gRPC, from the declared method to the reported field.

use crate::support::{Caller, Reply, Sidecar, Stack, eventually};
use serde_json::{Value, json};

const PROTO: &str = "syntax = \"proto3\";\npackage shop.v1;\n\
                     message Get { string sku = 1; }\n\
                     message Item { string sku = 1; int32 size = 2; }\n\
                     service Catalogue { rpc Get(Get) returns (Item); rpc Put(Get) returns (Item); }\n";
const READS: &str = "reads: [{grpc: 'shop.v1.*/{Get,List}*'}]\n";

/// Answers each call with a message, whose bytes are text, and a status.
fn answering(message: &'static str, status: u8) -> Stack {
    Stack::start(move |_| {
        let framed = framed(message);
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
        r#"{"sku":"string(1)","size":"number(1)"}"#
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
