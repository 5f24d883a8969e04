//! The chat page in a real browser, in a site of another origin. Pictures of it are left in the target
//! folder, to be looked at.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};
use tests::networks::{Receiver, Says};
use tests::provider::{Line, bill};
use tests::{Builder, Gateway, Official, Provider};

use crate::channels::ground::place;
use crate::delivery::seen::{Seen, rpc, settled};

/// One pixel.
const DOT: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/// A drawing that would run something.
const DRAWING: &[u8] =
    b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>parent.hit = hit = 1</script></svg>";

/// Makes a page that one site may have; gives where it is, and what the command line prints.
fn page(gateway: &Gateway) -> (String, Value) {
    let add = ["channels", "add", "acme", "webchat", "--dm-policy", "open"];
    let origin = ["--origin", "http://shop.example"];
    let added = gateway.json(&add.into_iter().chain(origin).collect::<Vec<_>>());
    (format!("http://{}{}", gateway.address(), added["path"].as_str().unwrap()), added)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_chats_in_the_browser() {
    let provider = Provider::start().await;
    let gateway = Builder::default().config(provider.config()).start();
    let tenant = gateway.tenant("acme");
    let (page, added) = page(&gateway);
    let dot = STANDARD.decode(DOT).unwrap();
    place(&gateway, &tenant, "dot.png", &dot).await;
    place(&gateway, &tenant, "page.html", b"<script>parent.hit = hit = 1</script>").await;
    place(&gateway, &tenant, "drawing.svg", DRAWING).await;
    // What a site's own program would do.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let claims = json!({"id": "u-17", "name": "Ann", "expires": now.as_secs() + 3600});
    let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
    let secret = added["webhookSecret"].as_str().unwrap().as_bytes();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), claims.as_bytes());
    let signed = format!("{claims}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
    let user = Official::new(&gateway, &tenant);
    let shots = env!("CARGO_TARGET_TMPDIR").to_owned();
    let look = move || {
        let variables = [
            ("OPENCLAWMU_PAGE", page.as_str()),
            ("OPENCLAWMU_SHOTS", shots.as_str()),
            ("OPENCLAWMU_SIGNED", signed.as_str()),
        ];
        user.script("webchat.mjs", &variables)
    };
    assert_eq!(tokio::task::spawn_blocking(look).await.unwrap().len(), 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_grows_in_the_browser_while_it_is_written() {
    let provider = Provider::start().await;
    let config = provider.config_with(json!({"defaultModel": "test/bill"}));
    let gateway = Builder::default().config(config).start();
    let tenant = gateway.tenant("acme");
    let (page, _) = page(&gateway);
    let pieces = ["Once", " upon", " a time", " there was", " a shop", ". **The end.**"];
    let mut lines: Vec<_> = pieces.iter().flat_map(|it| [Line::say(it), Line::Wait]).collect();
    lines.pop();
    lines.extend([Line::Stop, Line::used(1, 1), Line::Done]);
    let text = bill(&lines);
    // Whoever asks here has the model write its next piece.
    let model = provider.clone();
    let more = Receiver::start(move |_| {
        model.go_on(1);
        Says::new(200, "")
    });
    let more = more.await;
    let user = Official::new(&gateway, &tenant);
    let shots = env!("CARGO_TARGET_TMPDIR").to_owned();
    let (said, url) = (text.clone(), more.url());
    let look = move || {
        let variables = [
            ("OPENCLAWMU_PAGE", page.as_str()),
            ("OPENCLAWMU_SHOTS", shots.as_str()),
            ("OPENCLAWMU_SAY", said.as_str()),
            ("OPENCLAWMU_GO_ON", url.as_str()),
        ];
        user.script("webchat_stream.mjs", &variables)
    };
    assert_eq!(tokio::task::spawn_blocking(look).await.unwrap().len(), 8);
    settled(&gateway, &tenant).await;
    assert_eq!((provider.requests(), provider.waiting()), (1, pieces.len() - 1), "one turn");
    let listed = rpc(&gateway, &tenant, "sessions.list", json!({})).await;
    let session = listed["sessions"][0]["key"].as_str().unwrap();
    let seen = Seen::of(&gateway, &tenant, session).await;
    assert_eq!((seen.count("user", &text), seen.messages.len()), (1, 2), "{seen:?}");
    assert_eq!(seen.count("assistant", &pieces.concat()), 1, "{seen:?}");
}
