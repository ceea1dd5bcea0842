//! Figures of the process itself, from `/proc`. Where there is none, they are absent.

use rustix::{
    param::{clock_ticks_per_second, page_size},
    process::{Resource, getrlimit},
};
use std::{
    fs,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The figures of the running process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: u64,
    /// Since 1970.
    pub(super) start_seconds: f64,
}

/// The last figures, and when they were read.
#[derive(Debug)]
struct Last(Option<(Instant, Option<Process>)>);

/// For so long figures count as current.
const CURRENT: Duration = Duration::from_millis(50);

// === impl Last ===

impl Last {
    fn at(&mut self, now: Instant, read: impl FnOnce() -> Option<Process>) -> Option<Process> {
        match self.0 {
            Some((then, figures)) if now.saturating_duration_since(then) < CURRENT => figures,
            _ => self.0.insert((now, read())).1,
        }
    }
}

// === impl Process ===

impl Process {
    /// The figures of this moment, read once for all metrics of a scrape.
    pub(super) fn current() -> Option<Self> {
        static LAST: Mutex<Last> = Mutex::new(Last(None));
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        last.at(Instant::now(), Self::read)
    }

    fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The name of the program may hold spaces and parentheses.
        let (_, after_name) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        // `proc_pid_stat(5)` counts from 1, and the name is its field 2.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let seconds = |ticks: u64| ticks as f64 / clock_ticks_per_second() as f64;
        Some(Self {
            cpu_seconds: seconds(field(14)? + field(15)?),
            resident_bytes: field(24)? * page_size() as u64,
            start_seconds: boot_seconds()? + seconds(field(22)?),
        })
    }
}

fn boot_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let mut lines = stat.lines();
    let boot = lines.find_map(|line| line.strip_prefix("btime "))?;
    boot.parse().ok()
}

/// The number of open files, without the one that lists them.
pub(super) fn open_files() -> Option<u64> {
    let files = fs::read_dir("/proc/self/fd").ok()?.count();
    Some(files.saturating_sub(1) as u64)
}

/// The limit of open files; `None` if there is no limit.
pub(super) fn max_open_files() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_scrape_reads_once() {
        let figures = |cpu_seconds| Process {
            cpu_seconds,
            resident_bytes: 7,
            start_seconds: 1.0,
        };
        let (now, mut last) = (Instant::now(), Last(None));
        assert_eq!(last.at(now, || Some(figures(1.0))), Some(figures(1.0)));
        let same = last.at(now + CURRENT / 2, || unreachable!("it is current"));
        assert_eq!(same, Some(figures(1.0)));
        assert_eq!(
            last.at(now + CURRENT, || Some(figures(2.0))),
            Some(figures(2.0))
        );
    }
}
