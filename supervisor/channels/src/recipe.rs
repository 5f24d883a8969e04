//! How a request proves that it comes from its network: data, carried out in one place over the bytes as
//! they came. A recipe knows no account: whoever asks has found the account by its path.
//!
//! Every comparison takes the same time whatever is given, and every failure looks the same from
//! outside.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use ring::{hmac, signature};
use types::{Secret, UnixMillis};

/// The longest value of a header that is looked at, in bytes.
const MAX_HEADER: usize = 4096;

/// Signatures in one request: those of one sender while its secret is changed, several times over.
const MAX_SIGNATURES: usize = 16;

/// How old or how far ahead a signed time may be, in seconds.
pub const WINDOW_S: u64 = 300;

/// How a request proves where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipe {
    /// An HMAC-SHA256 under the account's secret.
    Keyed(Keyed),
    /// Standard Webhooks: id, time and body; several signatures, of which one must hold.
    Standard,
    /// An Ed25519 signature over time and body; what the account has is a public key in hexadecimal
    /// digits.
    Ed25519 {
        /// Where the signature is, in hexadecimal digits.
        header: &'static str,
        /// Where the time is, in seconds.
        time: &'static str,
    },
    /// The secret itself.
    Token {
        /// Where it is.
        header: &'static str,
        /// What stands before it.
        prefix: &'static str,
    },
}

/// What an HMAC is made over and how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyed {
    /// Where the signature is.
    pub header: &'static str,
    /// What stands before it.
    pub prefix: &'static str,
    /// How it is written.
    pub written: Written,
    /// What is signed, in this order.
    pub over: &'static [Piece],
    /// Where the time is, in seconds, where one is signed.
    pub time: Option<&'static str>,
}

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// In hexadecimal digits of either case.
    Hex,
    /// In base64 with padding.
    Base64,
}

/// A piece of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// This text.
    Text(&'static str),
    /// The value of a header.
    Header(&'static str),
    /// The body as it came.
    Body,
}

/// Why a request is not believed. For figures: whoever sent it hears nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A header is missing, there twice, or unreadable.
    #[error("a header is missing or unreadable")]
    Header,
    /// The time is too far from ours.
    #[error("the time is too far from ours")]
    Time,
    /// The proof does not hold.
    #[error("the proof does not hold")]
    Wrong,
    /// The account's secret is not of the form that the recipe needs.
    #[error("the account's secret is of another form")]
    Secret,
}

impl Recipe {
    /// Whether a request proves itself under any of an account's secrets; there are two while one is
    /// changed for another.
    ///
    /// # Errors
    /// When it does not.
    pub fn verify(
        &self,
        secrets: &[Secret],
        headers: &HeaderMap,
        body: &[u8],
        now: UnixMillis,
    ) -> Result<(), Refused> {
        match self {
            Self::Keyed(keyed) => keyed.verify(secrets, headers, body, now),
            Self::Standard => standard(secrets, headers, body, now),
            Self::Ed25519 { header, time } => {
                let stamp = only(headers, time)?;
                timely(stamp, now)?;
                let given = hex(only(headers, header)?).ok_or(Refused::Header)?;
                let message = [stamp.as_bytes(), body].concat();
                any(secrets, |secret| {
                    let key = hex(secret.expose()).ok_or(Refused::Secret)?;
                    let key = signature::UnparsedPublicKey::new(&signature::ED25519, key);
                    Ok(key.verify(&message, &given).is_ok())
                })
            }
            Self::Token { header, prefix } => {
                let given = only(headers, header)?;
                let given = given.strip_prefix(prefix).ok_or(Refused::Header)?;
                any(secrets, |secret| Ok(secret.matches(given) && !secret.expose().is_empty()))
            }
        }
    }

    /// Whether a text can be a secret of an account that is verified so.
    pub fn accepts(&self, secret: &Secret) -> bool {
        let text = secret.expose();
        match self {
            Self::Keyed(_) | Self::Token { .. } => (16..=256).contains(&text.len()),
            Self::Standard => standard_key(secret).is_ok(),
            Self::Ed25519 { .. } => hex(text).is_some_and(|key| key.len() == 32),
        }
    }
}

