//! A runtime on its own threads.

use std::{future, io, thread};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
};

/// Runs tasks spawned on its [handle](Threads::handle) until it is [cut](Threads::cut) or dropped.
#[derive(Debug)]
pub(super) struct Threads {
    handle: Handle,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// On one processor, a work-stealing scheduler is only overhead.
    Single {
        _stop: oneshot::Sender<future::Pending<()>>,
    },
    Several(Runtime),
}

// === impl Threads ===

impl Threads {
    /// Calls `begin` on each thread.
    pub(super) fn start(name: &str, count: usize, begin: fn()) -> io::Result<Self> {
        if count > 1 {
            let runtime = Builder::new_multi_thread()
                .worker_threads(count)
                .thread_name(name)
                .on_thread_start(begin)
                .enable_all()
                .build()?;
            let handle = runtime.handle().clone();
            let kind = Kind::Several(runtime);
            return Ok(Self { handle, kind });
        }
        let runtime = Builder::new_current_thread()
            .thread_name(name)
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let (_stop, stopped) = oneshot::channel();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                begin();
                // Nothing is ever sent: it ends when the sender is dropped.
                let _ = runtime.block_on(stopped);
                runtime.shutdown_background();
            })?;
        let kind = Kind::Single { _stop };
        Ok(Self { handle, kind })
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Cancels every task that has not ended.
    pub(super) fn cut(self) {
        match self.kind {
            Kind::Single { .. } => {}
            Kind::Several(runtime) => runtime.shutdown_background(),
        }
    }
}
