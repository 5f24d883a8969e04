//! From what the other crates know to what operators read.

use auth::{KeyView, TokenView};
use control_api::{Key, Tenant, TenantRow, TenantState, Token, Worker};
use sandbox::{HostReport, Mode};
use tenants::{State, TenantView, WorkerView};

pub(super) fn row(view: TenantView) -> TenantRow {
    TenantRow { id: view.id, state: state(view.state), created_at: view.created_at.into() }
}

pub(super) fn tenant(view: TenantView) -> Tenant {
    Tenant {
        id: view.id,
        state: state(view.state),
        worker: view.worker.map(worker),
        limits: view.limits.into(),
        sleeps: view.sleeps.to_string(),
        last_active_at: view.last_active_at.map(Into::into),
        created_at: view.created_at.into(),
    }
}

pub(super) fn token(view: TokenView) -> Token {
    Token {
        id: view.id,
        label: view.label,
        scopes: view.scopes,
        created_at: view.created_at.into(),
        expires_at: view.expires_at.map(Into::into),
        last_used_at: view.last_used_at.map(Into::into),
        generation: view.generation,
    }
}

pub(super) fn key(view: KeyView) -> Key {
    Key {
        id: view.id,
        label: view.label,
        role: view.role,
        created_at: view.created_at.into(),
        expires_at: view.expires_at.map(Into::into),
    }
}

pub(super) const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Root => "root",
        Mode::Rootless => "rootless",
    }
}

/// What this machine does not give, a sentence each, beginning with the guarantee's stable name.
pub(super) fn degraded(report: &HostReport) -> Vec<String> {
    let sentence = |it: &sandbox::Degradation| format!("{}: {}", it.guarantee, it.reason);
    report.degraded.iter().map(sentence).collect()
}

fn worker(view: WorkerView) -> Worker {
    Worker {
        pid: view.pid,
        started_at: view.started_at.into(),
        pss_bytes: view.pss_bytes,
        version: view.version,
    }
}

const fn state(state: State) -> TenantState {
    match state {
        State::Stopped => TenantState::Stopped,
        State::Starting => TenantState::Starting,
        State::Ready => TenantState::Ready,
        State::Draining => TenantState::Draining,
        State::Parked => TenantState::Parked,
        State::Suspended => TenantState::Suspended,
    }
}
