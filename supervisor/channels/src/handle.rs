//! What a worker holds of a conversation: a sealed word that is good for its tenant alone. It names no
//! conversation with it that it was not given, and reads nothing from it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use records::PeerKind;
use serde::{Deserialize, Serialize};
use settings::Sealer;

use crate::facts::Place;

/// What handles are sealed as.
const KIND: &str = "channel-handle";

/// The longest handle, in characters: what it seals is of bounded names.
pub const MAX_HANDLE: usize = 6 << 10;

/// Where answers go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The network.
    pub channel: String,
    /// The account.
    pub account: String,
    /// Whether all tenants share it.
    pub shared: bool,
    /// By whom the conversation is the tenant's, at a shared account: looked up again for every part.
    pub bound: Option<(PeerKind, String)>,
    /// The place in the network.
    pub place: Place,
}

impl Target {
    /// As a worker gets it.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(&self, sealer: &Sealer) -> Result<String, settings::VaultError> {
        let plain = self.text();
        Ok(URL_SAFE_NO_PAD.encode(sealer.seal(KIND, KIND, plain.as_bytes())?))
    }

    /// What a worker has given back. `None` for what is no handle of its tenant's.
    pub fn open(sealer: &Sealer, handle: &str) -> Option<Self> {
        if handle.len() > MAX_HANDLE {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(handle).ok()?;
        Self::read(&sealer.open(KIND, KIND, &bytes).ok()?)
    }

    /// As it is kept, sealed with everything else of a message.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What was kept.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// What is of one order.
    pub fn lane(&self) -> String {
        let thread = self.place.thread.as_deref().unwrap_or_default();
        format!("{}/{}/{thread}", self.account, self.place.room)
    }
}
