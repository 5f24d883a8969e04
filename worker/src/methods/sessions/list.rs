//! Lists of sessions, and one by its key.

use api::ApiError;
use api::models::{THINKING_DEFAULT, THINKING_LEVELS, THINKING_OPTIONS};
use api::sessions::{Archived, BoardFace, Defaults, ListParams, SessionList, SessionRow, SortBy};
use types::{AgentId, UnixMillis};

use super::super::{Call, storage};
use super::fill::{Filler, write_back};
use crate::Error;
use crate::agent::SessionKey;
use crate::sessions::{Kind, Plain, View, split};
use crate::store::{self, Dir, Row};

/// Sessions of one page.
const MAX_PAGE: u32 = 1000;
/// Bytes of a text to search for.
const MAX_SEARCH: usize = 512;

/// A session and its agent.
pub(super) type Found = (AgentId, Row);

/// `sessions.list`.
pub(super) async fn list(call: &Call<'_>, params: ListParams) -> Result<SessionList, ApiError> {
    let limit = at_least_one("limit", params.limit)?.unwrap_or(100).min(MAX_PAGE);
    let limit_applied = usize::try_from(limit).unwrap_or(usize::MAX);
    let offset = usize::try_from(params.offset.unwrap_or(0)).unwrap_or(usize::MAX);
    let wanted = Wanted::new(&params, call.core.store.now())?;
    let texts =
        Texts { title: params.include_derived_titles, last_message: params.include_last_message };
    let agent = params.agent_id.clone();
    let read = move |root: &Dir| {
        let mut found = all(root, agent.as_ref())?;
        let mut filler = Filler::default();
        wanted.sort(&mut found);
        found.retain(|(_, row)| wanted.fits(row));
        if wanted.search.is_some() {
            found.iter_mut().try_for_each(|found| filler.fill(root, found))?;
        }
        found.retain(|(_, row)| wanted.is_found(row));
        let total_count = found.len();
        let mut page: Vec<Found> = found.into_iter().skip(offset).take(limit_applied).collect();
        if texts.title || texts.last_message {
            page.iter_mut().try_for_each(|found| filler.fill(root, found))?;
        }
        Ok((total_count, page, filler.filled))
    };
    let read = call.core.store.job(read).await;
    let (total_count, page, filled) = read.map_err(|err| storage(&err))?;
    write_back(call, filled).await;
    let view = View::new(call.core);
    let sessions: Vec<SessionRow> = page.iter().map(|(_, row)| texts.only(view.row(row))).collect();
    let end = offset.saturating_add(sessions.len());
    let next_offset = (end < total_count).then_some(end);
    let agent = params.agent_id.unwrap_or_else(AgentId::main);
    Ok(SessionList {
        ts: view.now(),
        path: store::sessions_path(&agent),
        count: sessions.len(),
        total_count,
        limit_applied,
        offset,
        has_more: next_offset.is_some(),
        next_offset,
        owners: [],
        defaults: defaults(&view),
        sessions,
    })
}

/// What holds where a session says nothing.
pub(in super::super) fn defaults(view: &View) -> Defaults {
    let model = split(view.default_model());
    Defaults {
        model_provider: model.model_provider,
        model: model.model,
        context_tokens: Some(view.context_tokens()),
        thinking_levels: THINKING_LEVELS,
        thinking_options: THINKING_OPTIONS,
        thinking_default: THINKING_DEFAULT,
    }
}

/// One session, with its title and the start of its last message.
pub(super) async fn one(call: &Call<'_>, key: &SessionKey) -> Result<Option<Row>, ApiError> {
    let key = key.clone();
    let read = move |root: &Dir| {
        let row = store::session(root, key.agent(), key.as_str())?;
        let Some(row) = row else { return Ok(None) };
        let mut found = (key.agent().clone(), row);
        let mut filler = Filler::default();
        filler.fill(root, &mut found)?;
        Ok(Some((found.1, filler.filled)))
    };
    let read = call.core.store.job(read).await.map_err(|err| storage(&err))?;
    let Some((row, filled)) = read else { return Ok(None) };
    write_back(call, filled).await;
    Ok(Some(row))
}

