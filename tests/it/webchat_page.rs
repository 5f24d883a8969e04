//! The chat page in a real browser, in a site of another origin. Pictures of it are left in the target
//! folder, to be looked at.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::json;
use tests::{Builder, Official, Provider};

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_chats_in_the_browser() {
    let provider = Provider::start().await;
    let gateway = Builder::default().config(provider.config()).start();
    let tenant = gateway.tenant("acme");
    let add = ["channels", "add", "acme", "webchat", "--dm-policy", "open"];
    let origin = ["--origin", "http://shop.example"];
    let added = gateway.json(&add.into_iter().chain(origin).collect::<Vec<_>>());
    let page = format!("http://{}{}", gateway.address(), added["path"].as_str().unwrap());
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
    assert_eq!(tokio::task::spawn_blocking(look).await.unwrap().len(), 14);
}
