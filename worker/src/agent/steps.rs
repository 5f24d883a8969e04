//! The steps of one turn: the model answers, its calls of the agent's tools are run, and it is asked
//! again with what they gave, until it calls none.
//!
//! Everything is durable before the next step begins: an answer with its calls, then each result.

use std::borrow::Cow;

use proto::host::{Message, Part, Role, ToolCall, part};

use super::asking::{Asking, Prepared};
use super::calls::{Caller, Given, Running};
use super::guard::{Advice, Guard};
use super::history::text_message;
use super::keep;
use super::output::Output;
use super::relay::{Pass, relay};
use super::turn::{Cut, Failed, MAX_REPLY, Turn};
use crate::openai::{Before, Call, Fault, Fold};
use crate::service::Core;
use crate::tools::{self, Content};

/// Characters of one result.
const MAX_RESULT: usize = 30_000;
/// Characters of all results of one run; beyond them each is cut to the least.
const MAX_RESULTS: usize = 1_000_000;
const MIN_RESULT: usize = 2_000;
/// Of every result that is cut, what is kept of its end: where programs say what went wrong.
const TAIL: usize = 4;
/// Bytes of the pictures of one run, in base64: the older ones give way to the newer ones.
const MAX_PICTURES: usize = 8 << 20;
/// What stands where a picture had to give way.
const NO_PICTURE: &str = "[This picture was left out for want of room. Look at it again if you need \
it.]";

/// What is known of a run between its answers.
pub(super) struct Steps<'a> {
    asking: Asking<'a>,
    pub(super) before: Before,
    guard: Guard,
    taken: usize,
    /// Characters that results may have.
    room: usize,
}

/// A run's last answer.
pub(super) struct Last {
    pub(super) fold: Fold,
    pub(super) cut: Option<Cut>,
    /// Whether it is in the transcript.
    pub(super) is_kept: bool,
}

impl<'a> Steps<'a> {
    pub(super) fn new(core: &Core, asking: Asking<'a>) -> Self {
        let guard = Guard::new(core.live.now().settings.tools.looping);
        Self { asking, before: Before::default(), guard, taken: 0, room: MAX_RESULTS }
    }

