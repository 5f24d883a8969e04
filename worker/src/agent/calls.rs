//! The calls of one answer: run, told as they go, and each answered by exactly one result, also
//! where the run is cut short.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use proto::host::Usage;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::output::Output;
use super::steps::Keeper;
use super::told::{PACE, ToolEvent};
use super::turn::{Cut, Turn};
use crate::openai::{Call, Fault};
use crate::service::Core;
use crate::tools::{self, Allowed, Content, Context, Failure, Outcome};

/// Calls of one answer that are run; more are a model out of hand.
const MAX_CALLS: usize = 16;
/// Calls that run beside each other.
const AT_ONCE: usize = 4;
/// Bytes of the arguments of one call.
const MAX_ARGUMENTS: usize = 256 << 10;
/// Pieces of what is shown meanwhile that wait for this loop.
const UPDATES: usize = 16;
/// Bytes of what people get beside a result; what is longer is left out.
const MAX_DETAILS: usize = 16 << 10;

/// Whose calls they are, and what they may do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) core: &'a Core,
    pub(super) turn: &'a Turn,
    pub(super) allowed: &'a Allowed,
    pub(super) depth: u8,
}

/// What one call gave.
#[derive(Debug)]
pub(super) struct Given {
    /// Which call of the answer.
    pub(super) at: usize,
    pub(super) content: Vec<Content>,
    pub(super) details: Option<Value>,
    pub(super) is_error: bool,
    /// What models that the tool asked have used.
    pub(super) used: Usage,
}

impl Given {
    fn of(at: usize, result: Result<Outcome, Failure>) -> Self {
        match result {
            Ok(Outcome { content, details, used }) => {
                let is_empty = details.as_object().is_none_or(serde_json::Map::is_empty);
                let details = Some(details).filter(|it| !is_empty && fits(it));
                Self { at, content, details, is_error: false, used }
            }
            Err(failure) => Self::failed(at, failure.to_string()),
        }
    }

    /// A call that gave nothing.
    pub(super) fn failed(at: usize, why: String) -> Self {
        let (content, used) = (vec![Content::Text(why)], Usage::default());
        Self { at, content, details: None, is_error: true, used }
    }

    /// The texts; a picture leaves a mark.
    pub(super) fn text(&self) -> String {
        let texts = self.content.iter().map(|content| match content {
            Content::Text(text) => text.clone(),
            Content::Image { mime, data } => format!("[{mime}, {} bytes]", data.len() / 4 * 3),
        });
        texts.collect::<Vec<_>>().join("\n\n")
    }
}

fn fits(details: &Value) -> bool {
    details.to_string().len() <= MAX_DETAILS
}

/// Calls that are under way.
pub(super) struct Running<'a> {
    caller: Caller<'a>,
    calls: &'a [Call],
    /// The first call that has no result yet.
    next: usize,
}

/// What happens while calls run.
enum Happening {
    Shown(ToolEvent),
    Ended(Given),
}

impl<'a> Running<'a> {
    pub(super) const fn new(caller: Caller<'a>, calls: &'a [Call]) -> Self {
        Self { caller, calls, next: 0 }
    }

    /// Runs the next calls: one, or as many as may run beside each other. Gives each result to
    /// `keeper`, in the order of the calls. Where the run is cut short every call that is left gets a
    /// result that says so.
    pub(super) async fn all(
        mut self,
        output: &mut Output,
        keeper: &mut Keeper<'_>,
    ) -> Result<Option<Cut>, Fault> {
        let mut cut = None;
        let beside = |a: &Call, b: &Call| is_read_only(a) && is_read_only(b);
        for group in self.calls.chunk_by(beside) {
            if cut.is_none() {
                cut = self.group(group.len(), output, keeper).await?;
            }
        }
        while let Some(call) = self.calls.get(self.next) {
            let why = "The run was stopped before this call had ended.".to_owned();
            let mut given = Given::failed(self.next, why);
            self.next += 1;
            keeper.keep(call, &mut given).await?;
            output.tool(&ToolEvent::ended(call, &given));
        }
        Ok(cut)
    }

