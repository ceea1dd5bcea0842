//! Decides when checks become evidence: in the order of sampling, second by second.
//!
//! A match is known at once, a difference only after its last re-check. If checks counted as they end, the first
//! seconds of any stack would look clean. So the checks sampled in one second become evidence together, once all of
//! them and of every earlier second have ended. A check that is open longer than [`OVERDUE`] no longer blocks the
//! others; it counts as `overdue` until it ends.
//!
//! Checks whose second is not closed at shutdown never become evidence. If that discarded differences, which end late,
//! restarts would make any stack look clean. So the first check that is still open counts against every limit: see
//! [`Closer::cut`].
//!
//! Sampling or ending a check only sends a message, and never waits for closing.

use super::{
    locks::{locked, read, write},
    tally::Tally,
};
use crate::{
    outcome::{Outcome, Reason},
    verdict::Entry,
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, RwLock,
        atomic::{AtomicU32, Ordering},
        mpsc::{self, Receiver, Sender},
    },
};

/// Tracks the checks of each second until they are evidence.
#[derive(Debug)]
pub(super) struct Seconds {
    current: RwLock<Arc<Second>>,
    tx: Sender<Message>,
    closer: Mutex<Closer>,
}

/// One second of the ledger's clock.
#[derive(Debug)]
struct Second {
    number: i64,
    begun: AtomicU32,
}

/// Where a check counts: in its route, and in the rest if it belongs there.
pub(super) type Tallies = [Option<Arc<Tally>>; 2];

/// A check's place in the order of sampling.
#[derive(Clone, Copy, Debug)]
pub(super) struct SamplingOrder {
    second: i64,
    order: u32,
}

#[derive(Debug)]
pub(super) struct Ended {
    pub(super) entry: Entry,
    /// In the epoch of the build that answered.
    pub(super) tallies: Tallies,
    /// In the epoch in which it was sampled, where it counts as waiting.
    pub(super) sampled_in: Tallies,
    /// Whether another build answered it than the one of that epoch.
    pub(super) is_of_another: bool,
    /// Whether the build of the epoch in which it counts answered it, as far as known.
    pub(super) is_attributed: bool,
}

#[derive(Debug)]
enum Message {
    Begun(SamplingOrder, Tallies),
    Ended(SamplingOrder, Box<Ended>),
}

/// The checks that are not evidence yet. Locked while checks become evidence, and for a consistent view.
#[derive(Debug)]
pub(super) struct Closer {
    rx: Receiver<Message>,
    open: BTreeMap<i64, Vec<Slot>>,
    /// The first second that is not closed.
    from: i64,
    /// Overdue checks that have ended since, to be added late.
    late: Vec<Ended>,
}

#[derive(Debug, Default)]
enum Slot {
    #[default]
    Unknown,
    Open(Tallies),
    Ended(Box<Ended>),
}

/// How long the evidence waits for a check.
const OVERDUE: SignedDuration = SignedDuration::from_secs(120);

// === impl Seconds ===

impl Seconds {
    pub(super) fn new(now: Timestamp) -> Self {
        let (tx, rx) = mpsc::channel();
        let number = now.as_second();
        Self {
            current: RwLock::new(Arc::new(Second::new(number))),
            tx,
            closer: Mutex::new(Closer {
                rx,
                open: BTreeMap::new(),
                from: number,
                late: Vec::new(),
            }),
        }
    }

    /// Begins a check, which then counts as waiting.
    pub(super) fn begin(&self, now: Timestamp, tallies: Tallies) -> SamplingOrder {
        let number = now.as_second();
        for tally in tallies.iter().flatten() {
            tally.waiting.fetch_add(1, Ordering::Relaxed);
        }
        self.advance(number);
        // Held until the message is sent, so that all messages of a second have arrived when it is advanced.
        let current = read(&self.current);
        let place = SamplingOrder {
            second: current.number,
            order: current.begun.fetch_add(1, Ordering::Relaxed),
        };
        self.send(Message::Begun(place, tallies));
        place
    }

