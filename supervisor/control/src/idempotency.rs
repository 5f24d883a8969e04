//! Creates that may be repeated: the same key with the same body gives the first outcome again,
//! without its secret.

use http::HeaderMap;
use records::{IdempotencyRow, Records};
use ring::digest::{SHA256, digest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use types::UnixMillis;

use crate::call::Call;
use crate::error::Error;
use crate::reply::Made;

/// The longest idempotency key, in bytes: a UUID with a prefix fits several times.
const MAX_KEY: usize = 255;

/// A reply of a create.
pub(crate) trait Created: Serialize + DeserializeOwned {
    /// The same reply for somebody who asks again.
    fn without_secret(&self) -> Self;
    /// The public name of what was made.
    fn name(&self) -> &str;
}

/// Does `make`, unless the request's idempotency key says that it is done already.
pub(crate) async fn once<P, Q, B, T: Created>(
    call: &Call<P, Q, B>,
    make: impl Future<Output = Result<T, Error>>,
) -> Result<Made<T>, Error> {
    let make = async {
        let reply = make.await?;
        call.made(reply.name());
        Ok(reply)
    };
    let Some(key) = key(&call.head.headers)? else { return make.await.map(Made) };
    let parts = call.control.parts();
    // A key is the operator's own, and means one path: nobody can learn another's outcomes.
    let operator = call.permit.operator().id();
    let scoped = format!("{operator}\n{}\n{key}", call.head.uri.path());
    let repeat = Repeat { key: &scoped, fingerprint: sha256(&call.bytes), now: parts.clock.now() };
    let creating = call.control.creating().lock().await;
    let outcome = repeat.or(&parts.records, make).await;
    drop(creating);
    outcome.map(Made)
}

/// A create that may have been done before.
struct Repeat<'a> {
    key: &'a str,
    fingerprint: [u8; 32],
    now: UnixMillis,
}

impl Repeat<'_> {
    /// The outcome of before, or that of `make`, which is then stored.
    async fn or<T: Created>(
        &self,
        records: &Records,
        make: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if let Some(row) = records.idempotent(self.key, self.now).await? {
            if row.fingerprint != self.fingerprint {
                return Err(Error::KeyReused);
            }
            return serde_json::from_str(&row.body).map_err(Error::Encode);
        }
        let reply = make.await?;
        let body = serde_json::to_string(&reply.without_secret()).map_err(Error::Encode)?;
        let row = IdempotencyRow { fingerprint: self.fingerprint, status: 201, body };
        if let Err(error) = records.put_idempotent(self.key, &row, self.now).await {
            // The secret is made and shown this once: losing it would cost more than the key.
            tracing::warn!(error = %types::Chain(&error), "an idempotency key was not stored");
        }
        Ok(reply)
    }
}

fn key(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    const INVALID: Error = Error::Value {
        field: control_api::IDEMPOTENCY_KEY,
        what: "1 to 255 visible characters, once",
    };
    let mut values = headers.get_all(control_api::IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if values.next().is_some() || text.is_empty() || text.len() > MAX_KEY || !visible {
        return Err(INVALID);
    }
    Ok(Some(text))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
    sum
}

#[cfg(test)]
mod tests {
    use control_api::CreatedTenant;

    use super::*;

    fn made(token: &str) -> CreatedTenant {
        CreatedTenant {
            id: "acme".parse().unwrap(),
            token: Some(token.to_owned()),
            created_at: 0.into(),
        }
    }

    async fn repeat(records: &Records, key: &str, body: &[u8]) -> Result<CreatedTenant, Error> {
        let repeat = Repeat { key, fingerprint: sha256(body), now: 1000 };
        repeat.or(records, async { Ok(made("tk_acme_x")) }).await
    }

    #[tokio::test]
    async fn a_repeat_gives_the_first_outcome_without_its_secret() {
        let records = Records::in_memory();
        let first = repeat(&records, "k", b"body").await.unwrap();
        assert_eq!(first.token.as_deref(), Some("tk_acme_x"));
        let again = repeat(&records, "k", b"body").await.unwrap();
        assert_eq!((again.token, again.created_at), (None, first.created_at));
        let other_body = repeat(&records, "k", b"other").await.unwrap_err();
        assert!(matches!(other_body, Error::KeyReused), "{other_body}");
        let other_key = repeat(&records, "l", b"other").await.unwrap();
        assert!(other_key.token.is_some());
    }

    #[tokio::test]
    async fn a_failure_is_not_an_outcome() {
        let records = Records::in_memory();
        let now = 1000;
        let failing = Repeat { key: "k", fingerprint: sha256(b""), now };
        let failed = failing.or::<CreatedTenant>(&records, async { Err(Error::Slow) }).await;
        failed.unwrap_err();
        assert!(repeat(&records, "k", b"").await.unwrap().token.is_some());
    }

    #[test]
    fn what_is_a_key() {
        let check = |values: &[&'static str], ok: bool| {
            let mut headers = HeaderMap::new();
            for value in values {
                let value = http::HeaderValue::from_static(value);
                headers.append(control_api::IDEMPOTENCY_KEY, value);
            }
            assert_eq!(key(&headers).is_ok(), ok, "{values:?}");
        };
        check(&[], true);
        check(&["a-1"], true);
        check(&[""], false);
        check(&["a b"], false);
        check(&["a", "b"], false);
    }
}
