//! From the configuration's providers to the host's, with their secrets fetched.

use host::{Kind, Model, Provider, Timeouts};
use ledger::{Price, PriceTable, Prices};
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
pub(crate) fn host(config: &Config, table: Option<&PriceTable>) -> Result<host::Config, Error> {
    let mut providers = Vec::new();
    for (name, provider) in &config.providers {
        let api_key = provider.api_key.as_ref().map(secrets::Source::fetch).transpose();
        let api_key = api_key.map_err(|source| Error { name: name.clone(), source })?;
        providers.push(from_config(name, provider, api_key, table));
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

fn from_config(
    name: &str,
    provider: &config::Provider,
    api_key: Option<Secret>,
    table: Option<&PriceTable>,
) -> Provider {
    Provider {
        name: name.to_owned(),
        kind: match provider.kind {
            config::Kind::OpenAi => Kind::OpenAi,
            config::Kind::Anthropic => Kind::Anthropic,
            config::Kind::Demo => Kind::Demo,
        },
        base_url: provider.base_url.clone().unwrap_or_default(),
        api_key,
        models: provider.models.iter().map(|it| model((name, provider.kind), it, table)).collect(),
    }
}

/// What stands beside a model goes before what the table says.
fn model(
    (provider, kind): (&str, config::Kind),
    model: &config::Model,
    table: Option<&PriceTable>,
) -> Model {
    let kind = match kind {
        config::Kind::OpenAi => "openai",
        config::Kind::Anthropic => "anthropic",
        config::Kind::Demo => "demo",
    };
    let prices = match model {
        config::Model::Name(name) => {
            table.map(|it| it.prices(provider, kind, name)).unwrap_or_default()
        }
        config::Model::Priced(priced) => {
            let price = Price {
                input: priced.input_micros_per_million,
                output: priced.output_micros_per_million,
                cached: priced.cached_micros_per_million,
                ..Price::default()
            };
            Prices::always(price, CONFIGURED)
        }
    };
    Model { name: model.name().to_owned(), prices }
}

/// The version of prices that stand in the configuration.
const CONFIGURED: &str = "configuration";

fn demo() -> Provider {
    Provider {
        name: "demo".to_owned(),
        kind: Kind::Demo,
        base_url: String::new(),
        api_key: None,
        // It costs nothing.
        models: vec![Model {
            name: "demo".to_owned(),
            prices: Prices::always(Price::default(), CONFIGURED),
        }],
    }
}
