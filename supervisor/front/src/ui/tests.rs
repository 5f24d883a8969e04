//! What a path of the UI means, and what a browser is told. Files are `folder`'s tests.

use super::*;

#[test]
fn what_a_path_asks_for() {
    let check = |path: &str, expected: Option<(&str, Option<&str>)>| {
        let expected = expected.map(|(base, rest)| Asked { base, rest });
        assert_eq!(Asked::parse(path), expected, "{path}");
    };
    check("/t/acme", Some(("/t/acme", None)));
    check("/t/acme/", Some(("/t/acme", Some(""))));
    check("/t/acme/assets/a.js", Some(("/t/acme", Some("assets/a.js"))));
    check("/t/acme//", Some(("/t/acme", Some("/"))));
    for path in ["/t/", "/t//", "/t/Acme/", "/t/../x", "/t/a%62/", "/t/\"/", "/x"] {
        check(path, None);
    }
}

#[test]
fn which_codings_are_taken() {
    let check = |value: &str, expected: bool| {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, value.parse().unwrap());
        assert_eq!(accepts(&headers, "br"), expected, "{value}");
    };
    check("gzip, br", true);
    check("BR;q=0.5", true);
    check("br;q=0", false);
    check("br;q=0.0", false);
    check("gzip", false);
    check("", false);
}

#[tokio::test]
async fn a_file_is_sent_once_and_in_the_best_coding() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    std::fs::create_dir(directory.path().join("assets")).unwrap();
    write("index.html", "<html></html>");
    write("assets/a.js", "plain");
    write("assets/a.js.br", "smaller");
    write("sw.js", "worker");
    let ui = Ui::open(directory.path()).unwrap();
    let mut headers = HeaderMap::new();
    let sent = file(ui.0.clone(), "assets/a.js".to_owned(), &headers).await.unwrap();
    assert_eq!(
        (&sent.headers()[CACHE_CONTROL], sent.headers().get(CONTENT_ENCODING)),
        (&FOREVER, None)
    );
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("br"));
    let sent = file(ui.0.clone(), "assets/a.js".to_owned(), &headers).await.unwrap();
    assert_eq!(sent.headers()[CONTENT_ENCODING], "br");
    assert_eq!(sent.headers()[CONTENT_LENGTH], "7");
    assert_eq!(sent.headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
    headers.insert(IF_NONE_MATCH, sent.headers()[ETAG].clone());
    let body = axum::body::to_bytes(sent.into_body(), 100).await.unwrap();
    assert_eq!(body, "smaller");
    let sent = file(ui.0.clone(), "assets/a.js".to_owned(), &headers).await.unwrap();
    assert_eq!(sent.status(), StatusCode::NOT_MODIFIED);
    let sent = file(ui.0.clone(), "sw.js".to_owned(), &headers).await.unwrap();
    assert_eq!((sent.status(), &sent.headers()[CACHE_CONTROL]), (StatusCode::OK, &ASK));
    Ui::open(&directory.path().join("assets")).unwrap_err();
}
