//! The proof that a client holds its device's private key: a signature over what it says of itself
//! at this handshake. Pure: nothing here knows a tenant or a record.

use api::{ApiError, Code};
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::json;
use types::UnixMillis;

use super::{ConnectError, Introduction};

/// How far the device's clock may be from ours, in milliseconds.
const MAX_SKEW: u64 = 2 * 60 * 1000;

/// Bytes of a raw Ed25519 public key.
const KEY_BYTES: usize = 32;

/// Bytes of an Ed25519 signature.
const SIGNATURE_BYTES: usize = 64;

/// Keys and signatures as text. Clients leave the padding out; some do not.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `connect`'s `device` object.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DeviceProof {
    /// SHA-256 of the raw public key, 64 lowercase hexadecimal digits.
    pub id: String,
    /// The raw public key in base64url without padding.
    pub public_key: String,
    /// The Ed25519 signature in base64url without padding.
    pub signature: String,
    /// When it was signed, in milliseconds since the epoch.
    pub signed_at: UnixMillis,
    /// The nonce of the challenge.
    pub nonce: String,
}

/// Whether the device holds its key and said now, and here, what the introduction says.
///
/// # Errors
/// What the client is told, with the reference's detail codes.
pub fn verify_proof(it: &Introduction<'_>, now: UnixMillis) -> Result<(), ConnectError> {
    let proof = it.proof;
    let key = decode(&proof.public_key, KEY_BYTES);
    let key = key.ok_or_else(|| refused("public-key", "DEVICE_AUTH_PUBLIC_KEY_INVALID"))?;
    if proof.id != device_id(&key) {
        return Err(refused("id-mismatch", "DEVICE_AUTH_DEVICE_ID_MISMATCH"));
    }
    if proof.signed_at.abs_diff(now) > MAX_SKEW {
        return Err(refused("signature-stale", "DEVICE_AUTH_SIGNATURE_EXPIRED"));
    }
    if proof.nonce.is_empty() {
        return Err(refused("nonce-missing", "DEVICE_AUTH_NONCE_REQUIRED"));
    }
    if proof.nonce != it.nonce {
        return Err(refused("nonce-mismatch", "DEVICE_AUTH_NONCE_MISMATCH"));
    }
    let invalid = || refused("signature", "DEVICE_AUTH_SIGNATURE_INVALID");
    let signature = decode(&proof.signature, SIGNATURE_BYTES).ok_or_else(invalid)?;
    let key = UnparsedPublicKey::new(&ED25519, key);
    let signed = |payload: String| key.verify(payload.as_bytes(), &signature).is_ok();
    if signed(v3(it)) || signed(v2(it)) { Ok(()) } else { Err(invalid()) }
}

/// The id of the device with this raw public key.
pub(crate) fn device_id(key: &[u8]) -> String {
    let digest = digest(&SHA256, key);
    digest.as_ref().iter().fold(String::with_capacity(64), |text, byte| format!("{text}{byte:02x}"))
}

/// What older clients sign.
fn v2(it: &Introduction<'_>) -> String {
    format!("v2|{}", common(it))
}

/// What newer clients sign: also what they run on.
fn v3(it: &Introduction<'_>) -> String {
    let plain = |text: Option<&str>| text.unwrap_or_default().trim().to_ascii_lowercase();
    format!("v3|{}|{}|{}", common(it), plain(it.platform), plain(it.device_family))
}

fn common(it: &Introduction<'_>) -> String {
    let proof = it.proof;
    let (at, scopes) = (proof.signed_at.to_string(), it.asked.join(","));
    [&proof.id, it.client_id, it.client_mode, it.role_name, &scopes, &at, it.token, &proof.nonce]
        .join("|")
}

fn refused(reason: &str, code: &str) -> ConnectError {
    let words = reason.replace('-', " ");
    ApiError::new(Code::InvalidRequest, format!("device {words}"))
        .with_details(json!({ "code": code, "reason": format!("device-{reason}") }))
}

/// Base64url text, with or without padding, that is exactly `bytes` long when decoded.
fn decode(text: &str, bytes: usize) -> Option<Vec<u8>> {
    // Four characters for three bytes; more is wrong without being decoded.
    let fits = text.len() <= bytes.div_ceil(3).saturating_mul(4);
    let decoded = if fits { BASE64URL.decode(text.as_bytes()).ok()? } else { return None };
    (decoded.len() == bytes).then_some(decoded)
}

#[cfg(test)]
mod tests;
