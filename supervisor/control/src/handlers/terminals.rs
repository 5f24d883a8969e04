//! `/v1/tenants/{id}/terminals`: an operator types into a shell in a tenant's sandbox. The shell is
//! the tenant's world and not the operator's: nothing that it prints is believed or looked at here.

use std::collections::BTreeMap;
use std::sync::Arc;

use auth::Operator;
use bytes::Bytes;
use control_api::{
    Deleted, OpenTerminal, OpenedTerminal, TenantPath, Terminal, TerminalList, TerminalPath,
    TerminalSize, Typed,
};
use runtime::Tasks;
use sandboxes::Programs;
use sandboxes::terminal::{Found as State, Heard, Opener, View, Wish};
use tokio::sync::mpsc;
use types::AgentId;

use crate::call::{Call, Nothing, Raw};
use crate::error::Error;
use crate::idempotency::{self, Created};
use crate::reply::{Found, Made, Stream};

pub(crate) async fn open(
    call: Call<TenantPath, Nothing, OpenTerminal>,
) -> Result<Made<OpenedTerminal>, Error> {
    idempotency::once(&call, make(&call)).await
}

async fn make(call: &Call<TenantPath, Nothing, OpenTerminal>) -> Result<OpenedTerminal, Error> {
    let (parts, body) = (call.control.parts(), &call.body);
    let agent = body.agent.clone().unwrap_or_else(AgentId::main);
    let programs = parts.tenants.housed_terminals(&call.permit, &call.path.id, &agent).await?;
    let operator = call.permit.operator().clone();
    let wish = Wish {
        agent,
        shell: None,
        size: (body.cols, body.rows),
        env: BTreeMap::new(),
        viewer: None,
        opener: Opener::until(async move { operator.revoked().await }),
        at: parts.clock.now(),
    };
    let view = programs.open_terminal(wish).await?;
    tracing::info!(
        tenant = %call.path.id, operator = call.permit.operator().id(), sandbox = view.number,
        "an operator opened a terminal"
    );
    Ok(OpenedTerminal { terminal_id: view.id })
}

impl Created for OpenedTerminal {
    fn without_secret(&self) -> Self {
        self.clone()
    }

    fn name(&self) -> &str {
        &self.terminal_id
    }
}

pub(crate) async fn list(call: Call<TenantPath>) -> Result<Found<TerminalList>, Error> {
    let programs = call.control.parts().tenants.terminals(&call.permit, &call.path.id)?;
    let terminals = programs.list_terminals().into_iter().map(shown).collect();
    Ok(Found(TerminalList { terminals }))
}

pub(crate) async fn show(call: Call<TerminalPath>) -> Result<Found<Terminal>, Error> {
    let (id, programs) = (call.path.terminal_id.clone(), programs(&call)?);
    Ok(Found(match programs.find(&id)? {
        State::Open(view) => shown(view),
        State::Over(end) => Terminal {
            terminal_id: id,
            open: false,
            agent: None,
            created_at: None,
            last_typed_at: None,
            exit_code: end.code,
            signal: end.signal,
            reason: Some(end.reason.to_owned()),
        },
    }))
}

/// Everything that it shows, from what it has shown of late to its end; ends early where the operator
/// is one no longer, or the gateway stops.
pub(crate) async fn output(call: Call<TerminalPath>) -> Result<Stream, Error> {
    let operator = call.permit.operator().id();
    let heard = programs(&call)?.listen_to_terminal(&call.path.terminal_id, operator)?;
    let Heard { before, pieces } = heard;
    let tasks = call.head.extensions.get::<Tasks>().cloned().unwrap_or_default();
    let listening =
        Listening { before: Some(before), pieces, operator: call.permit.operator().clone(), tasks };
    let pieces = futures_util::stream::unfold(listening, |mut listening| async {
        let piece = listening.next().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), listening))
    });
    Ok(Stream(axum::body::Body::from_stream(pieces)))
}

/// Somebody who hears a terminal.
struct Listening {
    before: Option<Bytes>,
    pieces: mpsc::Receiver<Bytes>,
    operator: Operator,
    tasks: Tasks,
}

impl Listening {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(before) = self.before.take().filter(|it| !it.is_empty()) {
            return Some(before);
        }
        tokio::select! {
            biased;
            () = self.operator.revoked() => None,
            () = self.tasks.stopping() => None,
            piece = self.pieces.recv() => piece,
        }
    }
}

pub(crate) async fn input(call: Call<TerminalPath, Nothing, Raw>) -> Result<Found<Typed>, Error> {
    let (now, bytes) = (call.control.parts().clock.now(), call.bytes.len());
    let (programs, operator) = (programs(&call)?, call.permit.operator().id());
    programs.type_as_operator(&call.path.terminal_id, operator, call.bytes, now).await?;
    Ok(Found(Typed { bytes }))
}

pub(crate) async fn resize(
    call: Call<TerminalPath, Nothing, TerminalSize>,
) -> Result<Found<TerminalSize>, Error> {
    let TerminalSize { cols, rows } = call.body;
    programs(&call)?.resize_terminal(&call.path.terminal_id, cols, rows)?;
    Ok(Found(call.body))
}

pub(crate) async fn close(call: Call<TerminalPath>) -> Result<Found<Deleted>, Error> {
    programs(&call)?.close_terminal(&call.path.terminal_id).await?;
    Ok(Found(Deleted { id: call.path.terminal_id, deleted: true }))
}

fn programs<Q, B>(call: &Call<TerminalPath, Q, B>) -> Result<Arc<Programs>, Error> {
    Ok(call.control.parts().tenants.terminals(&call.permit, &call.path.id)?)
}

fn shown(view: View) -> Terminal {
    Terminal {
        terminal_id: view.id,
        open: true,
        agent: Some(view.agent),
        created_at: Some(view.created_at.into()),
        last_typed_at: Some(view.typed_at.into()),
        exit_code: None,
        signal: None,
        reason: None,
    }
}
