//! The vectors that networks publish, and what must not pass beside them.

use http::{HeaderName, HeaderValue};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;
use crate::{discord, slack, telegram};

const X_HUB: Recipe = Recipe::Keyed(Keyed {
    header: "x-hub-signature-256",
    prefix: "sha256=",
    written: Written::Hex,
    over: &[Piece::Body],
    time: None,
});

const LINE: Recipe = Recipe::Keyed(Keyed {
    header: "x-line-signature",
    prefix: "",
    written: Written::Base64,
    over: &[Piece::Body],
    time: None,
});

const NEXTCLOUD: Recipe = Recipe::Keyed(Keyed {
    header: "x-nextcloud-talk-signature",
    prefix: "",
    written: Written::Hex,
    over: &[Piece::Header("x-nextcloud-talk-random"), Piece::Body],
    time: None,
});

const SLACK_BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";

struct Vector {
    recipe: Recipe,
    secret: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// In seconds; none where no time is signed.
    time: Option<u64>,
}

fn vector(recipe: Recipe, secret: &str, headers: &[(&'static str, &str)], body: &str) -> Vector {
    let time = headers.iter().find(|it| it.0.ends_with("timestamp"));
    Vector {
        recipe,
        secret: secret.to_owned(),
        headers: headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        body: body.as_bytes().to_vec(),
        time: time.map(|it| it.1.parse().unwrap()),
    }
}

/// What the networks publish, or what their own code makes of the same.
fn vectors() -> Vec<Vector> {
    let mut all = published();
    // The bytes are signed, not what they say.
    let (escaped, plain) = (r#"{"text":"caf\u00e9 \ud83d\ude00"}"#, "{\"text\":\"café 😀\"}");
    for (body, digest) in [
        (escaped, "b656fe7b4a797936552e219571ceff3d2d69342425080187f5c04eb68dc5cd7a"),
        (plain, "59aa5349d9ee711584260966c88ea8c44768c90a48daea778088229d2f536d30"),
    ] {
        let given = format!("sha256={digest}");
        all.push(vector(X_HUB, "app-secret", &[("x-hub-signature-256", &given)], body));
    }
    all.push(ed25519());
    all
}

fn published() -> Vec<Vector> {
    let random = "0123456789abcdef".repeat(4);
    let slack = [
        ("x-slack-request-timestamp", "1531420618"),
        (
            "x-slack-signature",
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        ),
    ];
    let hub = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let standard = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ];
    let line = "/gg9a+LvFevTH1sd7XCQycD7tsWclCsInj7MhBHxN7k=";
    let nextcloud = [
        ("x-nextcloud-talk-random", random.as_str()),
        (
            "x-nextcloud-talk-signature",
            "43e5f5366f97b21d8f625bf2daf45971b7e80942ae9dba645ebf77ac75a02a01",
        ),
    ];
    let token = "a-secret-of-our-own-making";
    vec![
        vector(slack::RECIPE, "8f742231b10e8888abcd99yyyzzz85a5", &slack, SLACK_BODY),
        vector(
            X_HUB,
            "It's a Secret to Everybody",
            &[("x-hub-signature-256", hub)],
            "Hello, World!",
        ),
        vector(
            Recipe::Standard,
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            &standard,
            r#"{"test": 2432232314}"#,
        ),
        vector(LINE, "channel_secret", &[("x-line-signature", line)], "bodybodybodybody"),
        vector(NEXTCLOUD, "53CR3T", &nextcloud, r#"{"type":"Create"}"#),
        vector(telegram::RECIPE, token, &[("x-telegram-bot-api-secret-token", token)], "{}"),
    ]
}

/// RFC 8032, test 1: the seed and its public key. Discord publishes no signature.
fn ed25519() -> Vector {
    let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    assert_eq!(hex(public).unwrap(), pair.public_key().as_ref());
    let signed = pair.sign(b"1700000000{\"type\":1}");
    let digits: Vec<_> = signed.as_ref().iter().map(|it| format!("{it:02x}")).collect();
    let signed = digits.concat();
    let headers =
        [("x-signature-timestamp", "1700000000"), ("x-signature-ed25519", signed.as_str())];
    vector(discord::RECIPE, public, &headers, r#"{"type":1}"#)
}

impl Vector {
    fn headers(&self) -> HeaderMap {
        let pairs = self.headers.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        pairs.collect()
    }

    fn at(&self, seconds: u64) -> Result<(), Refused> {
        self.with(&self.headers(), &self.body, &[&self.secret], seconds)
    }

    fn with(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        secrets: &[&str],
        seconds: u64,
    ) -> Result<(), Refused> {
        let secrets: Vec<_> = secrets.iter().map(|it| Secret::from((*it).to_owned())).collect();
        self.recipe.verify(&secrets, headers, body, seconds * 1000 + 999)
    }
}

#[test]
fn every_published_vector_holds_and_no_neighbour_of_it() {
    for vector in vectors() {
        let now = vector.time.unwrap_or(5);
        let what = format!("{:?}", vector.recipe);
        vector.at(now).unwrap_or_else(|err| panic!("{what}: {err}"));
        // A body, a header and a secret that are almost it.
        let mut body = vector.body.clone();
        body.push(b' ');
        let is_token = matches!(vector.recipe, Recipe::Token { .. });
        if !is_token {
            let other = vector.with(&vector.headers(), &body, &[&vector.secret], now);
            assert_eq!(other, Err(Refused::Wrong), "{what}");
        }
        for (n, (name, value)) in vector.headers.iter().enumerate() {
            let mut without = vector.headers();
            without.remove(*name);
            let refused = vector.with(&without, &vector.body, &[&vector.secret], now);
            assert_eq!(refused, Err(Refused::Header), "{what} without {name}");
            let mut twice = vector.headers();
            twice.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
            let refused = vector.with(&twice, &vector.body, &[&vector.secret], now);
            assert_eq!(refused, Err(Refused::Header), "{what} with {name} twice");
            let mut changed = vector.headers.clone();
            let last = value.chars().next_back().unwrap();
            let other = if last == '0' { '1' } else { '0' };
            changed[n].1 = format!("{}{other}", value.strip_suffix(last).unwrap());
            let changed = Vector { headers: changed, ..copy(&vector) };
            assert!(changed.at(now).is_err(), "{what} with another {name}");
        }
        let others = match vector.recipe {
            Recipe::Standard => "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            Recipe::Ed25519 { .. } => {
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c".to_owned()
            }
            Recipe::Keyed(_) | Recipe::Token { .. } => format!("{}x", vector.secret),
        };
        let headers = vector.headers();
        let with = |secrets: &[&str]| vector.with(&headers, &vector.body, secrets, now);
        assert_eq!(with(&[&others]), Err(Refused::Wrong), "{what}");
        assert_eq!(with(&[]), Err(Refused::Wrong), "{what}");
        // While a secret is changed, either will do.
        assert_eq!(with(&[&others, &vector.secret]), Ok(()), "{what}");
        assert_eq!(with(&[&vector.secret, &others]), Ok(()), "{what}");
    }
}

fn copy(of: &Vector) -> Vector {
    Vector {
        recipe: of.recipe,
        secret: of.secret.clone(),
        headers: of.headers.clone(),
        body: of.body.clone(),
        time: of.time,
    }
}

#[test]
fn a_time_is_good_for_five_minutes_either_way() {
    let timed: Vec<_> = vectors().into_iter().filter(|it| it.time.is_some()).collect();
    assert_eq!(timed.len(), 3);
    for vector in timed {
        let time = vector.time.unwrap();
        for (apart, want) in [(0, Ok(())), (300, Ok(())), (301, Err(Refused::Time))] {
            assert_eq!(vector.at(time + apart), want, "{apart} s later");
            assert_eq!(vector.at(time - apart), want, "{apart} s earlier");
        }
    }
}

#[test]
fn what_stands_beside_a_good_signature_does_no_harm() {
    let all = vectors();
    let vector = all.iter().find(|it| it.recipe == Recipe::Standard).unwrap();
    let good = vector.headers[2].1.clone();
    let check = |given: &str, want: Result<(), Refused>| {
        let mut headers = vector.headers();
        headers.insert("webhook-signature", HeaderValue::from_str(given).unwrap());
        let now = vector.time.unwrap();
        assert_eq!(vector.with(&headers, &vector.body, &[&vector.secret], now), want, "{given}");
    };
    check(&format!("v1,not/base64!! v1a,xyz {good}"), Ok(()));
    check(&format!("{good} v1,"), Ok(()));
    check("v1,", Err(Refused::Wrong));
    check("", Err(Refused::Wrong));
    check(&good.replace("v1,", "v2,"), Err(Refused::Wrong));
    let many = format!("{}{good}", "v1,AAAA ".repeat(MAX_SIGNATURES));
    check(&many, Err(Refused::Wrong));
}

#[test]
fn what_we_send_verifies_as_what_we_take() {
    let secret = Secret::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
    let body = b"{\"a\":1}";
    let signed = sign_standard(&secret, "msg_1", 1_700_000_000, body).unwrap();
    let pairs = [("webhook-id", "msg_1"), ("webhook-timestamp", "1700000000")];
    let mut headers: HeaderMap = pairs
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    headers.insert("webhook-signature", HeaderValue::from_str(&signed).unwrap());
    Recipe::Standard.verify(&[secret], &headers, body, 1_700_000_000_000).unwrap();
}

#[test]
fn a_secret_is_of_its_recipes_form() {
    let check = |recipe: Recipe, text: &str, good: bool| {
        assert_eq!(recipe.accepts(&Secret::from(text.to_owned())), good, "{recipe:?} {text}");
    };
    check(Recipe::Standard, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true);
    check(Recipe::Standard, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", false);
    check(discord::RECIPE, &"ab".repeat(32), true);
    check(discord::RECIPE, &"ab".repeat(31), false);
    check(slack::RECIPE, "8f742231b10e8888abcd99yyyzzz85a5", true);
    check(slack::RECIPE, "short", false);
    check(telegram::RECIPE, "", false);
}