    async fn group(
        &mut self,
        len: usize,
        output: &mut Output,
        keeper: &mut Keeper<'_>,
    ) -> Result<Option<Cut>, Fault> {
        let (shown, mut showing) = mpsc::channel(UPDATES);
        let (caller, first) = (self.caller, self.next);
        let calls = self.calls.iter().enumerate().skip(first).take(len);
        let ending: Vec<BoxFuture<'_, Given>> =
            calls.map(|(at, call)| one(caller, at, call, shown.clone()).boxed()).collect();
        let mut ending = stream::iter(ending).buffered(AT_ONCE);
        while self.next < first + len {
            let next = async {
                tokio::select! {
                    biased;
                    Some(event) = showing.recv() => Some(Happening::Shown(event)),
                    ended = ending.next() => ended.map(Happening::Ended),
                }
            };
            match output.next(next).await {
                // Dropping the futures gives the calls up.
                Err(cut) => return Ok(Some(cut)),
                Ok(Some(Happening::Shown(event))) => output.tool(&event),
                Ok(Some(Happening::Ended(mut given))) => {
                    // A call may begin and end between two looks.
                    while let Ok(event) = showing.try_recv() {
                        output.tool(&event);
                    }
                    self.next += 1;
                    let Some(call) = self.calls.get(given.at) else { continue };
                    keeper.keep(call, &mut given).await?;
                    output.tool(&ToolEvent::ended(call, &given));
                }
                Ok(None) => return Ok(None),
            }
        }
        Ok(None)
    }
}

fn is_read_only(call: &Call) -> bool {
    tools::find(&call.name).is_some_and(|it| it.row().is_read_only)
}

/// Runs one call, and tells what there is to show meanwhile.
async fn one(caller: Caller<'_>, at: usize, call: &Call, shown: mpsc::Sender<ToolEvent>) -> Given {
    show(&shown, ToolEvent::started(call)).await;
    let (updates, mut updating) = mpsc::channel(UPDATES);
    let work = perform(caller, at, call, updates);
    tokio::pin!(work);
    let (mut held, mut due) = (None, Instant::now());
    loop {
        tokio::select! {
            biased;
            result = &mut work => return Given::of(at, result),
            Some(text) = updating.recv() => held = Some(text),
            () = tokio::time::sleep_until(due), if held.is_some() => {
                if let Some(text) = held.take() {
                    show(&shown, ToolEvent::updated(call, &text)).await;
                }
                due = Instant::now() + PACE;
            }
        }
    }
}

async fn show(shown: &mpsc::Sender<ToolEvent>, event: ToolEvent) {
    // Where nobody listens any more the calls are about to be given up.
    shown.send(event).await.unwrap_or_default();
}

async fn perform(
    caller: Caller<'_>,
    at: usize,
    call: &Call,
    updates: mpsc::Sender<String>,
) -> Result<Outcome, Failure> {
    if at >= MAX_CALLS {
        let why = format!("At most {MAX_CALLS} calls of one answer are run; call it again.");
        return Err(Failure::Refused(why));
    }
    let tool = tools::find(&call.name).filter(|_| caller.allowed.has(&call.name));
    let Some(tool) = tool else {
        let shown: String = call.name.chars().take(64).collect();
        return Err(Failure::Invalid(format!("There is no tool `{shown}`.")));
    };
    let arguments = arguments(&call.arguments)?;
    let turn = caller.turn;
    let context = Context {
        core: caller.core.clone(),
        key: turn.key.clone(),
        run_id: turn.mark.clone().unwrap_or_else(|| turn.request_id.clone()),
        request_id: turn.request_id.clone(),
        call_id: call.id.clone(),
        depth: caller.depth,
        allowed: caller.allowed.clone(),
        updates,
    };
    tool.call(&context, arguments).await
}

/// What a model wrote, if it is what tools take: an object.
fn arguments(text: &str) -> Result<Value, Failure> {
    if text.len() > MAX_ARGUMENTS {
        let why = format!("The arguments have at most {MAX_ARGUMENTS} bytes.");
        return Err(Failure::Invalid(why));
    }
    if text.trim().is_empty() {
        return Ok(Value::Object(<_>::default()));
    }
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(Failure::Invalid("The arguments must be a JSON object.".to_owned())),
        Err(err) => Err(Failure::Invalid(format!("The arguments are not valid JSON: {err}."))),
    }
}
