//! Calls and sockets to networks: to the network's own address, to the one that the operator has said
//! instead, or to the account's; with the account's secret, which is opened for each call and goes nowhere
//! else.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use channels::{Call, Called, Lines, Method, NotHad, Outcome, Proof, Said, Wire, recipe};
use egress::{Asked, Leave, Outlet, Wanted};
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use records::AccountRow;
use settings::Settings;
use tenants::Tenants;
use tokio::sync::{mpsc, oneshot};
use types::{Chain, Clock, Secret, TenantId, UnixMillis};

use crate::address::{authority, host, is_below};
use crate::lined::Lined;
use crate::pages::Pages;
use crate::secrets::{SOCKET, TOKEN};
use crate::socket;

/// Bytes of an answer that are read: what came while nobody asked, many messages at once.
const MAX_ANSWER: usize = 4 << 20;

/// How long a call may take: longer than a network lets a question wait.
const TIMEOUT: Duration = Duration::from_secs(65);

/// Refused calls to one network after which none is made until the ten minutes are over: networks shut out
/// the address of a machine that goes on, and with it every tenant.
const MAX_REFUSED: u32 = 3_000;

/// See [`MAX_REFUSED`].
const REFUSED_MS: u64 = 10 * 60_000;

/// What waits to be said over one socket.
const MAX_SAID: usize = 16;

/// How long one waits where the socket is not there, in milliseconds.
const AWAY_MS: u64 = 2_000;

/// What a body is as long as nothing else is said.
const JSON: &str = "application/json";

/// A call, and what it carries instead of its own body: of which kind, and what.
type Carrying<'a> = (Call, Option<(&'a str, Bytes)>);

/// The ways to networks.
#[derive(Debug)]
pub(crate) struct Reach {
    roots: BTreeMap<String, String>,
    settings: Settings,
    tenants: Tenants,
    own: Arc<Outlet>,
    pages: Arc<Pages>,
    clock: Arc<dyn Clock>,
    refused: Mutex<HashMap<String, (UnixMillis, u32)>>,
    /// What is said over the socket of each account that has one, by its id.
    mouths: Mutex<HashMap<String, mpsc::Sender<Said>>>,
}

/// Where an account is called, and by whose leave.
struct Root<'a> {
    url: &'a str,
    leave: Leave,
}

