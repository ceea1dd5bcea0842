//! The reader of rule files: any text gives rules or a list of faults, each with a position within the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use twinread::rules::{Query, RuleSet};

fuzz_target!(|text: &str| {
    let today = jiff::civil::date(2026, 11, 22);
    let files = [("fuzz.yaml".into(), text.to_owned())];
    match RuleSet::compile(&files, today) {
        Ok((rules, _)) => {
            let again = RuleSet::compile(&files, today).expect("it was valid a moment ago");
            assert_eq!(rules.fingerprint(), again.0.fingerprint());
        }
        Err(faults) => assert!(!faults.to_string().is_empty(), "refused without a fault"),
    }
    // A query of its own, because mutations rarely reach the grammar through YAML.
    if let Err(problem) = Query::parse(text) {
        assert!(!problem.reason.is_empty(), "refused without a reason");
    }
});
