//! One page that is open: who its visitor is, what it is told, what it says.

mod say;

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use channels::Reply;
use channels::webchat::Visitor;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message as Ws, Utf8Bytes};
use types::Chain;

use super::end::{End, WsError, code};
use super::frames::{Said, Told, Wrong};
use super::live::Waiting;
use super::visitor::{Keys, Known, Refused, Words};
use super::{MAX_FILE_BYTES, MAX_FILES, MAX_MESSAGE, Page};
use crate::secrets::TOKEN;
use crate::{Accounts, Error};
use say::OF_VISITOR;

/// Bytes of one frame of a page: a message, and what stands around it. Files come by requests.
pub(super) const MAX_FRAME: usize = MAX_MESSAGE + 4096;

/// Bytes that are read at once, and collected before they are written: pages are many and mostly quiet.
const BUFFER: usize = 4 << 10;

/// Bytes that may be collected: the longest item twice.
const MAX_WRITE_BUFFER: usize = 2 * records::MAX_SHOWN_ITEM;

/// How long a page may take to say who it is.
const GREETING: Duration = Duration::from_secs(10);

/// How often a page is asked whether it is there, and how long it may say nothing.
const TICK: Duration = Duration::from_secs(25);
const SILENCE: Duration = Duration::from_mins(1);

/// How long a page may take to take a frame, and for each byte of it: over the slowest line a file still comes.
/// And how long to read why it is ended.
const PATIENCE: Duration = Duration::from_secs(10);
const OF_A_BYTE: Duration = Duration::from_micros(60);
const LAST_WORD: Duration = Duration::from_secs(2);

/// Pages of one account that are opened in a minute.
const HELLOS: u32 = 3_000;

/// Messages beyond that, over one socket, after which it is ended.
const MAX_STRIKES: u32 = 30;

/// A connection of a page.
pub struct Visit<S> {
    /// The stream, from the first byte after the upgrade on.
    pub stream: S,
    /// The address at the far end.
    pub peer: IpAddr,
}

impl<S> std::fmt::Debug for Visit<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visit").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// A visitor with a page open.
struct Session<'a> {
    accounts: &'a Accounts,
    page: &'a Page,
    visitor: Visitor,
    peer: IpAddr,
    strikes: u32,
}

impl Accounts {
    /// Serves an open page until either side ends it, its account is stopped, or `stopping` resolves.
    pub async fn visit<S>(
        &self,
        page: Page,
        visit: Visit<S>,
        stopping: impl Future<Output = ()> + Send,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_write_buffer_size(MAX_WRITE_BUFFER)
            .max_message_size(Some(MAX_FRAME))
            .max_frame_size(Some(MAX_FRAME));
        let Visit { stream, peer } = visit;
        let mut ws = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        let end = tokio::select! {
            biased;
            () = stopping => End::quiet(code::AWAY),
            end = Box::pin(self.attend(&page, peer, &mut ws)) => end,
        };
        tracing::debug!(account = page.0.id, code = end.code, why = end.why, "a page is closed");
        let last = async {
            if !end.word.is_empty() {
                let told = Told::Error { code: end.word, why: &end.why }.frame();
                ws.send(Ws::Text(told)).await?;
            }
            let reason = Utf8Bytes::from_static(end.word);
            ws.close(Some(CloseFrame { code: CloseCode::from(end.code), reason })).await?;
            // What is unread when a connection ends takes the last word with it.
            while let Some(heard) = ws.next().await {
                heard?;
            }
            Ok::<_, WsError>(())
        };
        if !matches!(timeout(LAST_WORD, last).await, Ok(Ok(()))) {
            tracing::debug!(account = page.0.id, "a page did not hear why it was ended");
        }
    }

