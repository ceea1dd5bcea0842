//! Holds `src/` to its layers: dependencies point downward only, the runtime's modules never import each other, and the
//! core uses no I/O, clock, randomness, lock or log.
//!
//! Examines `use` items, paths in code and types (through the file's own imports), and the tokens of macro calls. Unit
//! tests are held to the layers too, but may read files and clocks.

use proc_macro2::{Spacing, Span, TokenStream, TokenTree};
use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
};
use syn::visit::{self, Visit};

/// The layers from the lowest up; a module may import lower ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Core,
    Mechanism,
    /// Siblings that never import each other.
    Runtime,
    /// What operators see.
    Faces,
    Composition,
    Process,
}

/// Within a layer a module may import those listed before it, so that there is no circle.
const LAYERS: [(Layer, &[&str]); 6] = [
    (
        Layer::Core,
        &[
            "stack",
            "trace_context",
            "spanned_yaml",
            "outcome",
            "value",
            "rules",
            "compare",
            "advise",
            "redact",
            "route",
            "sample",
            "serve",
            "verdict",
        ],
    ),
    (
        Layer::Mechanism,
        &[
            "drain",
            "transport",
            "settings",
            "budget",
            "ledger",
            "http_client",
            "heads",
            "pipeline",
        ],
    ),
    (
        Layer::Runtime,
        &["live", "intake", "export", "shadow", "store", "background"],
    ),
    (Layer::Faces, &["demo", "config", "admin"]),
    (Layer::Composition, &["app"]),
    (Layer::Process, &["cli", "testing", "main"]),
];

/// What the core must not name: whole crates, and parts of the standard library.
const IMPURE: [&str; 22] = [
    "axum",
    "getrandom",
    "hyper",
    "hyper_util",
    "opentelemetry",
    "opentelemetry_otlp",
    "opentelemetry_prometheus",
    "opentelemetry_sdk",
    "parking_lot",
    "rand",
    "rusqlite",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::sync::atomic",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "std::thread",
    "tokio",
    "tower",
    "utoipa",
];

/// Calls that read a clock, however the type was imported.
const CLOCKS: [[&str; 2]; 4] = [
    ["Instant", "now"],
    ["SystemTime", "now"],
    ["Timestamp", "now"],
    ["Zoned", "now"],
];

/// Prefixes of crates that the core must not name.
const IMPURE_FAMILIES: [&str; 2] = ["tracing", "tower_"];

/// One import that breaks the layers.
#[derive(Debug, PartialEq)]
struct Violation {
    file: PathBuf,
    line: usize,
    import: String,
    why: String,
}

/// A path as written, with the module that contains it.
#[derive(Debug)]
struct Import {
    segments: Vec<String>,
    /// The module that `self` and `super` start from.
    module: Vec<String>,
    line: usize,
    is_test: bool,
}

/// Collects every path of one file.
#[derive(Debug, Default)]
struct Imports {
    module: Vec<String>,
    test_depth: usize,
    found: Vec<Import>,
    /// What each imported name stands for.
    names: HashMap<String, Vec<String>>,
}

#[test]
fn dependencies_point_downward_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 10, "src/ was not found");

    let mut violations = Vec::new();
    for file in files {
        let source = std::fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(&src).unwrap();
        violations.extend(check(name, &source));
    }

    let listed: Vec<_> = violations.iter().map(ToString::to_string).collect();
    assert!(listed.is_empty(), "\n{}\n", listed.join("\n"));
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Every violation in one file; `name` is its path below `src/`.
fn check(name: &Path, source: &str) -> Vec<Violation> {
    let module = module_of(name);
    let Some(top) = module.first().cloned() else {
        return Vec::new(); // lib.rs only declares modules
    };
    let file =
        syn::parse_file(source).unwrap_or_else(|error| panic!("{}: {error}", name.display()));
    let mut imports = Imports {
        module,
        ..Imports::default()
    };
    imports.visit_file(&file);

    let names = &imports.names;
    let mut violations: Vec<_> = imports
        .found
        .iter()
        .filter_map(|import| {
            let path = import.resolve(names);
            let why = forbidden(&top, &path, import.is_test)?;
            Some(Violation {
                file: name.to_owned(),
                line: import.line,
                import: path.join("::"),
                why,
            })
        })
        .collect();
    violations.dedup();
    violations
}

