//! The contract: what is asked of an adapter. It translates, and nothing else: it holds no secret, opens
//! no connection, keeps nothing, waits for nothing and tries nothing again.
//!
//! Of an event it reads what must be known before anybody may be woken: whose account, which event, which
//! conversation, from whom, to us or not. What is said in it is read by the tenant's worker.

use std::fmt::Debug;

use delivery::outbox::Seen;
use http::HeaderMap;
use networks::{File, Network, Part, Us};
use types::Secret;

use crate::facts::{Facts, Place, Unreadable};
use crate::recipe::Recipe;
use crate::source::{Poll, Session};

/// One network, as the supervisor talks to it.
pub trait Adapter: Send + Sync + Debug {
    /// What is said of it.
    fn network(&self) -> &'static Network;

    /// How its requests prove themselves; none where it sends none. An account may choose another than
    /// the first.
    fn recipes(&self) -> &'static [Recipe] {
        &[]
    }

    /// Where it is called, where that is the same for every account: `https://` and a host. The operator
    /// may say otherwise.
    fn root(&self) -> Option<&'static str> {
        None
    }

    /// What every call says of who calls, where the network wants that in a form of its own.
    fn agent(&self) -> Option<&'static str> {
        None
    }

    /// Takes a request apart that has proven itself.
    ///
    /// # Errors
    /// When it is none of the network's form; bringing it again would not help.
    fn receive(&self, _request: Request<'_>) -> Result<Received, Unreadable> {
        Ok(Received::Nothing)
    }

    /// What must be known of an event. The same each time.
    ///
    /// # Errors
    /// When it cannot be read; reading it again would not help.
    fn facts(&self, event: &[u8], us: Us<'_>) -> Result<Facts, Unreadable>;

    /// How a message is sent, or put in the place of an earlier one.
    fn send(&self, letter: Letter<'_>) -> Sending;

    /// The next step by which a file is sent, where the network takes files. `before` has what the steps
    /// before it were answered, in their order: at each attempt it begins anew.
    fn upload(&self, _letter: Letter<'_>, _file: Enclosed<'_>, _before: &[Vec<u8>]) -> Step {
        Step::Over(Outcome::Refused("the network takes no files".to_owned()))
    }

    /// How one shows that an answer is being written.
    fn typing(&self, _place: &Place, _us: Us<'_>) -> Option<Call> {
        None
    }

    /// What came of a call that sends.
    fn outcome(&self, answer: Answer<'_>) -> Outcome;

    /// How one looks whether a message is there of which no answer came.
    fn look(&self, _letter: Letter<'_>) -> Option<Call> {
        None
    }

    /// Whether it is there, and what it is called; `None` where that cannot be told.
    fn seen(&self, _letter: Letter<'_>, _answer: Answer<'_>) -> Option<Seen> {
        None
    }

    /// How one comes by what came with a message; none where nothing does, or it is named as nothing of
    /// the network's is. The reference is a stranger's word.
    fn fetch(&self, _reference: &str) -> Option<Fetch> {
        None
    }

    /// How it is fetched, where it was asked where it is.
    fn found(&self, _answer: Answer<'_>) -> Option<Call> {
        None
    }

    /// The hosts beside the network's own from which it is fetched.
    fn hosts(&self) -> &'static [&'static str] {
        &[]
    }

    /// How one asks who one is there; none where there is nobody to ask.
    fn probe(&self) -> Option<Call> {
        None
    }

    /// Who one is; `None` where the answer does not say.
    fn probed(&self, _answer: Answer<'_>) -> Option<Named> {
        None
    }

    /// How the network is told where events are to come from now on, where it wants to be told: to this
    /// address with this secret, or to none.
    fn arrive(&self, _at: Option<(&str, &Secret)>) -> Option<Call> {
        None
    }

    /// How one asks for what is new, where one asks.
    fn poll(&self) -> Option<&dyn Poll> {
        None
    }

    /// How a socket is held, where one is: from what was last marked, and a number that nobody knows
    /// beforehand, so that not all come back at once.
    fn session(&self, _mark: Option<&str>, _chance: u16) -> Option<Box<dyn Session>> {
        None
    }
}

/// Who one is at a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What the network calls the account: never another's. None where it does not say.
    pub account: Option<String>,
    /// The id of the user that one is.
    pub id: String,
    /// Its name, where one writes to it by that.
    pub name: Option<String>,
}

