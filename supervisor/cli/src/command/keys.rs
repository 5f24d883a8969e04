//! `keys ...`

use control_api::{CreateKey, CreatedKey, Deleted, KeyList};

use super::tokens::segment;
use crate::client::Client;
use crate::error::Error;
use crate::options::KeyCommand;
use crate::output::Output;
use crate::units::Expiry;

pub(super) async fn run(
    client: &Client,
    command: KeyCommand,
    output: &mut Output,
) -> Result<(), Error> {
    match command {
        KeyCommand::Create { label, role, expires } => {
            let request = CreateKey { label, role, expires_at: expires.map(Expiry::time) };
            output.reply(&client.post::<CreatedKey>("/v1/keys", &request).await?)
        }
        KeyCommand::List => output.reply(&client.get::<KeyList>("/v1/keys").await?),
        KeyCommand::Revoke { id } => {
            let path = format!("/v1/keys/{}", segment(&id));
            output.reply(&client.delete::<Deleted>(&path).await?)
        }
    }
}