/// Every session, or every one of one agent.
pub(super) fn all(root: &Dir, agent: Option<&AgentId>) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    for id in store::agents(root)? {
        if agent.is_none_or(|wanted| *wanted == id) {
            found.extend(store::sessions(root, &id)?.into_iter().map(|row| (id.clone(), row)));
        }
    }
    Ok(found)
}

/// The texts that a row is to have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Texts {
    pub(super) title: bool,
    pub(super) last_message: bool,
}

impl Texts {
    /// Takes out of a row what was not asked for.
    pub(super) fn only(self, mut row: SessionRow) -> SessionRow {
        row.derived_title.take_if(|_| !self.title);
        row.last_message_preview.take_if(|_| !self.last_message);
        row
    }
}

fn at_least_one(name: &str, value: Option<u32>) -> Result<Option<u32>, ApiError> {
    if value == Some(0) {
        return Err(ApiError::invalid(format!("{name} must be 1 or more")));
    }
    Ok(value)
}

/// Which sessions a list is to show.
#[expect(clippy::struct_excessive_bools, reason = "the official clients send these fields")]
struct Wanted {
    oldest: UnixMillis,
    by_interaction: bool,
    needs_interaction: bool,
    needs_board: bool,
    label: Option<String>,
    face: Option<BoardFace>,
    spawned_by: Option<String>,
    archived: Archived,
    /// In lower case.
    search: Option<String>,
}

impl Wanted {
    fn new(params: &ListParams, now: UnixMillis) -> Result<Self, ApiError> {
        let active = at_least_one("activeMinutes", params.active_minutes)?;
        let active = active.map(|minutes| u64::from(minutes) * 60_000);
        let search = params.search.as_deref().map(str::trim).filter(|text| !text.is_empty());
        if search.is_some_and(|text| text.len() > MAX_SEARCH) {
            return Err(ApiError::invalid(format!("search has at most {MAX_SEARCH} bytes")));
        }
        Ok(Self {
            oldest: active.map_or(0, |active| now.saturating_sub(active)),
            by_interaction: params.sort_by == Some(SortBy::LastInteractionAt),
            needs_interaction: params.require_last_interaction,
            needs_board: params.has_board,
            label: params.label.clone(),
            face: params.board_face,
            spawned_by: params.spawned_by.clone(),
            archived: params.archived,
            search: search.map(str::to_lowercase),
        })
    }

    /// Pinned sessions first, then by time.
    fn sort(&self, found: &mut [Found]) {
        let time = |row: &Row| {
            if self.by_interaction { row.last_interaction_at() } else { row.updated_at }
        };
        found.sort_by(|(_, a), (_, b)| {
            let pinned = |row: &Row| row.meta.pinned == Some(true);
            let order = pinned(b).cmp(&pinned(a)).then_with(|| time(b).cmp(&time(a)));
            order.then_with(|| a.key.cmp(&b.key))
        });
    }

    fn fits(&self, row: &Row) -> bool {
        let archived = row.meta.archived == Some(true);
        let by_archive = match self.archived {
            Archived::No => !archived,
            Archived::Only => archived,
            Archived::All => true,
        };
        let is = |wanted: &Option<String>, has: &Option<String>| wanted.is_none() || wanted == has;
        let by_face =
            self.face.is_none_or(|face| (face == BoardFace::Dashboard) == is_dashboard(row));
        by_archive
            && by_face
            && !self.needs_board
            && row.updated_at >= self.oldest
            && (!self.needs_interaction || row.meta.last_interaction_at.is_some())
            && is(&self.label, &row.meta.label)
            && is(&self.spawned_by, &row.meta.spawned_by)
    }

    fn is_found(&self, row: &Row) -> bool {
        let Some(search) = &self.search else { return true };
        let meta = &row.meta;
        let texts = [
            &meta.label,
            &meta.display_name,
            &meta.subject,
            &meta.derived_title,
            &meta.last_message_preview,
        ];
        let mut texts = texts.into_iter().flatten().map(String::as_str);
        row.key.contains(search)
            || row.session_id.as_str().contains(search)
            || texts.any(|text| text.to_lowercase().contains(search))
    }
}

fn is_dashboard(row: &Row) -> bool {
    matches!(Kind::of_key(&row.key), Kind::Plain { kind: Plain::Dashboard, .. })
}
