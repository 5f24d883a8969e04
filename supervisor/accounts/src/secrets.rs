//! Which secrets accounts have, and how requests to them prove themselves.

use async_trait::async_trait;
use channels::intake::{Failed, Secrets};
use channels::recipe::Recipe;
use records::AccountRow;
use settings::Settings;
use types::Secret;

/// What calls of a network are made with.
pub(crate) const TOKEN: &str = "token";

/// What proves requests from a network.
pub(crate) const INBOUND: &str = "inbound";

/// What a socket is opened with, where that is another.
pub(crate) const SOCKET: &str = "socket";

/// Every one.
pub(crate) const ALL: [&str; 3] = [TOKEN, INBOUND, SOCKET];

/// Opens sealed credentials.
#[derive(Debug)]
pub(crate) struct Opener(pub(crate) Settings);

#[async_trait]
impl Secrets for Opener {
    async fn proofs(&self, account: &AccountRow) -> Result<(Recipe, Vec<Secret>), Failed> {
        let adapter = channels::adapter(&account.channel);
        let recipe = adapter.and_then(|it| it.recipes().first().copied());
        // An account of a network that sends no requests has no address either.
        let recipe = recipe.unwrap_or(Recipe::Standard);
        let owner = account.owner.as_ref();
        let secret = self.0.channel_secret(owner, &account.id, INBOUND).await;
        let secret = secret.map_err(|err| Failed::Sealed(Box::new(err)))?;
        Ok((recipe, secret.into_iter().collect()))
    }
}
