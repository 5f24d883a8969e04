//! Texts as vectors: what is sent, answered, refused and settled.

use proto::host::EmbedRequest;

use super::*;

fn asked(texts: &[&str]) -> EmbedRequest {
    EmbedRequest {
        model: "m".to_owned(),
        input: texts.iter().map(|text| (*text).to_owned()).collect(),
        dimensions: Some(2),
        request_id: format!("req_{:032x}", 1),
        ..EmbedRequest::default()
    }
}

const TWO: &str = r#"{"data":[{"index":1,"embedding":[3,4]},{"index":0,"embedding":[1,2]}],
    "usage":{"prompt_tokens":9,"total_tokens":9}}"#;

#[tokio::test]
async fn texts_are_sent_and_settled_over_a_kept_connection() {
    let tasks = Tasks::default();
    let fake = Fake::start([Act::status(200, TWO), Act::status(200, TWO)], &tasks).await;
    let bench = Setup::of(vec![provider("a", Kind::OpenAi, Some(&fake))]).bench(&tasks);
    for _ in 0..2 {
        let reply = bench.llm.vectors(&asked(&["x", "y"])).await.unwrap();
        let values: Vec<_> = reply.vectors.into_iter().map(|vector| vector.values).collect();
        assert_eq!(values, [[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!((reply.provider.as_str(), reply.usage), ("a", Some(usage(9, 0, 0))));
    }
    assert_eq!((bench.used(), fake.connections()), ((18, 0), 1));
    let seen = &fake.seen()[0];
    assert!(seen.head.starts_with("POST /v1/embeddings HTTP/1.1"), "{}", seen.head);
    assert_eq!(seen.body["input"], serde_json::json!(["x", "y"]));
    assert_eq!((&seen.body["dimensions"], &seen.body["model"]), (&2.into(), &"m".into()));
}

#[tokio::test]
async fn the_same_model_is_asked_again_and_no_other() {
    let tasks = Tasks::default();
    let broken = || Act::status(500, "{}");
    let first =
        Fake::start([broken(), Act::status(200, TWO), broken(), broken(), broken()], &tasks);
    let (first, other) = (first.await, Fake::start([], &tasks).await);
    let providers =
        vec![provider("a", Kind::OpenAi, Some(&first)), provider("b", Kind::OpenAi, Some(&other))];
    let bench = Setup::of(providers).bench(&tasks);
    bench.llm.vectors(&asked(&["x", "y"])).await.unwrap();
    let failed = bench.llm.vectors(&asked(&["x", "y"])).await.unwrap_err();
    assert_eq!(failed.code(), Code::Unavailable);
    assert_eq!((first.seen().len(), other.seen().len()), (5, 0));
    assert_eq!(bench.used(), (9, 0));
}

#[tokio::test]
async fn what_cannot_be_embedded_is_refused() {
    let tasks = Tasks::default();
    let fake = Fake::start([Act::status(200, r#"{"data":[]}"#)], &tasks).await;
    let providers = vec![
        provider("a", Kind::OpenAi, Some(&fake)),
        provider("c", Kind::Anthropic, Some(&fake)),
        provider("d", Kind::Demo, None),
    ];
    let bench = Setup::of(providers).bench(&tasks);
    let check = async |request: EmbedRequest, code: Code, why: &str| {
        let status = bench.llm.vectors(&request).await.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(why), "{status}");
    };
    let of = |model: &str| EmbedRequest { model: model.to_owned(), ..asked(&["x"]) };
    check(of("c/m"), Code::InvalidArgument, "makes no embeddings").await;
    check(of("none"), Code::NotFound, "no such model").await;
    check(asked(&[]), Code::InvalidArgument, "1 to 256").await;
    check(asked(&["x"; 257]), Code::InvalidArgument, "1 to 256").await;
    check(asked(&[&"x".repeat((1 << 20) + 1)]), Code::InvalidArgument, "bytes").await;
    let wide = EmbedRequest { dimensions: Some(8193), ..asked(&["x"]) };
    check(wide, Code::InvalidArgument, "numbers").await;
    let many = EmbedRequest { dimensions: Some(8192), ..asked(&["x"; 129]) };
    check(many, Code::InvalidArgument, "more than 1048576 numbers").await;
    let unnamed = EmbedRequest { request_id: "x".to_owned(), ..asked(&["x"]) };
    check(unnamed, Code::InvalidArgument, "request id").await;
    assert_eq!((fake.seen().len(), bench.used()), (0, (0, 0)));
    check(asked(&["x"]), Code::Unavailable, "cannot be read").await;
    let demo = bench.llm.vectors(&of("d/m")).await.unwrap();
    assert_eq!((demo.vectors[0].values.len(), demo.provider.as_str()), (2, "d"));
}

#[tokio::test]
async fn limits_hold_for_embeddings() {
    let tasks = Tasks::default();
    let limits = Limits { tokens_per_day: Some(10), ..Limits::default() };
    let setup = Setup::of(vec![provider("d", Kind::Demo, None)]);
    let bench = Setup { limits, ..setup }.bench(&tasks);
    let status = bench.llm.vectors(&asked(&[&"x".repeat(100)])).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    bench.llm.vectors(&asked(&["x"])).await.unwrap();
}

#[tokio::test]
async fn a_worker_reaches_it_through_the_intake() {
    use proto::host::llm_client::LlmClient;

    let tasks = Tasks::default();
    let fake = Fake::start([Act::status(200, TWO)], &tasks).await;
    let mut client = LlmClient::new(intake(&fake, &tasks));
    // A text whose bytes are no message.
    let reply = client.embed(asked(&["\u{1f}\u{7f}", "y"])).await.unwrap();
    assert_eq!(reply.into_inner().vectors.len(), 2);
}
