//! `channels.*`: what a tenant does with its accounts at chat networks. Done is it elsewhere.

use accounts::{Error, New, View, Wanted};
use api::ApiError;
use api::channels::{
    Account, Accounts, AddParams, Added, ApproveParams, Approved, ChannelParams, Code,
    DEFAULT_ACCOUNT, Done, ListParams, PairParams, Pairing, PairingLimits, PairingParams, Removed,
    Status, StatusParams, Tested,
};
use serde_json::{Value, json};
use types::Chain;

use crate::Call;

/// Requests that wait for one account, and for how long in milliseconds.
const LIMITS: PairingLimits =
    PairingLimits { pending_per_account: records::MAX_REQUESTS, ttl_ms: 3_600_000 };

/// Characters of a name that come back.
const MAX_SHOWN: usize = 80;

impl api::channels::Channels for Call<'_> {
    async fn channels_status(&self, params: StatusParams) -> Result<Status, ApiError> {
        if let Some(channel) = &params.channel {
            known(channel)?;
        }
        let now = self.parts.clock.now();
        let mut status = Status { ts: now, ..Status::default() };
        let views = self.views(params.channel.as_deref()).await?;
        for network in networks::ALL.iter().map(|it| it.is) {
            let of: Vec<_> = views.iter().filter(|it| it.row.channel == network.name).collect();
            let Some(first) = of.first() else { continue };
            let (name, title) = (network.name.to_owned(), network.title.to_owned());
            let running = of.iter().any(|it| it.row.running && it.row.shut.is_none());
            status.channel_order.push(name.clone());
            status.channel_meta.push(json!({"id": name, "label": title, "detailLabel": title}));
            status.channel_labels.insert(name.clone(), title.clone());
            status.channel_detail_labels.insert(name.clone(), title);
            let summary = json!({"configured": true, "running": running});
            status.channels.insert(name.clone(), summary);
            status.channel_default_account_id.insert(name.clone(), first.row.name.clone());
            let mut accounts = Vec::new();
            for view in of {
                let probe = match params.probe {
                    Some(true) => Some(self.probe(view).await?),
                    Some(false) | None => None,
                };
                accounts.push(snapshot(view, now, probe.as_ref()));
            }
            status.channel_accounts.insert(name, accounts);
        }
        Ok(status)
    }

    async fn channels_list(&self, _: ListParams) -> Result<Accounts, ApiError> {
        let now = self.parts.clock.now();
        let views = self.views(None).await?;
        Ok(Accounts { accounts: views.iter().map(|view| account(view, now)).collect() })
    }

    async fn channels_add(&self, params: AddParams) -> Result<Added, ApiError> {
        let new = New {
            channel: params.channel,
            name: params.account_id.unwrap_or_else(|| DEFAULT_ACCOUNT.to_owned()),
            token: params.secret,
            inbound: params.inbound_secret,
            socket: params.socket_secret,
            way: params.way,
            server: params.server,
            vendor: params.vendor_id,
            direct: params.dm_policy,
            groups: params.group_policy,
            senders: params.allow_from,
            rooms: params.groups,
            mention: params.require_mention,
            agent: params.agent_id,
            per_minute: params.per_minute,
            origins: params.origins,
            signed_only: params.signed_only,
        };
        let added = self.parts.accounts.add(Some(self.tenant()), new).await;
        let added = added.map_err(|err| failed(&err))?;
        Ok(Added {
            account: account(&added.view, self.parts.clock.now()),
            path: added.path,
            webhook_secret: added.secret.map(|it| it.expose().to_owned()),
        })
    }

    async fn channels_start(&self, params: ChannelParams) -> Result<Done, ApiError> {
        let name = named(&params);
        let of = (params.channel.as_str(), name.as_str());
        let view = self.parts.accounts.connect(Some(self.tenant()), of).await;
        Ok(done(&view.map_err(|err| failed(&err))?))
    }

    async fn channels_stop(&self, params: ChannelParams) -> Result<Done, ApiError> {
        let name = named(&params);
        let of = (params.channel.as_str(), name.as_str());
        let view = self.parts.accounts.disconnect(Some(self.tenant()), of).await;
        Ok(done(&view.map_err(|err| failed(&err))?))
    }

    async fn channels_logout(&self, params: ChannelParams) -> Result<Done, ApiError> {
        let name = named(&params);
        let of = (params.channel.as_str(), name.as_str());
        let view = self.parts.accounts.log_out(Some(self.tenant()), of).await;
        let done = done(&view.map_err(|err| failed(&err))?);
        Ok(Done { logged_out: true, ..done })
    }

    async fn channels_remove(&self, params: ChannelParams) -> Result<Removed, ApiError> {
        let name = named(&params);
        let of = (params.channel.as_str(), name.as_str());
        let removed = self.parts.accounts.remove(Some(self.tenant()), of).await;
        removed.map_err(|err| failed(&err))?;
        Ok(Removed { removed: true })
    }

    async fn channels_test(&self, params: ChannelParams) -> Result<Tested, ApiError> {
        let name = named(&params);
        let of = (params.channel.as_str(), name.as_str());
        let tested = self.parts.accounts.test(Some(self.tenant()), of).await;
        let tested = tested.map_err(|err| failed(&err))?;
        Ok(Tested { ok: tested.ok, detail: tested.detail })
    }

    async fn channels_pair(&self, params: PairParams) -> Result<Code, ApiError> {
        let name = params.account_id.as_deref().unwrap_or(DEFAULT_ACCOUNT);
        let wanted = Wanted { room: params.group, agent: params.agent_id };
        let (of, by) = ((params.channel.as_str(), name), self.acted_by());
        let code = self.parts.accounts.pair(self.tenant(), of, wanted, &by).await;
        let code = code.map_err(|err| failed(&err))?;
        let (text, expires_at) = (code.code.expose().to_owned(), code.expires_at);
        Ok(Code { code: text, link: code.link, expires_at })
    }

    async fn channels_approve(&self, params: ApproveParams) -> Result<Approved, ApiError> {
        let (tenant, by) = (self.tenant(), self.acted_by());
        let peer = self.parts.accounts.approve(tenant, &params.channel, &params.code, &by).await;
        let peer = peer.map_err(|err| failed(&err))?;
        Ok(Approved { channel: params.channel, id: peer.id })
    }

    async fn channels_pairing_list(&self, params: PairingParams) -> Result<Pairing, ApiError> {
        if let Some(channel) = &params.channel {
            known(channel)?;
        }
        let is_asked = |channel: &str, account: &str| {
            params.channel.as_deref().is_none_or(|it| it == channel)
                && params.account_id.as_deref().is_none_or(|it| it == account)
        };
        let views = self.views(None).await?;
        let accounts = views.iter().filter(|it| is_asked(&it.row.channel, &it.row.name));
        let accounts = accounts
            .map(|it| json!({"channel": it.row.channel, "accountId": it.row.name}))
            .collect();
        let waiting = self.parts.accounts.waiting(self.tenant()).await;
        let waiting = waiting.map_err(|err| failed(&err))?;
        let requests = waiting.iter().filter(|it| is_asked(&it.channel, &it.account));
        let requests = requests
            .map(|it| {
                json!({
                    "channel": it.channel, "accountId": it.account, "id": it.id,
                    "createdAt": it.at, "expiresAt": it.expires_at,
                })
            })
            .collect();
        Ok(Pairing { accounts, requests, command_owner_configured: false, limits: LIMITS })
    }
}

