//! Files that go out with an answer, as the supervisor asks for them.

use std::path::PathBuf;

use proto::worker::{OutboundRequest, WorkerEvent};
use tonic::Streaming;
use types::AgentId;

use super::*;

/// Where a file of the main agent's workspace is.
fn workspace(harness: &Harness, name: &str) -> PathBuf {
    harness.root.join(crate::agents::workspace_path(&AgentId::main())).join(name)
}

fn put(harness: &Harness, name: &str, bytes: &[u8]) {
    let path = workspace(harness, name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

async fn outbound(harness: &Harness, id: &str) -> Result<Vec<u8>, Code> {
    let request = OutboundRequest { id: id.to_owned() };
    let parts = harness.client.clone().outbound(request).await;
    let mut parts = parts.map_err(|status| status.code())?.into_inner();
    let mut bytes = Vec::new();
    while let Some(part) = parts.next().await {
        let data = part.unwrap().data;
        assert!(data.len() <= 256 << 10, "a part has its bound");
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

fn left(harness: &Harness) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(harness.root.join("outbound")) else { return Vec::new() };
    let name = |it: std::io::Result<std::fs::DirEntry>| it.unwrap().file_name().into_string();
    folder.map(|it| name(it).unwrap()).collect()
}

/// Says something, has the model answer, and waits until the run is dealt with.
async fn says(harness: &mut Harness, told: &mut Streaming<WorkerEvent>, id: &str, answer: &str) {
    hear(harness, event(id, "send it")).await.unwrap();
    let call = harness.calls.recv().await.unwrap();
    let asked = format!("{:?}", call.request.messages);
    assert!(asked.contains("MEDIA:") && asked.contains("10 MiB"), "the model is told: {asked}");
    let reply = call.open();
    reply.send(Ok(batch(vec![started(), text(answer), finished("stop")]))).await.unwrap();
    drop(reply);
    loop {
        if let Some(Told::Settled(settled)) = told.next().await.unwrap().unwrap().what {
            assert!(!settled.again, "{settled:?}");
            return;
        }
    }
}

#[tokio::test]
async fn a_file_is_sent_as_the_answer_meant_it() {
    let mut harness = Harness::new().await;
    let mut told = harness.told().await;
    let bytes: Vec<_> = (0..600_000_u32).map(|it| it.to_le_bytes()[0]).collect();
    put(&harness, "out/chart one.png", &bytes);
    says(&mut harness, &mut told, "e1", "Here:\nMEDIA:out/chart one.png\nSo.").await;
    let said = harness.letters.said();
    let file = "channel-e1.8.0";
    let want = format!(
        r#"{{"text":"","file":{{"id":"{file}","name":"chart one.png","mediaType":"image/png","size":600000}}}}"#
    );
    let (id, to, parts) = said.last().unwrap().clone();
    assert_eq!((id.as_str(), to.as_str(), parts), ("channel:e1.8", "sealed", vec![want]));
    assert_eq!(said.first().unwrap().2, [r#"{"text":"Here:\nSo."}"#], "the text comes before it");
    // What becomes of it in the workspace does not matter any more.
    std::fs::remove_file(workspace(&harness, "out/chart one.png")).unwrap();
    hear(&harness, event("e1", "send it")).await.unwrap();
    let next = Harness::on(harness.root.clone()).await;
    hear(&next, event("e1", "send it")).await.unwrap();
    assert!(outbound(&next, file).await.unwrap() == bytes, "another process has it");
    for none in ["", ".", "..", "../outbound/x", "channel-e1.8.1", "x", &"x".repeat(129)] {
        assert_eq!(outbound(&harness, none).await, Err(Code::NotFound), "{none}");
    }
    // It stays as long as it is waited for, and goes with the next answer after that.
    says(&mut harness, &mut told, "e2", "MEDIA:out/none").await;
    assert_eq!(left(&harness), [file]);
    harness.letters.bring();
    says(&mut harness, &mut told, "e3", "good bye").await;
    assert!(left(&harness).is_empty());
}

#[tokio::test]
async fn what_cannot_be_sent_is_said() {
    let mut harness = Harness::new().await;
    let mut told = harness.told().await;
    put(&harness, "big", &vec![0; (10 << 20) + 1]);
    put(&harness, "folder/x", b"x");
    put(&harness, "empty", b"");
    std::fs::write(harness.root.join("home/key"), "secret").unwrap();
    std::os::unix::fs::symlink("../../home/key", workspace(&harness, "link")).unwrap();
    nix::unistd::mkfifo(&workspace(&harness, "pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let paths =
        ["big", "folder", "empty", "/home/agent/key", "../../home/key", "link", "pipe", "none"];
    let answer = paths.map(|path| format!("MEDIA:{path}")).join("\n");
    says(&mut harness, &mut told, "e1", &answer).await;
    let said = harness.letters.said();
    let text = said.iter().map(|it| it.2.concat()).collect::<String>();
    assert!(left(&harness).is_empty() && !text.contains("file\":"), "{text}");
    assert_eq!(text.matches("could not be sent").count(), paths.len(), "{text}");
    for why in [
        "big could not be sent: ",
        "larger than 10485760 bytes",
        "not in the workspace",
        "is a link",
        "is not a regular file",
        "does not exist",
    ] {
        assert!(text.contains(why), "{why}: {text}");
    }
    put(&harness, "one", b"1");
    let many = ["MEDIA:one"; 9].join("\n");
    says(&mut harness, &mut told, "e2", &many).await;
    let said = harness.letters.said();
    let sent = said.last().unwrap().2.clone();
    assert_eq!(sent.len(), 8);
    assert!(
        sent[0].contains(r#""name":"one""#) && sent[7].contains(r#""name":"7-one""#),
        "{sent:?}"
    );
    assert!(said[said.len() - 2].2.concat().contains("8 are sent at once"));
    assert_eq!(left(&harness).len(), 8);
}

#[tokio::test]
async fn who_may_not_read_files_gives_none_away() {
    let mut harness = Harness::new().await;
    let rules = json!({"tools": {"deny": ["read"]}});
    harness.configure(&rules).await;
    put(&harness, "one", b"1");
    hear(&harness, event("e1", "send it")).await.unwrap();
    let (asked, said) = answered(&mut harness, "MEDIA:one", 1).await;
    assert!(!asked.contains("MEDIA:"), "{asked}");
    assert_eq!(said, [r#"{"text":"[one could not be sent: the agent may not read files.]"}"#]);
    assert!(left(&harness).is_empty());
}
