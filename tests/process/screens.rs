//! What the commands show in terminals of three sizes, from an admin API whose answers are scripted. The screens are
//! files in `tests/data/screens`; `TWINREAD_WRITE_SCREENS=1 cargo test --test process screens` writes them.

use crate::{
    pty::Terminal,
    support::{Stack, eventually, json as reply, twinread},
};
use serde_json::{Value, json};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};
use unicode_width::UnicodeWidthStr;

/// With this variable set, the screens are written instead of compared.
const WRITE: &str = "TWINREAD_WRITE_SCREENS";

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

const EPOCH: &str = "20261129T185910266-0001-4c72a8f0";

/// A sidecar with this many routes.
fn admin(routes: u64) -> Stack {
    Stack::start(move |request| {
        let target = request.split(' ').nth(1).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let document = match path {
            "/v1/verdict" => verdict(routes),
            "/v1/classes" => classes(routes, query),
            "/v1/settings" => settings(),
            "/v1/mismatches" => mismatches(routes),
            "/readyz" => readiness(),
            path if path.starts_with("/v1/mismatches/") => example(7, routes),
            path if path.ends_with("/recheck") => recheck(),
            other => panic!("{other}"),
        };
        reply(&document.to_string())
    })
}

/// Short and long names in turn.
fn name(number: u64) -> String {
    match number % 3 {
        0 => format!("get-user-{number}"),
        1 => format!("GET /api/v1/customers/{{}}/orders-{number}/{{}}/items"),
        _ => format!("search {number}"),
    }
}

fn verdict(routes: u64) -> Value {
    let rate = |limit: f64, upper: f64, estimate: f64| json!({"limit": limit, "lower": 0.0, "estimate": estimate, "upper": upper});
    let route = |number: u64| {
        let (state, mismatch) = match number % 7 {
            0 => ("unsafe", 40 + number),
            1..=3 => ("undecided", number % 2),
            _ => ("safe", 0),
        };
        let checks = 1_000 + 13 * number;
        let share = mismatch as f64 / checks as f64;
        json!({
            "route": name(number), "required": number % 5 != 4, "exempt": number % 10 == 9, "state": state,
            "live": 20 * checks, "reads": 20 * checks, "sampled": checks, "waiting": 0, "forced": 0, "delayed": number % 4,
            "match": {"exact": checks - mismatch - 5, "rules": 5}, "mismatch": mismatch, "marked": {}, "transient": number % 2,
            "noise": 0, "shadow_error": {"timeout": number % 3}, "not_compared": {},
            "mismatch_rate": rate(0.001, 1.5 * share + 0.003, share), "error_rate": rate(0.01, 0.004, 0.0),
            "transient_rate": rate(0.001, 0.003, 0.0), "noise_rate": rate(0.05, 0.003, 0.0),
            "uncompared_rate": rate(0.01, 0.003, 0.0), "coverage": 1.0, "distinct_keys": null,
            "latency": {"old": null, "new": null},
        })
    };
    let all: Vec<_> = (0..routes).map(route).collect();
    let reasons: Vec<_> = (0..routes).filter_map(reason).collect();
    json!({
        "verdict": "unsafe", "confidence": 0.95, "reasons": reasons,
        "epoch": {
            "id": EPOCH, "label": null, "version": null, "cause": "start", "since": "2026-11-29T18:59:10.266216891Z",
            "until": null,
        },
        "soak": {"required_seconds": 604_800, "clean_seconds": 7_200}, "routes": all,
    })
}

fn reason(number: u64) -> Option<Value> {
    let (code, detail, needed) = match number % 7 {
        0 => {
            let detail = format!(
                "{} of {} checks mismatched; at least 2.1 %, the limit is 0.10 %",
                40 + number,
                1_000 + 13 * number
            );
            ("mismatch_rate", detail, 90_000 + number)
        }
        1..=3 => {
            let detail = format!(
                "needs {} more clean checks, after {} comparisons with 0 mismatches and 0 errors",
                2_374 - number,
                1_000 + 13 * number
            );
            ("more_checks", detail, 2_374 - number)
        }
        _ => return None,
    };
    Some(
        json!({"code": code, "route": name(number), "checks_needed": needed, "eta_seconds": needed / 2, "detail": detail}),
    )
}

