//! What can be typed, and what cannot.

use clap::CommandFactory as _;
use clap::error::ErrorKind;
use types::Role;

use super::*;

fn read(line: &str) -> Result<Cli, ErrorKind> {
    let words = std::iter::once("openclawmu").chain(line.split_whitespace());
    Cli::try_parse_from(words).map_err(|err| err.kind())
}

#[test]
fn the_tree_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_line_of_the_reference_is_understood() {
    let lines = "\
serve --state-dir /s --listen 127.0.0.1:0 --control-listen 127.0.0.1:0 --config /c
--state-dir /s serve
quickstart --once
doctor --json
tenants create acme
tenants create acme --requests-per-minute 10 --tokens-per-day 1000 --cost-per-day-usd 0.50
tenants create acme --concurrency 2 --memory-max 256M --pids-max 16 --cpu-max 0.5 --disk-max 1G
tenants create acme --idle-seconds 60
tenants create acme --quota tokens/day=5 --quota costMicros/month=5000000
tenants patch acme --no-quotas
tenants list
tenants list --limit 10 --after acme
tenants show acme
tenants limits acme --pids-max 32
tenants patch acme --pids-max 32
tenants suspend acme
tenants resume acme
tenants restart acme --deadline-seconds 10
tenants restart acme --now
tenants delete acme --yes
tenants inspect acme --json
tenants evidence acme
tenants evidence acme --out acme.json --html acme.html
evidence verify acme.json --public-key evidence.pub
evidence key
drift --json
tenants logs acme --lines 5
tokens create acme --scope operator.read --label ci --expires 30d
tokens create acme --scope operator.read,operator.write --scope hooks --label ci
tokens create acme --scope operator.read --label ci --expires 2030-01-31T00:00:00Z
tokens list acme
tokens rotate acme tok_0
tokens revoke acme tok_0
keys create --label ops --role auditor
keys list
keys revoke key_0
status
chat acme Hello --agent main --session s --model demo
chat acme
rpc acme sessions.list
rpc acme sessions.list {\"limit\":1}
usage acme
usage
usage acme --month
usage --day
quota
quota acme
prices show
prices check prices.json
prices shipped
tenants quota acme
tenants quota acme --set tokens/day=5 --set costMicros/month=5000000
tenants quota acme --clear
completions bash
--control /run/c.sock --json status
status --control http://127.0.0.1:1 --key ak_x";
    for line in lines.lines() {
        assert_eq!(read(line).map(|_| ()), Ok(()), "{line}");
    }
}

#[test]
fn wrong_lines_are_refused_before_anything_is_asked() {
    let check = |line: &str, kind: ErrorKind| assert_eq!(read(line).err(), Some(kind), "{line}");
    check("", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
    check("--version", ErrorKind::DisplayVersion);
    check("tenants create ../x", ErrorKind::ValueValidation);
    check("tenants create acme --memory-max lots", ErrorKind::ValueValidation);
    check("tenants create acme --gpu 1", ErrorKind::UnknownArgument);
    check("tenants restart acme --now --deadline-seconds 1", ErrorKind::ArgumentConflict);
    check("tenants logs acme --lines 1001", ErrorKind::ValueValidation);
    check("tokens create acme --label ci", ErrorKind::MissingRequiredArgument);
    check("tokens create acme --label ci --scope owner", ErrorKind::ValueValidation);
    check("keys create --label a --role root", ErrorKind::ValueValidation);
    check("rpc acme sessions.list {", ErrorKind::ValueValidation);
    check("status --control https://example.org", ErrorKind::ValueValidation);
    check("nonsense", ErrorKind::InvalidSubcommand);
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    for line in ["--state-dir /s --json status", "status --json --state-dir /s"] {
        let cli = read(line).unwrap();
        assert_eq!(cli.options.socket(), PathBuf::from("/s/run/control.sock"));
        assert_eq!(cli.options.control(), Target::Socket("/s/run/control.sock".into()));
        assert!(cli.options.json());
    }
    let cli = read("--state-dir /s --control http://127.0.0.1:5 status").unwrap();
    assert_eq!(cli.options.control(), Target::Tcp("127.0.0.1:5".to_owned()));
}

#[test]
fn roles_and_limits_are_read() {
    let Command::Remote(Remote::Keys(KeyCommand::Create { role, .. })) =
        read("keys create --label a --role operator").unwrap().command
    else {
        panic!("not a key")
    };
    assert_eq!(role, Role::Operator);
    let Command::Remote(Remote::Tenants(TenantCommand::Create(create))) =
        read("tenants create a --memory-max 1G --cpu-max 0.5 --cost-per-day-usd 1")
            .unwrap()
            .command
    else {
        panic!("not a tenant")
    };
    let rules =
        read("tenants egress a --allow https://a.example --allow http://b.example").unwrap();
    let Command::Remote(Remote::Tenants(TenantCommand::Egress { allow, clear, .. })) =
        rules.command
    else {
        panic!("no rules")
    };
    assert_eq!(
        (allow.as_slice(), clear),
        (&["https://a.example", "http://b.example"].map(str::to_owned)[..], false)
    );
    read("tenants egress a --allow https://a.example --clear").unwrap_err();
    let patch = control_api::LimitsPatch::from(create.limits);
    assert_eq!(patch.memory_max, Some(1 << 30));
    assert_eq!((patch.cpu_millis, patch.cost_micros_per_day), (Some(500), Some(1_000_000)));
}

#[test]
fn a_key_is_in_no_debug_output() {
    let cli = read("--key ak_hidden chat acme hi --token tk_hidden").unwrap();
    assert!(!format!("{cli:?}").contains("hidden"));
}

#[test]
fn where_state_is_kept() {
    let check = |root: bool, xdg: Option<&str>, home: Option<&str>, dir: &str| {
        let found = default_state_dir(root, xdg.map(OsString::from), home.map(OsString::from));
        assert_eq!(found, PathBuf::from(dir));
    };
    check(true, Some("/x"), Some("/home/a"), "/var/lib/openclawmu");
    check(false, Some("/x"), Some("/home/a"), "/x/openclawmu");
    check(false, Some("relative"), Some("/home/a"), "/home/a/.local/state/openclawmu");
    check(false, None, Some("/home/a"), "/home/a/.local/state/openclawmu");
}
