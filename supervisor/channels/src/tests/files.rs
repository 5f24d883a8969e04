//! What comes with messages: by which calls it is fetched, and what is none of the network's.

use super::*;

fn path(network: &str, reference: &str) -> Option<String> {
    let adapter = adapter(network).unwrap();
    adapter.fetch(reference).map(|it| match it {
        Fetch::At(call) => format!("{:?} {}", call.proof, call.path),
        Fetch::Ask(call) => {
            let body = String::from_utf8(call.body).unwrap();
            format!("asks {} {body}", call.path)
        }
    })
}

#[test]
fn it_is_fetched_where_the_network_has_it() {
    let check = |network: &str, reference: &str, want: Option<&str>| {
        assert_eq!(path(network, reference).as_deref(), want, "{network} {reference}");
    };
    let asks = r#"asks /getFile {"file_id":"AgAC/../x"}"#;
    check("telegram", "AgAC/../x", Some(asks));
    check("slack", "F1&x=/..", Some("asks /api/files.info?file=F1%26x%3d%2f.. "));
    check(
        "discord",
        "https://cdn.discordapp.com/a/1",
        Some("Nothing https://cdn.discordapp.com/a/1"),
    );
    check("discord", "/users/@me", None);
    check("discord", "file:///etc/passwd", None);
    let media = "Header(\"Bearer \") /_matrix/client/v1/media/download/a.example/x%2f..%2fy";
    check("matrix", "mxc://a.example/x/../y", Some(media));
    for strange in
        ["https://a.example/x", "mxc://a.example/..", "mxc://../x", "mxc://a", "mxc:///x"]
    {
        check("matrix", strange, None);
    }
    check("webchat", "x", None);
    check("webhook", "https://a.example/x", None);
}

#[test]
fn where_it_is_says_the_network() {
    let check = |network: &str, body: &str, want: Option<&str>| {
        let answer = Answer { status: 200, retry_after: None, body: body.as_bytes() };
        let found = adapter(network).unwrap().found(answer).map(|it| it.path);
        assert_eq!(found.as_deref(), want, "{network} {body}");
    };
    let file = r#"{"ok":true,"result":{"file_path":"photos/a b?.jpg"}}"#;
    check("telegram", file, Some("/photos/a%20b%3f.jpg"));
    check("telegram", r#"{"ok":true,"result":{}}"#, None);
    check("telegram", r#"{"ok":true,"result":{"file_path":"../getMe"}}"#, None);
    check("telegram", "<html>", None);
    let file = r#"{"ok":true,"file":{"url_private_download":"https://files.slack.com/x"}}"#;
    check("slack", file, Some("https://files.slack.com/x"));
    check("slack", r#"{"ok":false}"#, None);
    check("matrix", "{}", None);
}
