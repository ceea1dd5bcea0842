//! The descriptors of gRPC: where they come from, what is refused, and what a change of them begins.

use super::{Folder, STACKS};
use std::fs;
use twinread::testing::config::{Flags, Running, load, reload::Cause};

const LISTED: &str = "grpc: {descriptors: [protos]}\n";
const ITEM: &str = "syntax = \"proto3\";\npackage shop.v1;\nimport \"shop/get.proto\";\n\
                    message Item { string sku = 1; }\n\
                    service Catalogue { rpc Get(Get) returns (Item); }\n";
const GET: &str = "syntax = \"proto3\";\npackage shop.v1;\nmessage Get { string sku = 1; }\n";

fn with_protos(config: &str) -> Folder {
    let folder = Folder::with(config);
    fs::create_dir_all(folder.path().join("protos/shop")).unwrap();
    folder.write("protos/shop/item.proto", ITEM);
    folder.write("protos/shop/get.proto", GET);
    folder
}

#[test]
fn a_folder_of_proto_files_describes_its_services() {
    let folder = with_protos(&format!("{STACKS}{LISTED}"));
    let loaded = folder.load().unwrap();
    let descriptors = &loaded.config.comparing.descriptors;
    let call = descriptors.call("/shop.v1.Catalogue/Get").unwrap();
    assert_eq!(call.request.message.full_name(), "shop.v1.Get");
    assert_eq!(call.answer.message.full_name(), "shop.v1.Item");
    assert!(loaded.warnings().is_empty());
}

#[test]
fn a_set_of_descriptors_is_read_by_its_content() {
    // A file `a.proto` with the message `M`, which has no field.
    let set = b"\x0a\x0e\x0a\x07a.proto\x22\x03\x0a\x01M";
    let folder = Folder::with(&format!("{STACKS}grpc: {{descriptors: [any.name]}}\n"));
    fs::write(folder.path().join("any.name"), set).unwrap();
    let loaded = folder.load().unwrap();
    assert!(loaded.config.comparing.descriptors.message("M").is_some());
    folder.write("any.name", "no descriptors");
    let faults = folder.faults();
    assert_eq!(faults, "any.name: not a set of file descriptors");
    // The same with the syntax `editions`.
    let set = b"\x0a\x18\x0a\x07a.proto\x22\x03\x0a\x01M\x62\x08editions";
    fs::write(folder.path().join("any.name"), set).unwrap();
    let faults = folder.faults();
    let expected = "any.name: a.proto is written in an edition, which is not available yet";
    assert!(faults.starts_with(expected), "{faults}");
}

#[test]
fn names_that_are_taken_are_a_fault() {
    let more = "grpc: {descriptors: [a.proto, b.proto, c.binpb]}\n";
    let folder = Folder::with(&format!("{STACKS}{more}"));
    folder.write("a.proto", "message M {}");
    folder.write("b.proto", "message N {}");
    fs::write(
        folder.path().join("c.binpb"),
        b"\x0a\x0e\x0a\x07c.proto\x22\x03\x0a\x01M",
    )
    .unwrap();
    let faults = folder.faults();
    assert_eq!(
        faults,
        "a.proto: name 'M' is already defined in file 'c.proto'"
    );
    folder.write("b.proto", "message M {}");
    let faults = folder.faults();
    assert!(
        faults.starts_with("b.proto:1:9: name 'M' is already defined in file 'a.proto'"),
        "{faults}"
    );
}

