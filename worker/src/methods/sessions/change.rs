//! Changing, resetting, deleting and compacting a session.

use api::ApiError;
use api::models::THINKING_OPTIONS;
use api::sessions::{
    CompactParams, Compacted, DeleteParams, Deleted, PatchParams, Patched, ResetParams,
    ResetReason, Set,
};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::{Call, failed, storage};
use super::{keyed, known, stored};
use crate::Error;
use crate::agent::{self, SessionKey, changed};
use crate::runs::Place;
use crate::sessions::View;
use crate::store::{self, Aside, Change, Dir, Fields, Row, SessionId};

/// Bytes of a label, and of everything else that a client stores and the gateway does not use.
const MAX_LABEL: usize = 512;
/// Bytes of all values of one patch.
const MAX_PATCH: usize = 64 << 10;

/// `sessions.patch`.
pub(super) async fn patch(call: &Call<'_>, params: PatchParams) -> Result<Patched, ApiError> {
    let key = keyed(&params.key, params.agent_id.as_ref())?;
    known(call, key.agent()).await?;
    let row = stored(call, &key).await?;
    expect_id(row.as_ref(), params.expected_session_id.as_deref())?;
    if let Set::To(label) = &params.label {
        free_label(call, &key, label).await?;
    }
    let fields = fields_of(call, &params)?;
    let session = row.map_or_else(SessionId::new, |row| row.session_id);
    set(call, &key, session, fields).await?;
    changed(call.core, &key, "patch", None).await;
    patched(call, &key).await
}

/// Writes fields of a session, which begins where there is none.
pub(super) async fn set(
    call: &Call<'_>,
    key: &SessionKey,
    session: SessionId,
    fields: Fields,
) -> Result<(), ApiError> {
    let written = Change::Set { session, fields };
    let written = call.core.store.commit(key.agent(), key.as_str(), written).await;
    written.map_err(|err| storage(&err))
}

/// `sessions.reset`.
pub(super) async fn reset(call: &Call<'_>, params: ResetParams) -> Result<Patched, ApiError> {
    let key = keyed(&params.key, params.agent_id.as_ref())?;
    known(call, key.agent()).await?;
    let place = stop(call, &key)?;
    let _lane = place.turn().await;
    let before = stored(call, &key).await?;
    let store = &call.core.store;
    let begun = Change::Reset { session: SessionId::new() };
    let begun = store.commit(key.agent(), key.as_str(), begun).await;
    begun.map_err(|err| storage(&err))?;
    if let Some(before) = before {
        let aside = store.put_aside(key.agent(), before.session_id, Aside::Reset).await;
        aside.map_err(|err| storage(&err))?;
    }
    let reason = match params.reason {
        Some(ResetReason::New) => "new",
        Some(ResetReason::Reset) | None => "reset",
    };
    changed(call.core, &key, reason, None).await;
    patched(call, &key).await
}

/// `sessions.delete`.
pub(super) async fn delete(call: &Call<'_>, params: DeleteParams) -> Result<Deleted, ApiError> {
    let key = keyed(&params.key, params.agent_id.as_ref())?;
    let place = stop(call, &key)?;
    let _lane = place.turn().await;
    let row = stored(call, &key).await?;
    expect_id(row.as_ref(), params.expected_session_id.as_deref())?;
    if let Some(row) = &row {
        let expected =
            params.expected_session_updated_at.as_ref().and_then(serde_json::Number::as_f64);
        let is_newer = |at: f64| json!(row.updated_at).as_f64().is_some_and(|now| now > at);
        if expected.is_some_and(is_newer) {
            return Err(ApiError::invalid("the session has changed since"));
        }
        if params.archived_only && row.meta.archived != Some(true) {
            return Err(ApiError::invalid("the session is not archived"));
        }
    }
    let gone = call.core.store.delete(key.agent(), key.as_str()).await;
    let gone = gone.map_err(|err| storage(&err))?;
    let deleted = gone.is_some();
    if deleted {
        changed(call.core, &key, "delete", None).await;
    }
    let archived = gone.map_or_else(Vec::new, |(_, archived)| archived);
    Ok(Deleted { ok: true, key: key.as_str().to_owned(), deleted, archived })
}

