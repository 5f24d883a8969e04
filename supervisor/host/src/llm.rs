//! The service `Llm`: reserve, ask, stream, settle; ask again or ask another where that helps.

use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ledger::{Account, Hold};
use proto::host::llm_server;
use proto::host::{EmbedReply, EmbedRequest, LlmRequest};
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use types::AgentId;

use crate::catalog::Target;
use crate::estimate;
use crate::failure::{Failure, Next, Wait, refused};
use crate::meter::Meter;
use crate::metrics::Outcome;
use crate::provider::{Invalid, Remote, Speech, Way};
use crate::reply::{Feed, Source, Waits};
use crate::{Inner, Reply};

/// How often one model of one provider is asked for one request.
const TRIES: u32 = 3;

/// How many models are asked for one request: the one named and its fallbacks.
const TARGETS: usize = 4;

/// The longest key of a session, in bytes; the worker's own bound.
const MAX_SESSION: usize = 512;

/// The wait before the second try, doubled for each further one, with as much again at random.
const BACK_OFF: Duration = Duration::from_millis(100);

/// The power to call models, counted on one account.
#[derive(Debug)]
pub struct Llm {
    inner: Arc<Inner>,
    account: Arc<Account>,
}

/// One request and when it must be over.
struct Call<'a> {
    request: &'a LlmRequest,
    /// Its place in the account, without which nothing is set aside.
    place: &'a ledger::Call,
    input: u64,
    total: Instant,
}

/// Why a target gave no answer.
enum Miss {
    /// Nobody else will be asked.
    Final(Status),
    /// Another may be asked.
    Failed(Failure),
}

impl Miss {
    fn status(self) -> Status {
        match self {
            Self::Final(status) => status,
            Self::Failed(failure) => failure.status(),
        }
    }
}

impl Llm {
    pub(crate) const fn new(inner: Arc<Inner>, account: Arc<Account>) -> Self {
        Self { inner, account }
    }

    async fn answer(&self, request: &LlmRequest) -> Result<Reply, Status> {
        let place = self.begin(&request.request_id, &request.agent, &request.session_key)?;
        let Some(targets) = self.inner.catalog.resolve(&request.model) else {
            return Err(Status::not_found("there is no such model"));
        };
        let total = Instant::now() + self.inner.timeouts.total;
        let call = Call { request, place: &place, input: estimate::input(request), total };
        let mut failed = None;
        for target in targets.take(TARGETS) {
            match self.ask(target, &call).await {
                Ok(reply) => return Ok(reply.keeping(place)),
                Err(Miss::Final(status)) => return Err(status),
                Err(Miss::Failed(failure)) => failed = Some(failure),
            }
        }
        Err(failed.map_or_else(|| Status::unavailable("no provider was asked"), |it| it.status()))
    }

    /// One model of one provider, several times where that may help.
    async fn ask(&self, target: &Arc<Target>, call: &Call<'_>) -> Result<Reply, Miss> {
        let (mut matter, mut meter) = self.prepare(target, call).await?;
        let mut tried = 1;
        loop {
            let (failure, after) = match self.attempt(&mut matter, meter, call).await {
                Ok(reply) => return Ok(reply),
                Err(failed) => failed,
            };
            meter = after;
            meter.failed(&failure);
            log(&failure, target, &call.request.request_id, tried);
            let wait = match failure.next() {
                Next::Stop => return Err(Miss::Final(failure.status())),
                Next::Again(wait) if tried < TRIES => wait,
                Next::Again(_) | Next::Other => return Err(Miss::Failed(failure)),
            };
            let paid = !failure.is_free();
            if paid {
                // Settled for itself: the next attempt needs a hold of its own.
                drop(meter);
                back_off(wait, tried, call.total).await?;
                (matter, meter) = self.prepare(target, call).await?;
            } else {
                back_off(wait, tried, call.total).await?;
            }
            tried += 1;
        }
    }

    /// What an attempt may cost, set aside, and what it sends.
    async fn prepare<'a>(
        &self,
        target: &'a Arc<Target>,
        call: &Call<'a>,
    ) -> Result<(Matter<'a>, Box<Meter>), Miss> {
        let asked = call.request.params.as_ref().and_then(|it| it.max_tokens);
        let meter = Meter::reserve(call.place, &self.inner.clock, target, call.input, asked).await;
        let meter = meter.map_err(|refusal| Miss::Final(self.refuse(&refusal)))?;
        let matter = Matter::new(target, call.request, meter.max_tokens()).map_err(|err| {
            target.metrics.count(Outcome::Invalid);
            Miss::Final(Status::invalid_argument(err.to_string()))
        })?;
        Ok((matter, meter))
    }

    /// One attempt, up to the first events of its answer.
    async fn attempt(
        &self,
        matter: &mut Matter<'_>,
        mut meter: Box<Meter>,
        call: &Call<'_>,
    ) -> Result<Reply, (Failure, Box<Meter>)> {
        let waits = Waits::new(call.total, &self.inner.timeouts);
        let mut again = false;
        let source = match meter.start() {
            Some(covered) => matter.send(covered, &waits, &mut again).await,
            None => Err(Failure::Early),
        };
        if again {
            meter.sent_again();
        }
        match source {
            Ok(source) => {
                let id = &call.request.request_id;
                Reply::begin(source, meter, waits, id, &self.inner.tasks).await
            }
            Err(failure) => Err((failure, meter)),
        }
    }
}

