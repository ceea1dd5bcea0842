//! Accepts callers up to the connection limit. The others wait in the system's backlog.

use super::limits::ListenerLimits;
use crate::ledger::{Bound, Gauges};
use std::{io, sync::Arc};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

#[derive(Debug)]
pub(super) struct Acceptor {
    listener: TcpListener,
    places: Arc<Semaphore>,
    /// Reserved for the next caller.
    place: Option<OwnedSemaphorePermit>,
    /// Callers are waiting, and that is already counted.
    is_full: bool,
    gauges: Gauges,
}

// === impl Acceptor ===

impl Acceptor {
    pub(super) fn new(listener: TcpListener, limits: &ListenerLimits, gauges: Gauges) -> Self {
        let places = limits.connections.get().min(Semaphore::MAX_PERMITS);
        Self {
            listener,
            places: Arc::new(Semaphore::new(places)),
            place: None,
            is_full: false,
            gauges,
        }
    }

    /// Accepts the next caller, with a permit for its connection. Cancel safe.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) async fn next(&mut self) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
        if self.place.is_none() {
            self.place = Some(self.free_place().await);
        }
        let (stream, _) = self.listener.accept().await?;
        let place = self.place.take().expect("a place was taken above");
        Ok((stream, place))
    }

    async fn free_place(&mut self) -> OwnedSemaphorePermit {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return place;
        }
        if !self.is_full {
            self.is_full = true;
            self.gauges.bound_reached(Bound::Connections);
        }
        let place = self.places.clone().acquire_owned().await;
        self.is_full = false;
        place.expect("the semaphore is never closed")
    }
}