/// `compare/place.rs` is `compare::place`, `main.rs` is `main`, `lib.rs` is the root.
fn module_of(name: &Path) -> Vec<String> {
    let parts = name.with_extension("");
    let parts: Vec<_> = parts
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if parts == ["lib"] { Vec::new() } else { parts }
}

/// Why the module `top` must not name `path`; `None` if it may.
fn forbidden(top: &str, path: &[String], is_test: bool) -> Option<String> {
    let Some(own) = layer(top) else {
        return Some(format!("`{top}` stands in no layer"));
    };
    let first = path.first()?;
    if first == "crate" || first == "twinread" {
        return upward(top, own, path.get(1)?);
    }
    if own == Layer::Core && !is_test && is_impure(path) {
        return Some(format!(
            "`{top}` is core: time, chance and I/O are arguments"
        ));
    }
    None
}

fn upward(top: &str, own: Layer, target: &str) -> Option<String> {
    let Some(other) = layer(target) else {
        // The root holds only modules; a star would hide which one is meant.
        return (target == "*").then(|| "the crate's root is not imported whole".to_owned());
    };
    if other > own {
        return Some(format!(
            "`{target}` ({other:?}) stands above `{top}` ({own:?})"
        ));
    }
    if other < own || target == top {
        return None;
    }
    if own == Layer::Runtime {
        return Some(format!("`{top}` and `{target}` meet only in `app`"));
    }
    let is_before = place(target) < place(top);
    (!is_before).then(|| format!("`{target}` stands behind `{top}` in their layer"))
}

fn layer(module: &str) -> Option<Layer> {
    let found = LAYERS.iter().find(|(_, modules)| modules.contains(&module));
    found.map(|(layer, _)| *layer)
}

/// The position of a module in its layer.
fn place(module: &str) -> Option<usize> {
    let mut layers = LAYERS.iter().map(|(_, modules)| modules);
    layers.find_map(|modules| modules.iter().position(|name| *name == module))
}

fn is_impure(path: &[String]) -> bool {
    let reads_clock = CLOCKS.iter().any(|clock| path.ends_with_names(clock));
    let first = path[0].as_str();
    let is_family = IMPURE_FAMILIES
        .iter()
        .any(|family| first.starts_with(family));
    reads_clock || is_family || IMPURE.iter().any(|impure| reaches(path, impure))
}

/// Whether `path` names `impure` or something inside it, or includes it by a star.
fn reaches(path: &[String], impure: &str) -> bool {
    let impure: Vec<_> = impure.split("::").collect();
    let path: Vec<_> = path
        .iter()
        .map(|segment| if segment == "core" { "std" } else { segment })
        .collect();
    match path.split_last() {
        Some((&"*", parent)) => impure.starts_with(parent) || parent.starts_with(&impure),
        _ => path.starts_with(&impure),
    }
}

trait EndsWithNames {
    fn ends_with_names(&self, names: &[&str]) -> bool;
}

impl EndsWithNames for [String] {
    fn ends_with_names(&self, names: &[&str]) -> bool {
        self.len() >= names.len() && self[self.len() - names.len()..] == *names
    }
}

// === impl Import ===

impl Import {
    /// The path from `crate` or from an external crate.
    fn resolve(&self, names: &HashMap<String, Vec<String>>) -> Vec<String> {
        let first = self.segments[0].as_str();
        if first == "self" || first == "super" {
            return self.module_path_of();
        }
        match names.get(first) {
            Some(meaning) if meaning[0] != self.segments[0] => {
                let rest = self.segments[1..].iter().cloned();
                meaning.iter().cloned().chain(rest).collect()
            }
            _ => self.segments.clone(),
        }
    }