/// `sessions.compact`.
pub(super) async fn compact(call: &Call<'_>, params: CompactParams) -> Result<Compacted, ApiError> {
    let key = keyed(&params.key, params.agent_id.as_ref())?;
    if stored(call, &key).await?.is_none() {
        return Err(ApiError::invalid(format!("no session found: {}", key.as_str())));
    }
    let done = agent::compact(call.core, &key, "").await.map_err(failed)?;
    let reason = done.is_none().then(|| "nothing is old enough to be compacted".to_owned());
    let result = done.map(|done| {
        json!({
            "summary": done.summary,
            "firstKeptEntryId": done.first_kept_entry_id,
            "tokensBefore": done.tokens_before,
            "tokensAfter": done.tokens_after,
        })
    });
    let compacted = result.is_some();
    Ok(Compacted { ok: true, key: key.as_str().to_owned(), compacted, reason, result })
}

/// Stops what runs in a session, and gives a place in its lane.
fn stop(call: &Call<'_>, key: &SessionKey) -> Result<Place, ApiError> {
    let runs = &call.core.runs;
    let place = runs.line_up(key.as_str());
    let place = place.map_err(|busy| ApiError::unavailable(busy.to_string()))?;
    drop(runs.stop_turns(key.as_str(), None));
    Ok(place)
}

fn expect_id(row: Option<&Row>, expected: Option<&str>) -> Result<(), ApiError> {
    let Some(expected) = expected else { return Ok(()) };
    if row.is_some_and(|row| row.session_id.as_str() == expected) {
        return Ok(());
    }
    let changed = "the session has another id by now; reload it and try again";
    Err(ApiError::invalid(changed).with_details(json!({"code": "SESSION_CHANGED"})))
}

/// Refuses a label that another session of the agent has.
pub(super) async fn free_label(
    call: &Call<'_>,
    key: &SessionKey,
    label: &str,
) -> Result<(), ApiError> {
    let (of, label) = (key.clone(), label.to_owned());
    let read = move |root: &Dir| {
        let rows = store::sessions(root, of.agent())?;
        let mut others = rows.iter().filter(|row| row.key != of.as_str());
        Ok(others.any(|row| row.meta.label.as_deref() == Some(label.as_str())))
    };
    if call.core.store.job(read).await.map_err(|err| storage(&err))? {
        return Err(ApiError::invalid("label already in use by another session"));
    }
    Ok(())
}

/// A session after a change.
async fn patched(call: &Call<'_>, key: &SessionKey) -> Result<Patched, ApiError> {
    let (row, entry) = entry(call, key).await?;
    Ok(Patched {
        ok: true,
        path: store::sessions_path(key.agent()),
        key: key.as_str().to_owned(),
        entry,
        resolved: View::new(call.core).resolved(&row),
    })
}

/// A session's entry, read and as it is stored.
pub(super) async fn entry(
    call: &Call<'_>,
    key: &SessionKey,
) -> Result<(Row, Box<RawValue>), ApiError> {
    let of = key.clone();
    let read = move |root: &Dir| {
        let row = store::session(root, of.agent(), of.as_str())?;
        let entry = store::entry_of(root, of.agent(), of.as_str())?;
        row.zip(entry).map(|(row, entry)| Ok((row, public(&entry)?))).transpose()
    };
    let read = call.core.store.job(read).await.map_err(|err| storage(&err))?;
    read.ok_or_else(|| ApiError::unavailable("the session was deleted meanwhile"))
}

/// An entry without what is long or names a file of another machine.
fn public(entry: &RawValue) -> Result<Box<RawValue>, Error> {
    let invalid = |source| Error::Invalid { what: "sessions.json", source };
    let fields = serde_json::from_str(entry.get());
    let mut fields: std::collections::BTreeMap<&str, &RawValue> = fields.map_err(invalid)?;
    for name in ["sessionFile", "skillsSnapshot", "systemPromptReport"] {
        fields.remove(name);
    }
    serde_json::value::to_raw_value(&fields).map_err(invalid)
}

