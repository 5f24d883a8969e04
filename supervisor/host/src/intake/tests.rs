//! What a worker that was taken over may send.

use proto::host::llm_client::LlmClient;
use proto::host::{LlmRequest, Message};
use runtime::Tasks;
use tokio_stream::StreamExt as _;
use tonic::Code;

use super::*;
use crate::llm::tests::{Fake, intake, request};

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
