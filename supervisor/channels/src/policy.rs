//! What becomes of an event: pure, of what is known of it, the account's policy and who is bound. Nobody
//! is known by a name, and a stranger wakes nobody.

use records::{AccountRow, PeerKind, PeerRow};
use types::TenantId;

use crate::facts::{Done, Facts, Kind, Room};
use crate::pairing;

/// The agent that answers where nobody says another.
const FIRST_AGENT: &str = "main";

/// The longest id that stands as it is in a session's name, in bytes: there may be two of them.
const MAX_WORD: usize = 128;

/// Letters that are shown of one that does not.
const MAX_SHOWN: usize = 32;

/// Who may write in a conversation of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direct {
    /// Who was let in; a stranger is told how.
    Pairing,
    /// Who was let in.
    Allowlist,
    /// Everybody.
    Open,
    /// Nobody.
    Disabled,
}

/// Where one may write in a conversation of more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Groups {
    /// Where it was said.
    Allowlist,
    /// Everywhere.
    Open,
    /// Nowhere.
    Disabled,
}

/// Who is bound of those that an event names: at a shared account to whichever tenant, at a tenant's own
/// to that one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bound<'a> {
    /// The conversation.
    pub room: Option<&'a (TenantId, PeerRow)>,
    /// The sender.
    pub user: Option<&'a (TenantId, PeerRow)>,
    /// The workspace or server.
    pub space: Option<&'a (TenantId, PeerRow)>,
}

/// What becomes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing, and nobody hears of it.
    Drop(Why),
    /// The stranger is told how one is let in.
    Ask(Ask),
    /// What was sent may be a code.
    Code(Code),
    /// It is for a tenant's worker.
    Turn(Turn),
}

/// Why nothing becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// It concerns nobody.
    Nothing,
    /// It names another account than the one to which it was brought.
    OtherAccount,
    /// The account is not connected.
    Stopped,
    /// A program said it, which may be we.
    Program,
    /// Nobody may write here.
    Disabled,
    /// The sender or the conversation was not let in.
    NotListed,
    /// It is among others, and not to us.
    NotAddressed,
    /// Nobody has said whose this conversation is.
    Unbound,
}

/// How a stranger is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The account's tenant approves a code that the stranger is told.
    Approval(TenantId),
    /// The stranger sends a code that a tenant has given out.
    Code,
}

/// What may be a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Its digest.
    pub digest: [u8; 32],
    /// What it would bind.
    pub kind: PeerKind,
    /// By which id.
    pub id: String,
    /// Whose it must be: at an own account its owner's, for a conversation that of whoever sends it.
    pub within: Option<TenantId>,
}

/// For whom an event is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Whose worker.
    pub tenant: TenantId,
    /// Which agent.
    pub agent: String,
    /// In which session: never one for two people, unless they are in one conversation.
    pub session: String,
    /// After which other events.
    pub lane: String,
    /// By whom or what it is that tenant's, where that had to be looked up.
    pub bound: Option<(PeerKind, String)>,
}

impl Direct {
    /// The policy of this name. A name that is none lets nobody in.
    pub fn of(name: &str) -> Self {
        let all = [Self::Pairing, Self::Allowlist, Self::Open];
        all.into_iter().find(|it| it.name() == name).unwrap_or(Self::Disabled)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pairing => "pairing",
            Self::Allowlist => "allowlist",
            Self::Open => "open",
            Self::Disabled => "disabled",
        }
    }
}

impl Groups {
    /// The policy of this name. A name that is none lets nobody in.
    pub fn of(name: &str) -> Self {
        let all = [Self::Allowlist, Self::Open];
        all.into_iter().find(|it| it.name() == name).unwrap_or(Self::Disabled)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowlist => "allowlist",
            Self::Open => "open",
            Self::Disabled => "disabled",
        }
    }
}

/// Who is to be looked up before anything is decided.
pub fn asked(done: &Done) -> Vec<(PeerKind, &str)> {
    let space = done.room.space.as_deref().map(|it| (PeerKind::Space, it));
    let room = (PeerKind::Room, done.room.id.as_str());
    [Some(room), Some((PeerKind::User, done.sender.as_str())), space]
        .into_iter()
        .flatten()
        .collect()
}

/// What becomes of an event.
pub fn decide(account: &AccountRow, facts: &Facts, bound: Bound<'_>) -> Decision {
    // A good signature over another account's event is still another account's event.
    if facts.account.is_some() && facts.account != account.vendor {
        return Decision::Drop(Why::OtherAccount);
    }
    let Some(done) = &facts.done else { return Decision::Drop(Why::Nothing) };
    if !account.running {
        return Decision::Drop(Why::Stopped);
    }
    if done.is_bot || done.sender == account.us.0 {
        return Decision::Drop(Why::Program);
    }
    match (&account.owner, done.room.kind) {
        (Some(owner), Kind::Direct) => own_direct(account, owner, done, bound),
        (Some(owner), Kind::Group | Kind::Channel) => own_group(account, owner, done, bound),
        (None, Kind::Direct) => shared_direct(account, done, bound),
        (None, Kind::Group | Kind::Channel) => shared_group(account, done, bound),
    }
}

