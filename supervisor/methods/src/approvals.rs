//! `exec.approval.*`, `approval.*` and `exec.approvals.*`: what waits and how it is decided is known to
//! `sandboxes`; here it is said who decides, and told in the protocol's words.

mod asked;

use std::time::Duration;

use api::approvals::{
    Accepted, Applied, Approvals, Decided, Decision, Described, GetParams, GrantRevoked, Grants,
    GrantsParams, History, HistoryParams, IdParams, Kind, ListParams, Policies, RequestParams,
    Resolution, ResolveParams, Resolved, RevokeParams, Security, SetParams, Shown, SnapshotParams,
    SnapshotResolveParams, Snapshotted, WaitParams, Waiting,
};
use api::{ApiError, Code};
use sandboxes::approvals::{self, Book, BookError, By, Denied, End, Policy, Refused, ResolveError};
use serde_json::json;
use types::Chain;

use crate::config::pace;
use crate::{Call, failed};

/// What the tenant's file is called; there is no file.
const NAME: &str = "exec-approvals.json";

/// Standing consents of one answer.
const MAX_GRANTS: u16 = 500;

/// Requests of one answer.
const MAX_PAGE: u16 = 100;

/// Requests of one answer where nothing is said.
const PAGE: u16 = 50;

/// The longest id or cursor, in bytes.
const MAX_ID: usize = 512;

impl Approvals for Call<'_> {
    async fn approval_request(&self, params: RequestParams) -> Result<Decided, ApiError> {
        let approvals = self.approvals()?;
        let (two_phase, needs_route) = (params.two_phase, params.require_delivery_route);
        let foreign = asked::foreign(params)?;
        if needs_route == Some(true) && !approvals.has_approver() {
            return Ok(self.unroutable(foreign.id));
        }
        let mut ticket = approvals.ask_for(foreign).map_err(|err| denied(&err))?;
        let (id, created_at_ms) = (ticket.id().to_owned(), ticket.created_at());
        let expires_at_ms = ticket.expires_at();
        if two_phase == Some(true) {
            let accepted = Accepted { status: "accepted", id: &id, created_at_ms, expires_at_ms };
            self.first(&accepted).await?;
        }
        let (decision, terminal_reason) = told(ticket.end().await);
        Ok(Decided { id, decision, terminal_reason, created_at_ms, expires_at_ms })
    }

    async fn approval_wait(&self, params: WaitParams) -> Result<Decided, ApiError> {
        let wait = params.timeout_ms.map(Duration::from_millis);
        let ended = self.approvals()?.wait_for(&params.id, wait).await;
        let ended = ended.ok_or_else(|| unknown(Refused::Unknown))?;
        let (decision, terminal_reason) = ended.end.map_or((None, None), told);
        let (created_at_ms, expires_at_ms) = (ended.created_at, ended.expires_at);
        Ok(Decided { id: params.id, decision, terminal_reason, created_at_ms, expires_at_ms })
    }

    async fn approval_list(&self, _: ListParams) -> Result<Vec<Waiting>, ApiError> {
        Ok(self.approvals()?.waiting())
    }

    async fn approval_get(&self, params: IdParams) -> Result<Described, ApiError> {
        let found = self.approvals()?.waiting_for(&params.id);
        let Waiting { id, request, expires_at_ms, .. } =
            found.ok_or_else(|| unknown(Refused::Unknown))?;
        Ok(Described {
            id,
            command_text: request.command,
            command_preview: None,
            allowed_decisions: request.allowed_decisions,
            host: request.host,
            node_id: request.node_id,
            agent_id: request.agent_id,
            expires_at_ms,
        })
    }

    async fn approval_resolve(&self, params: ResolveParams) -> Result<Resolved, ApiError> {
        once(params.grant_expires_in_days)?;
        self.resolve(&params.id, params.decision).await?;
        Ok(Resolved { ok: true })
    }

    async fn approval_grants(&self, params: GrantsParams) -> Result<Grants, ApiError> {
        limited(params.limit, MAX_GRANTS)?;
        Ok(Grants::default())
    }

    async fn approval_revoke(&self, params: RevokeParams) -> Result<GrantRevoked, ApiError> {
        short("grantId", &params.grant_id)?;
        Ok(GrantRevoked { outcome: "not-found" })
    }

    async fn snapshot_get(&self, params: SnapshotParams) -> Result<Snapshotted, ApiError> {
        let approval = self.approvals()?.snapshot(&params.id);
        let approval = approval.ok_or_else(|| unknown(Refused::Unknown))?;
        Ok(Snapshotted { approval })
    }

    async fn snapshot_resolve(&self, params: SnapshotResolveParams) -> Result<Applied, ApiError> {
        once(params.grant_expires_in_days)?;
        if params.kind != Kind::Exec {
            return Err(unknown(Refused::Unknown));
        }
        let applied = self.resolve(&params.id, params.decision).await?;
        let approval = self.approvals()?.snapshot(&params.id);
        let approval = approval.ok_or_else(|| unknown(Refused::Unknown))?;
        Ok(Applied { applied, approval })
    }

    async fn snapshot_history(&self, params: HistoryParams) -> Result<History, ApiError> {
        limited(params.limit, MAX_PAGE)?;
        let after = params.cursor.as_deref();
        after.map_or(Ok(()), |cursor| short("cursor", cursor))?;
        if params.kind.is_some_and(|kind| kind != Kind::Exec) {
            return Ok(History::default());
        }
        let all = self.approvals()?.history();
        let from = after.map_or(Some(0), |id| {
            all.iter().position(|it| it.id == id).map(|at| at.saturating_add(1))
        });
        let from = from.ok_or_else(|| ApiError::invalid("unknown approval history cursor"))?;
        let limit = usize::from(params.limit.unwrap_or(PAGE));
        let more = all.len().saturating_sub(from) > limit;
        let items: Vec<_> = all.into_iter().skip(from).take(limit).collect();
        let next_cursor = items.last().filter(|_| more).map(|it| it.id.clone());
        Ok(History { items, next_cursor })
    }

    async fn approvals_get(&self, _: GetParams) -> Result<Policies, ApiError> {
        let book = self.approvals()?.book().await.map_err(|err| bookless(&err))?;
        self.policies(book).await
    }

    async fn approvals_set(&self, params: SetParams) -> Result<Policies, ApiError> {
        pace(self.parts, self.tenant())?;
        let book = self.approvals()?.replace_book(params.file, params.base_hash.as_deref()).await;
        let book = book.map_err(|err| bookless(&err))?;
        tracing::info!(
            tenant = %self.tenant(),
            token = self.caller.permit.principal().token_id(),
            request = self.caller.request_id,
            "a tenant's file of approvals changed"
        );
        self.policies(book).await
    }
}

