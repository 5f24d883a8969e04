//! Which session a channel's message belongs to, as `session.dmScope` and its like say.

use types::AgentId;

use super::kind::{Kind, Thread};
use super::settings::{DmScope, GroupScope, SessionSettings};

/// Where a message comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) channel: &'a str,
    /// The account of ours that got it.
    pub(crate) account: &'a str,
    pub(crate) from: From<'a>,
    pub(crate) thread: Thread<'a>,
}

/// Who wrote, or where.
#[derive(Debug, Clone, Copy)]
pub(crate) enum From<'a> {
    /// One person, to us.
    Peer(&'a str),
    /// Somebody in a group.
    Group(&'a str),
    /// Somebody in a room of a workspace.
    Room(&'a str),
}

impl SessionSettings {
    /// The key of the session that a message belongs to.
    pub(crate) fn key_of(&self, agent: &AgentId, origin: &Origin<'_>) -> String {
        let Origin { channel, account, thread, .. } = *origin;
        let kind = match origin.from {
            From::Peer(peer) => {
                let peer = self.linked(channel, peer).unwrap_or(peer);
                let of = |channel, account| Kind::Direct { channel, account, peer, thread };
                match self.dm_scope {
                    DmScope::Main => Kind::Main,
                    DmScope::PerPeer => of(None, None),
                    DmScope::PerChannelPeer => of(Some(channel), None),
                    DmScope::PerAccountChannelPeer => of(Some(channel), Some(account)),
                }
            }
            From::Group(_) | From::Room(_) if self.group_scope == GroupScope::Main => Kind::Main,
            From::Group(id) => Kind::Group { channel, id, thread },
            From::Room(id) => Kind::Room { channel, id, thread },
        };
        format!("agent:{agent}:{kind}").to_lowercase()
    }

    /// The name under which somebody is known on every channel.
    fn linked(&self, channel: &str, peer: &str) -> Option<&str> {
        let wanted = format!("{channel}:{peer}");
        let mut links = self.identity_links.iter();
        let found =
            links.find(|(_, peers)| peers.iter().any(|known| known.eq_ignore_ascii_case(&wanted)));
        found.map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes() {
        let check = |dm_scope: DmScope, group_scope: GroupScope, from: From<'_>, wanted: &str| {
            let links = [("ada".to_owned(), vec!["signal:+1".to_owned()])];
            let identity_links = links.into_iter().collect();
            let settings =
                SessionSettings { dm_scope, group_scope, identity_links, ..Default::default() };
            let thread = Thread::None;
            let origin = Origin { channel: "signal", account: "Work", from, thread };
            assert_eq!(settings.key_of(&AgentId::main(), &origin), wanted);
        };
        let groups = GroupScope::PerGroup;
        check(DmScope::Main, groups, From::Peer("+1"), "agent:main:main");
        check(DmScope::PerPeer, groups, From::Peer("+1"), "agent:main:direct:ada");
        check(DmScope::PerPeer, groups, From::Peer("+2"), "agent:main:direct:+2");
        check(DmScope::PerChannelPeer, groups, From::Peer("X"), "agent:main:signal:direct:x");
        let account = "agent:main:signal:work:direct:ada";
        check(DmScope::PerAccountChannelPeer, groups, From::Peer("+1"), account);
        check(DmScope::Main, groups, From::Group("G"), "agent:main:signal:group:g");
        check(DmScope::Main, groups, From::Room("r"), "agent:main:signal:channel:r");
        check(DmScope::PerPeer, GroupScope::Main, From::Group("G"), "agent:main:main");
    }
}
