//! Warns of what is valid in a configuration and probably a mistake, each with its line.

use super::{addresses::at, sections::Sections};
use crate::{
    compare,
    heads::hop,
    route::{Entry, Routes, Selector},
    rules::{Rule, RuleSet, Target},
    sample::{By, Calls},
    spanned_yaml::{ConfigError, Cursor, closest},
    transport::TrustedProxies,
    value::{format::Format, grpc::Descriptors},
    verdict::{DistinctKeys, Percent, RequiredRoutes, Trials},
};
use http::Method;

/// A valid configuration.
#[derive(Clone, Copy)]
pub(super) struct Valid<'c> {
    pub(super) settings: &'c Sections,
    /// Those of all sources.
    pub(super) routes: &'c Routes,
    pub(super) rules: &'c RuleSet,
    pub(super) descriptors: &'c Descriptors,
    /// Whether these are all: server reflection has answered, or nobody asks for it.
    pub(super) has_asked: bool,
}

/// All warnings about a configuration; `root` is the whole of it.
pub(super) fn of(root: &Cursor<'_>, valid: Valid<'_>) -> Vec<ConfigError> {
    let Valid {
        settings,
        routes,
        rules,
        descriptors,
        has_asked,
    } = valid;
    let mut warnings = Vec::new();
    warnings.extend(too_few_keys(root, settings));
    if settings.compare.only.is_some() {
        let message = "nothing else of a body is compared; `compare.only` counts as a rule that masks what is left out";
        warnings.push(at(root, &["compare", "only"]).fault(message));
    }
    let has_proxies = settings.proxy_protocol != TrustedProxies::default();
    let listen = settings.listen.as_ref();
    if has_proxies && listen.is_some_and(|listen| listen.tcp().is_none()) {
        let message = "callers of a unix socket are in no network, so that no header is read";
        warnings.push(at(root, &["proxy_protocol"]).fault(message));
    }
    let reads = items(&at(root, &["reads"]));
    for (selector, at) in settings.reads.selectors().zip(&reads) {
        warnings.extend(unmatched(selector, at));
    }
    for (calls, at) in settings.reads.calls().zip(&reads) {
        let grpc = self::at(at, &["grpc"]);
        warnings.extend(calls.and_then(|calls| of_calls(calls, &grpc, descriptors, has_asked)));
    }
    warnings.extend(of_routes(root, settings));
    warnings.extend(too_many_routes(root, valid));
    let mut entries = settings.routes.entries.iter();
    let is_declared = settings.verdict.required == RequiredRoutes::Declared;
    if is_declared && !entries.any(|entry| entry.is_required) {
        let message = "no route is declared with `required: true`, so the verdict is never safe";
        warnings.push(at(root, &["verdict", "required"]).fault(message));
    }
    for at in items(&at(root, &["verdict", "exempt"])) {
        warnings.extend(
            at.text()
                .ok()
                .and_then(|name| unknown_route(name, &at, routes)),
        );
    }
    for (key, at) in at(root, &["serve", "routes"]).entries().unwrap_or_default() {
        warnings.extend(unknown_route(&key.name, &at, routes));
        let named = |entry: &&Entry| {
            entry.fixed_name() == Some(&key.name) && !entry.selector.json.is_empty()
        };
        if routes.entries.iter().any(|entry| named(&entry)) {
            let message = "its requests are named by their bodies, which come too late: they follow serve.new";
            warnings.push(at.fault(message));
        }
    }
    for (rule, at) in rules.written() {
        if !at.file.starts_with("builtin:") {
            warnings.extend(of_rule(rule, &at, valid));
        }
    }
    warnings
}

/// The items of a list that is known to be one.
fn items<'n>(at: &Cursor<'n>) -> Vec<Cursor<'n>> {
    at.items().unwrap_or_default()
}

/// Declared routes always keep their place, and may leave none for others.
fn too_many_routes(root: &Cursor<'_>, valid: Valid<'_>) -> Option<ConfigError> {
    let (declared, most) = (valid.routes.entries.len(), valid.settings.max_routes);
    if declared < most {
        return None;
    }
    let written = valid.settings.routes.entries.len();
    let setting = if declared > written {
        "openapi"
    } else {
        "routes"
    };
    let counts = match declared - written {
        0 => format!("{written} routes are declared"),
        listed => {
            format!("{listed} routes are declared by OpenAPI documents, and {written} by `routes`")
        }
    };
    let message = format!(
        "{counts}, as many as max_routes ({most}) or more: every other request is counted as `other`; raise max_routes"
    );
    Some(at(root, &[setting]).fault(message))
}

/// Entries that no request reaches, and required ones that are never checked.
fn of_routes(root: &Cursor<'_>, settings: &Sections) -> Vec<ConfigError> {
    let mut warnings = Vec::new();
    let entries = &settings.routes.entries;
    let items = items(&at(root, &["routes"]));
    for (index, (entry, at)) in entries.iter().zip(&items).enumerate() {
        warnings.extend(unmatched(&entry.selector, at));
        let mut earlier = entries[..index].iter();
        if let Some(first) = earlier.position(|first| first.selector.covers(&entry.selector)) {
            let message =
                format!("no request gets here, because routes[{first}] takes all of them");
            warnings.push(at.fault(message));
        }
        if entry.is_required {
            let message = never_checked(entry, settings);
            warnings.extend(message.map(|message| at.fault(message)));
        }
    }
    warnings
}

/// Why a required route cannot become safe.
fn never_checked(entry: &Entry, settings: &Sections) -> Option<&'static str> {
    let name = entry.fixed_name().unwrap_or_default();
    let methods = &entry.selector.methods;
    if entry.sample == Some(0.0) {
        Some("required, but `sample: 0` checks nothing of it, so the verdict is never safe")
    } else if settings.verdict.exempts(name) {
        Some("required, but verdict.exempt names it, so it is not")
    } else if !methods.is_empty() && !methods.iter().any(|method| is_read(method, settings)) {
        Some("required, but `reads` declares none of its methods, so the verdict is never safe")
    } else {
        None
    }
}

