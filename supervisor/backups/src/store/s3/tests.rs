//! A bucket that is slow, that sends one elsewhere, and that dies at each request of an upload.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::future::join_all;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use runtime::Tasks;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const BUCKET: &str = "backups";

/// The least that services take for a part that is not the last.
const SMALLEST: usize = 5 << 20;

fn key() -> Key {
    Key::data(&"acme.20261129T073000Z.0123456789abcdef".parse().unwrap())
}

fn store(address: SocketAddr) -> S3 {
    let settings = Settings {
        endpoint: format!("http://{address}"),
        region: "us-east-1".to_owned(),
        bucket: BUCKET.to_owned(),
        prefix: "here/".to_owned(),
        path_style: true,
    };
    let secret = |text: &str| Secret::from(text.to_owned());
    let credentials = Credentials {
        access_key_id: secret("gateway"),
        secret_access_key: secret("gateway-secret-of-the-tests"),
    };
    S3 { piece: SMALLEST, ..S3::new(settings, &credentials).unwrap() }
}

/// The same, with so long for one request.
fn patient(address: SocketAddr, patience: Duration) -> S3 {
    let store = store(address);
    S3 { line: store.line.patient(patience), ..store }
}

/// A service that answers nothing more from one request on, by closing the connection.
struct Mortal {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    dies_at: Arc<AtomicUsize>,
    root: tempfile::TempDir,
    tasks: Tasks,
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Mortal {
    async fn start(dies_at: usize) -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single("gateway", "gateway-secret-of-the-tests"));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mortal = Self {
            address,
            asked: Arc::default(),
            dies_at: Arc::new(AtomicUsize::new(dies_at)),
            root,
            tasks: Tasks::default(),
        };
        let counts = (Arc::clone(&mortal.asked), Arc::clone(&mortal.dies_at));
        let tasks = mortal.tasks.clone();
        mortal.tasks.spawn_until_stopped(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tasks.spawn_until_stopped(serve(socket, service.clone(), counts.clone()));
            }
        });
        mortal
    }

    /// It answers again.
    fn heal(&self) {
        self.dies_at.store(usize::MAX, Ordering::SeqCst);
    }

    /// Files that are neither an object nor what the service itself keeps of objects.
    fn left(&self) -> Vec<String> {
        fn walk(folder: &Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let name = entry.file_name().into_string().unwrap();
                if entry.path().is_dir() {
                    walk(&entry.path(), found);
                } else if name.contains("upload") {
                    found.push(name);
                }
            }
        }
        let mut found = Vec::new();
        walk(self.root.path(), &mut found);
        found
    }
}

async fn serve(
    socket: tokio::net::TcpStream,
    service: S3Service,
    (asked, dies_at): (Arc<AtomicUsize>, Arc<AtomicUsize>),
) {
    let answer = service_fn(|request| {
        let nth = asked.fetch_add(1, Ordering::SeqCst) + 1;
        answer(&service, request, nth >= dies_at.load(Ordering::SeqCst))
    });
    let http = hyper::server::conn::http1::Builder::new();
    drop(http.serve_connection(TokioIo::new(socket), answer).await);
}

fn answer(
    service: &S3Service,
    request: hyper::Request<hyper::body::Incoming>,
    is_dead: bool,
) -> impl Future<Output = Result<s3s::HttpResponse, std::io::Error>> + use<> {
    let answered = (!is_dead).then(|| Service::call(service, request));
    async move {
        let Some(answered) = answered else { return Err(std::io::ErrorKind::BrokenPipe.into()) };
        answered.await.map_err(|_failed| std::io::ErrorKind::Other.into())
    }
}

