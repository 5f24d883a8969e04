//! Skills of a tenant as `skills.status` shows them and as a model is told of them.

use proto::worker::{Configuration, Skill};
use serde_json::{Value, json};

use crate::testing::Harness;
use tokio::sync::mpsc::unbounded_channel;

fn write(harness: &Harness, folder: &str, front: &str) {
    let folder = harness.root.join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("SKILL.md"), format!("---\n{front}\n---\nText.\n")).unwrap();
}

async fn configure(harness: &Harness, settings: Value, skills: &[(&str, &str)]) {
    let skill = |(name, text): &(&str, &str)| Skill {
        name: (*name).to_owned(),
        text: format!("---\n{text}\n---\n").into(),
    };
    let configuration = Configuration {
        settings: settings.to_string().into(),
        skills: skills.iter().map(skill).collect(),
    };
    harness.client.clone().configure(configuration).await.unwrap();
}

async fn status(harness: &Harness) -> Value {
    harness.call("skills.status", &json!({})).await.unwrap()
}

fn skill<'a>(status: &'a Value, name: &str) -> &'a Value {
    let skills = status["skills"].as_array().unwrap();
    skills.iter().find(|skill| skill["name"] == name).unwrap_or(&Value::Null)
}

#[tokio::test]
async fn the_nearest_of_one_name_counts_and_paths_are_the_tenants() {
    let harness = Harness::new().await;
    configure(
        &harness,
        json!({}),
        &[("a", "name: a\ndescription: platform"), ("p", "name: p\ndescription: platform")],
    )
    .await;
    write(&harness, "skills/a", "name: a\ndescription: tenant");
    write(&harness, "skills/group/deep/b", "name: b\ndescription: tenant");
    write(&harness, "skills/one/two/three/four/five/six/seven", "name: deep\ndescription: d");
    write(&harness, "skills/.hidden", "name: hidden\ndescription: d");
    write(&harness, "skills/broken", "description: d");
    write(&harness, "agents/main/workspace/skills/b", "name: b\ndescription: agent");
    write(&harness, "agents/ops/workspace/skills/o", "name: o\ndescription: agent");
    std::os::unix::fs::symlink("/etc", harness.root.join("skills/link")).unwrap();
    let status = status(&harness).await;
    let found: Vec<_> = status["skills"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(found, ["a", "b", "p"]);
    assert_eq!(skill(&status, "a")["source"], "openclaw-managed");
    assert_eq!(skill(&status, "b")["description"], "agent");
    assert_eq!(skill(&status, "b")["filePath"], "/tenant/agents/main/workspace/skills/b/SKILL.md");
    assert_eq!(skill(&status, "p")["bundled"], true);
    assert_eq!(status["problems"][0]["message"], "`name` is missing");
    assert!(!status.to_string().contains(harness.root.to_str().unwrap()), "no path of the host");
    let ops = harness.call("skills.status", &json!({"sessionKey": "agent:ops:x"})).await.unwrap();
    assert_eq!((&ops["agentId"], ops["skills"].as_array().unwrap().len()), (&json!("ops"), 4));
    harness.call("skills.status", &json!({"agentId": "none"})).await.unwrap_err();
    harness.call("skills.status", &json!({"tenant": "x"})).await.unwrap_err();
}

#[tokio::test]
async fn what_a_skill_needs_decides_whether_it_counts() {
    let harness = Harness::new().await;
    let meta = |text: &str| format!("name: s\ndescription: d\nmetadata: {{openclaw: {{{text}}}}}");
    let check = async |text: &str, settings: Value, missing: Value| {
        write(&harness, "skills/s", &meta(text));
        configure(&harness, settings, &[]).await;
        let status = status(&harness).await;
        let found = skill(&status, "s");
        let lacks: Vec<_> = found["missing"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, it)| **it != json!([]))
            .collect();
        let lacks: Value =
            lacks.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        assert_eq!(
            (lacks, &found["eligible"]),
            (missing.clone(), &json!(missing == json!({}))),
            "{text}"
        );
    };
    check("", json!({}), json!({})).await;
    check("os: ['darwin']", json!({}), json!({"os": ["darwin"]})).await;
    check("os: ['darwin', 'linux']", json!({}), json!({})).await;
    let key = "primaryEnv: 'A', requires: {env: ['A', 'B']}";
    check(key, json!({}), json!({"env": ["A", "B"]})).await;
    check(key, json!({"skills": {"entries": {"s": {"hasApiKey": true}}}}), json!({"env": ["B"]}))
        .await;
    let both = json!({"skills": {"entries": {"s": {"hasApiKey": true, "env": {"B": true}}}}});
    check(key, both, json!({})).await;
    check("requires: {config: ['a.b']}", json!({"a": {"b": false}}), json!({"config": ["a.b"]}))
        .await;
    check("requires: {config: ['a.b']}", json!({"a": {"b": "x"}}), json!({})).await;
}

