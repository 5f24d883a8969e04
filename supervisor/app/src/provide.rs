//! From the configuration's providers to the host's, with their secrets fetched.

use host::{Kind, Model, Provider, Timeouts};
use types::Secret;

use crate::config::{self, Config};
use crate::secrets;

/// A provider whose secret cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("providers.{name}.apiKey")]
pub struct Error {
    name: String,
    #[source]
    source: secrets::Error,
}

/// What the host is made of. Without providers there is the built-in `demo` alone.
///
/// # Errors
/// When a secret cannot be had.
pub(crate) fn host(config: &Config) -> Result<host::Config, Error> {
    let mut providers = Vec::new();
    for (name, provider) in &config.providers {
        let api_key = provider.api_key.as_ref().map(secrets::Source::fetch).transpose();
        let api_key = api_key.map_err(|source| Error { name: name.clone(), source })?;
        providers.push(from_config(name, provider, api_key));
    }
    if !config.providers.contains_key("demo") {
        providers.push(demo());
    }
    let first = providers
        .first()
        .and_then(|provider| Some(format!("{}/{}", provider.name, provider.models.first()?.name)));
    Ok(host::Config {
        default_model: config.default_model.clone().or(first).unwrap_or_default(),
        providers,
        fallbacks: config.fallbacks.clone(),
        timeouts: Timeouts::default(),
    })
}

fn from_config(name: &str, provider: &config::Provider, api_key: Option<Secret>) -> Provider {
    Provider {
        name: name.to_owned(),
        kind: match provider.kind {
            config::Kind::OpenAi => Kind::OpenAi,
            config::Kind::Anthropic => Kind::Anthropic,
            config::Kind::Demo => Kind::Demo,
        },
        base_url: provider.base_url.clone().unwrap_or_default(),
        api_key,
        models: provider.models.iter().map(model).collect(),
    }
}

fn model(model: &config::Model) -> Model {
    let price = match model {
        config::Model::Name(_) => None,
        config::Model::Priced(priced) => Some(ledger::Price {
            input: priced.input_micros_per_million,
            output: priced.output_micros_per_million,
            cached: priced.cached_micros_per_million,
        }),
    };
    Model { name: model.name().to_owned(), price }
}

/// The built-in model costs nothing.
const FREE: ledger::Price = ledger::Price { input: 0, output: 0, cached: None };

fn demo() -> Provider {
    Provider {
        name: "demo".to_owned(),
        kind: Kind::Demo,
        base_url: String::new(),
        api_key: None,
        models: vec![Model { name: "demo".to_owned(), price: Some(FREE) }],
    }
}
