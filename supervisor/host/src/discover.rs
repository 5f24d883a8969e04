//! What models a provider says it has, for an operator who names none. Nothing of a tenant is sent.

use serde::Deserialize;
use types::Secret;

use crate::config::{Error, Kind, Provider, Timeouts};
use crate::failure::Failure;
use crate::provider;

/// The most bytes of a list that are read.
const MAX_LIST: usize = 4 << 20;

/// Why a provider's models are not known.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// The address or the key cannot be used.
    #[error(transparent)]
    Config(#[from] Error),
    /// No answer.
    #[error("the provider's list of models cannot be fetched")]
    Fetch(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An answer that is no list.
    #[error("the provider answers the question for its models with status {status}")]
    Status {
        /// HTTP status.
        status: u16,
    },
    /// A list of another form than `OpenAI`'s.
    #[error("the provider's list of models cannot be read")]
    List(#[source] serde_json::Error),
}

#[derive(Deserialize)]
struct List {
    data: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
}

/// The models at `GET {base_url}/models`, in the provider's order.
///
/// # Errors
/// When the provider cannot be asked or does not answer with a list.
pub async fn list_models(
    base_url: &str,
    api_key: Option<&Secret>,
) -> Result<Vec<String>, DiscoverError> {
    let asked = Provider {
        name: "provider".to_owned(),
        kind: Kind::OpenAi,
        base_url: base_url.to_owned(),
        api_key: api_key.cloned(),
        models: Vec::new(),
    };
    let timeouts = Timeouts::default();
    let client = provider::client(&asked, "/models", &provider::connector(&timeouts)?, &timeouts)?;
    let fetch = |failure: Failure| DiscoverError::Fetch(failure.into());
    let answer = client.get().await.map_err(fetch)?;
    let status = answer.head.status.as_u16();
    if status != 200 {
        return Err(DiscoverError::Status { status });
    }
    let body = tokio::time::timeout(timeouts.idle, answer.read_up_to(MAX_LIST)).await;
    let body = body.map_err(|late| DiscoverError::Fetch(late.into()))?;
    let body = body.map_err(|cut| fetch(Failure::Cut(cut)))?;
    let list: List = serde_json::from_slice(&body).map_err(DiscoverError::List)?;
    Ok(list.data.into_iter().map(|entry| entry.id).collect())
}

#[cfg(test)]
mod tests {
    use runtime::Tasks;

    use super::*;
    use crate::llm::tests::{Act, Fake};

    #[tokio::test]
    async fn what_models_there_are() {
        let tasks = Tasks::default();
        let list = "{\"object\":\"list\",\"data\":[{\"id\":\"b\"},{\"id\":\"a\",\"x\":1}]}";
        let fake = Fake::start([Act::status(200, list), Act::status(401, "{}")], &tasks).await;
        let url = format!("http://{}/v1/", fake.address);
        let key = Secret::from("sk-key".to_owned());
        assert_eq!(list_models(&url, Some(&key)).await.unwrap(), ["b", "a"]);
        let head = &fake.seen()[0].head;
        assert!(head.starts_with("GET /v1/models HTTP/1.1"));
        assert!(head.contains("authorization: Bearer sk-key"));
        let refused = list_models(&url, None).await.unwrap_err();
        assert!(matches!(refused, DiscoverError::Status { status: 401 }));
        let nowhere = list_models("ftp://127.0.0.1/", None).await.unwrap_err();
        assert!(matches!(nowhere, DiscoverError::Config(Error::Address { .. })));
    }
}
