//! `/v1/tenants/{id}/channels` and `/v1/channels`: accounts at chat networks.

use accounts::{Accounts, New, View, Wanted};
use control_api::{
    AddChannel, AddedChannel, ApproveChannel, ApprovedChannel, Channel, ChannelCode, ChannelList,
    ChannelPath, ChannelRequest, ChannelRequests, ChannelTest, DEFAULT_ACCOUNT, Deleted,
    PairChannel, SharedChannelPath, TenantPath,
};
use types::{Secret, TenantId};

use crate::call::{Call, Nothing};
use crate::error::Error;
use crate::reply::Found;

type One = Call<ChannelPath>;
type Shared = Call<SharedChannelPath>;

pub(crate) async fn list(call: Call<TenantPath>) -> Result<Found<ChannelList>, Error> {
    let parts = call.control.parts();
    parts.tenants.peek(&call.path.id)?;
    listed(&parts.accounts, Some(&call.path.id), parts.clock.now()).await
}

pub(crate) async fn list_shared(call: Call) -> Result<Found<ChannelList>, Error> {
    let parts = call.control.parts();
    listed(&parts.accounts, None, parts.clock.now()).await
}

pub(crate) async fn add(
    call: Call<TenantPath, Nothing, AddChannel>,
) -> Result<Found<AddedChannel>, Error> {
    call.control.parts().tenants.peek(&call.path.id)?;
    let owner = call.path.id.clone();
    made(&call, Some(&owner)).await
}

pub(crate) async fn add_shared(
    call: Call<Nothing, Nothing, AddChannel>,
) -> Result<Found<AddedChannel>, Error> {
    made(&call, None).await
}

pub(crate) async fn remove(call: One) -> Result<Found<Deleted>, Error> {
    let ChannelPath { id, channel, account } = &call.path;
    let accounts = &call.control.parts().accounts;
    accounts.remove(Some(id), (channel, account)).await?;
    Ok(Found(Deleted { id: format!("{channel}/{account}"), deleted: true }))
}

pub(crate) async fn remove_shared(call: Shared) -> Result<Found<Deleted>, Error> {
    let SharedChannelPath { channel, account } = &call.path;
    call.control.parts().accounts.remove(None, (channel, account)).await?;
    Ok(Found(Deleted { id: format!("{channel}/{account}"), deleted: true }))
}

pub(crate) async fn start(call: One) -> Result<Found<Channel>, Error> {
    let ChannelPath { id, channel, account } = &call.path;
    let parts = call.control.parts();
    let view = parts.accounts.connect(Some(id), (channel, account)).await?;
    Ok(Found(shown(&view, parts.clock.now())))
}

pub(crate) async fn start_shared(call: Shared) -> Result<Found<Channel>, Error> {
    let SharedChannelPath { channel, account } = &call.path;
    let parts = call.control.parts();
    let view = parts.accounts.connect(None, (channel, account)).await?;
    Ok(Found(shown(&view, parts.clock.now())))
}

pub(crate) async fn stop(call: One) -> Result<Found<Channel>, Error> {
    let ChannelPath { id, channel, account } = &call.path;
    let parts = call.control.parts();
    let view = parts.accounts.disconnect(Some(id), (channel, account)).await?;
    Ok(Found(shown(&view, parts.clock.now())))
}

pub(crate) async fn stop_shared(call: Shared) -> Result<Found<Channel>, Error> {
    let SharedChannelPath { channel, account } = &call.path;
    let parts = call.control.parts();
    let view = parts.accounts.disconnect(None, (channel, account)).await?;
    Ok(Found(shown(&view, parts.clock.now())))
}

pub(crate) async fn test(call: One) -> Result<Found<ChannelTest>, Error> {
    let ChannelPath { id, channel, account } = &call.path;
    let tested = call.control.parts().accounts.test(Some(id), (channel, account)).await?;
    Ok(Found(ChannelTest { ok: tested.ok, detail: tested.detail }))
}

pub(crate) async fn test_shared(call: Shared) -> Result<Found<ChannelTest>, Error> {
    let SharedChannelPath { channel, account } = &call.path;
    let tested = call.control.parts().accounts.test(None, (channel, account)).await?;
    Ok(Found(ChannelTest { ok: tested.ok, detail: tested.detail }))
}