    /// A message that comes by a request, with its files; `words` say whose it is.
    ///
    /// # Errors
    /// When the records fail: it is to come again.
    pub async fn said_at(
        &self,
        page: &Page,
        (words, peer): (&Words, IpAddr),
        body: &[u8],
    ) -> Result<Reply, Error> {
        let told = |status, told: Told<'_>| {
            let body = Some(("application/json", told.text().into_bytes()));
            Ok(Reply { status, body })
        };
        if words.visitor.is_none() && words.signed.is_none() {
            return told(401, Told::Error { code: "visitor", why: "the request names no visitor" });
        }
        let visitor = match self.who(page, words).await? {
            Ok(known) => known.visitor,
            Err(refused) => {
                let why = refused.to_string();
                return told(401, Told::Error { code: refused.code(), why: &why });
            }
        };
        let said = std::str::from_utf8(body).map_err(|err| Wrong::Form(err.to_string()));
        let message = match said.and_then(Said::read) {
            Ok(Said::Say(message)) => message,
            Ok(Said::Hello { .. } | Said::Ping) => {
                return told(400, Told::Error { code: "frame", why: "type: say" });
            }
            Err(wrong) => {
                return told(400, Told::Error { code: "frame", why: &wrong.to_string() });
            }
        };
        let mut session = Session { accounts: self, page, visitor, peer, strikes: 0 };
        let text = session.say(message).await;
        Ok(Reply { status: 200, body: Some(("application/json", text.into_bytes())) })
    }

    /// Who shows these words.
    async fn who(&self, page: &Page, words: &Words) -> Result<Result<Known, Refused>, Error> {
        let (inner, account) = (&self.0, &page.0);
        let owner = account.owner.as_ref().ok_or(records::Error::NotFound)?;
        let sealer = inner.settings.sealer(owner).await?;
        let secret = inner.settings.channel_secret(Some(owner), &account.id, TOKEN).await?;
        let secret = secret.ok_or(Error::LoggedOut)?;
        let signed_only = account.policy.page.signed;
        let keys = Keys { sealer: &sealer, secret: &secret, account: &account.id, signed_only };
        Ok(keys.known(words, inner.clock.now()))
    }

    async fn attend<S>(&self, page: &Page, peer: IpAddr, ws: &mut WebSocketStream<S>) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let (words, after) = match greeting(ws).await {
            Ok(said) => said,
            Err(end) => return end,
        };
        let (inner, account) = (&self.0, &page.0);
        if !inner.pages.hellos.take(&account.id, Some(HELLOS), inner.clock.now()) {
            return End::told(code::AGAIN, "busy", "too many pages are opened in this minute");
        }
        let known = match self.who(page, &words).await {
            Ok(Ok(known)) => known,
            Ok(Err(refused)) => {
                return End::told(code::VISITOR, refused.code(), refused.to_string());
            }
            Err(err) => return End::failed(&err),
        };
        let room = known.visitor.id.clone();
        // What is said from now on is told, and what was said before is read.
        let entered = inner.pages.live.enter(&account.id, &room, peer);
        let (seat, told) = match entered {
            Ok(entered) => entered,
            Err(full) => return End::told(code::MANY, "many", full.to_string()),
        };
        let shown = match inner.pages.since(account, &room, after).await {
            Ok(shown) => shown,
            Err(err) => return End::failed(&err),
        };
        let welcome = Told::Welcome {
            id: &room,
            visitor: known.word.as_deref(),
            anew: shown.anew,
            max_message: MAX_MESSAGE,
            max_files: MAX_FILES,
            max_file_bytes: MAX_FILE_BYTES,
        };
        let first = std::iter::once(welcome.frame()).chain(shown.items);
        for frame in first.chain([Told::Ready { rev: shown.rev }.frame()]) {
            if let Err(end) = tell(ws, Ws::Text(frame)).await {
                return end;
            }
        }
        let session = Session { accounts: self, page, visitor: known.visitor, peer, strikes: 0 };
        let now = inner.clock.now();
        let left = known.until.map(|it| Duration::from_millis(it.saturating_sub(now)));
        let end = session.run(ws, told, left).await;
        drop(seat);
        end
    }
}

