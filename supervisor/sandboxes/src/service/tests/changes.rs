//! Settings that change while a command waits or runs.

use super::*;
use crate::testing::NOW;

impl Worker {
    /// The tenant's own settings are `tools` from now on.
    async fn set(&self, tools: Value) {
        let programs = &self.world.programs;
        let (settings, tenant) = (&programs.shared.settings, &programs.owner.tenant);
        let raw = json!({"tools": tools}).to_string();
        settings.set(tenant, &raw, None, NOW).await.unwrap();
        programs.settings_changed();
    }
}

#[tokio::test]
async fn what_is_forbidden_while_somebody_is_asked_does_not_run() {
    let check = async |meanwhile: Value, part: &str| {
        let tools = json!({"exec": {"ask": "always"}});
        let mut worker = worker(prints, tools, Bounds::default()).await;
        let (_person, _outbox) = worker.world.person();
        let (_more, mut events) = worker.call(What::Command(command(&["cat"]))).await.unwrap();
        let Some(Told::Waiting(waiting)) = events.message().await.unwrap().unwrap().what else {
            panic!()
        };
        worker.set(meanwhile).await;
        let by = By::Token("t".to_owned());
        let approvals = &worker.world.programs.owner.approvals;
        let once = api::approvals::Decision::AllowOnce;
        assert!(approvals.resolve(&waiting.approval_id, once, by).await.unwrap());
        let status = events.message().await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(status.message().contains(part), "{status}");
        assert!(worker.world.orders().is_empty());
    };
    check(json!({"deny": ["exec"]}), "tools.deny").await;
    check(json!({"exec": {"security": "allowlist"}}), "settings changed while it waited").await;
}

#[tokio::test]
async fn what_a_skill_sets_no_command_sets() {
    let mut worker = worker(prints, json!({}), Bounds::default()).await;
    let programs = &worker.world.programs;
    let (settings, tenant) = (&programs.shared.settings, &programs.owner.tenant);
    let secret = types::Secret::from("s".to_owned());
    let change = settings::SkillChange {
        env: [("KEY".to_owned(), secret)].into_iter().collect(),
        ..settings::SkillChange::default()
    };
    settings.update_skill(tenant, "weather", change, NOW).await.unwrap();
    let mut run = async |name: &str| {
        let own = proto::host::Variable { name: name.to_owned(), value: "x".to_owned() };
        let skill = "weather".to_owned();
        let wire = proto::host::Command { skill, env: vec![own], ..command(&["ls"]) };
        worker.run(wire, Vec::new()).await.end
    };
    let status = run("KEY").await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("env.KEY may not be set"), "{status}");
    run("OTHER").await.unwrap();
}

#[tokio::test]
async fn a_command_that_is_forbidden_ends() {
    let mut worker = worker(waits, json!({}), Bounds::default()).await;
    let (_more, mut events) = worker.call(What::Command(command(&["x"]))).await.unwrap();
    assert!(matches!(events.message().await.unwrap().unwrap().what, Some(Told::Running(_))));
    worker.set(json!({"deny": ["exec"]})).await;
    let Some(Told::Ended(ended)) = events.message().await.unwrap().unwrap().what else { panic!() };
    assert_eq!(ended.reason, "stopped");
    assert_eq!(worker.world.killed(), [1]);
}
