//! `audit ...`: verifying and exporting need no gateway, only its files; `tail` asks a running one.

mod view;

use std::fs::OpenOptions;
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use control_api::AuditPage;
use serde::Deserialize;
use tokio::time::Instant;
use trail::{Bundle, Digest, Head, Known, PUBLIC_KEY_FILE, PublicKey, Record, Report};

use crate::client::Client;
use crate::error::Error;
use crate::options::{AuditCommand, Export, Options, Tail, Verify};
use crate::output::Output;
use view::{Exported, Key, Verified};

/// How long a gateway at work may take to sign what it has just written.
const SIGNED_WITHIN: Duration = Duration::from_secs(2);

/// How often `tail --follow` asks.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Records of one answer while following.
const PAGE: u32 = 1000;

pub(crate) async fn run(
    options: &Options,
    client: &Client,
    command: AuditCommand,
    output: &mut Output,
) -> Result<(), Error> {
    match command {
        AuditCommand::Verify(wanted) => verify(options, &wanted, output).await,
        AuditCommand::Tail(wanted) => tail(client, &wanted, output).await,
        AuditCommand::Export(wanted) => export(options, &wanted, output),
        AuditCommand::Key => {
            let public_key = public_key(&key_file(options))?;
            output.reply(&Key { public_key })
        }
    }
}

async fn verify(options: &Options, wanted: &Verify, output: &mut Output) -> Result<(), Error> {
    let given = wanted.public_key.as_deref().map(public_key).transpose()?;
    let (report, key) = if let Some(bundle) = &wanted.bundle {
        let (top, report) = Bundle::verify(bundle, given)?;
        (report, given.unwrap_or(top.public_key))
    } else {
        let key = given.map_or_else(|| public_key(&key_file(options)), Ok)?;
        let dir = wanted.dir.clone().unwrap_or_else(|| trail_dir(options));
        let known = wanted.head.as_deref().map(known).transpose()?;
        (directory(&dir, key, known).await?, key)
    };
    let is_whole = report.is_fine();
    let faults = report.faults_in_all;
    output.reply(&Verified::new(report, key, wanted.bundle.is_some()))?;
    if is_whole { Ok(()) } else { Err(Error::NotWhole(faults)) }
}

async fn directory(dir: &Path, key: PublicKey, known: Option<Known>) -> Result<Report, Error> {
    let mut report = trail::directory(dir, key, known)?;
    if report.awaits_head() {
        tokio::time::sleep_until(Instant::now() + SIGNED_WITHIN).await;
        trail::settle(&mut report, dir, key)?;
    }
    Ok(report)
}

fn trail_dir(options: &Options) -> PathBuf {
    options.state_dir().join("audit")
}

fn key_file(options: &Options) -> PathBuf {
    options.state_dir().join("keys").join(PUBLIC_KEY_FILE)
}

fn public_key(path: &Path) -> Result<PublicKey, Error> {
    let text = std::fs::read_to_string(path).map_err(trail::Error::file(path))?;
    Ok(text.parse()?)
}

/// What a head says that came from the gateway's file or from its control plane.
#[derive(Deserialize)]
struct Named {
    seq: u64,
    hash: Digest,
}

/// A record that is known: typed, or in a file.
fn known(text: &str) -> Result<Known, Error> {
    if let Ok(known) = text.parse() {
        return Ok(known);
    }
    let path = Path::new(text);
    let text = std::fs::read_to_string(path).map_err(trail::Error::file(path))?;
    if let Ok(known) = text.trim().parse() {
        return Ok(known);
    }
    let named: Named = serde_json::from_str(&text).map_err(|_wrong| trail::Error::Head)?;
    Ok(Known { seq: named.seq, hash: named.hash })
}

fn export(options: &Options, wanted: &Export, output: &mut Output) -> Result<(), Error> {
    let key = public_key(&key_file(options))?;
    let mut file = OpenOptions::new();
    file.write(true).create_new(true).mode(0o600);
    let file = file.open(&wanted.out).map_err(trail::Error::file(&wanted.out))?;
    let bundle = Bundle { from: &wanted.from, to: &wanted.to };
    let mut writer = BufWriter::new(file);
    let written = bundle.write(&trail_dir(options), key, &mut writer, &wanted.out);
    match written {
        Ok(top) => {
            let Head { seq: last, .. } = top.head;
            output.reply(&Exported { file: wanted.out.clone(), first: top.first, last })
        }
        Err(error) => {
            // Half a bundle is none.
            std::fs::remove_file(&wanted.out).map_err(trail::Error::file(&wanted.out))?;
            Err(error.into())
        }
    }
}

async fn tail(client: &Client, wanted: &Tail, output: &mut Output) -> Result<(), Error> {
    let tenant = wanted.tenant.as_ref().map(|id| format!("&tenant={id}")).unwrap_or_default();
    let mut page: AuditPage =
        client.get(&format!("/v1/audit?limit={}{tenant}", wanted.lines)).await?;
    let mut ticks = tokio::time::interval(ASK_EVERY);
    loop {
        show(&page, output)?;
        if !wanted.follow {
            return Ok(());
        }
        ticks.tick().await;
        let after = page.next.unwrap_or_default();
        page = client.get(&format!("/v1/audit?after={after}&limit={PAGE}{tenant}")).await?;
    }
}

fn show(page: &AuditPage, output: &mut Output) -> Result<(), Error> {
    for record in &page.records {
        if output.is_json() {
            output.document(record)?;
        } else {
            let known: Option<Record> = serde_json::from_value(record.clone()).ok();
            output.line(&known.map_or_else(|| record.to_string(), |record| view::line(&record)));
        }
    }
    output.end()
}
