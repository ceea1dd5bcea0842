//! The store, as the admin API queries it.

use crate::{
    admin::{self, ClassQuery, Mismatches, Query, QueryError},
    store::{Filter, LookError, Order, Store},
};
use serde::Serialize;
use serde_json::Value;
use std::time::SystemTime;

#[derive(Debug)]
pub(super) struct Stored(pub(super) Store);

// === impl Stored ===

impl Mismatches for Stored {
    fn classes(&self, query: &ClassQuery) -> Result<Value, QueryError> {
        let order = match query.order {
            admin::Order::Frequent => Order::Frequent,
            admin::Order::Recent => Order::Recent,
        };
        let page = self.0.classes(order, query.cursor.as_deref(), query.limit);
        page.map(|page| document(&page)).map_err(unanswered)
    }

    fn class(&self, id: &str) -> Result<Option<Value>, QueryError> {
        let class = self.0.class(id).map_err(unanswered)?;
        Ok(class.as_ref().map(document))
    }

    fn mismatches(&self, query: &Query) -> Result<Value, QueryError> {
        let filter = Filter {
            route: query.route.clone(),
            class: query.class.clone(),
            outcome: query.outcome.clone(),
            since: query.since.map(SystemTime::from),
            limit: query.limit,
            cursor: query.cursor.clone(),
        };
        let page = self.0.mismatches(&filter).map_err(unanswered)?;
        Ok(document(&page))
    }

    fn mismatch(&self, id: &str) -> Result<Option<Value>, QueryError> {
        let mismatch = self.0.mismatch(id).map_err(unanswered)?;
        Ok(mismatch.as_ref().map(document))
    }
}

pub(super) fn unanswered(error: LookError) -> QueryError {
    match error {
        LookError::Cursor(_) => QueryError::Cursor,
        LookError::Database(error) => QueryError::Store(error.into()),
    }
}

fn document(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("what the store keeps must be JSON")
}
