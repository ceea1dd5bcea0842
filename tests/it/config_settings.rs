//! Settings that change at runtime, by patches of the API and by reloads, as a whole or not at all.

use proptest::prelude::*;
use serde_json::{Value, json};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use twinread::testing::{
    config::{Config, Flags, Origin, Running, load, reload::Cause},
    ledger::Gauges,
    live::Checks,
    settings::{Refused, SettingChange, Source},
    transport::Peer,
};

const CALLER: Peer = Peer::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5_000));
const STACKS: &str = "old: {url: 'http://old:1'}\nnew: {url: 'http://new:2'}\n";

/// A running configuration, its folder, and what it put in force.
struct Process {
    folder: TempDir,
    gauges: Gauges,
    running: Running,
    published: Arc<Mutex<Vec<Config>>>,
}

impl Process {
    fn with(text: &str) -> Self {
        Self::with_flags(text, Flags::default())
    }

    fn with_flags(text: &str, flags: Flags) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("twinread.yaml");
        fs::write(&file, format!("{STACKS}{text}")).unwrap();
        let origin = Origin::new(Some(file), flags);
        let loaded = load(&origin).unwrap_or_else(|faults| panic!("{faults}"));
        let gauges = Gauges::default();
        let published = Arc::<Mutex<Vec<Config>>>::default();
        let kept = published.clone();
        let publish = move |config: &Config| kept.lock().unwrap().push(config.clone());
        Self {
            folder,
            gauges: gauges.clone(),
            running: Running::new(origin, loaded, gauges, publish),
            published,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, text: &str) -> &Self {
        fs::write(self.path().join("twinread.yaml"), format!("{STACKS}{text}")).unwrap();
        self
    }

    fn patch(&self, patch: &Value) -> Result<u64, String> {
        let settings = self.running.patch(patch, None, CALLER);
        settings
            .map(|settings| settings.revision)
            .map_err(|refused| refused.to_string())
    }

    fn setting(&self, name: &str) -> (Value, Source) {
        let setting = self.running.settings().settings[name].clone();
        (setting.value, setting.source)
    }

    fn published(&self) -> usize {
        self.published.lock().unwrap().len()
    }

    fn changed(&self) -> (Vec<String>, Vec<String>) {
        let reloaded = self.running.reload(Cause::Hangup).unwrap();
        (reloaded.changed, reloaded.needs_restart)
    }
}

#[test]
fn a_patch_is_in_force_at_once_and_shown_with_its_source() {
    let process = Process::with("sample: {rate: 0.1, max_per_second: 7}\n");
    assert_eq!(process.setting("sample.rate"), (json!(0.1), Source::File));
    assert_eq!(
        process.setting("queue.max_length"),
        (json!(1024), Source::Default)
    );
    assert_eq!(process.running.settings().revision, 1);

    let patch =
        json!({"sample": {"rate": 0.2}, "new": {"breaker": {"failures": 3}}, "paused": true});
    assert_eq!(process.patch(&patch), Ok(2));

    assert_eq!(process.setting("sample.rate"), (json!(0.2), Source::Api));
    assert_eq!(
        process.setting("new.breaker.failures"),
        (json!(3), Source::Api)
    );
    assert_eq!(
        process.setting("sample.max_per_second"),
        (json!(7), Source::File)
    );
    assert_eq!(process.gauges.settings_revision.get(), 2);
    let published = process.published.lock().unwrap();
    let config = published.last().unwrap();
    assert_eq!(config.settings.sample.rate, 0.2);
    assert_eq!(config.settings.new.protection.breaker.failures.get(), 3);
    assert_eq!(config.settings.paused, Checks::Paused);
    assert_eq!(published.len(), 1);
}

#[test]
fn patches_accumulate_and_null_returns_to_the_files_value() {
    let process = Process::with("sample: {rate: 0.1}\n");
    process.patch(&json!({"sample": {"rate": 0.2}})).unwrap();
    process.patch(&json!({"sample": {"by": "trace"}})).unwrap();
    assert_eq!(process.setting("sample.rate"), (json!(0.2), Source::Api));

    process.patch(&json!({"sample": {"rate": null}})).unwrap();
    assert_eq!(process.setting("sample.rate"), (json!(0.1), Source::File));
    assert_eq!(process.setting("sample.by"), (json!("trace"), Source::Api));

    process.patch(&json!({"sample": null})).unwrap();
    assert_eq!(process.setting("sample.by"), (Value::Null, Source::Default));
}