/// The fields that a patch changes, checked.
fn fields_of(call: &Call<'_>, params: &PatchParams) -> Result<Fields, ApiError> {
    let mut new = Patch::default();
    new.text("label", &params.label, MAX_LABEL)?;
    new.text("icon", &params.icon, MAX_LABEL)?;
    new.text("color", &params.color, 64)?;
    new.text("category", &params.category, MAX_LABEL)?;
    new.text("statusNote", &params.status_note, 480)?;
    let attention = ["hand", "key", "alert", "flag", "lock", "hourglass"];
    new.word("attention", &params.attention, &attention)?;
    new.word("thinkingLevel", &params.thinking_level, THINKING_OPTIONS)?;
    new.word("verboseLevel", &params.verbose_level, &["off", "on", "full"])?;
    new.word("traceLevel", &params.trace_level, &["off", "on", "raw"])?;
    new.word("reasoningLevel", &params.reasoning_level, &["off", "on", "stream"])?;
    new.word("responseUsage", &params.response_usage, &["off", "tokens", "full", "on"])?;
    new.word("elevatedLevel", &params.elevated_level, &["off", "on", "ask", "full"])?;
    let modes = ["read-only", "guarded", "workspace", "full"];
    new.word("permissionMode", &params.permission_mode, &modes)?;
    new.word("sendPolicy", &params.send_policy, &["allow", "deny"])?;
    new.word("groupActivation", &params.group_activation, &["mention", "always"])?;
    let texts = [
        ("execHost", &params.exec_host),
        ("execSecurity", &params.exec_security),
        ("execAsk", &params.exec_ask),
        ("execNode", &params.exec_node),
        ("completionOwnerSessionKey", &params.completion_owner_session_key),
    ];
    for (name, value) in texts {
        new.text(name, value, MAX_LABEL)?;
    }
    new.any("fastMode", &params.fast_mode)?;
    new.any("toolOverrides", &params.tool_overrides)?;
    new.any("inheritedToolPolicyVersion", &params.inherited_tool_policy_version)?;
    new.any("inheritedToolAllow", &params.inherited_tool_allow)?;
    new.any("inheritedToolDeny", &params.inherited_tool_deny)?;
    new.flags(params, call.core.store.now());
    new.model(call, &params.model)?;
    new.checked()
}

/// Fields on their way into an entry.
#[derive(Default)]
struct Patch(Fields);

impl Patch {
    fn any<T: Serialize>(&mut self, name: &'static str, value: &Set<T>) -> Result<(), ApiError> {
        let value = match value {
            Set::Keep => return Ok(()),
            Set::Clear => Value::Null,
            Set::To(value) => serde_json::to_value(value)
                .map_err(|err| ApiError::invalid(format!("{name} cannot be stored: {err}")))?,
        };
        self.0.insert(name, value);
        Ok(())
    }

    fn text(
        &mut self,
        name: &'static str,
        value: &Set<String>,
        max: usize,
    ) -> Result<(), ApiError> {
        if let Set::To(text) = value
            && !(1..=max).contains(&text.len())
        {
            return Err(ApiError::invalid(format!("{name} must have 1 to {max} bytes")));
        }
        self.any(name, value)
    }

    fn word(
        &mut self,
        name: &'static str,
        value: &Set<String>,
        words: &[&str],
    ) -> Result<(), ApiError> {
        if let Set::To(text) = value
            && !words.contains(&text.as_str())
        {
            let words = words.join(", ");
            return Err(ApiError::invalid(format!("{name} must be one of {words}")));
        }
        self.any(name, value)
    }

    fn flags(&mut self, params: &PatchParams, now: u64) {
        for (name, flag) in [("archived", params.archived), ("pinned", params.pinned)] {
            if let Some(flag) = flag {
                self.0.insert(name, if flag { Value::Bool(true) } else { Value::Null });
            }
        }
        match params.unread {
            Some(true) => {
                self.0.insert("unread", Value::Bool(true));
                self.0.insert("markedUnreadAt", now.into());
            }
            Some(false) => {
                self.0.insert("unread", Value::Null);
                self.0.insert("markedUnreadAt", Value::Null);
                self.0.insert("lastReadAt", now.into());
            }
            None => {}
        }
    }

    fn model(&mut self, call: &Call<'_>, model: &Set<String>) -> Result<(), ApiError> {
        match model {
            Set::Keep => {}
            Set::Clear => {
                self.0.insert("modelOverride", Value::Null);
                self.0.insert("providerOverride", Value::Null);
            }
            Set::To(model) => self.0.extend(model_fields(call, model)?),
        }
        Ok(())
    }

    fn checked(self) -> Result<Fields, ApiError> {
        let bytes: usize = self.0.values().map(|value| value.to_string().len()).sum();
        if bytes > MAX_PATCH {
            return Err(ApiError::invalid(format!("a patch has at most {MAX_PATCH} bytes")));
        }
        Ok(self.0)
    }
}

/// A model that the tenant may use, as an entry holds it.
pub(super) fn model_fields(call: &Call<'_>, model: &str) -> Result<Fields, ApiError> {
    super::super::known_model(call, model)?;
    let (provider, name) = match model.split_once('/') {
        Some((provider, name)) => (Value::from(provider), name),
        None => (Value::Null, model),
    };
    Ok(Fields::from([("modelOverride", name.into()), ("providerOverride", provider)]))
}
