//! The schemas of names that the core defines.

use crate::verdict::{Cause, Code, Decision};
use strum::VariantNames as _;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

impl PartialSchema for Decision {
    fn schema() -> RefOr<Schema> {
        one_of(Self::VARIANTS, None)
    }
}

impl ToSchema for Decision {}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        let description = "What a [`Finding`] is: a closed list, the gravest first.";
        one_of(Self::VARIANTS, Some(description))
    }
}

impl ToSchema for Code {}

impl PartialSchema for Cause {
    fn schema() -> RefOr<Schema> {
        one_of(Self::VARIANTS, Some("Why an epoch began."))
    }
}

impl ToSchema for Cause {}

fn one_of(names: &[&str], description: Option<&str>) -> RefOr<Schema> {
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(names.iter().copied()))
        .description(description);
    RefOr::T(name.into())
}