#[test]
fn a_patch_is_applied_whole_or_not_at_all() {
    let process = Process::with("");
    let before = process.running.settings();
    let cases = [
        (
            json!({"paused": true, "sample": {"rate": 2}}),
            "sample.rate: expected a number from 0 to 1, found `2`",
        ),
        (
            json!({"paused": true, "listen": "127.0.0.1:1"}),
            "listen needs a restart",
        ),
        (
            json!({"paused": true, "rules": []}),
            "rules: change the file",
        ),
        (
            json!({"smaple": {"rate": 1}, "queue": {"max_length": 0}}),
            "unknown setting `smaple.rate`, did you mean `sample.rate`?\n\
             queue.max_length: expected a whole number from 1 to 1000000, found `0`",
        ),
        (
            json!({"recheck": {"after": ["1s", "1s"]}}),
            "recheck.after[1]: expected delays that grow, because each is from the first difference on, found `1s` after `1s`",
        ),
        (
            json!({"conditional": "skip"}),
            "conditional: change the file",
        ),
        (json!({"sample": 5}), "sample: expected a map, found `5`"),
        (
            json!({"capture": {"max_total": "1KiB"}}),
            "capture: max_body is more than max_total",
        ),
        (json!([1]), "expected an object of settings"),
    ];
    for (patch, expected) in cases {
        assert_eq!(process.patch(&patch), Err(expected.to_owned()), "{patch}");
        assert_eq!(process.running.settings(), before, "{patch}");
    }
    assert_eq!(process.published(), 0);
}

#[test]
fn a_patch_for_another_revision_is_refused() {
    let process = Process::with("");
    process.patch(&json!({"paused": true})).unwrap();
    let patch = json!({"paused": false});
    let stale = process.running.patch(&patch, Some(1), CALLER);
    assert!(matches!(stale, Err(Refused::Stale(2))), "{stale:?}");
    let settings = process.running.patch(&patch, Some(2), CALLER).unwrap();
    assert_eq!(settings.revision, 3);
}

#[test]
fn a_patch_that_says_nothing_new_changes_nothing() {
    let process = Process::with("");
    assert_eq!(process.patch(&json!({})), Ok(1));
    assert_eq!(process.patch(&json!({"paused": null})), Ok(1));
    assert_eq!(process.patch(&json!({"paused": true})), Ok(2));
    assert_eq!(process.patch(&json!({"paused": true})), Ok(2));
    assert_eq!(process.published(), 1);
}

#[test]
fn changes_from_many_sides_are_each_put_in_force_once() {
    let process = Process::with("");
    std::thread::scope(|scope| {
        for side in 0..4 {
            let process = &process;
            scope.spawn(move || {
                for step in 0..25 {
                    let rate = f64::from(side * 25 + step) / 100.0;
                    process
                        .patch(&json!({"sample": {"rate": rate}, "paused": null}))
                        .unwrap();
                    if side == 0 {
                        process.running.reload(Cause::FilesChanged).unwrap();
                    }
                }
            });
        }
    });
    let revision = process.running.settings().revision;
    assert_eq!(usize::try_from(revision).unwrap(), 1 + process.published());
    let published = process.published.lock().unwrap();
    let last = published.last().unwrap().settings.sample.rate;
    assert_eq!(
        last,
        process.running.config().settings.sample.rate,
        "the last one stays"
    );
    assert_eq!(process.setting("sample.rate").0, json!(last));
}

