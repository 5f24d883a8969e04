//! What the tests of this crate share: records with two tenants, accounts in them, and a far end that answers
//! what a test says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use records::{AccountPolicy, AccountPut, AccountRow, Records};
use runtime::Tasks;
use tokio::time::Instant;
use types::{Clock, Limits, ManualClock, Secret, TenantId};

use crate::adapter::{Call, Outcome};
use crate::inbound::{Inbound, Keeper, NotKept, Ways};
use crate::intake::{Failed, Intake, Kept, Secrets};
use crate::lines::{Called, Heard, Lines, NotHad, Watcher, Wire};
use crate::recipe::Recipe;

pub(crate) const NOW: u64 = 1_760_000_000_000;

/// The far end, and everything that is told.
#[derive(Debug, Default)]
pub(crate) struct Far {
    pub(crate) answers: Mutex<VecDeque<Called>>,
    pub(crate) calls: Mutex<Vec<(String, Instant)>>,
    pub(crate) told: Mutex<Vec<String>>,
    /// Whose events were kept, by their names.
    pub(crate) kept: Mutex<Vec<String>>,
    /// What becomes of the next events that are to be kept; whatever comes after them is kept.
    pub(crate) not_kept: Mutex<VecDeque<Option<NotKept>>>,
    /// Why the next file is not there that is asked for.
    pub(crate) not_had: Mutex<Option<NotHad>>,
    /// What comes over the sockets that are opened, each to its end.
    pub(crate) wires: Mutex<VecDeque<Vec<Heard>>>,
}

#[derive(Debug)]
struct Scripted {
    far: Arc<Far>,
    heard: VecDeque<Heard>,
}

/// A far end that several hold.
#[derive(Debug, Clone)]
pub(crate) struct Held(pub(crate) Arc<Far>);

#[async_trait]
impl Lines for Held {
    async fn call(&self, account: &AccountRow, call: Call) -> Called {
        let body = String::from_utf8_lossy(&call.body).into_owned();
        self.0.call(format!("{} {} {body}", account.name, call.path));
        let answer = self.0.answers.lock().unwrap().pop_front();
        answer.unwrap_or_else(|| answered(200, "{}"))
    }

    async fn upload(&self, account: &AccountRow, call: Call, kind: &str, body: Bytes) -> Called {
        let body = String::from_utf8_lossy(&body).into_owned();
        self.0.call(format!("{} {} {kind} {body}", account.name, call.path));
        let answer = self.0.answers.lock().unwrap().pop_front();
        answer.unwrap_or_else(|| answered(200, "{}"))
    }

    async fn file(&self, tenant: &TenantId, id: &str, size: usize) -> Result<Bytes, NotHad> {
        self.0.call(format!("file {tenant} {id}"));
        let not_had = self.0.not_had.lock().unwrap().take();
        not_had.map_or_else(|| Ok(vec![b'x'; size].into()), Err)
    }

    async fn fetch(&self, account: &AccountRow, call: Call, _most: usize) -> Called {
        self.call(account, call).await
    }

    async fn say(&self, account: &AccountRow, key: &str, frame: Vec<u8>) -> Outcome {
        self.0.call(format!("{} {key} {}", account.name, String::from_utf8_lossy(&frame)));
        Outcome::Sent(None)
    }

    async fn show(&self, account: &AccountRow, room: &str, frame: Vec<u8>) -> Called {
        self.0.call(format!("{} {room} {}", account.name, String::from_utf8_lossy(&frame)));
        answered(200, "")
    }

    async fn open(&self, _account: &AccountRow, address: &str) -> Result<Box<dyn Wire>, String> {
        self.0.call(format!("open {address}"));
        let heard = self.0.wires.lock().unwrap().pop_front().ok_or("nobody is there")?;
        Ok(Box::new(Scripted { far: Arc::clone(&self.0), heard: heard.into() }))
    }

    async fn prove(
        &self,
        _account: &AccountRow,
        frame: &[u8],
        pointer: &str,
    ) -> Result<Vec<u8>, String> {
        let mut frame: serde_json::Value = serde_json::from_slice(frame).unwrap();
        *frame.pointer_mut(pointer).unwrap() = "s3cret".into();
        Ok(serde_json::to_vec(&frame).unwrap())
    }
}

#[async_trait]
impl Wire for Scripted {
    async fn next(&mut self) -> Heard {
        match self.heard.pop_front() {
            Some(heard) => heard,
            None => std::future::pending().await,
        }
    }

    async fn say(&mut self, frame: Vec<u8>) {
        self.far.call(format!("say {}", String::from_utf8_lossy(&frame)));
    }

    async fn end(&mut self, code: u16) {
        self.far.call(format!("end {code}"));
    }
}

#[async_trait]
impl Watcher for Held {
    fn came(&self, _account: &AccountRow) {}

    fn lost(&self, _account: &AccountRow, why: &str) {
        self.0.tell(format!("lost: {why}"));
    }

    fn sent(&self, _account: &AccountRow) {}

