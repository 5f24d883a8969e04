//! Discord's counterpart against discord.py, and what the library does not show.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tests::networks::discord::{Bot, Discord, HEARTBEAT};
use tests::networks::{Came, Failure, Receiver, Says, Script};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

const MESSAGES: &str = "POST /channels/*/messages";

#[tokio::test(flavor = "multi_thread")]
async fn it_is_as_discord_py_expects() {
    let discord = Discord::start().await;
    let bot = discord.bot("helper");
    let room = bot.channel(&bot.guild("house"), "garden");
    let (ann, bob) = (bot.person("ann"), bot.person("bob"));
    let direct = bot.direct(&ann);
    // What it was before anybody came is not told.
    let other = bot.say(&room, &bob, "before");
    let (time, body) = ("1700000000", r#"{"type":1,"text":"ünïcode ☂"}"#);
    let signed = json!({"time": time, "body": body, "signature": bot.signature(time, body)});
    let args = json!({
        "root": discord.root(), "gateway": discord.gateway(), "token": bot.token(), "id": bot.id(),
        "key": bot.public_key(), "signed": signed, "room": room, "person": ann, "direct": direct,
        "other": other,
    });
    bot.limit((1000, Duration::from_secs(1)), 1000);
    let mut script = Script::start("discord_check.py", &args);
    script.at("ready").await;
    let first = bot.say(&room, &ann, "hello");
    bot.say(&direct, &ann, &format!("<@{}> hello", bot.id()));
    bot.answer(&room, &first, &bob, "good day");
    bot.bring(&room, &ann, "look", ("a.txt", "text/plain", b"of use"));
    script.go_on(&json!(null));
    script.at("edit").await;
    bot.edit(&room, &first, "better");
    bot.remove(&room, &first);
    script.go_on(&json!(null));
    script.at("rest").await;
    script.go_on(&json!(null));
    limits(&bot, &mut script, &room).await;
    sessions(&discord, &bot, &mut script, (&room, &ann)).await;
    let asked = interactions(&bot, &mut script, (&room, &ann)).await;
    println!("{} checks of discord.py", script.done().await);
    assert_eq!(asked, 2);
    bot.has_connected(0).await;
}

async fn limits(bot: &Bot, script: &mut Script, room: &str) {
    script.at("limit").await;
    let (soon, said) = (Duration::from_millis(300), bot.said(room).len());
    for scope in ["user", "global"] {
        bot.fail(MESSAGES, &Bot::too_many(soon, scope), 1);
    }
    script.go_on(&json!(null));
    script.at("shut").await;
    assert_eq!(bot.said(room).len(), said + 1, "once");
    bot.fail(MESSAGES, &Bot::shut_out(60), 1);
    bot.fail(MESSAGES, &Failure::CutWithin, 1);
    script.go_on(&json!(null));
    script.at("bucket").await;
    assert_eq!(bot.said(room).len(), said + 2, "the last was done");
    bot.limit((3, Duration::from_secs(1)), 1000);
    script.go_on(&json!(null));
}

async fn sessions(discord: &Discord, bot: &Bot, script: &mut Script, (room, ann): (&str, &str)) {
    script.at("close").await;
    // What is said behind the end of a connection is not heard through it.
    bot.close(4000, "Unknown error.");
    bot.say(room, ann, "missed");
    script.go_on(&json!(null));
    script.at("reconnect").await;
    bot.reconnect();
    script.go_on(&json!(null));
    script.at("cut").await;
    discord.heartbeat(Duration::from_secs(1));
    bot.cut();
    script.go_on(&json!(null));
    script.at("silent").await;
    bot.deafen(true);
    discord.heartbeat(HEARTBEAT);
    script.go_on(&json!(null));
    script.at("invalidate").await;
    bot.deafen(false);
    bot.invalidate(false);
    script.go_on(&json!(null));
    script.at("told").await;
    assert_eq!(bot.sessions().0, 2);
    bot.say(room, ann, "there again");
    script.go_on(&json!(null));
}

async fn interactions(bot: &Bot, script: &mut Script, (room, ann): (&str, &str)) -> usize {
    script.at("command").await;
    let status = bot.command(room, ann, "status", &[("what", "the weather")]);
    bot.is_answered(&status).await;
    let slow = bot.command(room, ann, "slow", &[]);
    script.go_on(&json!(null));
    script.at("end").await;
    script.go_on(&json!(null));
    let seen = [bot.seen(&status), bot.seen(&slow)];
    assert_eq!([seen[0].kind, seen[1].kind], [Some(4), Some(5)]);
    seen.iter().filter(|it| it.original.is_some()).count()
}

/// Bytes of hexadecimal digits; none where they are no such digits.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().collect();
    let pairs = digits.chunks(2).map(|it| u8::from_str_radix(&it.iter().collect::<String>(), 16));
    pairs.collect::<Result<_, _>>().unwrap_or_default()
}

