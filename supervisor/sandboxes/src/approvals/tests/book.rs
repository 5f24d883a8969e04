//! The file: who replaces what, what is refused, and when an entry was of use.

use super::*;

fn file(text: &str) -> File {
    serde_json::from_str(text).unwrap()
}

const GIT: &str = r#"{"version":1,"agents":{"main":{"allowlist":[{"pattern":"git"}]}}}"#;

#[tokio::test]
async fn a_file_is_replaced_by_who_knows_what_is_there() {
    let world = world().await;
    let approvals = &world.approvals;
    let none = approvals.book().await.unwrap();
    assert!(!none.exists);
    let one = approvals.replace_book(file(GIT), None).await.unwrap();
    assert!(one.file.agents["main"].allowlist[0].id.is_some());
    let again = approvals.replace_book(file(GIT), None).await.unwrap_err();
    assert!(matches!(again, BookError::NeedsHash));
    let stale = approvals.replace_book(file(GIT), Some(&none.hash)).await.unwrap_err();
    assert!(matches!(stale, BookError::Stale));
    let two = approvals.replace_book(one.file.clone(), Some(&one.hash)).await.unwrap();
    assert_eq!(two.hash, one.hash);
    let three = approvals.replace_book(file(r#"{"version":1}"#), Some(&two.hash)).await.unwrap();
    assert_ne!(three.hash, two.hash);
    assert_eq!(approvals.book().await.unwrap().file, three.file);
}

#[tokio::test]
async fn a_use_is_noted_and_takes_nobodys_hash() {
    let world = world().await;
    let book = world.approvals.replace_book(file(GIT), None).await.unwrap();
    world.decide(&["git", "a\u{1b}b"], LISTED).await.unwrap();
    let used = world.approvals.book().await.unwrap();
    let entry = &used.file.agents["main"].allowlist[0];
    assert_eq!(entry.last_used_at, Some(1_800_000_000_000.0));
    assert_eq!(entry.last_used_command.as_deref(), Some(r"git $'a\U0000001bb'"));
    world.clock.advance(1000);
    world.decide(&["git", "b"], LISTED).await.unwrap();
    assert_eq!(world.approvals.book().await.unwrap().file, used.file);
    world.clock.advance(600_000);
    world.decide(&["git", "c"], LISTED).await.unwrap();
    assert_ne!(world.approvals.book().await.unwrap().file, used.file);
    world.approvals.replace_book(file(GIT), Some(&book.hash)).await.unwrap();
}

#[tokio::test]
async fn what_a_file_may_say() {
    let world = world().await;
    let check = async |text: &str, why: &str| {
        let err = world.approvals.replace_book(file(text), None).await.unwrap_err();
        assert!(err.to_string().contains(why), "{err}");
    };
    check(r#"{"version":2}"#, "version").await;
    check(r#"{"version":1,"agents":{"../x":{}}}"#, "ids of agents").await;
    let pattern = r#"{"version":1,"agents":{"*":{"allowlist":[{"pattern":" "}]}}}"#;
    check(pattern, "pattern is not empty").await;
    let long = "x".repeat(rules::MAX_ARGUMENTS + 1);
    let long = format!(
        r#"{{"version":1,"agents":{{"a":{{"allowlist":[{{"pattern":"x","argPattern":"{long}"}}]}}}}}}"#
    );
    check(&long, "argPattern has at most").await;
    let refused = |text: &str| assert!(serde_json::from_str::<File>(text).is_err(), "{text}");
    refused(r#"{"version":1,"more":1}"#);
    refused(r#"{"version":1,"defaults":{"security":"none"}}"#);
    refused(r#"{"version":1,"defaults":{"ask":"sometimes"}}"#);
    refused(r#"{"version":1,"agents":{"a":{"allowlist":[{"pattern":"x","sha256":"y"}]}}}"#);
    let socket = r#"{"version":1,"socket":{"path":"/x","token":"secret"}}"#;
    let book = world.approvals.replace_book(file(socket), None).await.unwrap();
    assert_eq!(book.file.socket, None);
    let stored = world.records.approvals(&world.tenant).await.unwrap().unwrap();
    assert!(!stored.raw.contains("secret"), "{}", stored.raw);
}

#[tokio::test]
async fn a_file_of_another_version_lets_nothing_run_until_it_is_replaced() {
    let world = world().await;
    let raw = r#"{"version":1,"new":true}"#.to_owned();
    let newer = records::Document { raw, hash: "h".to_owned(), updated_at: 0 };
    assert!(world.records.replace_approvals(&world.tenant, None, &newer).await.unwrap());
    let denied = world.decide(&["git"], Policy::OPEN).await.unwrap_err();
    assert!(matches!(denied, Denied::Book(BookError::Unreadable(_))));
    world.approvals.replace_book(file(GIT), Some("h")).await.unwrap();
    world.decide(&["git"], Policy::OPEN).await.unwrap();
}
