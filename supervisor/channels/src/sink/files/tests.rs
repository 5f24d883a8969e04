//! What becomes of a file whose steps a network answers in one way or another.

use delivery::outbox::{Part, Sink as _};
use networks::{Network, Us};

use super::super::tests::target;
use super::*;
use crate::adapter::{Adapter, Method, Proof, Sending};
use crate::facts::{Facts, Unreadable};
use crate::sink::Shared;
use crate::testing::{House, NOW, account, answered};

/// A network where a file is announced, tried in one form, and sent in another.
#[derive(Debug)]
struct Steps;

fn call(path: &str) -> Call {
    let (method, proof) = (Method::Post, Proof::Nothing);
    Call { method, path: path.to_owned(), body: b"{}".to_vec(), proof }
}

impl Adapter for Steps {
    fn network(&self) -> &'static Network {
        crate::known("telegram")
    }

    fn facts(&self, _event: &[u8], _us: Us<'_>) -> Result<Facts, Unreadable> {
        Err(Unreadable::Missing("event"))
    }

    fn send(&self, _letter: Letter<'_>) -> Sending {
        Sending::Never
    }

    fn upload(&self, letter: Letter<'_>, _file: Enclosed<'_>, before: &[Vec<u8>]) -> Step {
        let form = || Carries::Form(vec![("key", letter.key.to_owned())], "file");
        match before {
            [] => Step::Before(call("/announce"), Carries::Own),
            [announced, ..] if announced == b"never" => Step::Before(call("/again"), Carries::Own),
            [_] => Step::Try(call("/small"), form()),
            [_, _, ..] => Step::Last(call("/large"), Carries::File),
        }
    }

    fn outcome(&self, answer: Answer<'_>) -> Outcome {
        crate::telegram::Telegram.outcome(answer)
    }
}

struct Scene {
    house: House,
    sink: Sink,
    place: String,
}

impl Scene {
    async fn new() -> Self {
        let house = House::new().await;
        let bot = house.put(account(Some("a"), "telegram")).await;
        let shared = Shared::new(house.records.clone(), house.held(), house.held(), house.time());
        let sink = Sink::new("a".parse().unwrap(), &Steps, std::sync::Arc::new(shared));
        Self { place: target(&bot, None), house, sink }
    }

    /// What becomes of a file of so many bytes, and what was called for it.
    async fn send(
        &self,
        size: u64,
        answers: impl IntoIterator<Item = Called>,
    ) -> (Fate, Vec<String>) {
        self.house.answers(answers);
        let file = serde_json::json!({"id": "f.0", "name": "a.png", "mediaType": "image/png", "size": size});
        let content = serde_json::json!({"text": "", "file": file}).to_string();
        let (place, content) = (self.place.as_str(), content.as_bytes());
        let part = Part { place, key: "k-0", content, since: NOW, tried: NOW, over: None };
        let fate = self.sink.send(part).await;
        let paths = self.house.calls().into_iter().map(|call| {
            let mut words = call.split(' ');
            words.nth(1).unwrap_or_default().to_owned()
        });
        (fate, paths.collect())
    }
}

fn ok() -> Called {
    answered(200, r#"{"ok":true,"result":{"message_id":1}}"#)
}

fn refused() -> Called {
    answered(400, r#"{"ok":false,"description":"no"}"#)
}

#[tokio::test(start_paused = true)]
async fn a_file_goes_by_the_steps_that_its_network_has() {
    let scene = Scene::new().await;
    let sent = Fate::Sent(Some("1".to_owned()));
    let (fate, calls) = scene.send(3, [ok(), ok()]).await;
    assert_eq!(
        (fate, calls),
        (sent.clone(), ["a", "/announce", "/small"].map(str::to_owned).into())
    );
    let (fate, calls) = scene.send(3, [ok(), refused(), ok()]).await;
    assert_eq!(fate, sent);
    assert_eq!(calls, ["a", "/announce", "/small", "/large"]);
    let (fate, _) = scene.send(3, [ok(), refused(), refused()]).await;
    assert_eq!(fate, Fate::Failed("no".to_owned()));
    let (fate, calls) = scene.send(3, (0..20).map(|_| answered(200, "never"))).await;
    assert!(matches!(fate, Fate::Failed(why) if why.contains("too many steps")));
    assert_eq!(calls.len(), 1 + MAX_STEPS);
}

#[tokio::test(start_paused = true)]
async fn only_what_may_be_seen_is_unknown() {
    let scene = Scene::new().await;
    let unknown = || Called::Unknown("cut".to_owned());
    let check = |answers: Vec<Called>, want: Fate| {
        let scene = &scene;
        async move {
            let (fate, _) = scene.send(3, answers.clone()).await;
            assert_eq!(fate, want, "{answers:?}");
        }
    };
    check(vec![unknown()], Fate::Retry("cut".to_owned())).await;
    check(vec![ok(), unknown()], Fate::Unknown("cut".to_owned())).await;
    check(vec![ok(), refused(), unknown()], Fate::Unknown("cut".to_owned())).await;
    check(vec![Called::Unsent("away".to_owned())], Fate::Retry("away".to_owned())).await;
    check(vec![refused()], Fate::Failed("no".to_owned())).await;
    let (fate, _) = scene.send(3, [answered(502, "proxy")]).await;
    assert!(matches!(fate, Fate::Retry(_)), "nothing was seen of it: {fate:?}");
    let (fate, _) = scene.send(3, [ok(), answered(502, "proxy")]).await;
    assert!(matches!(fate, Fate::Unknown(_)), "{fate:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_or_too_large_is_not_sent() {
    let scene = Scene::new().await;
    let most = crate::known("telegram").is.media.outward;
    let (fate, calls) = scene.send(most + 1, []).await;
    assert!(matches!(fate, Fate::Failed(why) if why.contains("at most")));
    assert!(calls.is_empty(), "the worker is not asked");
    let ways = [
        (NotHad::Never("gone".to_owned()), Fate::Failed("gone".to_owned())),
        (NotHad::Away("asleep".to_owned()), Fate::Retry("asleep".to_owned())),
        (NotHad::Busy(700), Fate::Wait(700, "other files are sent".to_owned())),
    ];
    for (not_had, want) in ways {
        *scene.house.far.not_had.lock().unwrap() = Some(not_had);
        let (fate, calls) = scene.send(3, []).await;
        assert_eq!((fate, calls.len()), (want, 1), "nothing is called");
    }
}
