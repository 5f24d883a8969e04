//! The configuration file: JSON5, read once, checked as a whole, all mistakes reported at once.
//! Secrets are named in it, not written in it; `secrets.rs` fetches them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::secrets::Source;
use crate::{backup, money, networks, notify, platform, programs, reach, workers};

/// Brackets that may be open at once. The parser recurses, and a stack overflow ends the process.
const MAX_DEPTH: usize = 64;

/// Bytes of a configuration file.
const MAX_BYTES: u64 = 1 << 20;

/// What the file says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Config {
    /// Where models come from, by name. Without any there is only the built-in `demo`.
    pub providers: BTreeMap<String, Provider>,
    /// `PROVIDER/MODEL` for agent turns.
    pub default_model: Option<String>,
    /// `PROVIDER/MODEL`s to try, in order, where the model asked for cannot answer.
    pub fallbacks: Vec<String>,
    /// Host uids that may use the control socket beside root and the supervisor's own.
    pub control_uids: Vec<u32>,
    /// Guarantees without which the gateway does not start; see `openclawmu doctor`.
    pub require: Vec<String>,
    /// The browser UI.
    pub control_ui: ControlUi,
    /// What holds for tenants that have set nothing else, in the shape of their own settings.
    pub tenant_defaults: serde_json::Map<String, serde_json::Value>,
    /// The skills that all tenants have.
    pub skills: platform::Skills,
    /// What tenants may reach; nothing where nothing is said.
    pub egress: reach::Egress,
    /// How programs of tenants are run.
    pub sandbox: programs::Sandbox,
    /// What happens where the audit trail cannot be written.
    pub audit: audit::Config,
    /// The digest of the file; none where there was none.
    #[serde(skip)]
    pub digest: Option<audit::Digest>,
    /// What all tenants together may use: `DIMENSION[/WINDOW]=MAX` each.
    pub quotas: Vec<String>,
    /// What models cost.
    pub prices: money::Prices,
    /// What the operator is told at once.
    pub alerts: notify::Alerts,
    /// What `/metrics` shows.
    pub metrics: notify::Metrics,
    /// How many workers there may be, and when they sleep.
    pub workers: workers::Workers,
    /// Where backups lie and when they are made.
    pub backup: backup::Backup,
    /// Chat networks.
    pub channels: networks::Channels,
}

/// The browser UI.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ControlUi {
    /// The built UI's folder (`dist/control-ui` of the npm package `openclaw`), to be served at
    /// `/t/<tenant>/`; its files must be readable by everybody. None: no UI is served.
    pub root: Option<PathBuf>,
    /// Pages beside the gateway's own whose browsers may connect, as `https://host[:port]`; `*` for
    /// all.
    pub allowed_origins: Vec<String>,
}

/// One source of models.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Provider {
    /// Which protocol it speaks.
    pub kind: Kind,
    /// Its address, ending in `/v1`; not for `demo`.
    pub base_url: Option<String>,
    /// Where its key comes from; none where it needs none.
    pub api_key: Option<Source>,
    /// The models that tenants may use.
    pub models: Vec<Model>,
}

/// Which protocol a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `OpenAI` chat completions.
    OpenAi,
    /// Anthropic Messages.
    Anthropic,
    /// Built in: deterministic, for trying things out.
    Demo,
}

/// A model: its name alone, or its name with its price.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Model {
    /// The provider's name for it.
    Name(String),
    /// With a price, without which a tenant under a money limit is refused.
    Priced(PricedModel),
}

/// A model with its price in micro-dollars per million tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PricedModel {
    /// The provider's name for it.
    pub name: String,
    /// Input tokens.
    pub input_micros_per_million: u64,
    /// Input tokens that the provider had cached; the input price if absent.
    pub cached_micros_per_million: Option<u64>,
    /// Output tokens.
    pub output_micros_per_million: u64,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Somebody else could have written the file.
    #[error(
        "{path} must be a file of root or of the user who starts the gateway, writable by nobody else"
    )]
    Untrusted {
        /// Which file.
        path: String,
    },
    /// The file is not one.
    #[error(
        "{path} has more than {MAX_BYTES} bytes or more than {MAX_DEPTH} brackets open at once"
    )]
    TooLarge {
        /// Which file.
        path: String,
    },
    /// The text is not JSON5 of the shape asked for.
    #[error("{path} is not a configuration")]
    Parse {
        /// Which file.
        path: String,
        /// Where and why.
        #[source]
        source: json5::Error,
    },
    /// Values that do not fit together.
    #[error("{}", .0.join("; "))]
    Mistakes(Vec<String>),
}

