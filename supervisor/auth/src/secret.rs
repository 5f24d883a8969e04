//! Secrets are made here and nowhere else, so a short or well-known one cannot exist.

use ring::digest::{SHA256, digest as sha};
use ring::rand::{SecureRandom as _, SystemRandom};
use types::{Secret, TenantId};

use crate::Error;

/// What is stored of a secret, and what it is found by.
pub(crate) type Digest = [u8; 32];

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Characters that hold 256 bits.
const LENGTH: usize = 43;

/// Bytes below this map evenly onto the alphabet; the others are thrown away.
const EVEN: u8 = 62 * 4;

pub(crate) fn token(tenant: &TenantId) -> Result<Secret, Error> {
    Ok(Secret::from(format!("tk_{tenant}_{}", base62()?)))
}

pub(crate) fn key() -> Result<Secret, Error> {
    Ok(Secret::from(format!("ak_{}", base62()?)))
}

/// A public name: `prefix` and 16 hexadecimal digits.
pub(crate) fn id(prefix: &str) -> Result<String, Error> {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).map_err(Error::Random)?;
    Ok(format!("{prefix}{:016x}", u64::from_be_bytes(bytes)))
}

/// SHA-256 of the whole presented text.
pub(crate) fn digest(presented: &str) -> Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(sha(&SHA256, presented.as_bytes()).as_ref());
    digest
}

fn base62() -> Result<String, Error> {
    let random = SystemRandom::new();
    let mut text = String::with_capacity(LENGTH);
    while text.len() < LENGTH {
        let mut bytes = [0; 64];
        random.fill(&mut bytes).map_err(Error::Random)?;
        let even = bytes.iter().filter(|byte| **byte < EVEN);
        let characters = even.filter_map(|byte| ALPHABET.get(usize::from(byte % 62)));
        text.extend(characters.take(LENGTH - text.len()).map(|byte| char::from(*byte)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_even_and_different() {
        let mut counts = [0_u32; 62];
        for _ in 0..2000 {
            let text = base62().unwrap();
            assert_eq!(text.len(), LENGTH);
            for byte in text.bytes() {
                counts[ALPHABET.iter().position(|it| *it == byte).unwrap()] += 1;
            }
        }
        // 86,000 characters: 1,387 of each, give or take eight standard deviations.
        assert!(counts.iter().all(|count| (1090..1690).contains(count)), "{counts:?}");
        assert_ne!(base62().unwrap(), base62().unwrap());
    }

    #[test]
    fn a_token_names_its_tenant() {
        let token = token(&"a_b".parse().unwrap()).unwrap();
        assert!(token.expose().starts_with("tk_a_b_"));
        assert_eq!(token.expose().len(), "tk_a_b_".len() + LENGTH);
        assert!(key().unwrap().expose().starts_with("ak_"));
        assert_eq!(id("tok_").unwrap().len(), 20);
    }
}
