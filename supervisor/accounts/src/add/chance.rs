//! What nobody guesses, and what tells one credential from another without saying it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA256};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::Error;

/// The same for the same of a network, and for no other.
pub(super) fn fingerprint(channel: &str, of: &str) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(channel.as_bytes());
    context.update(b"\0");
    context.update(of.as_bytes());
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_none| Error::Random)?;
    Ok(bytes)
}

/// A number, as sixteen digits.
pub(super) fn hexadecimal() -> Result<String, Error> {
    Ok(format!("{:016x}", u64::from_be_bytes(random()?)))
}

/// So many letters and digits that nobody guesses.
pub(super) fn word(length: usize) -> Result<String, Error> {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut word = String::with_capacity(length);
    while word.len() < length {
        for byte in random::<64>()? {
            // Of 256 values the last eight would make the first letters more likely.
            let letter = LETTERS.get(usize::from(byte % 62)).filter(|_| byte < 248);
            if let Some(letter) = letter.filter(|_| word.len() < length) {
                word.push(char::from(*letter));
            }
        }
    }
    Ok(word)
}

/// A key of Standard Webhooks, in base64: 32 bytes have the digits of no other length.
pub(super) fn standard() -> Result<String, Error> {
    Ok(STANDARD.encode(random::<32>()?))
}
