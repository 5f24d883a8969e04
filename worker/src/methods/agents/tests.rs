//! `agents.*` as the supervisor calls them.

use proto::worker::Configuration;
use serde_json::{Value, json};

use crate::testing::Harness;

async fn fails(harness: &Harness, method: &str, params: Value, wanted: &str) {
    let told = harness.call(method, &params).await.unwrap_err();
    assert!(told.contains(wanted), "{method} {params}: {told}");
}

#[tokio::test]
async fn every_agent_is_listed_with_a_model() {
    let harness = Harness::new().await;
    let list = harness.call("agents.list", &json!({})).await.unwrap();
    assert_eq!((&list["defaultId"], &list["mainKey"]), (&json!("main"), &json!("main")));
    assert_eq!(list["agents"][0]["model"], json!({"primary": "mock/demo"}));
    let params = json!({"name": "Night Watch", "model": "mock/gpt-x", "emoji": "🦉",
        "avatar": "https://x.test/o.png", "workspace": "/etc"});
    let made = harness.call("agents.create", &params).await.unwrap();
    let workspace = "agents/night-watch/workspace";
    let wanted = json!({"ok": true, "agentId": "night-watch", "name": "Night Watch",
        "workspace": workspace, "model": "mock/gpt-x"});
    assert_eq!(made, wanted);
    let settings = json!({"agents": {"defaults": {"model":
        {"primary": "mock/gpt-x", "fallbacks": ["mock/demo"]}}}});
    let settings = settings.to_string().into();
    let configuration = Configuration { settings, ..Configuration::default() };
    harness.client.clone().configure(configuration).await.unwrap();
    let list = harness.call("agents.list", &json!({})).await.unwrap();
    let [main, night] = list["agents"].as_array().unwrap().as_slice() else { panic!("{list}") };
    let model = json!({"primary": "mock/gpt-x", "fallbacks": ["mock/demo"]});
    assert_eq!((&main["id"], &main["model"]), (&json!("main"), &model));
    assert_eq!((&night["id"], &night["workspace"]), (&json!("night-watch"), &json!(workspace)));
    let identity = json!({"name": "Night Watch", "emoji": "🦉", "avatar": "https://x.test/o.png",
        "avatarUrl": "https://x.test/o.png"});
    assert_eq!(night["identity"], identity);
}

#[tokio::test]
async fn agents_are_updated_and_deleted() {
    let harness = Harness::new().await;
    harness.call("agents.create", &json!({"name": "Ops"})).await.unwrap();
    let params = json!({"agentId": "OPS", "model": "mock/gpt-x", "emoji": "🛠"});
    assert_eq!(harness.call("agents.update", &params).await.unwrap()["agentId"], "ops");
    let params = json!({"agentId": "ops", "model": null, "emoji": ""});
    harness.call("agents.update", &params).await.unwrap();
    let list = harness.call("agents.list", &json!({})).await.unwrap();
    assert_eq!(list["agents"][1]["model"]["primary"], "mock/demo");
    assert_eq!(list["agents"][1]["identity"], json!({"name": "Ops"}));
    let removed = harness.call("agents.delete", &json!({"agentId": "ops"})).await.unwrap();
    let wanted = json!([{"path": "agents/ops", "method": "trash"}]);
    assert_eq!((&removed["removed"], &removed["removedBindings"]), (&wanted, &json!(0)));
    fails(&harness, "agents.delete", json!({"agentId": "ops"}), "unknown agent id").await;
    assert!(!harness.root.join("agents/ops").exists());
}