    /// What the turn was prepared with.
    pub(super) const fn asking(&self) -> &Asking<'a> {
        &self.asking
    }

    /// Takes steps until there is an answer for whoever asked.
    pub(super) async fn last(&mut self, output: &mut Output) -> Result<Last, Failed> {
        let mut fold = Fold::new(MAX_REPLY);
        let mut cut = self.asking.first(&mut fold, output).await?;
        loop {
            cut = self.tried_again(cut, &mut fold, output).await;
            let calls_ours =
                fold.calls().iter().any(|call| !self.asking.offer().is_clients(&call.name));
            if cut.is_some() || !calls_ours || self.asking.is_last {
                return Ok(self.ended(fold, cut));
            }
            if let Some(last) = self.step(&mut fold, output).await {
                return Ok(last);
            }
            fold = Fold::new(self.room_for_text());
            cut = self.ask(&mut fold, output).await;
        }
    }

    /// Bytes that may still be said: all answers together are one reply.
    fn room_for_text(&self) -> usize {
        MAX_REPLY.saturating_sub(self.before.size())
    }

    fn ended(&self, mut fold: Fold, cut: Option<Cut>) -> Last {
        fold.keep_calls(|name| self.asking.offer().is_clients(name));
        let is_empty = fold.text().is_empty() && fold.calls().is_empty();
        let without = (self.asking.is_last && is_empty).then(|| Fault::no_answer(self.taken));
        Last { fold, cut: cut.or_else(|| without.map(Cut::Failed)), is_kept: false }
    }

    /// Asks again where the model failed before it said anything and that may help.
    async fn tried_again(
        &mut self,
        mut cut: Option<Cut>,
        fold: &mut Fold,
        output: &mut Output,
    ) -> Option<Cut> {
        while let Some(Cut::Failed(fault)) = &cut
            && fold.is_untouched()
        {
            match self.asking.again(fault, output).await {
                Ok(true) => cut = self.ask(fold, output).await,
                Ok(false) => return cut,
                Err(cut) => return Some(cut),
            }
        }
        cut
    }

    async fn ask(&self, fold: &mut Fold, output: &mut Output) -> Option<Cut> {
        let request = match self.asking.request() {
            Ok(request) => request,
            Err(fault) => return Some(Cut::Failed(fault)),
        };
        let opened = output.unless_cut(Box::pin(self.asking.core.llm.stream(request))).await;
        let offer = self.asking.offer();
        let pass = if self.taken == 0 {
            Pass::first(offer)
        } else {
            Pass::later(offer, !self.before.is_silent())
        };
        relay(opened, pass, fold, output).await
    }

    /// Runs the calls of an answer. Gives the run's last answer where it is that, also where our own
    /// files fail: what was used until then is counted.
    async fn step(&mut self, fold: &mut Fold, output: &mut Output) -> Option<Last> {
        let is_clients = |call: &Call| self.asking.offer().is_clients(&call.name);
        fold.identify(self.asking.call_ids(), is_clients);
        let goes_back = fold.calls().iter().any(is_clients);
        let ours: Vec<Call> =
            fold.calls().iter().filter(|call| !is_clients(call)).cloned().collect();
        let asked = assistant(fold);
        let Asking { core, turn, .. } = self.asking;
        let empty = || Fold::new(MAX_REPLY);
        if let Err(fault) = keep::step(core, turn, &self.asking.prepared, fold, goes_back).await {
            let mut fold = std::mem::replace(fold, empty());
            fold.keep_calls(|_name| false);
            return Some(Last { fold, cut: Some(Cut::Failed(fault)), is_kept: false });
        }
        self.asking.steps.push(asked);
        self.taken += 1;
        let ran = self.run(&ours, output).await;
        let (cut, stop) = ran.unwrap_or_else(|fault| (Some(Cut::Failed(fault)), None));
        if goes_back && cut.is_none() {
            let mut fold = std::mem::replace(fold, empty());
            fold.keep_calls(|name| self.asking.offer().is_clients(name));
            return Some(Last { fold, cut: None, is_kept: true });
        }
        self.before.add(fold);
        let settings = core.live.now().settings;
        let defaults = &settings.agents.defaults;
        let used = self.before.tokens();
        let spent = (used >= defaults.max_tokens_per_run()).then(|| Fault::spent(used));
        let cut = cut.or_else(|| stop.or(spent).map(Cut::Failed));
        if cut.is_some() {
            return Some(Last { fold: empty(), cut, is_kept: false });
        }
        self.asking.is_last = self.taken >= defaults.max_steps();
        output.next_answer();
        None
    }

    /// Runs calls and keeps what they give. Gives why the run cannot go on, where it cannot.
    async fn run(
        &mut self,
        calls: &[Call],
        output: &mut Output,
    ) -> Result<(Option<Cut>, Option<Fault>), Fault> {
        let Asking { core, turn, ref prepared, ref mut steps, .. } = self.asking;
        let offer = &prepared.offer;
        let caller = Caller { core, turn, allowed: &offer.allowed, depth: offer.depth };
        let (guard, room, before) = (&mut self.guard, &mut self.room, &mut self.before);
        let (stop, pictures) = (None, Vec::new());
        let mut keeper =
            Keeper { core, turn, prepared, steps, guard, room, before, stop, pictures };
        let cut = Running::new(caller, calls).all(output, &mut keeper).await?;
        let Keeper { stop, pictures, .. } = keeper;
        if !pictures.is_empty() {
            // Not every provider takes pictures in a result.
            let mut message = text_message(Role::User, "[The pictures of the results:]".to_owned());
            message.parts.extend(pictures);
            self.asking.steps.push(message);
        }
        Ok((cut, stop))
    }
}

/// What becomes of the results of one answer's calls.
pub(super) struct Keeper<'a> {
    core: &'a Core,
    turn: &'a Turn,
    prepared: &'a Prepared,
    steps: &'a mut Vec<Message>,
    guard: &'a mut Guard,
    room: &'a mut usize,
    before: &'a mut Before,
    /// Why the run is to go on no further.
    stop: Option<Fault>,
    pictures: Vec<Part>,
}