/// Whether some request of that method may be a read.
fn is_read(method: &Method, settings: &Sections) -> bool {
    let mut selectors = settings.reads.selectors();
    selectors.any(|selector| selector.methods.contains(method))
}

/// Why no request is selected, if that is so.
fn unmatched(selector: &Selector, at: &Cursor<'_>) -> Option<ConfigError> {
    let mut headers = selector.headers.iter();
    if let Some((name, _)) = headers.find(|(name, _)| hop::never_forwards(name)) {
        let message = format!(
            "no request gets here, because twinread removes `{name}` before it names requests"
        );
        return Some(at.fault(message));
    }
    let message = "no request gets here: a path begins with `/`, and has no `?`, `#` or blank";
    selector.is_impossible().then(|| at.fault(message))
}

/// Why calls of gRPC are not compared by field, or not at all.
fn of_calls(
    calls: &Calls,
    at: &Cursor<'_>,
    descriptors: &Descriptors,
    has_asked: bool,
) -> Option<ConfigError> {
    let (streams, others): (Vec<_>, Vec<_>) = calls
        .described(descriptors)
        .partition(|(_, call)| call.request.is_stream);
    if streams.is_empty() && others.is_empty() {
        let message = "neither grpc.descriptors nor grpc.reflection describes such a method, so its messages are \
                       compared as bytes";
        return has_asked.then(|| at.fault(message));
    }
    let mut names: Vec<_> = streams
        .iter()
        .map(|(path, _)| path.trim_start_matches('/'))
        .collect();
    names.sort_unstable();
    (!names.is_empty()).then(|| {
        let names = names.join(", ");
        at.fault(format!("never sampled, because it takes a stream: {names}"))
    })
}

/// A name, with `*` for any text, that no route can have.
fn unknown_route(name: &str, at: &Cursor<'_>, routes: &Routes) -> Option<ConfigError> {
    if routes.can_be_named(name) {
        return None;
    }
    let collapsed = routes.collapsed_name(name);
    let meant = closest(name, routes.declared()).or(collapsed.as_deref());
    let hint = meant.map_or(String::new(), |meant| format!(", did you mean `{meant}`?"));
    Some(at.fault(format!("no route has the name `{name}`{hint}")))
}

/// What a rule names that cannot occur. `at` is the rule in its file.
fn of_rule(rule: &Rule, at: &Cursor<'_>, valid: Valid<'_>) -> Vec<ConfigError> {
    let Valid {
        settings,
        routes,
        rules,
        ..
    } = valid;
    let names = items(&self::at(at, &["when", "routes"])).into_iter();
    let mut warnings: Vec<_> = names
        .filter_map(|at| unknown_route(at.text().ok()?, &at, routes))
        .collect();
    let methods = rule.when.methods.iter().flatten();
    if rule.when.methods.is_some() && !methods.clone().any(|method| is_read(method, settings)) {
        let message = "never holds, because `reads` declares none of these methods";
        warnings.push(self::at(at, &["when", "methods"]).fault(message));
    }
    let content_type = rule.when.content_type.as_deref();
    // A rule at the body may make another format of it.
    let content_type =
        content_type.filter(|pattern| !pattern.contains('*') && rules.at_body().is_empty());
    let place =
        place_problem(&rule.at, settings).or_else(|| format_problem(&rule.at, content_type?));
    warnings.extend(place.map(|problem| self::at(at, &["at"]).fault(problem)));
    warnings
}

/// Why a header at which a rule applies is not compared.
fn place_problem(target: &Target, settings: &Sections) -> Option<String> {
    let (Target::Header(name) | Target::Trailer(name)) = target else {
        return None;
    };
    if compare::is_never_compared(name) {
        return Some(format!(
            "`{name}` belongs to one connection or message, and is never compared"
        ));
    }
    let is_left_out = !name.as_str().contains('*') && !settings.compare.headers.holds(name);
    is_left_out.then(|| format!("`compare.headers` leaves `{name}` out, so this rule does nothing"))
}

/// Why a body of that type has no such place.
fn format_problem(target: &Target, content_type: &str) -> Option<String> {
    let format = Format::of(content_type);
    let is_tree = matches!(
        format,
        Format::Json | Format::Ndjson | Format::JsonSeq | Format::Xml | Format::Grpc
    );
    let has_place = match target {
        Target::Path(_) | Target::Outside(_) => is_tree,
        Target::Form(_) => format == Format::Form,
        Target::Status | Target::Header(_) | Target::Trailer(_) | Target::Body => true,
    };
    (!has_place).then(|| format!("no answer of the type `{content_type}` has such a place"))
}

/// Warns of a limit that no number of keys can prove if reads are sampled by key: under it, the verdict is never
/// `safe`.
fn too_few_keys(root: &Cursor<'_>, settings: &Sections) -> Option<ConfigError> {
    let most = Trials::new(DistinctKeys::MAX, 0);
    let (limit, alpha) = (settings.verdict.max_mismatch, settings.verdict.alpha());
    if settings.sample.by == By::Chance || most.is_within(limit, alpha) {
        return None;
    }
    let by = at(root, &["sample", "by"]);
    Some(by.fault(format!(
        "the {} keys that are distinguished cannot show a verdict.max_mismatch of {}, so the verdict is never safe; \
         sample by chance (`by: null`), or set the limit to {} or more",
        DistinctKeys::MAX,
        Percent(limit),
        Percent(most.upper(alpha) * 1.05),
    )))
}
