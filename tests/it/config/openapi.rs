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

/// The warnings about these documents, and about `more` of the configuration.
fn warnings(documents: &[(&str, &str)], more: &str) -> Vec<String> {
    let names: Vec<_> = documents.iter().map(|(name, _)| *name).collect();
    let folder = Folder::with(&format!("{STACKS}openapi: [{}]\n{more}", names.join(", ")));
    for (name, text) in documents {
        folder.write(name, text);
    }
    let warnings = folder.load().unwrap().warnings();
    let path = format!("{}/", folder.path().display());
    let texts = warnings
        .iter()
        .map(|warning| warning.to_string().replace(&path, ""));
    texts.collect()
}

#[test]
fn a_path_that_is_declared_twice_is_a_warning() {
    let document = |paths: &str| format!("openapi: 3.1.0\npaths:\n{paths}");
    let users = document("  /health: {get: {}}\n  /users/{id}: {get: {}, put: {}}\n");
    let orders =
        document("  /orders: {get: {}}\n  /users/{name}: {get: {}}\n  /health: {get: {}}\n");
    assert_eq!(
        warnings(&[("users.yaml", &users), ("orders.yaml", &orders)], ""),
        [
            "orders.yaml:5:3: no request is counted here as `GET /health`, because users.yaml:3:3 declares a path of the \
          same form first (and 1 more of this document); leave one of the two out"
        ]
    );
    let unlike =
        document("  /users/{id}: {post: {}}\n  /users/{all+}: {get: {}}\n  /users/me: {get: {}}\n");
    let none: [&str; 0] = [];
    assert_eq!(
        warnings(&[("users.yaml", &users), ("unlike.yaml", &unlike)], ""),
        none
    );
    let twice = document("  /a/{x}.json: {get: {}}\n  /a/{y}.json: {get: {}}\n");
    assert_eq!(
        warnings(&[("twice.yaml", &twice)], ""),
        [
            "twice.yaml:4:3: no request is counted here as `GET /a/{y}.json`, because twice.yaml:3:3 declares a path of \
          the same form first; leave one of the two out"
        ]
    );
}

#[test]
fn more_routes_than_max_routes_are_a_warning() {
    let own = "routes: [{name: a, path: /own}]\n";
    let all = |most: usize| warnings(&[("api.yaml", API)], &format!("{own}max_routes: {most}\n"));
    assert_eq!(
        all(2),
        [
            "twinread.yaml:3:10: openapi: 1 routes are declared by OpenAPI documents, and 1 by `routes`, as many as max_routes (2) or \
          more: every other request is counted as `other`; raise max_routes"
        ]
    );
    assert!(all(3).is_empty());
    let folder = Folder::with(&format!("{STACKS}{own}max_routes: 1\n"));
    let warnings = folder.load().unwrap().warnings();
    let expected = "routes: 1 routes are declared, as many as max_routes (1) or more: every other request is counted as `other`; \
                    raise max_routes";
    assert_eq!(warnings[0].message, expected);
}

#[test]
fn a_name_that_is_too_long_is_a_warning() {
    let segment = "a".repeat(90);
    let text = format!(
        "openapi: 3.1.0\npaths:\n  /short: {{get: {{}}}}\n  /{segment}/{{x}}/yz: {{get: {{}}, put: {{}}}}\n"
    );
    assert_eq!(
        warnings(&[("api.yaml", &text)], ""),
        [format!(
            "api.yaml:4:3: the route `GET /{segment}/{{x}}/yz` has a name of more than 100 bytes (and 1 more of this document), \
             which tables cut and labels of metrics repeat; name it in `routes`, which comes first"
        )]
    );
    let fits = text.replace("/yz", "");
    assert!(warnings(&[("api.yaml", &fits)], "").is_empty());
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
