//! Who a page's visitor is: one for whom the site has signed, or one of whom nothing is known but that it is
//! the same as before.
//!
//! Both are words that a browser keeps. The first is the site's, under the account's secret; the second is
//! sealed here, for one account of one tenant. Neither can be made into the other.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use channels::webchat::Visitor;
use ring::hmac;
use serde::{Deserialize, Serialize};
use settings::Sealer;
use types::{Secret, UnixMillis};

use super::KEEP_MS;

/// What ids begin with that are made here: no site may sign for one.
const ANONYMOUS: &str = "anon-";

/// What words are sealed as.
const KIND: &str = "webchat-visitor";

/// The longest word, in bytes.
const MAX_WORD: usize = 2048;

/// Letters of a visitor's id, and of what a visitor is called.
const MAX_ID: usize = 64;
const MAX_NAME: usize = 64;

/// How far ahead a site may sign, in milliseconds: a word that is good for ever is one that cannot be taken
/// back.
const MAX_AHEAD_MS: u64 = 30 * DAY_MS;

/// After how long a visitor gets a new word.
const RENEW_MS: u64 = DAY_MS;

const DAY_MS: u64 = 24 * 3_600_000;

/// What a page shows of its visitor.
#[derive(Debug, Clone, Default)]
pub struct Words {
    /// What it was given here.
    pub visitor: Option<String>,
    /// What the site has signed.
    pub signed: Option<String>,
}

/// A visitor that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) visitor: Visitor,
    /// Until when; none for ever.
    pub(crate) until: Option<UnixMillis>,
    /// The word that the page is to keep from now on; none for the one that it has.
    pub(crate) word: Option<String>,
}

/// Why a visitor is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the visitor's word is none of this page's, or too old")]
    Word,
    #[error("the site's signature is none, or is not the account's")]
    Signature,
    #[error("what the site has signed is of another form")]
    Claims,
    #[error("the site's signature has expired, or is good for more than 30 days")]
    Expired,
    #[error("only visitors may write for whom the site has signed")]
    Unsigned,
    #[error("no visitor can be made now")]
    Random,
}

impl Refused {
    /// A stable word for it.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Word => "visitor",
            Self::Signature | Self::Claims => "signature",
            Self::Expired => "expired",
            Self::Unsigned => "unsigned",
            Self::Random => "unavailable",
        }
    }
}

/// What is sealed of a visitor of whom nothing is known.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    id: String,
    at: UnixMillis,
}

/// What a site signs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    id: String,
    name: Option<String>,
    /// In seconds since the epoch.
    expires: u64,
}

/// The account's keys for visitors.
#[derive(Debug)]
pub(crate) struct Keys<'a> {
    pub(crate) sealer: &'a Sealer,
    /// The account's secret, which the site has.
    pub(crate) secret: &'a Secret,
    pub(crate) account: &'a str,
    /// Whether a site must have signed.
    pub(crate) signed_only: bool,
}