/// A request that has proven itself.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body as it came.
    pub body: &'a [u8],
}

/// What is in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// Nothing that anybody wants: acknowledged.
    Nothing,
    /// A question whether we are there: answered so, and nothing is kept.
    Question(Reply),
    /// Events, each to be kept before the request is acknowledged.
    Events {
        /// In their order.
        events: Vec<Vec<u8>>,
        /// What the acknowledgement says.
        reply: Reply,
    },
}

/// What a request is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body, and what it is.
    pub body: Option<(&'static str, Vec<u8>)>,
}

/// A message on its way.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// Where it goes.
    pub place: &'a Place,
    /// Who sends it: the account's id at the network.
    pub us: &'a str,
    /// What it says.
    pub part: &'a Part,
    /// What is unique of it, and the same at each attempt: at most 64 letters, digits and dashes.
    pub key: &'a str,
    /// The message in whose place it comes, where it is an edit.
    pub over: Option<&'a str>,
    /// Whether it is the first of an answer: the others answer nothing.
    pub is_first: bool,
    /// When it is sent, in milliseconds since the epoch.
    pub now: u64,
    /// When it was taken to be sent: no attempt is older.
    pub since: u64,
}

/// How a message goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sending {
    /// By a call.
    Call(Call),
    /// To the pages that show the conversation: this is what they get.
    Page(Vec<u8>),
    /// Over the socket that is held, whose session says what came of it.
    Say(Vec<u8>),
    /// Not at all: the network has nothing of the kind.
    Never,
}

/// A file on its way.
#[derive(Debug, Clone, Copy)]
pub struct Enclosed<'a> {
    /// What it is.
    pub is: &'a File,
    /// What is in it: as many bytes as it says, and no more than the network takes.
    pub bytes: &'a [u8],
}

/// One step of sending a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A call by which nothing is seen of the file yet. Its answer, where that is one of success, is given to
    /// the next step; it may be made again.
    Before(Call, Carries),
    /// The call that sends it. Where the network refuses it, its answer is given to the next step.
    Try(Call, Carries),
    /// The call that sends it.
    Last(Call, Carries),
    /// It goes to the pages that show the conversation.
    Page(Vec<u8>),
    /// There is no such step: this has come of it.
    Over(Outcome),
}

/// What a call of [`Step`] carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carries {
    /// Its own body.
    Own,
    /// The file, as it is.
    File,
    /// A form with these fields, and the file in the field of this name.
    Form(Vec<(&'static str, String)>, &'static str),
}

/// A call of a network, without what proves that it is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// How.
    pub method: Method,
    /// Path and query under the network's root; to fetch something, also the address of it on one of the
    /// network's other hosts.
    pub path: String,
    /// The body, which is JSON; none where it is empty.
    pub body: Vec<u8>,
    /// Where the secret goes.
    pub proof: Proof,
}

/// How one comes by what came with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetch {
    /// One fetches it.
    At(Call),
    /// One asks where it is.
    Ask(Call),
}

/// Methods of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`.
    Get,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
}

/// Where the account's secret goes in a call. Whoever makes the call puts it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// `Authorization`, after this word.
    Header(&'static str),
    /// The same, with the secret that is for sockets alone.
    Socket(&'static str),
    /// Before the path, after `/` and this word.
    Path(&'static str),
    /// A signature of Standard Webhooks under this id.
    Signed(String),
    /// Nowhere: the path holds what is good for this one call.
    Nothing,
}

/// What a network has answered.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// `Retry-After`, where it is there.
    pub retry_after: Option<&'a str>,
    /// The body, as far as it is read.
    pub body: &'a [u8],
}

/// What came of sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is there, under this id where the network says one.
    Sent(Option<String>),
    /// It is certainly not there, and may be sent after so many milliseconds.
    Wait(u64),
    /// It will never be there.
    Refused(String),
    /// The network does not know the account any more: nothing more is sent over it.
    Shut(String),
    /// The conversation is another now.
    Moved(String),
    /// Nobody knows whether it is there.
    Unknown(String),
}

impl Reply {
    /// That it is kept, and nothing else.
    pub const fn ok() -> Self {
        Self { status: 200, body: None }
    }

    /// JSON.
    pub fn json(body: Vec<u8>) -> Self {
        Self { status: 200, body: Some(("application/json", body)) }
    }
}
