//! The whole sidecar within the test's process.

use std::{fs, path::Path};
use twinread::testing::{
    app::{App, StartError},
    config::{Flags, Origin, load},
};

/// Starts it with this configuration in the folder.
pub(crate) fn start_app(folder: &Path, text: &str) -> Result<App, StartError> {
    let file = folder.join("twinread.yaml");
    fs::write(&file, text).unwrap();
    let origin = Origin::new(Some(file), Flags::default());
    let loaded = load(&origin).unwrap_or_else(|faults| panic!("{faults}"));
    App::start(origin, loaded)
}
