//! Embeddings: reserve, ask, settle. The same provider may be asked again; another one is not,
//! because vectors of two models cannot be compared.

use std::sync::Arc;

use proto::host::{EmbedReply, EmbedRequest, Usage, Vector};
use tokio::time::Instant;
use tonic::Status;

use super::{Llm, Miss, TRIES, back_off};
use crate::catalog::Target;
use crate::failure::{Failure, Next};
use crate::meter::Meter;
use crate::metrics::Outcome;
use crate::provider::{MAX_DIMENSIONS, MAX_NUMBERS, Way, demo_vectors, tokens};
use crate::reply::Waits;

/// Texts of one request.
const MAX_INPUTS: usize = 256;

/// Bytes of all texts.
const MAX_BYTES: usize = 1 << 20;

impl Llm {
    /// The vectors of one request.
    pub(super) async fn vectors(&self, request: &EmbedRequest) -> Result<EmbedReply, Status> {
        check(request)?;
        let place = self.begin(&request.request_id, &request.agent, &request.session_key)?;
        let resolved = self.inner.catalog.resolve(&request.model);
        let target = resolved.and_then(|mut targets| targets.next());
        let Some(target) = target else {
            return Err(Status::not_found("there is no such model"));
        };
        let total = Instant::now() + self.inner.timeouts.total;
        let mut tried = 1;
        loop {
            let (failure, meter) = match self.try_embed(&place, target, request, total).await? {
                Ok(reply) => return Ok(reply),
                Err(failed) => failed,
            };
            // Settled before the wait: the next attempt needs a hold of its own.
            drop(meter);
            super::log(&failure, target, &request.request_id, tried);
            match failure.next() {
                Next::Again(wait) if tried < TRIES => {
                    let waited = back_off(wait, tried, total).await;
                    waited.map_err(Miss::status)?;
                }
                Next::Again(_) | Next::Other | Next::Stop => return Err(failure.status()),
            }
            tried += 1;
        }
    }

    /// One attempt. The outer error is one that no further attempt would change.
    async fn try_embed(
        &self,
        place: &ledger::Call,
        target: &Arc<Target>,
        request: &EmbedRequest,
        total: Instant,
    ) -> Result<Result<EmbedReply, (Failure, Box<Meter>)>, Status> {
        let input = tokens(request);
        let meter = Meter::reserve(place, &self.inner.clock, target, input, Some(0)).await;
        let mut meter = meter.map_err(|refusal| self.refuse(&refusal))?;
        let body = match &target.provider.way {
            Way::Demo => None,
            Way::Remote(remote) => {
                let body = remote.embeddings_body(request, &target.model);
                let body = body.map_err(|err| {
                    target.metrics.count(Outcome::Invalid);
                    Status::invalid_argument(err.to_string())
                })?;
                Some((remote, body))
            }
        };
        let waits = Waits::new(total, &self.inner.timeouts);
        let mut again = false;
        let made = match (meter.start(), body) {
            (None, _) => Err(Failure::Early),
            (Some(_), None) => {
                let (vectors, usage) = demo_vectors(request);
                Ok((vectors, Some(usage)))
            }
            (Some(covered), Some((remote, body))) => {
                let (due, wait) = waits.due();
                let asked = remote.embed(covered, body, request.input.len(), &mut again);
                let asked = tokio::time::timeout_at(due, asked).await;
                asked.unwrap_or(Err(Failure::Slow(wait)))
            }
        };
        if again {
            meter.sent_again();
        }
        Ok(match made {
            Ok(made) => Ok(finish(&mut meter, target, request, made)),
            Err(failure) => {
                meter.failed(&failure);
                Err((failure, meter))
            }
        })
    }
}

/// Settles and answers.
fn finish(
    meter: &mut Meter,
    target: &Target,
    request: &EmbedRequest,
    (vectors, usage): (Vec<Vector>, Option<Usage>),
) -> EmbedReply {
    meter.arrived(0, usage);
    let usage = Some(meter.finish(&request.request_id));
    let (provider, model) = (target.provider().to_owned(), target.model.to_string());
    EmbedReply { provider, model, vectors, usage }
}

/// Whether a request is one that the worker may send.
fn check(request: &EmbedRequest) -> Result<(), Status> {
    let EmbedRequest { input, dimensions, .. } = request;
    if !(1..=MAX_INPUTS).contains(&input.len()) {
        return Err(Status::invalid_argument(format!("1 to {MAX_INPUTS} texts are embedded")));
    }
    if input.iter().map(String::len).sum::<usize>() > MAX_BYTES {
        return Err(Status::invalid_argument(format!(
            "the texts have more than {MAX_BYTES} bytes"
        )));
    }
    if dimensions.is_some_and(|it| !(1..=MAX_DIMENSIONS).contains(&it)) {
        let message = format!("a vector has 1 to {MAX_DIMENSIONS} numbers");
        return Err(Status::invalid_argument(message));
    }
    let length = usize::try_from(dimensions.unwrap_or(1)).unwrap_or(usize::MAX);
    if input.len().saturating_mul(length) > MAX_NUMBERS {
        let message = format!("texts times dimensions are more than {MAX_NUMBERS} numbers");
        return Err(Status::invalid_argument(message));
    }
    Ok(())
}
