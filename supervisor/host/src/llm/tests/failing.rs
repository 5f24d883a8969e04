//! Providers that fail: who is asked next, what the tenant is told, and what no log may hold.

use std::io::Write;

use super::*;

/// Milliseconds for time-outs: long enough for a loaded machine to answer on loopback when it does.
const SHORT: Duration = Duration::from_millis(400);

/// What `first` does, then how often either provider was asked, and how it ended.
async fn check(first: Vec<Act>, asked: (usize, usize), want: Result<&str, Code>) {
    let tasks = Tasks::default();
    let one = Fake::start(first, &tasks).await;
    let other = Fake::start([hello()], &tasks).await;
    let providers =
        vec![provider("a", Kind::OpenAi, Some(&one)), provider("b", Kind::OpenAi, Some(&other))];
    let timeouts = Timeouts { first_byte: SHORT, idle: SHORT, ..Timeouts::default() };
    let bench = Setup { timeouts, ..Setup::of(providers) }.bench(&tasks);
    let answer = bench.ask(&request("hello")).await;
    let found = answer.as_ref().map(|events| read(events).0).map_err(Status::code);
    assert_eq!(found, want.map(ToOwned::to_owned));
    assert_eq!((one.seen().len(), other.seen().len()), asked);
}

fn status(status: u16) -> Act {
    Act::status(status, "{\"error\":{\"message\":\"no\"}}")
}

#[tokio::test]
async fn who_is_asked_after_a_failure() {
    let there = Ok("Hi there");
    check(vec![hello()], (1, 0), there).await;
    check(vec![status(500), hello()], (2, 0), there).await;
    check(vec![status(529), status(503), hello()], (3, 0), there).await;
    check(vec![status(500), status(500), status(500)], (3, 1), there).await;
    check(vec![status(429), hello()], (2, 0), there).await;
    check(vec![status(429).header("retry-after: 1"), hello()], (2, 0), there).await;
    check(vec![status(429).header("retry-after: 60")], (1, 1), there).await;
    check(vec![status(401)], (1, 1), there).await;
    check(vec![status(403)], (1, 1), there).await;
    check(vec![status(404)], (1, 1), there).await;
    check(vec![status(302).header("location: http://127.0.0.1:1/")], (1, 1), there).await;
    check(vec![status(400)], (1, 0), Err(Code::InvalidArgument)).await;
    check(vec![status(413)], (1, 0), Err(Code::InvalidArgument)).await;
    check(vec![status(422)], (1, 0), Err(Code::InvalidArgument)).await;
    check(vec![Act::status(200, "{}")], (1, 1), there).await;
    check(vec![Act::events(&["data: {\n\n"])], (1, 1), there).await;
    check(vec![Act::events(&["data: {\"error\":{}}\n\n"]), hello()], (2, 0), there).await;
    check(vec![Act::events(&[]), hello()], (2, 0), there).await;
    check(vec![Act::events(&[]).end(End::Cut), hello()], (2, 0), there).await;
    check(vec![Act::silence()], (1, 1), there).await;
    check(vec![Act::events(&[": ping\n\n"]).end(End::Hang)], (1, 1), there).await;
}

#[tokio::test]
async fn nobody_is_asked_once_something_was_streamed() {
    let said = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    let bad = "data: {\n\n";
    check(vec![Act::events(&[said])], (1, 0), Err(Code::Unavailable)).await;
    check(vec![Act::events(&[said]).end(End::Cut)], (1, 0), Err(Code::Unavailable)).await;
    check(vec![Act::events(&[said, bad])], (1, 0), Err(Code::Unavailable)).await;
    check(vec![Act::events(&[&[said, bad].concat()])], (1, 0), Err(Code::Unavailable)).await;
    check(vec![Act::events(&[said]).end(End::Hang)], (1, 0), Err(Code::DeadlineExceeded)).await;
}

/// What a lone provider's failure is to the tenant.
async fn told(act: Act) -> (Status, (u64, u64)) {
    let tasks = Tasks::default();
    let fake = Fake::start(std::iter::repeat_n(act, 3), &tasks).await;
    let timeouts = Timeouts { first_byte: SHORT, idle: SHORT, ..Timeouts::default() };
    let setup = Setup::of(vec![provider("a", Kind::OpenAi, Some(&fake))]);
    let bench = Setup { timeouts, ..setup }.bench(&tasks);
    let status = bench.ask(&request("hello")).await.unwrap_err();
    (status, bench.used())
}

#[tokio::test]
async fn what_the_tenant_is_told_and_what_it_pays() {
    let check = async |act: Act, code: Code, retry: Option<&str>, free: bool| {
        let (status, used) = told(act).await;
        assert_eq!(status.code(), code);
        let after = status.metadata().get("retry-after").map(|it| it.to_str().unwrap());
        assert_eq!(after, retry);
        assert_eq!(used == (0, 0), free, "{used:?}");
    };
    let busy = status(429).header("retry-after: 60");
    check(busy, Code::ResourceExhausted, Some("60"), true).await;
    check(status(429), Code::ResourceExhausted, Some("5"), true).await;
    check(status(500), Code::Unavailable, None, true).await;
    check(status(401), Code::Unavailable, None, true).await;
    check(status(400), Code::InvalidArgument, None, true).await;
    check(status(404), Code::NotFound, None, true).await;
    check(Act::silence(), Code::DeadlineExceeded, None, false).await;
    check(Act::events(&[]).end(End::Cut), Code::Unavailable, None, false).await;
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_error_and_no_log_shows_the_key() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let quoting = |status| {
        let body = format!("{{\"error\":{{\"message\":\"Incorrect key {KEY} given\"}}}}");
        Act::status(status, &body)
    };
    for code in [400, 401, 403, 404, 422, 429, 500] {
        let (status, _) = told(quoting(code)).await;
        let shown = format!("{status:?} {status}");
        assert!(!shown.contains("sk-canar"), "{shown}");
    }
    let piece = "canary-012";
    let (status, _) = told(Act::status(400, &format!("{{\"error\":\"{piece}\"}}"))).await;
    assert!(!status.message().contains(piece));
    let (status, _) = told(Act::status(400, "{\"error\":\"too many\\nmessages\"}")).await;
    assert_eq!(status.message(), "too many messages");
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("a model call failed"), "{log}");
    assert!(!log.contains(KEY), "{log}");
}

#[tokio::test]
async fn a_message_of_a_provider_is_bounded() {
    let body = format!("{{\"error\":{{\"message\":\"{}\"}}}}", "é".repeat(10_000));
    let (status, _) = told(Act::status(400, &body)).await;
    assert_eq!(status.message().chars().count(), 500);
    let endless = Act::status(400, &"x".repeat(1 << 20));
    assert_eq!(told(endless).await.0.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_provider_that_nobody_listens_at_is_unavailable() {
    let tasks = Tasks::default();
    let mut gone = provider("a", Kind::OpenAi, None);
    gone.base_url = "http://127.0.0.1:1/v1".to_owned();
    let bench = Setup::of(vec![gone]).bench(&tasks);
    let status = bench.ask(&request("hello")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(bench.used(), (0, 0));
}
