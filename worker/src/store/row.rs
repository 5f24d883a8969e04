//! What this version reads of a session's entry; everything else in it stays as it is.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use types::UnixMillis;

use super::sessions::{SessionId, invalid};
use crate::Error;

/// A session's entry. Fields of [`Meta`] that are missing, or are not what they should be, are
/// `None`: entries come from other versions and other programs.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) session_id: SessionId,
    pub(crate) updated_at: UnixMillis,
    /// The model of the last turn.
    pub(crate) model: Option<String>,
    /// Input, output and all tokens of all turns.
    pub(crate) totals: [u64; 3],
    pub(crate) meta: Meta,
}

macro_rules! lenient {
    ($(#[$top:meta])* $Name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)+ }) => {
        $(#[$top])*
        #[derive(Debug, Clone, Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub(crate) struct $Name {
            $($(#[$doc])*
            #[serde(deserialize_with = "lenient")]
            pub(crate) $field: Option<$type>,)+
        }
    };
}

lenient! {
    /// The optional fields of an entry.
    Meta {
        label: String,
        display_name: String,
        subject: String,
        channel: String,
        last_channel: String,
        chat_type: String,
        icon: String,
        color: String,
        category: String,
        status_note: String,
        /// The start of what the user said first; empty where nobody has said anything yet.
        derived_title: String,
        /// The start of the last message.
        last_message_preview: String,
        spawned_by: String,
        parent_session_key: String,
        /// How many runs started each other before those of this session.
        spawn_depth: u64,
        /// The tools that its runs may use at most: those of the run that started it.
        tools_allow: Vec<String>,
        model_provider: String,
        /// The model that somebody chose for this session.
        model_override: String,
        provider_override: String,
        thinking_level: String,
        verbose_level: String,
        reasoning_level: String,
        elevated_level: String,
        trace_level: String,
        response_usage: String,
        send_policy: String,
        group_activation: String,
        queue_mode: String,
        cache_read: u64,
        /// Tokens of the last turn: what the next one starts from.
        last_turn_tokens: u64,
        context_tokens: u64,
        compaction_count: u64,
        aborted_last_run: bool,
        archived: bool,
        pinned: bool,
        unread: bool,
        last_read_at: UnixMillis,
        /// When somebody wrote in the session last.
        last_interaction_at: UnixMillis,
        /// When its transcript was begun.
        session_started_at: UnixMillis,
        started_at: UnixMillis,
        ended_at: UnixMillis,
        last_run_id: String,
        /// How the last run ended: `done`, `failed`, `killed` or `timeout`.
        status: String,
    }
}

lenient! {
    /// The fields that every entry has.
    Base {
        session_id: String,
        updated_at: UnixMillis,
        model: String,
        input_tokens: u64,
        output_tokens: u64,
        total_tokens: u64,
    }
}

impl Row {
    /// Reads an entry.
    pub(super) fn parse(key: &str, entry: &RawValue) -> Result<Self, Error> {
        let base: Base = serde_json::from_str(entry.get()).map_err(invalid)?;
        let meta: Meta = serde_json::from_str(entry.get()).map_err(invalid)?;
        let tokens = [base.input_tokens, base.output_tokens, base.total_tokens];
        Ok(Self {
            key: key.to_owned(),
            session_id: SessionId::parse(&base.session_id.ok_or(Error::BadName)?)?,
            updated_at: base.updated_at.unwrap_or(0),
            model: base.model,
            totals: tokens.map(Option::unwrap_or_default),
            meta,
        })
    }

    /// The model that somebody chose for this session, as a request names it.
    pub(crate) fn model_override(&self) -> Option<String> {
        let model = self.meta.model_override.as_deref()?;
        Some(match self.meta.provider_override.as_deref() {
            Some(provider) => format!("{provider}/{model}"),
            None => model.to_owned(),
        })
    }

    /// When somebody wrote in it last, or it was begun if that was later, as well as that is known.
    pub(crate) fn last_interaction_at(&self) -> UnixMillis {
        let (wrote, began) = (self.meta.last_interaction_at, self.meta.session_started_at);
        wrote.max(began).unwrap_or(self.updated_at)
    }
}

/// A value of the type asked for, or `None`.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_programs_write_is_read_as_far_as_it_goes() {
        let entry = r#"{"sessionId":"a","updatedAt":null,"inputTokens":1.5,"outputTokens":3,
            "label":7,"pinned":"yes","archived":true,"modelOverride":"m","x":[1,{"y":2}]}"#;
        let raw = RawValue::from_string(entry.to_owned()).unwrap();
        let row = Row::parse("k", &raw).unwrap();
        assert_eq!((row.updated_at, row.totals), (0, [0, 3, 0]));
        assert_eq!((row.meta.label, row.meta.pinned), (None, None));
        assert_eq!(row.meta.archived, Some(true));
        let raw = RawValue::from_string(r#"{"updatedAt":1}"#.to_owned()).unwrap();
        assert!(matches!(Row::parse("k", &raw), Err(Error::BadName)));
    }
}
