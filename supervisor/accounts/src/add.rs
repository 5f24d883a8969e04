//! How an account comes to be: what was given is checked, the network is asked who one is there, and only
//! what it knows is kept.

mod chance;
mod page;

use channels::policy::{Direct, Groups};
use channels::{Adapter, Answer, Called, Lines as _, Named, intake};
use networks::Way;
use records::{AccountPolicy, AccountPut, AccountRow, MAX_LISTED, PathDigest};
use settings::MAX_CHANNEL_SECRET;
use types::{AgentId, Secret, TenantId};

use crate::pages::WEBCHAT;
use crate::secrets::{ALL, INBOUND, SOCKET, TOKEN};
use crate::view::View;
use crate::{Accounts, Error};
pub(crate) use chance::random;
use chance::{fingerprint, hexadecimal, standard, word};

/// Letters of what stands in an address: 190 random bits.
const PATH: usize = 32;

/// Letters of a secret that is made here.
const SECRET: usize = 43;

/// Letters of an account's name.
const MAX_NAME: usize = 32;

/// Bytes of an address of a server.
const MAX_SERVER: usize = 1024;

/// Bytes of one id in a list.
const MAX_ID: usize = channels::MAX_NAME;

/// Who may write to an account where nobody says otherwise: strangers are told how one is let in.
const DIRECT: &str = "pairing";

/// The same among others.
const GROUPS: &str = "allowlist";

/// An account to be made.
#[derive(Debug, Default)]
pub struct New {
    /// The network.
    pub channel: String,
    /// What people call it.
    pub name: String,
    /// What the network is called with; made here for `webhook` and `webchat` where none is given.
    pub token: Option<Secret>,
    /// What proves requests from the network: made here for `telegram`, the token for `webhook`.
    pub inbound: Option<Secret>,
    /// What a socket is opened with, where that is another.
    pub socket: Option<Secret>,
    /// How its events come in: `poll`, `webhook`, `socket` or `page`; the network's first where nothing is said.
    pub way: Option<String>,
    /// Where it is called, where every account says that for itself.
    pub server: Option<String>,
    /// What the network calls it, where the network does not say.
    pub vendor: Option<String>,
    /// Who may write to it alone.
    pub direct: Option<String>,
    /// Who may among others.
    pub groups: Option<String>,
    /// Senders that may, by their ids.
    pub senders: Vec<String>,
    /// Conversations of more in which one may, by their ids.
    pub rooms: Vec<String>,
    /// Whether one is to be named in conversations of more; yes where nothing is said.
    pub mention: Option<bool>,
    /// The agent that answers.
    pub agent: Option<AgentId>,
    /// Events that are taken in a minute.
    pub per_minute: Option<u32>,
    /// The origins of sites that may have its page in theirs.
    pub origins: Vec<String>,
    /// Whether only visitors may write on its page for whom such a site has signed.
    pub signed_only: bool,
}

/// An account that was made.
#[derive(Debug)]
pub struct Added {
    /// The account.
    pub view: View,
    /// Where its events may come in, below the gateway's address: shown this once. None where the network
    /// calls nobody.
    pub path: Option<String>,
    /// What was made here to prove requests by: shown this once.
    pub secret: Option<Secret>,
}

impl Accounts {
    /// Makes an account of a tenant's, or one that all tenants share, and connects it.
    ///
    /// # Errors
    /// When something of it is not as it should be, the network does not know it, or another has it.
    pub async fn add(&self, owner: Option<&TenantId>, new: New) -> Result<Added, Error> {
        let adapter = channels::adapter(&new.channel);
        let adapter = adapter.ok_or_else(|| Error::Channel(shown(&new.channel)))?;
        let way = way(adapter, new.way.as_deref())?;
        page::held(owner, way, &new)?;
        let (secrets, made) = secrets(adapter, way, &new)?;
        let token = &secrets.first().ok_or(Error::LoggedOut)?.1;
        let has_path = way == Way::Page || !adapter.recipes().is_empty();
        let path = if has_path { Some(word(PATH)?) } else { None };
        let is = adapter.network().is;
        let mut row = AccountRow {
            id: format!("cha_{}", hexadecimal()?),
            owner: owner.cloned(),
            channel: is.name.to_owned(),
            name: name(&new.name)?,
            vendor: new.vendor.clone(),
            us: (String::new(), None),
            fingerprint: [0; 32],
            path: path.as_ref().map(|it| PathDigest(intake::path_digest(it))),
            way: way.name().to_owned(),
            server: server(adapter, &self.0.config, new.server.as_deref())?,
            policy: policy(&new)?,
            running: true,
            shut: None,
            created_at: self.0.clock.now(),
        };
        row.fingerprint = match is.name {
            // A server's password is everybody's; the name is whose it is.
            "irc" => fingerprint(is.name, &format!("{:?} {}", row.server, row.name)),
            _ => fingerprint(is.name, token.expose()),
        };
        // Whoever has this bot already is not to lose its webhook to somebody who learned its token.
        self.is_free(&row).await?;
        self.0.settings.seal_channel(owner, &row.id, &secrets, &[]).await?;
        let put = self.put(adapter, &mut row, path.as_deref()).await;
        if let Err(err) = put {
            self.0.settings.seal_channel(owner, &row.id, &[], &ALL).await?;
            return Err(err);
        }
        self.settle(owner, &row.id).await?;
        let path = path.map(|it| match way {
            Way::Page => format!("/chat/{it}/"),
            Way::Webhook | Way::Poll | Way::Socket => format!("/in/{}/{it}", is.name),
        });
        Ok(Added { view: self.view(&row).await?, path, secret: made })
    }

