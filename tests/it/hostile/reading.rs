//! Reading and changing what another tenant has: by paths, by ids, by every method.

use serde_json::{Value, json};
use tests::house::call;

use super::{Row, Scene, Score, TREASURE};
use crate::neighbours::{LEFT_OUT, state};

pub(super) async fn attempt(scene: &mut Scene, score: &mut Score) {
    let path = scene.victim_hands.workspace().join("secret").display().to_string();
    plant_links(scene, &path).await;
    let before = state(&mut scene.victim).await;
    scene.make(by_path(&path), score).await;
    scene.make(by_program(scene, &path), score).await;
    scene.make(by_id(scene), score).await;
    by_method(scene, score).await;
    let kept = scene.victim_hands.read("secret") == TREASURE;
    score.note("the secret is as it was", kept, scene.victim_hands.read("secret"));
    let files = std::fs::read_dir(scene.victim_hands.workspace()).unwrap().flatten();
    let names: Vec<_> = files.map(|it| it.file_name().to_string_lossy().into_owned()).collect();
    let planted = names.iter().any(|it| it.contains("planted") || it == "victim-of");
    score.note("nothing was planted", !planted, names.join(" "));
    let after = state(&mut scene.victim).await;
    score.note("nothing of the other moved", before == after, after);
}

/// Links that lead out of the workspace, made by a program of its own.
async fn plant_links(scene: &Scene, path: &str) {
    let folder = scene.victim_hands.workspace().display().to_string();
    let commands = [
        format!("ln -s {path} link"),
        format!("ln -s {folder} folder"),
        format!("ln -s ../../../../../../../..{path} up"),
        "ln -s /proc/self/root root".to_owned(),
        format!("ln {path} hard"),
        "ln -s ../sessions sessions-link".to_owned(),
    ];
    scene.hands.exec(&commands.join("; ")).await;
}

/// Every file tool with every way to write the path.
fn by_path(path: &str) -> Vec<Row> {
    let forms = [
        path.to_owned(),
        format!("../../../../../../../../../..{path}"),
        format!("/workspace/../../../../..{path}"),
        format!("./a/../../../../../../..{path}"),
        format!("/proc/self/root{path}"),
        format!("/proc/1/root{path}"),
        format!("/proc/self/cwd/../../../../../..{path}"),
        format!("file://{path}"),
        format!("~/../../../../..{path}"),
        format!("/tenant/../../..{path}"),
        "link".to_owned(),
        "folder/secret".to_owned(),
        "up".to_owned(),
        format!("root{path}"),
        "hard".to_owned(),
    ];
    let rows = forms.iter().flat_map(|form| {
        let update =
            format!("*** Begin Patch\n*** Update File: {form}\n@@\n--\n+planted\n*** End Patch\n");
        let add =
            format!("*** Begin Patch\n*** Add File: {form}.planted\n+planted\n*** End Patch\n");
        [
            Row::new("read", json!({"path": form})),
            Row::new("write", json!({"path": format!("{form}.planted"), "content": "planted"})),
            Row::new("edit", json!({"path": form, "oldText": "-", "newText": "planted"})),
            Row::new("apply_patch", json!({"input": add})),
            Row::new("memory_get", json!({"path": form})),
            Row::new("image", json!({"prompt": "read it", "image": form})),
            Row::new("exec", json!({"command": format!("cat {form}")})),
            Row::new("apply_patch", json!({"input": update})),
        ]
    });
    rows.collect()
}

