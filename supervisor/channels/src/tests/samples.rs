//! The samples of a network, as they are written in `shared/networks/samples/`: the same file from which
//! its events are read in the worker.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use networks::{File, Part, What};
use serde::Deserialize;
use serde_json::Value;

use crate::{Answer, Call, Carries, Done, Facts, Method, Outcome, Place, Proof, Step};

pub(super) const KEY: &str = "0123456789abcdef0123456789abcdef-0";
/// Who sends.
pub(super) const US: &str = "U0BOT";

pub(super) const NOW: u64 = 1_760_000_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Samples {
    pub(super) us: UsOf,
    pub(super) cases: Vec<Case>,
    #[serde(default)]
    pub(super) requests: Vec<RequestOf>,
    #[serde(default)]
    pub(super) calls: Vec<CallCase>,
    #[serde(default)]
    pub(super) uploads: Vec<UploadCase>,
    #[serde(default)]
    pub(super) typing: Vec<TypingCase>,
    #[serde(default)]
    pub(super) answers: Vec<AnswerCase>,
    #[serde(default)]
    pub(super) looks: Vec<LookCase>,
    #[serde(default)]
    pub(super) polls: Vec<PollCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UsOf {
    #[serde(rename = "account")]
    _account: String,
    pub(super) id: String,
    pub(super) name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    event: Option<Value>,
    form: Option<String>,
    pub(super) facts: FactsOf,
    pub(super) says: Option<Value>,
}

#[derive(Debug, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FactsOf {
    account: Option<String>,
    event: String,
    what: String,
    room: Option<RoomOf>,
    pub(super) sender: Option<String>,
    #[serde(default)]
    is_bot: bool,
    #[serde(default)]
    addressed: bool,
    #[serde(default)]
    opening: String,
}

