//! The schemas of names that the core defines.

use crate::verdict::{Cause, Code, Decision};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

impl PartialSchema for Decision {
    fn schema() -> RefOr<Schema> {
        one_of(Self::ALL.map(Self::name), None)
    }
}

impl ToSchema for Decision {}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        let description = "What a [`Finding`] is: a closed list, the gravest first.";
        one_of(Self::ALL.map(|code| code.to_string()), Some(description))
    }
}

impl ToSchema for Code {}

impl PartialSchema for Cause {
    fn schema() -> RefOr<Schema> {
        one_of(Self::ALL.map(Self::name), Some("Why an epoch began."))
    }
}

impl ToSchema for Cause {}

fn one_of<N: Into<serde_json::Value>>(
    names: impl IntoIterator<Item = N>,
    description: Option<&str>,
) -> RefOr<Schema> {
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(
            names
                .into_iter()
                .map(Into::into)
                .collect::<Vec<serde_json::Value>>(),
        ))
        .description(description);
    RefOr::T(name.into())
}
