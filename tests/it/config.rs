//! Configurations as operators write them: which are rejected, with which messages, and which defaults apply.

mod grpc;
mod mirror;
mod openapi;
mod places;
mod secrets;
mod warnings;

use proptest::prelude::*;
use std::{fs, path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use twinread::testing::{
    config::{Config, Flags, Loaded, Origin, load},
    export::log::Format,
    http_client::{HostPolicy, Target},
    live::{Checks, ListenerLimits},
    pipeline::{Trace, Traced},
    sample::{Reads, Sampling},
    serve::{Percent, Serve},
    settings::{Capture, QueueLimits},
    spanned_yaml::ConfigErrors,
};
use twinread::{
    compare::{CompareConfig, Options},
    verdict::Limits,
};

/// A folder with a configuration.
struct Folder(TempDir);

impl Folder {
    fn with(text: &str) -> Self {
        let folder = Self(TempDir::new().unwrap());
        folder.write("twinread.yaml", text);
        folder
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn origin(&self, flags: Flags) -> Origin {
        Origin::new(Some(self.path().join("twinread.yaml")), flags).with_environment(variable)
    }

    fn load(&self) -> Result<Loaded, ConfigErrors> {
        load(&self.origin(Flags::default()))
    }

    /// The faults, with paths relative to the folder.
    fn faults(&self) -> String {
        let faults = self.load().unwrap_err().to_string();
        faults.replace(&format!("{}/", self.path().display()), "")
    }
}

fn variable(name: &str) -> Option<String> {
    match name {
        "RATE" => Some("0.25".to_owned()),
        "NEW_URL" => Some("http://new:9002/api".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

/// The minimal configuration, on two lines.
const STACKS: &str = "old: {url: 'http://old:1'}\nnew: {url: 'http://new:2'}\n";

fn config(text: &str) -> Config {
    let folder = Folder::with(&format!("{STACKS}{text}"));
    let loaded = folder.load().unwrap_or_else(|faults| panic!("{faults}"));
    Config::clone(&loaded.config)
}

fn faults(text: &str) -> String {
    Folder::with(&format!("{STACKS}{text}")).faults()
}

#[test]
fn file_that_is_no_map_is_one_fault_and_an_empty_one_is_two() {
    for (text, found) in [
        ("just text", "`just text`"),
        ("- a", "a list"),
        ("7", "`7`"),
    ] {
        let expected = format!("twinread.yaml:1:1: expected a map, found {found}");
        assert_eq!(Folder::with(text).faults(), expected);
    }
    for text in ["", "null", "~", "# nothing"] {
        let faults = Folder::with(text).faults();
        let lines: Vec<_> = faults.lines().collect();
        let [old, new] = lines[..] else {
            panic!("{text}: {faults}");
        };
        assert!(old.ends_with("old: `url` is missing"), "{old}");
        assert!(new.ends_with("new: `url` is missing"), "{new}");
    }
}

#[test]
fn a_duration_in_other_words_names_what_is_meant() {
    for (text, meant) in [
        ("5", ", did you mean `5s`?"),
        ("5 seconds", ", did you mean `5s`?"),
        ("200 Millis", ", did you mean `200ms`?"),
        ("2min", ", did you mean `2m`?"),
        ("1 d", ", did you mean `1d`?"),
        ("soon", ""),
        ("x5s", ""),
    ] {
        let faults = faults(&format!("queue: {{max_age: {text}}}\n"));
        let found = text.trim_matches('\'');
        let expected = format!("7d, found `{found}`{meant}");
        assert!(faults.ends_with(&expected), "{faults}");
    }
}

#[test]
fn every_fault_is_reported_at_once_by_line() {
    let folder = Folder::with(
        "listen: here\n\
         old:\n  \
           url: ftp://old\n  \
           http2: maybe\n\
         new:\n  \
           timeout: 5\n\
         smaple: {rate: 1}\n\
         sample:\n  \
           rate: 1.5\n  \
           by: weather\n\
         rules: [gone.yaml, 'builtin:none']\n",
    );
    assert_eq!(
        folder.faults(),
        "twinread.yaml:1:9: listen: expected an address and port such as 127.0.0.1:8080, or unix:/path, found `here`\n\
         twinread.yaml:3:8: old.url: expected an absolute url such as http://127.0.0.1:9001, or unix:/path, found `ftp://old`\n\
         twinread.yaml:4:10: old.http2: expected true or false, found `maybe`\n\
         twinread.yaml:6:3: new: `url` is missing\n\
         twinread.yaml:6:12: new.timeout: expected a duration such as 250ms, 10s, 5m, 1h or 7d, found `5`, did you mean `5s`?\n\
         twinread.yaml:7:1: unknown field `smaple`, did you mean `sample`?\n\
         twinread.yaml:9:9: sample.rate: expected a number from 0 to 1, found `1.5`\n\
         twinread.yaml:10:7: sample.by: expected null, header:NAME, cookie:NAME or trace, found `weather`\n\
         twinread.yaml:11:9: rules[0]: cannot read gone.yaml: No such file or directory (os error 2)\n\
         twinread.yaml:11:20: rules[1]: there are no built-in rules `none`, expected one of http, json-api, aws, graphql, grpc, demo"
    );
}

/// Each line is a third line below [`STACKS`], with its message.
const REFUSED: &[(&str, &str)] = &[
    (
        "proxy_protocol: [localhost]",
        "18: proxy_protocol[0]: expected a network such as 10.0.0.0/8, found `localhost`",
    ),
    (
        "proxy_protocol: ['::ffff:10.0.0.0/104']",
        "18: proxy_protocol[0]: expected a network such as 10.0.0.0/8, found \"::ffff:10.0.0.0/104\"",
    ),
    (
        "listen: 127.0.0.1",
        "9: listen: expected an address and port such as 127.0.0.1:8080, or unix:/path, found `127.0.0.1`",
    ),
    (
        "admin: localhost:1",
        "8: admin: expected an address and port such as 127.0.0.1:8080, or unix:/path, found `localhost:1`",
    ),
    (
        "admin: 0.0.0.0:9900",
        "8: admin: without an admin_token only a loopback address or a unix socket is accepted, found `0.0.0.0:9900`",
    ),
    (
        "admin: 127.0.0.1:8080",
        "8: admin: `127.0.0.1:8080` is taken by listen, `127.0.0.1:8080`",
    ),
    (
        "admin_token: 'two words'",
        "14: admin_token: expected one or more visible ASCII characters",
    ),
    ("admin_token: [a]", "14: admin_token: expected a text"),
    (
        "live_token: ''",
        "13: live_token: expected one or more visible ASCII characters",
    ),
    (
        "allow_same_stack: maybe",
        "19: allow_same_stack: expected true or false, found `maybe`",
    ),
    (
        "serve: {writes: both}",
        "17: serve.writes: expected old or new, found `both`",
    ),
    (
        "serve: {new: 101}",
        "14: serve.new: expected a percent from 0 to 100 with at most two decimals, found `101`",
    ),
    (
        "serve: {routes: {get-user: 0.001}}",
        "28: serve.routes.get-user: expected a percent from 0 to 100 with at most two decimals, found `0.001`",
    ),
    (
        "serve: {new: 5}",
        "8: serve.by: a percent between 0 and 100 needs chance, header:NAME, cookie:NAME or trace",
    ),
    (
        "serve: {by: user}",
        "13: serve.by: expected chance, header:NAME, cookie:NAME or trace, found `user`",
    ),
    (
        "serve: {writes: new}",
        "17: serve.writes: nothing writes to the old stack then, expected old, or writes.by: application",
    ),
    (
        "writes: {by: twinread}",
        "14: writes.by: expected none or application, found `twinread`",
    ),
    (
        "paused: maybe",
        "9: paused: expected true or false, found `maybe`",
    ),
    (
        "limits: {connections: 0}",
        "23: limits.connections: expected a whole number from 1 to 1000000, found `0`",
    ),
    (
        "limits: {header_bytes: 1MiB}",
        "24: limits.header_bytes: expected a size from 1KiB to 256KiB, found `1MiB`",
    ),
    (
        "limits: {headers: 0}",
        "19: limits.headers: expected a whole number from 1 to 10000, found `0`",
    ),
    (
        "limits: {head_timeout: 0s}",
        "24: limits.head_timeout: expected a duration from 1ms to 1h, found `0s`",
    ),
    (
        "limits: {idle_timeout: 2d}",
        "24: limits.idle_timeout: expected a duration from 1ms to 1d, found `2d`",
    ),
    (
        "limits: {body_stall: 60}",
        "22: limits.body_stall: expected a duration such as 250ms, 10s, 5m, 1h or 7d, found `60`, did you mean `60s`?",
    ),
    (
        "limits: {streams: 0}",
        "19: limits.streams: expected a whole number from 1 to 10000, found `0`",
    ),
    (
        "max_routes: 0",
        "13: max_routes: expected a whole number from 1 to 100000, found `0`",
    ),
    ("sample: 0.5", "9: sample: expected a map, found `0.5`"),
    (
        "sample: {rate: -0.1}",
        "16: sample.rate: expected a number from 0 to 1, found `-0.1`",
    ),
    (
        "sample: {rate: NaN}",
        "16: sample.rate: expected a number from 0 to 1, found `NaN`",
    ),
    (
        "sample: {per_route_floor: 1}",
        "27: sample.per_route_floor: expected a frequency such as 1/s, 30/m or 10/h, found `1`",
    ),
    (
        "sample: {max_per_second: 0}",
        "26: sample.max_per_second: expected a number from 0.001 to 1000000, found `0`",
    ),
    (
        "sample: {force_header: 'a b'}",
        "24: sample.force_header: expected the name of a header, found \"a b\"",
    ),
    (
        "capture: {max_body: 0}",
        "21: capture.max_body: expected a size from 1B to 64GiB, found `0`",
    ),
    (
        "capture: {max_body: 1MB}",
        "21: capture.max_body: expected a size such as 512B, 64KiB, 1MiB or 1GiB, found `1MB`",
    ),
    (
        "capture: {max_body: 65MiB}",
        "10: capture: max_body is more than max_total",
    ),
    (
        "queue: {max_length: 0}",
        "21: queue.max_length: expected a whole number from 1 to 1000000, found `0`",
    ),
    (
        "queue: {max_age: 0s}",
        "18: queue.max_age: expected a duration from 1ms to 1h, found `0s`",
    ),
    (
        "recheck: {after: [2s, 200ms]}",
        "23: recheck.after[1]: expected delays that grow, because each is from the first difference on, found `200ms` after `2s`",
    ),
    (
        "recheck: {after: [0s]}",
        "19: recheck.after[0]: expected a duration from 1ms to 1h, found `0s`",
    ),
    (
        "recheck: {after: 200ms}",
        "18: recheck.after: expected a list, found `200ms`",
    ),
    (
        "recheck: {max_per_second: 0}",
        "27: recheck.max_per_second: expected a number from 0.001 to 1000000, found `0`",
    ),
    (
        "conditional: again",
        "14: conditional: expected reread or skip, found `again`",
    ),
    (
        "control: {url: 'http://new:2'}",
        "16: control.url: expected another instance of the old stack, not the new one, found \"http://new:2\"",
    ),
    (
        "control: {ulr: null}",
        "11: control: unknown field `ulr`, did you mean `url`?",
    ),
    (
        "store: {path: ''}",
        "15: store.path: expected the path of a file, found \"\"",
    ),
    (
        "store: {keep: 30m}",
        "15: store.keep: expected a duration from 1h to 3650d, found `30m`",
    ),
    (
        "store: {max_bytes: 0}",
        "20: store.max_bytes: expected a size from 1B to 64GiB, found `0`",
    ),
    (
        "store: {keep_per_class: 0}",
        "25: store.keep_per_class: expected a whole number from 1 to 100000, found `0`",
    ),
    (
        "epoch: {version_header: x build}",
        "25: epoch.version_header: expected the name of a header, found `x build`",
    ),
    (
        "epoch: {version_header: Set-Cookie}",
        "25: epoch.version_header: `set-cookie` is one of redact.headers, and versions are shown",
    ),
    (
        "epoch: {label: [a]}",
        "16: epoch.label: expected a text, found a list",
    ),
    (
        "compare: {headers: some}",
        "20: compare.headers: expected all, none, {listed: [names]} or {except: [names]}, found `some`",
    ),
    (
        "compare: {headers: {listed: ['a b']}}",
        "30: compare.headers.listed[0]: expected the name of a header, found \"a b\"",
    ),
    (
        "compare: {headers: {except: ['x-*-id']}}",
        "30: compare.headers.except[0]: expected `*` at the end of a name only, found \"x-*-id\"",
    ),
    (
        "compare: {headers: {listed: [a], except: [b]}}",
        "20: compare.headers: expected all, none, {listed: [names]} or {except: [names]}, found a map",
    ),
    (
        "compare: {only: []}",
        "17: compare.only: expected at least one JSONPath, such as $.items[*].id, found a list",
    ),
    (
        "compare: {only: [$.a, status]}",
        "23: compare.only[1]: expected a JSONPath that starts with `$`, found `status`",
    ),
    (
        "compare: {only: ['$.a[']}",
        "23: compare.only[0]: not a JSONPath (RFC 9535), see its column 5: expected a quoted name, an index, a slice, \
         `*`, `?` with a condition, found its end",
    ),
    (
        "compare: {only: [$.a, $.b, $.a]}",
        "28: compare.only[2]: `$.a` is given twice",
    ),
    (
        "compare: {numbers: double}",
        "20: compare.numbers: expected numeric or lexical, found `double`",
    ),
    (
        "compare: {max_depth: 1025}",
        "22: compare.max_depth: expected a whole number from 1 to 1024, found `1025`",
    ),
    (
        "compare: {deadline: 2h}",
        "21: compare.deadline: expected a duration from 1ms to 1m, found `2h`",
    ),
    (
        "redact: {values: some}",
        "18: redact.values: expected shown, masked or hashed, found `some`",
    ),
    (
        r"reads: [{methods: [GET], header: {x-a: 'ab(c'}}]",
        "43: reads[0].header.x-a: not a regular expression, see its column 3: unclosed group",
    ),
    (
        r"reads: [{methods: [GET], header: {'a b': c}}]",
        "36: reads[0].header.a b: expected the name of a header",
    ),
    (r"reads: [{methods: [POST], json: {$.a(: b}}]", "37: "),
    (
        "reads: [{methods: [POST], graphql: mutation}]",
        "36: reads[0].graphql: expected query, found `mutation`",
    ),
    (
        "reads: [{methods: [GET, DELETE]}]",
        "25: reads[0].methods[1]: expected GET, HEAD, POST or QUERY, because no other request is ever replayed, \
         found `DELETE`",
    ),
    (
        "reads: [{methods: [POST], header: {X_HTTP_Method: GET}}]",
        "9: reads[0]: a request that asks for another method is never a read",
    ),
    (
        r"routes: [{name: r, path: '^/a/(?<b'}]",
        "35: routes[0].path: not a regular expression, see its column 9: unclosed capture group name",
    ),
    (
        r"redact: {fields: ['${EMPTY:-a(}']}",
        "19: redact.fields[0]: not a regular expression, see its column 2: unclosed group",
    ),
    (
        "redact: {fields: ['a(']}",
        "21: redact.fields[0]: not a regular expression, see its column 2: unclosed group",
    ),
    (
        "telemetry: {trace: own}",
        "20: telemetry.trace: expected link or child, found `own`",
    ),
    (
        "telemetry: {traced: some}",
        "21: telemetry.traced: expected mismatch, all or none, found `some`",
    ),
    (
        "telemetry: {trace_url: 'https://traces.example'}",
        "24: telemetry.trace_url: expected a url such as https://traces.example/trace/{trace_id}, found \"https://traces.example\"",
    ),
    (
        "telemetry: {otlp: {protocol: http}}",
        "30: telemetry.otlp.protocol: expected grpc or http/protobuf, found `http`",
    ),
    (
        "telemetry: {otlp: {endpoint: 'c:4317'}}",
        "30: telemetry.otlp.endpoint: expected an absolute url such as http://127.0.0.1:4317, found \"c:4317\"",
    ),
    (
        "telemetry: {otlp: {headers: {a b: c}}}",
        "35: telemetry.otlp.headers.a b: `a b` is not the name of a header",
    ),
    (
        "telemetry: {service_name: ''}",
        "27: telemetry.service_name: expected a name, found \"\"",
    ),
    (
        "log: {level: loud}",
        "14: log.level: expected error, warn, info, debug or trace, found `loud`",
    ),
    (
        "verdict: {confidence: 1}",
        "23: verdict.confidence: expected a number from 0.5 to 0.999999999, found `1`",
    ),
    (
        "drain: {grace: 2h}",
        "16: drain.grace: expected a duration from 0s to 1h, found `2h`",
    ),
    ("reads: [{path: /a}]", "9: reads[0]: `methods` is missing"),
    (
        "rules: builtin:http",
        "8: rules: expected a list, found `builtin:http`",
    ),
    (
        "nonsense: 1",
        "1: unknown field `nonsense`, expected one of ",
    ),
];

#[test]
fn faults_name_their_position_and_what_was_expected() {
    let mut wrong = Vec::new();
    for (line, expected) in REFUSED {
        let reported = faults(line);
        let expected = format!("twinread.yaml:3:{expected}");
        let open_end = expected.ends_with(' ') && reported.starts_with(&expected);
        if reported != expected && !open_end {
            wrong.push(format!(
                "{line}\n  reported {reported}\n  expected {expected}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Values of `old`, with their messages.
const STACKS_REFUSED: &[(&str, &str)] = &[
    ("{}", "6: old: `url` is missing"),
    ("http://old", "6: old: expected a map, found `http://old`"),
    (
        "{url: old}",
        "12: old.url: expected an absolute url such as http://127.0.0.1:9001, or unix:/path, found `old`",
    ),
    (
        "{url: 'http://'}",
        "12: old.url: expected an absolute url such as http://127.0.0.1:9001, or unix:/path, found \"http://\"",
    ),
    (
        "{url: 'http://:80'}",
        "12: old.url: expected an absolute url such as http://127.0.0.1:9001, or unix:/path, found \"http://:80\"",
    ),
    (
        "{url: 'http://old:65536'}",
        "12: old.url: expected an absolute url such as http://127.0.0.1:9001, or unix:/path, found \"http://old:65536\"",
    ),
    (
        "{url: 'http://old:0'}",
        "12: old.url: expected an absolute url such as http://127.0.0.1:9001, or unix:/path, found \"http://old:0\"",
    ),
    (
        "{url: 'http://me:pw@old'}",
        "12: old.url: a user in a url is refused; set a header instead",
    ),
    (
        "{url: 'http://old/?a=b'}",
        "12: old.url: expected a url without a query, found \"http://old/?…\"",
    ),
    (
        "{url: 'http://old/#a'}",
        "12: old.url: expected a url without a query, found \"http://old/#a\"",
    ),
    (
        "{url: 'http://old', connect_timeout: 0s}",
        "43: old.connect_timeout: expected a duration from 1ms to 10m, found `0s`",
    ),
    (
        "{url: 'http://old', timeout: 1}",
        "35: old.timeout: expected a duration ",
    ),
    (
        "{url: 'http://old', host: 'a b'}",
        "32: old.host: expected preserve, stack, or a host such as shop.example:8080, found \"a b\"",
    ),
    (
        "{url: 'https://old', tls: {ca: gone.pem}}",
        "37: old.tls.ca: cannot read ",
    ),
    (
        "{url: 'http://old', headers: {set: {Host: a}}}",
        "48: old.headers.set.Host: `host` has a field of its own beside `headers`",
    ),
    (
        "{url: 'http://old', headers: {set: {te: a}}}",
        "46: old.headers.set.te: `te` cannot be set or removed",
    ),
    (
        "{url: 'http://old', headers: {set: {a: \"\\n\"}}}",
        "45: old.headers.set.a: expected the value of a header",
    ),
    (
        "{url: 'http://old', headers: {set: {a: b, A: c}}}",
        "51: old.headers.set.A: given twice, headers do not tell upper from lower case",
    ),
    (
        "{url: 'http://old', headers: {remove: [upgrade]}}",
        "45: old.headers.remove[0]: `upgrade` cannot be set or removed",
    ),
];

#[test]
fn what_is_wrong_with_a_stack_is_refused() {
    let mut wrong = Vec::new();
    for (old, expected) in STACKS_REFUSED {
        let reported =
            Folder::with(&format!("old: {old}\nnew: {{url: 'http://new:2'}}\n")).faults();
        let expected = format!("twinread.yaml:1:{expected}");
        let open_end = expected.ends_with(' ') && reported.starts_with(&expected);
        if reported != expected && !open_end {
            wrong.push(format!(
                "{old}\n  reported {reported}\n  expected {expected}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn without_a_file_or_a_stack_what_is_missing_is_reported() {
    let reported = Folder::with("").faults();
    assert_eq!(
        reported,
        "twinread.yaml:1:1: old: `url` is missing\ntwinread.yaml:1:1: new: `url` is missing"
    );

    let missing = load(&Origin::new(None, Flags::default())).unwrap_err();
    let expected = "command line: old: `url` is missing\ncommand line: new: `url` is missing";
    assert_eq!(missing.to_string(), expected);

    let gone = Origin::new(Some("/nowhere/twinread.yaml".into()), Flags::default());
    let expected = "cannot read /nowhere/twinread.yaml: No such file or directory (os error 2)";
    assert_eq!(load(&gone).unwrap_err().to_string(), expected);
}

#[test]
fn stacks_and_sampling_have_the_stated_defaults() {
    let config = config("");
    let listen = config.settings.listen.as_ref();
    assert_eq!(listen.unwrap().to_string(), "127.0.0.1:8080");
    assert_eq!(config.settings.mirror.listen, None);
    assert_eq!(config.settings.admin.to_string(), "127.0.0.1:9900");
    assert_eq!(config.settings.admin_token, None);
    assert_eq!(config.settings.live_token, None);
    assert!(!config.is_same_stack && config.warnings.is_empty());
    assert_eq!(config.settings.serve, Serve::default());
    assert_eq!(config.settings.paused, Checks::Running);
    assert_eq!(config.settings.limits, ListenerLimits::default());
    assert_eq!(*config.old, Target::new("old:1".parse().unwrap()));
    assert_eq!(*config.new, Target::new("new:2".parse().unwrap()));
    assert_eq!(
        config.settings.new.protection.timeout,
        Duration::from_secs(5)
    );
    assert_eq!(config.settings.new.protection.max_in_flight.get(), 32);
    assert_eq!(
        config
            .settings
            .new
            .protection
            .max_per_second
            .as_per_second(),
        200.0
    );
    assert_eq!(config.settings.new.protection.breaker.failures.get(), 10);
    assert_eq!(
        config.settings.new.protection.breaker.cool_down,
        Duration::from_secs(10)
    );
    assert_eq!(
        format!("{:?}", config.settings.reads),
        format!("{:?}", Reads::default())
    );
    assert!(config.routes.entries.is_empty());
    assert_eq!(config.settings.max_routes, 500);
    assert_eq!(config.settings.sample, Sampling::default());
    let capture = Capture {
        max_body: 1 << 20,
        max_total: 64 << 20,
    };
    assert_eq!(config.settings.capture, capture);
    let queue = QueueLimits {
        max_length: 1_024,
        max_age: Duration::from_secs(30),
    };
    assert_eq!(config.settings.queue, queue);
}

#[test]
fn comparing_and_reporting_have_the_stated_defaults() {
    let config = config("");
    assert_eq!(config.comparing.options, Options::default());
    assert!(
        !config.comparing.rules.rules().is_empty(),
        "builtin:http is on"
    );
    assert_eq!(config.comparing.options.deadline, Duration::from_millis(50));
    let redact = twinread::testing::redact::Config::default();
    assert_eq!(
        format!("{:?}", config.settings.redact),
        format!("{redact:?}")
    );
    assert_eq!(
        config.settings.telemetry,
        twinread::testing::export::Config::default()
    );
    assert_eq!(config.settings.telemetry.trace, Trace::Link);
    assert_eq!(config.settings.telemetry.traced, Traced::Mismatch);
    assert_eq!(config.settings.log.format, Format::Text);
    assert_eq!(
        config.settings.log.level,
        tracing::level_filters::LevelFilter::INFO
    );
    assert_eq!(config.settings.store.keep_mismatches, 10_000);
    assert_eq!(config.settings.store.keep_per_class, 50);
    assert_eq!(config.settings.store.path, None);
    assert_eq!(config.settings.store.keep, Duration::from_secs(30 * 86_400));
    assert_eq!(config.settings.verdict, Limits::default());
    assert_eq!(config.settings.epoch.label, None);
    assert_eq!(config.settings.drain.grace, Duration::from_secs(10));
}

/// Nearly every setting with its default, and examples of reads and routes.
const STATED: &str = r"
listen: 127.0.0.1:8080
admin: 127.0.0.1:9900
admin_token: null             # bearer token; without one, only a loopback address is accepted for admin
live_token: null              # in header x-twinread-token of a live request (always stripped)
allow_same_stack: false       # true: old and new may be the same place, to see the noise of an A/A run
paused: false
serve:
  new: 0                # percent of reads that the new stack answers
  by: null              # header:NAME | cookie:NAME | trace | chance
  salt: ''              # of the hash
  routes: {}            # a route's own percent
  writes: old           # which stack is the primary of everything that is not a read, upgrades included
  rescue: {enabled: false, timeout: 1s}
  header: x-twinread-serve   # old | new, honoured with the live_token
writes:
  by: none
limits:                       # of the listener; reaching one is counted
  {connections: 10000, header_bytes: 64KiB, headers: 100, head_timeout: 10s, idle_timeout: 300s, body_stall: 60s, streams: 100}

old:
  url: http://127.0.0.1:9001  # http or https; base path allowed
  connect_timeout: 2s
  idle_timeout: 60s           # of pooled connections
  http2: false                # prior-knowledge HTTP/2 for http://, ALPN decides for https://
  host: preserve              # preserve | stack (take it from the url) | a literal
  headers: {set: {}, remove: []}
  tls: {ca: null, cert: null, key: null, server_name: null}
  timeout: 5s
  max_in_flight: 32
  max_per_second: 200
  breaker: {failures: 10, cool_down: 10s}
new:
  url: http://127.0.0.1:9002
  timeout: 5s
  max_in_flight: 32
  max_per_second: 200
  breaker: {failures: 10, cool_down: 10s}
control:
  url: null

reads:
  - {methods: [GET, HEAD]}
  - {methods: [POST], path: /graphql, json: {$.query: '^\s*(query|\{)'}}
  - {methods: [POST], header: {x-amz-target: '^DynamoDB_\d+\.(GetItem|Query|Scan|BatchGetItem)$'}}

routes:
  - {name: get-user, methods: [GET], path: '/users/{id}', required: true, sample: 1.0}
  - {name: 'dynamodb {op}', header: {x-amz-target: '\.(?<op>\w+)$'}}
max_routes: 500

sample:
  rate: 0.05
  per_route_floor: 1/s
  max_per_second: 100
  by: null
  force_header: x-twinread-sample

capture: {max_body: 1MiB, max_total: 64MiB}
queue: {max_length: 1024, max_age: 30s}

recheck:
  after: [200ms, 2s, 10s]
  max_per_second: 10
conditional: reread

mirror: {listen: null}

rules: [builtin:http]
compare:
  headers: all
  numbers: numeric
  max_differences: 100
  max_depth: 128
  deadline: 50ms
  max_decoded: 16MiB

redact:
  headers: [authorization, cookie, set-cookie, proxy-authorization, x-api-key]
  fields: ['(?i)pass(word)?|secret|token|card|iban|ssn|e?mail|phone']
  values: masked
  max_value: 256

telemetry:
  otlp: {endpoint: null, protocol: grpc, headers: {}, timeout: 5s}
  service_name: twinread
  resource: {}
  trace: link
  traced: mismatch
  trace_url: null
log: {format: text, level: info}

store: {path: null, keep_mismatches: 10000, keep_per_class: 50, max_bytes: null, keep: 30d}

verdict:
  max_mismatch: 1e-3
  max_error: 1e-2
  max_transient: null
  max_noise: 0.05
  max_uncompared: 0.01
  confidence: 0.95
  min_share: 0.001
  required: observed
  exempt: []
  min_coverage: 0.9
  soak: 0s
  max_gap: 1h
  max_latency_ratio: null
  change_run: 1e6
epoch: {label: null, version_header: null}
drain: {grace: 10s}
";

#[test]
fn a_file_with_nearly_every_setting_is_read() {
    let folder = Folder::with(STATED);
    let loaded = folder.load().unwrap_or_else(|faults| panic!("{faults}"));
    let config = &loaded.config;
    assert_eq!(config.routes.entries.len(), 2);
    assert_eq!(config.old.authority.as_str(), "127.0.0.1:9001");
    assert_eq!(
        config.settings.telemetry.service_name.as_deref(),
        Some("twinread")
    );
    assert_eq!(
        config.settings.telemetry.otlp.timeout,
        Some(Duration::from_secs(5))
    );
}

#[test]
fn a_file_that_states_the_defaults_changes_nothing() {
    let examples = ["  - {methods: [POST]", "  - {name: "];
    let is_example = |line: &&str| examples.iter().any(|begin| line.starts_with(begin));
    let said: Vec<_> = STATED.lines().filter(|line| !is_example(line)).collect();
    let said = Folder::with(&said.join("\n").replace("\nroutes:", "\nroutes: []"));
    let stacks = "old: {url: 'http://127.0.0.1:9001'}\nnew: {url: 'http://127.0.0.1:9002'}\n";
    let silent = Folder::with(stacks);
    let config = |folder: &Folder| {
        let loaded = folder.load().unwrap_or_else(|faults| panic!("{faults}"));
        let mut config = Config::clone(&loaded.config);
        // Absent values stay `None`, because `report` looks into the environment before the defaults.
        config.settings.telemetry.otlp = twinread::testing::export::otlp::Config::default();
        config.settings.telemetry.service_name = None;
        // Compared by fingerprint, because their debug output has a random order.
        let rules = config.comparing.rules.fingerprint();
        config.comparing = Arc::new(CompareConfig {
            rules: Arc::default(),
            options: config.comparing.options.clone(),
            ..CompareConfig::default()
        });
        format!("{rules} {config:?}")
    };
    assert_eq!(config(&said), config(&silent));
}

#[test]
fn values_are_read() {
    let config = config(
        "admin: 0.0.0.0:9900\n\
         admin_token: s3cret\n\
         serve: {new: 33.33, by: chance}\n\
         paused: true\n\
         sample: {rate: 1, per_route_floor: 30/m, by: 'cookie:sid', force_header: null}\n\
         compare: {headers: {listed: [ETag]}, numbers: lexical}\n\
         telemetry: {trace: child, traced: all, resource: {deployment.environment: live}}\n\
         log: {format: json, level: debug}\n\
         verdict: {soak: 7d, max_latency_ratio: 1.5}\n\
         epoch: {label: build 812}\n",
    );
    assert_eq!(config.settings.admin_token.as_deref(), Some("s3cret"));
    assert_eq!(config.settings.serve.new, Percent::of(33.33).unwrap());
    assert_eq!(config.settings.paused, Checks::Paused);
    assert_eq!(config.settings.sample.rate, 1.0);
    assert_eq!(config.settings.sample.per_route_floor.as_per_second(), 0.5);
    let by = format!("{:?}", config.settings.sample.by);
    assert_eq!(by, "Cookie(\"sid\")");
    assert_eq!(config.settings.sample.force_header, None);
    assert_eq!(config.settings.telemetry.trace, Trace::Child);
    assert_eq!(config.settings.telemetry.traced, Traced::All);
    assert_eq!(
        config.settings.telemetry.resource["deployment.environment"],
        "live"
    );
    assert_eq!(config.settings.log.format, Format::Json);
    assert_eq!(config.settings.verdict.soak, Duration::from_secs(604_800));
    assert_eq!(config.settings.epoch.label.as_deref(), Some("build 812"));
}

#[test]
fn a_stack_is_read() {
    let folder = Folder::with(
        "old: {url: 'http://old:1/base/', host: shop.example, headers: {set: {X-Key: '1'}, remove: [cookie]}}\n\
         new: {url: 'http://[::1]:2', host: stack, idle_timeout: 5s, breaker: {failures: 3}}\n",
    );
    let loaded = folder.load().unwrap();
    let config = &loaded.config;
    assert_eq!(config.old.authority.as_str(), "old:1");
    assert_eq!(config.old.base_path, "/base");
    assert_eq!(
        config.old.host,
        HostPolicy::Literal("shop.example".parse().unwrap())
    );
    assert_eq!(
        config.old.set,
        [("x-key".parse().unwrap(), "1".parse().unwrap())]
    );
    assert_eq!(config.old.remove, ["cookie"]);
    assert_eq!(config.new.authority.as_str(), "[::1]:2");
    assert_eq!(config.new.host, HostPolicy::Stack);
    assert_eq!(config.new.idle_timeout, Duration::from_secs(5));
    assert_eq!(config.settings.new.protection.breaker.failures.get(), 3);
    assert_eq!(
        config.settings.new.protection.breaker.cool_down,
        Duration::from_secs(10)
    );
}

#[test]
fn answers_may_have_as_many_header_lines_as_requests_or_more() {
    let most = |text| {
        let config = config(text);
        [config.old.max_headers, config.new.max_headers]
    };
    assert_eq!(most(""), [256, 256]);
    assert_eq!(most("limits: {headers: 1000}\n"), [1_000, 1_000]);
}

#[test]
fn variables_are_replaced_and_their_faults_are_reported_once() {
    let folder = Folder::with(
        "old: {url: \"${OLD_URL:-http://old:1}\"}\n\
         new:\n  url: ${NEW_URL}\n\
         sample:\n  rate: ${RATE}\n\
         admin_token: ${EMPTY}\n\
         epoch: {label: 'costs $${RATE}'}\n",
    );
    let loaded = folder.load().unwrap();
    let config = &loaded.config;
    assert_eq!(config.old.authority.as_str(), "old:1");
    assert_eq!(config.new.base_path, "/api");
    assert_eq!(config.settings.sample.rate, 0.25);
    assert_eq!(config.settings.admin_token, None);
    assert_eq!(
        config.settings.epoch.label.as_deref(),
        Some("costs ${RATE}")
    );

    let reported = faults("sample:\n  rate: ${GONE}\n  max_per_second: x\n");
    assert_eq!(
        reported,
        "twinread.yaml:4:9: sample.rate: the variable `GONE` is not set; `${GONE:-…}` gives a default\n\
         twinread.yaml:5:19: sample.max_per_second: expected a number from 0.001 to 1000000, found `x`"
    );
}

#[test]
fn flags_serve_without_a_file_and_win_over_one() {
    let text = |text: &str| Some(text.to_owned());
    let flags = Flags {
        listen: text("127.0.0.1:0"),
        admin: text("127.0.0.1:1"),
        old: text("http://a"),
        new: text("http://b/c"),
        sample: text("1"),
        show_values: true,
    };
    let loaded = load(&Origin::new(None, flags.clone())).unwrap();
    assert_eq!(loaded.config.new.base_path, "/c");

    let folder = Folder::with("listen: 127.0.0.1:5\nsample: {rate: 0.1}\nqueue: {max_length: 7}\n");
    let loaded = load(&folder.origin(flags)).unwrap();
    let config = &loaded.config;
    let listen = config.settings.listen.as_ref();
    assert_eq!(listen.unwrap().to_string(), "127.0.0.1:0");
    assert_eq!(config.settings.admin.to_string(), "127.0.0.1:1");
    assert_eq!(config.old.authority.as_str(), "a");
    assert_eq!(config.settings.sample.rate, 1.0);
    assert_eq!(config.settings.queue.max_length, 7);

    let wrong = Flags {
        sample: text("lots"),
        ..Flags::default()
    };
    let faults = load(&Folder::with(STACKS).origin(wrong)).unwrap_err();
    let expected = "command line: sample.rate: expected a number from 0 to 1, found \"lots\"";
    assert_eq!(faults.to_string(), expected);
}

const RULE: &str = "rules:\n  - {id: ID, why: clocks, at: header.date, do: ignore}\n";

#[test]
fn rules_come_from_files_and_folders_next_to_the_file() {
    let folder = Folder::with(&format!("{STACKS}rules: [own, more.yaml]\n"));
    folder
        .write("own/b.yaml", &RULE.replace("ID", "b"))
        .write("own/a.yaml", &RULE.replace("ID", "a"))
        .write("own/a.test.yaml", "not rules")
        .write("own/.a.yaml", "not rules")
        .write("own/notes.txt", "not rules")
        .write("more.yaml", &RULE.replace("ID", "c"));
    let loaded = folder.load().unwrap_or_else(|faults| panic!("{faults}"));
    let rules = loaded.config.comparing.rules.rules();
    let ids: Vec<_> = rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
}

#[test]
fn faults_of_rules_are_reported_with_those_of_the_configuration() {
    let folder = Folder::with(&format!(
        "{STACKS}rules: [own.yaml]\nqueue: {{max_age: 1}}\n"
    ));
    folder.write("own.yaml", "rules:\n  - {id: a, at: status, do: ignore}\n");
    let reported = folder.faults();
    let lines: Vec<_> = reported.lines().collect();
    assert_eq!(lines.len(), 2, "{reported}");
    assert!(
        lines[0].starts_with("twinread.yaml:4:18: queue.max_age: "),
        "{reported}"
    );
    assert!(lines[1].starts_with("own.yaml:2:"), "{reported}");
}

#[test]
fn an_expired_rule_and_an_empty_folder_are_warnings() {
    let folder = Folder::with(&format!("{STACKS}rules: [own.yaml, empty]\n"));
    fs::create_dir(folder.path().join("empty")).unwrap();
    let rule = RULE.replace("why", "expires: 2020-01-01, why");
    folder.write("own.yaml", &rule.replace("ID", "a"));
    let loaded = folder.load().unwrap();
    let warnings: Vec<_> = loaded.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings
            .iter()
            .any(|warning| warning.contains("own.yaml:2:")),
        "{warnings:?}"
    );
    assert!(
        warnings.iter().any(|warning| warning.contains("`empty`")),
        "{warnings:?}"
    );
}

#[test]
fn a_limit_that_no_number_of_keys_can_show_to_hold_is_a_warning() {
    let warnings = |by: &str, limit: &str| -> Vec<_> {
        let folder = Folder::with(&format!(
            "{STACKS}sample: {{by: {by}}}\nverdict: {{max_mismatch: {limit}}}\n"
        ));
        let warnings = folder.load().unwrap().warnings();
        warnings.iter().map(ToString::to_string).collect()
    };
    let reported = warnings("\"header:x-user\"", "2e-5");
    let [reported] = &reported[..] else {
        panic!("{reported:?}");
    };
    assert!(
        reported.contains(
            "sample.by: the 131072 keys that are distinguished cannot show a verdict.max_mismatch of 0.0020 %"
        ),
        "{reported}"
    );
    assert!(
        reported.contains("set the limit to 0.0027 % or more"),
        "{reported}"
    );
    assert!(warnings("\"header:x-user\"", "2.7e-5").is_empty());
    assert!(warnings("null", "2e-5").is_empty());
}

/// Every section, and how to write a field into it.
const SECTIONS: &[(&str, &str)] = &[
    ("", "{}"),
    ("old", "old: {url: 'http://old:1', {}}"),
    ("old.headers", "old: {url: 'http://old:1', headers: {{}}}"),
    ("old.tls", "old: {url: 'http://old:1', tls: {{}}}"),
    ("new", "new: {url: 'http://new:2', {}}"),
    ("new.breaker", "new: {url: 'http://new:2', breaker: {{}}}"),
    ("control", "control: {{}}"),
    ("reads[0]", "reads: [{methods: [GET], {}}]"),
    ("routes[0]", "routes: [{name: a, path: /a, {}}]"),
    ("limits", "limits: {{}}"),
    ("sample", "sample: {{}}"),
    ("capture", "capture: {{}}"),
    ("queue", "queue: {{}}"),
    ("recheck", "recheck: {{}}"),
    ("mirror", "mirror: {{}}"),
    ("compare", "compare: {{}}"),
    ("redact", "redact: {{}}"),
    ("telemetry", "telemetry: {{}}"),
    ("telemetry.otlp", "telemetry: {otlp: {{}}}"),
    ("log", "log: {{}}"),
    ("store", "store: {{}}"),
    ("verdict", "verdict: {{}}"),
    ("epoch", "epoch: {{}}"),
    ("drain", "drain: {{}}"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_single_unknown_field_is_reported_by_name_and_place(
        name in "zz[a-z_]{1,12}",
        value in prop_oneof!["[0-9]{1,3}", "null", "true", "\\[\\]", "\\{\\}"],
        section in 0..SECTIONS.len(),
    ) {
        let (path, written) = SECTIONS[section];
        let line = written.replace("{}", &format!("{name}: {value}"));
        let others = STACKS.lines().filter(|other| line.get(..4) != other.get(..4));
        let text: Vec<_> = others.chain([line.as_str()]).collect();
        let reported = Folder::with(&text.join("\n")).faults();
        let expected = match path {
            "" => format!("unknown field `{name}`"),
            path => format!("{path}: unknown field `{name}`"),
        };
        prop_assert_eq!(reported.lines().count(), 1, "{}", reported);
        let place = format!("twinread.yaml:{}:{}: ", text.len(), line.find(&name).unwrap() + 1);
        prop_assert!(reported.starts_with(&format!("{place}{expected}")), "{}", reported);
    }
}

/// Fields of every kind, some of which do not exist.
const FIELDS: &[&str] = &[
    "listen",
    "admin",
    "admin_token",
    "live_token",
    "allow_same_stack",
    "serve.writes",
    "paused",
    "limits",
    "limits.connections",
    "limits.header_bytes",
    "limits.body_stall",
    "limits.streams",
    "old",
    "old.url",
    "old.host",
    "old.headers",
    "old.headers.set",
    "old.headers.remove",
    "old.tls",
    "new.timeout",
    "new.max_in_flight",
    "new.breaker",
    "control",
    "reads",
    "routes",
    "max_routes",
    "sample",
    "sample.rate",
    "sample.per_route_floor",
    "sample.by",
    "sample.force_header",
    "capture",
    "capture.max_body",
    "queue.max_age",
    "recheck",
    "recheck.after",
    "conditional",
    "mirror",
    "mirror.listen",
    "rules",
    "compare.headers",
    "compare.headers.listed",
    "compare.numbers",
    "compare.deadline",
    "redact",
    "redact.fields",
    "redact.values",
    "telemetry.otlp",
    "telemetry.otlp.headers",
    "telemetry.resource",
    "telemetry.trace",
    "log.level",
    "store.keep",
    "store.max_bytes",
    "verdict",
    "verdict.confidence",
    "verdict.soak",
    "epoch",
    "epoch.label",
    "epoch.version_header",
    "drain.grace",
    "nonsense",
];

fn anything() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        prop_oneof![Just(0.5), Just(1e300), Just(-0.0)].prop_map(Into::into),
        "[ -~]{0,12}".prop_map(Into::into),
        "[0-9]{1,30}(ms|s|d|KiB|GiB|/s)".prop_map(Into::into),
        prop_oneof![Just("http://["), Just("é\u{0}\n"), Just("(?i"), Just("$")]
            .prop_map(Into::into),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Into::into),
            proptest::collection::hash_map("[a-z_$]{1,8}", inner, 0..3)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_a_field_says_it_is_read_or_refused_with_its_place(
        field in 0..FIELDS.len(),
        value in anything(),
    ) {
        let mut document = serde_json::json!({
            "old": {"url": "http://old:1"}, "new": {"url": "http://new:2"}, "rules": [],
        });
        let pointer = FIELDS[field].split('.');
        let place = pointer.fold(&mut document, |place, name| &mut place[name]);
        *place = value;
        let text = serde_json::to_string_pretty(&document).unwrap();
        if let Err(faults) = Folder::with(&text).load() {
            for fault in faults.iter() {
                prop_assert!(fault.file.is_some() && fault.mark.is_some(), "{}\n{}", fault, text);
            }
        }
    }
}
