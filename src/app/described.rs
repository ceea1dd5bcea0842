//! JSON Schemas of documents that the admin API passes on, from the modules that own them.

use crate::{config, store};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::{ToSchema, openapi};

/// By the names that the admin API refers to.
pub(super) fn schemas() -> BTreeMap<String, Value> {
    let mut owned = Vec::new();
    add::<store::Classes>(&mut owned);
    add::<store::Page>(&mut owned);
    let owned = owned.into_iter().map(|(name, schema)| {
        let schema = serde_json::to_value(schema).expect("a schema must be JSON");
        (name, schema)
    });
    let patch = ("SettingsPatch".to_owned(), config::patch_schema());
    owned.chain([patch]).collect()
}

fn add<T: ToSchema>(owned: &mut Vec<(String, openapi::RefOr<openapi::Schema>)>) {
    owned.push((T::name().into_owned(), T::schema()));
    T::schemas(owned);
}
