//! The `OpenAPI` document, made of the rows of the route table and of the handlers' own types.

use std::collections::BTreeMap;

use control_api::{Code, Failure, IDEMPOTENCY_KEY};
use http::StatusCode;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required,
    ResponseBuilder, Schema,
};
use utoipa::{PartialSchema as _, ToSchema};

use crate::row::{Endpoint, Row};

/// The name of the one security scheme.
const SCHEME: &str = "operatorKey";

/// The codes with which any operation that needs a key may fail.
const FAILURES: [Code; 9] = [
    Code::InvalidRequest,
    Code::Unauthenticated,
    Code::Forbidden,
    Code::NotFound,
    Code::Conflict,
    Code::PayloadTooLarge,
    Code::InvalidValue,
    Code::RateLimited,
    Code::Unavailable,
];

/// One operation as it is being written down.
pub(crate) struct Operation {
    builder: OperationBuilder,
    schemas: Vec<(String, RefOr<Schema>)>,
}

/// The document of these rows.
pub(crate) fn document(rows: &[Row]) -> OpenApi {
    let mut paths = PathsBuilder::new();
    let mut schemas = BTreeMap::new();
    for row in rows {
        let operation = describe(row);
        schemas.extend(operation.schemas);
        paths = paths.path(row.path, PathItem::new(method(row), operation.builder));
    }
    let key = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An operator key, ak_...; the Unix socket needs none."))
        .build();
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(SCHEME, SecurityScheme::Http(key))
        .build();
    let info = InfoBuilder::new()
        .title("OpenClawMU control plane")
        .version(env!("CARGO_PKG_VERSION"))
        .build();
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components)).build()
}

fn describe(row: &Row) -> Operation {
    let tag = row.path.trim_start_matches("/v1/").split('/').next().unwrap_or_default();
    let tag = if row.path.starts_with("/v1/") { tag } else { "gateway" };
    let builder = OperationBuilder::new()
        .operation_id(Some(row.operation))
        .summary(Some(row.summary))
        .tag(tag);
    let mut operation = Operation { builder, schemas: Vec::new() };
    match &row.endpoint {
        Endpoint::Open(_) => operation.gives_text(),
        Endpoint::Guarded(role, handler) => {
            operation.guarded(role.name());
            handler.describe(&mut operation);
        }
    }
    operation
}

impl Operation {
    /// What stands in the path or in the query.
    pub(crate) fn parameters(&mut self, parameters: Vec<Parameter>) {
        for parameter in parameters {
            self.change(|builder| builder.parameter(parameter));
        }
    }

    /// The body that is taken.
    pub(crate) fn takes<T: ToSchema>(&mut self) {
        let body = RequestBodyBuilder::new()
            .content("application/json", self.content::<T>())
            .required(Some(Required::True))
            .build();
        self.change(|builder| builder.request_body(Some(body)));
    }

    /// Bytes are taken.
    pub(crate) fn takes_bytes(&mut self) {
        let body = RequestBodyBuilder::new()
            .content("application/octet-stream", Content::default())
            .required(Some(Required::True))
            .build();
        self.change(|builder| builder.request_body(Some(body)));
    }

    /// The body that is given.
    pub(crate) fn gives<T: ToSchema>(&mut self, status: StatusCode) {
        let response = ResponseBuilder::new()
            .description(status.canonical_reason().unwrap_or_default())
            .content("application/json", self.content::<T>())
            .build();
        self.change(|builder| builder.response(status.as_str(), response));
    }

    /// Text is given.
    pub(crate) fn gives_text(&mut self) {
        let response = ResponseBuilder::new().description("OK").build();
        self.change(|builder| builder.response("200", response));
    }

    /// Repeating the operation is safe under an idempotency key.
    pub(crate) fn repeatable(&mut self) {
        let key = ParameterBuilder::new()
            .name(IDEMPOTENCY_KEY)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "Repeats within 24 hours give the first outcome, without its secret.",
            ))
            .schema(Some(String::schema()))
            .build();
        self.change(|builder| builder.parameter(key));
    }

    /// A key is needed, and the operation may fail.
    fn guarded(&mut self, role: &str) {
        let scheme = SecurityRequirement::new(SCHEME, std::iter::empty::<String>());
        let needs = format!("Needs the role {role}.");
        self.change(|builder| builder.security(scheme).description(Some(needs)));
        for code in FAILURES {
            let response = ResponseBuilder::new()
                .description(code.as_str())
                .content("application/json", self.content::<Failure>())
                .build();
            self.change(|builder| builder.response(code.status().to_string(), response));
        }
    }

    fn content<T: ToSchema>(&mut self) -> Content {
        T::schemas(&mut self.schemas);
        self.schemas.push((T::name().into_owned(), T::schema()));
        Content::new(Some(Ref::from_schema_name(T::name())))
    }

    fn change(&mut self, change: impl FnOnce(OperationBuilder) -> OperationBuilder) {
        self.builder = change(std::mem::take(&mut self.builder));
    }
}

fn method(row: &Row) -> HttpMethod {
    match row.method.as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}
