//! Names of routes, and which requests get one.

use crate::{
    ONE,
    support::{Caller, Reply, Sidecar, Stack, json},
};

fn sidecar(more: &str) -> Sidecar {
    let stack = Stack::json(ONE);
    Sidecar::start(stack.addr, Stack::json(ONE).addr, more)
}

/// The requests counted under this name.
fn live(sidecar: &Sidecar, route: &str) -> f64 {
    let label = format!("route=\"{route}\"");
    sidecar.metric("twinread_live_requests_total", &label)
}

fn metrics(sidecar: &Sidecar) -> String {
    let text = Caller::connect(sidecar.admin).get("/metrics").body;
    String::from_utf8(text).unwrap()
}

#[test]
fn declared_routes_keep_their_place_past_max_routes() {
    let sidecar = sidecar(
        "max_routes: 20\nroutes: [{name: cart, path: /cart}, {name: 'op {op}', path: '/ops/{op}'}, \
         {name: pay, path: /pay, required: true}]",
    );
    let mut caller = sidecar.caller();
    // Each at its own position, so that no position has many values.
    for made_up in 0..60 {
        caller.get(&format!(
            "/{}/x",
            "a/".repeat(made_up % 8) + &letters(made_up)
        ));
    }
    for _ in 0..3 {
        caller.get("/cart");
        caller.get("/pay");
    }
    assert_eq!((live(&sidecar, "cart"), live(&sidecar, "pay")), (3.0, 3.0));
    assert!(live(&sidecar, "other") >= 42.0);
    let routes = sidecar.ask("/v1/routes")["routes"].clone();
    let others = routes.as_array().unwrap().iter();
    let others = others
        .filter(|route| !["cart", "pay", "other"].contains(&route["route"].as_str().unwrap()));
    assert_eq!(others.count(), 18);
}

#[test]
fn what_follows_a_secret_name_is_no_part_of_a_name() {
    let sidecar = sidecar("redact: {fields: ['^pin$', 'password']}");
    let mut caller = sidecar.caller();
    caller.get("/password/hunterhunter");
    caller.get("/pin/abcd/confirm");
    for path in [
        "/password//hunter",
        "/password/./hunter",
        "/key.password.hunter",
        "/password:hunter",
        "/password=hunter",
    ] {
        caller.get(path);
    }
    assert_eq!(live(&sidecar, "GET /password/{}"), 1.0);
    assert_eq!(live(&sidecar, "GET /pin/{}/confirm"), 1.0);
    assert_eq!(live(&sidecar, "GET /password:{}"), 1.0);
    let text = metrics(&sidecar);
    assert!(!text.contains("hunter") && !text.contains("abcd"), "{text}");
}

#[test]
fn a_position_of_many_rare_values_is_collapsed() {
    let sidecar = sidecar("");
    let mut caller = sidecar.caller();
    for user in 0..30 {
        caller.get(&format!("/users/{}/orders", letters(user)));
    }
    caller.get("/users/alice-smith/orders");
    caller.get("/users/alice-smith");
    caller.get("/users/aab/orders");
    sidecar.quiet(33);
    assert_eq!(live(&sidecar, "GET /users/{}/orders"), 32.0);
    assert_eq!(live(&sidecar, "GET /users/{}"), 1.0);
    let text = metrics(&sidecar);
    assert!(
        !text.contains("alice-smith") && !text.contains("aab"),
        "{text}"
    );
    let verdict = sidecar.ask("/v1/verdict");
    assert_eq!(verdict["routes"].as_array().unwrap().len(), 2, "{verdict}");
    assert_eq!(verdict["routes"][0]["match"]["exact"], 32);
}

#[test]
fn paths_under_which_there_is_nothing_collapse_no_position() {
    let nothing = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    let stack = || {
        Stack::start(move |head| {
            if head.contains(" /made-up") {
                Reply::Write(nothing.to_owned())
            } else {
                json(ONE)
            }
        })
    };
    let sidecar = Sidecar::start(stack().addr, stack().addr, "");
    let mut caller = sidecar.caller();
    for made_up in 0..40 {
        caller.get(&format!("/made-up{}", letters(made_up)));
    }
    caller.get("/cart");
    assert_eq!(live(&sidecar, "GET /cart"), 1.0);
}

/// A distinct word for each number.
fn letters(number: usize) -> String {
    let letter = |digit| char::from(b'a' + (number / digit % 10) as u8);
    [letter(100), letter(10), letter(1)].iter().collect()
}

#[test]
fn openapi_paths_are_routes_with_a_place_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let api = folder.path().join("api.yaml");
    let written = "openapi: 3.1.0\npaths:\n  /users/{id}: {get: {}}\n  /users/me: {get: {}}\n";
    std::fs::write(&api, written).unwrap();
    let sidecar = sidecar(&format!("max_routes: 2\nopenapi: ['{}']\n", api.display()));
    let mut caller = sidecar.caller();
    caller.get("/made-up");
    for path in ["/users/anna", "/users/me", "/users/17"] {
        caller.get(path);
    }
    assert_eq!(live(&sidecar, "GET /users/{id}"), 2.0);
    assert_eq!(live(&sidecar, "GET /users/me"), 1.0);
    assert_eq!(live(&sidecar, "other"), 1.0);

    std::fs::write(&api, written.replace("users/{id}", "users/{name}")).unwrap();
    let named = "GET /users/{name}";
    crate::support::eventually("the document is read again", || {
        caller.get("/users/anna");
        (live(&sidecar, named) > 0.0).then_some(())
    });
}
