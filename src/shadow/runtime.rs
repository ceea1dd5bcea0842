//! The threads of the shadow.

use std::io;
use tokio::runtime::{Builder, Runtime};

/// How much nicer than the live threads: a competing live thread of nice 0 gets about three times the share.
#[cfg(target_os = "linux")]
const NICE: i32 = 5;

/// A runtime of its own threads; on Linux they run at lower priority, elsewhere at the usual one.
///
/// # Errors
/// The threads could not be started.
pub fn runtime(threads: usize) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .thread_name("twinread-shadow")
        .on_thread_start(yield_to_others)
        .enable_all()
        .build()
}

/// On Linux a nice value belongs to a thread.
#[cfg(target_os = "linux")]
fn yield_to_others() {
    use rustix::process::{getpriority_process, setpriority_process};
    let lowered = getpriority_process(None)
        .and_then(|nice| setpriority_process(None, nice.saturating_add(NICE)));
    if let Err(error) = lowered {
        tracing::debug!(%error, "the shadow runs at the priority of the live threads");
    }
}

#[cfg(not(target_os = "linux"))]
fn yield_to_others() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::process::getpriority_process;

    #[test]
    fn the_threads_of_the_shadow_are_nicer_than_their_maker() {
        let own = getpriority_process(None).unwrap();
        let shadow = runtime(1).unwrap();
        let task = shadow.spawn(async { getpriority_process(None).unwrap() });
        let nice = shadow.block_on(task).unwrap();
        assert_eq!(nice, (own + NICE).min(19));
        assert_eq!(getpriority_process(None).unwrap(), own);
    }
}
