//! `terminal.*`: people of a tenant type into shells of its own. What is judged here is who asks and in
//! which words; whether there may be a shell is for `sandboxes` to say.

use api::terminal::{
    AttachParams, Attached, CloseParams, Closed, Done, InputParams, List, ListParams, Listed,
    OpenParams, Opened, ResizeParams, Resized, Shell, SpawnParams, WriteParams, Written,
};
use api::{ApiError, Code};
use sandboxes::terminal::{Dialect, Opener, View, Viewer, Wish};
use sandboxes::{Error, Refusal};
use types::AgentId;

use crate::{Call, failed};

/// Columns that `terminal.spawn` gives; what is outside is brought inside, as `OpenClawMU` has it.
const COLS: (u32, u32, u32) = (10, 80, 500);

/// Its rows.
const ROWS: (u32, u32, u32) = (5, 24, 200);

impl api::terminal::Terminal for Call<'_> {
    async fn terminal_spawn(&self, params: SpawnParams) -> Result<Opened, ApiError> {
        let within =
            |asked: Option<u32>, (low, usual, high)| asked.unwrap_or(usual).clamp(low, high);
        let wish = Wish {
            agent: AgentId::main(),
            shell: params.shell,
            size: (within(params.cols, COLS), within(params.rows, ROWS)),
            env: params.env.unwrap_or_default(),
            viewer: self.viewer(Dialect::Output),
            opener: self.opener(),
            at: self.parts.clock.now(),
        };
        self.open(wish).await
    }

    async fn terminal_open(&self, params: OpenParams) -> Result<Opened, ApiError> {
        if params.catalog.is_some() {
            let message = "invalid terminal.open params: catalog: shells go on nowhere else";
            return Err(ApiError::invalid(message));
        }
        let agent = params.agent_id.map_or_else(|| Ok(AgentId::main()), |it| it.parse());
        let agent = agent.map_err(|err| {
            ApiError::invalid(format!("invalid terminal.open params: agentId: {err}"))
        })?;
        let wish = Wish {
            agent,
            shell: None,
            size: (params.cols, params.rows),
            env: std::collections::BTreeMap::new(),
            viewer: self.viewer(Dialect::Data),
            opener: self.opener(),
            at: self.parts.clock.now(),
        };
        self.open(wish).await
    }

    async fn terminal_attach(&self, params: AttachParams) -> Result<Attached, ApiError> {
        let (id, dialect) = match (params.terminal_id, params.session_id) {
            (Some(id), None) => (id, Dialect::Output),
            (None, Some(id)) => (id, Dialect::Data),
            (Some(_), Some(_)) | (None, None) => {
                let message = "invalid terminal.attach params: one of terminalId and sessionId";
                return Err(ApiError::invalid(message));
            }
        };
        let seen = self.programs()?.see_terminal(&id, self.viewer(dialect));
        let (view, seen) = seen.map_err(|err| refused(&err))?;
        Ok(Attached { shell: shell(view), buffer: seen.text, seq: seen.seq })
    }

    async fn terminal_write(&self, params: WriteParams) -> Result<Written, ApiError> {
        let written = params.data.encode_utf16().count();
        self.type_into(&params.terminal_id, params.data).await?;
        Ok(Written { written })
    }

    async fn terminal_input(&self, params: InputParams) -> Result<Done, ApiError> {
        self.type_into(&params.session_id, params.data).await?;
        Ok(Done { ok: true })
    }

    async fn terminal_resize(&self, params: ResizeParams) -> Result<Resized, ApiError> {
        let ResizeParams { terminal_id, cols, rows } = params;
        let resized = self.programs()?.resize_terminal(&terminal_id, cols, rows);
        resized.map_err(|err| refused(&err))?;
        Ok(Resized { ok: true, cols, rows })
    }

    async fn terminal_close(&self, params: CloseParams) -> Result<Closed, ApiError> {
        let closed = self.programs()?.close_terminal(&params.terminal_id).await;
        closed.map_err(|err| refused(&err))?;
        Ok(Closed { ok: true, closed: true })
    }

    async fn terminal_list(&self, _: ListParams) -> Result<List, ApiError> {
        let tenant_id = self.caller.permit.tenant();
        let listed = |view: View| Listed {
            tenant_id: tenant_id.to_string(),
            created_at: view.created_at,
            created_at_ms: view.created_at,
            last_activity_at: view.typed_at,
            attached: view.attached,
            shell: shell(view),
        };
        Ok(List { sessions: self.programs()?.list_terminals().into_iter().map(listed).collect() })
    }
}

impl Call<'_> {
    fn programs(&self) -> Result<std::sync::Arc<sandboxes::Programs>, ApiError> {
        self.parts.tenants.programs(self.caller.permit).map_err(|err| failed(&err))
    }

    fn opener(&self) -> Opener {
        let principal = self.caller.permit.principal().clone();
        Opener::until(async move { principal.revoked().await })
    }

    async fn open(&self, wish: Wish) -> Result<Opened, ApiError> {
        let programs = self.parts.tenants.housed_programs(self.caller.permit, &wish.agent).await;
        let (cols, rows) = wish.size;
        let opened = programs.map_err(|err| failed(&err))?.open_terminal(wish).await;
        let view = opened.map_err(|err| refused(&err))?;
        tracing::info!(
            tenant = %self.caller.permit.tenant(),
            token = self.caller.permit.principal().token_id(),
            request = self.caller.request_id,
            sandbox = view.number,
            "a terminal was opened"
        );
        Ok(Opened { shell: shell(view), cols, rows })
    }

    async fn type_into(&self, id: &str, data: String) -> Result<(), ApiError> {
        let typed = self.programs()?.type_into(id, data, self.parts.clock.now()).await;
        typed.map_err(|err| refused(&err))
    }

    /// Whoever asks over a connection sees what the terminal shows.
    fn viewer(&self, dialect: Dialect) -> Option<Viewer> {
        let connection = std::sync::Arc::clone(self.caller.connection?);
        Some(Viewer { connection, dialect })
    }
}

fn shell(view: View) -> Shell {
    Shell {
        session_id: view.id.clone(),
        terminal_id: view.id,
        pid: view.number,
        agent_id: view.agent.to_string(),
        shell: view.shell,
        cwd: view.cwd,
        confined: true,
    }
}

/// What a caller is told of a terminal that is not served.
fn refused(err: &Error) -> ApiError {
    tracing::debug!(error = %types::Chain(err), "a terminal was not served");
    let code = match err.refusal() {
        Refusal::Invalid => Code::InvalidRequest,
        Refusal::Forbidden => Code::Unauthorized,
        Refusal::Missing => Code::NotFound,
        Refusal::Full => Code::ResourceExhausted,
        Refusal::Unavailable => Code::Unavailable,
    };
    ApiError::new(code, err.to_string())
}