impl Llm {
    /// A place among the account's calls, in the name of a request, an agent and a session. The worker
    /// names them, and is believed where they are of the form that they have.
    fn begin(&self, id: &str, agent: &str, session: &str) -> Result<ledger::Call, Status> {
        if !is_request_id(id) {
            return Err(Status::invalid_argument("the request id is not one of the gateway's"));
        }
        if !agent.is_empty() && agent.parse::<AgentId>().is_err() {
            return Err(Status::invalid_argument("the agent's name is not one"));
        }
        if session.len() > MAX_SESSION || session.chars().any(char::is_control) {
            return Err(Status::invalid_argument("the session's key is not one"));
        }
        let name = |text: &str| (!text.is_empty()).then(|| Arc::from(text));
        let who = (name(agent), name(session));
        let begun = self.account.begin_call(self.inner.clock.now(), id, who);
        begun.map_err(|refusal| self.refuse(&refusal))
    }

    /// What the worker is told of a refusal, which is counted.
    fn refuse(&self, refusal: &ledger::Refusal) -> Status {
        self.inner.refusals.count(refusal);
        refused(refusal)
    }
}

#[tonic::async_trait]
impl llm_server::Llm for Llm {
    type StreamStream = Reply;

    async fn stream(&self, request: Request<LlmRequest>) -> Result<Response<Reply>, Status> {
        self.answer(request.get_ref()).await.map(Response::new)
    }

    async fn embed(&self, request: Request<EmbedRequest>) -> Result<Response<EmbedReply>, Status> {
        self.vectors(request.get_ref()).await.map(Response::new)
    }
}

/// A request in its provider's language.
enum Matter<'a> {
    Remote(&'a Remote, Bytes),
    Demo(Option<Box<Speech>>),
}

impl<'a> Matter<'a> {
    fn new(
        target: &'a Target,
        request: &LlmRequest,
        max_tokens: Option<u64>,
    ) -> Result<Self, Invalid> {
        Ok(match &target.provider.way {
            Way::Remote(remote) => {
                Self::Remote(remote, remote.body(request, &target.model, max_tokens)?)
            }
            Way::Demo => Self::Demo(Some(Box::new(Speech::new(request, max_tokens)?))),
        })
    }

    async fn send(
        &mut self,
        covered: &Hold,
        waits: &Waits,
        again: &mut bool,
    ) -> Result<Source, Failure> {
        match self {
            Self::Remote(remote, body) => {
                let (due, wait) = waits.due();
                let sent = remote.send(covered, body.clone(), again);
                match tokio::time::timeout_at(due, sent).await {
                    Ok(sent) => Ok(Source::Remote(Box::new(Feed::new(sent?)))),
                    Err(_elapsed) => Err(Failure::Slow(wait)),
                }
            }
            Self::Demo(speech) => speech.take().map(Source::Demo).ok_or(Failure::Early),
        }
    }
}

/// Whether `id` is of the form that the gateway gives, so that a log holds nothing else.
fn is_request_id(id: &str) -> bool {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    id.strip_prefix("req_").is_some_and(|it| it.len() == 32 && it.bytes().all(hex))
}

/// Logs a failure; what a provider says of a request may quote the request, so that stays below.
fn log(failure: &Failure, target: &Target, request_id: &str, tried: u32) {
    let (provider, model) = (target.provider(), &*target.model);
    if let Failure::Refused { message } = failure {
        tracing::debug!(request_id, provider, model, message, "a provider refused a request");
        return;
    }
    if let Failure::Limit(refusal) = failure {
        tracing::debug!(request_id, provider, model, %refusal, "a limit has no room for an answer");
        return;
    }
    let (status, error) = (failure.http_status(), types::Chain(failure));
    tracing::warn!(request_id, provider, model, tried, status, %error, "a model call failed");
}

/// Waits before the next try, unless the request would then be over.
#[expect(
    clippy::disallowed_methods,
    reason = "a provider that just failed is left alone for a moment"
)]
async fn back_off(least: Duration, tried: u32, total: Instant) -> Result<(), Miss> {
    let step = BACK_OFF * 2_u32.saturating_pow(tried - 1);
    // Many requests that failed together must not come back together.
    let chance = std::hash::RandomState::new().hash_one(tried) % 1024;
    let jitter = step * u32::try_from(chance).unwrap_or(0) / 1024;
    let wait = least.max(step) + jitter;
    if Instant::now() + wait >= total {
        return Err(Miss::Final(Failure::Slow(Wait::Total).status()));
    }
    tokio::time::sleep(wait).await;
    Ok(())
}

mod embed;
#[cfg(test)]
pub(crate) mod tests;
