//! What a worker that was taken over may send.

use prost::Message as _;
use proto::host::llm_client::LlmClient;
use proto::host::{EmbedRequest, LlmRequest, Message};
use runtime::Tasks;
use tokio_stream::StreamExt as _;
use tonic::Code;

use super::*;
use crate::llm::tests::{Act, Fake, intake, request};

const PATH: &str = "/openclawmu.host.v1.Llm/Stream";

/// The gRPC status of a call whose body begins with `begin` and then stalls, if there is one.
async fn stalled(intake: &Intake, begin: Vec<u8>) -> Option<Code> {
    let frame = Ok::<_, Infallible>(hyper::body::Frame::data(Bytes::from(begin)));
    let frames = tokio_stream::once(frame).chain(tokio_stream::pending());
    answered(intake, http_body_util::StreamBody::new(frames)).await
}

async fn answered<B>(intake: &Intake, body: B) -> Option<Code>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let request = http::Request::post(PATH).body(body).unwrap();
    let mut answer = intake.clone().call(request);
    let Poll::Ready(response) = futures_util::poll!(&mut answer) else {
        // Half a message keeps its room for as long as its call is there.
        Box::leak(Box::new(answer));
        return None;
    };
    let status = response.unwrap().headers().get("grpc-status")?.to_str().unwrap().parse();
    Some(Code::from_i32(status.unwrap()))
}

fn claiming(length: usize) -> Vec<u8> {
    let length = u32::try_from(length).unwrap();
    [&[0], length.to_be_bytes().as_slice(), b"x"].concat()
}

#[tokio::test]
async fn the_length_is_paid_for_before_the_message_is_there() {
    let tasks = Tasks::default();
    let fake = Fake::start([], &tasks).await;
    let intake = intake(&fake, &tasks);
    assert_eq!(stalled(&intake, claiming(MAX_MESSAGE + 1)).await, Some(Code::OutOfRange));
    for _ in 0..BUDGET / MAX_MESSAGE {
        assert_eq!(stalled(&intake, claiming(MAX_MESSAGE)).await, None);
    }
    assert_eq!(stalled(&intake, claiming(MAX_MESSAGE)).await, Some(Code::ResourceExhausted));
    // Small ones still find room.
    assert_eq!(stalled(&intake, claiming(1 << 10)).await, None);
}

#[tokio::test]
async fn a_call_is_one_message_of_the_length_that_it_claims() {
    let tasks = Tasks::default();
    let fake = Fake::start([], &tasks).await;
    let intake = intake(&fake, &tasks);
    assert_eq!(
        stalled(&intake, [claiming(1), vec![0]].concat()).await,
        Some(Code::InvalidArgument)
    );
    let short = Full::new(Bytes::from(claiming(2)));
    assert_eq!(answered(&intake, short).await, Some(Code::InvalidArgument));
    assert_eq!(answered(&intake, Full::new(Bytes::new())).await, Some(Code::InvalidArgument));
}

#[tokio::test]
async fn vectors_that_nobody_takes_let_no_more_be_made() {
    let tasks = Tasks::default();
    let vector = r#"{"data":[{"index":0,"embedding":[1,2]}]}"#;
    let acts = std::iter::repeat_with(|| Act::status(200, vector)).take(EMBEDS + 1);
    let fake = Fake::start(acts, &tasks).await;
    let intake = intake(&fake, &tasks);
    let asked = EmbedRequest {
        model: "m".to_owned(),
        input: vec!["x".to_owned()],
        dimensions: None,
        request_id: format!("req_{:032x}", 1),
        ..EmbedRequest::default()
    };
    let message = asked.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let message = [[0].as_slice(), &length, &message].concat();
    let embed = || {
        let body = Full::new(Bytes::from(message.clone()));
        let request = http::Request::post(EMBED).body(body).unwrap();
        intake.clone().call(request)
    };
    let mut untaken = Vec::new();
    for _ in 0..EMBEDS {
        untaken.push(embed().await.unwrap());
    }
    assert_eq!(intake.embeds.available_permits(), 0);
    let mut next = embed();
    assert!(futures_util::poll!(&mut next).is_pending());
    untaken.pop();
    // Whoever reads its answer to the end has it whole, and lets the next one be made.
    let read = next.await.unwrap().into_body().collect().await.unwrap();
    assert!(read.trailers().is_some_and(|it| it["grpc-status"] == "0"));
    assert_eq!((fake.seen().len(), intake.embeds.available_permits()), (EMBEDS + 1, 1));
}

#[tokio::test]
async fn the_room_of_a_call_is_given_back() {
    let tasks = Tasks::default();
    let fake = Fake::start([], &tasks).await;
    let intake = intake(&fake, &tasks);
    let mut client = LlmClient::new(intake.clone());
    let unknown = LlmRequest { model: "none".to_owned(), ..request(&"x".repeat(1 << 20)) };
    for _ in 0..(2 * BUDGET) >> 20 {
        let status = client.stream(unknown.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
    }
    assert_eq!(intake.budget.available_permits(), BUDGET);
}

#[tokio::test]
async fn a_hundred_thousand_empty_messages_are_not_decoded() {
    let tasks = Tasks::default();
    let fake = Fake::start([], &tasks).await;
    let mut client = LlmClient::new(intake(&fake, &tasks));
    let many = LlmRequest { messages: vec![Message::default(); 1 << 18], ..request("") };
    let status = client.stream(many).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(fake.seen().is_empty());
}
