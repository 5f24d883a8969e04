//! What callers are told of failures of settings.

use settings::{Platform, SealKey, Settings};

use super::*;
use crate::testing::{START, world};

/// The code of a failure, and the start of its message.
fn check(err: &settings::Error, code: api::Code, message: &str) {
    let told = failed(err);
    assert_eq!(told.code, code, "{told}");
    assert!(told.message.starts_with(message), "{told}");
}

#[tokio::test]
async fn failures_are_told_as_what_they_are() {
    use api::Code::{InvalidRequest, NotFound};
    let world = world().await;
    let set =
        async |raw: &str, base: Option<&str>| world.settings.set(&world.a, raw, base, START).await;
    let err = set("{models: {providers: {}}}", None).await.unwrap_err();
    check(&err, InvalidRequest, "invalid config: config key not allowed: models.providers");
    let details = failed(&err).details.unwrap();
    assert_eq!(details["issues"][0]["path"], "models.providers");
    let err = set("{", None).await.unwrap_err();
    check(&err, InvalidRequest, "raw cannot be read as JSON5");
    set("{}", None).await.unwrap();
    let err = set("{}", None).await.unwrap_err();
    check(&err, InvalidRequest, "config base hash required");
    let err = set("{}", Some("other")).await.unwrap_err();
    check(&err, InvalidRequest, "config changed since last load");
    world.records.delete_tenant(&world.a).await.unwrap();
    let err = set("{}", None).await.unwrap_err();
    check(&err, NotFound, "there is no such tenant");
}

#[tokio::test]
async fn a_secret_that_does_not_open_is_our_failure() {
    let world = world().await;
    let change = || settings::SkillChange {
        api_key: Some(types::Secret::from("hunter2".to_owned())),
        ..settings::SkillChange::default()
    };
    world.settings.update_skill(&world.a, "s", change(), START).await.unwrap();
    let key = SealKey::random().unwrap();
    let elsewhere = Settings::new(world.records.clone(), Platform::default(), key);
    let err = elsewhere.skill_secrets(&world.a, "s").await.unwrap_err();
    check(&err, api::Code::Unavailable, "the gateway's records failed");
    let err = elsewhere.update_skill(&world.a, "s", change(), START).await.unwrap_err();
    check(&err, api::Code::Unavailable, "the gateway's records failed");
}
