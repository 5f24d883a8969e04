//! Files that an answer names: from the agent's workspace to whoever reads the answer, after its text; and what is
//! said of those that do not go.

mod refused;

use serde_json::json;
use tests::provider::{Step, play};
use tests::telegram::Fault;

use super::ground::{place, workspace};
use super::house::{House, until};
use super::kills::rows::{self, Net};
use super::kills::{Scene, in_talk, saying};
use crate::delivery::seen::{rpc, settled};

/// What is in a file: also what could end it, wherever it is put.
const CONTENT: &[u8] = b"\x00\xff\r\n--a file\r\n\r\n";

/// How many copies there are of files that wait to be sent.
fn aside(gateway: &tests::Gateway, tenant: &tests::Tenant) -> usize {
    let files = std::fs::read_dir(gateway.root(tenant).join("outbound"));
    files.map_or(0, |it| it.filter(|file| file.as_ref().unwrap().path().is_file()).count())
}

async fn it_arrives_after_the_text<N: Net>() {
    let mut scene = Scene::<N>::set().await;
    let name = in_talk("report.txt", 0);
    scene.ground.place(&scene.tenants[0], &name, CONTENT).await;
    scene.say(saying, "here it is\nMEDIA:report.txt").await;
    let mut wanted = vec!["here it is".to_owned(), name];
    scene.shows_in(0, &wanted).await;
    scene.is_over(false).await;
    assert!(scene.net.files(0).await == [CONTENT], "it is not as it was");
    // Its copy is kept until nothing of it is to be sent, and goes with the next answer.
    scene.say(saying, "and on").await;
    wanted.push(in_talk("and on", 0));
    scene.shows_in(0, &wanted).await;
    let (gateway, tenant) = (&scene.ground.gateway, &scene.tenants[0]);
    until("the copy is gone", || aside(gateway, tenant) == 0).await;
}

macro_rules! over {
    ($($name:ident)*) => {
        mod arrives_after_the_text {
            use super::rows;

            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::it_arrives_after_the_text::<rows::$name::Row>().await;
            })*
        }
    };
}

over!(discord matrix slack_events slack_socket telegram webchat webhook);

#[tokio::test(flavor = "multi_thread")]
async fn irc_takes_none_and_says_so() {
    let mut scene = Scene::<rows::irc::Row>::set().await;
    scene.ground.place(&scene.tenants[0], &in_talk("report.txt", 0), CONTENT).await;
    scene.say(saying, "here it is\nMEDIA:report.txt").await;
    let note = "[report.txt 0 could not be sent: IRC takes no files.]";
    scene.shows_in(0, &["here it is".to_owned(), note.to_owned()]).await;
    scene.is_over(false).await;
    assert_eq!(aside(&scene.ground.gateway, &scene.tenants[0]), 0);
}

/// A bot to which everybody may write, and what its session is called.
async fn bot(model: &str) -> (House, tests::Tenant, String) {
    let house = House::build().await;
    let (tenant, token) = (house.gateway.tenant("acme"), house.telegram.bot(700, "helper_bot"));
    house.add(&["acme"], &token, &["--dm-policy", "open"]);
    let model = json!({"key": "agent:main:telegram:bot:direct:7", "model": model});
    rpc(&house.gateway, &tenant, "sessions.patch", model).await;
    (house, tenant, token)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_model_writes_it_can_send() {
    let (house, tenant, token) = bot("test/script").await;
    let write = json!({"path": "out/table.csv", "content": "a;b\n1;2\n"});
    let steps = [Step::call("write", write), Step::say("done\nMEDIA:/workspace/out/table.csv")];
    house.telegram.write(&token, 7, &play(&steps));
    house.shows(&token, 7, &["done", ""]).await;
    let files = house.telegram.files(&token, 7);
    let [file] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!((file.name.as_str(), file.media_type.as_str()), ("table.csv", "text/csv"));
    assert_eq!(file.content, b"a;b\n1;2\n");
    let replies: Vec<_> = house.telegram.sent(&token).iter().map(|it| it.reply).collect();
    assert!(replies[0].is_some(), "{replies:?}");
    settled(&house.gateway, &tenant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_one_where_the_network_takes_it_and_what_is_sent_is_what_was_meant() {
    let (house, tenant, token) = bot("test/bill").await;
    let picture = b"\x89PNG\r\n\x1a\nand so on";
    place(&house.gateway, &tenant, "a.png", picture).await;
    place(&house.gateway, &tenant, "b.png", CONTENT).await;
    house.telegram.fault(&token, 7, Fault::Wait(3));
    house.telegram.write(&token, 7, &saying("MEDIA:a.png\nMEDIA:b.png"));
    until("it is tried", || house.telegram.attempts(&token) == 1).await;
    // Both wait, and what becomes of them in the workspace is nothing to them.
    assert_eq!(aside(&house.gateway, &tenant), 2);
    std::fs::write(workspace(&house.gateway, &tenant).join("a.png"), b"another").unwrap();
    std::fs::remove_file(workspace(&house.gateway, &tenant).join("b.png")).unwrap();
    house.shows(&token, 7, &["", ""]).await;
    let files = house.telegram.files(&token, 7);
    assert!(files[0].is_picture && files[0].content == picture, "{files:?}");
    assert!(!files[1].is_picture && files[1].content == CONTENT, "{files:?}");
    assert_eq!(house.telegram.attempts(&token), 4, "one waits, one is no picture");
    settled(&house.gateway, &tenant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_file_arrives() {
    let (house, tenant, token) = bot("test/bill").await;
    let mut content = vec![b'-'; 10 << 20];
    content[..4].copy_from_slice(b"\r\n--");
    place(&house.gateway, &tenant, "large.bin", &content).await;
    house.telegram.write(&token, 7, &saying("MEDIA:large.bin"));
    house.shows(&token, 7, &[""]).await;
    assert!(house.telegram.files(&token, 7)[0].content == content, "it is not as it was");
    settled(&house.gateway, &tenant).await;
}
