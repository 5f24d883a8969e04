//! `quickstart`: from nothing to a first answer. A gateway, one tenant, one real message through
//! its confined worker, its token, a line to paste, and the boundary of that worker.

use std::path::PathBuf;
use std::process::ExitCode;

use cli::{Client, Output, Target};
use control_api::{Boundary, CreatedTenant, IssuedToken, Tenant};
use types::{AgentId, Secret, TenantId};

use crate::app::{App, CONTROL_SOCKET};
use crate::config::{Config, Kind, Model, Provider};
use crate::secrets::Source;
use crate::serve::{self, ConfigSource, Serve};

/// The tenant that quickstart makes.
const TENANT: &str = "demo";

pub(crate) fn run(options: &cli::Options, args: &cli::Quickstart) -> ExitCode {
    let config = match (options.config(), upstream(args)) {
        (Some(file), _) => ConfigSource::File(file),
        (None, None) => ConfigSource::StateDir,
        // Asks the provider, so not before the launcher is split off.
        (None, Some(upstream)) => ConfigSource::Made(Box::new(move || upstream.config())),
    };
    let mut serve = Serve::new(options, &args.serve, config);
    // What people see is the answer; `--log-level` is for those who look for more.
    serve.log = serve.log.min(tracing::Level::WARN);
    serve::finish(serve::serve(serve, async |app, _socket| show(app, options, args).await))
}

/// The provider that the environment names.
struct Upstream {
    url: String,
    kind: Kind,
    key: Option<Secret>,
    model: Option<String>,
}

/// An address first, then the key of a provider whose address is known.
fn upstream(args: &cli::Quickstart) -> Option<Upstream> {
    let (openai, anthropic) = (args.openai_api_key.clone(), args.anthropic_api_key.clone());
    let model = |known: &str| Some(args.provider_model.clone().unwrap_or_else(|| known.to_owned()));
    if let Some(url) = args.provider_url.clone() {
        let kind = if args.provider_kind == "anthropic" { Kind::Anthropic } else { Kind::OpenAi };
        let key = if kind == Kind::Anthropic { anthropic } else { openai };
        return Some(Upstream { url, kind, key, model: args.provider_model.clone() });
    }
    if openai.is_some() {
        let url = "https://api.openai.com/v1".to_owned();
        return Some(Upstream {
            url,
            kind: Kind::OpenAi,
            key: openai,
            model: model("gpt-4o-mini"),
        });
    }
    anthropic.map(|key| Upstream {
        url: "https://api.anthropic.com/v1".to_owned(),
        kind: Kind::Anthropic,
        key: Some(key),
        model: model("claude-3-5-haiku-latest"),
    })
}

impl Upstream {
    fn config(self) -> Result<Config, serve::Error> {
        let model = match self.model {
            Some(model) => model,
            None => discover(&self.url, self.key.as_ref())?,
        };
        let provider = Provider {
            kind: self.kind,
            base_url: Some(self.url),
            api_key: self.key.map(Source::Given),
            models: vec![Model::Name(model.clone())],
        };
        let config = Config {
            providers: [("provider".to_owned(), provider)].into(),
            default_model: Some(format!("provider/{model}")),
            ..Config::default()
        };
        config.check().map_err(serve::Error::Config)?;
        Ok(config)
    }
}

/// The first model that the provider lists.
fn discover(url: &str, key: Option<&Secret>) -> Result<String, serve::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(serve::Error::Runtime)?;
    let models = runtime.block_on(host::list_models(url, key)).map_err(serve::Error::Provider)?;
    models.into_iter().next().ok_or(serve::Error::NoModels)
}

/// Shows the first success; with `--once` that is all.
async fn show(app: &App, options: &cli::Options, args: &cli::Quickstart) -> Option<ExitCode> {
    // The working directory is the state directory: its parents may be closed to the supervisor.
    let options = options.clone().with_control(Target::Socket(PathBuf::from(CONTROL_SOCKET)));
    let mut output = Output::new(&options);
    match first_answer(app, &options, args, &mut output).await {
        Ok(()) if args.once => Some(ExitCode::SUCCESS),
        Ok(()) => {
            output.line("\nServing until Ctrl-C.");
            None
        }
        Err(err) => {
            output.failure(&err);
            Some(ExitCode::FAILURE)
        }
    }
}

async fn first_answer(
    app: &App,
    options: &cli::Options,
    args: &cli::Quickstart,
    output: &mut Output,
) -> Result<(), cli::Error> {
    let client = Client::new(options);
    let (tenant, token) = tenant(&client).await?;
    let socket = options.state_dir().join(CONTROL_SOCKET);
    output.line(&format!("Gateway   http://{}  (operators: {})", app.gateway(), socket.display()));
    output.line(&format!("Tenant    {TENANT}"));
    output.line(&format!("Token     {}  (shown once)\n", token.expose()));
    output.line(&format!("> {}", args.message));
    let chat = cli::Chat {
        tenant,
        message: Some(args.message.clone()),
        agent: AgentId::main(),
        session: None,
        model: None,
        gateway: cli::Gateway {
            token: Some(token.clone()),
            gateway: Some(Target::Tcp(app.gateway().to_string())),
        },
    };
    cli::chat(&client, &chat, output).await?;
    output.line(&format!(
        "\nAsk again:\n  curl http://{}/v1/chat/completions -H 'Authorization: Bearer {}' \\\n    -H 'Content-Type: application/json' -d '{{\"model\":\"openclaw\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'\n",
        app.gateway(),
        token.expose(),
    ));
    let boundary: Boundary = client.get(&format!("/v1/tenants/{TENANT}/inspect")).await?;
    output.line("The boundary of this tenant's worker, as the kernel sees it:");
    output.reply(&boundary)
}

/// The tenant, made where it is not there yet, and a token of it.
async fn tenant(client: &Client) -> Result<(TenantId, Secret), cli::Error> {
    let body = serde_json::json!({"id": TENANT});
    let made: Result<CreatedTenant, _> = client.post("/v1/tenants", &body).await;
    match made {
        Ok(CreatedTenant { id, token: Some(token), .. }) => return Ok((id, Secret::from(token))),
        Ok(_) => {}
        Err(err) if err.outcome() == cli::Outcome::Failed => {}
        Err(err) => return Err(err),
    }
    let tenant: Tenant = client.get(&format!("/v1/tenants/{TENANT}")).await?;
    let scopes = ["operator.read", "operator.write"];
    let body = serde_json::json!({"label": "quickstart", "scopes": scopes});
    let issued: IssuedToken = client.post(&format!("/v1/tenants/{TENANT}/tokens"), &body).await?;
    let token = issued.token.ok_or(cli::Error::NoToken)?;
    Ok((tenant.id, Secret::from(token)))
}