impl Keys<'_> {
    /// Who shows these words; who shows none is somebody new.
    pub(crate) fn known(&self, words: &Words, now: UnixMillis) -> Result<Known, Refused> {
        match (&words.signed, &words.visitor) {
            (Some(word), _) => self.signed(word, now),
            (None, _) if self.signed_only => Err(Refused::Unsigned),
            (None, Some(word)) => self.same(word, now),
            (None, None) => self.new_one(now),
        }
    }

    fn signed(&self, word: &str, now: UnixMillis) -> Result<Known, Refused> {
        let split = word.split_once('.').filter(|_| word.len() <= MAX_WORD);
        let (claims, signature) = split.ok_or(Refused::Signature)?;
        let unreadable = |_err| Refused::Signature;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(unreadable)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.expose().as_bytes());
        let verified = hmac::verify(&key, claims.as_bytes(), &signature);
        verified.map_err(|_forged| Refused::Signature)?;
        let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_err| Refused::Claims)?;
        let claims = serde_json::from_slice(&claims).map_err(|_err| Refused::Claims)?;
        let Claims { id, name, expires } = claims;
        let is_long = |text: &str, max| text.is_empty() || text.chars().count() > max;
        let is_id = !is_long(&id, MAX_ID) && !id.contains(char::is_control);
        let is_name = name.as_ref().is_none_or(|it| !is_long(it, MAX_NAME));
        if !is_id || !is_name || id.starts_with(ANONYMOUS) {
            return Err(Refused::Claims);
        }
        let until = expires.saturating_mul(1000);
        if until <= now || until > now.saturating_add(MAX_AHEAD_MS) {
            return Err(Refused::Expired);
        }
        Ok(Known { visitor: Visitor { id, name }, until: Some(until), word: None })
    }

    fn same(&self, word: &str, now: UnixMillis) -> Result<Known, Refused> {
        if word.len() > MAX_WORD {
            return Err(Refused::Word);
        }
        let bytes = URL_SAFE_NO_PAD.decode(word).map_err(|_err| Refused::Word)?;
        let plain = self.sealer.open(KIND, self.account, &bytes).map_err(|_err| Refused::Word)?;
        let Sealed { id, at } = serde_json::from_slice(&plain).map_err(|_err| Refused::Word)?;
        let age = now.saturating_sub(at);
        if age > KEEP_MS {
            return Err(Refused::Word);
        }
        let word = if age > RENEW_MS { Some(self.word(&id, now)?) } else { None };
        Ok(Known { visitor: Visitor { id, name: None }, until: None, word })
    }

    fn new_one(&self, now: UnixMillis) -> Result<Known, Refused> {
        let random = crate::add::random::<16>().map_err(|_none| Refused::Random)?;
        let id = format!("{ANONYMOUS}{:032x}", u128::from_be_bytes(random));
        let word = Some(self.word(&id, now)?);
        Ok(Known { visitor: Visitor { id, name: None }, until: None, word })
    }

    fn word(&self, id: &str, at: UnixMillis) -> Result<String, Refused> {
        let plain = serde_json::to_vec(&Sealed { id: id.to_owned(), at });
        let plain = plain.map_err(|_err| Refused::Random)?;
        let sealed = self.sealer.seal(KIND, self.account, &plain);
        Ok(URL_SAFE_NO_PAD.encode(sealed.map_err(|_none| Refused::Random)?))
    }
}

#[cfg(test)]
mod tests {
    use records::Records;
    use settings::{Platform, SealKey, Settings};
    use types::{Limits, TenantId};

    use super::*;

    const NOW: UnixMillis = 1_760_000_000_000;

    async fn sealer(name: &str) -> Sealer {
        let records = Records::in_memory();
        let tenant: TenantId = name.parse().unwrap();
        records.insert_tenant(&tenant, 1, Limits::default()).await.unwrap();
        let settings = Settings::new(records, Platform::default(), SealKey::random().unwrap());
        settings.sealer(&tenant).await.unwrap()
    }

