//! The view on a terminal, refreshed every second until a key, a signal or the end of the terminal ends it.
//!
//! A separate thread queries the admin API, so that keys work while it is slow or unreachable. The last data stays on
//! the screen, with the error.

mod screen;

use super::{look::Look, view::Opens};
use crate::cli::{
    chain,
    client::{Address, Client, Error},
    mismatches,
    show::Example,
};
use ratatui::{
    Terminal,
    backend::Backend,
    crossterm::event::{self, Event},
};
use rustix::event::{PollFd, PollFlags, poll};
use screen::{Opened, Pressed, Screen};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use std::{
    io,
    process::exit,
    sync::mpsc::{self, Receiver, TryRecvError},
    thread,
    time::Duration,
};

/// Where the data comes from.
#[derive(Debug)]
struct Feed {
    address: Address,
    /// The epoch whose mismatches are shown.
    epoch: String,
    looks: Receiver<Result<Look, Error>>,
}

/// Classes that the view can be scrolled through.
pub(super) const CLASSES: usize = 100;

/// Interval between two queries.
const PAUSE: Duration = Duration::from_secs(1);

/// How long to wait for a key before checking for new data.
const TICK: Duration = Duration::from_millis(100);

/// Time limit for restoring an unresponsive terminal when a signal ends the view.
const RESTORE_WITHIN: Duration = Duration::from_millis(500);

/// Shows `first`, then the current state every second. Restores the terminal however that ends.
///
/// # Errors
/// The admin API cannot be asked, or the terminal is gone.
pub(super) fn show(address: Address, epoch: String, first: Look) -> Result<(), Error> {
    let looks = look_on(address.client()?, epoch.clone());
    let feed = Feed {
        address,
        epoch,
        looks,
    };
    let shown = || -> io::Result<()> {
        end_from_outside()?;
        let mut terminal = ratatui::try_init()?;
        let ended = follow(&mut terminal, &feed, Screen::new(first));
        ratatui::restore();
        ended
    };
    shown().map_err(Error::Terminal)
}

/// Queries the admin API until the receiver is dropped.
fn look_on(client: Client, epoch: String) -> Receiver<Result<Look, Error>> {
    let (tx, rx) = mpsc::sync_channel(1);
    thread::spawn(move || {
        loop {
            client.wait(PAUSE);
            if tx.send(Look::take(&client, &epoch, CLASSES)).is_err() {
                break;
            }
        }
    });
    rx
}

/// Ends the process at a signal, and when the terminal is gone. The view itself cannot: on a closed terminal, waiting
/// for a key never ends.
fn end_from_outside() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            end();
        }
    });
    thread::spawn(|| {
        let stdout = io::stdout();
        // No event is requested, so only a hang-up is reported.
        let mut hangup = [PollFd::new(&stdout, PollFlags::empty())];
        while poll(&mut hangup, None).is_err() {}
        end();
    });
    Ok(())
}

/// Restores the terminal if it can still be reached, and ends the process.
fn end() -> ! {
    let (tx, rx) = mpsc::channel();
    thread::spawn(move || tx.send(ratatui::try_restore()));
    let _ = rx.recv_timeout(RESTORE_WITHIN);
    exit(0)
}

fn follow<B: Backend<Error = io::Error>>(
    terminal: &mut Terminal<B>,
    feed: &Feed,
    mut screen: Screen,
) -> io::Result<()> {
    loop {
        feed.pass_on(&mut screen)?;
        terminal.draw(|frame| screen.draw(frame))?;
        if !event::poll(TICK)? {
            continue;
        }
        let Event::Key(key) = event::read()? else {
            continue;
        };
        match screen.press(key) {
            Pressed::Nothing => {}
            Pressed::End => return Ok(()),
            Pressed::Open(opens) => screen.opened = Some(Opened::Awaited(feed.open(opens))),
        }
    }
}

// === impl Feed ===

impl Feed {
    /// Passes on all data that has arrived.
    fn pass_on(&self, screen: &mut Screen) -> io::Result<()> {
        loop {
            match self.looks.try_recv() {
                Ok(look) => screen.take(look),
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => {
                    return Err(io::Error::other("nobody looks any more"));
                }
            }
        }
    }

    /// Asks for the newest example of a route or class.
    fn open(&self, opens: Opens) -> Receiver<Result<Example, String>> {
        let (tx, rx) = mpsc::sync_channel(1);
        let (address, epoch) = (self.address.clone(), self.epoch.clone());
        thread::spawn(move || {
            let found = match newest(&address, &epoch, &opens) {
                Ok(Some(example)) => Ok(example),
                Ok(None) => Err("no example is stored".to_owned()),
                Err(error) => Err(chain(&error)),
            };
            // The view may be closed by now.
            let _ = tx.send(found);
        });
        rx
    }
}

fn newest(address: &Address, epoch: &str, opens: &Opens) -> Result<Option<Example>, Error> {
    let client = address.client()?;
    let of = match opens {
        Opens::Class(id) => ("class", id.as_str()),
        Opens::Route(name) => ("route", name.as_str()),
    };
    let page = mismatches::ask(&client, &[of, ("epoch", epoch), ("limit", "1")])?;
    let newest = page.mismatches.first();
    newest
        .map(|newest| Example::ask(&client, &newest.id))
        .transpose()
}
