//! Faults of certificates and keys, each at its place in the configuration.

use crate::support::Pki;
use std::fs;
use twinread::testing::config::{Flags, Origin, load};

const STACKS: &str = "old: {url: 'http://127.0.0.1:9001'}\nnew: {url: 'http://127.0.0.1:9002'}\n";

/// What is reported of a configuration, without the name of its folder.
fn reported(more: &str) -> String {
    let pki = Pki::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    pki.write(path);
    pki.issue("a.example").write(path, "a");
    pki.issue("b.example").write(path, "b");
    pki.issue_until("c.example", 2020).write(path, "c");
    fs::write(path.join("none.pem"), "nothing").unwrap();
    let file = path.join("twinread.yaml");
    fs::write(&file, format!("{STACKS}{more}\n")).unwrap();
    let text = match load(&Origin::new(Some(file), Flags::default())) {
        Ok(loaded) => {
            let warnings = loaded.warnings().into_iter();
            let warnings: Vec<_> = warnings.map(|warning| warning.to_string()).collect();
            warnings.join("\n")
        }
        Err(faults) => faults.to_string(),
    };
    text.replace(&format!("{}/", path.display()), "")
}

#[test]
fn what_is_wrong_with_a_file_is_said_at_its_field() {
    for (more, expected) in [
        (
            "listen_tls: {cert: a.pem, key: a.key, client_ca: ca.pem}",
            "",
        ),
        (
            "listen_tls: {cert: gone.pem, key: a.key}",
            "twinread.yaml:3:20: listen_tls.cert: cannot read gone.pem: No such file or directory (os error 2)",
        ),
        (
            "listen_tls: {cert: none.pem, key: none.pem}",
            "twinread.yaml:3:20: listen_tls.cert: none.pem holds no certificate in PEM\n\
             twinread.yaml:3:35: listen_tls.key: none.pem holds no private key in PEM (one without a password)",
        ),
        (
            "admin_tls: {cert: a.pem, key: b.key}",
            "twinread.yaml:3:31: admin_tls.key: the key does not fit the certificate in `cert`",
        ),
        (
            "admin_tls: {cert: a.pem}",
            "twinread.yaml:3:12: admin_tls.key: is missing, as `cert` needs it",
        ),
        (
            "admin_tls: {client_ca: ca.pem}",
            "twinread.yaml:3:12: admin_tls.cert: is missing, as `client_ca` needs it",
        ),
        (
            "listen_tls: {cert: c.pem, key: c.key}",
            "twinread.yaml:3:20: listen_tls.cert: the certificate in c.pem expired at 2020-01-01T00:00:00Z",
        ),
        (
            "telemetry: {otlp: {endpoint: 'https://127.0.0.1:1', tls: {ca: none.pem}}}",
            "twinread.yaml:3:63: telemetry.otlp.tls.ca: none.pem holds no certificate in PEM",
        ),
    ] {
        assert_eq!(reported(more), expected, "{more}");
    }
}

#[test]
fn tls_of_a_stack_without_https_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("twinread.yaml");
    let text = "old: {url: 'http://127.0.0.1:9001', tls: {ca: gone.pem}}\nnew: {url: 'http://127.0.0.1:9002'}\n";
    fs::write(&file, text).unwrap();
    let loaded = load(&Origin::new(Some(file), Flags::default())).unwrap();
    let warnings = loaded.warnings();
    assert!(
        warnings[0]
            .to_string()
            .ends_with("old.tls: not used, as the url is not https"),
        "{warnings:?}"
    );
}
