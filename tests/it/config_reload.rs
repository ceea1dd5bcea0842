//! Reloads as the system triggers them: files that change under the process, and SIGHUP.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use twinread::testing::{
    config::{Flags, Origin, Running, load, reload::Reloads},
    drain,
    ledger::Gauges,
};

const DEADLINE: Duration = Duration::from_secs(20);

/// A configuration whose files are watched.
struct Watched {
    gauges: Gauges,
    rates: watch::Receiver<f64>,
    drain: drain::Signal,
    task: JoinHandle<()>,
}

impl Watched {
    fn start(file: PathBuf) -> Self {
        let origin = Origin::new(Some(file), Flags::default());
        let loaded = load(&origin).unwrap_or_else(|faults| panic!("{faults}"));
        let (rate, rates) = watch::channel(loaded.config.settings.sample.rate);
        let gauges = Gauges::default();
        let running = Running::new(origin, loaded, gauges.clone(), move |config| {
            rate.send_replace(config.settings.sample.rate);
        });
        let reloads = Reloads::start(Arc::new(running)).unwrap();
        let (drain, watch) = drain::channel();
        Self {
            gauges,
            rates,
            drain,
            task: tokio::spawn(reloads.run(watch)),
        }
    }

    async fn rate(&mut self, expected: f64) {
        let wait = self.rates.wait_for(|rate| *rate == expected);
        timeout(DEADLINE, wait)
            .await
            .expect("the change must be seen")
            .unwrap();
    }

    async fn failures(&self, expected: u64) {
        let reached = async {
            while self.gauges.reload_failures.get() < expected {
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, reached)
            .await
            .expect("the failure must be counted");
    }

    async fn end(self) {
        self.drain.drain().await;
        timeout(DEADLINE, self.task).await.unwrap().unwrap();
    }
}

fn text(rate: f64) -> String {
    format!(
        "old: {{url: 'http://o'}}\nnew: {{url: 'http://n'}}\nsample: {{rate: {rate}}}\nrules: []\n"
    )
}

/// Writes as careful editors do: to a temporary file that is then renamed.
fn replace(file: &Path, text: &str) {
    let temporary = file.with_extension("tmp");
    fs::write(&temporary, text).unwrap();
    fs::rename(&temporary, file).unwrap();
}

#[tokio::test]
async fn a_file_that_is_rewritten_or_replaced_is_seen() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("twinread.yaml");
    fs::write(&file, text(0.1)).unwrap();
    let mut watched = Watched::start(file.clone());

    fs::write(&file, text(0.2)).unwrap();
    watched.rate(0.2).await;
    replace(&file, &text(0.3));
    watched.rate(0.3).await;
    replace(&file, &text(0.4));
    watched.rate(0.4).await;

    watched.end().await;
}

#[tokio::test]
async fn link_swapped_next_to_the_file_is_seen() {
    // As Kubernetes mounts a ConfigMap.
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    let version = |name: &str, rate| {
        fs::create_dir(root.join(name)).unwrap();
        fs::write(root.join(name).join("twinread.yaml"), text(rate)).unwrap();
        symlink(name, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    version("..1", 0.1);
    symlink("..data/twinread.yaml", root.join("twinread.yaml")).unwrap();
    let mut watched = Watched::start(root.join("twinread.yaml"));

    version("..2", 0.2);
    watched.rate(0.2).await;
    fs::remove_dir_all(root.join("..1")).unwrap();
    version("..3", 0.3);
    watched.rate(0.3).await;

    watched.end().await;
}

#[tokio::test]
async fn a_rule_file_of_another_folder_is_seen() {
    let folder = TempDir::new().unwrap();
    let rules = TempDir::new().unwrap();
    let file = folder.path().join("twinread.yaml");
    let listed = format!("rules: [{}]\n", rules.path().display());
    fs::write(&file, text(0.1).replace("rules: []\n", &listed)).unwrap();
    let watched = Watched::start(file.clone());
    let mut rates = watched.rates.clone();

    let rule = "rules:\n  - {id: a, why: clocks, at: header.date, do: ignore}\n";
    fs::write(rules.path().join("own.yaml"), rule).unwrap();
    timeout(DEADLINE, rates.changed())
        .await
        .expect("the change must be seen")
        .unwrap();

    watched.end().await;
}

#[tokio::test]
async fn bad_rule_file_never_in_force_is_reloaded_once_repaired() {
    let folder = TempDir::new().unwrap();
    let rules = TempDir::new().unwrap();
    let file = folder.path().join("twinread.yaml");
    fs::write(&file, text(0.1)).unwrap();
    let own = rules.path().join("own.yaml");
    fs::write(&own, "rules: [{id: a}]\n").unwrap();
    let mut watched = Watched::start(file.clone());

    let listed = format!("rules: [{}]\n", own.display());
    fs::write(&file, text(0.2).replace("rules: []\n", &listed)).unwrap();
    watched.failures(1).await;
    fs::write(&own, "rules: []\n").unwrap();
    watched.rate(0.2).await;

    watched.end().await;
}

#[tokio::test]
async fn hangup_reloads_what_no_event_announced() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("twinread.yaml");
    fs::write(&file, text(0.1)).unwrap();
    let watched = Watched::start(file.clone());

    fs::write(&file, "sample: {rate: lots}").unwrap();
    let mut failures = 0;
    timeout(DEADLINE, async {
        // The first failure may come from the event or from a signal; later ones only from signals.
        while failures < 3 {
            let process = rustix::process::getpid();
            rustix::process::kill_process(process, rustix::process::Signal::HUP).unwrap();
            tokio::task::yield_now().await;
            failures = watched.gauges.reload_failures.get();
        }
    })
    .await
    .expect("every hangup must be heard");

    watched.end().await;
}