#[test]
fn each_fault_has_its_place() {
    let more = "grpc: {descriptors: [protos, gone.binpb]}\n";
    let folder = with_protos(&format!("{STACKS}{more}"));
    assert_eq!(
        folder.faults(),
        "twinread.yaml:3:30: grpc.descriptors[1]: cannot read gone.binpb: No such file or directory (os error 2)"
    );
    let folder = with_protos(&format!("{STACKS}{LISTED}"));
    folder.write(
        "protos/shop/get.proto",
        &GET.replace("string sku", "strange sku"),
    );
    let faults = folder.faults();
    assert!(
        faults.starts_with("protos/shop/get.proto:3:15: "),
        "{faults}"
    );
    folder.write("protos/shop/get.proto", "message {");
    let faults = folder.faults();
    assert!(
        faults.starts_with("protos/shop/get.proto:1:9: expected"),
        "{faults}"
    );
    fs::remove_file(folder.path().join("protos/shop/get.proto")).unwrap();
    let faults = folder.faults();
    assert_eq!(
        faults,
        "protos/shop/item.proto:3:1: import 'shop/get.proto' not found"
    );
}

#[test]
fn an_empty_folder_is_a_warning() {
    let folder = Folder::with(&format!("{STACKS}{LISTED}"));
    fs::create_dir(folder.path().join("protos")).unwrap();
    let warnings = folder.load().unwrap().warnings();
    let expected =
        "the folder `protos` holds no descriptors (*.proto, *.binpb, *.pb, *.desc, *.protoset)";
    assert!(
        warnings.len() == 1 && warnings[0].message.ends_with(expected),
        "{warnings:?}"
    );
}

#[test]
fn reflection_names_a_stack_and_is_waited_for_before_warnings() {
    let reads = "reads: [{grpc: 'shop.v1.Catalogue/*'}]\n";
    let with =
        |stack: &str| Folder::with(&format!("{STACKS}grpc: {{reflection: {stack}}}\n{reads}"));
    assert_eq!(with("old").load().unwrap().warnings(), []);
    assert_eq!(
        with("both").faults(),
        "twinread.yaml:3:20: grpc.reflection: expected old or new, found `both`"
    );
}

#[test]
fn descriptors_that_change_are_reloaded() {
    let folder = with_protos(&format!("{STACKS}{LISTED}"));
    let origin = folder.origin(Flags::default());
    let loaded = load(&origin).unwrap();
    let running = Running::new(origin, loaded, Default::default(), |_| ());
    for path in ["protos", "protos/shop", "protos/shop/get.proto"] {
        assert!(
            running.paths().contains(&folder.path().join(path)),
            "{path}"
        );
    }
    let print = |running: &Running| {
        let config = running.config();
        config
            .comparing
            .descriptors
            .fingerprint()
            .map(str::to_owned)
    };
    let before = print(&running);

    folder.write("protos/shop/get.proto", &format!("// A comment.\n{GET}"));
    assert_eq!(running.reload(Cause::Hangup).unwrap().changed, [""; 0]);
    folder.write("protos/shop/get.proto", &GET.replace("sku = 1", "sku = 2"));
    let reloaded = running.reload(Cause::Hangup).unwrap();
    assert_eq!(reloaded.changed, ["grpc.descriptors"]);
    assert_ne!(print(&running), before);

    folder.write("protos/shop/get.proto", "message {");
    running.reload(Cause::Hangup).unwrap_err();
}

#[test]
fn calls_that_are_not_compared_by_field_are_warned_of() {
    let reads = "reads: [{grpc: 'shop.v1.Catalogue/*'}, {grpc: shop.v1.Catalogue/Gone}]\n";
    let folder = with_protos(&format!("{STACKS}{LISTED}{reads}"));
    let put = "rpc Get(Get) returns (Item); rpc Put(stream Item) returns (Get);";
    let item = ITEM.replace("rpc Get(Get) returns (Item);", put);
    folder.write("protos/shop/item.proto", &item);
    let warnings = folder.load().unwrap().warnings();
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    let prefix = format!("{}/twinread.yaml:4:", folder.path().display());
    assert_eq!(
        warnings,
        [
            format!(
                "{prefix}16: reads[0].grpc: never sampled, because it takes a stream: shop.v1.Catalogue/Put"
            ),
            format!(
                "{prefix}47: reads[1].grpc: neither grpc.descriptors nor grpc.reflection describes such a method, so its messages are compared as bytes"
            ),
        ]
    );
}