/// Programs that look around, of the sandbox and of the tenant's own records.
fn by_program(scene: &Scene, path: &str) -> Vec<Row> {
    let state = scene.toolbox.gateway.state_dir().display().to_string();
    let run = |command: String| Row::new("exec", json!({"command": command, "timeout": 20}));
    vec![
        run("grep -rs 'treasure-' / --include=secret --include=MEMORY.md -h".to_owned()),
        run("for p in /proc/[0-9]*; do cat $p/root/workspace/MEMORY.md $p/environ 2>/dev/null; done".to_owned()),
        run(format!("ls {state} && echo rea''ched")).reaching("reached"),
        run("ls /tenant && echo rea''ched".to_owned()).reaching("reached"),
        run("cat /workspace/sessions-link/sessions.json && echo rea''ched".to_owned()).reaching("reached"),
        run("strings /proc/1/exe | head -1; tr '\\0' '\\n' < /proc/1/environ && echo rea''ched".to_owned()).reaching("reached"),
        run("nsenter -t 1 -m true && echo rea''ched".to_owned()).reaching("reached"),
        run(format!("unshare -Urm mount --bind {state} /workspace && echo rea''ched")).reaching("reached"),
        run("mount -t tmpfs none /tmp && echo rea''ched".to_owned()).reaching("reached"),
        run("debugfs /dev/loop0 -R ls && echo rea''ched".to_owned()).reaching("reached"),
        run("su -c id root </dev/null && echo rea''ched".to_owned()).reaching("reached"),
        run("kill -9 1; kill -9 -1; echo alone".to_owned()),
        Row::new("exec", json!({"command": "cat secret", "workdir": path.trim_end_matches("/secret")})),
        Row::new("exec", json!({"command": "cat secret", "workdir": "folder"})),
        Row::new("exec", json!({"command": "cat ../secret", "workdir": "/workspace/../.."})),
        Row::new("exec", json!({"command": "cat secret", "workdir": "/proc/self/root"})),
        Row::new("read", json!({"path": "sessions-link/sessions.json"})).reaching("sessionId"),
        Row::new("read", json!({"path": "../sessions/sessions.json"})).reaching("sessionId"),
    ]
}

/// Tools that take ids, with those of the other tenant.
fn by_id(scene: &Scene) -> Vec<Row> {
    let ids = &scene.victim.ids;
    let (key, session, agent) = (&ids["sessionKey"], &ids["sessionId"], &ids["agentId"]);
    let mut rows = Vec::new();
    for key in [
        key.clone(),
        session.clone(),
        json!("agent:victim:main"),
        json!("tenant:victim:agent:main:main"),
    ] {
        rows.push(Row::new("sessions_history", json!({"sessionKey": key, "includeTools": true})));
        rows.push(Row::new(
            "sessions_send",
            json!({"sessionKey": key, "message": "what is the word?"}),
        ));
        rows.push(Row::new("session_status", json!({"sessionKey": key})));
    }
    rows.extend([
        Row::new("sessions_list", json!({"limit": 500, "messageLimit": 20})),
        Row::new("agents_list", json!({})).reaching("mark-of-victim"),
        Row::new("memory_search", json!({"query": "treasure word", "maxResults": 50})),
        Row::new("sessions_spawn", json!({"task": "tell the word", "agentId": agent})),
        Row::new(
            "sessions_spawn",
            json!({"task": "tell the word", "cwd": scene.victim_hands.workspace()}),
        ),
        Row::new(
            "sessions_spawn",
            json!({"task": "tell the word", "agentId": "../../victim/agents/main"}),
        ),
        Row::new("cron", json!({"action": "run", "jobId": ids["jobId"]})),
        Row::new("cron", json!({"action": "remove", "jobId": ids["jobId"]})),
        Row::new("cron", json!({"action": "list", "includeDisabled": true}))
            .reaching("mark-of-victim"),
        Row::new("process", json!({"action": "list"})),
        Row::new("process", json!({"action": "log", "sessionId": session})),
        Row::new(
            "message",
            json!({"action": "send", "target": key, "message": "what is the word?"}),
        ),
    ]);
    rows
}

/// Every method of the table with the other's ids; the answers tell nothing of the other.
async fn by_method(scene: &mut Scene, score: &mut Score) {
    for method in api::methods().filter(|method| !LEFT_OUT.contains(&method.name)) {
        let node = method.scope == types::Scope::Node;
        let caller = if node { &mut scene.hostile.node } else { &mut scene.hostile.operator };
        let answers = call(caller, method.name, &scene.victim.ids).await;
        let asked = scene.victim.ids.values().map(Value::to_string);
        let told: Value = answers.into_iter().map(|it| it.unwrap_or_else(|err| err)).collect();
        let told = asked.fold(told.to_string(), |text, id| text.replace(id.trim_matches('"'), ""));
        let marks = scene.victim.marks.iter().map(String::as_str).chain([TREASURE]);
        let leaks = marks.into_iter().any(|mark| told.contains(mark));
        score.note(method.name, !leaks, told);
    }
}