fn own_direct(account: &AccountRow, owner: &TenantId, done: &Done, bound: Bound<'_>) -> Decision {
    let user = bound.user.filter(|(tenant, _)| tenant == owner);
    let is_listed = account.policy.senders.contains(&done.sender) || user.is_some();
    let turn = || turn(account, owner, user.map(|it| &it.1), done);
    match Direct::of(&account.policy.direct) {
        Direct::Disabled => Decision::Drop(Why::Disabled),
        Direct::Open => turn(),
        Direct::Allowlist | Direct::Pairing if is_listed => turn(),
        Direct::Allowlist => Decision::Drop(Why::NotListed),
        Direct::Pairing => code(done, PeerKind::User, Some(owner.clone()))
            .unwrap_or_else(|| Decision::Ask(Ask::Approval(owner.clone()))),
    }
}

fn own_group(account: &AccountRow, owner: &TenantId, done: &Done, bound: Bound<'_>) -> Decision {
    let policy = &account.policy;
    let room = bound.room.filter(|(tenant, _)| tenant == owner);
    match Groups::of(&policy.groups) {
        Groups::Disabled => return Decision::Drop(Why::Disabled),
        Groups::Allowlist if !policy.rooms.contains(&done.room.id) && room.is_none() => {
            return Decision::Drop(Why::NotListed);
        }
        Groups::Allowlist | Groups::Open => {}
    }
    // Who was let in by a code was let in to a conversation of two, and to no other.
    if !policy.senders.is_empty() && !policy.senders.contains(&done.sender) {
        return Decision::Drop(Why::NotListed);
    }
    if policy.mention && !done.is_addressed {
        return Decision::Drop(Why::NotAddressed);
    }
    turn(account, owner, room.map(|it| &it.1), done)
}

fn shared_direct(account: &AccountRow, done: &Done, bound: Bound<'_>) -> Decision {
    if Direct::of(&account.policy.direct) == Direct::Disabled {
        return Decision::Drop(Why::Disabled);
    }
    match bound.room.or(bound.user).or(bound.space) {
        Some((tenant, peer)) => turn(account, tenant, Some(peer), done),
        None => code(done, PeerKind::User, None).unwrap_or(Decision::Ask(Ask::Code)),
    }
}

fn shared_group(account: &AccountRow, done: &Done, bound: Bound<'_>) -> Decision {
    if Groups::of(&account.policy.groups) == Groups::Disabled {
        return Decision::Drop(Why::Disabled);
    }
    // Whoever writes, the conversation is that tenant's to whom it was bound.
    let Some((tenant, peer)) = bound.room.or(bound.space) else {
        let within = bound.user.filter(|_| done.is_addressed).map(|it| it.0.clone());
        let code = within.and_then(|it| code(done, PeerKind::Room, Some(it)));
        return code.unwrap_or(Decision::Drop(Why::Unbound));
    };
    if account.policy.mention && !done.is_addressed {
        return Decision::Drop(Why::NotAddressed);
    }
    turn(account, tenant, Some(peer), done)
}

fn code(done: &Done, kind: PeerKind, within: Option<TenantId>) -> Option<Decision> {
    let id = if kind == PeerKind::User { &done.sender } else { &done.room.id };
    let digest = pairing::read(&done.opening)?;
    Some(Decision::Code(Code { digest, kind, id: id.clone(), within }))
}

fn turn(account: &AccountRow, tenant: &TenantId, peer: Option<&PeerRow>, done: &Done) -> Decision {
    let agent = peer.and_then(|it| it.agent.as_ref()).or(account.policy.agent.as_ref());
    let agent = agent.map_or(FIRST_AGENT, String::as_str).to_owned();
    Decision::Turn(Turn {
        tenant: tenant.clone(),
        session: session(account, &agent, done),
        lane: done.room.lane(),
        bound: peer.map(|it| (it.kind, it.id.clone())),
        agent,
    })
}

/// The session of a conversation, as `OpenClaw` names it: one for each person at each account, or one
/// for each conversation of more and each thread in it.
fn session(account: &AccountRow, agent: &str, done: &Done) -> String {
    let channel = &account.channel;
    // No account of a tenant's own has a dot in its name: one person at both has a session at each.
    let shared = if account.owner.is_none() { "shared." } else { "" };
    let name = format!("{shared}{}", account.name);
    let Room { kind, id, thread, .. } = &done.room;
    let word = |id| word(channel, id);
    let mut session = match kind {
        // Whoever has a conversation of two is its sender; a page's and a hook's may be named otherwise.
        Kind::Direct => format!("agent:{agent}:{channel}:{name}:direct:{}", word(&done.sender)),
        Kind::Group | Kind::Channel => {
            format!("agent:{agent}:{channel}:{}:{}", kind.name(), word(id))
        }
    };
    if let Some(thread) = thread {
        let what = if channel == "telegram" { "topic" } else { "thread" };
        session.extend([":", what, ":", &word(thread)]);
    }
    session
}

/// An id as it stands in a session's name, where capitals count as small letters: the same for no other
/// id. One that could be taken for another has a digest behind it.
fn word(channel: &str, id: &str) -> String {
    let capitals = networks::network(channel).is_some_and(|it| it.is.capitals);
    let lower = id.to_lowercase();
    let is_itself = lower == id || (capitals && id.to_uppercase() == id);
    let parts = ["~", ":thread:", ":topic:"];
    let is_plain = !id.contains(char::is_control) && !parts.iter().any(|it| id.contains(it));
    if is_itself && is_plain && id.len() <= MAX_WORD {
        return lower;
    }
    let shown = lower.chars().filter(char::is_ascii_alphanumeric).take(MAX_SHOWN);
    let digest = ring::digest::digest(&ring::digest::SHA256, id.as_bytes());
    let digest = digest.as_ref().first_chunk().map_or(0, |it| u128::from_be_bytes(*it));
    format!("{}~{digest:032x}", shown.collect::<String>())
}

#[cfg(test)]
mod tests;