fn classes(routes: u64, query: &str) -> Value {
    let total = if routes > 100 { 27 } else { 3 };
    let limit = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("limit="));
    let limit: u64 = limit.unwrap().parse().unwrap();
    let class = |number: u64| {
        let places = [
            "$.price",
            "$.customer.addresses[*].geo.coordinates[*].latitude",
            "header.cache-control",
        ];
        let kinds = ["value", "missing", "undecodable"];
        let index = (number % 3) as usize;
        json!({
            "id": format!("{:016x}", 0x8b26_be61_ce4c_782c_u64.wrapping_mul(number + 1)), "route": name(number),
            "place": places[index], "kind": kinds[index], "severity": if index == 0 { "value" } else { "breaking" }, "count": 1_203 - number, "kept": 50,
            "first_seen": "2026-11-29T18:59:13.647Z", "last_seen": format!("2026-11-29T19:{:02}:28.614Z", 40 - number),
            "examples": ["545ebe7ef81fb19a"],
        })
    };
    let shown: Vec<_> = (0..total.min(limit)).map(class).collect();
    json!({"classes": shown, "total": total, "next": null, "waiting": 0})
}

fn readiness() -> Value {
    let failing =
        json!({"cause": "connection refused", "since": "2026-11-29T18:59:13.647Z", "attempts": 12});
    let stack = |name: &str, role: &str, failing: Value| json!({"stack": name, "role": role, "url": format!("http://{name}.shop.example:9001/api"), "failing": failing});
    json!({
        "status": "ready", "missing": [], "impaired": ["3 of spans were dropped since the start"],
        "stacks": [stack("old", "primary", Value::Null), stack("new", "shadow", failing)],
    })
}

fn settings() -> Value {
    let mut settings = serde_json::Map::new();
    for (name, value, source) in [
        ("serve.new", json!(0), "default"),
        ("paused", json!(false), "default"),
        ("sample.rate", json!(0.05), "api"),
        ("sample.per_route_floor", json!("1/s"), "default"),
        ("sample.max_per_second", json!(100), "default"),
        ("sample.by", json!(null), "default"),
        ("new.max_per_second", json!(200), "default"),
        ("new.max_in_flight", json!(32), "default"),
        ("redact.values", json!("masked"), "default"),
    ] {
        settings.insert(name.to_owned(), json!({"value": value, "source": source}));
    }
    settings["sample.rate"]["hidden"] = json!(0.01);
    json!({"revision": 2, "settings": settings})
}

fn mismatches(routes: u64) -> Value {
    let count = routes.min(20);
    let page: Vec<_> = (0..count).map(|number| example(number, routes)).collect();
    let next = (routes > 20).then_some("78");
    json!({"mismatches": page, "next": next, "waiting": 0})
}

fn example(number: u64, routes: u64) -> Value {
    let (path, query) = if routes > 100 {
        (
            "/api/v1/customers/4711/orders/2026-000017/items/with/a/long/path",
            Some("lang=string(2)&expand=string(31)&page=1"),
        )
    } else {
        ("/users/37", None)
    };
    let body = |price: &str| {
        format!(
            r#"{{"id":37,"name":"string(7)","price":"{price}","tags":["string(1)","string(1)"],"served_at":"string(24)"}}"#
        )
    };
    let answer = |price: &str, took: f64| {
        json!({
            "status": 200, "duration_ms": took, "headers": [["content-type", "application/json"]], "body": body(price), "trailers": [],
        })
    };
    let mut differences = vec![
        json!({"place": "$.price", "kind": "value", "class": "8b26be61ce4c782c", "old": "string(5)", "new": "string(4)"}),
    ];
    if number % 2 == 1 {
        differences.push(json!({"place": "$.tags[2]", "kind": "extra", "class": "16ca23f1b0be0a11", "old": null, "new": "string(1)"}));
    }
    json!({
        "id": format!("545ebe7ef81f{number:04x}"), "route": name(number), "outcome": "mismatch", "detail": "", "epoch": EPOCH,
        "started": "2026-11-29T18:59:18.546Z", "ended": "2026-11-29T18:59:28.614Z",
        "trace_id": "a501bb34fc4cebd83ba85c507290eb8c", "span_id": "545ebe7ef81fb19a",
        "live_trace_id": "0af7651916cd43dd8448eb211c80319c",
        "trace_url": "https://traces.example/trace/a501bb34fc4cebd83ba85c507290eb8c",
        "request": {
            "method": "GET", "path": path, "query": query, "body": null, "masked": ["header.user-agent"],
            "headers": [["host", "127.0.0.1:8080"], ["user-agent", "string(11)"], ["accept", "*/*"]],
        },
        "old": answer("string(5)", 42.479), "new": answer("string(4)", 1_243.597),
        "count": differences.len(), "rechecks": 3, "differences": differences,
    })
}

