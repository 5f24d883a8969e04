//! Two tenants, the operator's settings beneath, and everything that is written and read.

use serde_json::json;
use types::{Limits, TenantId};

use super::*;

const NOW: u64 = 1_800_000_000_000;

struct House {
    settings: Settings,
    records: Records,
    a: TenantId,
    b: TenantId,
}

fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

async fn house(platform: Platform) -> House {
    assert_eq!(check(&platform.defaults), []);
    let records = Records::in_memory();
    let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
    for tenant in [&a, &b] {
        records.insert_tenant(tenant, 1, Limits::default()).await.unwrap();
    }
    let settings = Settings::new(records.clone(), platform, SealKey::random().unwrap());
    House { settings, records, a, b }
}

fn platform() -> Platform {
    let defaults = json!({
        "agents": {"defaults": {"model": {"primary": "p/m", "fallbacks": ["p/n"]}}},
        "skills": {"entries": {"maps": {"enabled": true}}},
    });
    let env = BTreeMap::from([("MAPS_URL".to_owned(), secret("platform-url"))]);
    let kept =
        PlatformKeys { api_key: Some(secret("platform-key")), env, tenant_may_replace: false };
    let open = PlatformKeys { tenant_may_replace: true, ..kept.clone() };
    let keys = BTreeMap::from([("maps".to_owned(), kept), ("open".to_owned(), open)]);
    let skills = vec![("maps".to_owned(), Bytes::from_static(b"---\nname: maps\n---\n"))];
    Platform { defaults, skills, keys }
}

impl House {
    async fn set(
        &self,
        tenant: &TenantId,
        raw: &str,
        base: Option<&str>,
    ) -> Result<Changed, String> {
        self.settings.set(tenant, raw, base, NOW).await.map_err(|err| err.to_string())
    }

    async fn patch(&self, tenant: &TenantId, raw: &str) -> Result<Changed, String> {
        let base = self.see(tenant).await.hash;
        let patched = self.settings.patch(tenant, raw, [].into(), Some(&base), NOW).await;
        patched.map_err(|err| err.to_string())
    }

    async fn see(&self, tenant: &TenantId) -> Snapshot {
        self.settings.snapshot(tenant).await.unwrap()
    }

    async fn worker(&self, tenant: &TenantId) -> Value {
        let effective = self.settings.effective(tenant).await.unwrap();
        serde_json::from_slice(&effective.settings).unwrap()
    }

    async fn update(
        &self,
        tenant: &TenantId,
        skill: &str,
        change: SkillChange,
    ) -> Result<(), String> {
        let updated = self.settings.update_skill(tenant, skill, change, NOW).await;
        updated.map(drop).map_err(|err| err.to_string())
    }
}

fn key(text: &str) -> SkillChange {
    SkillChange { api_key: Some(secret(text)), ..SkillChange::default() }
}

fn env(name: &str, text: &str) -> SkillChange {
    let env = BTreeMap::from([(name.to_owned(), secret(text))]);
    SkillChange { env, ..SkillChange::default() }
}

#[tokio::test]
async fn a_tenants_settings_lie_over_the_operators_and_over_nobody_elses() {
    let house = house(platform()).await;
    let before = house.see(&house.a).await;
    assert!(!before.exists && before.raw.is_none() && before.issues.is_empty());
    assert_eq!(before.config["agents"]["defaults"]["model"]["primary"], "p/m");
    let raw = "// mine\n{agents: {defaults: {model: {primary: 'p/x'}}}}\n";
    let changed = house.set(&house.a, raw, Some(&before.hash)).await.unwrap();
    assert_eq!(changed.paths, ["agents.defaults.model.primary"]);
    let after = house.see(&house.a).await;
    assert_eq!((after.raw.as_deref(), &after.hash), (Some(raw), &changed.hash));
    let model = json!({"primary": "p/x", "fallbacks": ["p/n"]});
    assert_eq!(after.config["agents"]["defaults"]["model"], model);
    assert_eq!(house.worker(&house.a).await["agents"]["defaults"]["model"], model);
    assert!(!house.see(&house.b).await.exists);
    assert_eq!(house.worker(&house.b).await["agents"]["defaults"]["model"]["primary"], "p/m");

    let patch = "{agents: {defaults: {model: null, timeoutSeconds: 60}}}";
    house.patch(&house.a, patch).await.unwrap();
    let after = house.see(&house.a).await;
    assert_eq!(after.parsed, json!({"agents": {"defaults": {"timeoutSeconds": 60}}}));
    assert!(after.raw.unwrap().starts_with("// mine\n"));
    assert_eq!(after.config["agents"]["defaults"]["model"]["primary"], "p/m");
    assert!(house.patch(&house.a, patch).await.unwrap().is_noop());

    house.records.delete_tenant(&house.a).await.unwrap();
    let err = house.settings.set(&house.a, "{}", None, NOW).await.unwrap_err();
    assert!(err.is_gone() && !err.is_callers());
    house.records.insert_tenant(&house.a, 1, Limits::default()).await.unwrap();
    assert!(!house.see(&house.a).await.exists);
}