impl Keyed {
    fn verify(
        &self,
        secrets: &[Secret],
        headers: &HeaderMap,
        body: &[u8],
        now: UnixMillis,
    ) -> Result<(), Refused> {
        let given = only(headers, self.header)?;
        let given = given.strip_prefix(self.prefix).ok_or(Refused::Header)?;
        let given = match self.written {
            Written::Hex => hex(given),
            Written::Base64 => STANDARD.decode(given).ok(),
        };
        let given = given.ok_or(Refused::Header)?;
        if let Some(time) = self.time {
            timely(only(headers, time)?, now)?;
        }
        let mut message = Vec::with_capacity(body.len().saturating_add(MAX_HEADER));
        for piece in self.over {
            match piece {
                Piece::Text(text) => message.extend_from_slice(text.as_bytes()),
                Piece::Header(name) => message.extend_from_slice(only(headers, name)?.as_bytes()),
                Piece::Body => message.extend_from_slice(body),
            }
        }
        any(secrets, |secret| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
            Ok(hmac::verify(&key, &message, &given).is_ok())
        })
    }
}

/// The value of `webhook-signature` for what we send.
///
/// # Errors
/// When the secret is none of the standard's form.
pub fn sign_standard(
    secret: &Secret,
    id: &str,
    seconds: u64,
    body: &[u8],
) -> Result<String, Refused> {
    let mut context = hmac::Context::with_key(&standard_key(secret)?);
    context.update(format!("{id}.{seconds}.").as_bytes());
    context.update(body);
    Ok(format!("v1,{}", STANDARD.encode(context.sign())))
}

fn standard(
    secrets: &[Secret],
    headers: &HeaderMap,
    body: &[u8],
    now: UnixMillis,
) -> Result<(), Refused> {
    let [id, time, given] = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let (id, time, given) = (only(headers, id)?, only(headers, time)?, only(headers, given)?);
    timely(time, now)?;
    let message = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
    // What is none of ours beside one that is does no harm.
    let given = given.split(' ').take(MAX_SIGNATURES).filter_map(|it| it.strip_prefix("v1,"));
    let given: Vec<_> = given.filter_map(|it| STANDARD.decode(it).ok()).collect();
    any(secrets, |secret| {
        let key = standard_key(secret)?;
        let holds = |given: &Vec<u8>| hmac::verify(&key, &message, given).is_ok();
        Ok(given.iter().fold(false, |found, given| found | holds(given)))
    })
}

fn standard_key(secret: &Secret) -> Result<hmac::Key, Refused> {
    let text = secret.expose().strip_prefix("whsec_").ok_or(Refused::Secret)?;
    let bytes = STANDARD.decode(text).ok().filter(|it| (24..=64).contains(&it.len()));
    bytes.map(|it| hmac::Key::new(hmac::HMAC_SHA256, &it)).ok_or(Refused::Secret)
}

/// Whether any secret will do. All are tried, so that nobody learns which.
fn any(
    secrets: &[Secret],
    mut holds: impl FnMut(&Secret) -> Result<bool, Refused>,
) -> Result<(), Refused> {
    let mut found = false;
    for secret in secrets {
        found |= holds(secret)?;
    }
    if found { Ok(()) } else { Err(Refused::Wrong) }
}

/// A header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Refused> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none());
    let value = value.and_then(|it| it.to_str().ok()).filter(|it| it.len() <= MAX_HEADER);
    value.ok_or(Refused::Header)
}

fn timely(seconds: &str, now: UnixMillis) -> Result<(), Refused> {
    let plain = seconds.bytes().all(|it| it.is_ascii_digit());
    let seconds: u64 = seconds.parse().ok().filter(|_| plain).ok_or(Refused::Header)?;
    let apart = (now / 1000).abs_diff(seconds);
    if apart <= WINDOW_S { Ok(()) } else { Err(Refused::Time) }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|it| it.to_digit(16)).collect();
    let digits = digits.filter(|it| it.len() % 2 == 0)?;
    let pair = |pair: &[u32]| u8::try_from(pair.iter().fold(0, |byte, it| byte << 4 | it)).ok();
    digits.chunks_exact(2).map(pair).collect()
}

#[cfg(test)]
mod tests;