pub(super) struct DoneOf {
    pub(super) room: RoomOf,
    pub(super) addressed: bool,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoomOf {
    pub(super) kind: String,
    id: String,
    thread: Option<String>,
    space: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestOf {
    pub(super) name: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    pub(super) body: Value,
    #[serde(default)]
    pub(super) events: Vec<Value>,
    pub(super) question: Option<Value>,
    pub(super) status: Option<u16>,
    #[serde(default)]
    pub(super) bad: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallCase {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) part: Part,
    #[serde(default)]
    pub(super) first: bool,
    pub(super) over: Option<String>,
    pub(super) call: Option<CallOf>,
    pub(super) page: Option<Value>,
    pub(super) say: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallOf {
    method: String,
    path: String,
    proof: String,
    body: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UploadCase {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) file: File,
    #[serde(default)]
    pub(super) first: bool,
    pub(super) steps: Vec<StepOf>,
}

/// A step, and what it is answered.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepOf {
    #[serde(flatten)]
    pub(super) step: Stepped,
    #[serde(default)]
    pub(super) answer: Value,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Stepped {
    step: String,
    call: Option<CallOf>,
    carries: Option<CarriesOf>,
    page: Option<Value>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CarriesOf {
    File,
    Form { fields: Value, file: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypingCase {
    pub(super) place: Place,
    pub(super) call: CallOf,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AnswerCase {
    status: u16,
    retry_after: Option<String>,
    body: Value,
    outcome: OutcomeOf,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum OutcomeOf {
    Sent(Option<String>),
    Wait(u64),
    Refused(String),
    Shut(String),
    Moved(String),
    Unknown(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LookCase {
    pub(super) place: Place,
    pub(super) file: Option<File>,
    pub(super) call: CallOf,
    pub(super) body: Value,
    pub(super) seen: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PollCase {
    pub(super) cursor: Option<String>,
    pub(super) call: CallOf,
    pub(super) body: Value,
    pub(super) events: Vec<Value>,
    pub(super) next: Option<String>,
    #[serde(default)]
    pub(super) invitations: Vec<String>,
    #[serde(default)]
    pub(super) refused: Vec<String>,
    #[serde(default)]
    pub(super) gaps: Vec<(String, String)>,
    #[serde(default)]
    pub(super) known: Vec<(String, u64)>,
    #[serde(default)]
    pub(super) counts: Vec<(String, u64)>,
    #[serde(default)]
    pub(super) uncounted: Vec<String>,
}

impl Samples {
    pub(super) fn of(network: &str) -> Self {
        let root = env!("CARGO_MANIFEST_DIR");
        let path = format!("{root}/../../shared/networks/samples/{network}.json");
        serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
    }
}

impl Case {
    pub(super) fn event(&self) -> Vec<u8> {
        let form = self.form.as_ref().map(|it| it.as_bytes().to_vec());
        form.unwrap_or_else(|| serde_json::to_vec(&self.event).unwrap())
    }
}

impl RequestOf {
    pub(super) fn headers(&self) -> HeaderMap {
        let header = |(name, value): (&String, &String)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        self.headers.iter().map(header).collect()
    }
}

impl AnswerCase {
    pub(super) fn body(&self) -> Vec<u8> {
        let text = self.body.as_str().map(|it| it.as_bytes().to_vec());
        text.unwrap_or_else(|| serde_json::to_vec(&self.body).unwrap())
    }

    pub(super) fn answer<'a>(&'a self, body: &'a [u8]) -> Answer<'a> {
        Answer { status: self.status, retry_after: self.retry_after.as_deref(), body }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match &self.outcome {
            OutcomeOf::Sent(id) => Outcome::Sent(id.clone()),
            OutcomeOf::Wait(wait) => Outcome::Wait(*wait),
            OutcomeOf::Refused(why) => Outcome::Refused(why.clone()),
            OutcomeOf::Shut(why) => Outcome::Shut(why.clone()),
            OutcomeOf::Moved(room) => Outcome::Moved(room.clone()),
            OutcomeOf::Unknown(why) => Outcome::Unknown(why.clone()),
        }
    }
}

impl From<&Done> for DoneOf {
    fn from(it: &Done) -> Self {
        let room = RoomOf {
            kind: it.room.kind.name().to_owned(),
            id: it.room.id.clone(),
            thread: it.room.thread.clone(),
            space: it.room.space.clone(),
        };
        Self { room, addressed: it.is_addressed }
    }
}

impl From<&Facts> for FactsOf {
    fn from(it: &Facts) -> Self {
        let (account, event) = (it.account.clone(), it.event.clone());
        let Some(done) = &it.done else {
            return Self { account, event, what: "nothing".to_owned(), ..Self::default() };
        };
        Self {
            account,
            event,
            what: if done.what == What::Said { "said" } else { "edited" }.to_owned(),
            room: Some(DoneOf::from(done).room),
            sender: Some(done.sender.clone()),
            is_bot: done.is_bot,
            addressed: done.is_addressed,
            opening: done.opening.clone(),
        }
    }
}

impl StepOf {
    pub(super) fn answer(&self) -> Vec<u8> {
        let text = self.answer.as_str().map(|it| it.as_bytes().to_vec());
        text.unwrap_or_else(|| serde_json::to_vec(&self.answer).unwrap())
    }
}

impl From<&Step> for Stepped {
    fn from(it: &Step) -> Self {
        let (step, call, carries) = match it {
            Step::Before(call, carries) => ("before", call, carries),
            Step::Try(call, carries) => ("try", call, carries),
            Step::Last(call, carries) => ("last", call, carries),
            Step::Page(frame) => {
                let page = serde_json::from_slice(frame).ok();
                return Self { step: "page".to_owned(), call: None, carries: None, page };
            }
            Step::Over(outcome) => panic!("over: {outcome:?}"),
        };
        let carries = match carries {
            Carries::Own => None,
            Carries::File => Some(CarriesOf::File),
            Carries::Form(fields, file) => {
                // What is JSON in a form is compared as such.
                let read =
                    |it: &String| serde_json::from_str(it).unwrap_or_else(|_| it.as_str().into());
                let fields = fields.iter().map(|(name, it)| ((*name).to_owned(), read(it)));
                Some(CarriesOf::Form {
                    fields: Value::Object(fields.collect()),
                    file: (*file).to_owned(),
                })
            }
        };
        Self { step: step.to_owned(), call: Some(CallOf::from(call)), carries, page: None }
    }
}

impl From<&Call> for CallOf {
    fn from(it: &Call) -> Self {
        let method = match it.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
        };
        let proof = match &it.proof {
            Proof::Header(word) => (*word).to_owned(),
            Proof::Socket(word) => format!("socket {word}"),
            Proof::Path(word) => format!("path {word}"),
            Proof::Signed(id) => format!("signed {id}"),
            Proof::Nothing => String::new(),
        };
        let body = (!it.body.is_empty()).then(|| serde_json::from_slice(&it.body).unwrap());
        Self { method: method.to_owned(), path: it.path.clone(), proof, body }
    }
}
