//! Requests that another proxy serves: `mirror.listen`, `ext_proc.listen`, and `listen: null`.

use super::{STACKS, config, faults};

const OUT: &str = "listen: null\nmirror: {listen: '127.0.0.1:8081'}\n";

#[test]
fn a_mirror_is_read_in_the_path_and_out_of_it() {
    for (text, listen) in [(OUT, None), (&OUT[13..], Some("127.0.0.1:8080"))] {
        let config = config(text);
        let address = config.settings.listen.map(|listen| listen.to_string());
        assert_eq!(address.as_deref(), listen);
        let mirror = config.settings.mirror.listen;
        assert_eq!(mirror.unwrap().to_string(), "127.0.0.1:8081");
        assert!(config.warnings.is_empty());
    }
}

#[test]
fn external_processing_is_read_in_the_path_and_out_of_it() {
    let text = "listen: null\next_proc: {listen: 'unix:/run/a.sock'}\n";
    for (text, is_in) in [(text, false), (&text[13..], true)] {
        let config = config(text);
        assert_eq!(config.settings.listen.is_some(), is_in);
        let listen = config.settings.ext_proc.listen;
        assert_eq!(listen.unwrap().to_string(), "unix:/run/a.sock");
        assert!(config.warnings.is_empty());
    }
}

#[test]
fn out_of_the_path_without_a_mirror_is_refused() {
    let expected = "twinread.yaml:3:9: listen: null takes twinread out of the path, and then mirror.listen or ext_proc.listen has to be set";
    for text in [
        "listen: null\n",
        "listen: null\nmirror: {listen: null}\next_proc: {listen: null}\n",
    ] {
        assert_eq!(faults(text), expected);
    }
}

#[test]
fn nobody_is_switched_out_of_the_path() {
    let expected = "twinread.yaml:5:8: serve: nobody is served from here while listen is null, expected the old stack for all";
    assert_eq!(faults(&format!("{OUT}serve: {{new: 100}}\n")), expected);
}

#[test]
fn listeners_do_not_take_the_address_of_another_one() {
    for (text, expected) in [
        (
            "mirror: {listen: '127.0.0.1:8080'}\n",
            "3:18: mirror.listen: `127.0.0.1:8080` is taken by listen, `127.0.0.1:8080`",
        ),
        (
            "listen: null\nmirror: {listen: '0.0.0.0:9900'}\n",
            "admin: `127.0.0.1:9900` is taken by mirror.listen, `0.0.0.0:9900`",
        ),
        (
            "mirror: {listen: '127.0.0.1:8081'}\next_proc: {listen: '127.0.0.1:8081'}\n",
            "4:20: ext_proc.listen: `127.0.0.1:8081` is taken by mirror.listen, `127.0.0.1:8081`",
        ),
        (
            "mirror: {listen: 'unix:/run/a.sock'}\nadmin: unix:/run/a.sock\n",
            "4:8: admin: `unix:/run/a.sock` is taken by mirror.listen, `unix:/run/a.sock`",
        ),
    ] {
        let faults = faults(text);
        assert!(faults.ends_with(expected), "{faults}");
        assert_eq!(faults.lines().count(), 1, "{faults}");
    }
}

#[test]
fn a_mirror_at_the_address_of_a_stack_is_refused() {
    let text = STACKS.replace("old:1", "127.0.0.1:8081");
    let faults = super::Folder::with(&format!("{text}{OUT}")).faults();
    let expected = "4:18: mirror.listen: the address of old.url: requests would come back";
    assert!(faults.ends_with(expected), "{faults}");
}
