//! Tunnels for TLS.

use std::io;

use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::testing::{Farm, client_config, ok, text};

impl Served {
    /// A tunnel to `authority`, on which nothing was said yet.
    async fn tunnel(&self, authority: &str) -> TcpStream {
        let mut stream = self.connect().await;
        let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        stream
    }
}

async fn greet(tunnel: TcpStream, name: &'static str) -> io::Result<TlsStream<TcpStream>> {
    let connector = TlsConnector::from(client_config());
    connector.connect(ServerName::try_from(name).unwrap(), tunnel).await
}

async fn ask(tunnel: &mut TlsStream<TcpStream>) -> String {
    let request = b"GET / HTTP/1.1\r\nHost: farm.test\r\nConnection: close\r\n\r\n";
    tunnel.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    drop(tunnel.read_to_end(&mut answer).await);
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_tunnel_leads_to_the_host_that_is_greeted() {
    let house = House::build().await;
    let farm = Farm::secure(&house.tasks, ok).await;
    house.allow(&[format!("https://farm.test:{}", farm.port)]);
    let proxy = serve_for(&house);
    let tunnel = proxy.tunnel(&format!("farm.test:{}", farm.port)).await;
    let mut tunnel = greet(tunnel, "farm.test").await.unwrap();
    assert!(ask(&mut tunnel).await.ends_with("ok"));
    assert!(house.notes.all().is_empty());
}

#[tokio::test]
async fn a_greeting_to_somebody_else_does_not_arrive() {
    let house = House::build().await;
    let farm = Farm::secure(&house.tasks, ok).await;
    house.allow(&[format!("https://farm.test:{}", farm.port)]);
    let proxy = serve_for(&house);
    let tunnel = proxy.tunnel(&format!("farm.test:{}", farm.port)).await;
    greet(tunnel, "other.test").await.unwrap_err();
    assert!(farm.asked().is_empty());
    let notes = house.notes.all();
    assert!(notes.len() == 1 && notes[0].contains("not the host of the tunnel"), "{notes:?}");
}

#[tokio::test]
async fn what_is_not_tls_does_not_arrive() {
    let house = House::build().await;
    let plain = Farm::plain(&house.tasks, ok).await;
    house.allow(&[format!("https://farm.test:{}", plain.port)]);
    let proxy = serve_for(&house);
    let hello = [22, 3, 1, 0, 5, 1, 0, 0, 1, 0];
    for said in [
        &b"GET / HTTP/1.1\r\nHost: farm.test\r\n\r\n"[..],
        b"SSH-2.0-x\r\n",
        &hello,
        &vec![22; 20_000],
        &[22, 3, 1, 255, 255],
    ] {
        let mut tunnel = proxy.tunnel(&format!("farm.test:{}", plain.port)).await;
        tunnel.write_all(said).await.unwrap();
        tunnel.shutdown().await.unwrap();
        let mut answer = Vec::new();
        drop(tunnel.read_to_end(&mut answer).await);
        assert!(answer.is_empty(), "{said:?}");
    }
    assert!(plain.asked().is_empty());
    let notes = house.notes.all();
    assert!(notes.len() == 5 && notes.iter().all(|it| it.contains("is not TLS")), "{notes:?}");
}

#[tokio::test]
async fn a_tunnel_needs_a_rule_for_the_whole_host() {
    let house = House::build().await;
    let farm = Farm::secure(&house.tasks, ok).await;
    let port = farm.port;
    let proxy = serve_for(&house);
    let refuses = async |authority: &str, status: u16, part: &str| {
        let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        proxy.refuses(&request, status, part).await;
    };
    let authority = format!("farm.test:{port}");
    house.allow(&[
        format!("GET https://farm.test:{port}"),
        format!("https://farm.test:{port}/a"),
        format!("http://farm.test:{port}"),
    ]);
    refuses(&authority, 403, "no egress rule").await;
    house.allow(&["https://*".to_owned()]);
    refuses(&authority, 403, "no egress rule").await;
    refuses("169.254.169.254:443", 403, "metadata").await;
    refuses("[::1]:443", 403, "loopback").await;
    refuses("0x7f000001:443", 400, "host").await;
    refuses("farm.test:0", 400, "port").await;
    let deny = serde_json::json!({"tools": {"egress": {"deny": [format!("POST https://farm.test:{port}/x")]}}});
    house.settle(&[format!("https://farm.test:{port}")], &deny);
    refuses(&authority, 403, "forbids it").await;
    assert!(farm.asked().is_empty());
}

#[tokio::test]
async fn a_tunnel_ends_with_the_bytes_of_the_day() {
    let zone = |_: &str, _| vec!["127.0.0.1".parse().unwrap()];
    let house = House::with(zone, |config| config.daily_bytes = 300_000).await;
    let farm = Farm::secure(&house.tasks, |_| text(vec![b'x'; 2 << 20])).await;
    let authority = format!("farm.test:{}", farm.port);
    house.allow(&[format!("https://{authority}")]);
    let proxy = serve_for(&house);
    let mut tunnel = greet(proxy.tunnel(&authority).await, "farm.test").await.unwrap();
    let answer = ask(&mut tunnel).await;
    assert!((1_000..400_000).contains(&answer.len()), "{}", answer.len());
    let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    proxy.refuses(&request, 429, "bytes of today").await;
    assert!(house.notes.all().iter().any(|it| it.contains("bytes of today")));
}