    /// Whether nobody has the credential or the name, as far as can be seen before it is claimed.
    async fn is_free(&self, row: &AccountRow) -> Result<(), Error> {
        let all = self.0.records.all_accounts().await?;
        let same =
            |it: &&AccountRow| it.channel == row.channel && it.fingerprint == row.fingerprint;
        if all.iter().any(|it| same(&it)) {
            return Err(Error::Taken("the credential"));
        }
        let name = |it: &AccountRow| (it.channel.clone(), it.owner.clone(), it.name.clone());
        if all.iter().any(|it| name(it) == name(row)) {
            return Err(Error::Taken("the name"));
        }
        Ok(())
    }

    async fn put(
        &self,
        adapter: &dyn Adapter,
        row: &mut AccountRow,
        path: Option<&str>,
    ) -> Result<(), Error> {
        if let Some(named) = self.probe(adapter, row).await? {
            row.vendor = named.account.or_else(|| row.vendor.take());
            row.us = (named.id, named.name);
        }
        if let (Some(url), Some(path), "webhook") =
            (&self.0.config.public_url, path, row.way.as_str())
        {
            self.call_here(adapter, row, &format!("{url}/in/{}/{path}", row.channel)).await?;
        }
        match self.0.records.put_account(row, None).await? {
            AccountPut::Done => Ok(()),
            AccountPut::Changed => Err(Error::Changed),
            AccountPut::Claimed(claimed) => Err(Error::Taken(claimed.name())),
        }
    }

    /// Asks the network who one is; `None` where there is nobody to ask.
    pub(crate) async fn probe(
        &self,
        adapter: &dyn Adapter,
        row: &AccountRow,
    ) -> Result<Option<Named>, Error> {
        let Some(call) = adapter.probe() else { return Ok(None) };
        match self.0.lines.call(row, call).await {
            Called::Answered { status, body, .. } => {
                let answer = Answer { status, retry_after: None, body: &body };
                let named = adapter.probed(answer).map(Some);
                let title = adapter.network().is.title;
                named.ok_or_else(|| {
                    Error::Probe(format!(
                        "{title} does not know the credential (answered {status})"
                    ))
                })
            }
            Called::Unsent(why) | Called::Unknown(why) => {
                Err(Error::Probe(format!("{} cannot be asked: {why}", adapter.network().is.title)))
            }
        }
    }

    /// Tells the network where events are to come.
    async fn call_here(
        &self,
        adapter: &dyn Adapter,
        row: &AccountRow,
        url: &str,
    ) -> Result<(), Error> {
        let owner = row.owner.as_ref();
        let secret = self.0.settings.channel_secret(owner, &row.id, INBOUND).await?;
        let secret = secret.ok_or(Error::LoggedOut)?;
        let Some(call) = adapter.arrive(Some((url, &secret))) else { return Ok(()) };
        let why = match self.0.lines.call(row, call).await {
            Called::Answered { status: 200..=299, .. } => return Ok(()),
            Called::Answered { status, .. } => format!("answered {status}"),
            Called::Unsent(why) | Called::Unknown(why) => why,
        };
        Err(Error::Probe(format!("the network does not take the address: {why}")))
    }
}

fn field(field: &'static str, problem: impl Into<String>) -> Error {
    Error::Field { field, problem: problem.into() }
}

/// A name of whoever knows which, as far as it is shown.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).take(80).collect()
}

fn way(adapter: &dyn Adapter, asked: Option<&str>) -> Result<Way, Error> {
    let is = adapter.network().is;
    let mut ways = is.ways.iter().copied();
    let found = match asked {
        Some(asked) => ways.find(|way| way.name() == asked),
        None => ways.next(),
    };
    found.ok_or_else(|| {
        let names: Vec<_> = is.ways.iter().map(|it| it.name()).collect();
        field("way", format!("one of {}", names.join(", ")))
    })
}