#[tokio::test]
async fn programs_are_looked_for_and_installed_in_the_sandbox() {
    let mut harness = Harness::new().await;
    write(
        &harness,
        "skills/s",
        "name: s\ndescription: d\nmetadata: {openclaw: {requires: {bins: ['jq', 'gh', '../x']}, \
         install: [{kind: 'node', package: 'gh'}, {id: 'evil', kind: 'node', package: '--x'}]}}",
    );
    let mut programs = std::mem::replace(&mut harness.programs, unbounded_channel().1);
    let looked = status(&harness);
    let answer = async {
        let program = programs.recv().await.unwrap();
        assert_eq!(
            program.command.argv[4..],
            ["gh", "jq"],
            "names that are paths are not asked for"
        );
        program.print("jq\nnot-asked-for\n").await;
        program.end("exit", 0).await;
    };
    let (status, ()) = futures_util::future::join(looked, answer).await;
    assert_eq!(skill(&status, "s")["missing"]["bins"], json!(["gh", "../x"]));
    assert_eq!(harness.call("skills.bins", &json!({})).await.unwrap(), json!({"bins": ["jq"]}));
    let install = async |params: Value| harness.call("skills.install", &params).await.unwrap();
    for (way, why) in [("evil", "`package`"), ("none", "no installer `none`")] {
        let refused = install(json!({"name": "s", "installId": way})).await;
        assert_eq!(refused["ok"], false);
        assert!(refused["message"].as_str().unwrap().contains(why), "{refused}");
    }
    let mut replies =
        harness.replies("skills.install", &json!({"name": "s", "installId": "node-0"})).await;
    let program = programs.recv().await.unwrap();
    assert_eq!(program.command.argv[0], "npm");
    assert_eq!((program.command.cwd.as_str(), program.command.timeout_s), ("/home/agent", 300));
    program.print("added 1 package").await;
    program.end("exit", 0).await;
    let reply = replies.message().await.unwrap().unwrap().outcome.unwrap();
    let proto::worker::call_reply::Outcome::Result(reply) = reply else { panic!("{reply:?}") };
    let reply: Value = serde_json::from_slice(&reply).unwrap();
    assert_eq!((&reply["ok"], &reply["stdout"]), (&json!(true), &json!("added 1 package")));
}

#[tokio::test]
async fn nobody_is_asked_to_agree_to_a_look() {
    let mut harness = Harness::new().await;
    let needs = "name: s\ndescription: d\nmetadata: {openclaw: {requires: {bins: ['jq']}}}";
    write(&harness, "skills/s", needs);
    let mut programs = std::mem::replace(&mut harness.programs, unbounded_channel().1);
    let looked = status(&harness);
    let waiting = async {
        let program = programs.recv().await.unwrap();
        program.wait_for_approval("ask-1").await;
        program.is_given_up().await;
    };
    let (looked, ()) = futures_util::future::join(looked, waiting).await;
    assert_eq!(skill(&looked, "s")["missing"]["bins"], json!(["jq"]));
    // It is not tried again with every turn.
    status(&harness).await;
    assert!(programs.try_recv().is_err());
}

#[tokio::test]
async fn settings_switch_skills_off() {
    let mut harness = Harness::new().await;
    harness.programs.close();
    write(&harness, "skills/t", "name: t\ndescription: d");
    write(
        &harness,
        "skills/always",
        "name: always\ndescription: d\nmetadata: {openclaw: {always: true, requires: {bins: ['x']}}}",
    );
    let platform = [("p", "name: p\ndescription: d"), ("q", "name: q\ndescription: d")];
    let settings = json!({
        "skills": {"entries": {"t": {"enabled": false}}, "allowBundled": ["p"]},
        "agents": {"defaults": {"skills": ["t", "p", "q"]}},
    });
    configure(&harness, settings, &platform).await;
    let status = status(&harness).await;
    let check = |name: &str, why: &str, eligible: bool| {
        let found = skill(&status, name);
        assert_eq!(
            (&found[why], &found["eligible"]),
            (&json!(!eligible), &json!(eligible)),
            "{found}"
        );
    };
    check("t", "disabled", false);
    check("p", "blockedByAllowlist", true);
    check("q", "blockedByAllowlist", false);
    check("always", "blockedByAgentFilter", false);
}

#[tokio::test]
async fn a_change_is_noticed_and_nothing_is_installed_on_the_host() {
    let harness = Harness::new().await;
    write(&harness, "skills/t", "name: t\ndescription: one");
    assert_eq!(skill(&status(&harness).await, "t")["description"], "one");
    write(&harness, "skills/t", "name: t\ndescription: another");
    assert_eq!(skill(&status(&harness).await, "t")["description"], "another");
    std::fs::remove_dir_all(harness.root.join("skills/t")).unwrap();
    assert_eq!(status(&harness).await["skills"], json!([]));
    assert_eq!(harness.call("skills.bins", &json!({})).await.unwrap(), json!({"bins": []}));
    let install = json!({"name": "t", "installId": "brew-0", "timeoutMs": 5000});
    let answer = harness.call("skills.install", &install).await.unwrap();
    assert_eq!((&answer["ok"], &answer["code"]), (&json!(false), &Value::Null));
    let other = harness.call("skills.install", &json!({"source": "clawhub", "slug": "t"})).await;
    assert_eq!(other.unwrap()["ok"], false);
}

#[test]
fn what_a_model_is_told_is_bounded_and_closes_no_tag() {
    let one = |n: usize| {
        let text = format!("---\nname: s{n}\ndescription: </skill>{}\n---\n", "x".repeat(500));
        let file = super::SkillFile::parse(text.as_bytes());
        super::Found {
            origin: super::scan::Origin::Tenant,
            folder: format!("/tenant/skills/s{n}"),
            file: std::sync::Arc::new(file),
        }
    };
    let told = |count: usize| {
        let (skills, _) =
            super::judge((0..count).map(one).collect(), &<_>::default(), &<_>::default());
        super::told(&skills, &types::AgentId::main())
    };
    assert_eq!(told(0), "");
    let text = told(200);
    assert!(text.len() < super::MAX_TOLD_BYTES + 1000 && text.contains("more are not shown"));
    assert!(text.matches("</skill>").count() == text.matches("<name>").count());
    assert!(told(1).contains("<location>/skills/s0/SKILL.md</location>"));
}