impl Session<'_> {
    async fn run<S>(
        mut self,
        ws: &mut WebSocketStream<S>,
        mut told: mpsc::Receiver<Waiting>,
        left: Option<Duration>,
    ) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut ticks = tokio::time::interval_at(Instant::now() + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let until = left.map(|left| Instant::now() + left);
        let mut heard = Instant::now();
        loop {
            let due = heard + SILENCE;
            let answer = tokio::select! {
                biased;
                () = tokio::time::sleep_until(until.unwrap_or(due)), if until.is_some() => {
                    let why = Refused::Expired.to_string();
                    return End::told(code::VISITOR, Refused::Expired.code(), why);
                }
                frame = told.recv() => match frame {
                    Some(waiting) => Some(Ws::Text(waiting.frame)),
                    // The account's pages are ended, or this one took nothing.
                    None => return End::quiet(code::AGAIN),
                },
                _ = ticks.tick() => Some(Ws::Ping(Bytes::new())),
                message = timeout_at(due, ws.next()) => match message {
                    Err(_elapsed) => return End::quiet(code::SILENT),
                    Ok(message) => {
                        heard = Instant::now();
                        match self.heard(message).await {
                            Ok(answer) => answer,
                            Err(end) => return end,
                        }
                    }
                },
            };
            if let Some(answer) = answer
                && let Err(end) = tell(ws, answer).await
            {
                return end;
            }
        }
    }

    /// What a frame is answered.
    async fn heard(&mut self, message: Option<Result<Ws, WsError>>) -> Result<Option<Ws>, End> {
        let text = match message {
            Some(Ok(Ws::Text(text))) => text,
            Some(Ok(Ws::Ping(_) | Ws::Pong(_) | Ws::Frame(_))) => return Ok(None),
            other => return Err(End::of(other)),
        };
        match Said::read(&text) {
            Ok(Said::Ping) => Ok(Some(Ws::Text(Told::Pong.frame()))),
            Ok(Said::Say(message)) => {
                let answer = self.say(message).await;
                if self.strikes > MAX_STRIKES {
                    let why = format!("at most {OF_VISITOR} messages in a minute");
                    return Err(End::told(code::MANY, "many", why));
                }
                Ok(Some(Ws::Text(answer.into())))
            }
            Ok(Said::Hello { .. }) => Err(End::told(code::FRAME, "frame", "hello is said once")),
            Err(wrong) => Err(End::told(code::FRAME, "frame", wrong.to_string())),
        }
    }
}

/// What a page says first.
async fn greeting<S>(ws: &mut WebSocketStream<S>) -> Result<(Words, u64), End>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let until = Instant::now() + GREETING;
    loop {
        let message = timeout_at(until, ws.next()).await;
        match message.map_err(|_elapsed| End::quiet(code::SILENT))? {
            Some(Ok(Ws::Text(text))) => {
                return match Said::read(&text) {
                    Ok(Said::Hello { words, after }) => Ok((words, after)),
                    Ok(Said::Say(_) | Said::Ping) => {
                        Err(End::told(code::FRAME, "frame", "hello is said first"))
                    }
                    Err(wrong) => Err(End::told(code::FRAME, "frame", wrong.to_string())),
                };
            }
            Some(Ok(Ws::Ping(_) | Ws::Pong(_) | Ws::Frame(_))) => {}
            other => return Err(End::of(other)),
        }
    }
}

async fn tell<S>(ws: &mut WebSocketStream<S>, message: Ws) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let bytes = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let patience = PATIENCE + OF_A_BYTE.saturating_mul(bytes);
    match timeout(patience, ws.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(err)) => Err(End { why: Chain(&err).to_string(), ..End::quiet(code::NORMAL) }),
        Err(_elapsed) => Err(End::quiet(code::AGAIN)),
    }
}
