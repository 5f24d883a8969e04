//! What is one account's in the whole gateway, whoever's that is: what a network calls it, its
//! credential, its address; a person's place at a shared account; a code.
//!
//! A claim is good as long as what holds it is there. One that was left behind stops nobody.

use std::fmt;

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use types::TenantId;

use crate::store::{Guard, Op};
use crate::{Error, Records, hex, json, unchanged};

const CLAIMS: &str = "channel/claim/";

/// What is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// What the network calls the account.
    Vendor,
    /// The credential.
    Secret,
    /// The address.
    Path,
    /// The name among the owner's accounts.
    Name,
    /// A person, conversation or space.
    Peer,
    /// A code.
    Code,
}

impl Claimed {
    /// The words for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vendor => "the account in its network",
            Self::Secret => "the credential",
            Self::Path => "the address",
            Self::Name => "the name",
            Self::Peer => "the place",
            Self::Code => "the code",
        }
    }
}

/// One thing that can be claimed, by a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    what: Claimed,
    digest: [u8; 32],
}

/// Who holds a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) tenant: Option<TenantId>,
    pub(super) account: String,
    /// The key of the row that stands for it.
    pub(super) at: String,
}

impl Claim {
    fn of(what: Claimed, parts: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in std::iter::once(what.name().as_bytes()).chain(parts.iter().copied()) {
            // Each with its length, so that no two lists read the same.
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Self { what, digest }
    }

    pub(super) fn vendor(channel: &str, id: &str) -> Self {
        Self::of(Claimed::Vendor, &[channel.as_bytes(), id.as_bytes()])
    }

    pub(super) fn secret(channel: &str, fingerprint: &[u8; 32]) -> Self {
        Self::of(Claimed::Secret, &[channel.as_bytes(), fingerprint])
    }

    pub(super) fn path(digest: &[u8; 32]) -> Self {
        Self::of(Claimed::Path, &[digest])
    }

    pub(super) fn name(home: &str, channel: &str, name: &str) -> Self {
        Self::of(Claimed::Name, &[home.as_bytes(), channel.as_bytes(), name.as_bytes()])
    }

    pub(super) fn peer(account: &str, kind: &str, id: &str) -> Self {
        Self::of(Claimed::Peer, &[account.as_bytes(), kind.as_bytes(), id.as_bytes()])
    }

    pub(super) fn code(account: &str, digest: &[u8; 32]) -> Self {
        Self::of(Claimed::Code, &[account.as_bytes(), digest])
    }

    pub(super) fn key(&self) -> String {
        format!("{CLAIMS}{self}")
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.digest))
    }
}

impl Records {
    /// Who holds a claim, where what holds it is there.
    pub(super) async fn holder(&self, claim: &Claim) -> Result<Option<Holder>, Error> {
        let holder: Option<Holder> = self.channel_row(&claim.key()).await?;
        let Some(holder) = holder else { return Ok(None) };
        Ok(self.item(&holder.at).await?.map(|_| holder))
    }

    /// Adds to a commit that `holder` claims something, unless another holds it.
    pub(super) async fn claim(
        &self,
        claim: &Claim,
        holder: &Holder,
        guards: &mut Vec<Guard>,
        ops: &mut Vec<Op>,
    ) -> Result<Result<(), Claimed>, Error> {
        let key = claim.key();
        let item = self.item(&key).await?;
        if let Some(item) = &item {
            let found: Holder = json::decode(&item.key, &item.value)?;
            let there = self.item(&found.at).await?;
            if found != *holder && there.is_some() {
                return Ok(Err(claim.what));
            }
            // Whoever takes over what was left behind takes it from one who does not come back.
            guards.push(unchanged(&found.at, there.as_ref()));
        }
        guards.push(unchanged(&key, item.as_ref()));
        ops.push(Op::put(key, json::encode(holder, None)?));
        Ok(Ok(()))
    }

    /// Adds to a commit that `holder` claims something no more.
    pub(super) async fn unclaim(
        &self,
        claim: &Claim,
        holder: &Holder,
        guards: &mut Vec<Guard>,
        ops: &mut Vec<Op>,
    ) -> Result<(), Error> {
        let key = claim.key();
        let Some(item) = self.item(&key).await? else { return Ok(()) };
        if json::decode::<Holder>(&item.key, &item.value)? == *holder {
            guards.push(unchanged(&key, Some(&item)));
            ops.push(Op::Delete(item.key));
        }
        Ok(())
    }
}