    fn module_path_of(&self) -> Vec<String> {
        let mut module = self.module.clone();
        let mut segments = self.segments.as_slice();
        while let Some((first, rest)) = segments.split_first() {
            match first.as_str() {
                "self" => {}
                "super" => drop(module.pop()),
                _ => break,
            }
            segments = rest;
        }
        let root = std::iter::once("crate".to_owned());
        root.chain(module).chain(segments.iter().cloned()).collect()
    }
}

// === impl Imports ===

impl Imports {
    fn add(&mut self, segments: Vec<String>, span: Span) {
        self.found.push(Import {
            segments,
            module: self.module.clone(),
            line: span.start().line,
            is_test: self.test_depth > 0,
        });
    }

    fn add_use(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let with = |ident: &syn::Ident| {
            let own = std::iter::once(ident.to_string());
            prefix.iter().cloned().chain(own).collect::<Vec<_>>()
        };
        match tree {
            syn::UseTree::Path(path) => self.add_use(&with(&path.ident), &path.tree),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_use(prefix, tree);
                }
            }
            syn::UseTree::Glob(glob) => {
                let star = std::iter::once("*".to_owned());
                let segments = prefix.iter().cloned().chain(star).collect();
                self.add(segments, glob.star_token.spans[0]);
            }
            syn::UseTree::Name(name) => self.add_name(with(&name.ident), &name.ident),
            syn::UseTree::Rename(rename) => self.add_name(with(&rename.ident), &rename.rename),
        }
    }

    fn add_name(&mut self, mut segments: Vec<String>, name: &syn::Ident) {
        let mut name_in_scope = name.to_string();
        if segments.last().is_some_and(|last| last == "self") {
            segments.pop();
            if name == "self" {
                name_in_scope = segments.last().cloned().unwrap_or_default();
            }
        }
        self.names.insert(name_in_scope, segments.clone());
        self.add(segments, name.span());
    }

    /// Macro calls are not parsed: every token sequence that resembles a path counts as one.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut span = Span::call_site();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end_path(&mut path, span);
                        span = ident.span();
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(colon) if colon.as_char() == ':' => {
                    let is_second = colons == 1 && colon.spacing() == Spacing::Alone;
                    colons = if is_second { 2 } else { 1 };
                }
                other => {
                    self.end_path(&mut path, span);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.add_tokens(group.stream());
                    }
                }
            }
        }
        self.end_path(&mut path, span);
    }

    fn end_path(&mut self, path: &mut Vec<String>, span: Span) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.add(path, span);
        }
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let is_test = attributes(item).iter().any(is_cfg_test);
        self.test_depth += usize::from(is_test);
        visit::visit_item(self, item);
        self.test_depth -= usize::from(is_test);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_use(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        let segments: Vec<_> = segments.map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.add(segments, path.segments[0].ident.span());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.add_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        _ => &[],
    }
}

fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    let is_test =
        |meta: &syn::MetaList| meta.path.is_ident("cfg") && meta.tokens.to_string() == "test";
    attribute.meta.require_list().is_ok_and(is_test)
}

// === impl Violation ===

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            import,
            why,
        } = self;
        write!(f, "src/{}:{line}: `{import}`: {why}", file.display())
    }
}