impl Config {
    /// Reads and checks `path`. What it names is read, and what it orders is run, with the rights
    /// of the caller; so a file that anybody but root or the caller could have written is refused.
    ///
    /// # Errors
    /// With every mistake that was found.
    pub fn read(path: &Path) -> Result<Self, Error> {
        use std::io::Read as _;
        use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
        let name = || path.display().to_string();
        let read = |source| Error::Read { path: name(), source };
        // Non-blocking, because a pipe of this name must not hold up the start.
        let mut options = std::fs::OpenOptions::new();
        options.read(true).custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC);
        let file = options.open(path).map_err(read)?;
        let stat = file.metadata().map_err(read)?;
        let trusted = stat.uid() == 0 || stat.uid() == nix::unistd::geteuid().as_raw();
        if !(stat.is_file() && trusted && stat.mode() & 0o022 == 0) {
            return Err(Error::Untrusted { path: name() });
        }
        let mut text = String::new();
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(read)?;
        if u64::try_from(text.len()).map_or(true, |length| length > MAX_BYTES) {
            return Err(Error::TooLarge { path: name() });
        }
        let config = Self::parse(&text, &name())?;
        Ok(Self { digest: Some(audit::Digest::of(text.as_bytes())), ..config })
    }

    /// Parses and checks `text`, which came from `name`.
    ///
    /// # Errors
    /// With every mistake that was found.
    pub fn parse(text: &str, name: &str) -> Result<Self, Error> {
        if depth(text) > MAX_DEPTH {
            return Err(Error::TooLarge { path: name.to_owned() });
        }
        let config: Self = json5::from_str(text)
            .map_err(|source| Error::Parse { path: name.to_owned(), source })?;
        config.check()?;
        Ok(config)
    }

    /// Whether the values fit together.
    ///
    /// # Errors
    /// With every mistake that was found.
    pub fn check(&self) -> Result<(), Error> {
        let mistakes = self.mistakes();
        if mistakes.is_empty() { Ok(()) } else { Err(Error::Mistakes(mistakes)) }
    }

    fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        for (name, provider) in &self.providers {
            provider.mistakes(name, &mut mistakes);
        }
        for guarantee in &self.require {
            if !sandbox::GUARANTEES.contains(&guarantee.as_str()) {
                let known = sandbox::GUARANTEES.join(", ");
                mistakes.push(format!("require: {guarantee} is no guarantee; known are {known}"));
            }
        }
        platform::mistakes(&self.tenant_defaults, &self.skills, &mut mistakes);
        self.egress.mistakes(&mut mistakes);
        self.sandbox.mistakes(&mut mistakes);
        money::mistakes(&self.quotas, &mut mistakes);
        self.alerts.mistakes(&mut mistakes);
        self.metrics.mistakes(&mut mistakes);
        self.workers.mistakes(&mut mistakes);
        self.backup.mistakes(&mut mistakes);
        self.channels.mistakes(&mut mistakes);
        for model in self.default_model.iter().chain(&self.fallbacks) {
            if !self.has_model(model) {
                mistakes.push(format!("{model}: no provider lists this model (PROVIDER/MODEL)"));
            }
        }
        mistakes
    }

    fn has_model(&self, reference: &str) -> bool {
        let Some((provider, model)) = reference.split_once('/') else { return false };
        if provider == "demo" && !self.providers.contains_key("demo") {
            return model == "demo";
        }
        let listed = |it: &Provider| it.models.iter().any(|listed| listed.name() == model);
        self.providers.get(provider).is_some_and(listed)
    }
}

