//! What callers say: an act, how it ended, or that something happened once more.

use std::sync::mpsc::Sender;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use trail::{Digest, Fields, Phase, Text, Verdict, Who};

use crate::writer::Job;

/// An act of authority: who does what to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    fields: Fields,
}

/// How an act ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    verdict: Verdict,
    code: Option<Text>,
}

/// Something that may happen very often: somebody was refused, or looked at something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Repeated {
    pub(crate) who: Who,
    pub(crate) act: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) why: &'static str,
    pub(crate) tenant: Option<Text>,
}

/// An act that is recorded and not over. Dropped, it leaves the record that nobody knows how it ended.
#[derive(Debug)]
#[must_use = "an act that is begun is to be ended"]
pub struct Intent(Option<Box<Begun>>);

/// What is to be told when an act is over.
#[derive(Debug)]
pub(crate) struct Begun {
    jobs: Sender<Job>,
    act: Act,
    id: String,
    place: OwnedSemaphorePermit,
}

impl Act {
    /// `who` does `name`.
    pub fn new(name: &str, who: Who) -> Self {
        let mut fields = Fields::of_gateway("", name);
        fields.who = who;
        Self { fields }
    }

    /// What is done.
    pub fn name(&self) -> &str {
        self.fields.act.as_str()
    }

    /// Done to `resource`: a path or a name.
    pub fn on(mut self, resource: &str) -> Self {
        self.fields.resource = Some(Text::new(resource));
        self
    }

    /// Done in `tenant`.
    pub fn of_tenant(mut self, tenant: &str) -> Self {
        self.fields.tenant = Some(Text::new(tenant));
        self
    }

    /// Asked for by the request of this id.
    pub fn by_request(mut self, id: &str) -> Self {
        self.fields.request = Some(Text::new(id)).filter(|id| !id.as_str().is_empty());
        self
    }

    /// Changes something that was so before, and is so afterwards.
    pub fn changes(mut self, before: Option<Digest>, after: Option<Digest>) -> Self {
        self.fields.before = before;
        self.fields.after = after;
        self
    }

    pub(crate) fn intent(mut self, id: &str) -> Fields {
        self.fields.id = Text::new(id);
        self.fields.phase = Phase::Intent;
        self.fields.outcome = None;
        self.fields
    }

    pub(crate) fn outcome(mut self, id: &str, ended: Ended) -> Fields {
        self.fields.id = Text::new(id);
        self.fields.phase = Phase::Outcome;
        self.fields.outcome = Some(ended.verdict);
        self.fields.code = ended.code;
        self.fields
    }
}

impl Repeated {
    /// `who` asked for `act` and was refused; `why` is one word.
    pub const fn refused(who: Who, act: &'static str, why: &'static str) -> Self {
        Self { who, act, verdict: Verdict::Refused, why, tenant: None }
    }

    /// `who` does `act`, which changes nothing.
    pub const fn done(who: Who, act: &'static str) -> Self {
        Self { who, act, verdict: Verdict::Done, why: "", tenant: None }
    }

    /// In `tenant`.
    pub fn of_tenant(mut self, tenant: &str) -> Self {
        self.tenant = Some(Text::new(tenant));
        self
    }
}

impl Ended {
    /// It was done.
    pub const fn done() -> Self {
        Self { verdict: Verdict::Done, code: None }
    }

    /// Whoever asked may not do it.
    pub fn refused(code: &str) -> Self {
        Self { verdict: Verdict::Refused, code: Some(Text::new(code)) }
    }

    /// It failed.
    pub fn failed(code: &str) -> Self {
        Self { verdict: Verdict::Failed, code: Some(Text::new(code)) }
    }

    /// Nobody knows.
    pub fn unknown(code: &str) -> Self {
        Self { verdict: Verdict::Unknown, code: Some(Text::new(code)) }
    }
}

impl Intent {
    pub(crate) const fn unkept() -> Self {
        Self(None)
    }

    pub(crate) const fn new(begun: Option<Box<Begun>>) -> Self {
        Self(begun)
    }

    /// What the act changed: digests of it before and afterwards.
    pub fn changed(&mut self, before: Option<Digest>, after: Option<Digest>) {
        if let Some(begun) = &mut self.0 {
            begun.act.fields.before = before;
            begun.act.fields.after = after;
        }
    }

    /// Names what the act has made, and in which tenant, where that is known only now.
    pub fn made(&mut self, resource: &str, tenant: Option<&str>) {
        if let Some(begun) = &mut self.0 {
            begun.act.fields.resource = Some(Text::new(resource));
            begun.act.fields.tenant = tenant.map(Text::new);
        }
    }

    /// The act is over, and nothing is waited for: whoever ended its own authority is to hear of it
    /// before it is cut off.
    pub fn over(mut self, ended: Ended) {
        if let Some(begun) = self.0.take() {
            begun.end(ended, None);
        }
    }

    /// The act is over; ends when that is durable, or known not to be now: it is kept then until
    /// it can be written.
    pub async fn end(mut self, ended: Ended) {
        let Some(begun) = self.0.take() else { return };
        let (answer, answered) = oneshot::channel();
        begun.end(ended, Some(answer));
        // A writer that is gone has closed the trail; the next start tells of this act.
        answered.await.unwrap_or_default();
    }
}

impl Begun {
    pub(crate) const fn new(
        jobs: Sender<Job>,
        act: Act,
        id: String,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self { jobs, act, id, place }
    }

    fn end(self, ended: Ended, answer: Option<oneshot::Sender<()>>) {
        let fields = Box::new(self.act.outcome(&self.id, ended));
        let kept = Job::Keep { fields, answer, place: Some(self.place) };
        if self.jobs.send(kept).is_err() {
            tracing::warn!(event = self.id, "an act ended after the trail was closed");
        }
    }
}

impl Drop for Intent {
    fn drop(&mut self) {
        if let Some(begun) = self.0.take() {
            begun.end(Ended::unknown("abandoned"), None);
        }
    }
}