#[tokio::test]
async fn what_is_based_on_something_older_is_refused() {
    let house = house(Platform::default()).await;
    let stale = "config changed since last load; re-run config.get and retry";
    assert_eq!(house.set(&house.a, "{}", Some("other")).await.unwrap_err(), stale);
    let first = house.set(&house.a, "{}", None).await.unwrap().hash;
    let needs = "config base hash required; re-run config.get and retry";
    assert_eq!(house.set(&house.a, "{ui: {}}", None).await.unwrap_err(), needs);
    let second = house.set(&house.a, "{ui: {}}", Some(&first)).await.unwrap().hash;
    assert_eq!(house.set(&house.a, "{}", Some(&first)).await.unwrap_err(), stale);
    let patch = house.settings.patch(&house.a, "{}", [].into(), Some(&first), NOW).await;
    assert_eq!(patch.unwrap_err().to_string(), stale);
    let patch = house.settings.patch(&house.a, "{}", [].into(), None, NOW).await;
    assert_eq!(patch.unwrap_err().to_string(), needs);
    assert_eq!(house.see(&house.a).await.hash, second);
    // Of many who start from the same, one is first.
    let sets = (0..8).map(|it| {
        let (settings, a, base) = (house.settings.clone(), house.a.clone(), second.clone());
        async move {
            settings
                .set(&a, &format!("{{cron: {{maxConcurrentRuns: {}}}}}", it + 1), Some(&base), NOW)
                .await
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    sets.for_each(|set| drop(tasks.spawn(set)));
    let done = tasks.join_all().await;
    assert_eq!(done.iter().filter(|it| it.is_ok()).count(), 1, "{done:?}");
}

#[tokio::test]
async fn what_is_refused_changes_nothing() {
    let house = house(Platform::default()).await;
    for (raw, wanted) in [
        ("{models: {providers: {}}}", "invalid config: config key not allowed: models.providers"),
        ("{cron: {enabled: 1}}", "invalid config: cron.enabled: must be true or false"),
        ("{cron: null}", "invalid config: cron: must be an object"),
        ("[]", "raw must be an object"),
        ("{a b}", "raw cannot be read as JSON5"),
    ] {
        let err = house.set(&house.a, raw, None).await.unwrap_err();
        assert!(err.starts_with(wanted), "{err}");
        if raw != "{cron: null}" {
            let err = house.patch(&house.a, raw).await.unwrap_err();
            assert!(err.starts_with(wanted), "{err}");
        }
        assert!(!house.see(&house.a).await.exists);
    }
    let secret = "{ui: {seamColor: '__OPENCLAW_REDACTED__'}}";
    let err = house.set(&house.a, secret, None).await.unwrap_err();
    assert!(err.starts_with("ui.seamColor: the placeholder"), "{err}");
}

#[tokio::test]
async fn a_placeholder_keeps_what_is_stored() {
    let house = house(Platform::default()).await;
    let raw = "{skills: {entries: {s: {/* k */ config: {apiKey: 'hunter2', site: 'x'}}}}}";
    house.set(&house.a, raw, None).await.unwrap();
    house.update(&house.a, "s", key("hunter3")).await.unwrap();
    let seen = house.see(&house.a).await;
    let shown = seen.raw.clone().unwrap();
    assert!(shown.contains("/* k */") && shown.contains("site: 'x'"), "{shown}");
    let worker = house.worker(&house.a).await;
    for text in [&shown, &seen.config.to_string(), &seen.parsed.to_string(), &worker.to_string()] {
        assert!(!text.contains("hunter"), "{text}");
    }
    // What the UI sends back: all that it was shown, with one change.
    let mut form = seen.config;
    assert_eq!(form["skills"]["entries"]["s"]["apiKey"], SENTINEL);
    form["skills"]["entries"]["s"]["config"]["site"] = "y".into();
    let changed = house.set(&house.a, &form.to_string(), Some(&seen.hash)).await.unwrap();
    assert_eq!(changed.paths, ["skills.entries.s.config.site"]);
    let stored = house.records.overlay(&house.a).await.unwrap().unwrap().raw;
    let stored = overlay::parse(&stored).unwrap();
    let wanted =
        json!({"skills": {"entries": {"s": {"config": {"apiKey": "hunter2", "site": "y"}}}}});
    assert_eq!(stored, wanted);
    assert_eq!(
        house.settings.skill_secrets(&house.a, "s").await.unwrap().api_key.unwrap().expose(),
        "hunter3"
    );
}

#[tokio::test]
async fn secrets_of_skills_are_told_of_and_never_told() {
    let house = house(Platform::default()).await;
    house.update(&house.a, "s", key("hunter2")).await.unwrap();
    house.update(&house.a, "s", env("S_URL", "hunter3")).await.unwrap();
    let on = SkillChange { enabled: Some(false), ..SkillChange::default() };
    house.update(&house.a, "s", on).await.unwrap();
    let view = house.settings.skill(&house.a, "s").await.unwrap();
    let wanted =
        SkillView { enabled: Some(false), has_api_key: true, env: vec!["S_URL".to_owned()] };
    assert_eq!(view, wanted);
    let entry = json!({"enabled": false, "hasApiKey": true, "env": {"S_URL": true}});
    assert_eq!(house.worker(&house.a).await["skills"]["entries"]["s"], entry);
    assert_eq!(house.worker(&house.b).await, json!({}));
    let of = async |tenant| house.settings.skill_secrets(tenant, "s").await.unwrap();
    assert_eq!(of(&house.a).await.env["S_URL"].expose(), "hunter3");
    assert!(of(&house.b).await.api_key.is_none() && of(&house.b).await.env.is_empty());
    house.update(&house.a, "s", key("  ")).await.unwrap();
    house.update(&house.a, "s", env("S_URL", "")).await.unwrap();
    let entry = json!({"enabled": false});
    assert_eq!(house.worker(&house.a).await["skills"]["entries"]["s"], entry);
    for (skill, change) in [
        ("a/b", key("k")),
        ("", key("k")),
        ("s", env("A-B", "v")),
        ("s", env("", "v")),
        ("s", env("1A", "v")),
        ("s", env("A", &"v".repeat(MAX_SECRET + 1))),
        ("s", key("a\0b")),
    ] {
        house.update(&house.a, skill, change).await.unwrap_err();
    }
}

#[tokio::test]
async fn the_operators_keys_are_used_and_kept() {
    let house = house(platform()).await;
    let kept = "skills.entries.maps.apiKey is set by the platform and cannot be replaced";
    assert_eq!(house.update(&house.a, "maps", key("mine")).await.unwrap_err(), kept);
    assert_eq!(house.update(&house.a, "maps", key("")).await.unwrap_err(), kept);
    house.update(&house.a, "maps", env("MAPS_URL", "mine")).await.unwrap_err();
    house.update(&house.a, "maps", env("OTHER", "mine")).await.unwrap();
    house.update(&house.a, "open", key("mine")).await.unwrap();
    let maps = house.settings.skill_secrets(&house.a, "maps").await.unwrap();
    assert_eq!(maps.api_key.unwrap().expose(), "platform-key");
    assert_eq!(maps.env["MAPS_URL"].expose(), "platform-url");
    assert_eq!(maps.env["OTHER"].expose(), "mine");
    let of =
        async |tenant| house.settings.skill_secrets(tenant, "open").await.unwrap().api_key.unwrap();
    assert_eq!(of(&house.a).await.expose(), "mine");
    assert_eq!(of(&house.b).await.expose(), "platform-key");
    let seen = house.see(&house.a).await;
    let all = format!("{} {seen:?}", house.worker(&house.a).await);
    assert!(!all.contains("platform-") && !all.contains("mine"), "{all}");
    assert_eq!(house.worker(&house.b).await["skills"]["entries"]["maps"]["hasApiKey"], true);
    let skills = house.settings.effective(&house.a).await.unwrap().skills;
    assert_eq!(skills.len(), 1);
}

#[tokio::test]
async fn what_another_version_stored_does_not_hold() {
    let house = house(Platform::default()).await;
    let raw = "{models: {providers: {x: {apiKey: 'hunter2'}}}, cron: {enabled: false}}".to_owned();
    let overlay = records::Overlay { raw, hash: "old".to_owned(), updated_at: NOW };
    assert!(house.records.replace_overlay(&house.a, None, &overlay).await.unwrap());
    let seen = house.see(&house.a).await;
    assert_eq!(seen.issues.len(), 1);
    assert_eq!(house.worker(&house.a).await, json!({}));
    assert!(!format!("{seen:?}").contains("hunter2"));
    house.patch(&house.a, "{cron: {enabled: true}}").await.unwrap();
    assert_eq!(house.worker(&house.a).await, json!({"cron": {"enabled": true}}));
}

#[tokio::test]
async fn changes_are_paced_for_each_tenant() {
    let house = house(Platform::default()).await;
    for _ in 0..WRITES {
        house.settings.pace(&house.a, NOW).unwrap();
    }
    let err = house.settings.pace(&house.a, NOW + 20_000).unwrap_err();
    assert_eq!(err.retry_after_ms, WRITES_WINDOW - 20_000);
    house.settings.pace(&house.b, NOW + 20_000).unwrap();
    house.settings.pace(&house.a, NOW + WRITES_WINDOW).unwrap();
}

#[tokio::test]
async fn one_change_of_a_tenant_at_a_time() {
    use futures_util::FutureExt as _;
    let house = house(Platform::default()).await;
    let turn = house.settings.turn(&house.a).await;
    assert!(house.settings.turn(&house.a).now_or_never().is_none());
    assert!(house.settings.turn(&house.b).now_or_never().is_some());
    drop(turn);
    assert!(house.settings.turn(&house.a).now_or_never().is_some());
}