impl Provider {
    fn mistakes(&self, name: &str, mistakes: &mut Vec<String>) {
        if name.is_empty() || name.contains('/') {
            mistakes.push(format!("providers.{name}: a name is not empty and has no /"));
        }
        if self.models.is_empty() {
            mistakes.push(format!("providers.{name}.models: at least one model"));
        }
        match (&self.base_url, self.kind) {
            (None, Kind::Demo) => {}
            (Some(_), Kind::Demo) => {
                mistakes.push(format!("providers.{name}.baseUrl: demo has no address"));
            }
            (None, _) => mistakes.push(format!("providers.{name}.baseUrl: missing")),
            (Some(url), _) => {
                let http = url.starts_with("http://") || url.starts_with("https://");
                if !http || !url.trim_end_matches('/').ends_with("/v1") {
                    mistakes.push(format!(
                        "providers.{name}.baseUrl: http:// or https://, ending in /v1"
                    ));
                }
            }
        }
    }
}

impl Model {
    /// The provider's name for it.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Priced(model) => &model.name,
        }
    }
}

/// How many brackets are open at once at most, strings and comments not excepted: an upper bound.
fn depth(text: &str) -> usize {
    let mut depth: usize = 0;
    let mut deepest = 0;
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => depth = depth.saturating_add(1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(), &str>) {
        let found =
            Config::parse(text, "test").map(drop).map_err(|err| types::Chain(&err).to_string());
        match (found, expected) {
            (Ok(()), Ok(())) => {}
            (Err(found), Err(expected)) if found.contains(expected) => {}
            (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn what_is_a_configuration() {
        check("{}", Ok(()));
        check("// people write comments\n{ defaultModel: 'demo/demo', }", Ok(()));
        check("{ nonsense: 1 }", Err("nonsense"));
        check("{ require: ['distinct-uids'] }", Ok(()));
        check("{ require: ['distinct-uid'] }", Err("distinct-uid is no guarantee"));
        check("{ defaultModel: 'x/y' }", Err("x/y: no provider lists this model"));
        let provider = "{ providers: { a: { kind: 'openai', baseUrl: 'http://127.0.0.1:1/v1', models: ['m'] } }, defaultModel: 'a/m' }";
        check(provider, Ok(()));
        check(&provider.replace("/v1", ""), Err("providers.a.baseUrl"));
        check(&provider.replace("['m']", "[]"), Err("providers.a.models"));
        check(&"[".repeat(100_000), Err("brackets"));
        check("{ sandbox: { backend: 'bwrap', memoryMax: 67108864, terminals: 0 } }", Ok(()));
        check("{ sandbox: { backend: 'docker' } }", Err("not a configuration"));
        check("{ sandbox: { pidsMax: 1 } }", Err("sandbox.pidsMax: from 8"));
        check("{ metrics: { tenantLabels: 1001 } }", Err("metrics.tenantLabels"));
        let alerts = "{ alerts: { webhook: { url: 'https://a.example', secret: { env: 'X' } } } }";
        check(alerts, Ok(()));
        check(&alerts.replace("https://", ""), Err("alerts.webhook.url"));
        check("{ tenantDefaults: { cron: { enabled: false } } }", Ok(()));
        let wanted = "tenantDefaults.models.x: config key not allowed: models.x";
        check("{ tenantDefaults: { models: { x: 1 } } }", Err(wanted));
        check("{ skills: { entries: { 'a/b': {} } } }", Err("skills.entries.a/b"));
        check("{ skills: { entries: { a: { env: { 'A-B': { env: 'X' } } } } } }", Err("env.A-B"));
        check("{ skills: { entries: { a: { apiKey: 'clear' } } } }", Err("not a configuration"));
    }

    #[test]
    fn a_file_that_others_could_have_written_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("openclawmu.json5");
        std::fs::write(&path, "{}").unwrap();
        let read = |mode: u32| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Config::read(&path)
        };
        read(0o640).unwrap();
        assert!(matches!(read(0o664), Err(Error::Untrusted { .. })));
        assert!(matches!(read(0o646), Err(Error::Untrusted { .. })));
        read(0o600).unwrap();
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(54_321), None).unwrap();
            assert!(matches!(read(0o600), Err(Error::Untrusted { .. })));
        }
        assert!(matches!(Config::read(directory.path()), Err(Error::Untrusted { .. })));
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let text = "{ providers: { a: { kind: 'openai', models: [] } }, fallbacks: ['b/c'] }";
        for part in ["providers.a.models", "providers.a.baseUrl", "b/c"] {
            check(text, Err(part));
        }
    }
}
