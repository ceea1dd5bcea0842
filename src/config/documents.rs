//! Reads the OpenAPI documents that a configuration lists.

use crate::{
    route::{
        self, MAX_NAME,
        openapi::{self, Declared},
    },
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Node, Position},
};
use std::{
    collections::{HashMap, hash_map::Entry},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The documents of the setting `openapi`, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Documents {
    /// Each with the name that faults show.
    pub(super) texts: Vec<(Arc<str>, String)>,
    /// Every listed file, readable or not.
    pub(super) paths: Vec<PathBuf>,
    pub(super) routes: Vec<route::Entry>,
    /// Where each form of a path is declared first.
    declared: HashMap<String, (Arc<str>, Option<Position>)>,
    pub(super) warnings: Vec<ConfigError>,
}

// === impl Documents ===

impl Documents {
    /// Reads what `list` names; paths are relative to `folder`. Also returns every fault; if there are any, only the
    /// paths are of use.
    pub(super) fn load(list: &Cursor<'_>, folder: &Path) -> (Self, ConfigErrors) {
        let mut documents = Self::default();
        let mut faults = ConfigErrors::default();
        let items = faults.collect(list.items());
        for item in items.unwrap_or_default() {
            faults.collect(documents.add(&item, folder));
        }
        (documents, faults)
    }

    /// Warns of routes that an earlier path declares, of the same document or another.
    fn repeated(&mut self, name: &Arc<str>, routes: &[Declared]) -> Option<ConfigError> {
        let mut repeated = Vec::new();
        for route in routes {
            match self.declared.entry(shape(route)) {
                Entry::Occupied(first) => repeated.push((route, first.get().clone())),
                Entry::Vacant(free) => drop(free.insert((name.clone(), route.mark))),
            }
        }
        let (route, (file, mark)) = repeated.first()?;
        let place = mark.map_or(String::new(), |mark| {
            format!(":{}:{}", mark.line, mark.column)
        });
        let message = format!(
            "no request is counted here as `{}`, because {file}{place} declares a path of the same form first{}; \
             leave one of the two out",
            full_name(route),
            and_more(repeated.len()),
        );
        Some(ConfigError::at(name, route.mark, message))
    }

    fn add(&mut self, at: &Cursor<'_>, folder: &Path) -> Result<(), ConfigErrors> {
        let path = folder.join(at.text()?);
        self.paths.push(path.clone());
        let name: Arc<str> = path.display().to_string().into();
        let text = fs::read_to_string(&path)
            .map_err(|error| at.fault(format!("cannot read {name}: {error}")))?;
        let node = parse(&name, &text)?;
        let routes = openapi::routes(&Cursor::root(&name, &node))?;
        if routes.is_empty() {
            let warning = format!("{name} has no paths, so it declares no routes");
            self.warnings.push(at.fault(warning));
        }
        self.warnings.extend(too_long(&name, &routes));
        let repeated = self.repeated(&name, &routes);
        self.warnings.extend(repeated);
        self.routes
            .extend(routes.into_iter().map(|route| route.entry));
        self.texts.push((name, text));
        Ok(())
    }
}

/// Warns of names that are longer than `routes` allows.
fn too_long(name: &Arc<str>, routes: &[Declared]) -> Option<ConfigError> {
    let is_long = |route: &&Declared| full_name(route).len() > MAX_NAME;
    let long: Vec<_> = routes.iter().filter(is_long).collect();
    let first = long.first()?;
    let message = format!(
        "the route `{}` has a name of more than {MAX_NAME} bytes{}, which tables cut and labels of metrics repeat; \
         name it in `routes`, which comes first",
        full_name(first),
        and_more(long.len()),
    );
    Some(ConfigError::at(name, first.mark, message))
}

/// That a warning about the first holds for the others, too.
fn and_more(all: usize) -> String {
    match all - 1 {
        0 => String::new(),
        more => format!(" (and {more} more of this document)"),
    }
}

/// Method and path, in which the names of placeholders do not matter.
fn shape(route: &Declared) -> String {
    let mut parts = full_name(route).split('{');
    let mut shape = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (placeholder, after) = part.split_once('}').unwrap_or_default();
        let is_rest = placeholder.ends_with(['+', '*']) && after.is_empty();
        shape.extend([if is_rest { "{+}" } else { "{}" }, after]);
    }
    shape
}

fn full_name(route: &Declared) -> &str {
    let name = route.entry.fixed_name();
    name.expect("the name of a document's route must be without captures")
}

/// Some JSON is no YAML, such as characters that are escaped as surrogate pairs.
fn parse(name: &Arc<str>, text: &str) -> Result<Node, ConfigErrors> {
    Node::parse(name, text).or_else(|faults| {
        let json = serde_json::from_str::<serde_json::Value>(text);
        json.map(|json| Node::from(&json)).map_err(|_| faults)
    })
}
