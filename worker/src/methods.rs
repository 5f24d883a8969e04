//! What each worker method of the method table does, one file per group.

mod chat;
mod health;
mod sessions;

use api::ApiError;
use types::Chain;

use crate::Error;
use crate::agent::SessionKey;
use crate::service::Core;

/// One call: the handler of every group.
#[derive(Debug)]
pub(crate) struct Call<'a>(pub(crate) &'a Core);

/// A session key as a parameter.
fn session_key(text: &str) -> Result<SessionKey, ApiError> {
    SessionKey::parse(text).map_err(|fault| ApiError::invalid(fault.message))
}

/// A number as a parameter, or its default.
fn bounded(
    name: &str,
    value: Option<u32>,
    range: [u32; 2],
    default: u32,
) -> Result<usize, ApiError> {
    let value = value.unwrap_or(default);
    let [min, max] = range;
    if !(min..=max).contains(&value) {
        return Err(ApiError::invalid(format!("{name} must be from {min} to {max}")));
    }
    Ok(usize::try_from(value).unwrap_or(usize::MAX))
}

/// What a caller is told of a failure of our own files. Logs the cause.
fn storage(error: &Error) -> ApiError {
    tracing::error!(error = %Chain(error), "storage failed");
    if error.is_disk_full() {
        return ApiError::new(api::Code::ResourceExhausted, "the tenant's disk is full");
    }
    ApiError::unavailable("the tenant's files could not be read or written")
}

#[cfg(test)]
mod tests;
