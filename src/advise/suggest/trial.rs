//! Small comparisons that show what a rule would do.

use crate::{
    compare::{Answer, CompareConfig, Comparison, Context, Options, compare},
    rules::RuleSet,
    spanned_yaml::ConfigErrors,
};
use jiff::civil::Date;
use serde_json::{Value as Json, json};

/// Compiles rules, each given by its place and its action. JSON is also YAML.
pub(super) fn compile<'r>(
    rules: impl IntoIterator<Item = (&'r str, &'r Json)>,
) -> Result<RuleSet, ConfigErrors> {
    let rules = rules.into_iter().enumerate().map(|(index, (at, action))| {
        json!({"id": index.to_string(), "why": "probe", "at": at, "do": action})
    });
    let file = json!({"rules": rules.collect::<Vec<_>>()});
    let files = [("suggested".into(), file.to_string())];
    RuleSet::compile(&files, Date::MIN).map(|(rules, _)| rules)
}

/// Compares two JSON texts, and keeps all differences.
pub(super) fn compare_json(old: &str, new: &str, rules: RuleSet) -> Comparison {
    let comparing = CompareConfig {
        rules: rules.into(),
        options: Options {
            max_differences: usize::MAX,
            ..Options::default()
        },
        ..CompareConfig::default()
    };
    let context = Context::without_route(Date::MIN, None);
    let [old, new] = [old, new].map(|body| Answer::json(body.to_owned()));
    compare(&old, &new, &context, &comparing)
}
