//! Secrets of accounts at chat networks: sealed under their tenant's key, or under the gateway's where all
//! tenants share the account, and opened for nobody but whoever calls the network for them.

use types::{Secret, TenantId};

use crate::{Settings, VaultError};

/// The kind under which they are sealed.
pub(crate) const KIND: &str = "channel";

/// Bytes of one: a token of some hundred letters, many times over.
pub const MAX_CHANNEL_SECRET: usize = 2048;

fn name(account: &str, what: &str) -> String {
    format!("{KIND}/{account}/{what}")
}

impl Settings {
    /// Seals secrets of an account, each under what it is, and removes others.
    ///
    /// # Errors
    /// When the tenant is gone or has too many, or they cannot be sealed or written.
    pub async fn seal_channel(
        &self,
        owner: Option<&TenantId>,
        account: &str,
        put: &[(&str, Secret)],
        removed: &[&str],
    ) -> Result<(), VaultError> {
        let put: Vec<_> =
            put.iter().map(|(it, secret)| (name(account, it), secret.clone())).collect();
        let removed: Vec<_> = removed.iter().map(|it| name(account, it)).collect();
        match owner {
            Some(tenant) => self.0.vault.write(tenant, KIND, &put, &removed).await,
            None => self.0.vault.write_own(KIND, &put, &removed).await,
        }
    }

    /// One secret of an account, where it has it.
    ///
    /// # Errors
    /// When the records fail, or it does not open.
    pub async fn channel_secret(
        &self,
        owner: Option<&TenantId>,
        account: &str,
        what: &str,
    ) -> Result<Option<Secret>, VaultError> {
        let name = name(account, what);
        match owner {
            Some(tenant) => self.0.vault.read(tenant, KIND, &name).await,
            None => self.0.vault.read_own(KIND, &name).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use records::Records;
    use types::Limits;

    use super::*;
    use crate::{Platform, SealKey};

    #[tokio::test]
    async fn a_secret_is_of_one_account_and_goes_with_it() {
        let records = Records::in_memory();
        let settings =
            Settings::new(records.clone(), Platform::default(), SealKey::random().unwrap());
        let a: TenantId = "a".parse().unwrap();
        records.insert_tenant(&a, 1, Limits::default()).await.unwrap();
        for owner in [Some(&a), None] {
            let put =
                [("token", Secret::from("s1".to_owned())), ("in", Secret::from("s2".to_owned()))];
            settings.seal_channel(owner, "cha_1", &put, &[]).await.unwrap();
            let read = async |account, what| {
                let read = settings.channel_secret(owner, account, what).await.unwrap();
                read.map(|it| it.expose().to_owned())
            };
            assert_eq!(read("cha_1", "token").await.as_deref(), Some("s1"));
            assert_eq!(read("cha_2", "token").await, None);
            settings.seal_channel(owner, "cha_1", &[], &["token"]).await.unwrap();
            assert_eq!(read("cha_1", "token").await, None);
            assert_eq!(read("cha_1", "in").await.as_deref(), Some("s2"));
        }
        let kept = settings.open_secrets(&a).await.unwrap();
        assert_eq!(kept.len(), 1, "in backups too");
        settings.seal_secrets(&a, kept).await.unwrap();
    }
}