/// A patch of a few settings, some of whose values are rejected.
fn patches() -> impl Strategy<Value = Value> {
    let rate = prop_oneof![
        Just(Value::Null),
        Just(json!(0.5)),
        Just(json!(1)),
        Just(json!(2))
    ];
    let age = prop_oneof![
        Just(Value::Null),
        Just(json!("5s")),
        Just(json!("9s")),
        Just(json!(5))
    ];
    let paused = prop_oneof![Just(Value::Null), Just(json!(true)), Just(json!(false))];
    let members = (
        proptest::option::of(rate),
        proptest::option::of(age),
        proptest::option::of(paused),
    );
    members.prop_map(|(rate, age, paused)| {
        let mut patch = json!({});
        let mut put = |pointer: [&str; 2], value: Option<Value>| {
            if let Some(value) = value {
                patch[pointer[0]][pointer[1]] = value;
            }
        };
        put(["sample", "rate"], rate);
        put(["queue", "max_age"], age);
        if let Some(paused) = paused {
            patch["paused"] = paused;
        }
        patch
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn refused_patch_changes_nothing_and_null_restores_the_file(
        patches in proptest::collection::vec(patches(), 1..6)
    ) {
        let process = Process::with("sample: {rate: 0.1}\n");
        let first = process.running.settings();
        for patch in &patches {
            let before = process.running.settings();
            let wrong = patch["sample"]["rate"] == 2 || patch["queue"]["max_age"] == 5;
            prop_assert_eq!(process.patch(patch).is_err(), wrong, "{}", patch);
            if wrong {
                prop_assert_eq!(process.running.settings(), before);
            }
        }
        process.patch(&json!({"sample": null, "queue": {"max_age": null}, "paused": null})).unwrap();
        prop_assert_eq!(process.running.settings().settings, first.settings);
        prop_assert_eq!(process.running.config().settings.sample.rate, 0.1);
    }
}

#[test]
fn every_setting_can_be_set_to_its_own_value() {
    let process = Process::with("");
    for (name, setting) in process.running.settings().settings {
        let patch = name
            .rsplit('.')
            .fold(setting.value.clone(), |value, name| json!({name: value}));
        process.patch(&patch).unwrap();
        assert_eq!(process.setting(&name).0, setting.value, "{name}");
    }
}

#[test]
fn a_reload_puts_in_force_what_can_change_and_names_what_cannot() {
    let process = Process::with("sample: {rate: 0.1}\n");
    process.write(
        "sample: {rate: 0.3}\n\
         routes: [{name: a, path: /a}]\n\
         redact: {values: shown}\n\
         listen: 127.0.0.1:8081\n\
         drain: {grace: 1s}\n",
    );
    let (changed, needs_restart) = process.changed();
    assert_eq!(changed, ["routes", "sample.rate", "redact.values"]);
    assert_eq!(needs_restart, ["listen", "drain.grace"]);

    let config = process.running.config();
    assert_eq!(config.settings.sample.rate, 0.3);
    assert_eq!(config.routes.entries.len(), 1);
    assert_eq!(
        config.settings.listen.as_ref().unwrap().to_string(),
        "127.0.0.1:8080",
        "what runs stays"
    );
    assert_eq!(config.settings.drain.grace.as_secs(), 10, "what runs stays");
    assert_eq!(process.gauges.settings_revision.get(), 2);

    let (changed, needs_restart) = process.changed();
    assert_eq!(changed, [""; 0]);
    assert_eq!(needs_restart, ["listen", "drain.grace"], "still");
    assert_eq!(process.published(), 1);
}

#[test]
fn stack_url_needs_a_restart_but_its_protection_does_not() {
    let process = Process::with("");
    let text = "old: {url: 'http://old:1', headers: {set: {a: b}}}\n\
                new: {url: 'http://other:2', timeout: 1s}\n";
    fs::write(process.path().join("twinread.yaml"), text).unwrap();
    let (changed, needs_restart) = process.changed();
    assert_eq!(changed, ["new.timeout"]);
    assert_eq!(needs_restart, ["old.headers.set", "new.url"]);
    let config = process.running.config();
    assert_eq!(config.new.authority.as_str(), "new:2");
    assert!(config.old.set.is_empty());
    assert_eq!(config.settings.new.protection.timeout.as_secs(), 1);
}

#[test]
fn a_bad_file_changes_nothing_and_is_counted() {
    let process = Process::with("sample: {rate: 0.1}\n");
    process.write("sample: {rate: 0.3}\nqueue: {max_age: soon}\nfoo: 1\n");
    let faults = process.running.reload(Cause::FilesChanged).unwrap_err();
    assert_eq!(faults.iter().count(), 2, "{faults}");
    assert_eq!(process.gauges.reload_failures.get(), 1);
    assert_eq!(process.setting("sample.rate"), (json!(0.1), Source::File));
    assert_eq!(process.published(), 0);

    process.running.reload(Cause::FilesChanged).unwrap_err();
    assert_eq!(
        process.gauges.reload_failures.get(),
        1,
        "the same file is counted once"
    );
    process.running.reload(Cause::Hangup).unwrap_err();
    assert_eq!(
        process.gauges.reload_failures.get(),
        2,
        "a reload that was asked for is counted again"
    );

    process.write("sample: {rate: 0.3}\n");
    process.running.reload(Cause::FilesChanged).unwrap();
    assert_eq!(process.setting("sample.rate"), (json!(0.3), Source::File));
}

#[test]
fn what_the_api_changed_stays_over_a_reload() {
    let process = Process::with("sample: {rate: 0.1}\n");
    process.patch(&json!({"sample": {"rate": 0.9}})).unwrap();
    process.write("sample: {rate: 0.3, max_per_second: 5}\n");
    process.changed();
    assert_eq!(process.setting("sample.rate"), (json!(0.9), Source::Api));
    assert_eq!(
        process.setting("sample.max_per_second"),
        (json!(5), Source::File)
    );

    process.patch(&json!({"sample": {"rate": null}})).unwrap();
    assert_eq!(process.setting("sample.rate"), (json!(0.3), Source::File));
}

#[test]
fn flags_stay_on_top_of_a_reloaded_file() {
    let flags = Flags {
        sample: Some("0.5".to_owned()),
        ..Flags::default()
    };
    let process = Process::with_flags("", flags);
    process.write("sample: {rate: 0.3}\n");
    assert_eq!(process.changed().0, [""; 0]);
    assert_eq!(process.setting("sample.rate"), (json!(0.5), Source::Flag));
    process.patch(&json!({"sample": {"rate": 1}})).unwrap();
    assert_eq!(process.setting("sample.rate"), (json!(1), Source::Api));
}

#[test]
fn a_changed_rule_file_is_a_change() {
    let process = Process::with("");
    let rules = process.path().join("own.yaml");
    let rule = "rules:\n  - {id: a, why: clocks, at: header.date, do: ignore}\n";
    fs::write(&rules, rule).unwrap();
    process.write("rules: [own.yaml]\n");
    assert_eq!(process.changed().0, ["rules"]);
    assert_eq!(process.running.paths().len(), 2);

    fs::write(
        &rules,
        format!("{rule}  - {{id: b, why: clocks, at: header.age, do: ignore}}\n"),
    )
    .unwrap();
    assert_eq!(process.changed().0, ["rules"]);
    assert_eq!(process.running.config().comparing.rules.rules().len(), 2);

    fs::write(&rules, "rules: [{id: a}]\n").unwrap();
    process.running.reload(Cause::Hangup).unwrap_err();
    assert_eq!(process.running.config().comparing.rules.rules().len(), 2);
}

#[test]
fn patches_and_reloads_are_noted_with_who_made_them() {
    let mut process = Process::with("sample: {rate: 0.1}\n");
    let noted = Arc::<Mutex<Vec<SettingChange>>>::default();
    let kept = noted.clone();
    process.running = process
        .running
        .on_change(move |changes| kept.lock().unwrap().extend(changes));
    let patch = json!({"sample": {"rate": 0.2}, "paused": true});
    process.patch(&patch).unwrap();
    process.patch(&json!({"sample": {"rate": 7}})).unwrap_err();
    process.patch(&patch).unwrap();
    process.write("queue: {max_age: 5s}\n").changed();

    let noted = noted.lock().unwrap();
    let found = noted.iter().map(|change| {
        let SettingChange {
            revision,
            setting,
            from,
            to,
            source,
            ..
        } = change;
        format!(
            "{revision} {setting} {from} {to} {source:?} {:?}",
            change.caller
        )
    });
    let by_api = r#"Some("127.0.0.1:5000")"#;
    let expected = [
        format!("2 paused false true Api {by_api}"),
        format!("2 sample.rate 0.1 0.2 Api {by_api}"),
        r#"3 queue.max_age "30s" "5s" File None"#.to_owned(),
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
}
