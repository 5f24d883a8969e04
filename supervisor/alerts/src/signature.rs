//! What a receiver knows us by: HMAC-SHA256 over id, time and body under a shared secret, as the
//! Standard Webhooks have it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use types::Secret;

use crate::Error;

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// Bytes of a secret: the standard's bounds.
const LENGTH: std::ops::RangeInclusive<usize> = 24..=64;

/// The key that alerts are signed with.
#[derive(Debug)]
pub(crate) struct Key(hmac::Key);

impl Key {
    pub(crate) fn read(secret: &Secret) -> Result<Self, Error> {
        let text = secret.expose().strip_prefix(PREFIX).ok_or(Error::Secret)?;
        // Where it is no base64 it may be a secret all the same, so nothing of it is shown.
        let bytes = STANDARD.decode(text).ok().filter(|it| LENGTH.contains(&it.len()));
        let bytes = bytes.ok_or(Error::Secret)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The value of `webhook-signature`; `seconds` are since the epoch.
    pub(crate) fn sign(&self, id: &str, seconds: u64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{seconds}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<Key, Error> {
        Key::read(&Secret::from(text.to_owned()))
    }

    #[test]
    fn a_signature_is_the_one_that_the_standard_has() {
        // Made with Python's hmac module: id `msg_1`, time 1614265330, body `{"test": 2432232314}`.
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let check = |id: &str, body: &str, want: &str| {
            assert_eq!(key.sign(id, 1_614_265_330, body.as_bytes()), want);
        };
        check(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "{\"test\": 2432232314}",
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        );
    }

    #[test]
    fn a_secret_is_of_the_standards_form() {
        let check = |text: &str, good: bool| assert_eq!(key(text).is_ok(), good, "{text}");
        check(&format!("whsec_{}", STANDARD.encode([7; 24])), true);
        check(&format!("whsec_{}", STANDARD.encode([7; 64])), true);
        check(&format!("whsec_{}", STANDARD.encode([7; 23])), false);
        check(&format!("whsec_{}", STANDARD.encode([7; 65])), false);
        check(&STANDARD.encode([7; 32]), false);
        check("whsec_not base64 at all", false);
        check("", false);
    }
}
