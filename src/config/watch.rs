//! Detects changes of files, through every symbolic link on the way to them.
//!
//! Watches folders instead of files: editors replace a file by renaming another one over it, and Kubernetes swaps a
//! link next to it.

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::mpsc;

/// Watches until dropped.
#[derive(Debug)]
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    matters: Paths,
    changed: mpsc::Sender<()>,
}

/// Every path whose change may affect what is read.
type Paths = Arc<Mutex<BTreeSet<PathBuf>>>;

/// More links than Linux allows in a path.
const MAX_LINKS: usize = 40;

// === impl Watch ===

impl Watch {
    /// Sends at least once for every change of the paths to [follow](Self::follow).
    pub(super) fn new(changed: mpsc::Sender<()>) -> notify::Result<Self> {
        let matters = Paths::default();
        let (shared, signal) = (matters.clone(), changed.clone());
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let matters = shared.lock().unwrap_or_else(PoisonError::into_inner);
            // An error means that events were lost.
            if event.map_or(true, |event| concerns(&event, &matters)) {
                // If full, a signal is already waiting.
                let _ = signal.try_send(());
            }
        })?;
        Ok(Self {
            watcher,
            matters,
            changed,
        })
    }

    /// Watches `paths` and nothing else, and sends if they are others than before: those that are new may have changed
    /// since they were read. Call it again after a change, because a swapped link leads to another folder.
    pub(super) fn follow(&mut self, paths: &[PathBuf]) -> notify::Result<()> {
        let matters: BTreeSet<_> = paths.iter().flat_map(|path| ways(path)).collect();
        let folders = |paths: &BTreeSet<PathBuf>| -> BTreeSet<PathBuf> {
            paths.iter().flat_map(|path| around(path)).collect()
        };
        let wanted = folders(&matters);
        let (before, is_new) = {
            let mut current = self.matters.lock().unwrap_or_else(PoisonError::into_inner);
            let is_new = *current != matters;
            (std::mem::replace(&mut *current, matters), is_new)
        };
        for gone in folders(&before).difference(&wanted) {
            // A folder that no longer exists is already unwatched.
            let _ = self.watcher.unwatch(gone);
        }
        for folder in &wanted {
            self.watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        if is_new {
            // If full, a signal is already waiting.
            let _ = self.changed.try_send(());
        }
        Ok(())
    }
}

/// Reads are no changes; our own reads would trigger it.
fn concerns(event: &Event, matters: &BTreeSet<PathBuf>) -> bool {
    let is_change = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    };
    let related = |path: &PathBuf| {
        let mut matters = matters.iter();
        matters.any(|known| known.starts_with(path) || path.starts_with(known))
    };
    is_change && event.paths.iter().any(related)
}

/// The path, and the path after following each link in it.
fn ways(path: &Path) -> Vec<PathBuf> {
    let first = std::path::absolute(path).ok();
    let ways = std::iter::successors(first, |way| follow_first_link(way));
    ways.take(MAX_LINKS).collect()
}

fn follow_first_link(path: &Path) -> Option<PathBuf> {
    let links = path.ancestors();
    let links = links.filter_map(|link| Some((link, link.read_link().ok()?)));
    let (link, target) = links.last()?;
    let mut way = link.parent()?.join(target);
    way.extend(path.strip_prefix(link).ok()?);
    Some(way)
}

/// The folders in which a change of `path` shows: its parent, that of each link on the way, and itself.
fn around(path: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<_> = path
        .ancestors()
        .filter(|ancestor| *ancestor == path || ancestor.is_symlink())
        .filter_map(Path::parent)
        .filter(|folder| folder.is_dir())
        .map(Path::to_owned)
        .collect();
    if path.is_dir() {
        folders.push(path.to_owned());
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_link_on_the_way_is_known() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        std::fs::create_dir(root.join("..1")).unwrap();
        std::fs::write(root.join("..1/f.yaml"), "").unwrap();
        symlink("..1", root.join("..data")).unwrap();
        symlink("..data/f.yaml", root.join("f.yaml")).unwrap();

        let ways = ways(&root.join("f.yaml"));

        let expected = ["f.yaml", "..data/f.yaml", "..1/f.yaml"].map(|path| root.join(path));
        assert_eq!(ways, expected);
        assert_eq!(around(&ways[1]), [root.join("..data"), root.to_owned()]);
    }

    #[test]
    fn reading_is_no_change() {
        let matters = BTreeSet::from([PathBuf::from("/a/f.yaml")]);
        let event = |kind, path: &str| Event::new(kind).add_path(PathBuf::from(path));
        let open = EventKind::Access(AccessKind::Open(AccessMode::Any));
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert!(!concerns(&event(open, "/a/f.yaml"), &matters));
        assert!(concerns(&event(written, "/a/f.yaml"), &matters));
        assert!(!concerns(&event(written, "/a/app.log"), &matters));
        assert!(concerns(&event(EventKind::Any, "/a"), &matters));
    }
}