#[tokio::test]
async fn the_jobs_of_a_deleted_agent_go_with_it() {
    let harness = Harness::new().await;
    let mut events = harness.events().await;
    harness.call("agents.create", &json!({"name": "Ops"})).await.unwrap();
    let add = async |more: Value| {
        let mut job = json!({"name": "n", "schedule": {"kind": "every", "everyMs": 60_000},
            "sessionTarget": "isolated", "wakeMode": "now",
            "payload": {"kind": "agentTurn", "message": "m"}});
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        harness.call("cron.add", &job).await.unwrap()["id"].take()
    };
    let own = add(json!({"agentId": "ops"})).await;
    let its_session = add(json!({"sessionTarget": "session:agent:ops:x"})).await;
    let other = add(json!({"agentId": "main"})).await;
    harness.call("agents.delete", &json!({"agentId": "ops"})).await.unwrap();
    for id in [&own, &its_session] {
        events.next("cron", |it| it["action"] == "removed" && it["jobId"] == *id).await;
    }
    let list = harness.call("cron.list", &json!({"includeDisabled": true})).await.unwrap();
    assert_eq!((&list["total"], &list["jobs"][0]["id"]), (&json!(1), &other));
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_name() {
    let harness = Harness::new().await;
    let check = async |method, params, wanted| fails(&harness, method, params, wanted).await;
    check("agents.create", json!({"name": "Main"}), "\"main\" is reserved").await;
    check("agents.create", json!({"name": "!!"}), "name must hold").await;
    check("agents.create", json!({"name": "x".repeat(129)}), "1 to 128").await;
    check("agents.create", json!({"name": "x", "model": "no/such"}), "model not allowed").await;
    check("agents.create", json!({"name": "x", "emoji": "x".repeat(65)}), "emoji").await;
    check("agents.create", json!({"name": "x", "nope": 1}), "unknown field").await;
    check("agents.update", json!({"agentId": "x", "name": "y"}), "unknown agent id").await;
    check("agents.update", json!({"agentId": "../x"}), "unknown agent id").await;
    check("agents.delete", json!({"agentId": "main"}), "\"main\" cannot be deleted").await;
    check("agents.files.list", json!({"agentId": "x"}), "unknown agent id").await;
    let file = |name: &str| json!({"agentId": "main", "name": name});
    check("agents.files.get", file("../agent.json"), "unsupported file").await;
    check("agents.files.get", file("NOTES.md"), "unsupported file").await;
    let long = json!({"agentId": "main", "name": "SOUL.md", "content": "x".repeat(262_145)});
    check("agents.files.set", long, "is larger than 262144 bytes").await;
    let path = |path: &str| json!({"agentId": "main", "path": path});
    check("agents.workspace.get", path("../agent.json"), "relative to the workspace").await;
    check("agents.workspace.get", path("none.md"), "no such file").await;
    check("agents.workspace.list", path("none"), "no such folder").await;
}

#[tokio::test]
async fn files_are_listed_read_and_written() {
    let harness = Harness::new().await;
    let list = harness.call("agents.files.list", &json!({"agentId": "main"})).await.unwrap();
    assert_eq!(list["workspace"], "agents/main/workspace");
    let files = list["files"].as_array().unwrap();
    let boot = files.iter().find(|file| file["name"] == "BOOTSTRAP.md").unwrap();
    assert_eq!((&boot["missing"], &boot["expectedAbsent"]), (&json!(true), &json!(true)));
    let soul = files.iter().find(|file| file["name"] == "SOUL.md").unwrap();
    assert!(soul["missing"] == false && soul["size"].as_u64() > Some(0), "{soul}");
    assert!(soul.get("content").is_none());
    let params = json!({"agentId": "main", "name": "SOUL.md", "content": "Be calm.\n"});
    let saved = harness.call("agents.files.set", &params).await.unwrap();
    assert_eq!((&saved["ok"], &saved["file"]["size"]), (&json!(true), &json!(9)));
    let params = json!({"agentId": "main", "name": "SOUL.md"});
    let got = harness.call("agents.files.get", &params).await.unwrap();
    assert_eq!(got["file"]["content"], "Be calm.\n");
    assert_eq!(got["file"]["path"], "agents/main/workspace/SOUL.md");
    let params = json!({"agentId": "main", "name": "memory.md"});
    let got = harness.call("agents.files.get", &params).await.unwrap();
    assert_eq!(got["file"]["missing"], true);
}

#[tokio::test]
async fn a_planted_link_is_refused_everywhere() {
    let harness = Harness::new().await;
    harness.call("agents.files.list", &json!({"agentId": "main"})).await.unwrap();
    let workspace = harness.root.join("agents/main/workspace");
    let secret = harness.root.join("secret");
    std::fs::write(&secret, "s").unwrap();
    std::fs::remove_file(workspace.join("USER.md")).unwrap();
    std::os::unix::fs::symlink("../../../secret", workspace.join("USER.md")).unwrap();
    std::os::unix::fs::symlink("../../..", workspace.join("up")).unwrap();
    let check = async |method, params, wanted| fails(&harness, method, params, wanted).await;
    let user = json!({"agentId": "main", "name": "USER.md"});
    check("agents.files.get", user, "is not a regular file").await;
    let user = json!({"agentId": "main", "name": "USER.md", "content": "x"});
    check("agents.files.set", user, "is not a regular file").await;
    let path = |path: &str| json!({"agentId": "main", "path": path});
    check("agents.workspace.get", path("USER.md"), "is not a regular file").await;
    check("agents.workspace.get", path("up/secret"), "no such file").await;
    check("agents.workspace.list", path("up"), "no such folder").await;
    let list = harness.call("agents.workspace.list", &json!({"agentId": "main"})).await.unwrap();
    let names: Vec<_> = list["entries"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert!(!names.contains(&&json!("USER.md")) && !names.contains(&&json!("up")), "{names:?}");
    assert_eq!(std::fs::read_to_string(secret).unwrap(), "s");
}

#[tokio::test]
async fn a_workspace_can_be_looked_into() {
    let harness = Harness::new().await;
    harness.call("agents.files.list", &json!({"agentId": "main"})).await.unwrap();
    let folder = harness.root.join("agents/main/workspace/skills/a");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("b.png"), [0xff, 0xfe]).unwrap();
    let params = json!({"agentId": "main", "limit": 1});
    let list = harness.call("agents.workspace.list", &params).await.unwrap();
    assert_eq!(list["entries"][0]["name"], "skills");
    assert_eq!(list["entries"].as_array().unwrap().len(), 1);
    assert_eq!(list["totalEntries"], 8);
    let params = json!({"agentId": "main", "path": "skills/a"});
    let list = harness.call("agents.workspace.list", &params).await.unwrap();
    assert_eq!((&list["path"], &list["parentPath"]), (&json!("skills/a"), &json!("skills")));
    let params = json!({"agentId": "main", "path": "skills/a/b.png"});
    let file = harness.call("agents.workspace.get", &params).await.unwrap()["file"].take();
    assert_eq!((&file["encoding"], &file["content"]), (&json!("base64"), &json!("//4=")));
    assert_eq!((&file["mimeType"], &file["size"]), (&json!("image/png"), &json!(2)));
}

#[tokio::test]
async fn what_runs_ends_before_its_agent_is_gone() {
    let mut bench = crate::tools::testing::Bench::over(Harness::new().await);
    let made = json!({"name": "ops", "workspace": "x"});
    bench.harness.call("agents.create", &made).await.unwrap();
    let mut context = bench.context.clone();
    context.key = crate::agent::SessionKey::parse("agent:ops:main").unwrap();
    let asked = json!({"command": "sleep 9", "background": true});
    let started = crate::tools::testing::call(context, "exec", asked);
    let programs = &mut bench.harness.programs;
    let play = async {
        let program = programs.recv().await.unwrap();
        program.run().await;
        program
    };
    let (started, program) = tokio::join!(started, play);
    started.unwrap();
    let send = json!({"sessionKey": "agent:ops:main", "message": "go", "idempotencyKey": "r"});
    bench.harness.call("chat.send", &send).await.unwrap();
    let _asked = bench.harness.calls.recv().await.unwrap();
    bench.harness.call("agents.delete", &json!({"agentId": "ops"})).await.unwrap();
    assert!(!bench.harness.core.runs.has_turns("agent:ops:main"));
    program.is_given_up().await;
}
