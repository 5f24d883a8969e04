//! Schemas of words that other crates define: made from those crates' own lists, so that the
//! document cannot differ from what is accepted.

use types::{Role, Scope, TenantId};
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, Type};

/// A tenant id.
pub(crate) fn tenant_id() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[a-z0-9][a-z0-9_-]*$"))
        .max_length(Some(TenantId::MAX))
        .build()
}

/// A set of scopes.
pub(crate) fn scopes() -> Array {
    let scope = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(Scope::ALL.map(Scope::name)))
        .build();
    ArrayBuilder::new().items(scope).build()
}

/// A role of an operator key.
pub(crate) fn role() -> Object {
    let names = [Role::Auditor, Role::Operator, Role::Owner].map(Role::name);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build()
}