fn recheck() -> Value {
    let example = |number: u64, found: &str, detail: Option<&str>| {
        json!({
            "id": format!("545ebe7ef81f{number:04x}"), "method": "GET", "path": "/api/v1/customers/4711/orders/2026-000017/items",
            "found": found, "detail": detail, "old_status": 200, "new_status": 200,
        })
    };
    json!({
        "class": "8b26be61ce4c782c", "route": name(1), "place": "$.customer.addresses[*].geo.coordinates[*].latitude",
        "kind": "value", "still_there": 1, "vanished": 0, "not_judged": 1, "not_read": 1,
        "examples": [
            example(1, "still_there", None),
            example(2, "not_judged", Some("not stored as it was: query, header.authorization, header.x-tenant")),
        ],
    })
}

fn command(admin: &Stack, arguments: &[&str]) -> Command {
    let mut command = twinread();
    command.args(arguments);
    command.arg(format!("--admin=http://{}", admin.addr));
    command
}

fn path(name: &str, (columns, rows): (u16, u16)) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/screens");
    folder.join(format!("{name}-{columns}x{rows}.txt"))
}

/// Holds the screen to its file, once `mark` is on it.
fn assert_screen(terminal: &Terminal, name: &str, size: (u16, u16), mark: &str) {
    terminal.shows(mark);
    let shown = || {
        let contents = terminal.contents();
        let lines: Vec<_> = contents.lines().map(str::trim_end).collect();
        lines.join("\n").trim_end().to_owned() + "\n"
    };
    let path = path(name, size);
    if env::var_os(WRITE).is_some() {
        return fs::write(path, settled(shown)).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let is_equal = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually("the screen", || (shown() == expected).then_some(()));
    }));
    let path = path.display();
    assert!(
        is_equal.is_ok(),
        "{path}: {WRITE}=1 writes it; expected\n{expected}\nfound\n{}",
        shown()
    );
}

/// What is shown once two looks find the same.
fn settled(shown: impl Fn() -> String) -> String {
    let mut last = shown();
    loop {
        thread::sleep(Duration::from_secs(1));
        let now = shown();
        if now == last {
            return now;
        }
        last = now;
    }
}

/// Runs a command that ends, and holds its screen to the file.
fn assert_ends_as(command: &Command, name: &str, size: (u16, u16)) {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#""$0" "$@"; printf 'exit %s' $?"#]);
    shell.arg(command.get_program()).args(command.get_args());
    let terminal = Terminal::sized(&shell, size);
    assert_screen(&terminal, name, size, "exit ");
}

#[test]
fn the_status_view_fits_every_terminal() {
    for routes in [3, 300] {
        let admin = admin(routes);
        for size in SIZES {
            let terminal = Terminal::sized(&command(&admin, &["status"]), size);
            assert_screen(&terminal, &format!("status-{routes}"), size, "(0.0/s)");
            terminal.ends_with(b"q");
            let once = command(&admin, &["status", "--once"]);
            assert_ends_as(&once, &format!("status-once-{routes}"), size);
        }
    }
}

#[test]
fn keys_scroll_filter_and_open_an_example() {
    let admin = admin(300);
    for size in SIZES {
        let mut terminal = Terminal::sized(&command(&admin, &["status"]), size);
        terminal.shows("(0.0/s)");
        terminal.press(b"G");
        assert_screen(&terminal, "status-end", size, "class   ");
        terminal.press(b"\x1b[H");
        terminal.shows("unsafe  epoch");
        terminal.press(b"\x1b[6~\x1b[6~\x1b[6~\x1b[C\x1b[C\x1b[C\x1b[C");
        assert_screen(&terminal, "status-scrolled", size, "errors");
        terminal.press(b"\x1b[H/orders-1");
        assert_screen(&terminal, "status-filtered", size, "with `orders-1`");
        terminal.press(b"\r\x1b[F\r");
        assert_screen(&terminal, "status-example", size, "Esc goes back");
        terminal.press(b"\x1b");
        terminal.shows("with `orders-1`");
        terminal.ends_with(b"q");
    }
}

