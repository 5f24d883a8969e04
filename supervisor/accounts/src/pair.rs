//! How persons and conversations are let in: codes that a tenant gives out, and requests of strangers that
//! it approves.

use channels::pairing;
use records::{AccountRow, CodeRow, PeerKind, PeerRow};
use types::{AgentId, Secret, TenantId, UnixMillis};

use crate::view::Waiting;
use crate::{Accounts, Error};

/// How often a code is made that there is already, which does not happen.
const TRIES: usize = 4;

/// A code to be made.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Whether it binds the conversation in which it is sent, and not who sends it.
    pub room: bool,
    /// The agent that answers whoever is bound by it.
    pub agent: Option<AgentId>,
}

/// A code that was made.
#[derive(Debug)]
pub struct Code {
    /// The code: shown this once.
    pub code: Secret,
    /// Where one sends it, where that can be told by an address.
    pub link: Option<String>,
    /// Until when it is good, in milliseconds since the epoch.
    pub expires_at: UnixMillis,
}

impl Accounts {
    /// Makes a code that binds whoever sends it to an account of the tenant's, or to one that all share.
    ///
    /// # Errors
    /// When there is no such account, or too many codes are good.
    pub async fn pair(
        &self,
        tenant: &TenantId,
        of: (&str, &str),
        wanted: Wanted,
        by: &str,
    ) -> Result<Code, Error> {
        let account = match self.named(Some(tenant), of).await {
            Err(Error::Account { .. }) => self.named(None, of).await?,
            found => found?,
        };
        let now = self.0.clock.now();
        let expires_at = now.saturating_add(pairing::GIVEN_MS);
        let kind = if wanted.room { PeerKind::Room } else { PeerKind::User };
        for _ in 0..TRIES {
            let made = pairing::mint(pairing::GIVEN);
            let (code, digest) = made.map_err(|_none| Error::Random)?;
            let row = CodeRow {
                account: account.id.clone(),
                digest,
                kind,
                agent: wanted.agent.as_ref().map(ToString::to_string),
                by: by.to_owned(),
                expires_at,
            };
            if self.0.records.put_code(tenant, &row, now).await? {
                let link = link(&account, &code);
                return Ok(Code { code, link, expires_at });
            }
        }
        Err(Error::Random)
    }

    /// Who waits to be let in, oldest first.
    ///
    /// # Errors
    /// When the records fail.
    pub async fn waiting(&self, tenant: &TenantId) -> Result<Vec<Waiting>, Error> {
        let accounts = self.0.records.accounts(Some(tenant)).await?;
        let requests = self.0.records.requests(tenant, self.0.clock.now()).await?;
        let one = |request: records::RequestRow| {
            let account = accounts.iter().find(|it| it.id == request.account)?;
            Some(Waiting {
                channel: account.channel.clone(),
                account: account.name.clone(),
                id: request.id,
                at: request.at,
                expires_at: request.expires_at,
            })
        };
        Ok(requests.into_iter().filter_map(one).collect())
    }

    /// Lets in whoever was told a code by one of the tenant's accounts of the network.
    ///
    /// # Errors
    /// When nobody was who still waits.
    pub async fn approve(
        &self,
        tenant: &TenantId,
        channel: &str,
        code: &str,
        by: &str,
    ) -> Result<PeerRow, Error> {
        if channels::adapter(channel).is_none() {
            return Err(Error::Channel(crate::add::shown(channel)));
        }
        let digest = pairing::typed(code).ok_or(Error::Code)?;
        let now = self.0.clock.now();
        let requests = self.0.records.requests(tenant, now).await?;
        let request = requests.iter().find(|it| it.digest == digest).ok_or(Error::Code)?;
        let account = self.0.records.account(Some(tenant), &request.account).await?;
        account.filter(|it| it.channel == channel).ok_or(Error::Code)?;
        let peer = self.0.records.approve_request(tenant, &digest, (by, now)).await?;
        peer.ok_or(Error::Code)
    }
}

/// Where one sends a code, as Telegram has such addresses.
fn link(account: &AccountRow, code: &Secret) -> Option<String> {
    let bot = account.us.1.as_deref().filter(|_| account.channel == "telegram")?;
    Some(format!("https://t.me/{bot}?start={}", code.expose()))
}