impl Reach {
    pub(crate) fn new(
        roots: BTreeMap<String, String>,
        settings: Settings,
        tenants: Tenants,
        (own, pages): (Arc<Outlet>, Arc<Pages>),
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            roots,
            settings,
            tenants,
            own,
            pages,
            clock,
            refused: Mutex::default(),
            mouths: Mutex::default(),
        }
    }

    /// What is to be said over an account's socket from now on.
    pub(crate) fn mouth(&self, account: &str) -> mpsc::Receiver<Said> {
        let (says, said) = mpsc::channel(MAX_SAID);
        self.mouths().insert(account.to_owned(), says);
        said
    }

    /// Nothing more is said over it.
    pub(crate) fn close(&self, account: &str) {
        self.mouths().remove(account);
    }

    fn mouths(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Said>>> {
        self.mouths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn root<'a>(&'a self, account: &'a AccountRow) -> Option<Root<'a>> {
        let said = self.roots.get(&account.channel).map(|it| it.trim_end_matches('/'));
        let adapter = channels::adapter(&account.channel)?;
        match (&account.server, said, adapter.root()) {
            (Some(server), Some(said), _) if is_below(server, said) => {
                Some(Root { url: server, leave: Leave::Operator })
            }
            (Some(server), _, _) => Some(Root { url: server, leave: Leave::Rules }),
            (None, Some(said), _) => Some(Root { url: said, leave: Leave::Operator }),
            (None, None, Some(root)) => Some(Root { url: root, leave: Leave::Rules }),
            (None, None, None) => None,
        }
    }

    async fn outlet(&self, account: &AccountRow) -> Result<Arc<Outlet>, String> {
        match &account.owner {
            Some(owner) => {
                let outlet = self.tenants.way_out(owner).await;
                outlet.map_err(|err| Chain(&err).to_string())
            }
            None => Ok(Arc::clone(&self.own)),
        }
    }

    async fn secret(&self, account: &AccountRow, what: &'static str) -> Result<Secret, String> {
        let secret = self.settings.channel_secret(account.owner.as_ref(), &account.id, what).await;
        let secret = secret.map_err(|err| Chain(&err).to_string())?;
        secret.ok_or_else(|| "the account has no such credential".to_owned())
    }

    /// Where a call goes. An address of its own is of a host of the network, or of the one that the
    /// operator has named.
    fn way<'a>(
        &'a self,
        account: &'a AccountRow,
        path: &'a str,
    ) -> Result<(&'a str, Root<'a>), String> {
        let root = self.root(account).ok_or("nobody has said where the account is called")?;
        if path.starts_with('/') || path.is_empty() {
            return Ok((path, root));
        }
        let (own, host) = (authority(root.url), authority(path));
        if root.leave == Leave::Operator && own.is_some() && own == host {
            return Ok(("", Root { url: path, ..root }));
        }
        let hosts = channels::adapter(&account.channel).map_or(&[][..], channels::Adapter::hosts);
        let is_known = path.starts_with("https://") && host.is_some_and(|it| hosts.contains(&it));
        if is_known {
            Ok(("", Root { url: path, leave: Leave::Rules }))
        } else {
            Err("it is on no host of the network".to_owned())
        }
    }

    async fn wanted(
        &self,
        account: &AccountRow,
        (call, carried): Carrying<'_>,
        most: usize,
    ) -> Result<Wanted, String> {
        let (kind, body) = carried.unwrap_or_else(|| (JSON, call.body.into()));
        let (path, Root { url: root, leave }) = self.way(account, &call.path)?;
        let mut headers = HeaderMap::new();
        if let Some(agent) = channels::adapter(&account.channel).and_then(channels::Adapter::agent)
        {
            headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        }
        let url = match &call.proof {
            Proof::Path(word) => {
                let token = self.secret(account, TOKEN).await?;
                format!("{root}/{word}{}{path}", token.expose())
            }
            Proof::Header(word) | Proof::Socket(word) => {
                let is_socket = matches!(call.proof, Proof::Socket(_));
                let what = if is_socket { SOCKET } else { TOKEN };
                let token = self.secret(account, what).await?;
                let value = HeaderValue::from_str(&format!("{word}{}", token.expose()));
                let mut value = value.map_err(|_bad| "the credential is no header")?;
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
                format!("{root}{path}")
            }
            Proof::Signed(id) => {
                let token = self.secret(account, TOKEN).await?;
                sign(&mut headers, &token, (id, self.clock.now() / 1000), &body)?;
                format!("{root}{path}")
            }
            Proof::Nothing => format!("{root}{path}"),
        };
        if !body.is_empty() {
            let kind =
                HeaderValue::from_str(kind).map_err(|_bad| "the kind of body is no header")?;
            headers.insert(CONTENT_TYPE, kind);
        }
        let method = match call.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Patch => http::Method::PATCH,
        };
        let time = TIMEOUT;
        Ok(Wanted { method, url, headers, body, leave, most, time })
    }

    /// Whether the network may be called at all now.
    fn is_open(&self, channel: &str) -> bool {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let since = refused.get(channel).filter(|(_, count)| *count >= MAX_REFUSED);
        since.is_none_or(|(since, _)| self.clock.now().abs_diff(*since) >= REFUSED_MS)
    }

    fn count(&self, channel: &str, status: u16) {
        if !matches!(status, 401 | 403 | 429) {
            return;
        }
        let now = self.clock.now();
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = refused.entry(channel.to_owned()).or_insert((now, 0));
        if now.abs_diff(*since) >= REFUSED_MS {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
    }

    async fn ask(&self, account: &AccountRow, asked: Carrying<'_>, most: usize) -> Called {
        if let Some(why) = shut(account) {
            return Called::Unsent(why);
        }
        if !self.is_open(&account.channel) {
            return Called::Unsent("the network has refused too much from here".to_owned());
        }
        let wanted = match self.wanted(account, asked, most).await {
            Ok(wanted) => wanted,
            Err(why) => return Called::Unsent(why),
        };
        let outlet = match self.outlet(account).await {
            Ok(outlet) => outlet,
            Err(why) => return Called::Unsent(why),
        };
        match outlet.ask(wanted).await {
            Asked::Answered { status, headers, body } => {
                self.count(&account.channel, status);
                let wait = headers.get(RETRY_AFTER).and_then(|it| it.to_str().ok());
                Called::Answered { status, retry_after: wait.map(str::to_owned), body }
            }
            Asked::Forbidden(why) | Asked::Unsent(why) => Called::Unsent(why),
            Asked::Unknown(why) => Called::Unknown(why),
        }
    }
}

#[async_trait]
impl Lines for Reach {
    async fn call(&self, account: &AccountRow, call: Call) -> Called {
        self.ask(account, (call, None), MAX_ANSWER).await
    }

    async fn upload(&self, account: &AccountRow, call: Call, kind: &str, body: Bytes) -> Called {
        self.ask(account, (call, Some((kind, body))), MAX_ANSWER).await
    }

