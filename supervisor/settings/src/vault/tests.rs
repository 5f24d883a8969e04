//! What is sealed opens where it was sealed for, and nowhere else.

use std::os::unix::fs::PermissionsExt as _;

use types::Limits;

use super::*;

const KIND: &str = "skill";

async fn vault() -> (Vault, TenantId, TenantId) {
    let records = Records::in_memory();
    let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
    for tenant in [&a, &b] {
        records.insert_tenant(tenant, 1, Limits::default()).await.unwrap();
    }
    (Vault::new(SealKey::random().unwrap(), records), a, b)
}

fn secret(name: &str, text: &str) -> (String, Secret) {
    (name.to_owned(), Secret::from(text.to_owned()))
}

/// What a tenant's secret is; the error as text.
async fn look(vault: &Vault, tenant: &TenantId, name: &str) -> Result<Option<String>, String> {
    let found = vault.read(tenant, KIND, name).await;
    found.map(|it| it.map(|it| it.expose().to_owned())).map_err(|err| err.to_string())
}

#[tokio::test]
async fn a_secret_comes_back_and_lies_nowhere_in_clear() {
    let (vault, a, b) = vault().await;
    vault.write(&a, KIND, &[secret("s/apiKey", "hunter2")], &[]).await.unwrap();
    assert_eq!(look(&vault, &a, "s/apiKey").await.unwrap().as_deref(), Some("hunter2"));
    assert_eq!(look(&vault, &b, "s/apiKey").await, Ok(None));
    assert_eq!(vault.names(&a).await.unwrap(), ["s/apiKey"]);
    for row in vault.records.all_sealed(&a).await.unwrap() {
        assert!(!row.sealed.windows(7).any(|it| it == b"hunter2"), "{}", row.name);
    }
    vault.write(&a, KIND, &[], &["s/apiKey".to_owned()]).await.unwrap();
    assert_eq!(look(&vault, &a, "s/apiKey").await, Ok(None));
}

#[tokio::test]
async fn what_is_swapped_does_not_open() {
    let (vault, a, b) = vault().await;
    for tenant in [&a, &b] {
        let put = [secret("s/apiKey", "one"), secret("t/apiKey", "two")];
        vault.write(tenant, KIND, &put, &[]).await.unwrap();
    }
    let refused = Err("a sealed value does not open".to_owned());
    let sealed = async |tenant: &TenantId, name: &str| {
        vault.records.sealed(tenant, name).await.unwrap().unwrap().sealed
    };
    let put = async |name: &str, sealed: Vec<u8>| {
        let row = SealedRow { name: name.to_owned(), sealed };
        vault.records.seal(&a, &[row], &[]).await.unwrap();
    };
    // Another name of the same tenant.
    let own = sealed(&a, "s/apiKey").await;
    put("s/apiKey", sealed(&a, "t/apiKey").await).await;
    assert_eq!(look(&vault, &a, "s/apiKey").await, refused);
    // The same name of another tenant, alone and with that tenant's key.
    put("s/apiKey", sealed(&b, "s/apiKey").await).await;
    assert_eq!(look(&vault, &a, "s/apiKey").await, refused);
    let key = sealed(&a, DATA_KEY).await;
    put(DATA_KEY, sealed(&b, DATA_KEY).await).await;
    assert_eq!(look(&vault, &a, "s/apiKey").await, refused);
    put(DATA_KEY, key).await;
    // Another kind.
    put("s/apiKey", own.clone()).await;
    assert_eq!(look(&vault, &a, "s/apiKey").await.unwrap().as_deref(), Some("one"));
    vault.read(&a, "channel", "s/apiKey").await.unwrap_err();
    // One bit, or a part.
    for at in [0, 1, own.len() - 1] {
        let mut broken = own.clone();
        broken[at] ^= 1;
        put("s/apiKey", broken).await;
        assert_eq!(look(&vault, &a, "s/apiKey").await, refused);
    }
    for length in [0, 1, NONCE_LEN, own.len() - 1] {
        put("s/apiKey", own[..length].to_vec()).await;
        assert_eq!(look(&vault, &a, "s/apiKey").await, refused);
    }
}

#[tokio::test]
async fn secrets_die_with_their_tenant_and_its_key() {
    let (vault, a, _) = vault().await;
    vault.write(&a, KIND, &[secret("s/apiKey", "one")], &[]).await.unwrap();
    let row = vault.records.sealed(&a, "s/apiKey").await.unwrap().unwrap();
    vault.records.delete_tenant(&a).await.unwrap();
    vault.write(&a, KIND, &[secret("s/apiKey", "two")], &[]).await.unwrap_err();
    vault.records.insert_tenant(&a, 2, Limits::default()).await.unwrap();
    assert_eq!(look(&vault, &a, "s/apiKey").await, Ok(None));
    // A copy of the records that somebody kept.
    vault.records.seal(&a, &[row], &[]).await.unwrap();
    look(&vault, &a, "s/apiKey").await.unwrap_err();
}

#[test]
fn the_gateways_key_is_made_once_and_is_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    SealKey::load(&keys).unwrap();
    let path = keys.join(FILE);
    let first = std::fs::read(&path).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((first.len(), mode(&path)), (KEY, 0o600));
    SealKey::load(&keys).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(SealKey::load(&keys), Err(Error::Key { .. })));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, b"short").unwrap();
    assert!(matches!(SealKey::load(&keys), Err(Error::Key { .. })));
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("elsewhere", &path).unwrap();
    assert!(matches!(SealKey::load(&keys), Err(Error::File { .. })));
}
