//! Processor time, so that other load on the machine does not count.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Duration of one measurement; the best of many is printed.
const ROUND: Duration = Duration::from_millis(15);

/// The processor time of one run.
pub(crate) fn time(run: &dyn Fn() -> bool) -> Duration {
    let (start, used) = (Instant::now(), processor_time());
    let mut runs = 0;
    while start.elapsed() < ROUND {
        black_box(run());
        runs += 1;
    }
    let used = used
        .zip(processor_time())
        .map(|(from, to)| to.saturating_sub(from));
    let used = used.filter(|used| !used.is_zero());
    used.unwrap_or_else(|| start.elapsed()) / runs
}

/// How long this thread has run, if the kernel reports it.
fn processor_time() -> Option<Duration> {
    let reported = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = reported.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}
