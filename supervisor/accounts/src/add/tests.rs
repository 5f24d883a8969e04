//! What is an account, and what is not: before anybody is asked.

use super::*;

fn new(channel: &str, token: &str) -> New {
    let token = Some(Secret::from(token.to_owned()));
    New { channel: channel.to_owned(), name: "bot".to_owned(), token, ..New::default() }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn ways_are_those_of_the_network() {
    let check = |channel: &str, asked: Option<&str>, want: Result<&str, &str>| {
        let found = way(channels::adapter(channel).unwrap(), asked);
        let found = found.map(Way::name).map_err(|err| err.to_string());
        match (found, want) {
            (Ok(found), Ok(want)) => assert_eq!(found, want, "{channel}"),
            (Err(found), Err(want)) => assert!(found.contains(want), "{found}"),
            (found, want) => panic!("{channel} {asked:?}: {found:?} {want:?}"),
        }
    };
    check("telegram", None, Ok("poll"));
    check("telegram", Some("webhook"), Ok("webhook"));
    check("telegram", Some("socket"), Err("way: one of poll, webhook"));
    check("webhook", None, Ok("webhook"));
    check("webchat", None, Ok("page"));
    check("webchat", Some("webhook"), Err("way: one of page"));
}

#[test]
fn secrets_are_given_or_made() {
    let telegram = channels::adapter("telegram").unwrap();
    let (all, made) = secrets(telegram, Way::Poll, &new("telegram", "12:ab_-C")).unwrap();
    assert_eq!(all.iter().map(|it| it.0).collect::<Vec<_>>(), [TOKEN, INBOUND]);
    assert!(made.unwrap().expose() == all[1].1.expose() && all[1].1.expose().len() == SECRET);
    for wrong in ["", "12:ab/c", "a b", "a\nb", "ä", "a?b", &"a".repeat(MAX_CHANNEL_SECRET + 1)] {
        let err = refusal(secrets(telegram, Way::Poll, &new("telegram", wrong)));
        assert!(err.starts_with("secret: "), "{err}");
    }
    let webhook = channels::adapter("webhook").unwrap();
    let own = New { token: None, ..new("webhook", "") };
    let (all, made) = secrets(webhook, Way::Webhook, &own).unwrap();
    assert!(made.unwrap().matches(all[0].1.expose()) && all[0].1.matches(all[1].1.expose()));
    let err = refusal(secrets(webhook, Way::Webhook, &new("webhook", "short")));
    assert!(err.contains("signatures need"), "{err}");
    let slack = channels::adapter("slack").unwrap();
    let err = refusal(secrets(slack, Way::Socket, &new("slack", "xoxb-1")));
    assert!(err.starts_with("socketSecret"), "{err}");
    let err = refusal(secrets(slack, Way::Webhook, &new("slack", "xoxb-1")));
    assert!(err.starts_with("inboundSecret"), "{err}");
}

#[test]
fn only_the_operator_says_where_a_vendor_is() {
    let config = crate::Config::default();
    let of = |channel: &str, url: Option<&str>| {
        server(channels::adapter(channel).unwrap(), &config, url)
    };
    assert!(refusal(of("telegram", Some("https://a.example"))).contains("only the operator"));
    assert_eq!(of("telegram", None).unwrap(), None);
    assert_eq!(
        of("webhook", Some("https://a.example/x/")).unwrap().unwrap(),
        "https://a.example/x"
    );
    for wrong in ["ftp://a.example", "a.example", "https://u@a.example", "https://a.example/?x"] {
        assert!(refusal(of("matrix", Some(wrong))).starts_with("server: "), "{wrong}");
    }
    assert!(refusal(of("matrix", None)).contains("server"));
}

#[test]
fn names_policies_and_ids_are_held_against_their_bounds() {
    for wrong in ["", "A", "a b", "a/b", &"a".repeat(MAX_NAME + 1)] {
        assert!(refusal(name(wrong)).starts_with("account: "), "{wrong}");
    }
    let with = |change: fn(&mut New)| {
        let mut new = new("telegram", "x");
        change(&mut new);
        policy(&new)
    };
    let policy = with(|_| ()).unwrap();
    assert_eq!((&*policy.direct, &*policy.groups, policy.mention), ("pairing", "allowlist", true));
    assert!(refusal(with(|it| it.direct = Some("all".to_owned()))).starts_with("dmPolicy"));
    assert!(refusal(with(|it| it.groups = Some("pairing".to_owned()))).starts_with("groupPolicy"));
    assert!(refusal(with(|it| it.senders = vec![String::new()])).starts_with("allowFrom"));
    let many = |it: &mut New| it.rooms = vec!["1".to_owned(); MAX_LISTED + 1];
    assert!(refusal(with(many)).starts_with("groups"));
}

#[test]
fn what_is_made_is_never_the_same() {
    let (one, other) = (word(PATH).unwrap(), word(PATH).unwrap());
    assert!(one.len() == PATH && one != other && one.bytes().all(|it| it.is_ascii_alphanumeric()));
    assert_ne!(hexadecimal().unwrap(), hexadecimal().unwrap());
    let digest = |channel, token: &str| fingerprint(channel, token);
    assert_eq!(digest("telegram", "x"), digest("telegram", "x"));
    assert_ne!(digest("telegram", "x"), digest("slack", "x"));
}
