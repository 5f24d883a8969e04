//! What comes in, with records as they are: addresses, proofs, strangers, codes.

use http::HeaderValue;
use records::{AccountPut, CodeRow, PathDigest, Proven as How};
use types::{Limits, ManualClock};

use super::*;

const NOW: u64 = 1_760_000_000_000;
const PATH: &str = "s3cr3t-path";
const HEADER: &str = "x-telegram-bot-api-secret-token";

/// An account's secret is its id, twice: long enough for a token.
#[derive(Debug)]
struct Fixed;

#[async_trait]
impl Secrets for Fixed {
    async fn proofs(&self, account: &AccountRow) -> Result<(Recipe, Vec<Secret>), Failed> {
        Ok((crate::telegram::RECIPE, vec![Secret::from(account.id.repeat(2))]))
    }
}

struct House {
    intake: Intake,
    records: Records,
    clock: Arc<ManualClock>,
}

fn id(text: &str) -> TenantId {
    text.parse().unwrap()
}

async fn house() -> House {
    let records = Records::in_memory();
    for tenant in ["a", "b"] {
        records.insert_tenant(&id(tenant), 1, Limits::default()).await.unwrap();
    }
    let clock = Arc::new(ManualClock::at(NOW));
    let same = Arc::clone(&clock);
    let intake = Intake::new(records.clone(), Arc::new(Fixed), same);
    House { intake, records, clock }
}

impl House {
    async fn account(&self, owner: Option<&str>, n: u8) -> AccountRow {
        let row = AccountRow {
            id: format!("cha_{n:016x}"),
            owner: owner.map(id),
            channel: "telegram".to_owned(),
            name: format!("bot{n}"),
            vendor: None,
            us: ("700".to_owned(), Some("helper_bot".to_owned())),
            fingerprint: [n; 32],
            path: Some(PathDigest(path_digest(&format!("{PATH}{n}")))),
            way: "webhook".to_owned(),
            server: None,
            policy: crate::testing::policy(),
            running: true,
            shut: None,
            created_at: 1,
        };
        assert_eq!(self.records.put_account(&row, None).await.unwrap(), AccountPut::Done);
        row
    }

    async fn request(&self, path: &str, secret: &str, body: &str) -> Result<Proven, Turned> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_str(secret).unwrap());
        let telegram = crate::adapter("telegram").unwrap();
        self.intake.request(telegram, path, &headers, body.as_bytes()).await
    }

    async fn said(&self, account: &AccountRow, user: u32, text: &str) -> Next {
        let event = format!(
            r#"{{"update_id":{user},"message":{{"message_id":1,"from":{{"id":{user},"is_bot":false,"first_name":"Ann"}},"chat":{{"id":{user},"type":"private"}},"text":"{text}"}}}}"#
        );
        let telegram = crate::adapter("telegram").unwrap();
        let next = self.intake.event(telegram, account, event.as_bytes()).await;
        next.unwrap().unwrap()
    }

    async fn give(&self, tenant: &str, account: &AccountRow) -> String {
        let (code, digest) = pairing::mint(pairing::GIVEN).unwrap();
        let row = CodeRow {
            account: account.id.clone(),
            digest,
            kind: PeerKind::User,
            agent: None,
            by: "tok_1".to_owned(),
            expires_at: self.clock.now() + pairing::GIVEN_MS,
        };
        assert!(self.records.put_code(&id(tenant), &row, self.clock.now()).await.unwrap());
        code.expose().to_owned()
    }
}

fn told(next: Next) -> Words {
    match next {
        Next::Tell(_, words) => words,
        Next::Nothing(_) | Next::Keep(_) => panic!("nothing is told: {next:?}"),
    }
}

fn tenant_of(next: &Next) -> &str {
    match next {
        Next::Keep(kept) => kept.turn.tenant.as_str(),
        Next::Nothing(_) | Next::Tell(..) => panic!("nothing is kept: {next:?}"),
    }
}

#[tokio::test]
async fn whoever_cannot_prove_it_learns_nothing() {
    let house = house().await;
    let (ours, theirs) = (house.account(Some("a"), 1).await, house.account(Some("b"), 2).await);
    let secret = ours.id.repeat(2);
    let path = format!("{PATH}1");
    let proven = house.request(&path, &secret, "{\"update_id\":1}").await.unwrap();
    assert_eq!(proven.account, ours);
    for (path, secret) in [
        (path.as_str(), "another secret of some length"),
        // The secret of one account is nothing at another's address.
        (path.as_str(), theirs.id.repeat(2).as_str()),
        ("s3cr3t-path2", secret.as_str()),
        ("no such path", secret.as_str()),
        ("", secret.as_str()),
    ] {
        let turned = house.request(path, secret, "{}").await.unwrap_err();
        assert_eq!(turned.reply(), Reply { status: 401, body: None }, "{path}");
    }
    let slack = crate::adapter("slack").unwrap();
    let turned = house.intake.request(slack, &path, &HeaderMap::new(), b"{}").await.unwrap_err();
    assert!(matches!(turned, Turned::Unknown), "another network's address: {turned}");
    let stopped = AccountRow { running: false, ..ours.clone() };
    house.records.put_account(&stopped, Some(&ours)).await.unwrap();
    let turned = house.request(&path, &secret, "{}").await.unwrap_err();
    assert_eq!(turned.reply().status, 401);
}

