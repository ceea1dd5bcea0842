//! Writes the log to stderr on a thread of its own, because a log that nobody reads must hold up nobody. A line that
//! does not fit is dropped and counted.

use crate::ledger::{Gauges, Signal};
use std::{
    io::{self, Write},
    panic,
    sync::{
        OnceLock,
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    thread,
    time::Duration,
};

/// Takes lines, and never waits.
#[derive(Clone, Debug)]
pub(super) struct LogWriter(SyncSender<Message>);

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// Dropped once all lines before it are written.
    Flush(SyncSender<()>),
}

/// Lines that wait to be written.
const WAITING: usize = 4_096;

/// Time limit for writing the last lines.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

/// The log of the process.
static WRITER: OnceLock<LogWriter> = OnceLock::new();

/// Where dropped lines and panics are counted.
static GAUGES: OnceLock<Gauges> = OnceLock::new();

/// Counts the lines that are dropped, and the panics, from now on.
pub(crate) fn count_in(gauges: &Gauges) {
    // The process has one log, and the gauges of its first sidecar.
    let _ = GAUGES.set(gauges.clone());
}

/// Logs and counts every panic of the process. A message made at runtime may hold data of callers, so only literal ones
/// are logged.
pub(super) fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        if let Some(gauges) = GAUGES.get() {
            gauges.panics.add(1);
        }
        let message = panic.payload().downcast_ref::<&'static str>();
        let place = panic.location().map(ToString::to_string);
        let thread = thread::current();
        tracing::error!(message, place, thread = thread.name(), "a thread panicked");
    }));
}

/// Waits until the lines so far are written, or a second.
pub(crate) fn flush() {
    if let Some(writer) = WRITER.get() {
        let (done, written) = mpsc::sync_channel(1);
        if writer.0.try_send(Message::Flush(done)).is_ok() {
            // An error is the end of the wait.
            let _ = written.recv_timeout(FLUSH_WITHIN);
        }
    }
}

// === impl LogWriter ===

impl LogWriter {
    /// Starts the thread that writes to stderr.
    ///
    /// # Errors
    /// There can be no further thread.
    pub(super) fn start() -> io::Result<Self> {
        let (lines, written) = mpsc::sync_channel(WAITING);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(&written))?;
        let writer = Self(lines);
        let _ = WRITER.set(writer.clone());
        Ok(writer)
    }
}

/// A line is written at once, so each call has a whole one.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.0.try_send(Message::Line(line.to_vec()))
            && let Some(gauges) = GAUGES.get()
        {
            gauges.export_dropped(Signal::Logs, 1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(lines: &Receiver<Message>) {
    for message in lines {
        // There is nobody to report an error to.
        let _ = match message {
            Message::Line(line) => io::stderr().write_all(&line),
            Message::Flush(done) => {
                drop(done);
                Ok(())
            }
        };
    }
}
