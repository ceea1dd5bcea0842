//! OpenAPI documents as a source of routes.

use super::{Folder, STACKS};
use twinread::testing::config::{Config, Flags, Running, load, reload::Cause};

const LISTED: &str = "openapi: [api.yaml]\n";
const API: &str = "openapi: 3.1.0\nservers: [{url: 'https://shop.example/v1'}]\n\
                   paths:\n  /users/{id}: {get: {}}\n";

fn declared(config: &Config) -> Vec<&str> {
    config.routes.declared().collect()
}

#[test]
fn its_paths_become_routes_after_those_of_the_file() {
    let routes = "routes: [{name: user, path: '/v1/users/me'}]\n";
    let folder = Folder::with(&format!("{STACKS}{LISTED}{routes}"));
    folder.write("api.yaml", API);
    let loaded = folder.load().unwrap();
    assert_eq!(declared(&loaded.config), ["user", "GET /v1/users/{id}"]);
    assert_eq!(loaded.config.routes.required().count(), 0);
    assert!(loaded.warnings().is_empty());
}

#[test]
fn json_with_surrogate_pairs_is_read_too() {
    let folder = Folder::with(&format!("{STACKS}openapi: [api.json]\n"));
    let api =
        r#"{"openapi": "3.0.0", "info": {"title": "\ud83d\ude00"}, "paths": {"/a": {"get": {}}}}"#;
    folder.write("api.json", api);
    assert_eq!(declared(&folder.load().unwrap().config), ["GET /a"]);
}

#[test]
fn what_is_wrong_with_it_is_reported_with_file_and_line() {
    let more = "openapi: [api.yaml, gone.yaml]\nsample: {rate: 7}\n";
    let folder = Folder::with(&format!("{STACKS}{more}"));
    folder.write("api.yaml", "openapi: 3.1.0\npaths:\n  users: {get: {}}\n");
    assert_eq!(
        folder.faults(),
        "twinread.yaml:3:21: openapi[1]: cannot read gone.yaml: No such file or directory (os error 2)\n\
         twinread.yaml:4:16: sample.rate: expected a number from 0 to 1, found `7`\n\
         api.yaml:3:3: expected a path such as /users/{id}, found `users`"
    );
}

#[test]
fn document_without_paths_is_a_warning() {
    let folder = Folder::with(&format!("{STACKS}{LISTED}"));
    folder.write("api.yaml", "openapi: 3.1.0\n");
    let loaded = folder.load().unwrap();
    let [warning] = &loaded.warnings()[..] else {
        panic!("one warning");
    };
    let said = "api.yaml has no paths, so it declares no routes";
    assert!(warning.message.ends_with(said), "{warning}");
}

#[test]
fn a_document_that_changes_is_reloaded() {
    let folder = Folder::with(&format!("{STACKS}{LISTED}"));
    folder.write("api.yaml", API);
    let origin = folder.origin(Flags::default());
    let loaded = load(&origin).unwrap();
    let running = Running::new(origin, loaded, Default::default(), |_| ());
    assert!(running.paths().contains(&folder.path().join("api.yaml")));

    folder.write("api.yaml", &API.replace("users", "orders"));
    let reloaded = running.reload(Cause::Hangup).unwrap();
    assert_eq!(reloaded.changed, ["openapi"]);
    assert_eq!(declared(&running.config()), ["GET /v1/orders/{id}"]);

    folder.write("api.yaml", "openapi: [");
    running.reload(Cause::Hangup).unwrap_err();
    assert_eq!(declared(&running.config()), ["GET /v1/orders/{id}"]);
}