impl Call<'_> {
    async fn views(&self, channel: Option<&str>) -> Result<Vec<View>, ApiError> {
        let views = self.parts.accounts.list(Some(self.tenant())).await;
        let views = views.map_err(|err| failed(&err))?.into_iter();
        Ok(views.filter(|it| channel.is_none_or(|channel| it.row.channel == channel)).collect())
    }

    async fn probe(&self, view: &View) -> Result<Value, ApiError> {
        let of = (view.row.channel.as_str(), view.row.name.as_str());
        let tested = self.parts.accounts.test(Some(self.tenant()), of).await;
        let tested = tested.map_err(|err| failed(&err))?;
        Ok(json!({"ok": tested.ok, "detail": tested.detail}))
    }

    fn acted_by(&self) -> String {
        format!("token {}", self.caller.permit.principal().token_id())
    }
}

fn named(params: &ChannelParams) -> String {
    params.account_id.clone().unwrap_or_else(|| DEFAULT_ACCOUNT.to_owned())
}

fn done(view: &View) -> Done {
    Done {
        channel: view.row.channel.clone(),
        account_id: view.row.name.clone(),
        started: view.row.running && view.row.shut.is_none(),
        logged_out: false,
    }
}

/// An account as it is shown.
fn account(view: &View, now: u64) -> Account {
    let (row, health) = (&view.row, &view.health);
    Account {
        id: row.id.clone(),
        channel: row.channel.clone(),
        account: row.name.clone(),
        state: view.state(),
        credential: view.credential(),
        way: row.way.clone(),
        vendor_id: row.vendor.clone(),
        user_name: row.us.1.clone(),
        dm_policy: row.policy.direct.clone(),
        group_policy: row.policy.groups.clone(),
        shut: row.shut.as_ref().map(|it| it.why.clone()),
        last_inbound_at: health.last_inbound_at,
        last_outbound_at: health.last_outbound_at,
        cursor_age_ms: view.cursor_at.map(|at| now.saturating_sub(at)),
        lost: health.lost,
        last_error: health.last_error.as_ref().map(|it| it.1.clone()),
        created_at: row.created_at,
    }
}

/// The same in the shape of `OpenClaw`.
fn snapshot(view: &View, now: u64, probe: Option<&Value>) -> Value {
    let shown = account(view, now);
    json!({
        "accountId": shown.account, "name": shown.user_name, "enabled": view.row.running,
        "configured": view.has_credential, "linked": view.has_credential,
        "running": shown.state == "connected" || shown.state == "failing",
        "connected": shown.state == "connected", "state": shown.state,
        "credential": shown.credential, "mode": shown.way, "dmPolicy": shown.dm_policy,
        "lastInboundAt": shown.last_inbound_at, "lastOutboundAt": shown.last_outbound_at,
        "cursorAgeMs": shown.cursor_age_ms, "lost": shown.lost, "breaker": shown.shut,
        "lastError": shown.last_error, "probe": probe,
    })
}

fn known(channel: &str) -> Result<(), ApiError> {
    if networks::network(channel).is_some() {
        return Ok(());
    }
    let shown: String = channel.chars().filter(|it| !it.is_control()).take(MAX_SHOWN).collect();
    Err(ApiError::invalid(format!("unknown channel: {shown}")))
}

/// What a caller is told.
fn failed(err: &Error) -> ApiError {
    if err.is_callers() {
        return ApiError::invalid(err.public());
    }
    tracing::error!(error = %Chain(err), "an account could not be read or changed");
    ApiError::unavailable(err.public())
}