impl Call<'_> {
    fn approvals(&self) -> Result<approvals::Approvals, ApiError> {
        self.parts.tenants.approvals(self.tenant()).map_err(|err| failed(&err))
    }

    /// Who calls, as others are told who decided.
    fn decider(&self) -> By {
        let device = self.caller.connection.and_then(|it| it.device_id());
        match device {
            Some(device) => By::Device(device.to_owned()),
            None => By::Token(self.caller.permit.principal().token_id().to_owned()),
        }
    }

    async fn resolve(&self, id: &str, decision: Decision) -> Result<bool, ApiError> {
        let made = self.approvals()?.resolve(id, decision, self.decider()).await;
        made.map_err(|err| match err {
            ResolveError::Refused(why) => unknown(why),
            ResolveError::Book(err) => bookless(&err),
        })
    }

    /// The first of two answers, for whoever takes it.
    async fn first(&self, accepted: &Accepted<'_>) -> Result<(), ApiError> {
        let Some(interim) = self.interim else { return Ok(()) };
        let answer = serde_json::to_vec(accepted);
        let answer = answer.map_err(|err| ApiError::unavailable(err.to_string()))?;
        // Who does not listen any more drops this whole call.
        interim.send(answer.into()).await.unwrap_or_default();
        Ok(())
    }

    /// Nobody who may decide is there, and whoever asks does not want to wait for somebody.
    fn unroutable(&self, id: Option<String>) -> Decided {
        let now = self.parts.clock.now();
        Decided {
            id: id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
            decision: None,
            terminal_reason: Some("no-route"),
            created_at_ms: now,
            expires_at_ms: now,
        }
    }

    async fn policies(&self, book: Book) -> Result<Policies, ApiError> {
        let snapshot = self.parts.settings.snapshot(self.tenant()).await;
        let config = snapshot.map_err(|err| crate::config::failed(&err))?.config;
        let own = Policy::of(&config);
        let policy = own.and(book.file.defaults.security, book.file.defaults.ask);
        Ok(Policies {
            path: NAME,
            exists: book.exists,
            file: Shown { file: book.file, socket: api::approvals::NoSocket::default() },
            hash: book.hash,
            resolved_defaults: Resolution {
                security: policy.security,
                ask: policy.ask,
                ask_fallback: Security::Deny,
                auto_allow_skills: false,
            },
        })
    }
}

/// How a request ended, in the protocol's words.
const fn told(end: End) -> (Option<Decision>, Option<&'static str>) {
    match end {
        End::Decided(decision) => (Some(decision), None),
        End::Expired => (None, Some("timeout")),
        End::Withdrawn => (None, Some("cancelled")),
    }
}

/// A consent that ends by itself is not kept: one that does not end would be more than was said.
fn once(days: Option<u16>) -> Result<(), ApiError> {
    match days {
        None => Ok(()),
        Some(_) => Err(ApiError::invalid("grantExpiresInDays is only for scheduled work")),
    }
}

fn limited(limit: Option<u16>, max: u16) -> Result<(), ApiError> {
    if limit.is_none_or(|it| (1..=max).contains(&it)) {
        return Ok(());
    }
    Err(ApiError::invalid(format!("limit is from 1 to {max}")))
}

fn short(field: &str, text: &str) -> Result<(), ApiError> {
    if (1..=MAX_ID).contains(&text.len()) {
        return Ok(());
    }
    Err(ApiError::invalid(format!("{field} has 1 to {MAX_ID} bytes")))
}

fn unknown(why: Refused) -> ApiError {
    let reason = match why {
        Refused::Unknown => "APPROVAL_NOT_FOUND",
        Refused::Decided => "APPROVAL_ALREADY_RESOLVED",
        Refused::Unavailable => "APPROVAL_ALLOW_ALWAYS_UNAVAILABLE",
    };
    ApiError::invalid(why.to_string()).with_details(json!({ "reason": reason }))
}

fn denied(err: &Denied) -> ApiError {
    let code =
        if matches!(err, Denied::Full) { Code::ResourceExhausted } else { Code::InvalidRequest };
    ApiError::new(code, err.to_string())
}

fn bookless(err: &BookError) -> ApiError {
    match err {
        BookError::Invalid(_) | BookError::NeedsHash | BookError::Stale => {
            ApiError::invalid(err.to_string())
        }
        BookError::Records(cause @ records::Error::TooLarge { .. }) => {
            ApiError::invalid(cause.to_string())
        }
        BookError::Records(records::Error::NotFound) => {
            ApiError::not_found("there is no such tenant")
        }
        BookError::Records(_) | BookError::Unreadable(_) | BookError::Unwritable(_) => {
            tracing::error!(error = %Chain(err), "a file of approvals failed");
            ApiError::unavailable(err.to_string())
        }
    }
}