/// Writes an object of two parts. Where that fails, the service is there again before it is given up.
async fn write(mortal: &Mortal, store: &S3, bytes: &Bytes) -> Result<(), Error> {
    let mut upload = store.begin(&key()).await?;
    for piece in [bytes.slice(..1000), bytes.slice(1000..)] {
        if let Err(err) = upload.write(piece).await {
            mortal.heal();
            upload.abort().await.unwrap();
            return Err(err);
        }
    }
    upload.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_whole_or_not_there_at_whichever_request_the_service_dies() {
    let bytes = Bytes::from((0..=252).cycle().take(SMALLEST + 7).collect::<Vec<u8>>());
    // Begin, two parts, finish; at the fifth it has all of it.
    let died = (1..=5).map(|dies_at| {
        let bytes = bytes.clone();
        async move {
            let mortal = Mortal::start(dies_at).await;
            let store = store(mortal.address);
            let written = write(&mortal, &store, &bytes).await;
            mortal.heal();
            let listed = store.list("acme/").await.unwrap();
            assert_eq!(written.is_ok(), dies_at == 5, "{dies_at} {written:?}");
            if written.is_ok() {
                let found: Vec<_> = listed.iter().map(|it| (it.key.as_str(), it.size)).collect();
                assert_eq!(found, [(key().as_str(), u64::try_from(bytes.len()).unwrap())]);
                assert!(super::super::whole(&store, &key(), bytes.len()).await.unwrap() == bytes);
                store.remove(&key()).await.unwrap();
                assert_eq!(store.list("acme/").await.unwrap(), []);
            } else {
                assert_eq!(listed, [], "{dies_at}");
                assert!(matches!(store.read(&key(), 0).await, Err(Error::NotFound)));
            }
            // A service that is dead when the upload is given up keeps it for the next sweep.
            if dies_at < 2 {
                assert_eq!(mortal.left(), Vec::<String>::new(), "{dies_at}");
            }
            // The same object again.
            write(&mortal, &store, &bytes).await.unwrap();
            assert_eq!(store.list("acme/").await.unwrap().len(), 1);
        }
    });
    join_all(died).await;
}

/// Answers every connection with `head`, and then a byte each moment; counts the connections.
async fn answering(tasks: &Tasks, head: String) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let (counted, scope) = (Arc::clone(&count), tasks.clone());
    tasks.spawn_until_stopped(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let head = head.clone();
            scope.spawn_until_stopped(async move {
                drop(socket.read(&mut [0; 4096]).await);
                drop(socket.write_all(head.as_bytes()).await);
                let mut moment = tokio::time::interval(Duration::from_millis(20));
                while socket.write_all(b" ").await.is_ok() {
                    moment.tick().await;
                }
            });
        }
    });
    (address, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_trickles_is_given_up_and_not_asked_for_again() {
    let tasks = Tasks::default();
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    let (address, count) = answering(&tasks, head.to_owned()).await;
    let store = patient(address, Duration::from_millis(300));
    let begun = Instant::now();
    for failed in [store.read(&key(), 0).await.map(drop), store.list("acme/").await.map(drop)] {
        assert!(matches!(failed, Err(Error::Failed { .. })), "{failed:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(count.load(Ordering::SeqCst) <= 4, "{count:?}");
    tasks.stop();
}

/// Answers every request with this, again and again where it is to be without an end; counts requests and
/// bytes.
async fn repeating(
    tasks: &Tasks,
    (head, body, endless): (&str, String, bool),
) -> (SocketAddr, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (count, sent) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (asked, bytes, scope) = (Arc::clone(&count), Arc::clone(&sent), tasks.clone());
    let length = if endless { usize::MAX >> 8 } else { body.len() };
    let head = format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    tasks.spawn_until_stopped(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            asked.fetch_add(1, Ordering::SeqCst);
            let (head, body, bytes) = (head.clone(), body.clone(), Arc::clone(&bytes));
            scope.spawn_until_stopped(async move {
                drop(socket.read(&mut [0; 4096]).await);
                drop(socket.write_all(head.as_bytes()).await);
                let mut goes_on = true;
                while goes_on && socket.write_all(body.as_bytes()).await.is_ok() {
                    bytes.fetch_add(body.len(), Ordering::SeqCst);
                    goes_on = endless;
                }
            });
        }
    });
    (address, count, sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_without_an_end_is_given_up() {
    let tasks = Tasks::default();
    let page = "<ListBucketResult><Name>b</Name><Prefix></Prefix><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken></ListBucketResult>";
    let (address, asked, _) = repeating(&tasks, ("200 OK", page.to_owned(), false)).await;
    let listed = store(address).list("acme/").await;
    assert!(matches!(listed, Err(Error::TooMany)), "{listed:?}");
    assert_eq!(asked.load(Ordering::SeqCst), MAX_PAGES);
    let uploads = "<ListMultipartUploadsResult><Bucket>b</Bucket><NextKeyMarker>more</NextKeyMarker><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>";
    let (address, asked, _) = repeating(&tasks, ("200 OK", uploads.to_owned(), false)).await;
    store(address).sweep("acme/", UnixMillis::MAX).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), MAX_PAGES);
    tasks.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_longer_in_memory_than_what_was_asked_for() {
    let tasks = Tasks::default();
    let body = "x".repeat(1 << 20);
    for head in ["206 Partial Content", "200 OK", "403 Forbidden"] {
        let (address, asked, sent) = repeating(&tasks, (head, body.clone(), true)).await;
        let read = store(address).read(&key(), 0).await;
        assert!(matches!(read, Err(Error::TooLarge { .. } | Error::Refused(_))), "{read:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        // What fits into the buffers of a socket comes on top of what is read.
        assert!(sent.load(Ordering::SeqCst) < SMALLEST + (16 << 20), "{sent:?}");
    }
    let (address, _, sent) = repeating(&tasks, ("200 OK", body, true)).await;
    let listed = store(address).list("acme/").await;
    assert!(matches!(listed, Err(Error::TooLarge { .. })), "{listed:?}");
    assert!(sent.load(Ordering::SeqCst) < MAX_ANSWER + (16 << 20), "{sent:?}");
    // A service that knows no ranges has nothing to say of the second part.
    let (address, _, _) = repeating(&tasks, ("200 OK", "short".to_owned(), false)).await;
    store(address).read(&key(), 5).await.unwrap_err();
    tasks.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed_to_the_same_address_either() {
    let tasks = Tasks::default();
    for status in ["301 Moved", "307 Moved", "308 Moved"] {
        let head = format!("{status}\r\nLocation: /backups/elsewhere");
        let (address, asked, _) = repeating(&tasks, (&head, String::new(), false)).await;
        let refused = store(address).list("acme/").await;
        assert!(matches!(refused, Err(Error::Failed { .. })), "{refused:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{status}");
    }
    tasks.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_leads_nowhere_else() {
    let tasks = Tasks::default();
    let elsewhere = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned();
    let (elsewhere, visited) = answering(&tasks, elsewhere).await;
    for status in [301, 307] {
        let head = format!(
            "HTTP/1.1 {status} Moved\r\nLocation: http://{elsewhere}/backups/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let (address, asked) = answering(&tasks, head).await;
        let store = store(address);
        let mut upload = store.begin(&key()).await.unwrap();
        upload.write(Bytes::from_static(b"sealed")).await.unwrap();
        let (listed, written) = tokio::join!(store.list("acme/"), upload.finish());
        listed.unwrap_err();
        written.unwrap_err();
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }
    assert_eq!(visited.load(Ordering::SeqCst), 0);
    tasks.stop();
}