impl Keeper<'_> {
    /// Makes a result durable, and has it ready for the model.
    pub(super) async fn keep(&mut self, call: &Call, given: &mut Given) -> Result<(), Fault> {
        self.before.used(given.used);
        cut_to_fit(given, self.room);
        refuse_pictures(given);
        let (text, tool) = (given.text(), tools::find(&call.name));
        let waits = tool.is_some_and(tools::Tool::waits);
        let essence = tool.map_or(Cow::Borrowed(text.as_str()), |tool| tool.essence(&text));
        match self.guard.note([&call.name, &call.arguments], &essence, waits) {
            Advice::GoOn => {}
            Advice::Warn(times) => given.content.push(Content::Text(warning(times))),
            Advice::Stop(times) => self.stop = Some(Fault::looping(&call.name, times)),
        }
        keep::result(self.core, self.turn, self.prepared, call, given).await?;
        let mut message = text_message(Role::Tool, given.text());
        message.tool_call_id.clone_from(&call.id);
        self.steps.push(message);
        self.pictures.extend(given.content.iter().filter_map(picture));
        let older = self.steps.iter_mut().rev().flat_map(|message| message.parts.iter_mut().rev());
        let mut left = MAX_PICTURES;
        // The newest first.
        self.pictures.iter_mut().rev().chain(older).for_each(|part| show_or_mark(&mut left, part));
        Ok(())
    }
}

fn warning(times: usize) -> String {
    format!(
        "[The same call has given this same result {times} times. Do something else, or say what \
         is missing.]"
    )
}

/// An answer as the model gets it back.
fn assistant(fold: &Fold) -> Message {
    let mut message = text_message(Role::Assistant, fold.plain_text());
    if fold.text().is_empty() {
        message.parts.clear();
    }
    let calls = fold.calls().iter().map(|call| ToolCall {
        id: call.id.clone(),
        name: call.name.clone(),
        arguments: call.arguments.clone(),
    });
    message.tool_calls = calls.collect();
    message
}

fn picture(content: &Content) -> Option<Part> {
    match content {
        Content::Text(_) => None,
        Content::Image { mime, data } => {
            let url = format!("data:{mime};base64,{data}");
            Some(Part { part: Some(part::Part::ImageUrl(url)) })
        }
    }
}

/// Takes pictures out of a result that are larger than all of a run may be.
fn refuse_pictures(given: &mut Given) {
    for content in &mut given.content {
        if let Content::Image { mime, data } = content
            && data.len() > MAX_PICTURES
        {
            let size = data.len() / 4 * 3;
            *content = Content::Text(format!("[{mime}, {size} bytes: too large to be shown]"));
        }
    }
}

/// Leaves a picture where it fits into what is `left` for pictures. Where one does not fit none is
/// that comes after it.
fn show_or_mark(left: &mut usize, part: &mut Part) {
    let Some(part::Part::ImageUrl(url)) = &part.part else { return };
    *left = left.checked_sub(url.len()).unwrap_or_default();
    if *left == 0 {
        part.part = Some(part::Part::Text(NO_PICTURE.to_owned()));
    }
}

/// Cuts the texts of a result to what the run still has room for.
fn cut_to_fit(given: &mut Given, room: &mut usize) {
    let mut left = MAX_RESULT.min((*room).max(MIN_RESULT));
    for content in &mut given.content {
        let Content::Text(text) = content else { continue };
        shorten(text, left);
        let count = text.chars().count();
        left = left.saturating_sub(count);
        *room = room.saturating_sub(count);
    }
}

/// Leaves the start and the end of a text of more than `max` characters.
fn shorten(text: &mut String, max: usize) {
    let count = text.chars().count();
    if count <= max {
        return;
    }
    let tail = max / TAIL;
    let head: String = text.chars().take(max - tail).collect();
    let rest: String = text.chars().skip(count - tail).collect();
    *text = format!("{head}\n[... {} characters are left out ...]\n{rest}", count - max);
}

#[cfg(test)]
mod tests;
