//! Old and new at one endpoint, and listeners at a stack's address.

use super::Folder;

const OLD: &str = "old: {url: 'http://127.0.0.1:9001', ";
const NEW: &str = "new: {url: 'http://127.0.0.1:9001', ";

fn stacks(old: &str, new: &str) -> String {
    format!("old: {{url: '{old}'}}\nnew: {{url: '{new}'}}\n")
}

/// The warnings of a configuration, and whether both stacks are the same.
fn warned(text: &str) -> (String, bool) {
    let folder = Folder::with(text);
    let loaded = folder.load().unwrap_or_else(|faults| panic!("{faults}"));
    let warnings = loaded.warnings();
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    let warnings = warnings.join("\n");
    let warnings = warnings.replace(&format!("{}/", folder.path().display()), "");
    (warnings, loaded.config.is_same_stack)
}

#[test]
fn the_same_place_for_old_and_new_is_refused() {
    for (old, new) in [
        ("http://127.0.0.1:9001", "http://127.0.0.1:9001"),
        ("http://127.0.0.1:9001/a", "http://127.0.0.1:9001/a/"),
        ("http://localhost:9001", "http://127.0.0.1:9001"),
        ("http://LOCALHOST:9001", "http://[::1]:9001"),
        ("http://0.0.0.0:9001", "http://127.0.0.1:9001"),
        ("http://[::ffff:127.0.0.1]:9001", "http://127.0.0.1:9001"),
        ("http://[::]:9001", "http://[::1]:9001"),
        ("http://10.1.2.3", "http://10.1.2.3:80"),
        ("http://stack.invalid:9001", "http://Stack.invalid.:9001"),
    ] {
        assert_eq!(
            Folder::with(&stacks(old, new)).faults(),
            "twinread.yaml:2:12: new.url: the same place as old.url: same address, host, server name, base path and headers.set; \
             `allow_same_stack: true` permits it",
            "{old} {new}"
        );
    }
    let headers = "headers: {set: {x-a: 1, x-b: 2}}}\n";
    let turned = "headers: {set: {X-B: 2, x-a: 1}}}\n";
    let faults = Folder::with(&format!("{OLD}{headers}{NEW}{turned}")).faults();
    assert!(faults.contains("the same place as old.url"), "{faults}");
}

#[test]
fn the_same_address_alone_is_a_warning() {
    let warning = "twinread.yaml:2:12: new.url: the same address as old.url; \
                   they differ only in host, server name, base path or headers.set";
    for (old, new) in [
        ("}\n", "host: new.example}\n"),
        ("host: stack}\n", "}\n"),
        (
            "headers: {set: {x-stack: old}}}\n",
            "headers: {set: {x-stack: new}}}\n",
        ),
    ] {
        let found = warned(&format!("{OLD}{old}{NEW}{new}"));
        assert_eq!(found, (warning.to_owned(), false), "{old} {new}");
    }
    let paths = stacks("http://127.0.0.1:9001/v1", "http://localhost:9001/v2");
    assert_eq!(warned(&paths), (warning.to_owned(), false));
}

#[test]
fn other_addresses_are_neither() {
    for (old, new) in [
        ("http://127.0.0.1:9001", "http://127.0.0.1:9002"),
        ("http://127.0.0.1:9001", "http://127.0.0.2:9001"),
        ("http://old.invalid:9001", "http://new.invalid:9001"),
    ] {
        assert_eq!(warned(&stacks(old, new)), (String::new(), false));
    }
}

#[test]
fn allow_same_stack_permits_it_and_is_remembered() {
    let allowed = "allow_same_stack: true\n";
    let one = stacks("http://127.0.0.1:9001", "http://localhost:9001");
    let warning = "twinread.yaml:2:12: new.url: the same place as old.url, which allow_same_stack permits: \
                   the verdict is never safe";
    assert_eq!(
        warned(&format!("{one}{allowed}")),
        (warning.to_owned(), true)
    );
    let two = stacks("http://127.0.0.1:9001", "http://127.0.0.1:9002");
    assert_eq!(warned(&format!("{two}{allowed}")), (String::new(), false));

    let folder = Folder::with(&format!("{one}{allowed}"));
    let loaded = folder.load().unwrap();
    let patched = loaded
        .patched(&serde_json::json!({"paused": true}))
        .unwrap();
    assert!(patched.config.is_same_stack);
}

#[test]
fn a_listener_at_a_stacks_address_is_refused() {
    for (listener, url) in [
        ("listen: 127.0.0.1:9001", "http://localhost:9001"),
        ("listen: 0.0.0.0:9001", "http://127.0.0.1:9001"),
        ("listen: 0.0.0.0:9001", "http://127.0.0.9:9001"),
        ("listen: '[::]:9001'", "http://127.0.0.1:9001"),
        ("listen: '[::1]:9001'", "http://localhost:9001"),
        ("listen: '[::ffff:127.0.0.1]:9001'", "http://127.0.0.1:9001"),
        ("listen: 127.0.0.1:9001", "http://0.0.0.0:9001"),
        ("listen: 10.1.2.3:80", "http://10.1.2.3"),
        ("admin: 127.0.0.1:9001", "http://127.0.0.1:9001/base"),
        ("listen: unix:/run/a.sock", "unix:/run/a.sock"),
    ] {
        let name = listener.split(':').next().unwrap();
        for (stack, stacks) in [
            ("old", stacks(url, "http://127.0.0.1:9009")),
            ("new", stacks("http://127.0.0.1:9009", url)),
        ] {
            let faults = Folder::with(&format!("{stacks}{listener}\n")).faults();
            let place = format!("twinread.yaml:3:{}: {name}: ", name.len() + 3);
            let expected = format!("{place}the address of {stack}.url: requests would come back");
            assert_eq!(faults, expected, "{listener} {url}");
        }
    }
    let stacks = stacks("http://127.0.0.1:9001", "http://127.0.0.1:9002");
    let control = "listen: 127.0.0.1:9003\ncontrol: {url: 'http://localhost:9003'}\n";
    let faults = Folder::with(&format!("{stacks}{control}")).faults();
    assert!(
        faults.contains("listen: the address of control.url"),
        "{faults}"
    );
}

#[test]
fn a_control_at_the_new_stacks_address_is_refused() {
    let stacks = stacks("http://127.0.0.1:9001", "http://127.0.0.1:9002/a");
    let at_new = "control: {url: 'http://localhost:9002/a'}\n";
    assert_eq!(
        Folder::with(&format!("{stacks}{at_new}")).faults(),
        "twinread.yaml:3:16: control.url: the address of new.url, expected another instance of the old stack"
    );
    let other = "control: {url: 'http://localhost:9002/b'}\n";
    assert_eq!(warned(&format!("{stacks}{other}")), (String::new(), false));
}

#[test]
fn a_listener_elsewhere_is_accepted() {
    for (listener, url) in [
        ("listen: 127.0.0.1:9001", "http://127.0.0.2:9001"),
        ("listen: 0.0.0.0:9001", "http://10.1.2.3:9001"),
        ("listen: 0.0.0.0:9001", "http://[::1]:9001"),
        ("listen: 127.0.0.1:0", "http://127.0.0.1:9001"),
        ("listen: unix:/run/a.sock", "unix:/run/b.sock"),
        ("listen: unix:/run/a.sock", "http://127.0.0.1:8080"),
    ] {
        let stacks = stacks(url, "http://127.0.0.1:9009");
        let found = warned(&format!("{stacks}{listener}\n"));
        assert_eq!(found, (String::new(), false), "{listener} {url}");
    }
}
