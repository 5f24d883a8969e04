//! Objects of a folder: whole or not there, nobody else's, and reached through no link.

use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;

fn folder(path: &Path) -> Folder {
    Folder::new(OwnedFd::from(std::fs::File::open(path).unwrap()), "here".to_owned())
}

fn id(text: &str) -> BackupId {
    format!("{text}.20261129T073000Z.0123456789abcdef").parse().unwrap()
}

async fn put(store: &dyn Store, key: &Key, bytes: &[u8]) {
    let mut upload = store.begin(key).await.unwrap();
    for piece in bytes.chunks(1000) {
        upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    upload.finish().await.unwrap();
}

#[tokio::test]
async fn an_object_is_there_when_it_is_whole_and_for_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = folder(dir.path());
    let (data, manifest) = (Key::data(&id("acme")), Key::manifest(&id("acme")));
    let mut upload = store.begin(&data).await.unwrap();
    upload.write(Bytes::from_static(b"half")).await.unwrap();
    assert!(matches!(store.read(&data, 0).await, Err(Error::NotFound)));
    assert_eq!(store.list("acme/").await.unwrap(), []);
    drop(upload);
    // Whoever was killed has left it; nobody takes it for an object, and it goes.
    store.sweep("acme/", UnixMillis::MAX).await.unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    put(&store, &data, &[7; 2500]).await;
    put(&store, &manifest, b"m").await;
    let listed = store.list("acme/").await.unwrap();
    let found: Vec<_> = listed.iter().map(|it| parse(&"acme".parse().unwrap(), &it.key)).collect();
    assert_eq!(found, [Some((id("acme"), false)), Some((id("acme"), true))]);
    assert_eq!(whole(&store, &data, 2500).await.unwrap(), [7; 2500]);
    assert!(matches!(whole(&store, &data, 2499).await, Err(Error::TooLarge { max: 2499 })));
    for path in ["acme", "acme/20261129T073000Z.0123456789abcdef"] {
        let mode = std::fs::metadata(dir.path().join(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{path}");
    }
    let file = dir.path().join(data.as_str());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    store.remove(&data).await.unwrap();
    store.remove(&manifest).await.unwrap();
    store.remove(&manifest).await.unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = folder(dir.path());
    let mut upload = store.begin(&Key::data(&id("acme"))).await.unwrap();
    upload.write(Bytes::from_static(b"half")).await.unwrap();
    upload.abort().await.unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_others_have_put_there_is_neither_listed_nor_removed_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = folder(dir.path());
    let key = Key::manifest(&id("acme"));
    put(&store, &key, b"x").await;
    std::fs::create_dir(dir.path().join("acme/of-somebody-0")).unwrap();
    std::fs::write(dir.path().join("acme/of-somebody"), "x").unwrap();
    std::fs::write(dir.path().join("acme/of-somebody-0/data"), "x").unwrap();
    std::fs::write(dir.path().join("acme/of-somebody-0/data.part"), "x").unwrap();
    let listed = store.list("acme/").await.unwrap();
    assert_eq!(listed.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), [key.as_str()]);
    store.sweep("acme/", UnixMillis::MAX).await.unwrap();
    assert!(dir.path().join("acme/of-somebody-0/data.part").exists());
}

#[tokio::test]
async fn no_link_is_followed() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = folder(dir.path());
    std::fs::write(outside.path().join("data"), "outside").unwrap();
    std::os::unix::fs::symlink(outside.path(), dir.path().join("acme")).unwrap();
    store.read(&Key::data(&id("acme")), 0).await.unwrap_err();
    store.begin(&Key::data(&id("acme"))).await.unwrap_err();
    assert_eq!(store.list("acme/").await.unwrap(), []);
    let key = Key::data(&id("b"));
    put(&store, &key, b"x").await;
    let file = dir.path().join(key.as_str());
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(outside.path().join("data"), &file).unwrap();
    store.read(&key, 0).await.unwrap_err();
    assert_eq!(store.list("b/").await.unwrap(), []);
}

#[test]
fn a_tenants_objects_are_its_own() {
    let check = |tenant: &str, key: &str, is: bool| {
        assert_eq!(parse(&tenant.parse().unwrap(), key).is_some(), is, "{key}");
    };
    check("acme", Key::data(&id("acme")).as_str(), true);
    check("acm", Key::data(&id("acme")).as_str(), false);
    check("acme", "acme/20261129T073000Z.0123456789abcdef/data.part", false);
    check("acme", "acme/20261129T073000Z.0123456789abcdef/../data", false);
    check("acme", "acme/../evil/data", false);
}