pub(crate) async fn pair(
    call: Call<ChannelPath, Nothing, PairChannel>,
) -> Result<Found<ChannelCode>, Error> {
    let ChannelPath { id, channel, account } = &call.path;
    let parts = call.control.parts();
    parts.tenants.peek(id)?;
    let wanted = Wanted { room: call.body.group, agent: call.body.agent.clone() };
    let by = format!("operator {}", call.permit.operator().id());
    let code = parts.accounts.pair(id, (channel, account), wanted, &by).await?;
    let text = code.code.expose().to_owned();
    let expires_at = code.expires_at.into();
    Ok(Found(ChannelCode { code: text, link: code.link, expires_at }))
}

pub(crate) async fn requests(call: Call<TenantPath>) -> Result<Found<ChannelRequests>, Error> {
    let parts = call.control.parts();
    parts.tenants.peek(&call.path.id)?;
    let waiting = parts.accounts.waiting(&call.path.id).await?;
    let requests = waiting.into_iter().map(|it| ChannelRequest {
        channel: it.channel,
        account: it.account,
        id: it.id,
        created_at: it.at.into(),
        expires_at: it.expires_at.into(),
    });
    Ok(Found(ChannelRequests { requests: requests.collect() }))
}

pub(crate) async fn approve(
    call: Call<TenantPath, Nothing, ApproveChannel>,
) -> Result<Found<ApprovedChannel>, Error> {
    let parts = call.control.parts();
    parts.tenants.peek(&call.path.id)?;
    let ApproveChannel { channel, code } = &call.body;
    let by = format!("operator {}", call.permit.operator().id());
    let peer = parts.accounts.approve(&call.path.id, channel, code, &by).await?;
    Ok(Found(ApprovedChannel { channel: channel.clone(), id: peer.id }))
}

async fn listed(
    accounts: &Accounts,
    owner: Option<&TenantId>,
    now: u64,
) -> Result<Found<ChannelList>, Error> {
    let mut views = accounts.list(owner).await?;
    views.sort_by(|a, b| {
        (&a.row.channel, a.row.created_at).cmp(&(&b.row.channel, b.row.created_at))
    });
    Ok(Found(ChannelList { channels: views.iter().map(|view| shown(view, now)).collect() }))
}

async fn made<P, Q>(
    call: &Call<P, Q, AddChannel>,
    owner: Option<&TenantId>,
) -> Result<Found<AddedChannel>, Error> {
    let (parts, body) = (call.control.parts(), &call.body);
    let secret = |text: &Option<String>| text.clone().map(Secret::from);
    let new = New {
        channel: body.channel.clone(),
        name: body.account.clone().unwrap_or_else(|| DEFAULT_ACCOUNT.to_owned()),
        token: secret(&body.secret),
        inbound: secret(&body.inbound_secret),
        socket: secret(&body.socket_secret),
        way: body.way.clone(),
        server: body.server.clone(),
        vendor: body.vendor_id.clone(),
        direct: body.dm_policy.clone(),
        groups: body.group_policy.clone(),
        senders: body.allow_from.clone(),
        rooms: body.groups.clone(),
        mention: body.require_mention,
        agent: body.agent.clone(),
        per_minute: body.per_minute,
        origins: body.origins.clone(),
        signed_only: body.signed_only,
    };
    let added = parts.accounts.add(owner, new).await?;
    call.made(&added.view.row.id);
    Ok(Found(AddedChannel {
        account: shown(&added.view, parts.clock.now()),
        path: added.path,
        webhook_secret: added.secret.map(|it| it.expose().to_owned()),
    }))
}

fn shown(view: &View, now: u64) -> Channel {
    let (row, health) = (&view.row, &view.health);
    Channel {
        id: row.id.clone(),
        tenant: row.owner.clone(),
        channel: row.channel.clone(),
        account: row.name.clone(),
        state: view.state().to_owned(),
        credential: view.credential().to_owned(),
        way: row.way.clone(),
        vendor_id: row.vendor.clone(),
        user_name: row.us.1.clone(),
        dm_policy: row.policy.direct.clone(),
        group_policy: row.policy.groups.clone(),
        shut: row.shut.as_ref().map(|it| it.why.clone()),
        last_inbound_at: health.last_inbound_at.map(Into::into),
        last_outbound_at: health.last_outbound_at.map(Into::into),
        cursor_age_ms: view.cursor_at.map(|at| now.saturating_sub(at)),
        lost: health.lost,
        last_error: health.last_error.as_ref().map(|it| it.1.clone()),
        created_at: row.created_at.into(),
    }
}
