//! Small comparisons that show what a rule would do.

use crate::{
    compare::{Answer, CompareConfig, Comparison, Context, compare},
    rules::RuleSet,
    spanned_yaml::ConfigErrors,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use jiff::civil::Date;
use serde_json::Value as Json;

/// Compiles a rule file given as JSON, which is also YAML.
pub(super) fn compile(file: &Json) -> Result<RuleSet, ConfigErrors> {
    let files = [("suggested".into(), file.to_string())];
    RuleSet::compile(&files, Date::MIN).map(|(rules, _)| rules)
}

/// Compares two JSON texts.
pub(super) fn compare_json(old: &str, new: &str, comparing: &CompareConfig) -> Comparison {
    let json = HeaderValue::from_static("application/json");
    let answer = |body: &str| Answer {
        status: StatusCode::OK,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, json.clone())]),
        body: body.to_owned().into(),
        trailers: HeaderMap::new(),
    };
    let context = Context {
        route: "",
        method: &Method::GET,
        today: Date::MIN,
        deadline: None,
    };
    compare(&answer(old), &answer(new), &context, comparing)
}
