//! `voicewake.*`: the words to which a tenant's nodes wake.

use serde::{Deserialize, Serialize};
use serde_json::Value;

methods! { Supervisor;
    /// A tenant's voice triggers.
    pub trait Voicewake {
        /// The words.
        "voicewake.get" [Read] fn voicewake_get(GetParams) -> Triggers;
        /// Sets the words and tells the tenant's connections, its nodes among them.
        "voicewake.set" [Write] fn voicewake_set(SetParams) -> Triggers;
        /// Which agent a word wakes: always the default one.
        "voicewake.routing.get" [Read] fn voicewake_routing_get(GetParams) -> RoutingResult;
    }
}

/// No parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GetParams {}

/// New words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetParams {
    /// At most 32 of 64 characters are kept; none of them means the words that hold at first.
    pub triggers: Vec<String>,
}

/// The words; also the payload of `voicewake.changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Triggers {
    /// At least one.
    pub triggers: Vec<String>,
}

/// Where words lead; also the payload of `voicewake.routing.changed`.
#[derive(Debug, Serialize)]
pub struct RoutingResult {
    /// The routes.
    pub config: Routing,
}

/// Where words lead.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Routing {
    /// Of this form.
    pub version: u32,
    /// Where a word leads that has no route.
    pub default_target: DefaultTarget,
    /// None: routes cannot be set.
    pub routes: Vec<Value>,
    /// Milliseconds since the epoch; 0 for never.
    pub updated_at_ms: u64,
}

/// Where a word leads that has no route.
#[derive(Debug, Serialize)]
pub struct DefaultTarget {
    /// `current`: the session that is open.
    pub mode: &'static str,
}
