//! `tokens ...`

use control_api::{CreateToken, Deleted, IssuedToken, TokenList};
use serde::Serialize;

use crate::client::Client;
use crate::error::Error;
use crate::options::TokenCommand;
use crate::output::Output;
use crate::units::Expiry;

pub(super) async fn run(
    client: &Client,
    command: TokenCommand,
    output: &mut Output,
) -> Result<(), Error> {
    match command {
        TokenCommand::Create { tenant, scopes, label, expires } => {
            let request = CreateToken {
                label,
                scopes: scopes.into_iter().collect(),
                expires_at: expires.map(Expiry::time),
            };
            let path = format!("/v1/tenants/{tenant}/tokens");
            output.reply(&client.post::<IssuedToken>(&path, &request).await?)
        }
        TokenCommand::List { tenant } => {
            let path = format!("/v1/tenants/{tenant}/tokens");
            output.reply(&client.get::<TokenList>(&path).await?)
        }
        TokenCommand::Rotate { tenant, token } => {
            let path = format!("/v1/tenants/{tenant}/tokens/{}/rotate", segment(&token));
            output.reply(&client.post::<IssuedToken>(&path, &Nothing {}).await?)
        }
        TokenCommand::Revoke { tenant, token } => {
            let path = format!("/v1/tenants/{tenant}/tokens/{}", segment(&token));
            output.reply(&client.delete::<Deleted>(&path).await?)
        }
    }
}

/// `text` as one segment of a path, whatever was typed.
pub(super) fn segment(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let escape = |byte: u8| {
        if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(escape).collect()
}

#[derive(Serialize)]
struct Nothing {}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn what_is_typed_stays_one_segment() {
        let check = |text: &str, expected: &str| assert_eq!(segment(text), expected);
        check("tok_0a", "tok_0a");
        check("../x?y", "%2E%2E%2Fx%3Fy");
    }
}
