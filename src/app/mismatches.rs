//! The store, as the admin API asks it.

use crate::{
    admin::{Mismatches, Query, UnknownCursor},
    store::{Classes, Filter, Store},
};
use serde::Serialize;
use serde_json::Value;
use std::time::SystemTime;

/// Answers from the store in memory.
#[derive(Debug)]
pub(super) struct Stored(pub(super) Store);

// === impl Stored ===

impl Mismatches for Stored {
    fn classes(&self) -> Value {
        let classes = self.0.classes();
        document(&Classes { classes })
    }

    fn class(&self, id: &str) -> Option<Value> {
        self.0.class(id).as_ref().map(document)
    }

    fn mismatches(&self, query: &Query) -> Result<Value, UnknownCursor> {
        let filter = Filter {
            route: query.route.clone(),
            class: query.class.clone(),
            outcome: query.outcome.clone(),
            since: query.since.map(SystemTime::from),
            limit: query.limit,
            cursor: query.cursor.clone(),
        };
        let page = self.0.mismatches(&filter).map_err(|_| UnknownCursor)?;
        Ok(document(&page))
    }

    fn mismatch(&self, id: &str) -> Option<Value> {
        self.0.mismatch(id).as_deref().map(document)
    }
}

fn document(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("what the store keeps must be JSON")
}