/// File, source, and the line and import to be found; `None` for no violation.
type Case = (&'static str, &'static str, Option<(usize, &'static str)>);

const CASES: [Case; 32] = [
    // upward
    (
        "compare.rs",
        "use crate::ledger::Ledger;",
        Some((1, "crate::ledger::Ledger")),
    ),
    (
        "compare/json.rs",
        "use super::super::live::Live;",
        Some((1, "crate::live::Live")),
    ),
    (
        "ledger/names.rs",
        "use crate::{value::Kind,\n export};",
        Some((2, "crate::export")),
    ),
    (
        "http_client.rs",
        "fn f() {\n crate::shadow::run()\n}",
        Some((2, "crate::shadow::run")),
    ),
    (
        "live.rs",
        "type A = crate::app::App;",
        Some((1, "crate::app::App")),
    ),
    (
        "export.rs",
        "fn f(c: &crate::config::Config) {}",
        Some((1, "crate::config::Config")),
    ),
    (
        "app.rs",
        "use crate::cli::Args;",
        Some((1, "crate::cli::Args")),
    ),
    (
        "stack.rs",
        "mod inner { use super::super::admin; }",
        Some((1, "crate::admin")),
    ),
    ("drain.rs", "use crate::*;", Some((1, "crate::*"))),
    (
        "verdict.rs",
        "#[cfg(test)] mod tests { use crate::ledger; }",
        Some((1, "crate::ledger")),
    ),
    // siblings
    (
        "live/serve.rs",
        "use crate::shadow::Worker;",
        Some((1, "crate::shadow::Worker")),
    ),
    (
        "export.rs",
        "fn f() { println!(\"{}\", crate::store::len()) }",
        Some((1, "crate::store::len")),
    ),
    // within a layer
    (
        "rules/read.rs",
        "use crate::compare::Answer;",
        Some((1, "crate::compare::Answer")),
    ),
    (
        "config/read.rs",
        "use crate::admin::AdminState;",
        Some((1, "crate::admin::AdminState")),
    ),
    // outside the layers
    (
        "misc.rs",
        "use crate::value::Kind;",
        Some((1, "crate::value::Kind")),
    ),
    // impure
    (
        "rules.rs",
        "use tokio::sync::watch;",
        Some((1, "tokio::sync::watch")),
    ),
    ("route.rs", "use std::{fmt, fs};", Some((1, "std::fs"))),
    (
        "sample.rs",
        "fn f() -> f64 { rand::random() }",
        Some((1, "rand::random")),
    ),
    (
        "sample.rs",
        "use std::time::Instant;\nfn f() { Instant::now(); }",
        Some((2, "std::time::Instant::now")),
    ),
    (
        "sample.rs",
        "fn f() { std::time::SystemTime::now(); }",
        Some((1, "std::time::SystemTime::now")),
    ),
    (
        "redact.rs",
        "use std::sync as s;\nstatic A: s::Mutex<u8> = todo();",
        Some((2, "std::sync::Mutex")),
    ),
    ("redact.rs", "use std::sync::*;", Some((1, "std::sync::*"))),
    (
        "redact.rs",
        "use std::sync::atomic::{self, AtomicU8};",
        Some((1, "std::sync::atomic")),
    ),
    (
        "verdict.rs",
        "fn f() { tracing::debug!(\"no\"); }",
        Some((1, "tracing::debug")),
    ),
    (
        "verdict.rs",
        "use opentelemetry_sdk::Resource;",
        Some((1, "opentelemetry_sdk::Resource")),
    ),
    (
        "spanned_yaml.rs",
        "use hyper_util::rt::TokioIo;",
        Some((1, "hyper_util::rt::TokioIo")),
    ),
    // fine
    (
        "compare.rs",
        "use crate::{outcome::Via, rules::RuleSet}; use std::{sync::Arc, time::Instant};",
        None,
    ),
    (
        "compare.rs",
        "#[cfg(test)] mod tests { use super::*; fn f() { std::fs::read(\"x\"); } }",
        None,
    ),
    (
        "ledger.rs",
        "use std::sync::Mutex; use tokio::sync::watch; use crate::value::Kind;",
        None,
    ),
    (
        "live/serve.rs",
        "use super::settings::Live; use crate::{live, pipeline::Queue};",
        None,
    ),
    (
        "app.rs",
        "use crate::{admin, config::Config, export, live, shadow};",
        None,
    ),
    ("main.rs", "fn main() { twinread::main() }", None),
];

#[test]
fn every_sort_of_violation_is_caught() {
    for (file, source, expected) in CASES {
        let violations = check(Path::new(file), source);

        let found = violations
            .first()
            .map(|first| (first.line, first.import.as_str()));
        assert_eq!(found, expected, "{file}: {source}");
    }
}

#[test]
fn a_violation_names_file_line_and_import() {
    let violations = check(Path::new("shadow/worker.rs"), "\nuse crate::live::Live;");

    let said =
        "src/shadow/worker.rs:2: `crate::live::Live`: `shadow` and `live` meet only in `app`";
    assert_eq!(violations[0].to_string(), said);
}
