//! One heartbeat: whether it takes place, the turn, and what is said of it.

use api::heartbeat::{Beat, BeatStatus};
use types::{AgentId, UnixMillis};

use super::{OWN, Stored, change, read, say};
use crate::agent::{self, RunRequest, RunStatus, SessionKey, Source};
use crate::service::Core;
use crate::settings::QueueMode;
use crate::store::Dir;
use crate::{Error, agents, cron};

/// Bytes of HEARTBEAT.md that a heartbeat reads.
const MAX_FILE: u64 = 20_000;
/// Characters of what it said that are shown.
const PREVIEW: usize = 200;
/// How soon it is tried again where the session was busy, at the latest after the interval.
const BUSY_MS: u64 = 60_000;

/// Starts a heartbeat if one is due. The next one is on disk when this returns.
pub(crate) async fn ring(core: &Core) -> Result<(), Error> {
    let due = change(core, Stored::take_due).await?;
    if !due {
        return Ok(());
    }
    let (run, background) = (core.runs.begin(), core.events.background());
    let (core, tasks) = (core.clone(), core.tasks.clone());
    drop(tasks.spawn(async move {
        let began = core.store.now();
        let beat = match take_place(&core, began).await {
            Ok(beat) => beat,
            Err(err) => {
                tracing::error!(error = %types::Chain(&err), "a heartbeat failed");
                let reason = Some("the tenant's files could not be read".to_owned());
                ended(&core, began, BeatStatus::Failed, reason, None)
            }
        };
        tracing::info!(status = ?beat.status, reason = beat.reason, "heartbeat ended");
        core.events.emit("heartbeat", "", &beat);
        if let Err(err) = change(&core, |stored, _now| stored.last = Some(beat)).await {
            tracing::error!(error = %types::Chain(&err), "a heartbeat was not written down");
        }
        drop((run, background));
    }));
    Ok(())
}

fn ended(
    core: &Core,
    began: UnixMillis,
    status: BeatStatus,
    reason: Option<String>,
    said: Option<&str>,
) -> Beat {
    let ts = core.store.now();
    let preview = said.map(|said| said.chars().take(PREVIEW).collect());
    let duration_ms = ts.saturating_sub(began);
    Beat { ts, status, preview, reason, has_media: false, duration_ms }
}

async fn take_place(core: &Core, began: UnixMillis) -> Result<Beat, Error> {
    let skipped =
        |reason: &str| ended(core, began, BeatStatus::Skipped, Some(reason.to_owned()), None);
    let settings = core.live.now().settings;
    let settings = &settings.agents.defaults.heartbeat;
    if !settings.is_active(began) {
        return Ok(skipped("quiet-hours"));
    }
    let agent = AgentId::main();
    let own = format!("main{OWN}");
    let name = if settings.is_isolated() { own.as_str() } else { "main" };
    let Ok(main) = SessionKey::parse(&format!("agent:{agent}:main")) else {
        return Ok(skipped("no-route"));
    };
    let Ok(key) = SessionKey::parse(&format!("agent:{agent}:{name}")) else {
        return Ok(skipped("no-route"));
    };
    if core.runs.has_turns(key.as_str()) || core.runs.has_turns(main.as_str()) {
        change(core, |stored, now| {
            let soon = now.saturating_add(BUSY_MS);
            stored.next_ms = stored.next_ms.map(|next| next.min(soon));
        })
        .await?;
        return Ok(skipped("requests-in-flight"));
    }
    let nothing_waits = read(core).await?.of(main.as_str()).is_empty();
    let file = core.store.job(move |root| file(root, &agent)).await?;
    if nothing_waits && file.as_deref().is_some_and(say::asks_nothing) {
        return Ok(skipped("empty-heartbeat-file"));
    }
    let message = say::prompt(settings.prompt(), file.as_deref());
    let mut request = RunRequest::new(key.clone(), message, Source::Heartbeat);
    request.model = settings.model().map(str::to_owned);
    request.queue = Some(QueueMode::Followup);
    let handle = match agent::run(core, request).await {
        Ok(handle) => handle,
        Err(fault) => {
            return Ok(ended(core, began, BeatStatus::Failed, Some(fault.message), None));
        }
    };
    let outcome = handle.done().await;
    if outcome.status != RunStatus::Ok {
        let why = outcome.error.as_ref().map_or("stopped", |fault| fault.message.as_str());
        return Ok(ended(core, began, BeatStatus::Failed, Some(why.to_owned()), None));
    }
    let (text, ack) = (outcome.text.as_str(), settings.ack_chars());
    Ok(if text.trim().is_empty() {
        ended(core, began, BeatStatus::OkEmpty, None, None)
    } else if say::acknowledges(text, ack) {
        ended(core, began, BeatStatus::OkToken, None, None)
    } else {
        let unsaid = match settings.target() {
            Some("none") => None,
            Some(_) | None => cron::post(core, &key, ("Heartbeat", handle.id()), text).await.err(),
        };
        ended(core, began, BeatStatus::Sent, unsaid, Some(text))
    })
}

fn file(root: &Dir, agent: &AgentId) -> Result<Option<String>, Error> {
    let read = || match root.sub(&agents::workspace_path(agent))? {
        Some(dir) => dir.read_start("HEARTBEAT.md", MAX_FILE),
        None => Ok(None),
    };
    let bytes = read().map_err(Error::io("read HEARTBEAT.md"))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}
