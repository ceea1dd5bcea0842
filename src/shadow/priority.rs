//! The priority of the shadow's threads.

/// Added to the nice value. A competing live thread of nice 0 gets about three times the share.
#[cfg(target_os = "linux")]
const NICE: i32 = 5;

/// Lowers the priority of the calling thread; on Linux a nice value belongs to a thread. On failure it stays unchanged.
#[cfg(target_os = "linux")]
pub(crate) fn yield_to_others() {
    use rustix::process::{getpriority_process, setpriority_process};
    let lowered = getpriority_process(None)
        .and_then(|nice| setpriority_process(None, nice.saturating_add(NICE)));
    if let Err(error) = lowered {
        tracing::debug!(%error, "the shadow runs at the priority of the live threads");
    }
}

/// Does nothing on this platform.
#[cfg(not(target_os = "linux"))]
pub fn yield_to_others() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::process::getpriority_process;

    #[test]
    fn a_thread_that_yields_is_nicer_than_its_maker() {
        let own = getpriority_process(None).unwrap();
        let thread = std::thread::spawn(|| {
            yield_to_others();
            getpriority_process(None).unwrap()
        });
        assert_eq!(thread.join().unwrap(), (own + NICE).min(19));
        assert_eq!(getpriority_process(None).unwrap(), own);
    }
}
