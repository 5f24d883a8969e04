//! `/v1/tenants/{id}/tokens`.

use auth::{Grant, Issued, TokenSpec};
use control_api::{CreateToken, Deleted, IssuedToken, TenantPath, TokenList, TokenPath};

use super::views;
use crate::call::{Call, Nothing};
use crate::error::Error;
use crate::idempotency::{self, Created};
use crate::reply::{Found, Made};

pub(crate) async fn list(call: Call<TenantPath>) -> Result<Found<TokenList>, Error> {
    let parts = call.control.parts();
    parts.tenants.peek(&call.path.id)?;
    let tokens = parts.auth.tokens_of(&call.path.id).into_iter().map(views::token).collect();
    Ok(Found(TokenList { tokens }))
}

pub(crate) async fn create(
    call: Call<TenantPath, Nothing, CreateToken>,
) -> Result<Made<IssuedToken>, Error> {
    idempotency::once(&call, make(&call)).await
}

async fn make(call: &Call<TenantPath, Nothing, CreateToken>) -> Result<IssuedToken, Error> {
    let (parts, body) = (call.control.parts(), &call.body);
    parts.tenants.peek(&call.path.id)?;
    let spec = TokenSpec {
        label: body.label.clone(),
        scopes: body.scopes,
        expires_at: body.expires_at.map(control_api::Timestamp::millis),
    };
    let grant = Grant::Operator(&call.permit);
    Ok(issued(&parts.auth.issue(&grant, &call.path.id, spec).await?))
}

impl Created for IssuedToken {
    fn without_secret(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    fn name(&self) -> &str {
        &self.id
    }
}

pub(crate) async fn rotate(call: Call<TokenPath>) -> Result<Found<IssuedToken>, Error> {
    let grant = Grant::Operator(&call.permit);
    let auth = &call.control.parts().auth;
    let replaced = auth.rotate(&grant, &call.path.id, &call.path.token_id).await?;
    Ok(Found(issued(&replaced)))
}

pub(crate) async fn revoke(call: Call<TokenPath>) -> Result<Found<Deleted>, Error> {
    call.control.parts().auth.revoke(&call.path.id, &call.path.token_id).await?;
    Ok(Found(Deleted { id: call.path.token_id, deleted: true }))
}

fn issued(issued: &Issued) -> IssuedToken {
    IssuedToken {
        id: issued.row.id.clone(),
        token: Some(issued.token.expose().to_owned()),
        scopes: issued.row.scopes,
        label: issued.row.label.clone(),
        expires_at: issued.row.expires_at.map(Into::into),
    }
}