    fn away(&self, _account: &AccountRow, why: &str) {
        self.0.tell(format!("away: {why}"));
    }

    async fn shut(&self, account: &AccountRow, why: &str) {
        self.0.tell(format!("shut {}: {why}", account.name));
    }
}

#[async_trait]
impl Keeper for Held {
    async fn keep(
        &self,
        _account: &AccountRow,
        kept: Kept,
        _event: Vec<u8>,
    ) -> Result<(), NotKept> {
        if let Some(Some(not)) = self.0.not_kept.lock().unwrap().pop_front() {
            return Err(not);
        }
        let mut all = self.0.kept.lock().unwrap();
        let name = format!("{} {}", kept.turn.tenant, kept.event);
        // The same again is not kept a second time, as in an inbox.
        if !all.contains(&name) {
            all.push(name);
        }
        Ok(())
    }
}

/// A Telegram account's secret is its id, twice: long enough for a token.
#[async_trait]
impl Secrets for Held {
    async fn proofs(&self, account: &AccountRow) -> Result<(Recipe, Vec<Secret>), Failed> {
        Ok((crate::telegram::RECIPE, vec![Secret::from(account.id.repeat(2))]))
    }
}

impl Far {
    fn call(&self, text: String) {
        self.calls.lock().unwrap().push((text, Instant::now()));
    }

    fn tell(&self, text: String) {
        self.told.lock().unwrap().push(text);
    }
}

pub(crate) fn answered(status: u16, body: &str) -> Called {
    Called::Answered { status, retry_after: None, body: body.as_bytes().to_vec() }
}

/// Who may write to an account of which nobody has said it.
pub(crate) fn policy() -> AccountPolicy {
    AccountPolicy {
        direct: "pairing".to_owned(),
        groups: "allowlist".to_owned(),
        senders: Vec::new(),
        rooms: Vec::new(),
        mention: true,
        agent: None,
        per_minute: None,
        page: records::PagePolicy::default(),
    }
}

/// An account of a network, whose everything is made of the length of that network's name.
pub(crate) fn account(owner: Option<&str>, channel: &str) -> AccountRow {
    let n = u8::try_from(channel.len()).unwrap();
    AccountRow {
        id: format!("cha_{n:016x}"),
        owner: owner.map(|it| it.parse().unwrap()),
        channel: channel.to_owned(),
        name: "bot".to_owned(),
        vendor: None,
        us: ("700".to_owned(), Some("helper_bot".to_owned())),
        fingerprint: [n; 32],
        path: None,
        way: "poll".to_owned(),
        server: None,
        policy: policy(),
        running: true,
        shut: None,
        created_at: 1,
    }
}

pub(crate) struct House {
    pub(crate) records: Records,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) far: Arc<Far>,
    pub(crate) tasks: Tasks,
}

impl House {
    pub(crate) async fn new() -> Self {
        let records = Records::in_memory();
        for tenant in ["a", "b"] {
            let id = tenant.parse().unwrap();
            records.insert_tenant(&id, 1, Limits::default()).await.unwrap();
        }
        let (clock, far) = (Arc::new(ManualClock::at(NOW)), Arc::new(Far::default()));
        Self { records, clock, far, tasks: Tasks::default() }
    }

    pub(crate) async fn put(&self, row: AccountRow) -> AccountRow {
        assert_eq!(self.records.put_account(&row, None).await.unwrap(), AccountPut::Done);
        row
    }

    pub(crate) fn time(&self) -> Arc<dyn Clock> {
        Arc::<ManualClock>::clone(&self.clock)
    }

    pub(crate) fn held(&self) -> Arc<Held> {
        Arc::new(Held(Arc::clone(&self.far)))
    }

    pub(crate) fn inbound(&self) -> Inbound {
        let secrets: Arc<dyn Secrets> = self.held();
        Inbound::new(Ways {
            intake: Intake::new(self.records.clone(), secrets, self.time()),
            keeper: self.held(),
            lines: self.held(),
            watcher: self.held(),
            clock: self.time(),
            tasks: self.tasks.clone(),
        })
    }

    pub(crate) fn answers(&self, answers: impl IntoIterator<Item = Called>) {
        *self.far.answers.lock().unwrap() = answers.into_iter().collect();
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.far.calls.lock().unwrap().drain(..).map(|it| it.0).collect()
    }

    pub(crate) fn told(&self) -> Vec<String> {
        self.far.told.lock().unwrap().drain(..).collect()
    }

    pub(crate) fn kept(&self) -> Vec<String> {
        self.far.kept.lock().unwrap().drain(..).collect()
    }
}

/// A direct message of Telegram's.
pub(crate) fn update(number: u32, user: u32, text: &str) -> String {
    format!(
        r#"{{"update_id":{number},"message":{{"message_id":1,"from":{{"id":{user},"is_bot":false,"first_name":"Ann"}},"chat":{{"id":{user},"type":"private"}},"text":"{text}"}}}}"#
    )
}