    fn sign(secret: &str, claims: &str) -> String {
        let claims = URL_SAFE_NO_PAD.encode(claims);
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, claims.as_bytes());
        format!("{claims}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    }

    fn visitor(word: &str) -> Words {
        Words { visitor: Some(word.to_owned()), signed: None }
    }

    fn signed(word: &str) -> Words {
        Words { visitor: None, signed: Some(word.to_owned()) }
    }

    #[tokio::test]
    async fn whoever_comes_back_is_the_same_and_nobody_else_is() {
        let (sealer, other) = (sealer("a").await, sealer("b").await);
        let secret = Secret::from("s3cret".to_owned());
        let keys = Keys { sealer: &sealer, secret: &secret, account: "cha_1", signed_only: false };
        let new = keys.known(&Words::default(), NOW).unwrap();
        assert!(new.visitor.id.starts_with("anon-") && new.visitor.id.len() == 37, "{new:?}");
        assert_ne!(keys.known(&Words::default(), NOW).unwrap().visitor.id, new.visitor.id);
        let word = visitor(new.word.as_deref().unwrap());
        let again = keys.known(&word, NOW + 5).unwrap();
        assert_eq!((&again.visitor, &again.word), (&new.visitor, &None));
        let later = keys.known(&word, NOW + 2 * DAY_MS).unwrap();
        assert_eq!(later.visitor, new.visitor);
        assert_ne!(later.word, None, "who comes back has it for longer");
        let refused = |keys: &Keys<'_>, words: &Words, now| keys.known(words, now).unwrap_err();
        assert_eq!(refused(&keys, &word, NOW + KEEP_MS + 1), Refused::Word);
        let elsewhere = Keys { account: "cha_2", ..keys };
        assert_eq!(refused(&elsewhere, &word, NOW), Refused::Word);
        let foreign = Keys { sealer: &other, account: "cha_1", ..elsewhere };
        assert_eq!(refused(&foreign, &word, NOW), Refused::Word);
        let mut bytes = URL_SAFE_NO_PAD.decode(word.visitor.as_ref().unwrap()).unwrap();
        let last = bytes.last_mut().unwrap();
        *last ^= 1;
        let forged = visitor(&URL_SAFE_NO_PAD.encode(bytes));
        for word in [forged, visitor(""), visitor("!"), visitor(&"A".repeat(MAX_WORD + 4))] {
            let keys = Keys { account: "cha_1", sealer: &sealer, ..foreign };
            assert_eq!(refused(&keys, &word, NOW), Refused::Word, "{word:?}");
        }
        let only = Keys { account: "cha_1", sealer: &sealer, signed_only: true, ..foreign };
        assert_eq!(refused(&only, &word, NOW), Refused::Unsigned);
        assert_eq!(refused(&only, &Words::default(), NOW), Refused::Unsigned);
    }

    #[tokio::test]
    async fn a_site_signs_for_its_own_and_for_a_time() {
        let sealer = sealer("a").await;
        let secret = Secret::from("s3cret".to_owned());
        let keys = Keys { sealer: &sealer, secret: &secret, account: "cha_1", signed_only: true };
        let seconds = NOW / 1000;
        let claims = |id: &str, expires: u64| format!(r#"{{"id":"{id}","expires":{expires}}}"#);
        let good = sign("s3cret", &claims("u-17", seconds + 60));
        let known = keys.known(&signed(&good), NOW).unwrap();
        assert_eq!(known.visitor, Visitor { id: "u-17".to_owned(), name: None });
        assert_eq!((known.until, known.word), (Some(NOW + 60_000), None));
        let named = format!(r#"{{"id":"u","name":"Ann É","expires":{}}}"#, seconds + 60);
        let named = keys.known(&signed(&sign("s3cret", &named)), NOW).unwrap();
        assert_eq!(named.visitor.name.as_deref(), Some("Ann É"));
        let check = |word: &str, want: Refused| {
            assert_eq!(keys.known(&signed(word), NOW).unwrap_err(), want, "{word}");
        };
        check(&sign("another", &claims("u-17", seconds + 60)), Refused::Signature);
        let (payload, _) = good.split_once('.').unwrap();
        let other = sign("s3cret", &claims("u-18", seconds + 60));
        let (_, tag) = other.split_once('.').unwrap();
        check(&format!("{payload}.{tag}"), Refused::Signature);
        check(payload, Refused::Signature);
        check("", Refused::Signature);
        check(&sign("s3cret", &claims("u-17", seconds)), Refused::Expired);
        check(&sign("s3cret", &claims("u-17", seconds + 31 * 86_400)), Refused::Expired);
        check(&sign("s3cret", &claims("u-17", u64::MAX)), Refused::Expired);
        let long = "x".repeat(MAX_ID + 1);
        for id in ["", "anon-00000000000000000000000000000000", "a\\nb", &long] {
            check(&sign("s3cret", &claims(id, seconds + 60)), Refused::Claims);
        }
        for text in ["{}", "[]", r#"{"id":"u","expires":9,"admin":true}"#, "{"] {
            check(&sign("s3cret", text), Refused::Claims);
        }
    }
}
