//! What is a quota, what is none, and that each is written as it was read.

use super::*;

#[test]
fn what_is_a_quota() {
    let check = |text: &str| {
        let quota: Quota = text.parse().unwrap();
        assert_eq!(quota.to_string(), text);
        let json = serde_json::to_string(&quota).unwrap();
        assert_eq!(serde_json::from_str::<Quota>(&json).unwrap(), quota);
    };
    check("costMicros/month=5000000");
    check("requests/minute=0");
    check("concurrentRuns=8");
    check("sandboxSeconds/day=3600");
    check("token:01J.a-b_c requests/minute=60");
    check("token:* tokens/month=9007199254740991");
    check("agent:main reasoningTokens/hour=1");
    check("agent:* sandboxSeconds/day=1");
    check("egressBytes/month=1");
    check("session:* cachedTokens/day=1");
}

#[test]
fn what_is_none() {
    let check = |text: &str, want: &str| {
        assert_eq!(text.parse::<Quota>().unwrap_err().to_string(), want, "{text:?}");
    };
    let form =
        "a quota is written [LEVEL:SUBJECT ]DIMENSION[/WINDOW]=MAX, as costMicros/month=5000000";
    let number = "the value of a quota is a whole number from 0 to 9007199254740991";
    let level =
        "only token:, agent: and session: stand before a quota, and a session's is session:*";
    let subject = "the subject of a quota is * or has 1 to 64 letters, digits, or any of - _ . : @";
    check("", form);
    check("tokens/day", form);
    check("agent tokens/day=1", form);
    check("tokens/day=", number);
    check("tokens/day=+1", number);
    check("tokens/day=-1", number);
    check("tokens/day=1.5", number);
    check("tokens/day=9007199254740992", number);
    check("tokens/day=99999999999999999999999", number);
    check("tokens=1", "tokens needs a window in a quota: minute, hour, day or month");
    check("concurrentRuns/day=1", "concurrentRuns has no window in a quota");
    check("tokens/week=1", "the window of a quota is one of minute, hour, day, month");
    check("tenant:acme tokens/day=1", level);
    check("installation:* tokens/day=1", level);
    check("session:abc tokens/day=1", level);
    check("agent: tokens/day=1", subject);
    check("agent:ä tokens/day=1", subject);
    check(&format!("token:{} tokens/day=1", "a".repeat(65)), subject);
    check("session:* tokens/month=1", "a quota of sessions has the window minute, hour or day");
    check("storedBytes=1", "storedBytes has no quota: the limit diskMax holds");
    check("token:* sandboxSeconds/day=1", "sandboxSeconds is not counted by token");
    check("agent:* egressBytes/day=1", "egressBytes is not counted by agent");
    "agent:*  tokens/day=1".parse::<Quota>().unwrap_err();
    "apples/day=1".parse::<Quota>().unwrap_err();
}

#[test]
fn lists_are_bounded_and_name_each_thing_once() {
    let quota = |text: &str| text.parse::<Quota>().unwrap();
    let many: Vec<_> = (0..65).map(|it| quota(&format!("agent:a{it} tokens/day=1"))).collect();
    assert_eq!(Quota::check(&many), Err(InvalidQuota::TooMany));
    assert_eq!(Quota::check(&many[..64]), Ok(()));
    let twice = [quota("tokens/day=1"), quota("agent:* tokens/day=1"), quota("tokens/day=2")];
    assert_eq!(Quota::check(&twice), Err(InvalidQuota::Twice("tokens/day".to_owned())));
}

#[test]
fn the_operators_own_are_the_installations() {
    let quota = Quota::installation("costMicros/day=5").unwrap();
    assert_eq!(
        (quota.level(), quota.to_string().as_str()),
        (Level::Installation, "costMicros/day=5")
    );
    assert_eq!(Quota::installation("agent:* tokens/day=5"), Err(InvalidQuota::Level));
    Quota::installation("storedBytes=5").unwrap_err();
}
