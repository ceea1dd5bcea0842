//! A timer for consecutive waits.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// Limits the duration of a wait. Starting and stopping a wait avoids resetting the runtime's timer, because most waits
/// of a connection end long before their limit.
#[derive(Debug)]
pub(super) struct Deadline<W> {
    /// The current wait, and when it has lasted too long.
    wait: Option<(W, Instant)>,
    /// Set no later than the end of the wait.
    timer: Option<Pin<Box<Sleep>>>,
}

// === impl Deadline ===

impl<W: Copy + PartialEq> Deadline<W> {
    pub(super) fn new() -> Self {
        Self {
            wait: None,
            timer: None,
        }
    }

    /// Ready when `wait` has lasted for `limit`. A wait begins with its first poll, and lasts until
    /// [`stop`](Self::stop) or a poll for another.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, wait: W, limit: Duration) -> Poll<()> {
        let end = match self.wait {
            Some((running, end)) if running == wait => end,
            _ => Instant::now() + limit,
        };
        self.wait = Some((wait, end));
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if timer.deadline() > end {
            timer.as_mut().reset(end);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= end {
                return Poll::Ready(());
            }
            // It was set for an earlier wait.
            timer.as_mut().reset(end);
        }
    }

    /// Ends the current wait.
    pub(super) fn stop(&mut self) {
        self.wait = None;
    }

    pub(super) fn is_running(&self) -> bool {
        self.wait.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const LONG: Duration = Duration::from_secs(3_600);
    const SHORT: Duration = Duration::from_millis(1);

    async fn expired(deadline: &mut Deadline<u8>, wait: u8, limit: Duration) {
        poll_fn(|cx| deadline.poll(cx, wait, limit)).await;
    }

    fn is_pending(deadline: &mut Deadline<u8>, wait: u8, limit: Duration) -> bool {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        deadline.poll(&mut cx, wait, limit).is_pending()
    }

    #[tokio::test]
    async fn each_wait_has_its_own_time() {
        let mut deadline = Deadline::new();
        assert!(is_pending(&mut deadline, 1, LONG));
        expired(&mut deadline, 2, SHORT).await;
        // The timer has fired for the previous wait.
        deadline.stop();
        assert!(is_pending(&mut deadline, 2, LONG));
        assert!(is_pending(&mut deadline, 1, LONG));
        expired(&mut deadline, 3, Duration::ZERO).await;
    }

    #[tokio::test]
    async fn a_wait_goes_on_until_it_is_stopped() {
        let mut deadline = Deadline::new();
        expired(&mut deadline, 1, SHORT).await;
        assert!(
            !is_pending(&mut deadline, 1, LONG),
            "it has lasted too long"
        );
        deadline.stop();
        assert!(!deadline.is_running());
        assert!(is_pending(&mut deadline, 1, LONG), "it begins again");
    }
}
