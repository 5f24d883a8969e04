//! `terminal.*`: a shell is a program, and programs need a sandbox that is not there yet.

use api::ApiError;
use api::terminal::{
    CloseParams, InputParams, List, ListParams, Never, OpenParams, ResizeParams, SpawnParams,
    WriteParams,
};

use crate::Call;

impl api::terminal::Terminal for Call<'_> {
    async fn terminal_spawn(&self, _: SpawnParams) -> Result<Never, ApiError> {
        Err(none())
    }

    async fn terminal_open(&self, _: OpenParams) -> Result<Never, ApiError> {
        Err(none())
    }

    async fn terminal_write(&self, _: WriteParams) -> Result<Never, ApiError> {
        Err(none())
    }

    async fn terminal_input(&self, _: InputParams) -> Result<Never, ApiError> {
        Err(none())
    }

    async fn terminal_resize(&self, _: ResizeParams) -> Result<Never, ApiError> {
        Err(none())
    }

    async fn terminal_close(&self, _: CloseParams) -> Result<Never, ApiError> {
        Err(none())
    }

    async fn terminal_list(&self, _: ListParams) -> Result<List, ApiError> {
        Ok(List { sessions: Vec::new() })
    }
}

fn none() -> ApiError {
    ApiError::unavailable("terminals need the tool sandbox, which this gateway does not have yet")
}
