//! From a model's name to who answers for it. A name that is not in the catalog goes nowhere.

use std::collections::HashMap;
use std::sync::Arc;

use ledger::Prices;

use crate::config::{Config, Error};
use crate::metrics::{Metrics, ModelMetrics};
use crate::provider::Provider;

/// Every model of every provider.
#[derive(Debug)]
pub(crate) struct Catalog {
    models: Vec<proto::worker::Model>,
    default_model: String,
    /// By `PROVIDER/MODEL` and, for the first provider that lists it, by `MODEL`.
    targets: HashMap<String, Arc<Target>>,
    fallbacks: Vec<Arc<Target>>,
}

/// One model of one provider.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) provider: Arc<Provider>,
    /// The provider's name, as the books have it.
    pub(crate) named: Arc<str>,
    /// Its name at the provider.
    pub(crate) model: Arc<str>,
    pub(crate) prices: Prices,
    pub(crate) metrics: ModelMetrics,
}

impl Target {
    pub(crate) fn provider(&self) -> &str {
        &self.provider.name
    }
}

impl Catalog {
    pub(crate) fn new(config: Config, metrics: &Metrics) -> Result<Self, Error> {
        let connector = crate::provider::connector(&config.timeouts)?;
        let (mut models, mut all) = (Vec::new(), Vec::new());
        for provider in &config.providers {
            provider.check()?;
            if config.providers.iter().filter(|it| it.name == provider.name).count() > 1 {
                return Err(Error::Name { name: provider.name.clone() });
            }
            let found = Arc::new(Provider::new(provider, &connector, &config.timeouts)?);
            for model in &provider.models {
                let (provider, name) = (provider.name.clone(), model.name.clone());
                all.push(Arc::new(Target {
                    provider: Arc::clone(&found),
                    named: provider.as_str().into(),
                    model: name.as_str().into(),
                    prices: model.prices.clone(),
                    metrics: metrics.model(&provider, &name),
                }));
                models.push(proto::worker::Model { provider, name });
            }
        }
        let mut targets: HashMap<_, _> = all
            .iter()
            .map(|target| (format!("{}/{}", target.provider(), target.model), Arc::clone(target)))
            .collect();
        for target in all {
            targets.entry(target.model.to_string()).or_insert(target);
        }
        let find = |what, name: &str| match targets.get(name) {
            Some(target) => Ok(Arc::clone(target)),
            None => Err(Error::Unlisted { what, model: name.to_owned() }),
        };
        find("defaultModel", &config.default_model)?;
        let fallbacks = config.fallbacks.iter().map(|name| find("fallbacks", name));
        let fallbacks = fallbacks.collect::<Result<_, _>>()?;
        Ok(Self { models, default_model: config.default_model, targets, fallbacks })
    }

    pub(crate) fn models(&self) -> &[proto::worker::Model] {
        &self.models
    }

    pub(crate) fn default_model(&self) -> &str {
        &self.default_model
    }

    /// Whom to ask for `model`, in order; nobody where no provider lists it.
    pub(crate) fn resolve(&self, model: &str) -> Option<impl Iterator<Item = &Arc<Target>>> {
        let asked = self.targets.get(model)?;
        let others = self.fallbacks.iter().filter(move |it| !Arc::ptr_eq(it, asked));
        Some(std::iter::once(asked).chain(others))
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::config::{Kind, Model, Timeouts};

    fn demo(name: &str, models: &[&str]) -> crate::Provider {
        let model = |name: &&str| Model { name: (*name).to_owned(), prices: Prices::default() };
        crate::Provider {
            name: name.to_owned(),
            kind: Kind::Demo,
            base_url: String::new(),
            api_key: None,
            models: models.iter().map(model).collect(),
        }
    }

    fn catalog(default: &str, fallbacks: &[&str]) -> Result<Catalog, Error> {
        let config = Config {
            providers: vec![demo("a", &["x", "b/x"]), demo("b", &["x", "y"])],
            default_model: default.to_owned(),
            fallbacks: fallbacks.iter().map(|it| (*it).to_owned()).collect(),
            timeouts: Timeouts::default(),
        };
        Catalog::new(config, &Metrics::register(&mut Registry::default()))
    }

    #[test]
    fn who_answers_for_a_name() {
        let catalog = catalog("a/x", &["b/y", "a/x"]).unwrap();
        let check = |name: &str, want: &[&str]| {
            let found = catalog.resolve(name).map(|targets| {
                targets.map(|it| format!("{}:{}", it.provider(), it.model)).collect::<Vec<_>>()
            });
            assert_eq!(found.unwrap_or_default(), want, "{name}");
        };
        check("x", &["a:x", "b:y"]);
        check("a/x", &["a:x", "b:y"]);
        check("b/x", &["b:x", "b:y", "a:x"]);
        check("a/b/x", &["a:b/x", "b:y", "a:x"]);
        check("y", &["b:y", "a:x"]);
        check("z", &[]);
        check("", &[]);
        check("a", &[]);
    }

    #[test]
    fn a_name_that_nobody_lists_is_an_error_at_the_start() {
        let check = |default, fallbacks: &[&str], want: &str| {
            assert_eq!(catalog(default, fallbacks).unwrap_err().to_string(), want);
        };
        check("c/x", &[], "defaultModel names \"c/x\", which no provider lists");
        check("a/x", &["q"], "fallbacks names \"q\", which no provider lists");
    }
}
