//! `/v1/tenants`.

use std::time::Duration;

use ::tenants::Tenants;
use auth::{Grant, TokenSpec};
use control_api::{
    Boundary, CreateTenant, CreatedTenant, ErasedTenant, Logs, LogsQuery, PageQuery, RestartTenant,
    Tenant, TenantList, TenantPath, UpdateTenant,
};
use types::{LimitsPatch, Scopes, TenantId};

use super::{boundary, views, within};
use crate::Parts;
use crate::call::{Call, Nothing};
use crate::error::Error;
use crate::idempotency::{self, Created};
use crate::reply::{Found, Made};

/// The label of the token that a tenant is made with.
const FIRST: &str = "first";

/// How long requests under way may take to end when the operator does not say.
const DEADLINE: u32 = 30;

/// The longest deadline, in seconds: nothing else can be done with the tenant meanwhile.
const MAX_DEADLINE: u32 = 3600;

/// Log lines when the operator does not say.
const LINES: u32 = 100;

pub(crate) async fn list(call: Call<Nothing, PageQuery>) -> Result<Found<TenantList>, Error> {
    let limit = call.query.limit.unwrap_or(control_api::DEFAULT_PAGE);
    within("limit", limit, 1, control_api::MAX_PAGE, "from 1 to 1000")?;
    let limit = usize::try_from(limit).unwrap_or_default();
    // One more than asked for tells whether there is a next page.
    let mut views = tenants(&call).list(call.query.after.as_ref(), limit + 1);
    let more = views.len() > limit;
    views.truncate(limit);
    let next = views.last().filter(|_| more).map(|view| view.id.clone());
    let tenants = views.into_iter().map(views::row).collect();
    Ok(Found(TenantList { tenants, next }))
}

pub(crate) async fn create(
    call: Call<Nothing, Nothing, CreateTenant>,
) -> Result<Made<CreatedTenant>, Error> {
    idempotency::once(&call, make(&call)).await
}

async fn make(call: &Call<Nothing, Nothing, CreateTenant>) -> Result<CreatedTenant, Error> {
    let (id, parts) = (&call.body.id, call.control.parts());
    let limits: LimitsPatch = call.body.limits.clone().unwrap_or_default().into();
    let view = parts.tenants.create(id, &limits).await?;
    let spec =
        TokenSpec { label: FIRST.to_owned(), scopes: Scopes::all_of_tenant(), expires_at: None };
    match parts.auth.issue(&Grant::Operator(&call.permit), id, spec).await {
        Ok(issued) => Ok(CreatedTenant {
            id: id.clone(),
            token: Some(issued.token.expose().to_owned()),
            created_at: view.created_at.into(),
        }),
        Err(error) => {
            // A tenant without a token would only block its name.
            let by = call.permit.operator().id();
            if let Err(left) = parts.tenants.delete(id, &parts.auth, by).await {
                tracing::warn!(tenant = %id, error = %types::Chain(&left), "a tenant is left over");
            }
            Err(error.into())
        }
    }
}

impl Created for CreatedTenant {
    fn without_secret(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    fn name(&self) -> &str {
        self.id.as_str()
    }
}

pub(crate) async fn show(call: Call<TenantPath>) -> Result<Found<Tenant>, Error> {
    shown(&call.control.parts().tenants, &call.path.id).await
}

pub(crate) async fn update(
    call: Call<TenantPath, Nothing, UpdateTenant>,
) -> Result<Found<Tenant>, Error> {
    let patch: LimitsPatch = call.body.limits.clone().into();
    tenants(&call).patch(&call.path.id, &patch).await?;
    shown(tenants(&call), &call.path.id).await
}

pub(crate) async fn delete(call: Call<TenantPath>) -> Result<Found<ErasedTenant>, Error> {
    let (id, parts) = (&call.path.id, call.control.parts());
    parts.auth.suspend(id);
    match parts.tenants.delete(id, &parts.auth, call.permit.operator().id()).await {
        Ok(certificate) => {
            let certificate = certificate.text;
            Ok(Found(ErasedTenant { id: id.clone(), deleted: true, certificate }))
        }
        Err(error) => {
            follow(parts, id);
            Err(error.into())
        }
    }
}

pub(crate) async fn suspend(call: Call<TenantPath>) -> Result<Found<Tenant>, Error> {
    let (id, parts) = (&call.path.id, call.control.parts());
    parts.tenants.peek(id)?;
    // Connections end at once; what the worker still does for them has nobody to go to.
    parts.auth.suspend(id);
    if let Err(error) = parts.tenants.suspend(id).await {
        follow(parts, id);
        return Err(error.into());
    }
    shown(&parts.tenants, id).await
}

pub(crate) async fn resume(call: Call<TenantPath>) -> Result<Found<Tenant>, Error> {
    let (id, parts) = (&call.path.id, call.control.parts());
    parts.tenants.resume(id).await?;
    parts.auth.resume(id);
    shown(&parts.tenants, id).await
}

pub(crate) async fn restart(
    call: Call<TenantPath, Nothing, RestartTenant>,
) -> Result<Found<Tenant>, Error> {
    let asked = call.body.deadline_seconds.unwrap_or(DEADLINE);
    within("deadlineSeconds", asked, 0, MAX_DEADLINE, "from 0 to 3600")?;
    let seconds = if call.body.now { 0 } else { asked };
    let deadline = Duration::from_secs(u64::from(seconds));
    tenants(&call).restart(&call.path.id, deadline, call.body.if_running).await?;
    shown(tenants(&call), &call.path.id).await
}

pub(crate) async fn inspect(call: Call<TenantPath>) -> Result<Found<Boundary>, Error> {
    let id = &call.path.id;
    let inspection = tenants(&call).inspect(id).await?;
    Ok(Found(boundary::of(id, &inspection, tenants(&call).host_report())))
}

pub(crate) async fn logs(call: Call<TenantPath, LogsQuery>) -> Result<Found<Logs>, Error> {
    let lines = call.query.lines.unwrap_or(LINES);
    within("lines", lines, 1, control_api::MAX_LOG_LINES, "from 1 to 1000")?;
    let lines = usize::try_from(lines).unwrap_or_default();
    let lines = tenants(&call).logs(&call.path.id, lines)?;
    Ok(Found(Logs { tenant: call.path.id.clone(), lines }))
}

/// After a failure, lets callers in again unless the tenant is there and suspended.
fn follow(parts: &Parts, id: &TenantId) {
    let state = parts.tenants.peek(id).map(|view| view.state);
    if !matches!(state, Ok(::tenants::State::Suspended)) {
        parts.auth.resume(id);
    }
}

async fn shown(tenants: &Tenants, id: &TenantId) -> Result<Found<Tenant>, Error> {
    Ok(Found(views::tenant(tenants.show(id).await?)))
}

fn tenants<P, Q, B>(call: &Call<P, Q, B>) -> &Tenants {
    &call.control.parts().tenants
}