/// Answers as a bot does that verifies: pings, and nothing that is not signed.
fn verifying(key: &str) -> impl Fn(&Came) -> Says + use<> {
    let key = bytes(key);
    move |came| {
        let message = [came.header("x-signature-timestamp"), &came.text()].concat();
        let given = bytes(came.header("x-signature-ed25519"));
        let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, &key);
        if key.verify(message.as_bytes(), &given).is_err() {
            return Says::new(401, "invalid request signature");
        }
        let body = match came.json()["type"].as_u64() {
            Some(1) => json!({"type": 1}),
            _ => json!({"type": 4, "data": {"content": "fine"}}),
        };
        Says::new(200, &body.to_string())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_asked_rightly_and_wrongly_before_it_is_told_anything() {
    let discord = Discord::start().await;
    let bot = discord.bot("helper");
    let credulous = Receiver::start(|_| Says::new(200, r#"{"type":1}"#)).await;
    let told = bot.interactions_to(&credulous.url()).await.unwrap_err();
    assert!(told.contains("wrong signature"), "{told}");
    let other = Receiver::start(verifying(&discord.bot("other").public_key())).await;
    assert!(bot.interactions_to(&other.url()).await.unwrap_err().contains("ping"));
    let receiver = Receiver::start(verifying(&bot.public_key())).await;
    bot.interactions_to(&receiver.url()).await.unwrap();
    let (ann, room) = (bot.person("ann"), bot.channel(&bot.guild("house"), "garden"));
    let asked = bot.command(&room, &ann, "status", &[("what", "all")]);
    let seen = bot.is_answered(&asked).await;
    assert_eq!(
        (seen.status, seen.kind, bot.has_said(&room, 1).await),
        (Some(200), Some(4), vec!["fine".to_owned()])
    );
    let body = receiver.came().pop().unwrap().json();
    assert_eq!(
        (&body["application_id"], &body["member"]["user"]["id"]),
        (&json!(bot.id()), &json!(ann))
    );
    // What is of another bot is signed with this one's key all the same.
    let foreign = bot.interaction(2, json!({"application_id": "1"})).to_string();
    assert_eq!(bot.post(&receiver.url(), &foreign, true).await.unwrap().0, 200);
    receiver.then([Says::new(200, r#"{"type":5}"#).after(Duration::from_secs(30))]);
    let late = bot.command(&room, &ann, "status", &[]);
    let seen = bot.is_answered(&late).await;
    assert_eq!((seen.is_failed, seen.status, seen.kind), (true, Some(0), None));
}

/// A client that says each frame itself.
struct Raw(tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>);

impl Raw {
    async fn open(discord: &Discord) -> Self {
        let stream = tokio::net::TcpStream::connect(discord.address()).await.unwrap();
        let url = format!("{}?v=10&encoding=json", discord.gateway());
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        let hello = socket.next().await.unwrap().unwrap().into_text().unwrap();
        assert!(hello.contains("heartbeat_interval"), "{hello}");
        Self(socket)
    }

    async fn say(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    async fn identify(&mut self, bot: &Bot, intents: u64) {
        let properties = json!({"os": "linux", "browser": "test", "device": "test"});
        let d = json!({"token": bot.token(), "intents": intents, "properties": properties});
        self.say(json!({"op": 2, "d": d})).await;
    }

    async fn resume(&mut self, bot: &Bot, session: &Value, seq: u64) {
        let d = json!({"token": bot.token(), "session_id": session, "seq": seq});
        self.say(json!({"op": 6, "d": d})).await;
    }

    /// The next event of that name.
    async fn until(&mut self, name: &str) -> Value {
        loop {
            let message = self.0.next().await.unwrap().unwrap();
            let frame: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
            if frame["t"] == name {
                return frame;
            }
        }
    }

    async fn code(mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.0.next().await.unwrap().unwrap() {
                return frame.unwrap().code.into();
            }
        }
    }
}

const INTENTS: u64 = 1 | 1 << 9 | 1 << 12 | 1 << 15;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_breaks_the_rules_of_the_gateway_is_told_which() {
    let discord = Discord::start().await;
    let bot = discord.bot("helper");
    let closes = async |frame: Value| {
        let mut raw = Raw::open(&discord).await;
        raw.say(frame).await;
        raw.code().await
    };
    assert_eq!(closes(json!({"op": 99})).await, 4001);
    assert_eq!(closes(json!("x".repeat(5000))).await, 4002);
    assert_eq!(closes(json!({"op": 3, "d": {}})).await, 4003);
    let identify = |token: &str, intents: u64| json!({"op": 2, "d": {"token": token, "intents": intents, "properties": {}}});
    assert_eq!(closes(identify("wrong", 1)).await, 4004);
    assert_eq!(closes(identify(bot.token(), 1 << 40)).await, 4013);
    bot.grant_content(false);
    assert_eq!(closes(identify(bot.token(), INTENTS)).await, 4014);
    let mut raw = Raw::open(&discord).await;
    raw.identify(&bot, 1).await;
    raw.until("READY").await;
    raw.identify(&bot, 1).await;
    assert_eq!(raw.code().await, 4005);
    let mut raw = Raw::open(&discord).await;
    for _ in 0..121 {
        raw.say(json!({"op": 1, "d": null})).await;
    }
    assert_eq!(raw.code().await, 4008);
    discord.heartbeat(Duration::from_millis(50));
    assert_eq!(Raw::open(&discord).await.code().await, 4009);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_brings_what_was_missed_in_its_order_and_ends_as_discord_ends_it() {
    let discord = Discord::start().await;
    let bot = discord.bot("helper");
    let (ann, room) = (bot.person("ann"), bot.channel(&bot.guild("house"), "garden"));
    let mut raw = Raw::open(&discord).await;
    raw.identify(&bot, INTENTS).await;
    let session = raw.until("READY").await["d"]["session_id"].clone();
    let one = bot.say(&room, &ann, "one");
    let seq = raw.until("MESSAGE_CREATE").await["s"].as_u64().unwrap();
    bot.cut();
    bot.has_connected(0).await;
    bot.hold();
    bot.say(&room, &ann, "two");
    bot.say(&room, &ann, "three");
    bot.release(|ids| ids.reverse());
    bot.again(&room, &one);
    let mut raw = Raw::open(&discord).await;
    raw.resume(&bot, &session, seq).await;
    for (text, number) in [("three", 1), ("two", 2), ("one", 3)] {
        let event = raw.until("MESSAGE_CREATE").await;
        assert_eq!(
            (&event["d"]["content"], event["s"].as_u64()),
            (&json!(text), Some(seq + number))
        );
    }
    raw.until("RESUMED").await;
    // Once more from the same place, as one whose last events were not kept.
    let mut again = Raw::open(&discord).await;
    again.resume(&bot, &session, seq).await;
    assert_eq!(again.until("MESSAGE_CREATE").await["d"]["content"], "three");
    let mut ahead = Raw::open(&discord).await;
    ahead.resume(&bot, &session, 1000).await;
    assert_eq!(ahead.code().await, 4007);
    again.0.close(None).await.unwrap();
    let mut kept = Raw::open(&discord).await;
    kept.resume(&bot, &session, seq).await;
    kept.until("RESUMED").await;
    let normal = CloseFrame { code: 1000.into(), reason: "".into() };
    kept.0.close(Some(normal)).await.unwrap();
    bot.has_connected(0).await;
    let mut over = Raw::open(&discord).await;
    over.resume(&bot, &session, seq).await;
    let frame = over.0.next().await.unwrap().unwrap().into_text().unwrap();
    assert!(frame.contains("\"op\":9"), "{frame}");
    assert_eq!(bot.sessions(), (1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_messages_say_is_seen_only_with_the_right_to_and_limits_are_said_in_full() {
    let discord = Discord::start().await;
    let bot = discord.bot("helper");
    let (ann, room) = (bot.person("ann"), bot.channel(&bot.guild("house"), "garden"));
    let mut raw = Raw::open(&discord).await;
    raw.identify(&bot, INTENTS & !(1 << 15)).await;
    raw.until("READY").await;
    bot.say(&room, &ann, "among us");
    assert_eq!(raw.until("MESSAGE_CREATE").await["d"]["content"], "");
    let named = format!("<@{}> to you", bot.id());
    bot.say(&room, &ann, &named);
    assert_eq!(raw.until("MESSAGE_CREATE").await["d"]["content"], named.as_str());
    bot.say(&bot.direct(&ann), &ann, "between us");
    assert_eq!(raw.until("MESSAGE_CREATE").await["d"]["content"], "between us");
    let client = tests::Client::new(discord.address(), None);
    let path = format!("/api/v10/channels/{room}/messages");
    let known = client.clone().header("authorization", &format!("Bot {}", bot.token()));
    assert_eq!(known.post(&path, &json!({"content": "x"})).await.json()["code"], 40_333);
    let known = known.header("user-agent", "DiscordBot (https://example.org, 1)");
    let reply = known.post(&path, &json!({"content": "x"})).await;
    assert_eq!(reply.headers["x-ratelimit-limit"], "5");
    // So long that nothing of it is over before the end.
    bot.limit((5, Duration::from_mins(1)), 50);
    for left in [4, 3, 2, 1, 0] {
        let reply = known.post(&path, &json!({"content": "x"})).await;
        assert_eq!(reply.headers["x-ratelimit-remaining"], left.to_string().as_str());
    }
    let limited = known.post(&path, &json!({"content": "x"})).await;
    assert_eq!(
        (limited.status.as_u16(), &limited.headers["x-ratelimit-scope"]),
        (429, &"user".parse().unwrap())
    );
    let after = limited.json()["retry_after"].as_f64().unwrap();
    assert!(after > 0.0 && after <= 60.0, "{after}");
    assert_eq!(bot.said(&room).len(), 6);
    let unknown = client.header("user-agent", "DiscordBot (https://example.org, 1)");
    assert_eq!(unknown.get("/api/v10/users/@me").await.status, 401);
    assert_eq!(discord.invalid(), 3);
}
