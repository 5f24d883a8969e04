//! Names of deliveries: digests, so that they have one length and say nothing.

use std::fmt::Write as _;

use ring::digest::{Context, SHA256};

/// Bytes of a digest that a name has: two of a tenant's are never the same by chance.
const BYTES: usize = 16;

/// The name of an event: the same for the same account, conversation and event, and for no other.
/// 32 hexadecimal digits.
pub fn event_id(account: &str, lane: &str, event: &str) -> String {
    digest(&[account, lane, event])
}

/// Names one run of the gateway.
pub(crate) fn boot(now: u64) -> String {
    let process = std::process::id().to_string();
    digest(&["boot", &process, &now.to_string()])
}

fn digest(parts: &[&str]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        // Each with its length, so that no two lists read the same.
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part.as_bytes());
    }
    let digest = context.finish();
    let bytes = digest.as_ref().iter().take(BYTES);
    bytes.fold(String::with_capacity(2 * BYTES), |mut name, byte| {
        // Writing to a string does not fail.
        write!(name, "{byte:02x}").unwrap_or_default();
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_one_event() {
        let name = event_id("a", "b", "c");
        assert_eq!(name.len(), 32);
        assert_eq!(name, event_id("a", "b", "c"));
        for other in [event_id("ab", "", "c"), event_id("a", "", "bc"), event_id("a", "c", "b")] {
            assert_ne!(name, other);
        }
    }
}
