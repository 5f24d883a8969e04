//! `sessions.resolve`: the session that a key, an id, a label or the start of an id names.

use api::ApiError;
use api::sessions::{Candidate, Candidates, Resolution, ResolveParams};

use super::super::{Call, storage};
use super::list::{Found, all};
use crate::agent::SessionKey;
use crate::store::Row;

/// Candidates that a reference may have.
const MAX_CANDIDATES: usize = 10;
/// Characters of the start of an id that are enough to look for it.
const MIN_SHORT: usize = 4;

/// `sessions.resolve`.
pub(super) async fn resolve(
    call: &Call<'_>,
    params: ResolveParams,
) -> Result<Resolution, ApiError> {
    let reference = Reference::new(&params)?;
    let agent = params.agent_id.clone();
    let found = call.core.store.job(move |root| all(root, agent.as_ref())).await;
    let mut found = found.map_err(|err| storage(&err))?;
    let spawned_by = params.spawned_by.as_deref();
    found.retain(|(_, row)| {
        let is_of = spawned_by.is_none_or(|by| row.meta.spawned_by.as_deref() == Some(by));
        is_of && reference.means(row)
    });
    found.sort_by(|(_, a), (_, b)| b.updated_at.cmp(&a.updated_at).then_with(|| a.key.cmp(&b.key)));
    match found.as_slice() {
        [found] => Ok(Resolution::Found(candidate(found, Some(true)))),
        [] if params.allow_missing => {
            Ok(Resolution::Open(Candidates { ok: false, candidates: Vec::new() }))
        }
        [] => Err(ApiError::invalid(format!("no session found: {}", reference.text()))),
        several => {
            let several = several.iter().take(MAX_CANDIDATES);
            let candidates = several.map(|found| candidate(found, None)).collect();
            Ok(Resolution::Open(Candidates { ok: false, candidates }))
        }
    }
}

fn candidate((agent, row): &Found, ok: Option<bool>) -> Candidate {
    let title = row.meta.derived_title.clone().filter(|title| !title.is_empty());
    let name = row.meta.label.clone().or_else(|| row.meta.display_name.clone());
    Candidate { ok, key: row.key.clone(), agent_id: agent.clone(), display_name: name.or(title) }
}

/// What names a session.
enum Reference {
    Key(SessionKey),
    Id(String),
    Label(String),
    Short(String),
}

impl Reference {
    fn new(params: &ResolveParams) -> Result<Self, ApiError> {
        let ResolveParams { key, session_id, label, short_id, agent_id, .. } = params;
        match (key, session_id, label, short_id) {
            (Some(key), None, None, None) => super::keyed(key, agent_id.as_ref()).map(Self::Key),
            (None, Some(id), None, None) => Ok(Self::Id(id.clone())),
            (None, None, Some(label), None) => Ok(Self::Label(label.clone())),
            (None, None, None, Some(short)) if short.chars().count() >= MIN_SHORT => {
                Ok(Self::Short(short.to_lowercase()))
            }
            (None, None, None, Some(_)) => {
                Err(ApiError::invalid(format!("shortId must have {MIN_SHORT} characters or more")))
            }
            _ => Err(ApiError::invalid("give one of key, sessionId, label and shortId")),
        }
    }

    fn means(&self, row: &Row) -> bool {
        match self {
            Self::Key(key) => row.key == key.as_str(),
            Self::Id(id) => row.session_id.as_str() == id,
            Self::Label(label) => row.meta.label.as_deref() == Some(label),
            Self::Short(short) => {
                let last = row.key.rsplit(':').next().unwrap_or_default();
                row.session_id.as_str().starts_with(short) || last.starts_with(short)
            }
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Key(key) => key.as_str(),
            Self::Id(text) | Self::Label(text) | Self::Short(text) => text,
        }
    }
}