    pub(super) fn end(&self, place: SamplingOrder, ended: Ended) {
        self.send(Message::Ended(place, Box::new(ended)));
    }

    /// While held, the evidence of all tallies covers the same checks.
    pub(super) fn hold(&self) -> MutexGuard<'_, Closer> {
        locked(&self.closer)
    }

    /// Closes past seconds whose checks have all ended, and passes each check to `enter` in the order of sampling.
    pub(super) fn close(&self, now: Timestamp, enter: impl FnMut(Ended)) {
        let mut closer = self.hold();
        self.advance(now.as_second());
        let until = read(&self.current).number;
        closer.receive();
        closer.close(until, now, enter);
    }

    fn advance(&self, number: i64) {
        if read(&self.current).number >= number {
            return;
        }
        let mut current = write(&self.current);
        if current.number < number {
            *current = Arc::new(Second::new(number));
        }
    }

    fn send(&self, message: Message) {
        // The receiver lives as long as the sender, because both are fields of `self`.
        let _ = self.tx.send(message);
    }
}

// === impl Second ===

impl Second {
    fn new(number: i64) -> Self {
        Self {
            number,
            begun: AtomicU32::new(0),
        }
    }
}

// === impl Closer ===

impl Closer {
    fn receive(&mut self) {
        while let Ok(message) = self.rx.try_recv() {
            match message {
                Message::Begun(place, tallies) => {
                    if let Some(slot) = self.slot(place)
                        && matches!(slot, Slot::Unknown)
                    {
                        *slot = Slot::Open(tallies);
                    }
                }
                Message::Ended(place, ended) => self.end(place, ended),
            }
        }
    }

    fn end(&mut self, place: SamplingOrder, ended: Box<Ended>) {
        // The process ends. The check's result is unknown, so it stays open for the evidence.
        if ended.entry.outcome == Outcome::NotCompared(Reason::ShuttingDown) {
            return;
        }
        match self.slot(place) {
            Some(slot) => *slot = Slot::Ended(ended),
            None => {
                for tally in ended.sampled_in.iter().flatten() {
                    tally.overdue.fetch_sub(1, Ordering::Relaxed);
                }
                self.late.push(*ended);
            }
        }
    }

    /// `None` if its second is closed.
    fn slot(&mut self, place: SamplingOrder) -> Option<&mut Slot> {
        if place.second < self.from {
            return None;
        }
        let slots = self.open.entry(place.second).or_default();
        let index = place.order as usize;
        if slots.len() <= index {
            slots.resize_with(index + 1, Slot::default);
        }
        slots.get_mut(index)
    }

    /// The tallies of the checks that a shutdown would cut off, once per check: the first open one, and the hits before
    /// it that are not evidence yet. Later samples are lost, however they ended.
    pub(super) fn cut(&mut self) -> Vec<Arc<Tally>> {
        self.receive();
        let mut cut = Vec::new();
        for slot in self.open.values().flatten() {
            let tallies = match slot {
                Slot::Ended(ended) if ended.entry.is_hit() => &ended.tallies,
                Slot::Ended(_) => continue,
                Slot::Open(tallies) => tallies,
                Slot::Unknown => break,
            };
            cut.extend(tallies.iter().flatten().cloned());
            if let Slot::Open(_) = slot {
                break;
            }
        }
        cut
    }

    fn close(&mut self, until: i64, now: Timestamp, mut enter: impl FnMut(Ended)) {
        self.late.drain(..).for_each(&mut enter);
        let overdue = (now - OVERDUE).as_second();
        while let Some(first) = self.open.first_entry() {
            let number = *first.key();
            let is_whole = |slot: &Slot| matches!(slot, Slot::Ended(_));
            let can_close = number < overdue || first.get().iter().all(is_whole);
            if number >= until || !can_close {
                break;
            }
            for slot in first.remove() {
                match slot {
                    Slot::Ended(ended) => enter(*ended),
                    Slot::Open(tallies) => {
                        for tally in tallies.iter().flatten() {
                            tally.overdue.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    Slot::Unknown => {}
                }
            }
            self.from = number + 1;
        }
    }
}
