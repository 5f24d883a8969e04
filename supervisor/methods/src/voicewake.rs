//! The words to which a tenant's nodes wake: kept by the gateway, heard by the nodes.

use std::sync::Arc;

use api::ApiError;
use api::voicewake::{DefaultTarget, GetParams, Routing, RoutingResult, SetParams, Triggers};
use hub::{Connection, Role};
use records::{Records, TriggersRow};
use types::{Chain, TenantId};

use crate::config::pace;
use crate::devices::{failed, message, publish};
use crate::{Call, Methods};

/// Words of one tenant.
const MAX_TRIGGERS: usize = 32;

/// The longest word, in characters.
const MAX_TRIGGER: usize = 64;

/// The words that hold until others are set.
const DEFAULTS: [&str; 3] = ["openclaw", "claude", "computer"];

impl Methods {
    /// Tells a node that has just connected what it listens for, and holds what it declares
    /// against what was approved. Called once for each connection of a node, after `hello-ok`.
    pub async fn greet_node(&self, connection: &Arc<Connection>) {
        if connection.role() != Role::Node {
            return;
        }
        let (parts, tenant) = (&*self.0, connection.tenant());
        if let Err(err) = parts.nodes(tenant).joined(connection).await {
            tracing::warn!(%tenant, error = %Chain(&err), "a node's request was not kept");
        }
        match triggers(&parts.records, tenant).await {
            Ok(words) => {
                let routing = routing();
                let told = [
                    message("voicewake.changed", &words),
                    message("voicewake.routing.changed", &routing),
                ];
                for message in told.into_iter().flatten() {
                    parts.hub.publish_to(tenant, connection.id(), &message);
                }
            }
            Err(err) => tracing::warn!(%tenant, error = %Chain(&err), "a node was not greeted"),
        }
    }
}

impl api::voicewake::Voicewake for Call<'_> {
    async fn voicewake_get(&self, _: GetParams) -> Result<Triggers, ApiError> {
        triggers(&self.parts.records, self.caller.permit.tenant()).await
    }

    async fn voicewake_set(&self, params: SetParams) -> Result<Triggers, ApiError> {
        let tenant = self.caller.permit.tenant();
        pace(self.parts, tenant)?;
        let words = Triggers { triggers: cleaned(&params.triggers) };
        let row =
            TriggersRow { triggers: words.triggers.clone(), updated_at: self.parts.clock.now() };
        self.parts.records.put_triggers(tenant, &row).await.map_err(|err| failed(&err))?;
        publish(&self.parts.hub, tenant, "voicewake.changed", &words);
        Ok(words)
    }

    async fn voicewake_routing_get(&self, _: GetParams) -> Result<RoutingResult, ApiError> {
        Ok(routing())
    }
}

async fn triggers(records: &Records, tenant: &TenantId) -> Result<Triggers, ApiError> {
    let row = records.triggers(tenant).await.map_err(|err| failed(&err))?;
    Ok(Triggers { triggers: row.map_or_else(|| cleaned(&[]), |row| row.triggers) })
}

/// Words as they are kept: trimmed, cut, at least one.
fn cleaned(words: &[String]) -> Vec<String> {
    let plain = words.iter().map(|word| word.trim()).filter(|word| !word.is_empty());
    let cut = plain.map(|word| word.chars().take(MAX_TRIGGER).collect::<String>());
    let words: Vec<_> = cut.take(MAX_TRIGGERS).collect();
    if words.is_empty() { DEFAULTS.map(str::to_owned).to_vec() } else { words }
}

const fn routing() -> RoutingResult {
    let default_target = DefaultTarget { mode: "current" };
    RoutingResult {
        config: Routing { version: 1, default_target, routes: Vec::new(), updated_at_ms: 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_bounded_and_never_none() {
        let check = |words: &[&str], want: &[&str]| {
            let words: Vec<_> = words.iter().map(|it| (*it).to_owned()).collect();
            assert_eq!(cleaned(&words), want);
        };
        check(&[], &DEFAULTS);
        check(&[" ", ""], &DEFAULTS);
        check(&[" hey ", "you"], &["hey", "you"]);
        let long = "ä".repeat(70);
        check(&[&long], &[&"ä".repeat(64)]);
        let many: Vec<_> = (0..40).map(|it| it.to_string()).collect();
        assert_eq!(cleaned(&many).len(), MAX_TRIGGERS);
    }
}