    async fn file(&self, tenant: &TenantId, id: &str, size: usize) -> Result<Bytes, NotHad> {
        self.tenants.outbound(tenant, id, size).await.map_err(|why| match why {
            tenants::NotHad::Never(why) => NotHad::Never(why),
            tenants::NotHad::Away(why) => NotHad::Away(why),
            tenants::NotHad::Busy(wait) => NotHad::Busy(wait),
        })
    }

    async fn fetch(&self, account: &AccountRow, call: Call, most: usize) -> Called {
        self.ask(account, (call, None), most.saturating_add(1)).await
    }

    async fn show(&self, account: &AccountRow, room: &str, frame: Vec<u8>) -> Called {
        self.pages.show(account, room, frame).await
    }

    async fn say(&self, account: &AccountRow, key: &str, frame: Vec<u8>) -> Outcome {
        let away = || Outcome::Wait(AWAY_MS);
        let Some(mouth) = self.mouths().get(&account.id).cloned() else { return away() };
        let (told, tells) = oneshot::channel();
        if mouth.try_send(Said { key: key.to_owned(), frame, told }).is_err() {
            return away();
        }
        match tokio::time::timeout(TIMEOUT, tells).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_ended)) => Outcome::Unknown("the socket has ended".to_owned()),
            Err(_elapsed) => Outcome::Unknown("it took too long".to_owned()),
        }
    }

    async fn open(&self, account: &AccountRow, address: &str) -> Result<Box<dyn Wire>, String> {
        if let Some(why) = shut(account) {
            return Err(why);
        }
        let address = match self.root(account) {
            Some(root) if address.is_empty() => root.url,
            Some(_) | None => address,
        };
        let url = match address.split_once("://") {
            Some(("wss" | "ircs", rest)) => format!("https://{rest}"),
            Some(("ws" | "irc", rest)) => format!("http://{rest}"),
            Some(_) | None => return Err("the address is none of a socket".to_owned()),
        };
        // What the operator's own server says of sockets on the same host is the operator's word.
        let root = self.root(account).filter(|it| it.leave == Leave::Operator);
        let same = root.is_some_and(|it| host(it.url).is_some() && host(it.url) == host(&url));
        let leave = if same { Leave::Operator } else { Leave::Rules };
        let stream = self.outlet(account).await?.line(&url, leave).await?;
        if address.starts_with("irc") {
            return Ok(Box::new(Lined::new(stream)));
        }
        let opened = tokio::time::timeout(TIMEOUT, socket::open(address, stream)).await;
        let socket = opened.map_err(|_elapsed| "the socket took too long".to_owned())??;
        Ok(Box::new(socket))
    }

    async fn prove(
        &self,
        account: &AccountRow,
        frame: &[u8],
        pointer: &str,
    ) -> Result<Vec<u8>, String> {
        let token = self.secret(account, TOKEN).await?;
        if pointer.is_empty() {
            return Ok([frame, token.expose().as_bytes()].concat());
        }
        let frame = serde_json::from_slice::<serde_json::Value>(frame);
        let mut frame = frame.map_err(|err| err.to_string())?;
        let place = frame.pointer_mut(pointer).ok_or("the frame has no place for the secret")?;
        *place = token.expose().into();
        serde_json::to_vec(&frame).map_err(|err| err.to_string())
    }
}

/// Why an account is not spoken over: its network has said that it does not know it.
fn shut(account: &AccountRow) -> Option<String> {
    let shut = account.shut.as_ref()?;
    Some(format!("nothing is asked over the account: {}", shut.why))
}

/// The headers of Standard Webhooks.
fn sign(
    headers: &mut HeaderMap,
    secret: &Secret,
    (id, seconds): (&str, u64),
    body: &[u8],
) -> Result<(), String> {
    let signature = recipe::sign_standard(secret, id, seconds, body);
    let signature = signature.map_err(|err| Chain(&err).to_string())?;
    let values = [("webhook-id", id.to_owned()), ("webhook-timestamp", seconds.to_string())];
    for (name, value) in values.into_iter().chain([("webhook-signature", signature)]) {
        let value = HeaderValue::from_str(&value).map_err(|_bad| "an id is no header")?;
        headers.insert(name, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_signed_as_the_standard_has_it() {
        // The vector of the Standard Webhooks specification.
        let secret = Secret::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let mut headers = HeaderMap::new();
        let of = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330);
        sign(&mut headers, &secret, of, br#"{"test": 2432232314}"#).unwrap();
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(headers["webhook-signature"], signature);
        assert_eq!(headers["webhook-timestamp"], "1614265330");
    }
}
