//! Reads the OpenAPI documents that a configuration lists.

use crate::{
    route::{Entry, openapi},
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Node},
};
use std::{
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
    pub(super) routes: Vec<Entry>,
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

    fn add(&mut self, at: &Cursor<'_>, folder: &Path) -> Result<(), ConfigErrors> {
        let path = folder.join(at.text()?);
        self.paths.push(path.clone());
        let name: Arc<str> = path.display().to_string().into();
        let text = fs::read_to_string(&path)
            .map_err(|error| at.fault(format!("cannot read {name}: {error}")))?;
        let node = parse(&name, &text)?;
        let routes = openapi::entries(&Cursor::root(&name, &node))?;
        if routes.is_empty() {
            let warning = format!("{name} has no paths, so it declares no routes");
            self.warnings.push(at.fault(warning));
        }
        self.routes.extend(routes);
        self.texts.push((name, text));
        Ok(())
    }
}

/// Some JSON is no YAML, such as characters that are escaped as surrogate pairs.
fn parse(name: &Arc<str>, text: &str) -> Result<Node, ConfigErrors> {
    Node::parse(name, text).or_else(|faults| {
        let json = serde_json::from_str::<serde_json::Value>(text);
        json.map(|json| Node::from(&json)).map_err(|_| faults)
    })
}