#[test]
fn examples_fit_every_terminal() {
    for routes in [3, 300] {
        let admin = admin(routes);
        for size in SIZES {
            let list = command(&admin, &["mismatches"]);
            assert_ends_as(&list, &format!("mismatches-{routes}"), size);
            let one = command(&admin, &["show", "545ebe7ef81f0007"]);
            assert_ends_as(&one, &format!("show-{routes}"), size);
        }
    }
}

#[test]
fn a_comparison_fits_every_terminal() {
    let folder = tempfile::tempdir().unwrap();
    for (name, price, tags) in [
        ("old", "11.00", "\"a\", \"b\""),
        ("new", "11.0", "\"b\", \"a\""),
    ] {
        let text = format!(
            r#"{{"id": 10, "name": "A lamp with a name that is longer than a line of eighty columns can show at all", "price": "{price}",
              "customer": {{"addresses": [{{"geo": {{"coordinates": [{{"latitude": {price}}}]}}}}]}}, "tags": [{tags}], "z": 1}}"#
        );
        fs::write(folder.path().join(format!("{name}.json")), text).unwrap();
    }
    let files = ["old.json", "new.json"].map(|name| folder.path().join(name));
    let rules = folder.path().join("rules.yaml");
    let rule = "rules: [{id: tags, why: tags have no order in the old stack and none in the new one either, at: $.tags, do: unordered}]";
    fs::write(&rules, rule).unwrap();
    for size in SIZES {
        for (name, view) in [("compare", "unified"), ("compare-sides", "side-by-side")] {
            let mut compare = twinread();
            compare
                .arg("compare")
                .args(&files)
                .arg("--rules")
                .arg(&rules);
            compare.args(["--explain", "--view", view]);
            assert_ends_as(&compare, name, size);
        }
    }
}

/// The lines of a command's output in a terminal with so many columns.
fn lines(command: &mut Command, columns: usize) -> Vec<String> {
    let output = command
        .env("COLUMNS", columns.to_string())
        .output()
        .unwrap();
    assert!(
        output.status.code().is_some_and(|code| code < 64),
        "{output:?}"
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn nothing_is_wider_than_the_terminal() {
    let admin = admin(300);
    let commands: [&[&str]; 6] = [
        &["status", "--once"],
        &["gate"],
        &["mismatches"],
        &["show", "545ebe7ef81f0007"],
        &["show", "545ebe7ef81f0007", "--view=side-by-side"],
        &["recheck", "--class=8b26be61ce4c782c"],
    ];
    for arguments in commands {
        for columns in [1, 10, 20, 40, 60, 80, 100, 150] {
            for line in lines(&mut command(&admin, arguments), columns) {
                // Words have some room in the narrowest terminal.
                assert!(
                    line.width() <= columns.max(40),
                    "{arguments:?} in {columns}: {line:?}"
                );
            }
        }
    }
    for columns in [60, 80, 120] {
        let mut demo = twinread();
        demo.args(["demo", "--seconds=1"]);
        for line in lines(&mut demo, columns) {
            assert!(
                line.width() <= columns.max(40),
                "demo in {columns}: {line:?}"
            );
        }
    }
}

#[test]
fn every_class_id_stays_whole_in_80_columns() {
    let admin = admin(300);
    let lines = lines(&mut command(&admin, &["status", "--once"]), 80);
    let ids = classes(300, "limit=10")["classes"]
        .as_array()
        .unwrap()
        .clone();
    for class in ids {
        let id = class["id"].as_str().unwrap();
        assert!(lines.iter().any(|line| line.starts_with(id)), "{id}");
    }
    assert!(
        lines.contains(
            &"10 of 27 mismatch classes, the newest first; 1 more column in a wider terminal"
                .to_owned()
        ),
        "{lines:#?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains("routes need more checks")),
        "{lines:#?}"
    );
}
