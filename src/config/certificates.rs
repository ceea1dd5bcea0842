//! Loads the certificates and keys that the configuration names.

use super::{
    addresses,
    stacks::{Scheme, StackUrl},
    tree,
};
use crate::{
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Setting},
    transport::{ClientFiles, ClientTls, HTTP1, HTTP2_OR_1, ServerFiles, ServerTls, TlsFiles},
};
use std::path::{Path, PathBuf};

/// What the sections about TLS result in, as the files were when they were read.
#[derive(Clone, Debug, Default)]
pub(super) struct Certificates {
    pub(super) listen: Option<ServerTls>,
    pub(super) admin: Option<ServerTls>,
    /// For a stack whose url is https.
    pub(super) old: Option<ClientTls>,
    pub(super) new: Option<ClientTls>,
    /// `None` if the section names no files.
    pub(super) collector: Option<ClientTls>,
    pub(super) warnings: Vec<ConfigError>,
    /// By section, with the hashes of their contents.
    seen: Vec<(&'static str, Vec<(PathBuf, u64)>)>,
}

/// Loads one section after the other.
struct Loading<'l> {
    root: &'l Cursor<'l>,
    folder: &'l Path,
    loaded: Certificates,
    faults: ConfigErrors,
}

const COLLECTOR: &str = "telemetry.otlp.tls";

// === impl Certificates ===

impl Certificates {
    /// Reads every file; paths are relative to `folder`. Also returns every fault.
    pub(super) fn load(root: &Cursor<'_>, folder: &Path) -> (Self, ConfigErrors) {
        let mut loading = Loading {
            root,
            folder,
            loaded: Self::default(),
            faults: ConfigErrors::default(),
        };
        loading.loaded.listen = loading.server("listen_tls", HTTP2_OR_1);
        loading.loaded.admin = loading.server("admin_tls", HTTP1);
        loading.loaded.old = loading.stack("old.tls", &[&["old", "url"], &["control", "url"]]);
        loading.loaded.new = loading.stack("new.tls", &[&["new", "url"]]);
        loading.loaded.collector = loading.collector();
        (loading.loaded, loading.faults)
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let files = self.seen.iter().flat_map(|(_, files)| files);
        files.map(|(path, _)| path)
    }

    /// The sections whose files hold something else than before. A collector keeps its certificates until a restart.
    pub(super) fn changed_since(&self, before: &Self) -> impl Iterator<Item = &'static str> {
        let of = |all: &Self, section: &str| {
            let mut seen = all.seen.iter();
            let found = seen.find(|(name, _): &&(&str, _)| *name == section);
            found.map(|(_, files)| files.clone())
        };
        let sections = self.seen.iter().map(|(name, _)| *name);
        let changed =
            sections.filter(|name| *name != COLLECTOR && of(self, name) != of(before, name));
        changed.collect::<Vec<_>>().into_iter()
    }

    /// Keeps those of stacks whose url stays https until a restart.
    pub(super) fn keep_those_of(&mut self, before: &Self) {
        self.old = self.old.take().or_else(|| before.old.clone());
        self.new = self.new.take().or_else(|| before.new.clone());
    }
}

// === impl Loading ===

impl Loading<'_> {
    fn server(&mut self, section: &'static str, protocols: &[&[u8]]) -> Option<ServerTls> {
        let mut named: ServerFiles = self.value(section)?;
        for path in [&mut named.cert, &mut named.key, &mut named.client_ca] {
            self.locate(path);
        }
        let mut files = TlsFiles::default();
        let tls = named.load(&mut files, protocols);
        self.note(section, files);
        tls
    }

    /// Of a section that counts if one of these urls is https.
    fn stack(&mut self, section: &'static str, urls: &[&[&str]]) -> Option<ClientTls> {
        let named = self.client(section)?;
        let mut urls = urls.iter().filter_map(|path| self.url(path));
        if urls.any(|url| url.scheme == Scheme::Https) {
            return self.load(section, &named);
        }
        if named != ClientFiles::default() {
            let path: Vec<_> = section.split('.').collect();
            let warning =
                addresses::at(self.root, &path).fault("not used, as the url is not https");
            self.loaded.warnings.push(warning);
        }
        None
    }

    fn collector(&mut self) -> Option<ClientTls> {
        let named = self.client(COLLECTOR)?;
        (named != ClientFiles::default())
            .then(|| self.load(COLLECTOR, &named))
            .flatten()
    }

    fn client(&self, section: &str) -> Option<ClientFiles> {
        let mut named: ClientFiles = self.value(section)?;
        for path in [&mut named.ca, &mut named.cert, &mut named.key] {
            self.locate(path);
        }
        Some(named)
    }

    fn load(&mut self, section: &'static str, named: &ClientFiles) -> Option<ClientTls> {
        let mut files = TlsFiles::default();
        let tls = named.load(&mut files);
        self.note(section, files);
        tls
    }

    fn note(&mut self, section: &'static str, files: TlsFiles) {
        let at = |field: &str| {
            let path: Vec<_> = section.split('.').chain([field]).collect();
            addresses::at(self.root, &path)
        };
        for fault in files.faults {
            self.faults.push(at(fault.field).fault(fault.message));
        }
        for warning in files.warnings {
            let warning = at(warning.field).fault(warning.message);
            self.loaded.warnings.push(warning);
        }
        self.loaded.seen.push((section, files.seen));
    }

    /// The value of a section without faults of its own.
    fn value<T: Setting + Default>(&self, section: &str) -> Option<T> {
        let path: Vec<_> = section.split('.').collect();
        match tree::find(self.root.node, &path) {
            Some(node) if !node.is_null() => T::of_node(&addresses::at(self.root, &path)).ok(),
            _ => Some(T::default()),
        }
    }

    fn url(&self, path: &[&str]) -> Option<StackUrl> {
        StackUrl::of_node(&addresses::at(self.root, path)).ok()
    }

    fn locate(&self, path: &mut Option<PathBuf>) {
        *path = path.take().map(|path| self.folder.join(path));
    }
}