#[tokio::test]
async fn a_stranger_gets_nothing_but_the_answer_and_that_once() {
    let house = house().await;
    let bot = house.account(Some("a"), 1).await;
    let words = told(house.said(&bot, 42, "hi").await);
    let Words::Approve(code) = &words else { panic!("{words:?}") };
    assert!(words.text().contains(code.expose()));
    assert_eq!(house.said(&bot, 42, "hi?").await, Next::Nothing(Why::NotListed));
    // Three strangers, and many more, keep no other out.
    for user in 43..143 {
        assert!(matches!(told(house.said(&bot, user, "hi").await), Words::Approve(_)));
    }
    let last = told(house.said(&bot, 143, "hi").await);
    let Words::Approve(code) = &last else { panic!("{last:?}") };
    let digest = pairing::typed(&code.expose().to_lowercase()).unwrap();
    let by = ("tok_1", house.clock.now());
    let row = house.records.approve_request(&id("a"), &digest, by).await.unwrap().unwrap();
    assert_eq!((row.id.as_str(), row.proven), ("143", How::Approved));
    assert_eq!(tenant_of(&house.said(&bot, 143, "hi").await), "a");
    assert_eq!(house.said(&bot, 42, "hi").await, Next::Nothing(Why::NotListed));
}

#[tokio::test]
async fn a_code_brings_to_its_tenant_and_to_no_other() {
    let house = house().await;
    let bot = house.account(None, 1).await;
    assert_eq!(told(house.said(&bot, 42, "hi").await), Words::SendCode);
    let (of_a, of_b) = (house.give("a", &bot).await, house.give("b", &bot).await);
    assert_eq!(told(house.said(&bot, 42, &format!("/start {of_a}")).await), Words::Welcome);
    assert_eq!(tenant_of(&house.said(&bot, 42, "hi").await), "a");
    // Used up, and another's code is a message to the tenant whose they are.
    assert_eq!(told(house.said(&bot, 43, &of_a).await), Words::WrongCode);
    assert_eq!(tenant_of(&house.said(&bot, 42, &of_b).await), "a");
    assert_eq!(told(house.said(&bot, 43, &of_b).await), Words::Welcome);
    assert_eq!(tenant_of(&house.said(&bot, 43, "hi").await), "b");
    let late = house.give("a", &bot).await;
    house.clock.advance(pairing::GIVEN_MS);
    assert_eq!(told(house.said(&bot, 44, &late).await), Words::WrongCode);
}

#[tokio::test]
async fn codes_are_not_guessed() {
    let house = house().await;
    let bot = house.account(None, 1).await;
    let good = house.give("a", &bot).await;
    for _ in 0..5 {
        assert_eq!(told(house.said(&bot, 42, "ABCDEFGHJK").await), Words::WrongCode);
    }
    assert_eq!(house.said(&bot, 42, &good).await, Next::Nothing(Why::NotListed));
    assert_eq!(told(house.said(&bot, 43, &good).await), Words::Welcome, "another is not kept out");
}

#[tokio::test]
async fn a_code_at_a_tenants_own_account_is_that_tenants() {
    let house = house().await;
    let (bot, shared) = (house.account(Some("a"), 1).await, house.account(None, 2).await);
    // A code of another tenant's, at whatever account, lets nobody in here.
    let of_b = house.give("b", &shared).await;
    assert_eq!(told(house.said(&bot, 44, &of_b).await), Words::WrongCode);
    let of_a = house.give("a", &bot).await;
    assert_eq!(told(house.said(&shared, 44, &of_a).await), Words::WrongCode);
    assert_eq!(told(house.said(&bot, 44, &of_a).await), Words::Welcome);
    assert_eq!(tenant_of(&house.said(&bot, 44, "hi").await), "a");
}

#[tokio::test]
async fn what_cannot_be_read_is_said_to_be_so() {
    let house = house().await;
    let bot = house.account(Some("a"), 1).await;
    let telegram = crate::adapter("telegram").unwrap();
    let read = house.intake.event(telegram, &bot, b"{\"update_id\":\"x\"}").await.unwrap();
    read.unwrap_err();
    let next = house.intake.event(telegram, &bot, b"{\"update_id\":1}").await.unwrap();
    assert_eq!(next.unwrap(), Next::Nothing(Why::Nothing));
}
