//! `/v1/keys`.

use auth::KeySpec;
use control_api::{CreateKey, CreatedKey, Deleted, KeyList, KeyPath};

use super::views;
use crate::call::{Call, Nothing};
use crate::error::Error;
use crate::idempotency::{self, Created};
use crate::reply::{Found, Made};

pub(crate) async fn list(call: Call) -> Result<Found<KeyList>, Error> {
    let keys = call.control.parts().auth.keys();
    Ok(Found(KeyList { keys: keys.into_iter().map(views::key).collect() }))
}

pub(crate) async fn create(
    call: Call<Nothing, Nothing, CreateKey>,
) -> Result<Made<CreatedKey>, Error> {
    idempotency::once(&call, make(&call)).await
}

async fn make(call: &Call<Nothing, Nothing, CreateKey>) -> Result<CreatedKey, Error> {
    let body = &call.body;
    let spec = KeySpec {
        label: body.label.clone(),
        role: body.role,
        expires_at: body.expires_at.map(control_api::Timestamp::millis),
    };
    let issued = call.control.parts().auth.issue_key(&call.permit, spec).await?;
    Ok(CreatedKey {
        id: issued.row.id,
        key: Some(issued.key.expose().to_owned()),
        label: issued.row.label,
        role: issued.row.role,
        expires_at: issued.row.expires_at.map(Into::into),
    })
}

impl Created for CreatedKey {
    fn without_secret(&self) -> Self {
        Self { key: None, ..self.clone() }
    }

    fn name(&self) -> &str {
        &self.id
    }
}

pub(crate) async fn revoke(call: Call<KeyPath>) -> Result<Found<Deleted>, Error> {
    call.control.parts().auth.revoke_key(&call.permit, &call.path.key_id).await?;
    Ok(Found(Deleted { id: call.path.key_id, deleted: true }))
}