type Secrets = Vec<(&'static str, Secret)>;

/// The secrets of an account, that which calls are made with first, and one that was made here.
fn secrets(adapter: &dyn Adapter, way: Way, new: &New) -> Result<(Secrets, Option<Secret>), Error> {
    let name = adapter.network().is.name;
    let mut made = None;
    let mut fresh = |prefix: &str, secret: String| {
        let secret = Secret::from(format!("{prefix}{secret}"));
        made = Some(secret.clone());
        secret
    };
    let token = match (&new.token, name) {
        (Some(token), _) => token.clone(),
        (None, "webhook") => fresh("whsec_", standard()?),
        (None, WEBCHAT) => fresh("", word(SECRET)?),
        (None, _) => return Err(field("secret", "missing")),
    };
    let inbound = match (&new.inbound, name) {
        (Some(inbound), _) => Some(inbound.clone()),
        (None, "telegram") => Some(fresh("", word(SECRET)?)),
        (None, "webhook") => Some(token.clone()),
        (None, _) if way == Way::Webhook => return Err(field("inboundSecret", "missing")),
        (None, _) => None,
    };
    if let (Some(inbound), Some(recipe)) = (&inbound, adapter.recipes().first())
        && !recipe.accepts(inbound)
    {
        let which = if new.inbound.is_some() { "inboundSecret" } else { "secret" };
        return Err(field(which, "not of the form that the network's signatures need"));
    }
    let socket = new.socket.clone();
    if way == Way::Socket && name == "slack" && socket.is_none() {
        return Err(field("socketSecret", "missing: the app-level token, which begins with xapp-"));
    }
    let all = [(TOKEN, Some(token)), (INBOUND, inbound), (SOCKET, socket)];
    let all: Secrets = all.into_iter().filter_map(|(it, secret)| Some((it, secret?))).collect();
    for (what, secret) in &all {
        // Of what may stand in a header and in a path.
        let plain = |it: u8| it.is_ascii_alphanumeric() || b"-._~:+/=".contains(&it);
        let text = secret.expose();
        let is_path = *what == TOKEN && name == "telegram";
        let is_plain = text.bytes().all(plain) && !(is_path && text.contains('/'));
        if text.is_empty() || text.len() > MAX_CHANNEL_SECRET || !is_plain {
            let which = match *what {
                TOKEN => "secret",
                INBOUND => "inboundSecret",
                _ => "socketSecret",
            };
            return Err(field(which, "not a credential of this network"));
        }
    }
    Ok((all, made))
}

fn server(
    adapter: &dyn Adapter,
    config: &crate::Config,
    given: Option<&str>,
) -> Result<Option<String>, Error> {
    let is = adapter.network().is;
    match (given, adapter.root()) {
        (Some(_), Some(_)) => Err(field("server", "only the operator says where this network is")),
        (Some(url), None) => {
            let url = url.trim_end_matches('/');
            let is_address = is_address(is.name, url) && url.len() <= MAX_SERVER;
            let is_plain = !url.contains(['?', '#', '@']);
            if is_address && is_plain {
                return Ok(Some(url.to_owned()));
            }
            let form = if is.name == "irc" {
                "irc:// or ircs://, a host"
            } else {
                "http:// or https://, a host, a path"
            };
            Err(field("server", format!("no address ({form})")))
        }
        // A page has none, and a webhook that sends nothing has nowhere to send it to.
        (None, None)
            if ["matrix", "irc"].contains(&is.name) && !config.roots.contains_key(is.name) =>
        {
            Err(field("server", "missing: the address of the account's server"))
        }
        (None, _) => Ok(None),
    }
}

/// Whether that is where a server of the network may be.
pub fn is_address(network: &str, url: &str) -> bool {
    if network != "irc" {
        return egress::Target::parse(url).is_ok();
    }
    let as_web = url.strip_prefix("irc").map(|rest| format!("http{rest}"));
    as_web.is_some_and(|url| egress::Target::parse(&url).is_ok())
}

fn policy(new: &New) -> Result<AccountPolicy, Error> {
    let direct = new.direct.as_deref().unwrap_or(DIRECT);
    if Direct::of(direct).name() != direct {
        return Err(field("dmPolicy", "one of pairing, allowlist, open, disabled"));
    }
    let groups = new.groups.as_deref().unwrap_or(GROUPS);
    if Groups::of(groups).name() != groups {
        return Err(field("groupPolicy", "one of allowlist, open, disabled"));
    }
    for (name, list) in [("allowFrom", &new.senders), ("groups", &new.rooms)] {
        let is_id =
            |id: &String| (1..=MAX_ID).contains(&id.len()) && !id.contains(char::is_control);
        if list.len() > MAX_LISTED || !list.iter().all(is_id) {
            let problem = format!("at most {MAX_LISTED} ids of 1 to {MAX_ID} bytes");
            return Err(field(name, problem));
        }
    }
    Ok(AccountPolicy {
        direct: direct.to_owned(),
        groups: groups.to_owned(),
        senders: new.senders.clone(),
        rooms: new.rooms.clone(),
        mention: new.mention.unwrap_or(true),
        agent: new.agent.as_ref().map(ToString::to_string),
        per_minute: new.per_minute,
        page: page::policy(new)?,
    })
}

fn name(text: &str) -> Result<String, Error> {
    let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"_-".contains(&it);
    if (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    Err(field("account", format!("1 to {MAX_NAME} small letters, digits, - and _")))
}

#[cfg(test)]
mod tests;
